//! Apps that do something at set times: when these count, and what is done when one has come.

use std::os::fd::OwnedFd;

use nexus_core::{App, Chime, Event, Keep, Run, Strike, Wall, Want};
use nexus_proto::TimesView;
use nexus_spec::{Missed, Name, Overlap};
use tokio::io::unix::AsyncFdReadyGuard;

use crate::calendar;
use crate::clock;
use crate::clockwork::moment;
use crate::daemon::{Course, Daemon};
use crate::facts::{Line, NOBODY};

/// All that may happen at set times.
const CHIMES: [Chime; 2] = [Chime::Restart, Chime::Run];

impl Daemon {
    /// An app was changed: its set times count while it is wanted up, new ones from now on.
    pub(crate) fn set_times(&mut self, name: &Name) {
        let app = self.state.app(name.as_str()).filter(|app| app.want() == Want::Up);
        let Some(spec) = app.map(|app| app.spec().clone()) else {
            return CHIMES.into_iter().for_each(|chime| self.clockwork.disarm(name, chime));
        };
        let now = moment().wall;
        for chime in CHIMES {
            if self.clockwork.arm(&spec, chime, now) {
                self.dealt_with(name, chime, now);
            }
        }
    }

    /// After a death of the daemon: all of them, from the last ones that were dealt with.
    pub(crate) fn set_all_times(&mut self) {
        let up = self.state.apps().filter(|(_, app)| app.want() == Want::Up);
        let specs: Vec<_> = up.map(|(_, app)| app.spec().clone()).collect();
        for spec in specs {
            let origin = self.origins.get(&spec.name);
            let (restart, run) =
                origin.map_or((0, 0), |origin| (origin.restarted_for, origin.run_for));
            for (chime, last) in [(Chime::Restart, restart), (Chime::Run, run)] {
                let last = if last == 0 { moment().wall } else { Wall(last) };
                self.clockwork.arm(&spec, chime, last);
            }
        }
    }

    fn dealt_with(&mut self, name: &Name, chime: Chime, at: Wall) {
        let Some(origin) = self.origins.get_mut(name) else { return };
        match chime {
            Chime::Restart => origin.restarted_for = at.0,
            Chime::Run => origin.run_for = at.0,
        }
    }

    /// The timer has come: what is due is done, and what was missed is told.
    pub(crate) fn chime(&mut self, mut timer: AsyncFdReadyGuard<'_, OwnedFd>) {
        timer.clear_ready();
        // Who is ending decides nothing any more; the next nexusd sees what was due.
        if self.course != Course::Serve || self.shutdown.is_some() {
            return;
        }
        for strike in self.clockwork.look() {
            self.struck(strike);
        }
    }

    fn struck(&mut self, strike: Strike) {
        let Strike { app, chime, due, acts, missed } = strike;
        if missed > 0 {
            let rule = self.state.app(app.as_str()).map(|app| app.spec().schedule.missed);
            let then = match (acts, rule) {
                (true, Some(Missed::Once)) => "one makes up for them",
                (true, _) => "this one is in time",
                (false, _) => "left out",
            };
            let what = match chime {
                Chime::Restart => "restarts",
                Chime::Run => "runs",
            };
            let last = self.clockwork.told(&app, chime, due);
            let detail = format!("{missed} {what} were missed, the last at {last}; {then}");
            self.log(Line { app: Some(app.clone()), ..Line::new("missed", detail, NOBODY) });
        }
        // Kept with what it leads to, in one line: a crash in between forgets both.
        self.dealt_with(&app, chime, due);
        self.keep(&Keep::App(app.clone()));
        if !acts {
            self.commit();
            return self.publish();
        }
        self.turn(Event::Struck { app, chime }, NOBODY);
    }

    /// What became of a run that was due.
    pub(crate) fn told_of_run<'a>(&self, app: Name, what: Run) -> Line<'a> {
        let due = self.origins.get(&app).map_or(0, |origin| origin.run_for);
        let due = self.clockwork.told(&app, Chime::Run, Wall(due));
        let (kind, detail) = match what {
            Run::Begun => ("run", format!("due at {due}; it begins")),
            Run::Queued => {
                ("run_queued", format!("due at {due}; the one before has not ended: it waits"))
            }
            Run::Replaced => ("run", format!("due at {due}; the one before is stopped for it")),
            Run::Skipped => {
                ("run_skipped", format!("due at {due}; the one before has not ended: left out"))
            }
        };
        Line { app: Some(app), ..Line::new(kind, detail, NOBODY) }
    }

    /// Why an operation of our own is begun, at a set time.
    pub(crate) fn told_of_cron(&self, app: &Name) -> String {
        let cron = self.state.app(app.as_str()).and_then(|app| app.spec().cron_restart.clone());
        format!("cron_restart: {}", cron.map(|cron| cron.to_string()).unwrap_or_default())
    }

    /// What clients see of an app's set times.
    pub(crate) fn times_view(&self, name: &Name, app: &App) -> Vec<TimesView> {
        let spec = app.spec();
        let now = clock::unix_ms();
        let view = |chime: Chime| {
            let cron = calendar::cron(spec, chime)?;
            let next = self.clockwork.next(name, chime);
            let job = chime == Chime::Run;
            let word = |word: &str| job.then(|| word.to_owned());
            Some(TimesView {
                does: if job { "run".into() } else { "restart".into() },
                cron: cron.to_string(),
                timezone: spec.schedule.timezone.clone(),
                next_at_unix_ms: next.map(|at| at.0),
                next_in_ms: next.map(|at| at.0.saturating_sub(now)),
                next_at: next.map(|at| self.clockwork.told(name, chime, at)),
                overlap: match spec.schedule.overlap {
                    Overlap::Skip => word("skip"),
                    Overlap::Queue => word("queue"),
                    Overlap::Replace => word("replace"),
                },
                missed: match spec.schedule.missed {
                    Missed::Skip => "skip".into(),
                    Missed::Once => "once".into(),
                },
                jitter_ms: if job { spec.schedule.jitter.0 } else { 0 },
                queued: job && app.queued(),
            })
        };
        CHIMES.into_iter().filter_map(view).collect()
    }
}
