//! The last quarter of an hour of each app, in rings of bounded size.

use std::collections::{HashMap, VecDeque};

use nexus_proto::History;
use nexus_spec::Name;

use super::Figures;
use crate::stat::page_bytes;

/// How far back.
const SPAN_MS: u64 = 15 * 60 * 1_000;
/// One point each five seconds: a graph has no more columns.
const STEP_MS: u64 = 5_000;
/// Beyond this many apps a point covers three steps: at most 16,384 apps × 60 points × 8 bytes.
const FINE_MAX: usize = 1_024;
const COARSE: u64 = 3;

/// One app at one step: small, as there are many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Point {
    /// Negative = unknown.
    cpu_percent: f32,
    /// 0 = unknown: nothing lives without a page.
    pages: u32,
}

const UNKNOWN: Point = Point { cpu_percent: -1.0, pages: 0 };

/// All apps' rings. A step's number is the boot clock divided by its length.
pub(super) struct Rings {
    step_ms: u64,
    rings: HashMap<Name, Ring>,
}

struct Ring {
    points: VecDeque<Point>,
    /// The number of the newest point.
    newest: u64,
}

impl Default for Rings {
    fn default() -> Rings {
        Rings { step_ms: STEP_MS, rings: HashMap::new() }
    }
}

impl Rings {
    /// The step that a moment belongs to.
    pub(super) fn step(&self, now_ms: u64) -> u64 {
        now_ms / self.step_ms
    }

    /// Add what the apps use at this step. Rings in which nothing is left are let go.
    pub(super) fn add(&mut self, step: u64, apps: HashMap<Name, Figures>) {
        let kept = SPAN_MS / self.step_ms;
        for (app, figures) in apps {
            let ring = self.rings.entry(app).or_insert_with(|| Ring::new(step, kept));
            ring.add(step, &figures, kept);
        }
        self.rings.retain(|_, ring| step.saturating_sub(ring.newest) < kept);
        if self.step_ms == STEP_MS && self.rings.len() > FINE_MAX {
            self.rings.values_mut().for_each(Ring::coarsen);
            self.step_ms = STEP_MS * COARSE;
        }
    }

    /// Forget an app that was deleted.
    pub(super) fn forget(&mut self, app: &Name) {
        self.rings.remove(app);
    }

    /// An app's last quarter of an hour; all unknown where nothing of it was seen.
    pub(super) fn of(&self, app: &Name, now_ms: u64, now_unix_ms: u64) -> History {
        let (step, count) = (self.step(now_ms), SPAN_MS / self.step_ms);
        let ring = self.rings.get(app);
        // A step that has just begun may have no point yet: no gap is shown for that.
        let begun = u64::from(ring.is_none_or(|ring| ring.newest < step));
        let last = step.saturating_sub(begun);
        let point = |back: u64| ring.and_then(|ring| ring.at(last.checked_sub(back)?));
        let points = (0..count).rev().map(|back| point(back).unwrap_or(UNKNOWN));
        let (mut cpu_percent, mut memory_bytes) = (Vec::new(), Vec::new());
        for Point { cpu_percent: cpu, pages } in points {
            let tenth = |value: f32| (f64::from(value) * 10.0).round() / 10.0;
            cpu_percent.push((cpu >= 0.0).then(|| tenth(cpu)));
            memory_bytes.push((pages > 0).then(|| u64::from(pages) * page_bytes()));
        }
        History {
            schema: "nexus.history/1".into(),
            app: app.clone(),
            step_ms: self.step_ms,
            until_unix_ms: now_unix_ms.saturating_sub(now_ms.saturating_sub(last * self.step_ms)),
            cpu_percent,
            memory_bytes,
        }
    }
}

impl Ring {
    /// With room for all: a queue that grows takes twice what it needs.
    fn new(step: u64, kept: u64) -> Ring {
        let room = usize::try_from(kept).unwrap_or(0);
        Ring { points: VecDeque::with_capacity(room), newest: step }
    }

    /// A point, after what was missed since the last one; `kept` points at the most.
    fn add(&mut self, step: u64, figures: &Figures, kept: u64) {
        if self.newest == step {
            self.points.pop_back();
        } else {
            let gap = (step.saturating_sub(self.newest) - 1).min(kept - 1);
            let stay = usize::try_from(kept - 1 - gap).unwrap_or(0);
            self.points.drain(..self.points.len().saturating_sub(stay));
            self.points.extend((0..gap).map(|_| UNKNOWN));
        }
        let pages = u32::try_from(figures.memory_bytes / page_bytes()).unwrap_or(u32::MAX);
        let cpu_percent = figures.cpu_percent.map_or(-1.0, |percent| percent as f32);
        self.points.push_back(Point { cpu_percent, pages });
        self.newest = step;
    }

    fn at(&self, step: u64) -> Option<Point> {
        let back = usize::try_from(self.newest.checked_sub(step)?).ok()?;
        self.points.get(self.points.len().checked_sub(back + 1)?).copied()
    }

    /// Of each three points the mean of the CPU and the most memory.
    fn coarsen(&mut self) {
        let step = self.newest / COARSE;
        let oldest = self.newest + 1 - self.points.len() as u64;
        let first = oldest / COARSE;
        let merged = (first..=step).map(|coarse| {
            let fine = (coarse * COARSE..(coarse + 1) * COARSE).filter_map(|fine| self.at(fine));
            let known: Vec<Point> = fine.filter(|point| point.pages > 0).collect();
            let cpu: Vec<f32> =
                known.iter().map(|point| point.cpu_percent).filter(|cpu| *cpu >= 0.0).collect();
            let cpu_percent =
                if cpu.is_empty() { -1.0 } else { cpu.iter().sum::<f32>() / cpu.len() as f32 };
            let pages = known.iter().map(|point| point.pages).max().unwrap_or(0);
            Point { cpu_percent, pages }
        });
        let mut coarse = Ring::new(step, SPAN_MS / (STEP_MS * COARSE));
        coarse.points.extend(merged);
        *self = coarse;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn used(cpu_percent: f64, pages: u64) -> Figures {
        let memory_bytes = pages * page_bytes();
        Figures { cpu_percent: Some(cpu_percent), cpu_time_ms: 0, memory_bytes }
    }

    fn one(app: &str, figures: Figures) -> HashMap<Name, Figures> {
        HashMap::from([(name(app), figures)])
    }

    #[test]
    fn the_newest_point_is_the_last_and_what_was_not_seen_is_unknown() {
        let mut rings = Rings::default();
        rings.add(100, one("a", used(1.0, 10)));
        rings.add(103, one("a", used(4.0, 40)));
        let now = rings.of(&name("a"), 104 * STEP_MS + 7, 1_000_000);
        assert_eq!((now.cpu_percent[179], now.until_unix_ms), (Some(4.0), 994_993));
        let history = rings.of(&name("a"), 105 * STEP_MS + 7, 1_000_000);
        assert_eq!((history.step_ms, history.until_unix_ms), (5_000, 994_993));
        assert_eq!(history.cpu_percent.len(), 180);
        let last = &history.cpu_percent[174..];
        assert_eq!(last, [None, Some(1.0), None, None, Some(4.0), None]);
        assert_eq!(history.memory_bytes[178], Some(40 * page_bytes()));
        assert_eq!(rings.of(&name("b"), 104 * STEP_MS, 0x7fff_ffff).memory_bytes, [None; 180]);
    }

    #[test]
    fn a_quarter_of_an_hour_is_kept_and_no_more() {
        let mut rings = Rings::default();
        (0..1_000).for_each(|step| rings.add(step, one("a", used(1.0, step))));
        assert_eq!(rings.rings[&name("a")].points.len(), 180);
        let history = rings.of(&name("a"), 999 * STEP_MS, 999 * STEP_MS);
        assert_eq!(history.memory_bytes[0], Some(820 * page_bytes()));
        rings.add(2_000, one("b", used(1.0, 1)));
        assert!(!rings.rings.contains_key(&name("a")), "nothing of it was left");
    }

    #[test]
    fn ten_thousand_apps_fit_into_a_few_megabytes() {
        let mut rings = Rings::default();
        let apps = |count: usize| -> HashMap<Name, Figures> {
            (0..count).map(|at| (name(&format!("a{at}")), used(2.0, 5))).collect()
        };
        (0..200).for_each(|step| rings.add(step, apps(3)));
        rings.add(200, apps(10_000));
        assert_eq!(rings.step_ms, 15_000);
        (140..200).for_each(|step| rings.add(step, apps(10_000)));
        let bytes: usize = rings.rings.values().map(|ring| ring.points.capacity() * 8).sum();
        assert!(bytes <= 10_010 * 60 * 8, "{bytes}");
        let history = rings.of(&name("a1"), 199 * 15_000, 199 * 15_000);
        assert_eq!((history.cpu_percent.len(), history.cpu_percent[0]), (60, Some(2.0)));
        assert_eq!(
            rings.of(&name("a9999"), 199 * 15_000, 199 * 15_000).cpu_percent,
            [Some(2.0); 60]
        );
    }
}
