//! Reading the files from their end: what is asked for is mostly what came last.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::{numbers, open_known, path_of};

/// So much is read at a time, or as much as the longest line.
const CHUNK: u64 = 256 << 10;

/// Give all entries of a stem to `take`, the newest first, until it wants no more. Lines that are none
/// of ours are left out, and files of another format. Blocks; keeps a chunk, and the longest line.
///
/// # Errors
/// When the folder or a file cannot be read.
pub(crate) fn newest_first<T: DeserializeOwned>(
    folder: &Path,
    stem: &str,
    mut take: impl FnMut(T) -> ControlFlow<()>,
) -> io::Result<()> {
    for number in numbers(folder, stem)?.into_iter().rev() {
        let (file, _, first) = match open_known(&path_of(folder, stem, number)) {
            // It was the oldest, and has made room for a new one meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) if error.raw_os_error().is_some() => return Err(error),
            Err(_unknown) => continue,
            Ok(known) => known,
        };
        let ended = backwards(&file, first, |line| {
            serde_json::from_slice(line).map_or(ControlFlow::Continue(()), &mut take)
        })?;
        if ended.is_break() {
            break;
        }
    }
    Ok(())
}

/// The whole lines of a file from its byte `first` on, the last one first.
fn backwards(
    file: &File,
    first: u64,
    mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut end = file.metadata()?.len();
    // The end of a line whose beginning is still to be read. A torn last line is none.
    let mut rest: Option<Vec<u8>> = None;
    while end > first {
        let begin = end.saturating_sub(CHUNK).max(first);
        let mut text = vec![0; (end - begin) as usize];
        file.read_exact_at(&mut text, begin)?;
        end = begin;
        let mut lines = text.rsplit(|&byte| byte == b'\n');
        // What is behind the last line break goes on in what was read before.
        let tail = lines.next().unwrap_or_default();
        let Some(head) = lines.next_back() else {
            rest = rest.map(|rest| [tail, &rest].concat());
            continue;
        };
        if let Some(rest) = rest.take()
            && take(&[tail, &rest].concat()).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        for line in lines {
            if take(line).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        rest = Some(head.to_vec());
    }
    Ok(rest.map_or(ControlFlow::Continue(()), |rest| take(&rest)))
}

#[cfg(test)]
mod tests {
    use super::super::Lines;
    use super::*;

    #[test]
    fn all_are_given_newest_first_until_enough() {
        let folder = tempfile::tempdir().unwrap();
        let (mut lines, _) = Lines::open::<String>(folder.path(), "test").unwrap();
        // Of many lengths, some longer than a chunk; in two files; the last one torn.
        let long = usize::try_from(CHUNK).unwrap();
        let texts: Vec<String> = (0..2_000)
            .map(|n| {
                format!("{n} {}", "x".repeat(if n % 700 == 5 { long + n } else { n * 7 % 999 }))
            })
            .collect();
        for (number, text) in texts.iter().enumerate() {
            if number == 1_234 {
                lines.rewrite(std::iter::empty::<String>()).unwrap();
            }
            lines.append(text).unwrap();
        }
        let torn = std::fs::read(lines.path()).unwrap();
        std::fs::write(lines.path(), [torn.as_slice(), b"\"torn"].concat()).unwrap();
        let read = |most: usize| {
            let mut all = Vec::new();
            let enough = |text: String| {
                all.push(text);
                if all.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            newest_first(folder.path(), "test", enough).unwrap();
            all.reverse();
            all
        };
        assert!(read(usize::MAX) == texts);
        for most in [1, 3, 699, 1_999] {
            assert!(read(most) == texts[2_000 - most..], "{most}");
        }
    }
}
