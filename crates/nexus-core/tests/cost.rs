//! A turn costs what it touches: the same number of looks at slots, whether the fleet has 100
//! workers or 10,000, in one app or in thousands.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at some of the actions")]

use std::path::Path;

use nexus_core::{Action, Ask, ChildId, Event, Exit, OpId, Pid, Purpose, State, Time, step};
use nexus_spec::{AppSpec, Backoff, Instances, Listen, Name, Ready, Restart, Span, Stop};

/// Turns that are measured.
const TURNS: u64 = 200;

fn spec(number: u64) -> AppSpec {
    AppSpec {
        instances: Instances::Count(1),
        restart: Restart {
            auto: true,
            delay: Span(0),
            backoff: Backoff {
                min: Span(100),
                max: Span(100),
                factor_percent: 100,
                jitter_percent: 0,
                reset_after: Span(10_000),
            },
            max: 16,
            window: Span(900_000),
            min_uptime: Span(1_000),
            stop_exit_codes: Vec::new(),
        },
        stop: Stop { kill_timeout: Span(500), ..Stop::default() },
        listen: vec![Listen::parse("tcp://127.0.0.1:80").unwrap().into()],
        ready: Ready::Notify,
        ready_timeout: Span(1_000_000),
        ..AppSpec::default_for(
            Name::new(&format!("app-{number}")).unwrap(),
            Path::new("/srv/worker"),
            Path::new("/srv"),
        )
    }
}

/// How often slots are looked at in each of many lives of a worker in the middle of a fleet: exit,
/// respawn, spawned, ready; and at last a stop of one instance.
fn cost(apps: u64, instances: u16) -> Vec<u64> {
    let mut state = State::default();
    let mut children = Vec::new();
    for number in 0..apps {
        let ask = Ask::Start { spec: Box::new(spec(number)), instances };
        for action in step(&mut state, Time(0), Event::Asked { op: OpId(number), ask }) {
            if let Action::Spawn { child, .. } = action {
                children.push(child);
            }
        }
    }
    for &child in &children {
        step(&mut state, Time(1), Event::Spawned { child, pid: Pid(1) });
        step(&mut state, Time(2), Event::Ready { child });
    }
    let mut visits = Vec::new();
    for turn in 0..TURNS {
        let now = Time(100_000 + turn);
        let at = usize::try_from(turn * 7919).unwrap() % children.len();
        let seen = looked(&state);
        children[at] = one_life(&mut state, now, children[at]);
        visits.push(looked(&state) - seen);
    }
    visits.extend(reload(&mut state));
    let seen = looked(&state);
    let ask = Ask::Stop { app: spec(0).name, instance: Some(1) };
    step(&mut state, Time(200_000), Event::Asked { op: OpId(0), ask });
    visits.push(looked(&state) - seen);
    assert_eq!(state.check(), Ok(()));
    visits
}

/// How often slots are looked at while two workers of a fleet are replaced, one after the other.
fn reload(state: &mut State) -> Vec<u64> {
    let app = spec(0).name;
    let ask = Ask::Reload { app, instance: None, spec: None, parallel: 1, replace: false };
    let mut actions = step(state, Time(150_000), Event::Asked { op: OpId(1), ask });
    let mut visits = Vec::new();
    for turn in 0..2 {
        let now = Time(150_001 + turn);
        let successor = actions.iter().find_map(|action| match action {
            Action::Spawn { child, .. } => Some(*child),
            _ => None,
        });
        let child = successor.expect("the next one's turn");
        let seen = looked(state);
        step(state, now, Event::Spawned { child, pid: Pid(3) });
        let ready = step(state, now, Event::Ready { child });
        let ended = ready.iter().find_map(|action| match action {
            Action::Terminate { child, .. } => Some(*child),
            _ => None,
        });
        let child = ended.expect("its predecessor goes");
        let exit = Exit::Code(0);
        actions = step(state, now, Event::Exited { child, exit, at: now, tree_gone: true });
        visits.push(looked(state) - seen);
    }
    let ask = Ask::Abort { app: spec(0).name, of: OpId(1) };
    step(state, Time(160_000), Event::Asked { op: OpId(2), ask });
    visits
}

fn one_life(state: &mut State, now: Time, child: ChildId) -> ChildId {
    let exited = Event::Exited { child, exit: Exit::Code(1), at: now, tree_gone: true };
    let actions = step(state, now, exited);
    let spawned = actions.iter().find_map(|action| match action {
        Action::Spawn { child, .. } => Some(*child),
        Action::Acknowledge { .. }
        | Action::Keep(_)
        | Action::Kill { .. }
        | Action::Note(_)
        | Action::Reply { .. }
        | Action::Examined { .. }
        | Action::Terminate { .. }
        | Action::Undertake { .. } => None,
    });
    let child = spawned.expect("respawned at once");
    drop(actions);
    step(state, now, Event::Tick);
    step(state, now, Event::Spawned { child, pid: Pid(2) });
    step(state, now, Event::Ready { child });
    child
}

fn looked(state: &State) -> u64 {
    state.apps().map(|(_, app)| app.visits()).sum()
}

#[test]
fn a_turn_costs_the_same_in_a_fleet_of_any_size() {
    let small = cost(25, 4);
    assert!(small.iter().all(|&looks| (1..40).contains(&looks)), "{small:?}");
    assert_eq!(cost(2_500, 4), small, "2,500 apps of 4, against 25 of 4");
    assert_eq!(cost(1, 100), small, "one app of 100");
    assert_eq!(cost(1, 10_000), small, "one app of 10,000");
}

/// Apps that build in one directory, one after another.
const QUEUE: u64 = 5_000;

#[test]
fn the_end_of_a_build_costs_the_same_however_many_wait_for_the_directory() {
    let begun = |actions: &[Action]| {
        let mut builds = actions.iter().filter_map(|action| match action {
            Action::Spawn { child, purpose: Purpose::Build, .. } => Some(*child),
            _ => None,
        });
        (builds.next(), builds.count())
    };
    let mut state = State::default();
    let mut first = None;
    for number in 0..QUEUE {
        let spec = AppSpec { build: Some("make".into()), ..spec(number) };
        let ask = Ask::Start { spec: Box::new(spec), instances: 1 };
        let actions = step(&mut state, Time(number), Event::Asked { op: OpId(number), ask });
        first = first.or(begun(&actions).0);
    }
    let (mut child, mut ends) = (first, 0);
    while let Some(ended) = child {
        let (exit, at) = (Exit::Code(0), Time(QUEUE + ends));
        let event = Event::Exited { child: ended, exit, at, tree_gone: true };
        let next = begun(&step(&mut state, at, event));
        assert_eq!(next.1, 0, "two at once");
        (child, ends) = (next.0, ends + 1);
    }
    assert_eq!(ends, QUEUE);
    // Millions, if each end looked at all that wait.
    let looks = looked(&state);
    assert!(looks < QUEUE * 40, "{looks}");
}
