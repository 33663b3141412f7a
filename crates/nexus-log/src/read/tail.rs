//! The last lines of one file, for an error message.

use std::io;
use std::path::Path;

use super::chain::Chain;
use super::shelf::Shelves;
use crate::bytes::ReadAt;

/// The last `n` lines of a log, first one first, looking at its last `max_bytes` bytes only: a line
/// that begins before them is cut at its beginning. Lines are as the worker wrote them: pass them
/// through [`crate::printable`]. A file that does not exist has none.
///
/// # Errors
/// The file exists and cannot be read.
pub fn tail_lines(path: &Path, n: usize, max_bytes: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut shelves = Shelves::default();
    let Some(Chain { bytes: file, .. }) = Chain::open(path, None, 1, &mut shelves)? else {
        return Ok(Vec::new());
    };
    let size = file.len();
    let begin = size.saturating_sub(max_bytes as u64);
    let mut bytes = vec![0; usize::try_from(size - begin).unwrap_or(max_bytes)];
    let len = file.fill_at(&mut bytes, begin)?;
    bytes.truncate(len);
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines: Vec<Vec<u8>> =
        bytes.rsplit(|byte| *byte == b'\n').take(n).map(<[u8]>::to_vec).collect();
    lines.reverse();
    Ok(lines)
}
