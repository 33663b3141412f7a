//! What a message changes, and what it makes us do. Pure: the moment is an argument.

mod press;
mod reading;

use super::action::Deed;
use super::fleet::Key;
use super::link::{Link, back};
use super::model::{Effect, Model, Msg, Notice, Overlay, Pane};
use super::view::layout;
use crate::exit::Exit;
use crate::look::Role;
use crate::text::plain;

/// How long what has just happened is shown.
const NOTICE_MS: i64 = 10_000;
/// Processes that are looked for while no daemon answers.
const LOOKED_FOR_MAX: usize = 1_000;

/// Take in a message. Gives what is to be done.
pub(super) fn update(model: &mut Model, now: i64, msg: Msg) -> Vec<Effect> {
    model.now = now;
    let mut effects = Vec::new();
    match msg {
        Msg::Key(key) => press::press(model, key, &mut effects),
        Msg::Paste(text) => press::paste(model, &text),
        Msg::Interrupt => effects.push(Effect::Quit(Exit::Interrupted)),
        Msg::Suspend => effects.push(Effect::Suspend),
        Msg::Resize(width, height) => (model.width, model.height) = (width, height),
        Msg::Tick => tick(model, &mut effects),
        Msg::Fleet(snapshot) => heard(model, *snapshot),
        Msg::Lost(answer) => {
            let first = !model.link.is_lost();
            model.link.lose(now, answer);
            if first {
                lost(model, &mut effects);
            }
        }
        Msg::History(app, history) => {
            if model.history_of.as_ref() == Some(&app) {
                model.history = history;
            }
        }
        Msg::Events(events) => model.events = events,
        Msg::Lines { reading, begins, lines } => reading::lines(model, reading, begins, lines),
        Msg::Files(sources) => reading::found(model, sources, &mut effects),
        Msg::Unreadable(why) => model.reading.problem = Some(plain(&why)),
        Msg::Alive(alive, of) => {
            if let Link::Lost(lost) = &mut model.link {
                lost.alive = Some((alive, of));
            }
        }
        Msg::NotRevived(lines) => {
            let title = "nexusd could not be started".to_owned();
            model.overlay = Some(Overlay::Report { title, lines });
        }
        Msg::Done(deed, result) => done(model, &deed, result),
    }
    follow_up(model, &mut effects);
    effects
}

/// What follows from the state, whatever led to it.
fn follow_up(model: &mut Model, effects: &mut Vec<Effect>) {
    let app = model.fleet.selected_app().map(|app| app.name.clone());
    if app != model.history_of {
        model.history = None;
        effects.extend(app.clone().map(Effect::History));
        model.history_of = app;
    }
    reading::choose(model, effects);
    let layout = layout(model);
    // What nobody sees is not asked for.
    if model.events_stale && layout.is_some_and(|layout| layout.events.is_some()) {
        model.events_stale = false;
        effects.push(Effect::Events(model.fleet.only().cloned()));
    }
    let rows = layout.map_or(1, |layout| layout.rows());
    model.fleet.scroll(rows);
}

fn tick(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.notice.as_ref().is_some_and(|notice| notice.until <= model.now) {
        model.notice = None;
    }
    if model.link.is_lost() {
        look_for(model, effects);
    }
}

fn heard(model: &mut Model, snapshot: nexus_proto::Snapshot) {
    let away = match &model.link {
        Link::Lost(lost) => lost.heard.map(|_| (model.now - lost.since).unsigned_abs()),
        Link::Connecting | Link::Live { .. } => None,
    };
    let old = model.fleet.snapshot();
    let changed = old.is_none_or(|old| {
        old.generation != snapshot.generation || old.daemon.pid != snapshot.daemon.pid
    });
    if let Some(text) = old.and_then(|old| back(old, &snapshot, away)) {
        say(model, text, Role::Good);
    }
    model.link = Link::Live { heard: model.now };
    model.reading.stale |= changed;
    model.events_stale |= changed;
    model.fleet.set(snapshot);
    close_what_is_gone(model);
}

/// A question about an app that is gone has no answer.
fn close_what_is_gone(model: &mut Model) {
    let about: Option<&Key> = match &model.overlay {
        Some(Overlay::Menu(key)) => Some(key),
        Some(Overlay::Confirm { deed, .. }) => Some(&deed.key),
        Some(Overlay::Help(_) | Overlay::Report { .. }) | None => None,
    };
    if let Some(name) = about.map(|key| key.app.clone())
        && model.fleet.app(&name).is_none()
    {
        model.overlay = None;
        say(model, format!("{name} is gone"), Role::Bad);
    }
}

fn lost(model: &mut Model, effects: &mut Vec<Effect>) {
    // What would be answered by nobody is not asked.
    if matches!(model.overlay, Some(Overlay::Menu(_) | Overlay::Confirm { .. })) {
        model.overlay = None;
    }
    model.notice = None;
    if model.fleet.snapshot().is_none() && !model.reading.by_name {
        effects.push(Effect::FindFiles);
    }
    look_for(model, effects);
}

fn look_for(model: &Model, effects: &mut Vec<Effect>) {
    let apps = model.fleet.snapshot().map(|snapshot| snapshot.apps.as_slice()).unwrap_or_default();
    let pids = apps.iter().flat_map(|app| &app.instances).filter_map(|one| one.pid);
    let pids: Vec<i32> = pids.take(LOOKED_FOR_MAX).collect();
    if !pids.is_empty() {
        effects.push(Effect::LookFor(pids));
    }
}

fn done(model: &mut Model, deed: &Deed, result: Result<(), Vec<String>>) {
    let target = deed.key.target();
    match result {
        Ok(()) => say(model, format!("{} {target}", deed.action.done()), Role::Good),
        Err(lines) => {
            let title = format!("{} {target} failed", deed.action.verb());
            say(model, title.clone(), Role::Bad);
            model.overlay = Some(Overlay::Report { title, lines });
        }
    }
}

/// Show it for a while.
fn say(model: &mut Model, text: String, role: Role) {
    model.notice = Some(Notice { text, role, until: model.now + NOTICE_MS });
}

/// Where the log is scrolled, keys go to it.
fn in_log(model: &Model) -> bool {
    model.whole_log || model.pane == Pane::Log
}
