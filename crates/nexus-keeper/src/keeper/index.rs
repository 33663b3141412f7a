//! From a number (child or pid) to its record: open addressing in memory reserved at start, so
//! that no spawn allocates. The memory is shared, though with nobody: what is private is copied
//! page by page after each fork, since both sides go on writing.

use std::io;

use crate::sys::map::Map;
use crate::wire::CHILDREN_MAX;

/// Half full at most.
const PLACES: usize = CHILDREN_MAX * 2;
/// Two words: key plus one (0 = empty), and record.
const PLACE: usize = 16;

/// A map of at most `CHILDREN_MAX` entries.
pub(super) struct Index {
    /// Untouched pages cost nothing.
    places: Map,
    len: usize,
}

impl Index {
    pub(super) fn new() -> io::Result<Index> {
        Ok(Index { places: Map::anonymous(PLACES * PLACE)?, len: 0 })
    }

    pub(super) fn get(&self, key: u64) -> Option<u32> {
        let place = self.find(key);
        (self.key(place) != 0).then(|| self.places.load_u64(place * PLACE + 8) as u32)
    }

    pub(super) fn insert(&mut self, key: u64, record: u32) {
        let place = self.find(key);
        if self.key(place) == 0 {
            assert!(self.len < CHILDREN_MAX, "no more entries than records");
            self.len += 1;
        }
        self.set(place, key.wrapping_add(1), u64::from(record));
    }

    pub(super) fn remove(&mut self, key: u64) {
        let mut hole = self.find(key);
        if self.key(hole) == 0 {
            return;
        }
        self.len -= 1;
        self.set(hole, 0, 0);
        // Move later entries of the same run back, so that none hides behind the hole.
        let mut next = (hole + 1) % PLACES;
        while self.key(next) != 0 {
            let home = home(self.key(next).wrapping_sub(1));
            let (to_hole, to_next) = (distance(home, hole), distance(home, next));
            if to_hole < to_next {
                self.set(hole, self.key(next), self.places.load_u64(next * PLACE + 8));
                self.set(next, 0, 0);
                hole = next;
            }
            next = (next + 1) % PLACES;
        }
    }

    /// Where the key is, or the empty place where it would be.
    fn find(&self, key: u64) -> usize {
        let mut place = home(key);
        while self.key(place) != 0 && self.key(place) != key.wrapping_add(1) {
            place = (place + 1) % PLACES;
        }
        place
    }

    fn key(&self, place: usize) -> u64 {
        self.places.load_u64(place * PLACE)
    }

    fn set(&self, place: usize, key: u64, record: u64) {
        self.places.store_u64(place * PLACE, key);
        self.places.store_u64(place * PLACE + 8, record);
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
        let (mut index, mut truth) = (Index::new().unwrap(), BTreeMap::new());
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
