//! The part of a record that changes: where a child is in its life, as bytes with a checksum.

use super::CHANGING_LEN;
use crate::codec::{ended_from_words, ended_to_words, stage_from_byte, stage_to_byte};
use crate::wire::{Ended, Stage};

/// Where a record is in its child's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The record is not in use.
    #[default]
    Free,
    /// A spawn was ordered; perhaps a process exists, and it has not run its program.
    Ordered,
    /// It runs its program.
    Running,
    /// Its main process has ended.
    Exited,
    /// It never ran its program.
    Failed,
}

/// The part of a record that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changing {
    pub(crate) generation: u64,
    pub(crate) child: u64,
    /// 0 = no process yet.
    pub(crate) pid: i32,
    pub(crate) started_ms: u64,
    /// When its main process ended.
    pub(crate) at_ms: u64,
    /// When its successor is due; 0 = it has none, or no longer.
    pub(crate) due_ms: u64,
    pub(crate) phase: Phase,
    pub(crate) ended: Ended,
    pub(crate) failed: Option<(Stage, i32)>,
    pub(crate) tree_gone: bool,
    /// A Terminate or Kill was ordered: its exit is no crash.
    pub(crate) asked: bool,
    /// The signal that the rest of the tree gets when the main process has gone; 0 = SIGKILL.
    pub(crate) signal: i32,
    /// Its `OnExit` is void: dropped, cancelled or carried out.
    pub(crate) settled: bool,
    /// Taken over from a pair that died.
    pub(crate) taken: bool,
    pub(crate) note_place: u8,
    pub(crate) note_len: u16,
}

impl Changing {
    /// A new child's.
    pub(crate) fn new(child: u64, phase: Phase) -> Changing {
        Changing {
            generation: 0,
            child,
            pid: 0,
            started_ms: 0,
            at_ms: 0,
            due_ms: 0,
            phase,
            ended: Ended::Unknown,
            failed: None,
            tree_gone: false,
            asked: false,
            signal: 0,
            settled: false,
            taken: false,
            note_place: 0,
            note_len: 0,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; CHANGING_LEN] {
        let mut out = [0; CHANGING_LEN];
        let (how, value) = ended_to_words(self.ended);
        let (stage, errno) = self.failed.map_or((0, 0), |(s, e)| (stage_to_byte(s), e));
        let flags = u64::from(self.tree_gone)
            | u64::from(self.asked) << 1
            | u64::from(self.settled) << 2
            | u64::from(self.taken) << 3
            | u64::from(self.note_place & 1) << 4
            | u64::from(phase_to_byte(self.phase)) << 8
            | how << 16
            | u64::from(stage) << 24
            | u64::from(self.note_len) << 32
            | (value & 0xff) << 48;
        let words = [
            self.generation,
            self.child,
            self.started_ms,
            self.at_ms,
            self.due_ms,
            flags,
            u64::from(self.pid.cast_unsigned()) | u64::from(errno.cast_unsigned()) << 32,
            u64::from(self.signal.cast_unsigned()),
            0,
        ];
        for (word, place) in words.iter().zip(out.chunks_exact_mut(8)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let sum = checksum(&out[..CHANGING_LEN - 8]).to_le_bytes();
        out[CHANGING_LEN - 8..].copy_from_slice(&sum);
        out
    }

    pub(super) fn from_bytes(bytes: &[u8; CHANGING_LEN]) -> Option<Changing> {
        let mut words = [0; CHANGING_LEN / 8];
        for (word, place) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(place.try_into().ok()?);
        }
        let [generation, child, started_ms, at_ms, due_ms, flags, both, signal, _, sum] = words;
        if generation == 0 || sum != checksum(&bytes[..CHANGING_LEN - 8]) {
            return None;
        }
        Some(Changing {
            generation,
            child,
            pid: (both as u32).cast_signed(),
            started_ms,
            at_ms,
            due_ms,
            phase: phase_from_byte((flags >> 8) as u8),
            ended: ended_from_words(flags >> 16 & 0xff, flags >> 48 & 0xff),
            failed: stage_from_byte((flags >> 24) as u8)
                .map(|stage| (stage, ((both >> 32) as u32).cast_signed())),
            tree_gone: flags & 1 != 0,
            asked: flags & 2 != 0,
            signal: signal as i32,
            settled: flags & 4 != 0,
            taken: flags & 8 != 0,
            note_place: (flags >> 4 & 1) as u8,
            note_len: (flags >> 32) as u16,
        })
    }
}

fn phase_to_byte(phase: Phase) -> u8 {
    match phase {
        Phase::Free => 0,
        Phase::Ordered => 1,
        Phase::Running => 2,
        Phase::Exited => 3,
        Phase::Failed => 4,
    }
}

fn phase_from_byte(byte: u8) -> Phase {
    match byte {
        1 => Phase::Ordered,
        2 => Phase::Running,
        3 => Phase::Exited,
        4 => Phase::Failed,
        _ => Phase::Free,
    }
}

/// FNV-1a: enough to tell a torn record from a whole one.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
