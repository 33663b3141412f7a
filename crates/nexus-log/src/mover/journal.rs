//! A line's journal: where bytes are between the pipe and the file when something is done to them.
//!
//! A memory file that both of the pair hold. Bytes come into it by splice, so its length alone says
//! what was taken out of the pipe. What is about to be written is recorded before: which bytes, at
//! which time they are said to have come, and where in the file they go. A kill at any instant
//! leaves a record by which the same bytes are written again to the same place.
//!
//! The first page holds the record, in two slots by turns, each with a checksum: a torn one is as
//! if it had not been written. What has been written to the file is given back to the kernel.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{FallocateFlags, SpliceFFlags, fallocate, splice};
use nix::sys::stat::fstat;
use nix::unistd::{Whence, ftruncate, lseek};

use crate::dress::Progress;

/// Where the bytes begin, and the slots of the record.
const DATA: u64 = 4096;
const SLOTS: [u64; 2] = [0, 2048];
/// The record's version: another one's is not read.
const MAGIC: u64 = u64::from_le_bytes(*b"NEXUSLJ1");
/// Numbers of a record, and the checksum behind them.
const FIELDS: usize = 15;
const RECORD: usize = (FIELDS + 1) * 8;

/// What is known of the way of the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The journal's to count.
    pub(super) generation: u64,
    /// All before this is in the file, or left out.
    pub(super) done: u64,
    /// What is being written reaches to here.
    pub(super) upto: u64,
    /// Something is being written; perhaps a mark alone.
    pub(super) pending: bool,
    /// When it came.
    pub(super) time_ns: u64,
    /// Where in the file it goes, and which file that is.
    pub(super) offset: u64,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// How far the dressing was before it.
    pub(super) progress: Progress,
}

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    pub(super) record: Record,
    /// What was given back to the kernel reaches to here.
    given_back: u64,
}

impl Journal {
    /// Take over a journal, or begin one in an empty memory file.
    pub(super) fn open(fd: OwnedFd) -> io::Result<Journal> {
        let file = File::from(fd);
        if file.metadata()?.len() < DATA {
            ftruncate(&file, i64::try_from(DATA).unwrap_or(0))?;
        }
        // Whoever held it may have been killed before its offset was moved.
        lseek(&file, 0, Whence::SeekEnd)?;
        let read = SLOTS.iter().filter_map(|slot| {
            let mut bytes = [0; RECORD];
            file.read_exact_at(&mut bytes, *slot).ok()?;
            Record::parse(&bytes)
        });
        let begun = Record { done: DATA, upto: DATA, ..Record::default() };
        let record = read.max_by_key(|record| record.generation).unwrap_or(begun);
        let given_back = record.done - record.done % DATA;
        Ok(Journal { file, record, given_back })
    }

    /// Bytes that were taken and are not done.
    pub(super) fn waiting(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().saturating_sub(self.record.done))
    }

    /// Take bytes out of a pipe. 0 = nobody writes any more.
    pub(super) fn take(&self, pipe: impl AsFd, len: usize) -> nix::Result<usize> {
        splice(pipe, None, &self.file, None, len, SpliceFFlags::SPLICE_F_NONBLOCK)
    }

    /// Some of the bytes that are not done.
    pub(super) fn bytes(&self, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, self.record.done)?;
        Ok(bytes)
    }

    /// Write the record down.
    pub(super) fn note(&mut self, record: Record) -> io::Result<()> {
        let generation = self.record.generation + 1;
        let record = Record { generation, ..record };
        let slot = SLOTS[usize::from(generation % 2 == 1)];
        self.file.write_all_at(&record.to_bytes(), slot)?;
        self.record = record;
        Ok(())
    }

    /// Give the kernel back what is done, a page at least.
    pub(super) fn give_back(&mut self) {
        let whole = self.record.done - self.record.done % DATA;
        let from = self.given_back.max(DATA);
        if whole > from {
            let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
            // A kernel that refuses keeps the memory; nothing else is wrong.
            let _ = fallocate(&self.file, flags, signed(from), signed(whole - from));
            self.given_back = whole;
        }
    }

    /// Whether a file is the one that the record speaks of.
    pub(super) fn is_of(&self, file: impl AsFd) -> bool {
        let ours = (self.record.device, self.record.inode);
        fstat(file).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == ours)
    }
}

impl Record {
    fn to_bytes(self) -> [u8; RECORD] {
        let progress = self.progress;
        let flags = u64::from(self.pending)
            | u64::from(progress.mid_line) << 1
            | u64::from(progress.skipping) << 2;
        let fields: [u64; FIELDS] = [
            MAGIC,
            self.generation,
            self.done,
            self.upto,
            flags,
            self.time_ns,
            self.offset,
            self.device,
            self.inode,
            progress.second_ns,
            progress.lines,
            progress.skipped,
            progress.dropped,
            0,
            0,
        ];
        let mut bytes = [0; RECORD];
        let sum = checksum(&fields);
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields.into_iter().chain([sum])) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8; RECORD]) -> Option<Record> {
        let mut fields = [0; FIELDS + 1];
        for (field, place) in fields.iter_mut().zip(bytes.chunks_exact(8)) {
            *field = u64::from_le_bytes(place.try_into().ok()?);
        }
        let (fields, sum) = fields.split_at(FIELDS);
        if fields[0] != MAGIC || sum[0] != checksum(fields) {
            return None;
        }
        let flag = |bit: u64| fields[4] >> bit & 1 == 1;
        Some(Record {
            generation: fields[1],
            done: fields[2],
            upto: fields[3],
            pending: flag(0),
            time_ns: fields[5],
            offset: fields[6],
            device: fields[7],
            inode: fields[8],
            progress: Progress {
                mid_line: flag(1),
                skipping: flag(2),
                second_ns: fields[9],
                lines: fields[10],
                skipped: fields[11],
                dropped: fields[12],
            },
        })
    }
}

/// FNV-1a, by words.
fn checksum(fields: &[u64]) -> u64 {
    let mix = |sum: u64, field: &u64| (sum ^ field).wrapping_mul(0x0000_0100_0000_01b3);
    fields.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        (dir, file)
    }

    #[test]
    fn a_torn_record_is_as_if_it_had_not_been_written() {
        let (_dir, file) = journal();
        let open = || Journal::open(file.try_clone().unwrap().into()).unwrap();
        let mut one = open();
        assert_eq!((one.record.done, one.waiting().unwrap()), (DATA, 0));
        let progress = Progress { mid_line: true, dropped: 7, ..Progress::default() };
        let record = Record { pending: true, offset: 99, progress, ..one.record };
        one.note(record).unwrap();
        let first = one.record;
        assert_eq!(open().record, first);
        one.note(Record { pending: false, ..first }).unwrap();
        assert_eq!(open().record, one.record);
        // Torn: the second slot, written last.
        file.write_all_at(&[0xff], SLOTS[0] + 50).unwrap();
        assert_eq!(open().record, first);
    }

    #[test]
    fn what_is_done_is_given_back_and_the_rest_stays() {
        let (_dir, file) = journal();
        let mut journal = Journal::open(file.try_clone().unwrap().into()).unwrap();
        let (pipe, writer) = nix::unistd::pipe().unwrap();
        io::Write::write_all(&mut File::from(writer), &[b'x'; 20_000]).unwrap();
        assert_eq!(journal.take(&pipe, 1 << 20).unwrap(), 20_000);
        let done = journal.record.done + 15_000;
        journal.note(Record { done, upto: done, ..journal.record }).unwrap();
        journal.give_back();
        assert_eq!(journal.bytes(5_000).unwrap(), [b'x'; 5_000]);
        assert_eq!(journal.waiting().unwrap(), 5_000);
        assert_eq!(Journal::open(file.into()).unwrap().record, journal.record);
    }
}
