//! Files of variables: `NAME=value`, a line each.

/// Variables, in the order written.
pub type Variables = Vec<(String, String)>;

/// The longest file of variables, in bytes.
pub const DOTENV_MAX: usize = 1 << 20;

/// What is wrong with a file of variables. No value is ever quoted: all of them are secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DotenvFlaw {
    /// The line, from 1.
    pub line: usize,
    /// A clause: "has no `=`".
    pub problem: &'static str,
}

/// The variables of a file as other tools write it: `NAME=value`, `export NAME=value`, blank lines,
/// lines that begin with `#`. A value may stand in double quotes (`\n`, `\t`, `\"`, `\\` and `\$`
/// are escapes, and it may go over several lines), in single quotes (nothing is an escape), or
/// bare: then ` #` begins a comment. No variable is expanded.
///
/// # Errors
/// The first line that says no variable.
pub fn dotenv(text: &str) -> Result<Variables, DotenvFlaw> {
    let mut variables = Vec::new();
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let wrong = |problem| DotenvFlaw { line: index + 1, problem };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or_else(|| wrong("has no `=`"))?;
        let name = name.trim();
        let of_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || !name.chars().all(of_name) {
            return Err(wrong("does not begin with the name of a variable"));
        }
        let value = value.trim_start();
        let more = &mut lines.by_ref().map(|(_, line)| line);
        let value = match value.chars().next() {
            Some('"') => quoted(value, '"', more),
            Some('\'') => quoted(value, '\'', more),
            Some(_) | None => Ok(bare(value).to_owned()),
        };
        let value = value.map_err(wrong)?;
        if value.contains('\0') {
            return Err(wrong("has a NUL character"));
        }
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}

/// A value without quotes: up to a comment.
fn bare(text: &str) -> &str {
    let comment = text.match_indices('#').map(|(at, _)| at);
    let mut comment = comment.filter(|&at| {
        text.get(..at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']))
    });
    comment.next().and_then(|at| text.get(..at)).unwrap_or(text).trim_end()
}

/// A value in quotes; `more` are the lines after it.
fn quoted<'a>(
    first: &'a str,
    quote: char,
    more: &mut dyn Iterator<Item = &'a str>,
) -> Result<String, &'static str> {
    let mut value = String::new();
    let mut line = first.get(1..).unwrap_or("");
    loop {
        let mut chars = line.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if quote == '"' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, c)) if "\"\\$`".contains(c) => value.push(c),
                    Some((_, c)) => value.extend(['\\', c]),
                    None => value.push('\\'),
                },
                _ if c == quote => {
                    let rest = line.get(at + 1..).unwrap_or("").trim_start();
                    return match rest.is_empty() || rest.starts_with('#') {
                        true => Ok(value),
                        false => Err("has something after its closing quote"),
                    };
                }
                _ => value.push(c),
            }
        }
        value.push('\n');
        line = more.next().ok_or("has a quote that is not closed")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_of_variables_says() {
        let text = "\u{feff}# a comment\n\nA=1\nexport B = two words  # said so\nC='x # \\n $A'\n\
                    D=\"a\\nb\\\"c\\d\" # x\nE=\nF=a#b\r\nG=\"one\ntwo\"\nH=''\n  I=#x\nJ=a=b";
        let told = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x # \\n $A"),
            ("D", "a\nb\"c\\d"),
            ("E", ""),
            ("F", "a#b"),
            ("G", "one\ntwo"),
            ("H", ""),
            ("I", ""),
            ("J", "a=b"),
        ];
        let read = dotenv(text).unwrap();
        let read: Vec<_> = read.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(read, told);
    }

    #[test]
    fn what_is_none_is_told_by_its_line_and_never_by_its_value() {
        for (text, line, problem) in [
            ("A=1\nhunter2", 2, "has no `=`"),
            ("=x", 1, "does not begin with the name of a variable"),
            ("A B=x", 1, "does not begin with the name of a variable"),
            ("\nA=\"x", 2, "has a quote that is not closed"),
            ("A='x' y", 1, "has something after its closing quote"),
            ("A=\0", 1, "has a NUL character"),
        ] {
            assert_eq!(dotenv(text), Err(DotenvFlaw { line, problem }), "{text}");
        }
    }
}
