//! On the socket that all workers share, each gets its part of the connections that are kept.

use nexus_tests::{Home, Pace, Process, Spread, free_port, many_files, program};
use nix::sys::signal::Signal;

use crate::app;
use crate::reload::passed;

const CONNECTIONS: usize = 1_000;

fn trading_api(instances: u16) -> (Home, u16) {
    // For two thousand connections here, and half of them in one worker, which has our limit.
    many_files(4_096);
    let home = Home::new();
    let port = free_port();
    let script = program("trading-api").display().to_string();
    let more = format!(
        "{}\nenv = {{ DRAIN_WINDOW_MS = \"50\", MAX_CONNECTIONS = \"2000\" }}",
        passed(port, instances)
    );
    home.write("ecosystem.toml", &app("trading-api", &script, &[], &more));
    home.ctl(&["start"]).ok();
    (home, port)
}

fn spread(port: u16, pace: Pace) -> Spread {
    Spread::open(port, CONNECTIONS, "/api/health", pace).unwrap()
}

#[test]
fn no_worker_has_less_than_half_the_mean_however_fast_they_come() {
    let (_home, port) = trading_api(4);
    for pace in [Pace::Burst, Pace::OneByOne] {
        let spread = spread(port, pace);
        assert!(spread.smallest(4) >= 50, "{pace:?}: {:?}", spread.by_worker);
    }
}

#[test]
fn a_worker_that_has_just_come_catches_up() {
    let (home, port) = trading_api(3);
    let before = spread(port, Pace::Burst);
    home.ctl(&["scale", "trading-api", "4"]).ok();
    let new = i64::from(home.known("trading-api").pids()[3]);
    let after = spread(port, Pace::OneByOne);
    assert_eq!((before.by_worker.len(), after.by_worker.len()), (3, 4));
    // The others have 333 each already: of what comes then most is the new one's.
    assert!(after.by_worker[&new] >= 400, "{:?}, {:?}", before.by_worker, after.by_worker);
}

#[test]
fn a_worker_that_hangs_holds_nobody_up() {
    let (home, port) = trading_api(2);
    let deaf = Process(home.known("trading-api").pids()[1]);
    deaf.signal(Signal::SIGSTOP);
    let spread = spread(port, Pace::Burst);
    deaf.signal(Signal::SIGCONT);
    assert_eq!(spread.by_worker.len(), 1, "{:?}", spread.by_worker);
}
