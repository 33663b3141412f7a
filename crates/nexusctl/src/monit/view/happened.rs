//! The last events, the youngest at the bottom.

use nexus_proto::EventView;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use super::super::model::Model;
use super::canvas::{Canvas, columns};
use crate::look::Role;
use crate::text::{cut_middle, pad, plain};
use crate::view::{clock, event_role, event_subject};

/// `11-23 14:02:30`.
const TIME: u16 = 14;
/// `api/2`.
const SUBJECT: usize = 20;
/// `exit`.
const KIND: usize = 9;
/// From here on it is said who asked.
const WIDE: u16 = 120;
/// `deploy(1001)`.
const BY: u16 = 16;

/// Heading and events.
pub(super) fn happened(model: &Model, area: Rect, canvas: &mut Canvas<'_>) {
    let style = canvas.style(Role::Off);
    let title = match model.fleet.only() {
        Some(only) => format!("events: {only}"),
        None => "events".to_owned(),
    };
    canvas.rule(area.x, area.y, area.width, (&title, style), "");
    let rows = usize::from(area.height.saturating_sub(1));
    let last = model.events.get(model.events.len().saturating_sub(rows)..).unwrap_or_default();
    if last.is_empty() {
        canvas.text(2, area.y + 1, area.width, "nothing has happened yet", style);
    }
    for (y, event) in (area.y + 1..area.bottom()).zip(last) {
        draw(model, event, Rect { y, height: 1, ..area }, canvas);
    }
}

fn draw(model: &Model, event: &EventView, area: Rect, canvas: &mut Canvas<'_>) {
    let dim = canvas.style(Role::Off);
    let today = model.fleet.snapshot().map(|snapshot| snapshot.generated_at.as_str());
    let time = clock(&event.at, today, &model.look.zone);
    canvas.text(area.x, area.y, TIME, &pad(&time, usize::from(TIME), true), dim);
    let mut x = area.x + TIME + 1;
    let subject = cut_middle(&event_subject(event), SUBJECT, canvas.look);
    x = canvas.text(x, area.y, area.width, &pad(&subject, SUBJECT, false), Style::new()) + 1;
    let role = event_role(&event.kind).map_or(Style::new(), |role| canvas.style(role));
    let kind = pad(&plain(&event.kind), KIND, false);
    x = canvas.text(x, area.y, area.right().saturating_sub(x), &kind, role) + 1;
    let by = plain(&event.by);
    let room = if area.width >= WIDE { BY + 1 } else { 0 };
    let left = area.right().saturating_sub(x + room);
    canvas.text(x, area.y, left, &plain(&event.detail), Style::new());
    if room > 0 {
        let at = area.right().saturating_sub(columns(&by).min(BY) + 1);
        canvas.text(at, area.y, BY, &by, dim);
    }
}
