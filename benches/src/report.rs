//! Measures beside the bare limit, with ratios and goals.

use crate::Fault;
use crate::table::{Table, shown};

/// What a measure should be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// Times the limit.
    AtMostTimes(f64),
    /// Times the limit.
    AtLeastTimes(f64),
    /// In the measure's own unit.
    AtMost(f64),
    /// It is shown, and judged by no number.
    None,
}

/// Everything that was measured.
pub(crate) struct Report {
    table: Table,
    missed: Vec<String>,
}

impl Report {
    /// Nothing yet.
    pub(crate) fn new() -> Report {
        let table = Table::new(&["measure", "limit", "nexus", "ratio", "goal", "met"]);
        Report { table, missed: Vec::new() }
    }

    /// A measure: the limit's value, ours, and the goal.
    pub(crate) fn add(
        &mut self,
        what: &str,
        unit: &str,
        limit: Option<f64>,
        nexus: Option<f64>,
        goal: Goal,
    ) {
        let ratio = limit.zip(nexus).map(|(limit, nexus)| nexus / limit);
        let (wish, met) = match goal {
            Goal::AtMostTimes(most) => (format!("≤ {most} ×"), ratio.map(|ratio| ratio <= most)),
            Goal::AtLeastTimes(least) => {
                (format!("≥ {least} ×"), ratio.map(|ratio| ratio >= least))
            }
            Goal::AtMost(most) => (format!("≤ {most} {unit}"), nexus.map(|nexus| nexus <= most)),
            Goal::None => (String::new(), None),
        };
        let met = met.map_or("", |met| if met { "yes" } else { "no" });
        self.table.row(vec![
            what.to_owned(),
            shown(limit, unit),
            shown(nexus, unit),
            shown(ratio, "×"),
            wish,
            met.to_owned(),
        ]);
    }

    /// A sentence below the table.
    pub(crate) fn note(&mut self, note: String) {
        self.table.note(note);
    }

    /// A part that could not be measured.
    pub(crate) fn miss(&mut self, part: &str, problem: Fault) {
        self.missed.push(format!("{part} was not measured: {problem}"));
    }

    /// All parts that could not be measured.
    pub(crate) fn missing(&self) -> Option<Fault> {
        (!self.missed.is_empty()).then(|| self.missed.join("\n"))
    }

    /// The table and the machine, as Markdown.
    pub(crate) fn text(&self) -> String {
        self.table.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_held_against_its_goal() {
        let mut report = Report::new();
        report.add("x", "ms", Some(2.0), Some(2.2), Goal::AtMostTimes(1.15));
        report.add("y", "MB/s", Some(100.0), Some(80.0), Goal::AtLeastTimes(0.9));
        report.add("z", "ms", Some(0.7), None, Goal::AtMost(2.0));
        let text = report.text();
        assert!(text.contains("| x | 2.00 ms | 2.20 ms | 1.10 × | ≤ 1.15 × | yes |"), "{text}");
        assert!(text.contains("| y | 100.00 MB/s | 80.00 MB/s | 0.80 × | ≥ 0.9 × | no |"));
        assert!(text.contains("| z | 0.70 ms | – | – | ≤ 2 ms |  |"));
    }
}
