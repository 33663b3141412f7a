//! Rotated files are compressed, and the oldest deleted, on a thread that lives while there is
//! something to do.
//!
//! Every step may be the last one before a kill: a compressed file gets its name when it is whole
//! and on the disk, and only then its original goes; what a kill leaves behind is taken up when the
//! log is next written to.

mod catalog;
mod packing;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::Builder;

use crate::mover::lock;
use crate::rotated::Moment;
use crate::rules::Rules;
use catalog::Catalog;
use packing::Packing;

/// The compressor builds its tables there before they go to the heap.
const STACK: usize = 1024 * 1024;

/// Keep a log's rotated files in bounds: those up to the moment are written to no more, and some are
/// new.
struct Tend {
    rules: Rules,
    rotated: Vec<Moment>,
    upto: Moment,
}

/// Delete a log's rotated files up to the moment, and say how many bytes that were.
struct Clear {
    log: PathBuf,
    upto: Moment,
    then: Box<dyn FnOnce(u64) + Send>,
}

/// What is asked of the thread, and what it leaves for the next one.
#[derive(Default)]
struct State {
    /// A log that rotates faster than it is tended is tended once for all.
    tends: HashMap<PathBuf, Tend>,
    clears: VecDeque<Clear>,
    works: bool,
    catalog: Catalog,
}

/// The thread, when there is one.
#[derive(Clone, Default)]
pub(crate) struct Janitor(Arc<Mutex<State>>);

impl Janitor {
    /// Keep a log's rotated files in bounds; those up to `upto` are written to no more, and that one
    /// may be new.
    pub(crate) fn tend(&self, log: &Path, rules: &Rules, upto: Moment) {
        let mut state = lock(&self.0);
        let tend = state.tends.entry(log.to_owned()).or_insert_with(|| Tend {
            rules: rules.clone(),
            rotated: Vec::new(),
            upto,
        });
        tend.rules.clone_from(rules);
        tend.rotated.push(upto);
        tend.upto = upto;
        self.wake(&mut state);
    }

    pub(crate) fn clear(&self, log: &Path, upto: Moment, then: Box<dyn FnOnce(u64) + Send>) {
        let mut state = lock(&self.0);
        state.clears.push_back(Clear { log: log.to_owned(), upto, then });
        self.wake(&mut state);
    }

    fn wake(&self, state: &mut State) {
        if !state.works {
            let shared = Arc::clone(&self.0);
            let named = Builder::new().name("nexus-log-pack".into()).stack_size(STACK);
            // No room for a thread: the next order tries again.
            state.works = named.spawn(move || work(&shared)).is_ok();
        }
    }
}

/// Until there is nothing to do. Deleting goes before compressing: a flood fills a disk faster than
/// it can be compressed.
fn work(shared: &Mutex<State>) {
    let mut catalog = std::mem::take(&mut lock(shared).catalog);
    let mut unpacked = BTreeSet::new();
    loop {
        carry_out(shared, &mut catalog, &mut unpacked);
        let Some((log, at)) = unpacked.pop_first() else {
            let mut state = lock(shared);
            if state.tends.is_empty() && state.clears.is_empty() {
                state.catalog = catalog;
                state.works = false;
                return;
            }
            continue;
        };
        if !catalog.has(&log, at) {
            continue;
        }
        let between = |catalog: &mut Catalog, unpacked: &mut BTreeSet<_>| {
            carry_out(shared, catalog, unpacked);
            catalog.has(&log, at)
        };
        match pack(&log, at, || between(&mut catalog, &mut unpacked)) {
            Ok(Some(size)) => catalog.packed(&log, at, size),
            // It was deleted meanwhile.
            Ok(None) => {}
            // A full disk: it stays as it is, within the bounds all the same.
            Err(_) => catalog.unpackable(&log, at),
        }
    }
}

fn carry_out(
    shared: &Mutex<State>,
    catalog: &mut Catalog,
    unpacked: &mut BTreeSet<(PathBuf, Moment)>,
) {
    let (tends, clears) = {
        let mut state = lock(shared);
        (std::mem::take(&mut state.tends), std::mem::take(&mut state.clears))
    };
    for (log, Tend { rules, rotated, upto }) in tends {
        catalog.tend(&log, &rules, &rotated, upto);
        if rules.compress {
            unpacked.extend(catalog.unpacked(&log).map(|at| (log.clone(), at)));
        }
    }
    for Clear { log, upto, then } in clears {
        then(catalog.clear(&log, upto));
    }
    catalog.bound();
}

/// Compress one rotated file and its index, a block at a time; its new size. None = `go_on` said no.
fn pack(log: &Path, at: Moment, mut go_on: impl FnMut() -> bool) -> std::io::Result<Option<u64>> {
    let mut size = 0;
    for mut packing in Packing::of(log, at)? {
        while packing.step()? {
            if !go_on() {
                return Ok(None);
            }
        }
        size += packing.finish()?;
    }
    Ok(Some(size))
}
