//! Keys, from the bytes that the terminal sends.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::keys::Key;
use super::super::model::Msg;
use super::{Event, Tell};

/// A lone escape character is the Esc key when nothing has followed for so long, in milliseconds:
/// longer than a slow line needs between two bytes of one key.
const ESCAPE_MS: u16 = 30;
/// The longest escape sequence of a key.
const SEQUENCE_MAX: usize = 32;
/// The longest text that is taken from one paste.
const PASTE_MAX: usize = 4_096;

/// Read keys from now on, until the terminal has gone.
pub(in crate::monit) fn watch(mut tty: File, to: Tell) {
    std::thread::spawn(move || {
        let mut decoder = Decoder::default();
        while let Some(inputs) = turn(&mut tty, &mut decoder) {
            for msg in inputs {
                if to.send(Event::Input(msg)).is_err() {
                    return;
                }
            }
        }
        let _ = to.send(Event::Hangup);
    });
}

/// Wait for bytes. `None` = the terminal has gone.
fn turn(tty: &mut File, decoder: &mut Decoder) -> Option<Vec<Msg>> {
    let wait = if decoder.waits() { PollTimeout::from(ESCAPE_MS) } else { PollTimeout::NONE };
    let mut fds = [PollFd::new(tty.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, wait) {
        Err(Errno::EINTR) => return Some(Vec::new()),
        Err(_) => return None,
        Ok(0) => return Some(decoder.end().into_iter().collect()),
        Ok(_) => {}
    }
    let mut bytes = [0; 1_024];
    match tty.read(&mut bytes) {
        Ok(0) => None,
        Ok(count) => Some(decoder.feed(bytes.get(..count).unwrap_or_default())),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Bytes become keys; what is not whole is kept.
#[derive(Debug, Default)]
struct Decoder {
    pending: Vec<u8>,
    /// Text of a paste whose end has not come.
    paste: Option<Vec<u8>>,
}

const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

impl Decoder {
    /// Whether more bytes would make a difference.
    fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    fn feed(&mut self, bytes: &[u8]) -> Vec<Msg> {
        self.pending.extend_from_slice(bytes);
        let mut found = Vec::new();
        loop {
            let step = if self.paste.is_some() { self.pasted() } else { self.key() };
            match step {
                Step::Wait => return found,
                Step::Skip => {}
                Step::Found(msg) => found.push(msg),
            }
        }
    }

    /// Nothing more comes: what is kept is all.
    fn end(&mut self) -> Option<Msg> {
        let escape = self.pending == b"\x1b";
        if self.paste.is_none() {
            self.pending.clear();
        }
        escape.then_some(Msg::Key(Key::Esc))
    }

    fn pasted(&mut self) -> Step {
        let Some(text) = &mut self.paste else { return Step::Wait };
        let end = self.pending.windows(PASTE_END.len()).position(|part| part == PASTE_END);
        // The end may have come in part.
        let take = end.unwrap_or(self.pending.len().saturating_sub(PASTE_END.len() - 1));
        let room = PASTE_MAX.saturating_sub(text.len());
        text.extend(self.pending.drain(..take).take(room));
        if end.is_none() {
            return Step::Wait;
        }
        self.pending.drain(..PASTE_END.len());
        let text = self.paste.take().unwrap_or_default();
        Step::Found(Msg::Paste(String::from_utf8_lossy(&text).into_owned()))
    }

    fn key(&mut self) -> Step {
        let Some(first) = self.pending.first().copied() else { return Step::Wait };
        if self.pending.starts_with(PASTE_BEGIN) {
            self.pending.drain(..PASTE_BEGIN.len());
            self.paste = Some(Vec::new());
            return Step::Skip;
        }
        let (length, key) = match first {
            0x1b => return self.escape(),
            b'\r' | b'\n' => (1, Some(Key::Enter)),
            b'\t' => (1, Some(Key::Tab)),
            0x7f | 0x08 => (1, Some(Key::Backspace)),
            0x01..=0x1a => (1, Some(Key::Ctrl(char::from(first - 1 + b'a')))),
            0x20..0x7f => (1, Some(Key::Char(char::from(first)))),
            _ => match character(&self.pending) {
                Some(found) => found,
                None => return Step::Wait,
            },
        };
        self.found(length, key)
    }

    fn escape(&mut self) -> Step {
        let (length, key) = match self.pending.get(1).copied() {
            None => return Step::Wait,
            Some(b'[') => {
                let end = self.pending.iter().skip(2).position(|byte| (0x40..0x7f).contains(byte));
                match end {
                    Some(end) => (end + 3, sequence(self.pending.get(2..end + 3).unwrap_or(&[]))),
                    None if self.pending.len() < SEQUENCE_MAX => return Step::Wait,
                    None => (self.pending.len(), None),
                }
            }
            Some(b'O') => match self.pending.get(2) {
                None => return Step::Wait,
                Some(last) => (3, sequence(&[*last])),
            },
            // Esc, and then another key; not Alt, which nothing is bound to.
            Some(_) => (1, Some(Key::Esc)),
        };
        self.found(length, key)
    }

    fn found(&mut self, length: usize, key: Option<Key>) -> Step {
        self.pending.drain(..length.min(self.pending.len()));
        key.map_or(Step::Skip, |key| Step::Found(Msg::Key(key)))
    }
}

enum Step {
    /// For more bytes.
    Wait,
    /// Something was taken that means nothing.
    Skip,
    Found(Msg),
}

/// What comes after `ESC [` or `ESC O` (xterm's and the console's keys).
fn sequence(body: &[u8]) -> Option<Key> {
    let (last, parameters) = body.split_last()?;
    let number = parameters.split(|byte| *byte == b';').next().unwrap_or_default();
    match (last, number) {
        (b'A', _) => Some(Key::Up),
        (b'B', _) => Some(Key::Down),
        (b'C', _) => Some(Key::Right),
        (b'D', _) => Some(Key::Left),
        (b'H', _) | (b'~', b"1" | b"7") => Some(Key::Home),
        (b'F', _) | (b'~', b"4" | b"8") => Some(Key::End),
        (b'Z', _) => Some(Key::BackTab),
        (b'M', b"") => Some(Key::Enter),
        (b'~', b"5") => Some(Key::PageUp),
        (b'~', b"6") => Some(Key::PageDown),
        _ => None,
    }
}

/// The character that begins here, and its length; `None` = it is not whole yet.
fn character(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        // `None` = more may come; else so many bytes are no character.
        Err(error) => return error.error_len().map(|length| (length, None)),
    };
    let first = text.chars().next()?;
    Some((first.len_utf8(), (!first.is_control()).then_some(Key::Char(first))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys as `{:?}`, pastes as they are.
    fn keys(pieces: &[&[u8]]) -> Vec<String> {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for piece in pieces {
            found.extend(decoder.feed(piece));
        }
        found.extend(decoder.end());
        let name =
            |msg| if let Msg::Key(key) = msg { format!("{key:?}") } else { format!("{msg:?}") };
        found.into_iter().map(name).collect()
    }

    #[test]
    fn keys_come_whole_or_in_pieces() {
        let cases: &[(&[&[u8]], &[&str])] = &[
            (&[b"j/"], &["Char('j')", "Char('/')"]),
            (&[b"\x1b[A\x1bOB\x1b[5~\x1b[1;5C"], &["Up", "Down", "PageUp", "Right"]),
            (&[b"\x1b", b"[", b"Z"], &["BackTab"]),
            (&[b"\x1b"], &["Esc"]),
            (&[b"\x1b\x1b"], &["Esc", "Esc"]),
            (&[b"\x1bj"], &["Esc", "Char('j')"]),
            (&["価".as_bytes()], &["Char('価')"]),
            (&[b"\xe4\xbe", b"\xa1x"], &["Char('価')", "Char('x')"]),
            (&[b"\xff\xc3x"], &["Char('x')"]),
            (
                &[b"\r\n\t\x7f\x03\x1a"],
                &["Enter", "Enter", "Tab", "Backspace", "Ctrl('c')", "Ctrl('z')"],
            ),
            (&[b"\x1b[99;99x\x00q"], &["Char('q')"]),
            (&[b"\x1b[200~a", b"q\x1b[20", b"1~j"], &["Paste(\"aq\")", "Char('j')"]),
        ];
        for (pieces, expected) in cases {
            assert_eq!(keys(pieces), *expected, "{pieces:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken_in(pieces in proptest::collection::vec(
            proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40), 0..8))
        {
            let mut decoder = Decoder::default();
            for piece in &pieces {
                decoder.feed(piece);
            }
            proptest::prop_assert!(decoder.pending.len() < SEQUENCE_MAX.max(PASTE_END.len()));
        }
    }
}
