//! Which variables hold secrets, judged by their names, and where a line of a file writes one.

use std::ops::Range;

use crate::environment::Pattern;

/// Parts of names that make a variable secret.
const PARTS: [&str; 5] = ["KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL"];

/// Ends of names that make a variable secret.
const ENDS: [&str; 2] = ["_DSN", "DATABASE_URL"];

/// Whether the name of a variable says that its value must not be shown.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    PARTS.iter().any(|part| name.contains(part)) || ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether a value is an address with a password in it: `redis://:pass@host`.
pub fn holds_password(value: &str) -> bool {
    let user = value.split_once("://").and_then(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next()?;
        Some(authority.rsplit_once('@')?.0)
    });
    user.is_some_and(|user| user.contains(':'))
}

/// The bytes of `line` that are values of secret variables. The line is read by itself, as it may
/// be of a file that is broken: what looks like a secret is one.
///
/// `named` are names besides those that [`is_secret`] knows. Passwords within addresses are values
/// as well.
pub(crate) fn values(line: &str, named: &[Pattern]) -> Vec<Range<usize>> {
    let mut values = assigned(line, named);
    let outside = |at: &Range<usize>| !values.iter().any(|value| value.contains(&at.start));
    let passwords: Vec<_> = passwords(line).into_iter().filter(outside).collect();
    values.extend(passwords);
    values.sort_by_key(|value| value.start);
    values
}

/// `user:password` of each address of a line: what stands between `://` and the last `@` before the
/// address ends.
fn passwords(line: &str) -> Vec<Range<usize>> {
    let user = |(at, sign): (usize, &str)| {
        let start = at + sign.len();
        let rest = line.get(start..)?;
        let end = |c: char| c.is_whitespace() || "/?#\"'`,".contains(c);
        let authority = rest.get(..rest.find(end).unwrap_or(rest.len()))?;
        let user = authority
            .rfind('@')
            .filter(|at| authority.get(..*at).is_some_and(|user| user.contains(':')))?;
        Some(start..start + user)
    };
    line.match_indices("://").filter_map(user).collect()
}

fn assigned(line: &str, named: &[Pattern]) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    let mut from = 0;
    let next = |from: usize| line.get(from..).and_then(|rest| rest.find(['=', ':']));
    while let Some(sign) = next(from).map(|at| from + at) {
        let before = line.get(..sign).unwrap_or("").trim_end().trim_end_matches(['"', '\'']);
        let part_of_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let name = before.rfind(|c| !part_of_name(c)).map_or(before, |at| {
            before.get(at..).unwrap_or("").trim_start_matches(|c| !part_of_name(c))
        });
        let yaml = line.get(sign..).is_some_and(|rest| rest.starts_with(':'));
        from = sign + 1;
        if is_secret(name) || named.iter().any(|pattern| pattern.matches(name)) {
            let value = value_after(line, from, yaml);
            from = value.end;
            values.push(value);
        }
    }
    values.retain(|value| !value.is_empty());
    values
}

/// The value that begins at `from`: to its closing quote, to the next `,` or `}`, or to the end.
/// `bare`: one without quotes may hold any character, so that all that follows is taken for it.
fn value_after(line: &str, from: usize, bare: bool) -> Range<usize> {
    let rest = line.get(from..).unwrap_or("");
    let start = from + (rest.len() - rest.trim_start().len());
    let value = line.get(start..).unwrap_or("").trim_end_matches(['\n', '\r']);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    let length = match quote {
        None if bare => value.len(),
        None => value.find([',', '}']).unwrap_or(value.len()),
        Some(quote) => {
            let opening = value.len() - value.trim_start_matches(quote).len();
            // Two quotes are an empty value, three or more open one of several lines.
            if opening == 2 { 2 } else { closing(value, quote, opening) }
        }
    };
    start..start + length
}

/// The length of a quoted value with its quotes; of one that is not closed, all of it.
fn closing(value: &str, quote: char, opening: usize) -> usize {
    let mut escaped = false;
    for (at, c) in value.char_indices().skip(opening) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            // The closing quotes of a text of several lines are as many as the opening ones.
            _ if c == quote && opening == 1 => return at + 1,
            _ => {}
        }
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_secret() {
        for name in
            ["API_KEY", "api_token", "PGPASSWORD", "MY_SECRET_2", "SENTRY_DSN", "DATABASE_URL"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PORT", "NODE_ENV", "DSN_HOST", "URL"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn addresses_with_a_password_in_them() {
        for (value, holds) in [
            ("redis://:pw@host:6379/0", true),
            ("https://user:pw@host/path", true),
            ("https://host/a:b@c", false),
            ("https://user@host", false),
            ("a:b@c", false),
        ] {
            assert_eq!(holds_password(value), holds, "{value}");
        }
    }

    #[test]
    fn values_of_secrets_within_a_line() {
        for (line, hidden) in [
            ("PORT = 3000\n", vec![]),
            ("API_KEY = \"abc\"\n", vec!["\"abc\""]),
            ("env = { PORT = 1, API_KEY = \"a,b}\", X = 2 }", vec!["\"a,b}\""]),
            ("env.DB_PASS='x' # y", vec!["'x'"]),
            ("TOKEN = \"a\\\"b\" # c", vec!["\"a\\\"b\""]),
            ("TOKEN = \"abc\r\n", vec!["\"abc"]),
            ("TOKEN = 12, B = 3", vec!["12"]),
            ("\"TOKEN\" = \"\", SECRET=\"é=\"", vec!["\"\"", "\"é=\""]),
            ("TOKEN = \"\"\"abc\"\"\" ", vec!["\"\"\"abc\"\"\" "]),
            ("TOKEN =", vec![]),
            ("{ \"API_KEY\": \"a\", B: 1 }", vec!["\"a\""]),
            ("  DB_PASS: a, b # c", vec!["a, b # c"]),
            ("listen: 'tcp://[::1]:1', TOKEN: `x`", vec!["`x`"]),
            ("A = \"redis://u:p@h/\", PIN=1, B = \"http://u@h\"", vec!["u:p", "1"]),
            ("DATABASE_URL = \"pg://u:p@h/\"", vec!["\"pg://u:p@h/\""]),
        ] {
            let found: Vec<_> = values(line, &[Pattern::parse("PIN").unwrap()])
                .into_iter()
                .map(|at| &line[at])
                .collect();
            assert_eq!(found, hidden, "{line}");
        }
    }
}
