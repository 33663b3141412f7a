//! Text in columns: display width, padding, cutting; text of apps made harmless.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::look::Look;

/// Columns that `text` takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// At most `max` columns, the end left out.
pub(crate) fn cut(text: &str, max: usize, look: &Look) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let ellipsis = look.ellipsis();
    let room = max.saturating_sub(width(ellipsis));
    format!("{}{ellipsis}", head(text, room))
}

/// At most `max` columns, the middle left out: both ends of a name tell it apart.
pub(crate) fn cut_middle(text: &str, max: usize, look: &Look) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let ellipsis = look.ellipsis();
    let room = max.saturating_sub(width(ellipsis));
    let front = head(text, room.div_ceil(2));
    format!("{front}{ellipsis}{}", tail(text, room - width(front)))
}

/// Padded to `to` columns: on the left of the text when `right`.
pub(crate) fn pad(text: &str, to: usize, right: bool) -> String {
    let blank = " ".repeat(to.saturating_sub(width(text)));
    if right { format!("{blank}{text}") } else { format!("{text}{blank}") }
}

fn head(text: &str, room: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > room
    });
    end.map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

fn tail(text: &str, room: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().rev().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > room
    });
    end.map_or(text, |(at, c)| text.get(at + c.len_utf8()..).unwrap_or_default())
}

/// Text of an app for one line of a terminal: tabs become blanks, line ends and every other
/// control character (C0, DEL, C1) and the characters that turn the direction of writing are
/// written out.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => plain.push_str("    "),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                plain.extend(c.escape_unicode());
            }
            c if c.is_control() => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}

/// One line of an app's own output: whole control sequences are taken out.
pub(crate) fn own(line: &str) -> String {
    nexus_log::printable(line.as_bytes(), false).replace('\t', "    ")
}

/// The last `max` lines of an app's own output, blank ones at the end left out.
pub(crate) fn last(lines: &[String], max: usize) -> impl Iterator<Item = String> {
    let end = lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |at| at + 1);
    lines.get(end.saturating_sub(max)..end).unwrap_or_default().iter().map(|line| own(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        crate::view::fixture::look(80)
    }

    #[test]
    fn wide_characters_count_twice_and_are_never_halved() {
        assert_eq!(width("価格"), 4);
        assert_eq!(cut("価格価格", 5, &look()), "価格…");
        assert_eq!(cut("価格価格", 6, &look()), "価格…");
        assert_eq!(cut_middle("order-gateway-primary", 15, &look()), "order-g…primary");
        assert_eq!(width(&cut_middle("価格価格価格", 7, &look())), 7);
        assert_eq!(pad("価", 4, true), "  価");
    }

    #[test]
    fn nothing_of_an_app_moves_the_cursor() {
        assert_eq!(plain("a\x1b]0;t\x07\r\nb\tc\u{9b}d"), "a\\u{1b}]0;t\\u{7}\\r\\nb    c\\u{9b}d");
        assert_eq!(plain("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn the_last_words_end_with_a_word() {
        let lines = ["one", "two\x1b]0;title\x07", "\tthree", "", " "].map(str::to_owned);
        assert_eq!(last(&lines, 2).collect::<Vec<_>>(), ["two", "    three"]);
        assert_eq!(last(&lines[3..], 2).count(), 0);
    }

    proptest::proptest! {
        #[test]
        fn cutting_keeps_to_its_room(text in "\\PC{0,60}", room in 1_usize..40) {
            proptest::prop_assert!(width(&cut(&text, room, &look())) <= room);
            proptest::prop_assert!(width(&cut_middle(&text, room, &look())) <= room);
        }
    }
}
