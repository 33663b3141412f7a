//! From an offset onwards: lines cut out of a file that may still grow.

use std::io;

use memchr::memchr;

use super::LINE_MAX;
use crate::bytes::ReadAt;

/// Bytes that one read brings. Thousands of files may be read side by side.
const BLOCK: usize = 16 * 1024;

/// A line, without its newline.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) complete: bool,
    pub(crate) truncated: bool,
}

/// A reader that remembers the line it is in: at most a block and [`LINE_MAX`] bytes.
pub(crate) struct Lines {
    block: Vec<u8>,
    /// The unread part of the block begins here.
    at: usize,
    /// Where the next read begins.
    next: u64,
    line: Vec<u8>,
    line_offset: u64,
    line_len: u64,
}

impl Lines {
    pub(crate) fn starting_at(offset: u64) -> Lines {
        Lines {
            block: Vec::new(),
            at: 0,
            next: offset,
            line: Vec::new(),
            line_offset: offset,
            line_len: 0,
        }
    }

    /// Where the line begins that comes next.
    pub(crate) fn line_offset(&self) -> u64 {
        self.line_offset
    }

    /// How far the file has been looked at.
    pub(crate) fn seen(&self) -> u64 {
        self.line_offset + self.line_len
    }

    /// Whether the beginning of a line is held.
    pub(crate) fn has_partial(&self) -> bool {
        self.line_len > 0
    }

    /// The next line that has its end before `stop`. None = there is none now.
    pub(crate) fn next_line(&mut self, file: &impl ReadAt, stop: u64) -> io::Result<Option<Cut>> {
        loop {
            let unread = &self.block[self.at..];
            if let Some(len) = memchr(b'\n', unread) {
                self.keep(len);
                self.at += 1;
                return Ok(Some(self.cut(true)));
            }
            self.keep(unread.len());
            if !self.fill(file, stop)? {
                return Ok(None);
            }
        }
    }

    /// What is there of a line without its end.
    pub(crate) fn take_partial(&mut self) -> Option<Cut> {
        self.has_partial().then(|| self.cut(false))
    }

    fn keep(&mut self, len: usize) {
        let room = LINE_MAX - self.line.len();
        self.line.extend_from_slice(&self.block[self.at..self.at + len.min(room)]);
        self.line_len += len as u64;
        self.at += len;
    }

    fn cut(&mut self, complete: bool) -> Cut {
        let offset = self.line_offset;
        let truncated = self.line_len > self.line.len() as u64;
        self.line_offset += self.line_len + u64::from(complete);
        self.line_len = 0;
        Cut { offset, bytes: std::mem::take(&mut self.line), complete, truncated }
    }

    /// Read the next block; false = nothing more before `stop`.
    fn fill(&mut self, file: &impl ReadAt, stop: u64) -> io::Result<bool> {
        let want = usize::try_from(stop.saturating_sub(self.next)).unwrap_or(BLOCK).min(BLOCK);
        self.block.resize(want, 0);
        self.at = 0;
        let got = loop {
            match file.some_at(&mut self.block, self.next) {
                Ok(n) => break n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.block.clear();
                    return Err(error);
                }
            }
        };
        if got == 0 {
            // It may be long until there is more.
            self.block = Vec::new();
        }
        self.block.truncate(got);
        self.next += got as u64;
        Ok(got > 0)
    }
}
