//! What fuzzing reaches of this crate, and what it has found, kept as a test.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::{Level, LogFile, Query, Stream, index_path, printable};

/// A log, its index and a rotated file with any bytes in them, read back; `folder` is ours alone.
/// The first two bytes say how long the index is.
pub fn lines(bytes: &[u8], folder: &Path) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let at = usize::from(u16::from_le_bytes(*length)) % (rest.len() + 1);
    let (index, log) = rest.split_at(at);
    for colours in [true, false] {
        let shown = printable(log, colours);
        let harmless = |c: char| !c.is_control() || c == '\t' || colours && c == '\u{1b}';
        assert!(shown.chars().all(harmless), "{shown:?}");
    }
    let _level = Level::of(log);
    let path = folder.join("app-out.log");
    let packed = folder.join("app-out.log.20260101T000000.000Z.gz");
    let written = std::fs::write(&path, log)
        .and_then(|()| std::fs::write(index_path(&path), index))
        .and_then(|()| std::fs::write(packed, index));
    if written.is_err() {
        return;
    }
    let file = LogFile { path, label: "app".into(), stream: Stream::Out };
    let all = Query { files: vec![file], ..Query::default() };
    let whole = log.iter().filter(|byte| **byte == b'\n').count();
    for (last, since) in
        [(None, None), (Some(3), None), (None, Some(1_000_000)), (Some(2), Some(0))]
    {
        let since = since.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let query = Query { last, since, ..all.clone() };
        let Ok(reader) = query.read() else { continue };
        let records: Vec<_> = reader.collect();
        assert!(last.is_none_or(|last| records.len() <= last), "more than was asked for");
        if last.is_none() && since.is_none() && index.is_empty() {
            assert!(records.len() >= whole, "{} records of {whole} lines", records.len());
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_found_in_logs_stays_mended() {
        let folder = tempfile::tempdir().unwrap();
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/lines");
        for entry in std::fs::read_dir(seeds).unwrap() {
            super::lines(&std::fs::read(entry.unwrap().path()).unwrap(), folder.path());
        }
    }
}
