//! Which variables hold secrets, judged by their names, and where a line of a file writes one.

use std::ops::Range;

/// Parts of names that make a variable secret.
const PARTS: [&str; 5] = ["KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL"];

/// Ends of names that make a variable secret.
const ENDS: [&str; 2] = ["_DSN", "DATABASE_URL"];

/// Whether the name of a variable says that its value must not be shown.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    PARTS.iter().any(|part| name.contains(part)) || ENDS.iter().any(|end| name.ends_with(end))
}

/// The bytes of `line` that are values of secret variables. The line is read by itself, as it may
/// be of a file that is no TOML: what looks like a secret is one.
pub(crate) fn values(line: &str) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    let mut from = 0;
    while let Some(equals) = line.get(from..).and_then(|rest| rest.find('=')).map(|at| from + at) {
        let before = line.get(..equals).unwrap_or("").trim_end().trim_end_matches(['"', '\'']);
        let part_of_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let name = before.rfind(|c| !part_of_name(c)).map_or(before, |at| {
            before.get(at..).unwrap_or("").trim_start_matches(|c| !part_of_name(c))
        });
        from = equals + 1;
        if is_secret(name) {
            let value = value_after(line, from);
            from = value.end;
            values.push(value);
        }
    }
    values.retain(|value| !value.is_empty());
    values
}

/// The value that begins at `from`: to its closing quote, to the next `,` or `}`, or to the end.
fn value_after(line: &str, from: usize) -> Range<usize> {
    let rest = line.get(from..).unwrap_or("");
    let start = from + (rest.len() - rest.trim_start().len());
    let value = line.get(start..).unwrap_or("").trim_end_matches(['\n', '\r']);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let length = match quote {
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
        ] {
            let found: Vec<_> = values(line).into_iter().map(|at| &line[at]).collect();
            assert_eq!(found, hidden, "{line}");
        }
    }
}
