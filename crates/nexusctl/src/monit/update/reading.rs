//! Which log files are read, and what becomes of their lines.

use nexus_proto::Target;

use super::super::log_window::Line;
use super::super::model::{Effect, Model};
use crate::log_files::{Source, of_fleet};

/// Log files that are read at the same time: each costs a descriptor and two watches.
const FILES_MAX: usize = 256;

/// Choose the files anew when the fleet or the choice has changed.
pub(super) fn choose(model: &mut Model, effects: &mut Vec<Effect>) {
    if !std::mem::take(&mut model.reading.stale) {
        return;
    }
    let Some(snapshot) = model.fleet.snapshot() else { return };
    let only = model.fleet.only().map(|app| {
        let key = model.fleet.selected().filter(|key| key.app == *app);
        vec![Target { app: app.clone(), instance: key.and_then(|key| key.instance) }]
    });
    let sources = of_fleet(snapshot, only.as_deref());
    let same = model.reading.only == only;
    model.reading.only = only;
    read(model, sources, same, effects);
}

/// The files that were found by their names.
pub(super) fn found(model: &mut Model, sources: Vec<Source>, effects: &mut Vec<Effect>) {
    model.reading.by_name = true;
    if model.fleet.snapshot().is_none() {
        read(model, sources, false, effects);
    }
}

/// `more` = what was read is still meant; others may have come.
fn read(model: &mut Model, mut sources: Vec<Source>, more: bool, effects: &mut Vec<Effect>) {
    let reading = &mut model.reading;
    reading.left_out = sources.len().saturating_sub(FILES_MAX);
    sources.truncate(FILES_MAX);
    if more && sources == reading.sources && reading.number > 0 {
        return;
    }
    reading.problem = None;
    // Apps that have come are read besides: what was scrolled back to stays where it is.
    let known = &reading.sources;
    let newcomers = more && !known.is_empty() && known.iter().all(|old| sources.contains(old));
    let wanted = if newcomers {
        sources.iter().filter(|one| !reading.sources.contains(one)).cloned().collect()
    } else {
        reading.number += 1;
        sources.clone()
    };
    reading.sources = sources;
    effects.push(Effect::Read { reading: reading.number, sources: wanted, newcomers });
}

/// Lines have come.
pub(super) fn lines(model: &mut Model, reading: u64, begins: bool, lines: Vec<Line>) {
    if reading != model.reading.number {
        return;
    }
    if begins {
        model.logs.clear();
    }
    model.logs.push(lines);
}
