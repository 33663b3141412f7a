//! Writing to stdout and stderr: the result to one, all else to the other.

use std::borrow::Cow;
use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::exit::Exit;
use crate::failure::Failure;

/// Write the result. A reader that has gone ends us quietly.
///
/// # Errors
/// [`Exit::ClosedPipe`] without a word when the reader has gone; what the kernel says otherwise
/// (a full disk must not look like success).
pub(crate) fn result(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// As [`result`], what need not be text.
///
/// # Errors
/// As [`result`].
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::silent(Exit::ClosedPipe)
        } else {
            Failure::new(Exit::Failed, "cannot write the result").cause(error.to_string())
        }
    })
}

/// From now on, end quietly as soon as the reader of stdout has gone: a stream that waits for its
/// next line would not notice.
pub(crate) fn leave_with_reader() {
    std::thread::spawn(|| {
        let out = io::stdout();
        // No events are asked for: only the end of the other side is told.
        let mut fds = [PollFd::new(out.as_fd(), PollFlags::empty())];
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => std::process::exit(i32::from(Exit::ClosedPipe.code())),
                Err(_) => return,
            }
        }
    });
}

/// One line beside the result. If nobody reads it, it is lost: it is not the result.
pub(crate) fn note(text: &str) {
    let mut line = text.to_owned();
    line.push('\n');
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// A document as one line or, for people, indented.
///
/// # Errors
/// As [`result`].
pub(crate) fn json<T: serde::Serialize>(value: &T, indented: bool) -> Result<(), Failure> {
    let text =
        if indented { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    match text {
        Ok(text) => result(&format!("{}\n", spelled_out(&text))),
        Err(error) => {
            Err(Failure::new(Exit::Internal, "cannot write JSON").cause(error.to_string()))
        }
    }
}

/// JSON leaves some characters as they are that a terminal obeys, or that turn round what is read:
/// they can only stand in strings, and are spelled out there.
pub(crate) fn spelled_out(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(obeyed) {
        return text.into();
    }
    let spell = |c: char| if obeyed(c) { format!("\\u{:04x}", u32::from(c)) } else { c.into() };
    text.chars().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_spelled_out_and_stays_the_same_text() {
        let text = "a\u{9b}31m\u{202e}b\u{7f}é";
        let json = serde_json::to_string(text).unwrap();
        let spelled = spelled_out(&json);
        assert_eq!(spelled, "\"a\\u009b31m\\u202eb\\u007fé\"");
        assert_eq!(serde_json::from_str::<String>(&spelled).unwrap(), text);
    }
}
