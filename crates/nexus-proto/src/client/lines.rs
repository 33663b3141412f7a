//! A stream of JSON lines.

use std::collections::VecDeque;

use super::http::Response;
use super::{Failure, LINE_MAX};

/// JSON lines as they come.
pub struct Lines {
    response: Response,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    ready: VecDeque<Vec<u8>>,
    ended: bool,
}

impl Iterator for Lines {
    type Item = Result<Vec<u8>, Failure>;

    /// Waits for the next line; `None` = the daemon ended the stream. Empty lines (signs of life)
    /// are skipped.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            if self.ended {
                return None;
            }
            match self.response.more(&mut self.partial) {
                Ok(true) => self.split(),
                Ok(false) => self.ended = true,
                Err(failure) => {
                    self.ended = true;
                    return Some(Err(failure));
                }
            }
            if self.partial.len() > LINE_MAX {
                self.ended = true;
                return Some(Err(Failure::protocol("a line of the stream is too long")));
            }
        }
    }
}

impl Lines {
    pub(super) fn new(response: Response) -> Lines {
        Lines { response, partial: Vec::new(), ready: VecDeque::new(), ended: false }
    }

    fn split(&mut self) {
        let Some(last) = self.partial.iter().rposition(|&byte| byte == b'\n') else { return };
        let rest = self.partial.split_off(last + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        let lines = whole.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        self.ready.extend(lines.map(<[u8]>::to_vec));
    }
}
