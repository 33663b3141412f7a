//! The timer of set times: one for all, on the wall clock, which tells when somebody sets that.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nexus_core::{Chime, Moment, Rule, Strike, Timetable, Wall};
use nexus_spec::{AppSpec, Cron, Name, Schedule, Span};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::calendar::{self, Agenda, Times};
use crate::clock;

/// All set times, and the timer of the next one.
pub(crate) struct Clockwork {
    timer: TimerFd,
    table: Timetable,
    agenda: Agenda,
    /// What the times are made of.
    said: BTreeMap<(Name, Chime), Said>,
}

#[derive(PartialEq, Eq)]
struct Said {
    cron: Cron,
    schedule: Schedule,
}

/// Now, on both clocks.
pub(crate) fn moment() -> Moment {
    Moment { boot: clock::now(), wall: Wall(clock::unix_ms()) }
}

impl Clockwork {
    /// Nothing is due.
    ///
    /// # Errors
    /// The machine has no timer left.
    pub(crate) fn new() -> io::Result<Clockwork> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
        let (table, agenda, said) = (Timetable::default(), Agenda::default(), BTreeMap::new());
        Ok(Clockwork { timer, table, agenda, said })
    }

    /// Readable when something is due, or the clock was set.
    pub(crate) fn timer(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }

    /// An app's set times of this kind count from now on, if it has any; those up to `last` are
    /// dealt with. Whether that is new.
    pub(crate) fn arm(&mut self, spec: &AppSpec, chime: Chime, last: Wall) -> bool {
        let key = (spec.name.clone(), chime);
        let Some(cron) = calendar::cron(spec, chime) else {
            self.disarm(&spec.name, chime);
            return false;
        };
        let said = Said { cron: cron.clone(), schedule: spec.schedule.clone() };
        if self.said.get(&key) == Some(&said) {
            return false;
        }
        self.disarm(&spec.name, chime);
        match Times::new(cron, spec.schedule.timezone.as_deref()) {
            Ok(times) => self.agenda.0.insert(key.clone(), times),
            Err(clause) => {
                // It was right when it was asked for: the machine's zones have changed since.
                tracing::error!(app = %spec.name, "{clause}");
                return false;
            }
        };
        self.said.insert(key, said);
        let jitter = match chime {
            Chime::Restart => Span(0),
            Chime::Run => spec.schedule.jitter,
        };
        let rule = Rule { jitter, missed: spec.schedule.missed };
        self.table.arm((&spec.name, chime), rule, last, moment(), &self.agenda);
        self.set();
        true
    }

    /// They do not count any more.
    pub(crate) fn disarm(&mut self, app: &Name, chime: Chime) {
        let key = (app.clone(), chime);
        if self.said.remove(&key).is_some() {
            self.agenda.0.remove(&key);
            self.table.disarm(app, chime);
            self.set();
        }
    }

    /// When the next one is due.
    pub(crate) fn next(&self, app: &Name, chime: Chime) -> Option<Wall> {
        self.table.next_of(app, chime)
    }

    /// A set time in the words of its zone.
    pub(crate) fn told(&self, app: &Name, chime: Chime, at: Wall) -> String {
        let times = self.agenda.0.get(&(app.clone(), chime));
        times.map(|times| times.told(at)).unwrap_or_default()
    }

    /// What is due.
    pub(crate) fn look(&mut self) -> Vec<Strike> {
        match self.timer.wait() {
            // Nothing is due, or somebody has set the clock.
            Ok(()) | Err(Errno::EAGAIN | Errno::ECANCELED | Errno::EINTR) => {}
            Err(errno) => tracing::error!(%errno, "the timer of set times cannot be read"),
        }
        let strikes = self.table.look(moment(), &self.agenda);
        self.set();
        strikes
    }

    /// The timer is that of the next time.
    fn set(&self) {
        let set = match self.table.next_look() {
            None => self.timer.unset(),
            Some(Wall(at)) => {
                let at = std::time::Duration::from_millis(at.max(1));
                let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME
                    | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
                self.timer.set(Expiration::OneShot(TimeSpec::from_duration(at)), flags)
            }
        };
        if let Err(errno) = set {
            tracing::error!(%errno, "the timer of set times cannot be set");
        }
    }
}
