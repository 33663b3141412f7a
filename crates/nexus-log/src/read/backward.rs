//! From the end of a file towards its beginning: where lines begin.

use std::io;

use crate::bytes::ReadAt;

/// Bytes that the first read brings, and the most that one brings: the last lines of thousands of
/// files are short, and those of one file may be long.
const BLOCK_MIN: u64 = 4 * 1024;
const BLOCK_MAX: u64 = 64 * 1024;

/// Gives the offsets where lines begin, last first. Holds one block, whatever the lines are like.
pub(crate) struct Backward<'a, F> {
    file: &'a F,
    floor: u64,
    /// All lines that begin here or later have been given.
    edge: u64,
    block: Vec<u8>,
    block_at: u64,
    size: u64,
}

impl<'a, F: ReadAt> Backward<'a, F> {
    /// Lines that begin in `floor..limit`; a line begins at `floor`.
    pub(crate) fn new(file: &'a F, floor: u64, limit: u64) -> Backward<'a, F> {
        Backward { file, floor, edge: limit, block: Vec::new(), block_at: limit, size: BLOCK_MIN }
    }

    /// The beginning of the line before the last one given.
    pub(crate) fn next_start(&mut self) -> io::Result<Option<u64>> {
        if self.edge <= self.floor {
            return Ok(None);
        }
        // The byte before the edge is the end of the line that we look for (or no newline at all).
        let start = self.newline_before(self.edge - 1)?.map_or(self.floor, |at| at + 1);
        self.edge = start;
        Ok(Some(start))
    }

    /// The last newline in `floor..before`.
    pub(crate) fn newline_before(&mut self, before: u64) -> io::Result<Option<u64>> {
        let mut before = before;
        while before > self.floor {
            if before <= self.block_at || before > self.block_at + self.block.len() as u64 {
                self.load(before)?;
            }
            let in_block = usize::try_from(before - self.block_at).unwrap_or(usize::MAX);
            let bytes = &self.block[..in_block.min(self.block.len())];
            if let Some(at) = bytes.iter().rposition(|byte| *byte == b'\n') {
                return Ok(Some(self.block_at + at as u64));
            }
            before = self.block_at;
        }
        Ok(None)
    }

    /// Read the block that ends at `end`. A file that has become shorter reads as no newlines.
    fn load(&mut self, end: u64) -> io::Result<()> {
        self.block_at = end.saturating_sub(self.size).max(self.floor);
        self.size = BLOCK_MAX.min(self.size * 2);
        self.block.clear();
        self.block.resize(usize::try_from(end - self.block_at).unwrap_or(usize::MAX), 0);
        let len = self.file.fill_at(&mut self.block, self.block_at)?;
        self.block.truncate(len);
        Ok(())
    }
}
