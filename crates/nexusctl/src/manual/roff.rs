//! Text as man(7) takes it.

/// Words within a line or a paragraph: nothing in them is a request or an escape.
pub(super) fn text(words: &str) -> String {
    let mut safe = String::with_capacity(words.len() + 8);
    for (number, line) in words.lines().enumerate() {
        if number > 0 {
            safe.push('\n');
        }
        if line.starts_with(['.', '\'']) {
            safe.push_str("\\&");
        }
        for c in line.chars() {
            match c {
                '\\' => safe.push_str("\\e"),
                '-' => safe.push_str("\\-"),
                '\'' => safe.push_str("\\(aq"),
                '`' => safe.push_str("\\(ga"),
                '~' => safe.push_str("\\(ti"),
                '^' => safe.push_str("\\(ha"),
                '"' => safe.push_str("\\(dq"),
                c if c.is_ascii() => safe.push(c),
                c => safe.push_str(&format!("\\[u{:04X}]", u32::from(c))),
            }
        }
    }
    safe
}

/// Lines that stay as they are, in letters of one width.
pub(super) fn literal(words: &str) -> String {
    format!(".nf\n{}\n.fi\n", text(words.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_request() {
        assert_eq!(text(".SH x\n'br \\fB -o"), "\\&.SH x\n\\&\\(aqbr \\efB \\-o");
        assert_eq!(literal("● a\n"), ".nf\n\\[u25CF] a\n.fi\n");
    }
}
