//! Whether the other end of the link still reads, asked only while something lies there unread.

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

    /// `unread` bytes lie there `now`. True when in `looks` looks, one each `every_ms`, nothing of
    /// it was read: then the count begins anew.
    pub(crate) fn look(&mut self, unread: usize, now: u64, every_ms: u64, looks: u32) -> bool {
        if unread < self.unread {
            self.looks = 0;
        }
        self.unread = unread;
        if unread == 0 {
            self.at = 0;
            return false;
        }
        if self.at == 0 {
            (self.at, self.looks) = (now + every_ms, 0);
        }
        if now < self.at {
            return false;
        }
        (self.at, self.looks) = (now + every_ms, self.looks + 1);
        if self.looks < looks {
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
        let mut look = |unread, now| patience.look(unread, now, 1_000, 3);
        assert!(!look(10, 0) && !look(20, 500) && !look(20, 1_000) && !look(30, 2_000));
        // It has read something.
        assert!(!look(25, 2_500) && !look(25, 3_000) && !look(25, 4_000));
        assert!(look(25, 5_000));
        assert!(!look(0, 5_500));
        // A long sleep of the machine is one look.
        assert!(!look(5, 6_000) && !look(5, 3_600_000));
        assert_eq!(patience.next_look(), Some(3_601_000));
        assert!(!patience.look(0, 3_600_500, 1_000, 3));
        assert_eq!(patience.next_look(), None);
    }
}
