//! What systemd keeps for us, and what it is still to be told of that.
//!
//! Bounded twice: each descriptor costs systemd a comparison with every other, and the names of all
//! of them are one variable of the process that it starts, which the kernel bounds at 128 KiB: one
//! byte more, and we would never be started again. What does not fit is found through `/proc`.

use std::collections::{HashSet, VecDeque};

use nexus_keeper::Stored;

/// As FileDescriptorStoreMax of our unit.
const KEPT_MAX: usize = 2_048;
/// Places that the many (pipes, workers) leave to the few (sockets, templates).
const RESERVE: usize = 256;
/// What the notes of the few begin with.
const FEW: [&[u8]; 4] = [b"hearer ", b"notify ", b"socket ", b"template "];
/// All names together, with a colon each.
const NAMES_MAX: usize = 120 * 1024;
/// Steps that wait while systemd does not read; beyond, it is told nothing more.
const STEPS_MAX: usize = 4 * KEPT_MAX;

/// One thing to tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Keep it under this name.
    Keep(Stored, String),
    /// Close what has this name.
    Release(String),
}

/// What is kept, and the steps that lead there.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    kept: HashSet<Stored>,
    names: usize,
    steps: VecDeque<Step>,
    full: bool,
    given_up: bool,
}

impl Shelf {
    pub(super) fn keep(&mut self, what: Stored) {
        let Some(name) = what.name() else { return };
        let many = match &what {
            Stored::Child(_) => true,
            Stored::Held(_, note) => !FEW.iter().any(|few| note.starts_with(few)),
            Stored::Arena { .. } => false,
        };
        let places = if many { KEPT_MAX - RESERVE } else { KEPT_MAX };
        let space = if many { NAMES_MAX / 8 * 7 } else { NAMES_MAX };
        if self.kept.len() >= places || self.names + name.len() >= space {
            if !self.full {
                tracing::warn!(
                    kept = self.kept.len(),
                    "systemd keeps no more descriptors of ours; after the death of both of the \
                     pair the rest is found through /proc"
                );
            }
            self.full = true;
            return;
        }
        if self.kept.insert(what.clone()) {
            self.names += name.len() + 1;
            self.push(Step::Keep(what, name));
        }
    }

    pub(super) fn release(&mut self, what: &Stored) {
        if self.kept.remove(what)
            && let Some(name) = what.name()
        {
            self.names -= name.len() + 1;
            self.push(Step::Release(name));
        }
    }

    fn push(&mut self, step: Step) {
        if self.steps.len() >= STEPS_MAX && !self.given_up {
            tracing::error!("systemd does not read its socket: it is told of no descriptor more");
            self.steps.clear();
            self.given_up = true;
        }
        if !self.given_up {
            self.steps.push_back(step);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.steps.is_empty()
    }

    pub(super) fn next(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// It could not be told now.
    pub(super) fn again(&mut self, step: Step) {
        self.steps.push_front(step);
    }
}

#[cfg(test)]
mod tests {
    use nexus_keeper::HoldId;

    use super::*;

    #[test]
    fn a_thing_is_kept_once_and_released_once() {
        let mut shelf = Shelf::default();
        let what = Stored::Held(HoldId(1), b"socket api tcp://0.0.0.0:80".to_vec());
        shelf.keep(what.clone());
        shelf.keep(what.clone());
        shelf.release(&what);
        shelf.release(&what);
        let name = what.name().unwrap();
        let steps: Vec<Step> = std::iter::from_fn(|| shelf.next()).collect();
        assert_eq!(steps, [Step::Keep(what, name.clone()), Step::Release(name)]);
        assert_eq!(shelf.names, 0);
    }

    #[test]
    fn the_names_always_fit_into_one_variable_and_sockets_find_a_place() {
        let mut shelf = Shelf::default();
        for id in 0..10_000 {
            shelf.keep(Stored::Held(HoldId(id), [b"pipe ", &[b'x'; 60][..], b" 0 out r"].concat()));
            shelf.keep(Stored::Child(id));
        }
        for id in 0..100 {
            shelf.keep(Stored::Held(HoldId(20_000 + id), b"socket api tcp://0.0.0.0:80".to_vec()));
        }
        let hearer = Stored::Held(HoldId(30_000), b"hearer nexus-hearer/ab12".to_vec());
        shelf.keep(hearer.clone());
        assert!(shelf.kept.contains(&hearer));
        assert!(shelf.kept.len() <= KEPT_MAX && shelf.names < 128 * 1024);
        let sockets = shelf
            .kept
            .iter()
            .filter(|what| matches!(what, Stored::Held(_, note) if note.starts_with(b"socket")));
        assert_eq!(sockets.count(), 100);
    }

    #[test]
    fn steps_that_nobody_takes_are_bounded() {
        let mut shelf = Shelf::default();
        for _ in 0..STEPS_MAX {
            shelf.keep(Stored::Child(1));
            shelf.release(&Stored::Child(1));
        }
        assert!(shelf.given_up && !shelf.has_work());
    }
}
