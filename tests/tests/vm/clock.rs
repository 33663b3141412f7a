//! The machine's clock is set, far and in both directions: nothing is restarted, no deadline moves,
//! and set times do what the documentation says.

use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan};
use nexus_tests::{Home, wait_for};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime, clock_settime};

/// How long something may take on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// `kill_timeout` of the one that does not go.
const PATIENCE: Duration = Duration::from_secs(2);
/// `restart_delay` of the one that comes back.
const DELAY: Duration = Duration::from_secs(3);
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// What no worker of this test has lived for, in ms.
const LONG_MS: u64 = 30 * 60 * 1_000;

/// Set the clock by so many seconds.
fn set(by: i64) {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).unwrap();
    let then = nix::sys::time::TimeSpec::new(now.tv_sec() + by, now.tv_nsec());
    clock_settime(ClockId::CLOCK_REALTIME, then).unwrap();
}

struct Apps(Home);

impl Apps {
    /// One that serves; one that crashes when told to, and comes back after a while; one that runs
    /// every second; one that runs once a day, in two hours.
    fn start() -> Apps {
        let home = Home::new();
        let daily = Timestamp::now() + 2.hours();
        let file = format!(
            "[[apps]]\nname = \"web\"\nscript = \"sleep\"\nargs = [\"100000\"]\ninstances = 2\n\
             [[apps]]\nname = \"late\"\nscript = \"sleep\"\nargs = [\"100000\"]\n\
             restart_delay = \"3s\"\n\
             [[apps]]\nname = \"deaf\"\nscript = \"sh\"\nkill_timeout = \"2s\"\n\
             args = [\"-c\", \"trap '' TERM; while :; do sleep 1; done\"]\n\
             [[apps]]\nname = \"tick\"\nscript = \"sh\"\nschedule = \"* * * * * *\"\n\
             args = [\"-c\", \"echo x >> ticks\"]\n\
             [[apps]]\nname = \"daily\"\nscript = \"sh\"\nschedule = \"{}\"\n\
             args = [\"-c\", \"echo x >> days\"]\n",
            daily.strftime("%S %M %H * * *")
        );
        home.write("ecosystem.toml", &file);
        home.ctl(&["start"]).ok();
        Apps(home)
    }

    fn lines(&self, file: &str) -> usize {
        let text = std::fs::read_to_string(self.0.project().join(file)).unwrap_or_default();
        text.lines().count()
    }

    /// What must hold after any setting of the clock.
    fn goes_on(&self, what: &str) {
        let before = self.lines("ticks");
        wait_for(DEADLINE, &format!("runs {what}"), || {
            (self.lines("ticks") >= before + 2).then_some(())
        });
        let web = self.0.known("web");
        assert_eq!((web.status(), web.restarts()), ("online", vec![0, 0]), "{what}");
        for instance in web.0["instances"].as_array().unwrap() {
            let uptime = instance["uptime_ms"].as_u64().unwrap();
            assert!(uptime < LONG_MS, "{what}: up for {uptime} ms");
        }
        self.0.ctl(&["list"]).ok();
        println!("{what}: goes on, {} daily runs", self.lines("days"));
    }

    /// A crash is made up for in its time, though the clock is set while it waits.
    fn comes_back(&self, by: i64) {
        let late = self.0.known("late").main();
        let began = Instant::now();
        late.signal(Signal::SIGKILL);
        self.0.until("late", "the crash to be seen", |app| app.pids() != [late.0]);
        set(by);
        wait_for(DEADLINE, "the successor", || {
            let app = self.0.known("late");
            (app.status() == "online" && app.pids() != [late.0]).then_some(())
        });
        assert!(began.elapsed() >= DELAY, "after {:?}, at once", began.elapsed());
    }
}

/// Set it in all ways; what was seen.
pub(crate) fn run() -> String {
    let apps = Apps::start();
    let home = &apps.0;
    let pids = home.known("web").pids();
    apps.goes_on("before");

    set(2 * HOUR + HOUR / 2);
    wait_for(DEADLINE, "the daily run that was passed over", || {
        (apps.lines("days") == 1).then_some(())
    });
    apps.goes_on("two and a half hours later");
    set(-2 * HOUR - HOUR / 2);
    apps.goes_on("the same hours earlier");
    // Its time comes a second time.
    set(2 * HOUR - 2);
    apps.goes_on("at the same time again");
    apps.goes_on("and after it");
    apps.goes_on("and later");
    assert_eq!(apps.lines("days"), 1, "a daily run is not repeated");
    set(-2 * HOUR + 2);
    set(2 * DAY);
    apps.goes_on("two days later");
    assert_eq!(apps.lines("days"), 1, "after three hours or more it is left out");
    set(-2 * DAY);
    apps.goes_on("two days earlier");

    apps.comes_back(-DAY);
    apps.comes_back(DAY);
    // A stop that waits for its limit is not held up, nor hurried.
    let began = Instant::now();
    let stopping = home.begin(&["stop", "deaf"]);
    home.until("deaf", "the stop to begin", |app| app.status() == "stopping");
    set(-DAY);
    set(2 * DAY);
    set(-DAY);
    stopping.end().ok();
    assert!(began.elapsed() >= PATIENCE, "killed after {:?}", began.elapsed());

    // Who comes after a death reads what was written at other times.
    for by in [DAY, -DAY] {
        let old = home.daemon().unwrap();
        old.signal(Signal::SIGKILL);
        set(by);
        wait_for(DEADLINE, "another nexusd", || home.daemon().filter(|daemon| daemon.0 != old.0));
        wait_for(DEADLINE, "its answer", || (home.ctl(&["list"]).code == 0).then_some(()));
        apps.goes_on("after a death, with another clock");
    }
    assert_eq!(home.known("web").pids(), pids);
    let numbers: Vec<u64> =
        home.events("web").iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    format!("set fourteen times by up to two days; {} runs, no restart", apps.lines("ticks"))
}
