//! The selected app: CPU and memory of the last minutes; beside a wide table also what it is.

use nexus_proto::AppView;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use super::super::model::Model;
use super::canvas::{Canvas, columns};
use super::chart::chart;
use crate::human::{count, share, size, span};
use crate::look::Role;
use crate::text::plain;

/// The smallest top of the CPU's chart, in percent: noise must not look like load.
const CPU_TOP_MIN: f64 = 10.0;
/// Columns of a figure beside its chart.
const FIGURE: u16 = 9;

/// The area below the table, or beside it.
pub(super) fn detail(model: &Model, area: Rect, canvas: &mut Canvas<'_>) {
    let beside = area.x > 0;
    if beside {
        for y in area.top()..area.bottom() {
            canvas.text(area.x - 1, y, 1, canvas.bar(), canvas.style(Role::Off));
        }
    }
    let Some(app) = model.fleet.selected_app() else {
        return canvas.rule(area.x, area.y, area.width, ("", Style::new()), "");
    };
    let style = canvas.style(Role::Bold);
    let title = format!("{} · {}", app.name, count(app.instances.len() as u64, "instance"));
    let title = if canvas.look.ascii { title.replace('·', "-") } else { title };
    canvas.rule(area.x, area.y, area.width, (&title, style), &past(model));
    let facts = if beside { facts(app) } else { Vec::new() };
    let inside = area.height.saturating_sub(1);
    let shown = inside.saturating_sub(4).min(u16::try_from(facts.len()).unwrap_or(0));
    let charts = inside - shown;
    let cpu = charts / 2;
    let below = Rect { y: area.y + 1, height: cpu, ..area };
    draw(&cpu_of(model, app), below, canvas);
    draw(&memory_of(model, app), Rect { y: below.bottom(), height: charts - cpu, ..area }, canvas);
    for (y, (label, text)) in (area.y + 1 + charts..area.bottom()).zip(&facts) {
        let label = format!(" {label:<8} ");
        let x = canvas.text(area.x, y, area.width, &label, canvas.style(Role::Off));
        canvas.text(x, y, area.right().saturating_sub(x), text, Style::new());
    }
}

/// How far back the charts go.
fn past(model: &Model) -> String {
    match &model.history {
        Some(history) => {
            let points = history.cpu_percent.len().max(history.memory_bytes.len()) as u64;
            format!("last {}", span(points * history.step_ms).replace(" 0s", ""))
        }
        None => String::new(),
    }
}

/// One figure and its past.
struct Figure {
    label: &'static str,
    values: Vec<Option<f64>>,
    now: String,
    top: f64,
    top_text: String,
}

fn cpu_of(model: &Model, app: &AppView) -> Figure {
    let values = model.history.as_ref().map(|one| one.cpu_percent.clone()).unwrap_or_default();
    let top = greatest(&values).max(CPU_TOP_MIN);
    let now = app.cpu_percent.map_or("-".to_owned(), share);
    Figure { label: "cpu", values, now, top, top_text: share(top) }
}

fn memory_of(model: &Model, app: &AppView) -> Figure {
    let bytes = model.history.as_ref().map(|one| one.memory_bytes.as_slice()).unwrap_or_default();
    let values: Vec<Option<f64>> =
        bytes.iter().map(|bytes| bytes.map(|bytes| bytes as f64)).collect();
    let top = greatest(&values);
    let most = bytes.iter().flatten().copied().max().unwrap_or(0);
    let now = app.memory_bytes.map_or("-".to_owned(), size);
    Figure { label: "mem", values, now, top, top_text: size(most) }
}

fn greatest(values: &[Option<f64>]) -> f64 {
    values.iter().flatten().copied().fold(0.0, f64::max)
}

/// ` cpu ▃▂▄▂▃ 38%`; with more than one row, the top of the scale above the figure.
fn draw(figure: &Figure, area: Rect, canvas: &mut Canvas<'_>) {
    let label = format!(" {} ", figure.label);
    let room = area.width.saturating_sub(columns(&label) + FIGURE + 1);
    if area.height == 0 {
        return;
    }
    let bottom = area.bottom() - 1;
    canvas.text(area.x, bottom, area.width, &label, canvas.style(Role::Off));
    let x = area.x + columns(&label);
    let lines = chart(
        &figure.values,
        usize::from(room),
        usize::from(area.height),
        figure.top,
        canvas.look.ascii,
    );
    for (y, line) in (area.y..).zip(&lines) {
        canvas.text(x, y, room, line, canvas.style(Role::Note));
    }
    canvas.text(x + room + 1, bottom, FIGURE, &figure.now, canvas.style(Role::Bold));
    if area.height > 2 && figure.values.iter().any(Option::is_some) {
        canvas.text(x + room + 1, area.y, FIGURE, &figure.top_text, canvas.style(Role::Off));
    }
}

/// What it is, as far as there is room.
fn facts(app: &AppView) -> Vec<(&'static str, String)> {
    let mut facts = vec![("runs", plain(&app.command.join(" ")))];
    let mut add = |label, text: String| {
        if !text.is_empty() {
            facts.push((label, text));
        }
    };
    add("listen", plain(&app.listen.join(", ")));
    add("cwd", plain(&app.cwd));
    add("from", plain(app.source.as_deref().unwrap_or_default()));
    add("ready", plain(&app.ready_when));
    add("restart", plain(&app.restart_policy));
    facts
}
