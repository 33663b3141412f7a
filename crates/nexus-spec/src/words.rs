//! A command line split into words the way a shell does, without expanding anything.

/// Splits `text` at blanks; `'…'`, `"…"` and `\` keep what they hold together, as in `sh(1)`.
///
/// # Errors
/// A clause that says what is wrong: a quote that is not closed, or a `\` at the end.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    // Some even when empty: `''` is a word.
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => quoted(&mut chars, '\'', word.get_or_insert_default())?,
            '"' => quoted(&mut chars, '"', word.get_or_insert_default())?,
            '\\' => {
                let next = chars.next().ok_or("ends with a `\\` that has nothing after it")?;
                word.get_or_insert_default().push(next);
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Words as a line that a shell takes for exactly these.
pub(crate) fn join(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,+@%".contains(c);
    let word = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Takes what stands before the closing `quote`. Within `"…"`, `\` protects `"`, `\`, `$` and a
/// backquote, and is itself otherwise.
fn quoted(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), String> {
    while let Some(c) = chars.next() {
        if c == quote {
            return Ok(());
        }
        if c != '\\' || quote == '\'' {
            word.push(c);
            continue;
        }
        match chars.next() {
            Some(next @ ('"' | '\\' | '$' | '`')) => word.push(next),
            Some(next) => word.extend(['\\', next]),
            None => break,
        }
    }
    Err(format!("has a {quote} that is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_a_shell_splits_them() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  \t\n ", &[]),
            ("a b  c", &["a", "b", "c"]),
            ("--name='a b' c", &["--name=a b", "c"]),
            (r#""a \"b\" $c" '' "#, &[r#"a "b" $c"#, ""]),
            (r"a\ b \'", &["a b", "'"]),
            (r#"'\n' "\n""#, &[r"\n", r"\n"]),
            ("$HOME *.js ~ `x` #y", &["$HOME", "*.js", "~", "`x`", "#y"]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text).unwrap(), *words, "{text}");
        }
        for text in ["'a", "\"a", "\"a\\", "a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
