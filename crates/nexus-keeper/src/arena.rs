//! What must be known of every child, in shared memory that both of the pair hold.
//!
//! One writer (whoever is the keeper), except for the three bytes in which a child says how far it
//! came. A record has a part that is written once, before the child exists, and a part that
//! changes: that one has two places, each with a generation and a checksum, so that a write torn
//! by a SIGKILL is the older record, never nonsense. Facts are written here before they are told
//! or reaped.
//!
//! Untouched pages cost nothing: an arena for [`CHILDREN_MAX`] children is as small as its use.

mod changing;
#[cfg(test)]
mod tests;
mod upgrading;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::memfd::{MFdFlags, memfd_create};

pub(crate) use changing::{Changing, Phase};
pub(crate) use upgrading::{step_from, step_to};

use crate::codec::{stage_from_byte, stage_to_byte};
use crate::sys::files;
use crate::sys::map::Map;
use crate::wire::{CARRIED_ENV_MAX, CHILDREN_MAX, CODES_MAX, NOTE_MAX, Stage, TAG_MAX};

const MAGIC: u64 = u64::from_le_bytes(*b"NXARENA1");
const HEADER: usize = 4096;
const STRIDE: usize = 2048;
const LEN: usize = HEADER + CHILDREN_MAX * STRIDE;

// The header's words.
const AT_MAGIC: usize = 0;
const AT_STRIDE: usize = 8;
const AT_USED: usize = 16;
const AT_LAST_CHILD: usize = 24;
const AT_PAIR_STARTED: usize = 32;
const AT_NEXUSD_RESTARTS: usize = 40;
const AT_KEEPER_RESTARTS: usize = 48;
const AT_STOPPING: usize = 56;

// A record's parts.
const AT_CHANGING: [usize; 2] = [0, 96];
const CHANGING_LEN: usize = 80;
const AT_PASSED: usize = 192;
const AT_FAILED_STAGE: usize = 193;
const AT_FAILED_ERRNO: usize = 200;
const AT_FIXED: usize = 208;
const FIXED_LEN: usize = 64 + 8 + CODES_MAX + CARRIED_ENV_MAX + TAG_MAX;
const AT_STDIN: usize = AT_FIXED + 64;
const AT_CODES: usize = AT_FIXED + 72;
const AT_ENV: usize = AT_CODES + CODES_MAX;
const AT_TAG: usize = AT_ENV + CARRIED_ENV_MAX;
const AT_NOTES: [usize; 2] = [1024, 1024 + NOTE_MAX];
const _: () = assert!(AT_FIXED + FIXED_LEN <= AT_NOTES[0]);
const _: () = assert!(AT_NOTES[1] + NOTE_MAX <= STRIDE);

/// The part of a record that is written once: its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) template: u64,
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
    /// `OnExit::next` plus one; 0 = none.
    pub(crate) next: u64,
    pub(crate) delay_ms: u64,
    /// The predecessor plus one; 0 = none.
    pub(crate) respawn_of: u64,
    /// The name of its own cgroup plus one; 0 = it has none.
    pub(crate) cgroup: u64,
    /// The held read end of its stdin plus one; 0 = /dev/null.
    pub(crate) stdin: u64,
}

/// Figures of the pair that outlive both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// When the pair was founded, in milliseconds of `CLOCK_BOOTTIME`.
    pub pair_started_ms: u64,
    /// How many times a nexusd was replaced.
    pub nexusd_restarts: u64,
    /// How many times a keeper was replaced.
    pub keeper_restarts: u64,
}

/// The shared memory.
pub(crate) struct Arena {
    fd: OwnedFd,
    map: Map,
}

impl Arena {
    /// A new, empty one.
    pub(crate) fn create(now_ms: u64) -> io::Result<Arena> {
        let fd = files::lift(memfd_create(c"nexus-arena", MFdFlags::MFD_CLOEXEC)?)?;
        nix::unistd::ftruncate(&fd, LEN as i64)?;
        let map = Map::new(fd.as_fd(), LEN, true)?;
        map.store_u64(AT_STRIDE, STRIDE as u64);
        map.store_u64(AT_PAIR_STARTED, now_ms);
        map.store_u64(AT_MAGIC, MAGIC);
        Ok(Arena { fd, map })
    }

    /// One that was handed over.
    ///
    /// # Errors
    /// `InvalidData` when it is of another layout.
    pub(crate) fn open(fd: OwnedFd, writable: bool) -> io::Result<Arena> {
        let alien = || io::Error::new(io::ErrorKind::InvalidData, "an arena of another layout");
        if nix::sys::stat::fstat(&fd)?.st_size < LEN as i64 {
            return Err(alien());
        }
        let map = Map::new(fd.as_fd(), LEN, writable)?;
        if map.load_u64(AT_MAGIC) != MAGIC || map.load_u64(AT_STRIDE) != STRIDE as u64 {
            return Err(alien());
        }
        Ok(Arena { fd, map })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// How many records have ever been used: none beyond has a child.
    pub(crate) fn used(&self) -> u32 {
        u32::try_from(self.map.load_u64(AT_USED)).unwrap_or(0).min(CHILDREN_MAX as u32)
    }

    pub(crate) fn set_used(&self, used: u32) {
        self.map.store_u64(AT_USED, u64::from(used));
    }

    /// The highest child number ever ordered or reserved.
    pub(crate) fn last_child(&self) -> u64 {
        self.map.load_u64(AT_LAST_CHILD)
    }

    pub(crate) fn seen_child(&self, child: u64) {
        if child > self.last_child() {
            self.map.store_u64(AT_LAST_CHILD, child);
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            pair_started_ms: self.map.load_u64(AT_PAIR_STARTED),
            nexusd_restarts: self.map.load_u64(AT_NEXUSD_RESTARTS),
            keeper_restarts: self.map.load_u64(AT_KEEPER_RESTARTS),
        }
    }

    pub(crate) fn count_nexusd_restart(&self) {
        self.map.store_u64(AT_NEXUSD_RESTARTS, self.map.load_u64(AT_NEXUSD_RESTARTS) + 1);
    }

    pub(crate) fn count_keeper_restart(&self) {
        self.map.store_u64(AT_KEEPER_RESTARTS, self.map.load_u64(AT_KEEPER_RESTARTS) + 1);
    }

    /// Whether the pair was told to end.
    pub(crate) fn stopping(&self) -> bool {
        self.map.load_u64(AT_STOPPING) != 0
    }

    pub(crate) fn set_stopping(&self, stopping: bool) {
        self.map.store_u64(AT_STOPPING, u64::from(stopping));
    }

    /// A record's changing part; `None` = the record has never been written.
    pub(crate) fn changing(&self, record: u32) -> Option<Changing> {
        let read = |place: usize| {
            let mut bytes = [0; CHANGING_LEN];
            self.map.load(at(record) + AT_CHANGING[place], &mut bytes);
            Changing::from_bytes(&bytes)
        };
        match (read(0), read(1)) {
            (Some(a), Some(b)) => Some(if a.generation > b.generation { a } else { b }),
            (a, b) => a.or(b),
        }
    }

    /// Write a record's changing part over the older of its two places.
    pub(crate) fn commit(&self, record: u32, mut changing: Changing) {
        let generation = self.changing(record).map_or(0, |c| c.generation) + 1;
        changing.generation = generation;
        // Generations alternate between the places, so the older one is the one with this parity.
        let place = AT_CHANGING[(generation & 1) as usize];
        self.map.store(at(record) + place, &changing.to_bytes());
    }

    /// Write a record's fixed part and clear what its last child left. Before the commit that
    /// brings the record into use.
    pub(crate) fn set_fixed(&self, record: u32, fixed: &Fixed, strings: &Strings<'_>) {
        let at = at(record);
        for byte in AT_PASSED..AT_FIXED {
            self.map.store_u8(at + byte, 0);
        }
        self.store_numbers(record, fixed);
        let lens = [strings.codes.len(), strings.env.len(), strings.tag.len()];
        let lens = lens.iter().rev().fold(0u64, |word, len| word << 16 | (*len as u64 & 0xffff));
        self.map.store_u64(at + AT_FIXED + 56, lens);
        self.map.store(at + AT_CODES, clip(strings.codes, CODES_MAX));
        self.map.store(at + AT_ENV, clip(strings.env, CARRIED_ENV_MAX));
        self.map.store(at + AT_TAG, clip(strings.tag, TAG_MAX));
    }

    /// The fixed part of a successor: the predecessor's, with other numbers and no codes.
    pub(crate) fn inherit_fixed(&self, from: u32, to: u32, fixed: &Fixed) {
        self.map.copy(at(from) + AT_FIXED, at(to) + AT_FIXED, FIXED_LEN);
        for byte in AT_PASSED..AT_FIXED {
            self.map.store_u8(at(to) + byte, 0);
        }
        self.store_numbers(to, fixed);
    }

    fn store_numbers(&self, record: u32, fixed: &Fixed) {
        let Fixed { template, stdout, stderr, next, delay_ms, respawn_of, cgroup, stdin } = *fixed;
        let words = [template, stdout, stderr, next, delay_ms, respawn_of, cgroup];
        for (i, word) in words.into_iter().enumerate() {
            self.map.store_u64(at(record) + AT_FIXED + 8 * i, word);
        }
        // Between them are the lengths of the strings.
        self.map.store_u64(at(record) + AT_STDIN, stdin);
    }

    pub(crate) fn fixed(&self, record: u32) -> Fixed {
        let word = |i: usize| self.map.load_u64(at(record) + AT_FIXED + 8 * i);
        Fixed {
            template: word(0),
            stdout: word(1),
            stderr: word(2),
            next: word(3),
            delay_ms: word(4),
            respawn_of: word(5),
            cgroup: word(6),
            stdin: self.map.load_u64(at(record) + AT_STDIN),
        }
    }

    pub(crate) fn set_cgroup(&self, record: u32, name: Option<u64>) {
        let word = name.map_or(0, |n| n.wrapping_add(1));
        self.map.store_u64(at(record) + AT_FIXED + 48, word);
    }

    /// Whether the child is to stay down after this exit code.
    pub(crate) fn stays_after(&self, record: u32, code: u8) -> bool {
        let mut codes = [0; CODES_MAX];
        self.map.load(at(record) + AT_CODES, &mut codes);
        codes.iter().take(self.len_of(record, 0).min(CODES_MAX)).any(|c| *c == code)
    }

    /// What its order adds to the environment. Allocates: for the child itself.
    pub(crate) fn env(&self, record: u32) -> Vec<u8> {
        let mut env = vec![0; self.len_of(record, 1).min(CARRIED_ENV_MAX)];
        self.map.load(at(record) + AT_ENV, &mut env);
        env
    }

    /// Its tag, into a buffer.
    pub(crate) fn tag<'b>(&self, record: u32, buffer: &'b mut [u8; TAG_MAX]) -> &'b [u8] {
        self.map.load(at(record) + AT_TAG, buffer);
        &buffer[..self.len_of(record, 2).min(TAG_MAX)]
    }

    fn len_of(&self, record: u32, which: usize) -> usize {
        let lens = self.map.load_u64(at(record) + AT_FIXED + 56);
        (lens >> (16 * which) & 0xffff) as usize
    }

    /// Put a note into the place that is not in use; the next commit of `changing` makes it so.
    pub(crate) fn set_note(&self, record: u32, changing: &mut Changing, note: &[u8]) {
        let note = clip(note, NOTE_MAX);
        changing.note_place ^= 1;
        changing.note_len = note.len() as u16;
        self.map.store(at(record) + AT_NOTES[usize::from(changing.note_place & 1)], note);
    }

    /// Copy the note of another record.
    pub(crate) fn inherit_note(&self, from: u32, to: u32, changing: &mut Changing) {
        let Some(old) = self.changing(from) else { return };
        changing.note_place = 0;
        changing.note_len = old.note_len;
        let from = at(from) + AT_NOTES[usize::from(old.note_place & 1)];
        self.map.copy(from, at(to) + AT_NOTES[0], NOTE_MAX);
    }

    /// A child's note. Allocates: for nexusd.
    pub(crate) fn note(&self, record: u32, changing: &Changing) -> Vec<u8> {
        let mut note = vec![0; usize::from(changing.note_len).min(NOTE_MAX)];
        let place = AT_NOTES[usize::from(changing.note_place & 1)];
        self.map.load(at(record) + place, &mut note);
        note
    }

    /// The child itself: it was let through the gate, and from here on may run its program.
    pub(crate) fn say_passed(&self, record: u32) {
        self.map.store_u8(at(record) + AT_PASSED, 1);
    }

    /// The child itself: it could not run its program.
    pub(crate) fn say_failed(&self, record: u32, stage: Stage, errno: i32) {
        self.map.store_u64(at(record) + AT_FAILED_ERRNO, u64::from(errno.cast_unsigned()));
        self.map.store_u8(at(record) + AT_FAILED_STAGE, stage_to_byte(stage));
    }

    /// Whether the child was let through the gate, and whether it failed after.
    pub(crate) fn said(&self, record: u32) -> (bool, Option<(Stage, i32)>) {
        let failed = stage_from_byte(self.map.load_u8(at(record) + AT_FAILED_STAGE)).map(|stage| {
            (stage, (self.map.load_u64(at(record) + AT_FAILED_ERRNO) as u32).cast_signed())
        });
        (self.map.load_u8(at(record) + AT_PASSED) != 0, failed)
    }
}

/// The strings of a record's fixed part.
pub(crate) struct Strings<'a> {
    pub(crate) codes: &'a [u8],
    pub(crate) env: &'a [u8],
    pub(crate) tag: &'a [u8],
}

fn at(record: u32) -> usize {
    HEADER + record as usize * STRIDE
}

fn clip(bytes: &[u8], max: usize) -> &[u8] {
    bytes.get(..max).unwrap_or(bytes)
}
