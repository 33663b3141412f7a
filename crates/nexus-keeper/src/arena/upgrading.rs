//! The arena's header: what program the keeper is, and how far an upgrade is.

use super::Arena;
use crate::codec::{ended_from_words, ended_to_words};
use crate::upgrade::{Step, Undone, Upgrade};

const AT_STEP: usize = 64;
const AT_NUMBER: usize = 72;
const AT_UNTIL: usize = 80;
/// A byte of length, and the text.
const AT_VERSION: usize = 96;
const VERSION_MAX: usize = 63;

const KEEPER: u64 = 1;
const NEXUSD: u64 = 2;
const DONE: u64 = 3;
const NOT_EXECUTED: u64 = 4;
const KEEPER_ENDED: u64 = 5;
const KEEPER_LATE: u64 = 6;
const NEXUSD_ENDED: u64 = 7;
const NEXUSD_LATE: u64 = 8;

impl Arena {
    /// The last upgrade that was begun.
    pub(crate) fn upgrade(&self) -> Option<Upgrade> {
        let step = step_from(self.map.load_u64(AT_STEP))?;
        let (number, until_ms) = (self.map.load_u64(AT_NUMBER), self.map.load_u64(AT_UNTIL));
        Some(Upgrade { number, until_ms, step })
    }

    /// An upgrade begins. A kill in between leaves none: never the last one's end by this number.
    pub(crate) fn begin_upgrade(&self, number: u64, until_ms: u64) {
        self.map.store_u64(AT_STEP, 0);
        self.map.store_u64(AT_NUMBER, number);
        self.map.store_u64(AT_UNTIL, until_ms);
        self.set_upgrade(Step::Keeper);
    }

    pub(crate) fn set_upgrade(&self, step: Step) {
        self.map.store_u64(AT_STEP, step_to(step));
    }

    /// The keeper's version.
    pub(crate) fn version(&self) -> String {
        let mut bytes = [0; VERSION_MAX];
        self.map.load(AT_VERSION + 1, &mut bytes);
        let len = usize::from(self.map.load_u8(AT_VERSION)).min(VERSION_MAX);
        String::from_utf8_lossy(bytes.get(..len).unwrap_or_default()).into_owned()
    }

    pub(crate) fn set_version(&self, version: &str) {
        let text = super::clip(version.as_bytes(), VERSION_MAX);
        self.map.store_u8(AT_VERSION, 0);
        self.map.store(AT_VERSION + 1, text);
        self.map.store_u8(AT_VERSION, text.len() as u8);
    }
}

/// One word: the kind in the lowest byte, how a process ended in the next, and its value (or an
/// errno) in the upper half.
pub(crate) fn step_to(step: Step) -> u64 {
    let ended = |kind, ended| {
        let (how, value) = ended_to_words(ended);
        kind | how << 8 | value << 32
    };
    match step {
        Step::Keeper => KEEPER,
        Step::Nexusd => NEXUSD,
        Step::Done => DONE,
        Step::Undone(Undone::NotExecuted(errno)) => {
            NOT_EXECUTED | u64::from(errno.cast_unsigned()) << 32
        }
        Step::Undone(Undone::KeeperEnded(how)) => ended(KEEPER_ENDED, how),
        Step::Undone(Undone::KeeperLate) => KEEPER_LATE,
        Step::Undone(Undone::NexusdEnded(how)) => ended(NEXUSD_ENDED, how),
        Step::Undone(Undone::NexusdLate) => NEXUSD_LATE,
    }
}

/// And back; `None` = there was no upgrade.
pub(crate) fn step_from(word: u64) -> Option<Step> {
    let ended = ended_from_words(word >> 8 & 0xff, word >> 32);
    Some(match word & 0xff {
        KEEPER => Step::Keeper,
        NEXUSD => Step::Nexusd,
        DONE => Step::Done,
        NOT_EXECUTED => Step::Undone(Undone::NotExecuted(((word >> 32) as u32).cast_signed())),
        KEEPER_ENDED => Step::Undone(Undone::KeeperEnded(ended)),
        KEEPER_LATE => Step::Undone(Undone::KeeperLate),
        NEXUSD_ENDED => Step::Undone(Undone::NexusdEnded(ended)),
        NEXUSD_LATE => Step::Undone(Undone::NexusdLate),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Ended;

    #[test]
    fn every_step_reads_back_as_it_was_written() {
        let arena = Arena::create(1).unwrap();
        assert_eq!((arena.upgrade(), arena.version().as_str()), (None, ""));
        arena.begin_upgrade(7, 99);
        let steps = [
            Step::Keeper,
            Step::Nexusd,
            Step::Done,
            Step::Undone(Undone::NotExecuted(13)),
            Step::Undone(Undone::KeeperEnded(Ended::Code(255))),
            Step::Undone(Undone::KeeperEnded(Ended::Unknown)),
            Step::Undone(Undone::KeeperLate),
            Step::Undone(Undone::NexusdEnded(Ended::Signal(9))),
            Step::Undone(Undone::NexusdLate),
        ];
        for step in steps {
            arena.set_upgrade(step);
            assert_eq!(arena.upgrade(), Some(Upgrade { number: 7, until_ms: 99, step }));
        }
        arena.set_version("1.2.3");
        assert_eq!(arena.version(), "1.2.3");
        arena.set_version(&"9".repeat(99));
        assert_eq!(arena.version(), "9".repeat(VERSION_MAX));
    }
}
