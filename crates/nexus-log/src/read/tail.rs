//! The last lines of one file, for an error message.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::part::Open;

/// The last `n` lines of a log, first one first, looking at its last `max_bytes` bytes only: a line
/// that begins before them is cut at its beginning. Lines are as the worker wrote them: pass them
/// through [`crate::printable`]. A file that does not exist has none.
///
/// # Errors
/// The file exists and cannot be read.
pub fn tail_lines(path: &Path, n: usize, max_bytes: usize) -> io::Result<Vec<Vec<u8>>> {
    let Some(Open { file, .. }) = Open::log(path)? else { return Ok(Vec::new()) };
    let size = file.metadata()?.len();
    let begin = size.saturating_sub(max_bytes as u64);
    let mut bytes = vec![0; usize::try_from(size - begin).unwrap_or(max_bytes)];
    let mut len = 0;
    while len < bytes.len() {
        match file.read_at(&mut bytes[len..], begin + len as u64) {
            Ok(0) => break,
            Ok(got) => len += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
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
