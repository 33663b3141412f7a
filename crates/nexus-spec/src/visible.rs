//! Text of users made safe to show: nothing that moves a cursor or turns the writing direction.

/// The longest piece of user text that a sentence quotes, in characters.
const QUOTED_MAX: usize = 64;

/// Whether a character must not reach a terminal as it is: controls, and the marks that change
/// the direction of writing or take no room.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// `text` with unsafe characters as `\u{1b}`; with `ascii`, all that are not ASCII.
pub(crate) fn visible(text: &str, ascii: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut shown, c, ascii);
    }
    shown
}

/// Adds one character as [`visible`] shows it.
pub(crate) fn push(shown: &mut String, c: char, ascii: bool) {
    if is_unsafe(c) || (ascii && !c.is_ascii()) {
        shown.extend(c.escape_unicode());
    } else {
        shown.push(c);
    }
}

/// User text in backquotes within a sentence: made visible, cut when long.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::from("`");
    for (count, c) in text.chars().enumerate() {
        if count == QUOTED_MAX {
            shown.push_str("...");
            break;
        }
        push(&mut shown, c, false);
    }
    shown.push('`');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_fool_a_terminal_is_spelled_out() {
        assert_eq!(visible("a\u{1b}[31mb\u{202e}é", false), "a\\u{1b}[31mb\\u{202e}é");
        assert_eq!(visible("é", true), "\\u{e9}");
        assert_eq!(quoted("a\nb"), "`a\\u{a}b`");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), QUOTED_MAX + 5);
    }
}
