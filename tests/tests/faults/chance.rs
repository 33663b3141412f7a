//! Chance, from a seed that is printed: the same seed makes the same choices.

use std::time::Duration;

/// xorshift: small, and ours, so a seed means the same thing for ever.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n.max(1) as u64).unwrap_or(0)
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Up to so long, in steps of a tenth of a millisecond.
    pub(crate) fn pause(&mut self, most: Duration) -> Duration {
        let steps = usize::try_from(most.as_micros() / 100).unwrap_or(0);
        Duration::from_micros(100) * u32::try_from(self.below(steps)).unwrap_or(0)
    }
}
