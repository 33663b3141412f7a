//! The last lines: what is wrong, what has just happened, which keys there are.

use nexus_proto::Trouble;
use ratatui_core::style::Style;

use super::super::link::{Link, Lost};
use super::super::model::{Model, Pane};
use super::canvas::{Canvas, columns};
use super::layout::Layout;
use crate::human::{count, seconds};
use crate::look::Role;
use crate::text::{last, plain, width};
use crate::view::clock_ms;

/// From here on a problem has a line for its reason and one for the app's last words.
const TALL: u16 = 20;
/// Below this, what is said of a lost daemon is short.
const NARROW: u16 = 76;
/// Below this there is one note.
const SHORT: u16 = 16;

/// A line above the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    text: String,
    role: Option<Role>,
}

/// What is wrong, or has just happened: the most important first.
pub(super) fn notes(model: &Model) -> Vec<Note> {
    let mut notes = Vec::new();
    if let Link::Lost(lost) = &model.link {
        notes.extend(lost_notes(model, lost));
    } else {
        if let Some(notice) = &model.notice {
            notes.push(Note { text: notice.text.clone(), role: Some(notice.role) });
        }
        problem(model, &mut notes);
    }
    let most = match model.height {
        height if height < SHORT => 1,
        height if height < TALL => 2,
        _ => 4,
    };
    notes.truncate(most);
    notes
}

fn lost_notes(model: &Model, lost: &Lost) -> [Note; 2] {
    let symbol = model.look.symbol(nexus_proto::Status::Errored);
    let said = match lost.heard {
        Some(heard) => {
            let clock = clock_ms(heard, &model.look.zone);
            let clock = clock.get(..8).unwrap_or(&clock);
            let since = seconds((model.now - heard).unsigned_abs());
            if model.width < NARROW {
                format!("{symbol} no answer; this is from {clock}")
            } else {
                format!(
                    "{symbol} nexusd has not answered for {since}. What is above is from {clock}."
                )
            }
        }
        None => format!("{symbol} {}", plain(&lost.why)),
    };
    let alive = match lost.alive {
        Some((alive, of)) => format!("{alive} of {of} processes live. "),
        None if lost.heard.is_some() => "Apps are not stopped by this. ".to_owned(),
        None => String::new(),
    };
    let again = match lost.again_at - model.now {
        ms if ms <= 0 => "trying now".to_owned(),
        ms => format!("again in {}", seconds(ms.unsigned_abs())),
    };
    let tried = match lost.tries {
        1 => "Tried once".to_owned(),
        tries => format!("Tried {tries} times"),
    };
    let next = if lost.killed {
        "Nobody looks after them: Enter brings nexusd back.".to_owned()
    } else {
        format!("{tried}, {again}.")
    };
    [
        Note { text: said, role: Some(Role::Bad) },
        Note { text: format!("  {alive}{next}"), role: None },
    ]
}

/// The selected app's problem, else the first one.
fn problem(model: &Model, notes: &mut Vec<Note>) {
    let selected = model.fleet.selected_app().filter(|app| app.trouble.is_some());
    let all = model.fleet.troubled().count();
    let Some(app) = selected.or_else(|| model.fleet.troubled().next()) else { return };
    let Some(trouble) = &app.trouble else { return };
    let symbol = model.look.symbol(app.status);
    let more = match all {
        0 | 1 => String::new(),
        all => format!("  (e: {} more)", all - 1),
    };
    let what = plain(&trouble.what);
    let role = Some(crate::look::role(app.status));
    let own = own_words(trouble);
    if model.height >= TALL {
        let room = usize::from(model.width.saturating_sub(2));
        let reason = wrapped(&format!("{symbol} {what}{more}"), room);
        notes.extend(reason.into_iter().map(|text| Note { text, role }));
        notes.extend(own.map(|line| Note { text: format!("  stderr: {line}"), role: None }));
    } else {
        let own = own.map(|line| format!("; {line}")).unwrap_or_default();
        notes.push(Note { text: format!("{symbol} {what}{own}{more}"), role });
    }
}

/// In one line or two, between words; what is longer is cut when it is drawn.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    if width(text) <= room {
        return vec![text.to_owned()];
    }
    let mut first = String::new();
    let mut words = text.split_inclusive(' ');
    let rest: String = loop {
        match words.next() {
            Some(word) if width(&first) + width(word.trim_end()) <= room => first.push_str(word),
            Some(word) => break std::iter::once(word).chain(words).collect(),
            None => break String::new(),
        }
    };
    match first.trim_end() {
        "" => vec![text.to_owned()],
        first => vec![first.to_owned(), format!("  {rest}")],
    }
}

fn own_words(trouble: &Trouble) -> Option<String> {
    last(&trouble.last_lines, 1).next().map(|line| line.trim_start().to_owned())
}

/// Draw it.
pub(super) fn footer(model: &Model, layout: &Layout, canvas: &mut Canvas<'_>) {
    let columns = canvas.area().width;
    if let Some(y) = layout.rule {
        let filter = model.fleet.filter();
        let said = match filter.typed() {
            "" => String::new(),
            typed => {
                let rows = count(model.fleet.len() as u64, "row");
                format!("/{typed}  {rows}, Esc clears")
            }
        };
        canvas.rule(0, y, columns, ("", Style::new()), &said);
    }
    for (y, note) in (layout.notes..layout.keys).zip(notes(model)) {
        let style = note.role.map_or(Style::new(), |role| canvas.style(role));
        canvas.text(1, y, columns.saturating_sub(2), &note.text, style);
    }
    if model.typing { typing(model, layout.keys, canvas) } else { keys(model, layout.keys, canvas) }
}

/// ` / text_   Enter keeps it  Esc clears it`.
fn typing(model: &Model, y: u16, canvas: &mut Canvas<'_>) {
    let in_log = model.whole_log || model.pane == Pane::Log;
    let filter = if in_log { model.logs.filter() } else { model.fleet.filter() };
    let help = "Enter keep  Esc clear  !word without";
    let width = canvas.area().width;
    let room = width.saturating_sub(columns(help) + 3).max(width / 2);
    // What is typed last must be seen: the beginning is left out.
    let typed = filter.typed();
    let mut from = 0;
    while columns(typed.get(from..).unwrap_or_default()) + 4 > room {
        from += typed.get(from..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
    }
    let field = format!("/ {}_", typed.get(from..).unwrap_or_default());
    let x = canvas.text(1, y, room, &field, canvas.style(Role::Bold)).max(room + 1);
    canvas.text(x, y, width.saturating_sub(x), help, canvas.style(Role::Off));
}

/// As many as fit, `q quit` always.
fn keys(model: &Model, y: u16, canvas: &mut Canvas<'_>) {
    let width = canvas.area().width;
    let quit = ("q", "quit");
    let mut left = width.saturating_sub(columns("q quit") + 2);
    let mut shown = Vec::new();
    for (key, word) in wanted_keys(model) {
        let takes = columns(key) + columns(word) + 3;
        if takes > left {
            break;
        }
        left -= takes;
        shown.push((key, word));
    }
    let mut x = 1;
    for (key, word) in shown.into_iter().chain([quit]) {
        x = canvas.text(x, y, width, key, canvas.style(Role::Bold)) + 1;
        x = canvas.text(x, y, width, word, Style::new()) + 2;
    }
}

/// From the most to the least important.
fn wanted_keys(model: &Model) -> Vec<(&'static str, &'static str)> {
    let mut keys = vec![("?", "help"), ("/", "filter")];
    if model.fleet.len() == 0 && !model.link.is_lost() && model.pane == Pane::Table {
        keys.push(("Tab", "log"));
        return keys;
    }
    match () {
        () if model.link.was_killed() => keys.insert(0, ("Enter", "bring back")),
        () if model.link.is_lost() => keys.insert(0, ("Enter", "try now")),
        () if model.whole_log || model.fleet.only().is_some() => keys.push(("Esc", "back")),
        () if model.pane == Pane::Log => keys.push(("Enter", "whole log")),
        () => keys.push(("Enter", "only this")),
    }
    keys.push(("Tab", if model.pane == Pane::Log { "table" } else { "log" }));
    if model.pane == Pane::Log || model.whole_log {
        keys.extend([("f", "follow"), ("w", "wrap"), ("o", "streams")]);
    } else {
        keys.extend([("a", "actions"), ("e", "next problem"), ("s", "sort")]);
    }
    keys
}
