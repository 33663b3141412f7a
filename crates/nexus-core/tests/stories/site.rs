//! Apps that build in one directory: one after another, who has asked first goes first.

use std::path::PathBuf;

use nexus_core::{
    Action, Ask, ChildId, Entry, Event, Exit, Fact, OpId, Purpose, Roll, State, Time, resume, step,
};
use nexus_spec::{AppSpec, Name, Span};

use crate::tell::{self, built, reported};

/// Several apps, and the builds that were begun, in order: whose they are, and their children.
#[derive(Default)]
struct Yard {
    state: State,
    op: u64,
    begun: Vec<(String, ChildId)>,
    last: Vec<Action>,
}

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn spec(app: &str, cwd: &str) -> AppSpec {
    AppSpec { name: name(app), cwd: PathBuf::from(cwd), ..built() }
}

impl Yard {
    fn happens(&mut self, at: u64, event: Event) -> Vec<String> {
        let actions = step(&mut self.state, Time(at), event);
        self.takes(actions)
    }

    /// Whose builds a turn begins.
    fn takes(&mut self, actions: Vec<Action>) -> Vec<String> {
        self.state.check().unwrap();
        let begun = |action: &Action| {
            let Action::Spawn { app, child, purpose: Purpose::Build, .. } = action else {
                return None;
            };
            Some((app.to_string(), *child))
        };
        let new: Vec<(String, ChildId)> = actions.iter().filter_map(begun).collect();
        self.begun.extend(new.iter().cloned());
        self.last = actions;
        new.into_iter().map(|(app, _)| app).collect()
    }

    fn asks(&mut self, at: u64, ask: Ask) -> Vec<String> {
        self.op += 1;
        self.happens(at, Event::Asked { op: OpId(self.op), ask })
    }

    fn starts(&mut self, at: u64, app: &str, cwd: &str) -> Vec<String> {
        self.asks(at, Ask::Start { spec: Box::new(spec(app, cwd)), instances: 1 })
    }

    /// The last build of an app that was begun.
    fn child(&self, app: &str) -> ChildId {
        self.begun.iter().rfind(|(begun, _)| begun == app).unwrap().1
    }

    /// Its last build: `exits 0`, `exits 0 leaving`, `tree gone`.
    fn build(&mut self, at: u64, app: &str, how: &str) -> Vec<String> {
        let words: Vec<&str> = how.split_whitespace().collect();
        self.happens(at, reported(Time(at), self.child(app).0, &words))
    }

    /// The daemon dies and comes back, and finds these builds.
    fn resumes(&mut self, at: u64, living: &[(&str, Option<&str>)]) -> Vec<String> {
        let entry = |&(app, site): &(&str, Option<&str>)| Entry {
            site: site.map(PathBuf::from),
            ..tell::living(self.child(app), name(app), Purpose::Build)
        };
        let living = living.iter().map(entry).collect();
        let roll = Roll { living, cold: false, last_child: self.state.last_child() };
        let (state, actions) = resume(self.state.intents(), roll, Time(at));
        self.state = state;
        self.takes(actions)
    }
}

const NOBODY: [&str; 0] = [];

#[test]
fn who_has_asked_first_builds_first() {
    let mut yard = Yard::default();
    assert_eq!(yard.starts(1, "d", "/x"), ["d"]);
    assert_eq!(yard.starts(2, "b", "/x"), NOBODY);
    // Another directory is none of theirs.
    assert_eq!(yard.starts(2, "q", "/y"), ["q"]);
    assert_eq!(yard.starts(3, "e", "/x"), NOBODY);
    assert_eq!(yard.starts(4, "a", "/x"), NOBODY);
    assert_eq!(yard.build(9, "q", "exits 0"), NOBODY);
    // How one ends makes no difference to the next one.
    assert_eq!(yard.build(10, "d", "exits 1"), ["b"]);
    assert_eq!(yard.starts(11, "c", "/x"), NOBODY);
    assert_eq!(yard.build(20, "b", "exits 0"), ["e"]);
    assert_eq!(yard.build(30, "e", "exits 0"), ["a"]);
    assert_eq!(yard.state.builds_after(&name("c")), Some(&name("a")));
    assert_eq!(yard.state.builds_after(&name("a")), None);
    assert_eq!(yard.build(40, "a", "exits 0"), ["c"]);
    assert_eq!(yard.build(50, "c", "exits 0"), NOBODY);
}

#[test]
fn the_next_one_begins_when_nothing_of_the_one_before_is_left() {
    let mut yard = Yard::default();
    yard.starts(1, "a", "/x");
    yard.starts(2, "b", "/x");
    assert_eq!(yard.build(10, "a", "exits 0 leaving"), NOBODY);
    assert_eq!(yard.build(20, "a", "tree gone"), ["b"]);
}

#[test]
fn a_build_that_is_ended_has_its_directory_until_nothing_of_it_is_left() {
    let other = || Box::new(AppSpec { args: vec!["--other".into()], ..spec("a", "/y") });
    let ends = [
        Ask::Stop { app: name("a"), instance: None },
        Ask::Delete { app: name("a") },
        Ask::Start { spec: other(), instances: 1 },
        Ask::Restart { app: name("a"), instance: None, spec: Some((other(), 1)) },
    ];
    for ask in ends {
        let mut yard = Yard::default();
        yard.starts(1, "a", "/x");
        yard.build(2, "a", "spawned");
        assert_eq!(yard.starts(3, "b", "/x"), NOBODY);
        let ended = yard.child("a");
        assert_eq!(yard.asks(10, ask.clone()), NOBODY, "{ask:?}");
        assert_eq!(yard.state.builds_after(&name("b")), Some(&name("a")));
        // It does not hear SIGTERM.
        let told = |yard: &Yard, is: fn(&Action) -> bool| yard.last.iter().any(is);
        assert!(told(&yard, |action| matches!(action, Action::Terminate { .. })));
        assert_eq!(yard.happens(510, Event::Tick), NOBODY, "{ask:?}");
        assert!(told(&yard, |action| matches!(action, Action::Kill { .. })));
        let exit =
            Event::Exited { child: ended, exit: Exit::Signal(9), at: Time(520), tree_gone: false };
        assert_eq!(yard.happens(520, exit), NOBODY, "{ask:?}");
        let next = yard.happens(530, Event::TreeGone { child: ended });
        assert!(next.contains(&"b".to_owned()), "{ask:?}: {next:?}");
    }
}

#[test]
fn one_that_waits_no_more_is_passed_over() {
    let mut yard = Yard::default();
    yard.starts(1, "a", "/x");
    yard.starts(2, "b", "/x");
    yard.starts(3, "c", "/x");
    assert_eq!(yard.asks(4, Ask::Stop { app: name("b"), instance: None }), NOBODY);
    assert_eq!(yard.build(10, "a", "exits 0"), ["c"]);
    assert_eq!(yard.build(20, "c", "exits 0"), NOBODY);
}

#[test]
fn one_whose_own_build_is_leaving_lets_others_go_first() {
    let mut yard = Yard::default();
    yard.starts(1, "a", "/x");
    yard.build(2, "a", "spawned");
    yard.starts(3, "b", "/y");
    yard.starts(4, "c", "/y");
    yard.build(5, "b", "spawned");
    // In the queue of the other directory from here on, but its own child has to go first.
    let moved = Box::new(spec("a", "/y"));
    assert_eq!(yard.asks(6, Ask::Start { spec: moved, instances: 1 }), NOBODY);
    assert_eq!(yard.build(10, "b", "exits 0"), ["c"]);
    let old = yard.child("a");
    let exit = Event::Exited { child: old, exit: Exit::Signal(15), at: Time(11), tree_gone: true };
    assert_eq!(yard.happens(11, exit), NOBODY);
    assert_eq!(yard.build(20, "c", "exits 0"), ["a"]);
}

#[test]
fn after_a_death_of_the_daemon_a_build_has_its_directory_too() {
    // One that was ended by another spec, which is in another directory.
    let mut yard = Yard::default();
    yard.starts(1, "a", "/x");
    yard.starts(2, "b", "/x");
    let moved = Box::new(spec("a", "/y"));
    yard.asks(3, Ask::Start { spec: moved, instances: 1 });
    assert_eq!(yard.resumes(10, &[("a", Some("/x"))]), NOBODY);
    let exit = Event::Exited {
        child: yard.child("a"),
        exit: Exit::Code(0),
        at: Time(20),
        tree_gone: true,
    };
    let mut both = yard.happens(20, exit);
    both.sort();
    assert_eq!(both, ["a", "b"]);
    // One of an older program, which has not written where it builds: where its app is.
    let mut yard = Yard::default();
    yard.starts(1, "a", "/x");
    yard.starts(2, "b", "/x");
    yard.asks(3, Ask::Stop { app: name("a"), instance: None });
    assert_eq!(yard.resumes(10, &[("a", None)]), NOBODY);
    assert_eq!(yard.build(20, "a", "exits 0"), ["b"]);
    // One that goes on.
    let mut yard = Yard::default();
    yard.starts(1, "a", "/x");
    yard.starts(2, "c", "/x");
    yard.starts(2, "b", "/x");
    assert_eq!(yard.resumes(10, &[("a", Some("/x"))]), NOBODY);
    assert_eq!(yard.build(20, "a", "exits 0").len(), 1);
}

#[test]
fn the_time_in_the_queue_is_no_time_of_the_build() {
    let mut yard = Yard::default();
    yard.starts(1, "a", "/x");
    yard.starts(2, "b", "/x");
    yard.build(60_000, "a", "exits 0");
    yard.build(60_007, "b", "exits 0");
    let took = yard.last.iter().find_map(|action| {
        let Action::Note(Fact::Built { after, .. }) = action else { return None };
        Some(*after)
    });
    assert_eq!(took, Some(Span(7)));
}
