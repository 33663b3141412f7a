//! Lines that a new worker of a reload must not write: what it writes is heard on the way to its
//! log, so that nobody else's lines are among them.

use std::sync::atomic::{AtomicBool, Ordering};

use nexus_core::{Breach, ChildId, Limit};
use nexus_log::{Hear, printable};
use nexus_spec::{Name, Span};
use regex_lite::Regex;
use tokio::sync::mpsc;

use super::{Found, Probes, Task, Tools};

/// Pieces, of 64 KiB at most, that wait to be looked at. What comes while so many wait is not looked
/// at: who writes faster than a pattern is matched is not slowed down.
const PIECES_MAX: usize = 32;
/// So much of a line is looked at.
const LINE_MAX: usize = 16 * 1024;
/// So much of the line that matched is told, in bytes.
const TOLD_MAX: usize = 256;

/// Those who listen to one child.
pub(super) struct Listening {
    app: Name,
    _tasks: Vec<Task>,
}

/// A piece of a stream; `torn` = what came before it was left out.
struct Piece {
    bytes: Vec<u8>,
    torn: bool,
}

impl Probes {
    /// Look for a pattern in all that a child writes; what hears its two streams.
    pub(crate) fn listen(&mut self, app: &Name, child: ChildId, pattern: &Regex) -> [Hear; 2] {
        let mut tasks = Vec::new();
        let ears = [(); 2].map(|()| {
            let (tell, pieces) = mpsc::channel(PIECES_MAX);
            let task = listen(self.tools.clone(), child, pattern.clone(), pieces);
            tasks.push(Task(tokio::spawn(task).abort_handle()));
            ear(tell)
        });
        self.ears.insert(child.0, Listening { app: app.clone(), _tasks: tasks });
        ears
    }

    /// A reload is over: nobody listens to its workers any more.
    pub(crate) fn unlisten(&mut self, app: &Name) {
        self.ears.retain(|_, listening| listening.app != *app);
    }
}

/// Hears until nobody listens.
fn ear(tell: mpsc::Sender<Piece>) -> Hear {
    let lost = AtomicBool::new(false);
    Box::new(move |bytes| {
        let piece = Piece { bytes: bytes.to_vec(), torn: lost.load(Ordering::Relaxed) };
        match tell.try_send(piece) {
            Ok(()) => lost.store(false, Ordering::Relaxed),
            Err(mpsc::error::TrySendError::Full(_)) => lost.store(true, Ordering::Relaxed),
            Err(mpsc::error::TrySendError::Closed(_)) => return false,
        }
        true
    })
}

async fn listen(tools: Tools, child: ChildId, pattern: Regex, mut pieces: mpsc::Receiver<Piece>) {
    let mut text = Text::default();
    while let Some(piece) = pieces.recv().await {
        let pattern = pattern.clone();
        // A pattern may take long: not on this thread.
        let look = tokio::task::spawn_blocking(move || {
            let found = text.take(&piece, &pattern);
            (text, found)
        });
        let found;
        (text, found) = match look.await {
            Ok(looked) => looked,
            Err(_) => return,
        };
        if let Some(line) = found {
            let (limit, lasted) = (Limit::Log, Span(0));
            let breach = Breach { limit, measured: 1, allowed: 0, lasted };
            return tools.tell(Found::Ill(child, breach, format!("it wrote: {line}"))).await;
        }
    }
}

/// The line that has not ended yet.
#[derive(Default)]
struct Text {
    line: Vec<u8>,
}

impl Text {
    /// The first whole line that matches, fit to be told.
    fn take(&mut self, piece: &Piece, pattern: &Regex) -> Option<String> {
        if piece.torn {
            self.line.clear();
        }
        let mut rest = piece.bytes.as_slice();
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.add(&rest[..end]);
            rest = &rest[end + 1..];
            let matches = pattern.is_match(&String::from_utf8_lossy(&self.line));
            if matches {
                let told = &self.line[..self.line.len().min(TOLD_MAX)];
                return Some(printable(told, false));
            }
            self.line.clear();
        }
        self.add(rest);
        None
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = LINE_MAX - self.line.len().min(LINE_MAX);
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_across_pieces_but_not_across_a_gap() {
        let pattern = Regex::new("^pan+ic").unwrap();
        let mut text = Text::default();
        let mut take =
            |bytes: &str, torn| text.take(&Piece { bytes: bytes.into(), torn }, &pattern);
        assert_eq!(take("all is well\npan", false), None);
        assert_eq!(take("nic", false), None);
        assert!(!take(": \u{1b}[2J\nmore", false).unwrap().contains('\u{1b}'));
        assert_eq!(take("pan", false), None);
        assert_eq!(take("ic\n", true), None);
        assert_eq!(take(&"x".repeat(LINE_MAX), false), None);
        assert_eq!(take("panic\npanic\n", false), Some("panic".into()));
    }
}
