//! A disk that forgets in a power cut what it was not told to flush: QEMU's `blklogwrites` writes down
//! in which order it was written to and flushed. What is in the log before the last flush is done to
//! the disk as it was before, and of what is after it any part, as a disk does that writes in an order
//! of its own.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The log's layout is that of the kernel's `dm-log-writes`
/// (Documentation/admin-guide/device-mapper/log-writes.rst): a first sector, then for each call a
/// sector that describes it and, if it wrote, what it wrote.
const MAGIC: u64 = 0x006a_7366_7773_6872;
/// `blklogwrites` counts in these, if nothing else is asked for.
const SECTOR: usize = 512;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// What became of the writes to a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Those before the last flush, and those after it that had reached the disk by chance.
    pub(super) kept: u64,
    /// The others.
    pub(super) lost: u64,
}

/// One call of the log.
struct Entry {
    /// The first sector of the disk.
    sector: u64,
    sectors: u64,
    flags: u64,
    /// Where in the log its data is.
    data: u64,
}

impl Entry {
    fn writes(&self) -> bool {
        self.flags & DISCARD == 0 && self.sectors > 0
    }
}

/// Do to the disk what the log has before its last flush, and after it what `chance` says.
pub(super) fn keep_flushed(
    log: &Path,
    disk: &Path,
    mut chance: impl FnMut() -> bool,
) -> Result<Cut, String> {
    let file = File::open(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let target = OpenOptions::new().write(true).open(disk);
    let target = target.map_err(|error| format!("{}: {error}", disk.display()))?;
    let entries = entries(&file).map_err(|why| format!("{}: {why}", log.display()))?;
    let flushed = entries.iter().rposition(|entry| entry.flags & FLUSH != 0);
    let flushed = flushed.map_or(0, |last| last + 1);
    let mut cut = Cut::default();
    for (number, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.writes()) {
        if number >= flushed && !chance() {
            cut.lost += 1;
            continue;
        }
        let mut bytes = vec![0; entry.sectors as usize * SECTOR];
        file.read_exact_at(&mut bytes, entry.data)
            .and_then(|()| target.write_all_at(&bytes, entry.sector * SECTOR as u64))
            .map_err(|error| format!("{}: {error}", disk.display()))?;
        cut.kept += 1;
    }
    Ok(cut)
}

/// All that are whole: QEMU was killed, and the number in the first sector is that of the last flush.
fn entries(log: &File) -> Result<Vec<Entry>, String> {
    let mut first = [0; SECTOR];
    (&*log).read_exact(&mut first).map_err(|error| error.to_string())?;
    let number = |bytes: &[u8], at: usize| {
        bytes[at..at + 8].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    if number(&first, 0) != MAGIC {
        return Err("it is no log of writes".into());
    }
    let length = log.metadata().map_err(|error| error.to_string())?.len();
    let mut entries = Vec::new();
    let mut at = SECTOR as u64;
    loop {
        let mut head = [0; SECTOR];
        match log.read_exact_at(&mut head, at) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(entries),
            Err(error) => return Err(error.to_string()),
        }
        let data = at + SECTOR as u64;
        let entry = Entry {
            sector: number(&head, 0),
            sectors: number(&head, 8),
            flags: number(&head, 16),
            data,
        };
        at = data + if entry.writes() { entry.sectors * SECTOR as u64 } else { 0 };
        // A head that was not written yet, or data that was not.
        if entry.sectors == 0 && entry.flags == 0 || at > length {
            return Ok(entries);
        }
        entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code: a panic is its report")]

    use super::*;

    fn head(numbers: [u64; 3]) -> Vec<u8> {
        let mut sector: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        sector.resize(SECTOR, 0);
        sector
    }

    #[test]
    fn what_was_not_flushed_is_lost_and_so_is_half_an_entry() {
        let folder = std::env::temp_dir().join(format!("lossy-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (log, disk) = (folder.join("log"), folder.join("disk"));
        let write = |sector, byte| [head([sector, 1, 0]), vec![byte; SECTOR]].concat();
        let mut bytes = head([MAGIC, 1, 4]);
        bytes.extend(write(1, b'a'));
        bytes.extend(head([0, 0, FLUSH]));
        bytes.extend(write(0, b'b'));
        bytes.extend(head([0, 2, DISCARD]));
        bytes.extend(&write(1, b'c')[..SECTOR + 9]);
        std::fs::write(&log, &bytes).unwrap();
        std::fs::write(&disk, vec![b'.'; 2 * SECTOR]).unwrap();
        assert_eq!(keep_flushed(&log, &disk, || false), Ok(Cut { kept: 1, lost: 1 }));
        let now = std::fs::read(&disk).unwrap();
        assert_eq!(now, [vec![b'.'; SECTOR], vec![b'a'; SECTOR]].concat());
        assert_eq!(keep_flushed(&log, &disk, || true), Ok(Cut { kept: 2, lost: 0 }));
        let now = std::fs::read(&disk).unwrap();
        assert_eq!(now, [vec![b'b'; SECTOR], vec![b'a'; SECTOR]].concat());
        std::fs::write(&log, vec![0; SECTOR]).unwrap();
        assert!(keep_flushed(&log, &disk, || true).unwrap_err().contains("no log of writes"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
