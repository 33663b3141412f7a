//! The columns of the table: which fit, and what is in them. Widths are fixed, so that no row but
//! those on the screen is looked at.

use super::super::fleet::Shown;
use crate::human::{share, size, span};
use crate::look::{Look, Role, role, word};
use crate::text::plain;
use crate::view::exit_of;

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Instances,
    Status,
    Symbol,
    Cpu,
    Memory,
    Restarts,
    Uptime,
    Pid,
    Listen,
    LastExit,
}

/// Between two columns.
pub(super) const GAP: u16 = 2;
/// Mark of the selected row.
pub(super) const MARK: u16 = 2;
/// The narrowest name.
const NAME_MIN: u16 = 12;
/// Names up to this width are shown whole before less important columns are.
const NAME_GOOD: u16 = 24;
/// Below this width a state is its symbol alone.
const NARROW: u16 = 60;

/// In the order of importance.
const WIDE_ORDER: [Column; 9] = [
    Column::Status,
    Column::Cpu,
    Column::Memory,
    Column::Restarts,
    Column::Instances,
    Column::Uptime,
    Column::Pid,
    Column::LastExit,
    Column::Listen,
];
const NARROW_ORDER: [Column; 6] = [
    Column::Symbol,
    Column::Cpu,
    Column::Memory,
    Column::Restarts,
    Column::Instances,
    Column::Uptime,
];
/// From left to right.
const PLACES: [Column; 10] = [
    Column::Instances,
    Column::Symbol,
    Column::Status,
    Column::Cpu,
    Column::Memory,
    Column::Restarts,
    Column::Uptime,
    Column::Pid,
    Column::LastExit,
    Column::Listen,
];

impl Column {
    /// Its heading.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Column::Instances => "INST",
            Column::Status => "STATUS",
            Column::Symbol => "ST",
            Column::Cpu => "CPU",
            Column::Memory => "MEM",
            Column::Restarts => "RST",
            Column::Uptime => "UPTIME",
            Column::Pid => "PID",
            Column::Listen => "LISTEN",
            Column::LastExit => "LAST EXIT",
        }
    }

    /// Columns of text.
    pub(super) const fn width(self) -> u16 {
        match self {
            Column::Symbol => 2,
            Column::Cpu | Column::Restarts => 5,
            Column::Instances => 7,
            Column::Memory | Column::Uptime | Column::Pid => 8,
            Column::Status => 10,
            Column::Listen => 18,
            Column::LastExit => 22,
        }
    }

    /// Numbers stand at the right, words at the left.
    pub(super) const fn right(self) -> bool {
        match self {
            Column::Cpu | Column::Memory | Column::Restarts | Column::Uptime | Column::Pid => true,
            Column::Instances
            | Column::Status
            | Column::Symbol
            | Column::Listen
            | Column::LastExit => false,
        }
    }

    /// What is in it, and what that means.
    pub(super) fn cell(self, row: &Shown<'_>, look: &Look) -> (String, Option<Role>) {
        let (app, one) = (row.app, row.instance);
        let status = one.map_or(app.status, |one| one.status);
        let text = match self {
            Column::Instances => match one {
                Some(_) => return (String::new(), None),
                None => format!("{}/{}", app.ready, app.wanted),
            },
            Column::Status => {
                let text = format!("{} {}", look.symbol(status), word(status));
                return (text, Some(role(status)));
            }
            Column::Symbol => return (look.symbol(status).to_owned(), Some(role(status))),
            Column::Cpu => {
                let cpu = one.map_or(app.cpu_percent, |one| one.cpu_percent);
                cpu.map(share).unwrap_or_default()
            }
            Column::Memory => {
                let bytes = one.map_or(app.memory_bytes, |one| one.memory_bytes);
                bytes.map(size).unwrap_or_default()
            }
            Column::Restarts => one.map_or(app.restarts, |one| one.restarts).to_string(),
            Column::Uptime => {
                let ms = one.map_or(app.uptime_ms, |one| one.uptime_ms);
                ms.map(span).unwrap_or_default()
            }
            Column::Pid => match (one, app.instances.as_slice()) {
                (Some(one), _) | (None, [one]) => one.pid.map(|pid| pid.to_string()),
                (None, _) => None,
            }
            .unwrap_or_default(),
            Column::Listen => match (one, app.listen.as_slice()) {
                (None, [first]) => short(first),
                (None, [first, more @ ..]) => format!("{} +{}", short(first), more.len()),
                (Some(_), _) | (None, []) => String::new(),
            },
            Column::LastExit => match (one, app.instances.as_slice()) {
                (Some(one), _) | (None, [one]) => exit_of(one),
                (None, _) => String::new(),
            },
        };
        (if text.is_empty() { "-".to_owned() } else { text }, None)
    }
}

/// The columns that fit, from left to right, and the width of the name.
pub(super) fn fitting(width: u16, longest_name: usize) -> (u16, Vec<Column>) {
    let longest = u16::try_from(longest_name).unwrap_or(u16::MAX);
    let order: &[Column] = if width < NARROW { &NARROW_ORDER } else { &WIDE_ORDER };
    let mut left = width.saturating_sub(MARK);
    let mut chosen = Vec::new();
    for column in order {
        let name = if chosen.len() < 6 { NAME_MIN } else { longest.clamp(NAME_MIN, NAME_GOOD) };
        let takes = column.width() + GAP;
        if left < name + takes {
            break;
        }
        left -= takes;
        chosen.push(*column);
    }
    let places = PLACES.into_iter().filter(|column| chosen.contains(column)).collect();
    // Room that no name needs is left at the right, but for the usual width of a name.
    (left.min(longest.max(NAME_GOOD)), places)
}

fn short(address: &str) -> String {
    plain(address.strip_prefix("tcp://").unwrap_or(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_by_rank_and_never_squeeze() {
        for width in 40..300 {
            for longest in [3, 20, 64] {
                let (name, columns) = fitting(width, longest);
                let used: u16 = columns.iter().map(|column| column.width() + GAP).sum();
                assert!(MARK + name + used <= width && name >= NAME_MIN, "{width} {longest}");
                assert!(columns.len() >= 3, "{width}");
            }
        }
        let titles = |width| fitting(width, 14).1.iter().map(|one| one.title()).collect::<Vec<_>>();
        assert_eq!(titles(50), ["ST", "CPU", "MEM", "RST"]);
        assert_eq!(titles(80), ["INST", "STATUS", "CPU", "MEM", "RST", "UPTIME"]);
        assert_eq!(titles(160).len(), 9);
    }
}
