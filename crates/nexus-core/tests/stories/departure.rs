//! The end of all: in which order.

use nexus_core::{Ask, Departure, Event, OpId, State, Time, step};
use nexus_spec::{AppSpec, Name, Until};

use crate::fleet::{chain, on};

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn known(specs: Vec<AppSpec>) -> State {
    let mut state = State::default();
    for spec in specs {
        let ask = Ask::Start { spec: Box::new(spec), instances: 1 };
        step(&mut state, Time(0), Event::Asked { op: OpId(1), ask });
    }
    state
}

/// Who may go at once, and after each that has gone: as names, in the order of the alphabet.
#[track_caller]
fn tell(state: &State, children: &[&str], gone: &[(&str, &str)], first: &str) {
    let children: Vec<Name> = children.iter().map(|app| name(app)).collect();
    let told = |mut free: Vec<Name>| {
        free.sort();
        free.iter().map(Name::as_str).collect::<Vec<_>>().join(" ")
    };
    let (mut departure, free) = Departure::begin(state, children.iter());
    assert_eq!(told(free), first, "at once");
    for (app, next) in gone {
        assert_eq!(told(departure.gone(state, &name(app))), *next, "after {app}");
    }
}

#[test]
fn who_depends_on_others_goes_first_with_all_its_children() {
    let state = known(chain());
    let children = ["db", "api", "web", "api", "stray"];
    let gone = [("stray", ""), ("web", "api"), ("api", ""), ("api", "db"), ("db", ""), ("db", "")];
    tell(&state, &children, &gone, "stray web");
}

#[test]
fn one_that_is_not_there_keeps_the_order_of_those_that_are() {
    let state = known(chain());
    tell(&state, &["db", "web"], &[("web", "db")], "web");
    tell(&state, &["db"], &[("db", "")], "db");
    // It has ended before its turn came.
    tell(&state, &["db", "api", "web"], &[("api", ""), ("web", "db")], "web");
}

#[test]
fn one_that_several_depend_on_waits_for_all_of_them() {
    let both = [("a", Until::Ready), ("b", Until::Started)];
    let state = known(vec![
        on("d", &[]),
        on("a", &[("d", Until::Ready)]),
        on("b", &[("d", Until::Ready)]),
        on("top", &both),
    ]);
    let gone = [("top", "a b"), ("b", ""), ("a", "d")];
    tell(&state, &["a", "b", "d", "top"], &gone, "top");
}

#[test]
fn a_circle_is_left_to_the_time_out() {
    let state = known(vec![on("a", &[("b", Until::Ready)]), on("b", &[("a", Until::Ready)])]);
    tell(&state, &["a", "b"], &[("a", ""), ("b", "")], "");
}
