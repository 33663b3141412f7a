//! From a number (child or pid) to its record: open addressing in memory reserved at start, so
//! that no spawn allocates.

use crate::wire::CHILDREN_MAX;

/// Half full at most.
const PLACES: usize = CHILDREN_MAX * 2;

/// A map of at most `CHILDREN_MAX` entries.
pub(super) struct Index {
    /// Key plus one (0 = empty) and record. Zeroed memory: untouched pages cost nothing.
    places: Vec<(u64, u64)>,
    len: usize,
}

impl Index {
    pub(super) fn new() -> Index {
        Index { places: vec![(0, 0); PLACES], len: 0 }
    }

    pub(super) fn get(&self, key: u64) -> Option<u32> {
        let (found, record) = self.places[self.find(key)];
        (found != 0).then_some(record as u32)
    }

    pub(super) fn insert(&mut self, key: u64, record: u32) {
        let place = self.find(key);
        if self.places[place].0 == 0 {
            assert!(self.len < CHILDREN_MAX, "no more entries than records");
            self.len += 1;
        }
        self.places[place] = (key.wrapping_add(1), u64::from(record));
    }

    pub(super) fn remove(&mut self, key: u64) {
        let mut hole = self.find(key);
        if self.places[hole].0 == 0 {
            return;
        }
        self.len -= 1;
        self.places[hole] = (0, 0);
        // Move later entries of the same run back, so that none hides behind the hole.
        let mut next = (hole + 1) % PLACES;
        while self.places[next].0 != 0 {
            let home = home(self.places[next].0.wrapping_sub(1));
            let (to_hole, to_next) = (distance(home, hole), distance(home, next));
            if to_hole < to_next {
                self.places[hole] = self.places[next];
                self.places[next] = (0, 0);
                hole = next;
            }
            next = (next + 1) % PLACES;
        }
    }

    /// Where the key is, or the empty place where it would be.
    fn find(&self, key: u64) -> usize {
        let mut place = home(key);
        while self.places[place].0 != 0 && self.places[place].0 != key.wrapping_add(1) {
            place = (place + 1) % PLACES;
        }
        place
    }
}

fn home(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % PLACES
}

fn distance(from: usize, to: usize) -> usize {
    (to + PLACES - from) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_agrees_with_a_map_through_many_changes() {
        let (mut index, mut truth) = (Index::new(), BTreeMap::new());
        let mut state: u64 = 1;
        for step in 0..200_000u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = (state >> 40) % 12_000;
            if state >> 33 & 1 == 0 || truth.len() >= CHILDREN_MAX {
                index.remove(key);
                truth.remove(&key);
            } else {
                index.insert(key, step);
                truth.insert(key, step);
            }
            assert_eq!(index.get(key), truth.get(&key).copied());
        }
        for key in 0..12_000 {
            assert_eq!(index.get(key), truth.get(&key).copied());
        }
    }
}
