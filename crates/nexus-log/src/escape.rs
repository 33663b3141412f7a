//! Text of others made harmless for a terminal.
//!
//! A line of a log may move the cursor, set the title, write the clipboard or reverse the direction
//! of text. Whole control sequences are taken out; any other control character is shown as `\x1b`
//! is shown here, so that nothing that was there is hidden.

use std::fmt::Write;

/// The longest control sequence that is taken for one, in characters.
const SEQUENCE_MAX: usize = 256;
const RESET: &str = "\x1b[0m";

/// `bytes` as text that a terminal shows and does not obey. Not UTF-8: the replacement character.
/// A tab stays; a carriage return at the end goes. With `keep_colours`, SGR sequences (colours, bold)
/// stay, and a reset is appended when one is left on.
#[must_use]
pub fn printable(bytes: &[u8], keep_colours: bool) -> String {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut coloured = false;
    let mut rest: &str = &text;
    while let Some(first) = rest.chars().next() {
        let sequence = match introducer(rest) {
            Some((kind, body)) => measure(kind, body).map(|len| (kind, &body[..len], body)),
            None => None,
        };
        let Some((kind, inside, body)) = sequence else {
            show(first, &mut out);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        if keep_colours
            && kind == Kind::Control
            && let Some(params) = colours(inside)
        {
            // Whatever introduced it: some terminals take U+009B for text.
            out.extend(["\x1b[", params, "m"]);
            coloured = !matches!(params.trim_matches('0'), "");
        }
        rest = &body[inside.len()..];
    }
    if coloured {
        out.push_str(RESET);
    }
    out
}

/// Families of control sequences (ECMA-48 5.4 and 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// CSI: parameters, then one final character.
    Control,
    /// OSC, DCS, SOS, PM, APC: text up to ST or BEL.
    Text,
    /// ESC, intermediates, one final character: character sets, as `tput sgr0` writes them.
    Charset,
}

/// The kind of sequence that begins here, and what follows its introducer.
fn introducer(rest: &str) -> Option<(Kind, &str)> {
    let mut chars = rest.chars();
    let code = match chars.next()? {
        '\x1b' => {
            let body = chars.as_str();
            match chars.next()? {
                '\x20'..='\x2f' => return Some((Kind::Charset, body)),
                // Each C1 control is also ESC and the character 0x40 below it.
                c @ '\x40'..='\x5f' => u32::from(c) + 0x40,
                _ => return None,
            }
        }
        c1 => u32::from(c1),
    };
    let kind = match code {
        0x9b => Kind::Control,
        0x90 | 0x98 | 0x9d | 0x9e | 0x9f => Kind::Text,
        _ => return None,
    };
    Some((kind, chars.as_str()))
}

/// The length of the sequence after its introducer. None = it does not end as it should; then it is
/// no sequence to hide, but text to show.
fn measure(kind: Kind, body: &str) -> Option<usize> {
    let mut escape = false;
    for (at, c) in body.char_indices().take(SEQUENCE_MAX) {
        let end = Some(at + c.len_utf8());
        match kind {
            Kind::Control => match c {
                '\x20'..='\x3f' => {}
                '\x40'..='\x7e' => return end,
                _ => return None,
            },
            Kind::Charset => match c {
                '\x20'..='\x2f' => {}
                '\x30'..='\x7e' => return end,
                _ => return None,
            },
            Kind::Text => match c {
                '\x07' | '\u{9c}' => return end,
                '\\' if escape => return end,
                _ if escape => return None,
                '\x1b' => {}
                _ if c.is_control() => return None,
                _ => {}
            },
        }
        escape = c == '\x1b';
    }
    None
}

/// The parameters of an SGR sequence.
fn colours(inside: &str) -> Option<&str> {
    let params = inside.strip_suffix('m')?;
    params.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')).then_some(params)
}

fn show(c: char, out: &mut String) {
    let code = u32::from(c);
    // Writing to a string does not fail.
    let _ = match c {
        '\t' => out.write_char(c),
        _ if code < 0x80 && c.is_control() => write!(out, "\\x{code:02x}"),
        _ if c.is_control() || is_direction(c) => write!(out, "\\u{{{code:x}}}"),
        _ => out.write_char(c),
    };
}

/// Characters that reorder text (bidi controls) or break lines where none are expected.
fn is_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_taken_out_or_shown() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain \xc3\xa4 text\ttab", "plain ä text\ttab"),
            (b"a\x1b[2Jb\x1b[31mred\x1b[0m", "abred"),
            (b"\x1b]0;title\x07x\x1b]52;c;AAAA\x1b\\y", "xy"),
            (b"\x1b(B\x1b[mx\x1b(\x1b#8", "x\\x1b("),
            (b"\x1bP1$r\x1b\\z", "z"),
            (b"\xc2\x9b2Jx", "x"),
            (b"\x9b2Jx", "\u{fffd}2Jx"),
            (b"\x1b]0;never ends", "\\x1b]0;never ends"),
            (b"\x1b[\x1b[2J2J", "\\x1b[2J"),
            (b"\x1bc\x07\x00\x7f\r\n", "\\x1bc\\x07\\x00\\x7f\\x0d\\x0a"),
            (b"line\r", "line"),
            ("a\u{202e}b\u{2066}".as_bytes(), "a\\u{202e}b\\u{2066}"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        ];
        for (bytes, wanted) in cases {
            assert_eq!(printable(bytes, false), *wanted, "{:?}", bytes.escape_ascii().to_string());
        }
    }

    #[test]
    fn colours_stay_on_request_and_end_with_the_line() {
        assert_eq!(printable(b"\x1b[1;31mred\x1b[2K", true), "\x1b[1;31mred\x1b[0m");
        assert_eq!(printable(b"\x1b[31mred\x1b[0m.", true), "\x1b[31mred\x1b[0m.");
        assert_eq!(printable(b"\xc2\x9b32mx\x1b[m", true), "\x1b[32mx\x1b[m");
        assert_eq!(printable(b"\x1b[>4;2mx", true), "x");
    }

    /// Pieces that make sequences likely.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\x1b".to_vec()),
            Just(b"\x1b[".to_vec()),
            Just(b"\x1b]".to_vec()),
            Just(b"\xc2\x9b".to_vec()),
            Just(b"\x9b".to_vec()),
            Just(b"31;1m".to_vec()),
            Just(b"\x1b(".to_vec()),
            Just(b"m\\\x07".to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    fn harmless(text: &str) -> bool {
        let mut pieces = text.split('\x1b');
        let calm =
            |piece: &str| !piece.chars().any(|c| (c.is_control() && c != '\t') || is_direction(c));
        calm(pieces.next().unwrap_or_default())
            && pieces.all(|piece| {
                let body = piece.strip_prefix('[').and_then(|p| p.split_once('m'));
                calm(piece)
                    && body.is_some_and(|(params, _)| {
                        params.bytes().all(|b| b.is_ascii_digit() || b == b';' || b == b':')
                    })
            })
    }

    proptest! {
        #[test]
        fn nothing_but_colours_reaches_the_terminal(bytes in hostile()) {
            prop_assert!(harmless(&printable(&bytes, true)));
            let plain = printable(&bytes, false);
            prop_assert!(harmless(&plain) && !plain.contains('\x1b'));
        }
    }
}
