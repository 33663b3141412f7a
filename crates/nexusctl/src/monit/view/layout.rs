//! From the size of the terminal to places on it.

use ratatui_core::layout::Rect;

use super::super::model::Model;
use super::footer;

/// Below this the table makes no sense.
pub(super) const WIDTH_MIN: u16 = 40;
/// Below this the table makes no sense.
pub(super) const HEIGHT_MIN: u16 = 8;
/// From here on the figures of the selected app stand beside the table.
const WIDE: u16 = 120;
/// From here on there is a line between the log and what is below.
const RULED: u16 = 16;
/// Rows between header and footer from which on there is room for figures.
const TALL: u16 = 14;
/// From here on events are shown.
const VERY_TALL: u16 = 30;
/// Rows that the figures beside the table need.
const PANEL_MIN: u16 = 14;

/// Places on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::monit) struct Layout {
    /// Heading and rows.
    pub(super) table: Option<Rect>,
    /// Heading and figures of the selected app.
    pub(super) detail: Option<Rect>,
    /// Heading and events.
    pub(in crate::monit) events: Option<Rect>,
    /// Heading and lines.
    pub(super) log: Option<Rect>,
    /// The line above the footer.
    pub(super) rule: Option<u16>,
    /// The first row of the notes.
    pub(super) notes: u16,
    /// The row of the keys.
    pub(super) keys: u16,
}

impl Layout {
    /// What is left below the table: the log, and above it the events where there is much room.
    fn rest(&mut self, area: Rect, height: u16) {
        let events = if height >= VERY_TALL { 1 + (area.height / 4).clamp(2, 8) } else { 0 };
        self.events = (events > 0).then_some(Rect { height: events, ..area });
        self.log = Some(below(area, events));
    }

    /// Rows of the table.
    pub(in crate::monit) fn rows(&self) -> usize {
        self.table.map_or(0, |area| usize::from(area.height.saturating_sub(1)))
    }

    /// Lines of the log.
    pub(in crate::monit) fn log_lines(&self) -> usize {
        self.log.map_or(0, |area| usize::from(area.height.saturating_sub(1)))
    }
}

/// Where everything is; `None` = the terminal is too small for a table.
pub(in crate::monit) fn layout(model: &Model) -> Option<Layout> {
    let (width, height) = (model.width, model.height);
    if width < WIDTH_MIN || height < HEIGHT_MIN {
        return None;
    }
    let notes = u16::try_from(footer::notes(model).len()).unwrap_or(0);
    let keys = height - 1;
    let first_note = keys - notes;
    let rule = (height >= RULED).then(|| first_note - 1);
    // The header is the first row.
    let end = rule.unwrap_or(first_note);
    let body = Rect { x: 0, y: 1, width, height: end - 1 };
    let mut layout = Layout {
        table: None,
        detail: None,
        events: None,
        log: None,
        rule,
        notes: first_note,
        keys,
    };
    if model.whole_log {
        layout.log = Some(body);
        return Some(layout);
    }
    let rows = u16::try_from(model.fleet.len().max(4)).unwrap_or(u16::MAX);
    if width >= WIDE && body.height >= TALL + 4 {
        let table = rows.saturating_add(1).max(PANEL_MIN).min(body.height / 2);
        let detail = width * 3 / 8;
        layout.table = Some(Rect { width: width - detail - 1, height: table, ..body });
        layout.detail = Some(Rect { x: width - detail, width: detail, height: table, ..body });
        layout.rest(below(body, table), height);
        return Some(layout);
    }
    let charts = if model.fleet.only().is_some() { (body.height / 8).max(1) } else { 1 };
    let some = model.fleet.selected().is_some();
    let strip = if some && body.height >= TALL { 1 + 2 * charts } else { 0 };
    let left = body.height - strip;
    let table = rows.saturating_add(1).min(left - (left / 2).clamp(2, 8));
    layout.table = Some(Rect { height: table, ..body });
    let rest = below(body, table);
    layout.detail = (strip > 0).then_some(Rect { height: strip, ..rest });
    layout.rest(below(rest, strip), height);
    Some(layout)
}

/// What is left of an area below its first rows.
fn below(area: Rect, rows: u16) -> Rect {
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}
