//! What lies over the screen: the help, a menu, a question, a report.

use nexus_proto::AppView;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Modifier, Style};

use super::super::action::{Action, Deed};
use super::super::fleet::Key;
use super::super::keys::{BINDINGS, Group, in_ascii};
use super::super::model::{Model, Overlay};
use super::canvas::{Canvas, columns};
use crate::look::Role;
use crate::text::{own, pad};

/// The widest box.
const WIDTH_MAX: u16 = 78;

/// What the help lists at the left.
const LEFT: [(Group, &str); 2] = [(Group::Move, "MOVE"), (Group::Leave, "DO AND LEAVE")];
/// What the help lists at the right.
const RIGHT: [(Group, &str); 2] = [(Group::Look, "LOOK"), (Group::Logs, "LOG")];

/// A line in a box: pieces, each with its style.
type Said = Vec<(String, Style)>;

/// Draw it, if there is one.
pub(super) fn overlay(model: &Model, canvas: &mut Canvas<'_>) {
    let (title, hint, lines) = match &model.overlay {
        None => return,
        Some(Overlay::Help(top)) => {
            let lines = help(model, canvas);
            let more = usize::from(model.height.saturating_sub(2)) < lines.len();
            let hint = if more { "j k more  Esc close" } else { "Esc close" };
            ("Help".to_owned(), hint, lines.into_iter().skip(usize::from(*top)).collect())
        }
        Some(Overlay::Menu(key)) => (key.target(), "Esc cancel", menu(key, canvas)),
        Some(Overlay::Confirm { deed, yes }) => {
            let app = model.fleet.app(&deed.key.app);
            (deed.question(), "Esc cancel", confirm(deed, app, *yes, canvas))
        }
        Some(Overlay::Report { title, lines }) => {
            (title.clone(), "Esc close", lines.iter().map(|line| plain(&own(line))).collect())
        }
    };
    draw_box(&title, hint, &lines, canvas);
}

fn plain(text: &str) -> Said {
    vec![(text.to_owned(), Style::new())]
}

fn draw_box(title: &str, hint: &str, lines: &[Said], canvas: &mut Canvas<'_>) {
    let screen = canvas.area();
    let line_width = |line: &Said| line.iter().map(|(text, _)| columns(text)).sum::<u16>();
    let widest = lines.iter().map(line_width).max().unwrap_or(0);
    let title_width = columns(title) + columns(hint) + 6;
    let width = (widest.max(title_width) + 4).min(WIDTH_MAX).min(screen.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(screen.height);
    let x = (screen.width - width) / 2;
    let y = (screen.height - height) / 2;
    canvas.clear(Rect { x, y, width, height });
    let ascii = canvas.look.ascii;
    let (corners, side) =
        if ascii { (["+"; 4], "|") } else { (["┌", "┐", "└", "┘"], "│") };
    let [left_top, right_top, left_bottom, right_bottom] = corners;
    let dim = canvas.style(Role::Off);
    let bottom = y + height - 1;
    canvas.rule(x, y, width, (title, canvas.style(Role::Bold)), hint);
    canvas.rule(x, bottom, width, ("", Style::new()), "");
    for (at, row, corner) in [
        (x, y, left_top),
        (x + width - 1, y, right_top),
        (x, bottom, left_bottom),
        (x + width - 1, bottom, right_bottom),
    ] {
        canvas.text(at, row, 1, corner, dim);
    }
    for (row, line) in (y + 1..bottom).zip(lines.iter().map(Some).chain(std::iter::repeat(None))) {
        canvas.text(x, row, 1, side, dim);
        canvas.text(x + width - 1, row, 1, side, dim);
        let mut at = x + 2;
        for (text, style) in line.into_iter().flatten() {
            at = canvas.text(at, row, (x + width).saturating_sub(at + 2), text, *style);
        }
    }
}

/// How far the help can be scrolled.
pub(in crate::monit) fn help_end(model: &Model) -> u16 {
    let lines = u16::try_from(help_rows(model)).unwrap_or(u16::MAX);
    lines.saturating_sub(model.height.saturating_sub(2))
}

/// All keys, in two columns where there is room.
fn help(model: &Model, canvas: &Canvas<'_>) -> Vec<Said> {
    let (left, right) = (section(&LEFT, canvas), section(&RIGHT, canvas));
    let mut lines: Vec<Said> = if model.width >= WIDTH_MAX {
        let rows = left.len().max(right.len());
        let at = |side: &[(String, Style)], row: usize| {
            side.get(row).cloned().unwrap_or((String::new(), Style::new()))
        };
        let both = |row: usize| {
            let (text, style) = at(&left, row);
            vec![(pad(&text, 38, false), style), at(&right, row)]
        };
        (0..rows).map(both).collect()
    } else {
        left.into_iter().chain(right).map(|line| vec![line]).collect()
    };
    lines.push(Vec::new());
    lines.push(plain("No single key changes anything: an action asks first."));
    lines.push(plain("Esc never quits. A filter's !word leaves out what has it."));
    lines
}

/// How many lines that are.
fn help_rows(model: &Model) -> usize {
    let count = |groups: &[(Group, &str)]| {
        let of = |group| BINDINGS.iter().filter(|one| one.group == Some(group)).count() + 1;
        groups.iter().map(|(group, _)| of(*group)).sum::<usize>()
    };
    let (left, right) = (count(&LEFT), count(&RIGHT));
    3 + if model.width >= WIDTH_MAX { left.max(right) } else { left + right }
}

fn section(groups: &[(Group, &str)], canvas: &Canvas<'_>) -> Vec<(String, Style)> {
    let mut lines = Vec::new();
    for (group, title) in groups {
        lines.push(((*title).to_owned(), canvas.style(Role::Bold)));
        for one in BINDINGS.iter().filter(|one| one.group == Some(*group)) {
            let shown = if canvas.look.ascii { in_ascii(one.shown) } else { one.shown.to_owned() };
            lines.push((format!("{}  {}", pad(&shown, 9, false), one.help), Style::new()));
        }
    }
    lines
}

fn menu(key: &Key, canvas: &Canvas<'_>) -> Vec<Said> {
    let line = |(letter, action): (char, Action)| {
        let summary = format!("  {:<8} {}", action.verb(), action.summary());
        vec![(letter.to_string(), canvas.style(Role::Bold)), (summary, Style::new())]
    };
    let mut lines =
        vec![plain(&format!("What to do with {}? It asks before it acts.", key.target()))];
    lines.push(Vec::new());
    lines.extend(Action::ALL.map(line));
    lines
}

fn confirm(deed: &Deed, app: Option<&AppView>, yes: bool, canvas: &Canvas<'_>) -> Vec<Said> {
    let said = app.map(|app| deed.consequences(app)).unwrap_or_default();
    let mut lines: Vec<Said> = said.iter().map(|line| plain(line)).collect();
    let button = |text: String, chosen: bool| {
        let style = if chosen {
            Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
        } else {
            Style::new()
        };
        // Also without any style it must be seen which one Enter means.
        (if chosen { format!("[> {text} <]") } else { format!("[  {text}  ]") }, style)
    };
    lines.push(Vec::new());
    lines.push(vec![
        button("cancel".to_owned(), !yes),
        ("  ".to_owned(), Style::new()),
        button(deed.action.verb().to_owned(), yes),
        (format!("   Tab other  Enter do  y {}", deed.action.verb()), canvas.style(Role::Off)),
    ]);
    lines
}
