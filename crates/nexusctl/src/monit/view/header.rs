//! The first line: host, how many are up, CPU and memory of all, clock, connection.

use nexus_proto::{Snapshot, Status};
use ratatui_core::style::Style;

use super::super::link::Link;
use super::super::model::Model;
use super::canvas::{Canvas, columns};
use super::layout::{HEIGHT_MIN, WIDTH_MIN};
use crate::human::{count, seconds, share, size, span};
use crate::look::Role;
use crate::text::plain;
use crate::view::clock_ms;

/// The line.
pub(super) fn header(model: &Model, canvas: &mut Canvas<'_>) {
    let width = canvas.area().width;
    let state = connection(model, canvas);
    let clock = clock(model);
    let right = columns(&state.0) + 1;
    let with_clock = right + columns(&clock);
    let groups = groups(model, canvas);
    // The clock gives way before the first group does, the connection never.
    let first = groups.first().map_or(0, |group| group_width(group));
    let room = if first + with_clock < width { with_clock } else { right };
    let mut x = 1;
    let bar = format!(" {} ", canvas.bar());
    for (at, group) in groups.iter().enumerate() {
        let needs = group_width(group) + if at > 0 { columns(&bar) } else { 0 };
        if at > 0 && x + needs + room + 1 >= width {
            break;
        }
        if at > 0 {
            x = canvas.text(x, 0, width, &bar, canvas.style(Role::Off));
        }
        for (text, style) in group {
            let room = width.saturating_sub(room + x);
            x = canvas.text(x, 0, room, text, *style);
        }
    }
    if room == with_clock {
        let at = width - with_clock;
        canvas.text(at, 0, width, &clock, Style::new());
    }
    canvas.text(width.saturating_sub(right), 0, right, &state.0, state.1);
}

/// Too small for more than one line.
pub(super) fn tiny(model: &Model, canvas: &mut Canvas<'_>) {
    let width = canvas.area().width;
    let state = connection(model, canvas);
    let x = canvas.text(0, 0, width, &state.0, state.1);
    if let Some(snapshot) = model.fleet.snapshot() {
        let mut x = canvas.text(x, 0, width, " ", Style::new());
        for (text, style) in counts(snapshot, canvas) {
            x = canvas.text(x, 0, width.saturating_sub(x), &text, style);
        }
    }
    let size = format!("{}x{}", model.width, model.height);
    let said = format!("{size} is too small for the table; {WIDTH_MIN}x{HEIGHT_MIN} shows it");
    canvas.text(0, 1, width, &said, canvas.style(Role::Off));
    canvas.text(0, 2, width, "q quit", canvas.style(Role::Off));
}

type Piece = (String, Style);

fn group_width(group: &[Piece]) -> u16 {
    group.iter().map(|(text, _)| columns(text)).sum()
}

/// From the most to the least important.
fn groups(model: &Model, canvas: &Canvas<'_>) -> Vec<Vec<Piece>> {
    let bold = canvas.style(Role::Bold);
    let Some(snapshot) = model.fleet.snapshot() else {
        return vec![vec![(format!("nexus {}", model.home), bold)]];
    };
    let wide = canvas.area().width >= 120;
    let mut groups = vec![vec![(format!("nexus {}", plain(&snapshot.host.name)), bold)]];
    let mut up = counts(snapshot, canvas);
    if wide {
        let apps = count(snapshot.apps.len() as u64, "app");
        up.insert(0, (format!("{apps}  "), Style::new()));
    }
    groups.push(up);
    let host = &snapshot.host;
    let memory: u64 = snapshot.apps.iter().filter_map(|app| app.memory_bytes).sum();
    let cpu = snapshot.apps.iter().filter_map(|app| app.cpu_percent).reduce(|a, b| a + b);
    let cpu = cpu.map(|cpu| {
        let of = if wide { format!(" of {}%", u32::from(host.cpus) * 100) } else { String::new() };
        format!("cpu {}{of}  ", share(cpu))
    });
    let of = if wide { format!(" of {}", size(host.memory_total_bytes)) } else { String::new() };
    let figures = format!("{}mem {}{of}", cpu.unwrap_or_default(), size(memory));
    groups.push(vec![(figures, Style::new())]);
    if wide {
        let load = format!("load {:.1}", host.load_1m);
        groups.push(vec![(load, Style::new())]);
        let daemon = &snapshot.daemon;
        let version = plain(&daemon.version);
        let said = format!("nexusd {version} up {}", span(daemon.pair_uptime_ms));
        groups.push(vec![(said, Style::new())]);
    }
    groups
}

/// `9/12 up  ✗ 1  ◐ 1`.
fn counts(snapshot: &Snapshot, canvas: &Canvas<'_>) -> Vec<Piece> {
    let (mut up, mut wanted, mut bad, mut busy) = (0_u32, 0_u32, 0_u32, 0_u32);
    for app in &snapshot.apps {
        up += u32::from(app.ready);
        wanted += u32::from(app.wanted);
        for one in &app.instances {
            match one.status {
                Status::Backoff | Status::Errored => bad += 1,
                Status::Building
                | Status::Waiting
                | Status::Starting
                | Status::Stopping
                | Status::Partial => {
                    busy += 1;
                }
                Status::Online | Status::Scheduled | Status::Stopped => {}
            }
        }
    }
    let mut pieces = vec![(format!("{up}/{wanted} up"), Style::new())];
    for (number, status, role) in
        [(bad, Status::Errored, Role::Bad), (busy, Status::Starting, Role::Busy)]
    {
        if number > 0 {
            let symbol = canvas.look.symbol(status);
            pieces.push((format!("  {symbol} {number}"), canvas.style(role)));
        }
    }
    pieces
}

/// `● live`, `✗ LOST 12s`.
fn connection(model: &Model, canvas: &Canvas<'_>) -> Piece {
    let look = canvas.look;
    match (&model.link, model.link.slow(model.now)) {
        (Link::Connecting, _) => {
            (format!("{} connecting", look.symbol(Status::Starting)), canvas.style(Role::Busy))
        }
        (Link::Live { .. }, None) => {
            (format!("{} live", look.symbol(Status::Online)), canvas.style(Role::Good))
        }
        (Link::Live { .. }, Some(seconds)) => {
            let said = format!("{} slow {seconds}s", look.symbol(Status::Starting));
            (said, canvas.style(Role::Busy))
        }
        (Link::Lost(lost), _) => {
            let age = lost.heard.map(|at| (model.now - at).unsigned_abs());
            let symbol = look.symbol(Status::Errored);
            let said = match age {
                Some(age) => format!("{symbol} LOST {}", seconds(age)),
                None => format!("{symbol} no daemon"),
            };
            (said, canvas.style(Role::Bad))
        }
    }
}

/// `14:02:30 `.
fn clock(model: &Model) -> String {
    let text = clock_ms(model.now, &model.look.zone);
    format!("{} ", text.get(..8).unwrap_or(&text))
}
