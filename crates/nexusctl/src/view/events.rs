//! `events`: what happened, when, and who asked for it.

use jiff::tz::TimeZone;
use nexus_proto::EventView;

use super::clock::clock;
use super::table::{Cell, Column, Flex, Page, Table};
use crate::look::{Look, Role};
use crate::text::{pad, plain};

/// Columns of a line that comes alone: app and kind.
const APP_WIDTH: usize = 16;
const KIND_WIDTH: usize = 10;

/// A table, oldest first. `today` is the moment of the answer.
pub(crate) fn events(events: &[EventView], today: &str, look: &Look) -> Page {
    let mut table = Table::default();
    let mut add = |column: Column, cell: &dyn Fn(&EventView) -> Cell| {
        table.column(column, events.iter().map(cell));
    };
    add(Column::left("TIME", 0), &|event| Cell::new(time(event, Some(today), &look.zone)));
    add(Column::flexible("APP", 1, Flex::Middle), &|event| Cell::new(event_subject(event)));
    add(Column::left("EVENT", 2), &|event| kind(event));
    add(Column::flexible("DETAIL", 3, Flex::End), &|event| Cell::new(plain(&event.detail)));
    add(Column::left("BY", 4), &|event| Cell::new(by(event)));
    table.render(look)
}

/// One event of a stream, with its line end.
pub(crate) fn event_line(event: &EventView, look: &Look) -> String {
    let role = event_role(&event.kind);
    let kind = pad(&plain(&event.kind), KIND_WIDTH, false);
    format!(
        "{}  {}  {}  {}  {}\n",
        time(event, None, &look.zone),
        pad(&event_subject(event), APP_WIDTH, false),
        role.map_or(kind.clone(), |role| look.paint(role, &kind)),
        plain(&event.detail),
        look.paint(Role::Off, &by(event)),
    )
}

/// `api/2`, `api`, or the daemon itself.
pub(crate) fn event_subject(event: &EventView) -> String {
    match (&event.app, event.instance) {
        (Some(app), Some(instance)) => format!("{app}/{instance}"),
        (Some(app), None) => app.to_string(),
        (None, _) => "nexusd".to_owned(),
    }
}

/// Who asked, and by which process where that is known: `alice(1000) curl[4711]`.
fn by(event: &EventView) -> String {
    let process = event.actor.as_ref().map(|actor| match actor.pid {
        Some(pid) => format!(" {}[{pid}]", actor.comm),
        None => format!(" {}", actor.comm),
    });
    plain(&(event.by.clone() + process.as_deref().unwrap_or_default())).trim_end().to_owned()
}

fn time(event: &EventView, today: Option<&str>, zone: &TimeZone) -> String {
    clock(&event.at, today, zone)
}

fn kind(event: &EventView) -> Cell {
    let cell = Cell::new(plain(&event.kind));
    match event_role(&event.kind) {
        Some(role) => cell.role(role),
        None => cell,
    }
}

/// What a kind of event means.
pub(crate) fn event_role(kind: &str) -> Option<Role> {
    match kind {
        "exit" | "errored" | "killed" | "refused" => Some(Role::Bad),
        "ready" | "built" => Some(Role::Good),
        "start" | "build" | "stop" => Some(Role::Busy),
        _ => None,
    }
}
