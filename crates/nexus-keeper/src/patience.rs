//! Whether the other end of the link still reads. It is asked only while something lies there
//! unread, and there is always something soon: the keeper says something each [`BEAT_MS`], and
//! nexusd asks a keeper from which it has heard nothing for longer.

/// How often the keeper says something that nexusd has to read. As often as a look is due, so that
/// an idle keeper is woken once for both.
pub(crate) const BEAT_MS: u64 = LOOK_MS;
/// How often we look whether what lies there is read.
pub(crate) const LOOK_MS: u64 = 1_250;

/// After how many looks in vain a process in this state (`/proc/PID/stat`, proc(5)) is given up.
/// Nothing goes on in one that was stopped. One that sleeps waits for what may come. Who computes, or
/// waits for memory or a disk, may be one of many on a machine that has no time for it.
pub(crate) fn looks(state: Option<u8>) -> u32 {
    match state {
        Some(b'T') => 2,
        Some(b'S') => 4,
        _ => 8,
    }
}

/// Watches what lies unread in a socket. Looks are counted, not time: a machine that slept for an
/// hour has not waited for anybody.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    unread: usize,
    looks: u32,
    /// When to look again; 0 = nothing waits.
    at: u64,
}

impl Patience {
    /// When to look again, on the clock that `look` is called with.
    pub(crate) fn next_look(&self) -> Option<u64> {
        Some(self.at).filter(|at| *at > 0)
    }

    /// The other end has shown that it lives.
    pub(crate) fn renew(&mut self) {
        self.looks = 0;
    }

    /// `unread` bytes lie there `now`. True when in so many looks as `looks` says, one each
    /// [`LOOK_MS`], nothing of it was read: then the count begins anew.
    pub(crate) fn look(&mut self, unread: usize, now: u64, looks: impl FnOnce() -> u32) -> bool {
        if unread < self.unread {
            self.looks = 0;
        }
        self.unread = unread;
        if unread == 0 {
            self.at = 0;
            return false;
        }
        if self.at == 0 {
            (self.at, self.looks) = (now + LOOK_MS, 0);
        }
        if now < self.at {
            return false;
        }
        (self.at, self.looks) = (now + LOOK_MS, self.looks + 1);
        if self.looks < looks() {
            return false;
        }
        self.looks = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_reads_nothing_at_all_is_given_up() {
        let mut patience = Patience::default();
        let mut look = |unread, tenths| patience.look(unread, tenths * LOOK_MS / 10, || 3);
        assert!(!look(10, 0) && !look(20, 5) && !look(20, 10) && !look(30, 20));
        // It has read something.
        assert!(!look(25, 25) && !look(25, 30) && !look(25, 40));
        assert!(look(25, 50));
        assert!(!look(0, 55));
        // A long sleep of the machine is one look.
        assert!(!look(5, 60) && !look(5, 36_000));
        assert_eq!(patience.next_look(), Some(3_601 * LOOK_MS));
        assert!(!patience.look(0, 3_600 * LOOK_MS + 1, || 3));
        assert_eq!(patience.next_look(), None);
    }

    #[test]
    fn who_was_stopped_is_given_up_sooner_than_who_has_no_time() {
        let given_up_after = |state| {
            let mut patience = Patience::default();
            (0..).find(|look| patience.look(1, look * LOOK_MS, || looks(Some(state)))).unwrap()
        };
        assert_eq!([b'T', b'S', b'R', b'D', b't'].map(given_up_after), [2, 4, 8, 8, 8]);
        const { assert!(BEAT_MS + 2 * LOOK_MS < 5_000, "noticed within five seconds") }
    }
}
