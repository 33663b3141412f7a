//! Apps and their instances; or what to do when there are none.

use ratatui_core::layout::Rect;
use ratatui_core::style::{Modifier, Style};

use super::super::fleet::{Shown, Sort};
use super::super::model::{Model, Pane};
use super::canvas::{Canvas, columns as width_of};
use super::columns::{Column, GAP, MARK, fitting};
use crate::look::Role;
use crate::text::{cut_middle, pad};

/// Heading and rows.
pub(super) fn table(model: &Model, area: Rect, canvas: &mut Canvas<'_>) {
    let (name, columns) = fitting(area.width, model.fleet.name_width());
    let mut rows = model.fleet.shown(usize::from(area.height.saturating_sub(1))).peekable();
    if rows.peek().is_none() {
        return nothing(model, area, canvas);
    }
    heading(model, area, name, &columns, canvas);
    for (y, row) in (area.y + 1..area.bottom()).zip(rows) {
        draw_row(model, &row, Rect { y, height: 1, ..area }, name, &columns, canvas);
    }
}

fn heading(model: &Model, area: Rect, name: u16, columns: &[Column], canvas: &mut Canvas<'_>) {
    let style = canvas.style(if model.pane == Pane::Table { Role::Bold } else { Role::Off });
    let arrow = if canvas.look.ascii { " v" } else { "▾" };
    let sorted = |column: Option<Column>| match model.fleet.sort() {
        Sort::Name => column.is_none(),
        Sort::Cpu => column == Some(Column::Cpu),
        Sort::Memory => column == Some(Column::Memory),
        Sort::Restarts => column == Some(Column::Restarts),
    };
    let title = |text: &str, column| format!("{text}{}", if sorted(column) { arrow } else { "" });
    canvas.text(area.x + MARK, area.y, name, &title("NAME", None), style);
    let mut x = area.x + MARK + name;
    for column in columns {
        let text =
            pad(&title(column.title(), Some(*column)), usize::from(column.width()), column.right());
        x += GAP;
        canvas.text(x, area.y, column.width(), &text, style);
        x += column.width();
    }
}

fn draw_row(
    model: &Model,
    row: &Shown<'_>,
    area: Rect,
    name: u16,
    columns: &[Column],
    canvas: &mut Canvas<'_>,
) {
    let old = model.link.is_lost();
    let plain = if old { canvas.style(Role::Off) } else { Style::new() };
    if row.selected {
        let mark = if canvas.look.ascii { ">" } else { "▸" };
        canvas.text(area.x, area.y, MARK, mark, Style::new());
    }
    let label = match row.instance {
        Some(one) => {
            let pid = one.pid.filter(|_| !columns.contains(&Column::Pid));
            let pid = pid.map(|pid| format!("  {pid}")).unwrap_or_default();
            format!("  /{}{pid}", one.instance)
        }
        None => row.app.name.to_string(),
    };
    let label = cut_middle(&label, usize::from(name), canvas.look);
    canvas.text(area.x + MARK, area.y, name, &label, plain);
    let mut x = area.x + MARK + name;
    for column in columns {
        x += GAP;
        let (text, style) = cell(*column, row, old, canvas);
        let text = pad(&text, usize::from(column.width()), column.right());
        canvas.text(x, area.y, column.width(), &text, style.unwrap_or(plain));
        x += column.width();
    }
    if row.selected && model.pane == Pane::Table {
        canvas.over(area, Style::new().add_modifier(Modifier::REVERSED));
    }
}

/// What nobody tells any more is not shown as if it were known.
fn cell(
    column: Column,
    row: &Shown<'_>,
    old: bool,
    canvas: &Canvas<'_>,
) -> (String, Option<Style>) {
    match (column, old) {
        (Column::Status, true) => ("? unknown".to_owned(), Some(canvas.unknown())),
        (Column::Symbol, true) => ("?".to_owned(), Some(canvas.unknown())),
        (
            Column::Status
            | Column::Symbol
            | Column::Instances
            | Column::Cpu
            | Column::Memory
            | Column::Restarts
            | Column::Uptime
            | Column::Pid
            | Column::Listen
            | Column::LastExit,
            _,
        ) => {
            let (text, role) = column.cell(row, canvas.look);
            (text, role.filter(|_| !old).map(|role| canvas.style(role)))
        }
    }
}

/// No rows: why, and what to do.
fn nothing(model: &Model, area: Rect, canvas: &mut Canvas<'_>) {
    let filter = model.fleet.filter().typed();
    let commands = [
        ("Start one now", "nexusctl start server.js --name api -i 4"),
        ("From a file", "nexusctl start    (reads ./ecosystem.toml)"),
    ];
    let (said, help): (String, &[(&str, &str)]) = match model.fleet.snapshot() {
        None if model.link.is_lost() => (format!("No daemon runs for {}.", model.home), &commands),
        None => ("Asking nexusd…".replace('…', canvas.look.ellipsis()), &[]),
        Some(snapshot) if snapshot.apps.is_empty() => ("No apps yet.".to_owned(), &commands),
        Some(_) => (format!("No app has `{filter}`. Esc clears the filter."), &[]),
    };
    canvas.text(area.x + MARK, area.y, area.width - MARK, &said, canvas.style(Role::Bold));
    for (at, (label, command)) in (1..).zip(help).take_while(|(at, _)| *at + 1 < area.height) {
        let label = format!("{label:<13}  ");
        let y = area.y + at + 1;
        let x = canvas.text(area.x + MARK, y, area.width, &label, Style::new());
        let room = (area.width + area.x).saturating_sub(x).min(width_of(command));
        canvas.text(x, y, room, command, canvas.style(Role::Note));
    }
}
