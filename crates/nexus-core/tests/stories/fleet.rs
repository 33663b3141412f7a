//! Stories of several apps.

use nexus_core::{
    Action, Ask, ChildId, Ended, Entry, Event, Exit, Fact, OpId, Purpose, Roll, State, Time,
    resume, step,
};
use nexus_spec::{AppSpec, Dependencies, Name, Ready, Until};

use crate::effects::effect;
use crate::tell::{api, living, number, reported};

/// An app of that name that depends on others.
pub(crate) fn on(name: &str, on: &[(&str, Until)]) -> AppSpec {
    let name = Name::new(name).unwrap();
    let on = on.iter().map(|(name, until)| (Name::new(name).unwrap(), *until));
    AppSpec { name, depends_on: on.collect::<Dependencies>(), ready: Ready::Notify, ..api() }
}

/// `web` on `api` on `db`.
pub(crate) fn chain() -> Vec<AppSpec> {
    vec![on("web", &[("api", Until::Ready)]), on("api", &[("db", Until::Ready)]), on("db", &[])]
}

/// One that runs once.
pub(crate) fn once(name: &str) -> AppSpec {
    let mut spec = AppSpec { ready: Ready::Default, ..on(name, &[]) };
    spec.restart.auto = false;
    spec
}

/// Play a story of several apps: `VERB APP…` asks for all of them in one operation.
#[track_caller]
pub(crate) fn tell(specs: Vec<AppSpec>, story: &str) {
    let mut fleet = Fleet { specs, state: State::default(), op: 0 };
    let (mut told, mut expected) = (String::new(), String::new());
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (cause, effect) = line.split_once('|').expect("a line is `cause | effect`");
        let (at, what) = cause.trim().split_once(' ').expect("a cause is `time event`");
        let now = Time(at.parse().expect("time is a number"));
        let effects = fleet.happens(now, what.trim());
        fleet.state.check().expect("the oracle agrees");
        let due = fleet.state.next_deadline();
        assert!(due.is_none_or(|at| at > now), "a deadline in the past");
        told += format!("{:<28} | {effects}", cause.trim_end()).trim_end();
        expected += format!("{:<28} | {}", cause.trim_end(), effect.trim()).trim_end();
        told.push('\n');
        expected.push('\n');
    }
    assert_eq!(told, expected, "\n--- told ---\n{told}--- expected ---\n{expected}");
}

struct Fleet {
    specs: Vec<AppSpec>,
    state: State,
    op: u64,
}

impl Fleet {
    fn happens(&mut self, now: Time, what: &str) -> String {
        let words: Vec<&str> = what.split_whitespace().collect();
        let actions = match words[..] {
            ["look"] => return self.look(),
            ["tick"] => step(&mut self.state, now, Event::Tick),
            ["resume", ref living @ ..] => self.resumes(now, living),
            [child, ref rest @ ..] if child.starts_with('#') => {
                step(&mut self.state, now, reported(now, number(child), rest))
            }
            [verb, ref names @ ..] => self.asks(now, verb, names),
            [] => panic!("an empty cause"),
        };
        let shown = actions.iter().filter(|action| !matches!(action, Action::Keep(_)));
        let told = |fact: &Fact| matches!(fact, Fact::Waits { .. });
        let shown = shown.filter(|action| !matches!(action, Action::Note(fact) if !told(fact)));
        shown.map(effect_on).collect::<Vec<_>>().join(", ")
    }

    fn asks(&mut self, now: Time, verb: &str, names: &[&str]) -> Vec<Action> {
        self.op += 1;
        let spec = |app: &Name| self.specs.iter().find(|spec| spec.name == *app).unwrap().clone();
        let ask = |name: &&str| {
            let app = Name::new(name).unwrap();
            match verb {
                "start" => Ask::Start { spec: Box::new(spec(&app)), instances: 1 },
                "double" => Ask::Scale { app, to: 2 },
                "halve" => Ask::Scale { app, to: 1 },
                "stop" => Ask::Stop { app, instance: None },
                "restart" => Ask::Restart { app, instance: None, spec: None },
                "reload" => {
                    Ask::Reload { app, instance: None, spec: None, parallel: 1, replace: false }
                }
                "delete" => Ask::Delete { app },
                _ => panic!("no such verb: {verb}"),
            }
        };
        let asks = self.state.arrange(names.iter().map(ask).collect());
        let op = OpId(self.op);
        let asked = asks.into_iter().map(|ask| Event::Asked { op, ask });
        asked.flat_map(|event| step(&mut self.state, now, event)).collect()
    }

    /// The daemon dies and comes back; `#3=db` lives, `#3=db,ready` is ready, `#3=db,gone@7` was and has ended,
    /// `lost@7` never was; `cold`: so have both of us.
    fn resumes(&mut self, now: Time, words: &[&str]) -> Vec<Action> {
        let entry = |word: &&str| {
            let (child, app) = word.split_once('=').expect("#child=app");
            let (app, is) = app.split_once(',').unwrap_or((app, ""));
            let lost = is.strip_prefix("lost@");
            let at = is.strip_prefix("gone@").or(lost).map(|at| at.parse().expect("a time"));
            let slot = self.state.app(app).and_then(|app| app.slot(0)).expect("an app");
            let purpose = Purpose::Worker { instance: 0, id: slot.id };
            Entry {
                generation: slot.generation,
                ready: is == "ready" || at.is_some() && lost.is_none(),
                ended: at.map(|at| Ended { exit: Exit::Unknown, at: Time(at), tree_gone: true }),
                ..living(ChildId(number(child)), Name::new(app).unwrap(), purpose)
            }
        };
        let cold = words.contains(&"cold");
        let living = words.iter().filter(|word| **word != "cold").map(entry).collect();
        let roll = Roll { living, cold, last_child: self.state.last_child() };
        let (state, actions) = resume(self.state.intents(), roll, now);
        self.state = state;
        actions
    }

    fn look(&self) -> String {
        let slots = self.state.apps().flat_map(|(name, app)| {
            app.slots().iter().map(move |slot| format!("{name}: {}", slot.explain()))
        });
        slots.collect::<Vec<_>>().join("; ")
    }
}

/// Whose it is, too.
fn effect_on(action: &Action) -> String {
    if let Action::Reply { app, .. } = action {
        return format!("{app} {}", effect(action));
    }
    let Action::Spawn { child, app, purpose, .. } = action else { return effect(action) };
    match purpose {
        Purpose::Worker { instance, .. } => format!("spawn #{} {app}/{instance}", child.0),
        Purpose::Build | Purpose::Exam { .. } => effect(action),
    }
}

/// All of a chain up.
const UP: &str = "
        0     start web api db | spawn #1 db/0, (api waits for db ready), (web waits for api ready)
        1     #1 spawned       |
        2     #1 ready         | db op1 done, spawn #3 api/0
        3     #3 spawned       |
        4     #3 ready         | api op1 done, spawn #5 web/0
        5     #5 spawned       |
        6     #5 ready         | web op1 done
        ";

/// The story of a chain that is up.
#[track_caller]
pub(crate) fn tell_of_chain(story: &str) {
    tell(chain(), &format!("{UP}{story}"));
}
