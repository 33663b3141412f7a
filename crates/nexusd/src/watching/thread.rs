//! The thread of one app's watcher.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus_spec::Name;
use tokio::sync::mpsc;

use super::ears::Ears;
use super::eyes::{self, Eyes};
use super::settle::Settle;
use super::{Plan, Report, Seen};
use crate::command::Command;

/// Who is told.
pub(super) struct Told {
    pub(super) app: Name,
    pub(super) number: u64,
    pub(super) own: mpsc::Sender<Command>,
}

impl Told {
    /// False: the loop is gone, or the watcher is not wanted any more.
    fn tell(&self, report: Report) -> bool {
        let (app, number) = (self.app.clone(), self.number);
        self.own.blocking_send(Command::Watched { app, number, report }).is_ok()
    }
}

/// Begin to watch.
///
/// # Errors
/// The machine gives no thread.
pub(super) fn begin(plan: Plan, since: u64, ears: Arc<Ears>, told: Told) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("watch".into()).stack_size(256 * 1024);
    thread.spawn(move || run(plan, since, &ears, &told)).map(drop)
}

fn run(plan: Plan, since: u64, ears: &Arc<Ears>, told: &Told) {
    let mut settle = Settle::new(Duration::from_millis(plan.watch.delay.0));
    let mut eyes = Eyes::open(plan, ears);
    let mut seen = Seen::default();
    eyes.attach(eyes::since(since));
    let mut look_at = eyes.every().map(|every| Instant::now() + every);
    loop {
        if seen != eyes.seen() {
            seen = eyes.seen();
            if !told.tell(Report::Seen(seen.clone())) {
                return;
            }
        }
        let now = Instant::now();
        if eyes.news() {
            settle.changed(now);
        }
        if settle.is_due(now) && !told.tell(Report::Changed(eyes.take())) {
            return;
        }
        let heard = ears.wait(settle.due().into_iter().chain(look_at).min());
        if heard.stop {
            return;
        }
        eyes.hear(heard);
        if look_at.is_some_and(|at| at <= Instant::now()) {
            eyes.poll();
            look_at = eyes.every().map(|every| Instant::now() + every);
        }
    }
}
