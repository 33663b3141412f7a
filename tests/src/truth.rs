//! Numbered lines of test workers: what was written against what is in the log files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Compare log files with what the workers `nexus-test-worker --lines` wrote down in `dir`: each
/// worker's lines, from 1 to the last that it wrote whole, once each, in order, none torn. A line
/// may be in the log and not in the truth, when SIGKILL came between. The number of lines.
///
/// # Errors
/// The first thing that is not so.
pub fn compare(logs: &[PathBuf], dir: &Path) -> Result<u64, String> {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for log in logs {
        let bytes = fs::read(log).map_err(|error| format!("{}: {error}", log.display()))?;
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            return Err(format!("{} ends within a line", log.display()));
        }
        let text = String::from_utf8_lossy(&bytes);
        for (at, line) in text.lines().enumerate() {
            let place = || format!("{}:{}: {line:?}", log.display(), at + 1);
            let (life, number) = read(line).ok_or_else(|| format!("torn: {}", place()))?;
            let before = last.insert(life.to_owned(), number).unwrap_or(0);
            if number != before + 1 {
                return Err(format!("after {before} of {life}: {}", place()));
            }
        }
    }
    for entry in fs::read_dir(dir).map_err(|error| error.to_string())?.flatten() {
        let life = entry.file_name().to_string_lossy().into_owned();
        let bytes = fs::read(entry.path()).map_err(|error| error.to_string())?;
        let written = bytes.try_into().map_or(0, u64::from_le_bytes);
        let logged = last.get(&life).copied().unwrap_or(0);
        if logged != written && logged != written + 1 {
            return Err(format!("{life} wrote {written} lines, {logged} are logged"));
        }
    }
    Ok(last.values().sum())
}

/// Whose it is, and its number, if it is whole.
fn read(line: &str) -> Option<(&str, u64)> {
    let mut words = line.strip_prefix("L ")?.strip_suffix(" E")?.splitn(3, ' ');
    let (life, number) = (words.next()?, words.next()?.parse().ok()?);
    let padding = words.next()?;
    let whole = padding.len() as u64 == number % 191 && padding.bytes().all(|byte| byte == b'.');
    whole.then_some((life, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_or_torn_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let truth = dir.path().join("truth");
        fs::create_dir(&truth).unwrap();
        fs::write(truth.join("7.0"), 2_u64.to_le_bytes()).unwrap();
        let log = dir.path().join("log");
        for (text, right) in [
            ("L 7.0 1 . E\nL 7.0 2 .. E\n", true),
            ("L 7.0 1 . E\nL 7.0 2 .. E\nL 7.0 3 ... E\n", true),
            ("L 7.0 1 . E\n", false),
            ("L 7.0 1 . E\nL 7.0 2 .. E\nL 7.0 2 .. E\n", false),
            ("L 7.0 2 .. E\nL 7.0 1 . E\n", false),
            ("L 7.0 1 . E\nL 7.0 2 . E\n", false),
            ("L 7.0 1 . E\nL 7.0 2 .. E", false),
            // Another one, which had the same pid.
            ("L 7.0 1 . E\nL 7.0 2 .. E\nL 7.1 1 . E\n", true),
        ] {
            fs::write(&log, text).unwrap();
            assert_eq!(compare(std::slice::from_ref(&log), &truth).is_ok(), right, "{text:?}");
        }
    }
}
