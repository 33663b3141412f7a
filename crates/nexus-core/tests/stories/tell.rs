//! Reads a story, plays it against the core, and compares line by line.

use std::path::Path;

use nexus_core::{
    Action, Ask, Breach, Cause, ChildId, Chime, Ended, Entry, Event, Exam, Exit, Limit, OpId, Pid,
    Purpose, Roll, SlotId, SpawnError, State, Time, resume, step,
};
use nexus_spec::{
    AppSpec, Backoff, Cron, Instances, Listen, Name, Ready, Restart, Schedule, Size, Span, Stop,
};

use crate::effects::effect;
use crate::versions::versions;

const ENOENT: i32 = 2;
const EAGAIN: i32 = 11;

/// An app that most stories are about: two unstable exits may follow one another without a wait,
/// the fourth in ten seconds is one too many.
pub(crate) fn api() -> AppSpec {
    AppSpec {
        instances: Instances::Count(1),
        restart: Restart {
            auto: true,
            delay: Span(0),
            backoff: Backoff {
                min: Span(100),
                max: Span(1_000),
                factor_percent: 200,
                jitter_percent: 0,
                reset_after: Span(5_000),
            },
            max: 3,
            window: Span(10_000),
            min_uptime: Span(1_000),
            stop_exit_codes: Vec::new(),
        },
        stop: Stop { kill_timeout: Span(500), ..Stop::default() },
        ready: Ready::Delay(Span(50)),
        ready_timeout: Span(300),
        ..AppSpec::default_for(Name::new("api").unwrap(), Path::new("/srv/api"), Path::new("/srv"))
    }
}

pub(crate) fn notify() -> AppSpec {
    AppSpec { ready: Ready::Notify, ..api() }
}

/// With a socket that we pass: a new worker can run beside the old one.
pub(crate) fn passed() -> AppSpec {
    AppSpec { listen: vec![Listen::parse("tcp://127.0.0.1:80").unwrap().into()], ..notify() }
}

/// One that runs at set times.
pub(crate) fn job() -> AppSpec {
    let cron = Some(Cron::parse("@daily").unwrap());
    let restart = Restart { auto: false, ..api().restart };
    AppSpec { schedule: Schedule { cron, ..Schedule::default() }, restart, ..api() }
}

pub(crate) fn built() -> AppSpec {
    AppSpec { build: Some("make".into()), ..api() }
}

/// Play a story; spawns, signals, acknowledgements and replies are its effects.
#[track_caller]
pub(crate) fn tell(spec: AppSpec, story: &str) {
    play(spec, story, |action| !matches!(action, Action::Keep(_) | Action::Note(_)));
}

/// The same with everything that is kept or noted.
#[track_caller]
pub(crate) fn tell_all(spec: AppSpec, story: &str) {
    play(spec, story, |_| true);
}

#[track_caller]
fn play(spec: AppSpec, story: &str, shown: fn(&Action) -> bool) {
    let mut milestone = Stage { spec, state: State::default(), op: 0 };
    let (mut told, mut expected) = (String::new(), String::new());
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (cause, effect) = line.split_once('|').expect("a line is `cause | effect`");
        let (at, what) = cause.trim().split_once(' ').expect("a cause is `time event`");
        let now = Time(at.parse().expect("time is a number"));
        let effects = milestone.happens(now, what.trim(), shown);
        milestone.state.check().expect("the oracle agrees");
        assert!(
            milestone.state.next_deadline().is_none_or(|at| at > now),
            "a deadline in the past"
        );
        told += format!("{:<28} | {effects}", cause.trim_end()).trim_end();
        expected += format!("{:<28} | {}", cause.trim_end(), effect.trim()).trim_end();
        told.push('\n');
        expected.push('\n');
    }
    assert_eq!(told, expected, "\n--- told ---\n{told}--- expected ---\n{expected}");
}

struct Reload {
    instance: Option<u16>,
    spec: Option<(Box<AppSpec>, u16)>,
    parallel: u16,
    replace: bool,
}

impl Default for Reload {
    fn default() -> Reload {
        Reload { instance: None, spec: None, parallel: 1, replace: false }
    }
}

struct Stage {
    spec: AppSpec,
    state: State,
    op: u64,
}

impl Stage {
    fn happens(&mut self, now: Time, what: &str, shown: fn(&Action) -> bool) -> String {
        let words: Vec<&str> = what.split_whitespace().collect();
        let actions = match words[..] {
            ["look"] => return self.look(),
            ["versions"] => return versions(&self.state),
            ["resume", ..] => self.resumes(now, &words[1..]),
            _ => {
                let event = self.event(now, &words);
                step(&mut self.state, now, event)
            }
        };
        let effects: Vec<String> = actions.iter().filter(|a| shown(a)).map(effect).collect();
        effects.join(", ")
    }

    fn event(&mut self, now: Time, words: &[&str]) -> Event {
        let one = |word: &str| word.parse().expect("an instance");
        let app = self.spec.name.clone();
        match *words {
            ["start"] => self.asks(Ask::Start { spec: Box::new(self.spec.clone()), instances: 1 }),
            ["start", "known"] => self.asks(Ask::StartKnown { app, instance: None }),
            ["start", "known", i] => self.asks(Ask::StartKnown { app, instance: Some(one(i)) }),
            ["start", "other"] => {
                self.asks(Ask::Start { spec: Box::new(self.other()), instances: 1 })
            }
            ["start", n] => {
                self.asks(Ask::Start { spec: Box::new(self.spec.clone()), instances: one(n) })
            }
            ["stop"] => self.asks(Ask::Stop { app, instance: None }),
            ["stop", i] => self.asks(Ask::Stop { app, instance: Some(one(i)) }),
            ["restart"] => self.asks(Ask::Restart { app, instance: None, spec: None }),
            ["restart", "other"] => {
                let spec = Some((Box::new(self.other()), 1));
                self.asks(Ask::Restart { app, instance: None, spec })
            }
            ["restart", "limited"] => {
                let mut spec = self.spec.clone();
                spec.memory.max = Some(Size(100));
                let spec = Some((Box::new(spec), 1));
                self.asks(Ask::Restart { app, instance: None, spec })
            }
            ["restart", "with", n] => {
                let spec = Some((Box::new(self.spec.clone()), one(n)));
                self.asks(Ask::Restart { app, instance: None, spec })
            }
            ["restart", i] => self.asks(Ask::Restart { app, instance: Some(one(i)), spec: None }),
            ["reload", ref how @ ..] => self.reload(how),
            ["rollback"] => self.rolls_back(None),
            ["rollback", to] => self.rolls_back(Some(one(to).into())),
            ["abort", op] => {
                let of = OpId(op.strip_prefix("op").expect("opN").parse().expect("a number"));
                self.asks(Ask::Abort { app, of })
            }
            ["scale", n] => self.asks(Ask::Scale { app, to: one(n) }),
            ["reset"] => self.asks(Ask::Reset { app, instance: None }),
            ["reset", i] => self.asks(Ask::Reset { app, instance: Some(one(i)) }),
            ["delete"] => self.asks(Ask::Delete { app }),
            ["tick"] => Event::Tick,
            ["due"] => Event::Struck { app, chime: Chime::Run },
            ["cron"] => Event::Struck { app, chime: Chime::Restart },
            ["changed"] => Event::Changed { app },
            ["loaded", from, to] => Event::Loaded { app, from: one(from), to: one(to), used: 99 },
            ["follows", from, to] => {
                self.op += 1;
                let cause = Cause::Load { from: one(from), to: one(to), used: 99 };
                Event::Undertaken { op: OpId(self.op), app, cause }
            }
            ["undertaken"] => {
                self.op += 1;
                Event::Undertaken { op: OpId(self.op), app, cause: Cause::Changed }
            }
            [child, ref rest @ ..] => reported(now, number(child), rest),
            [] => panic!("an empty cause"),
        }
    }

    fn reload(&mut self, how: &[&str]) -> Event {
        let mut ask = Reload::default();
        for word in how {
            match *word {
                "other" => ask.spec = Some((Box::new(self.other()), 1)),
                "third" => {
                    let spec = AppSpec { args: vec!["--third".into()], ..self.spec.clone() };
                    ask.spec = Some((Box::new(spec), 1));
                }
                "saying" => {
                    let spec = AppSpec { ready: Ready::Notify, ..self.spec.clone() };
                    ask.spec = Some((Box::new(spec), 1));
                }
                "replacing" => ask.replace = true,
                "both" => ask.parallel = 2,
                _ => {
                    let number = |word: &str| word.parse().expect("an instance");
                    match word.strip_prefix("with-") {
                        Some(n) => ask.spec = Some((Box::new(self.other()), number(n))),
                        None => ask.instance = Some(number(word)),
                    }
                }
            }
        }
        let Reload { instance, spec, parallel, replace } = ask;
        let app = self.spec.name.clone();
        self.asks(Ask::Reload { app, instance, spec, parallel, replace })
    }

    fn rolls_back(&mut self, to: Option<u64>) -> Event {
        let app = self.spec.name.clone();
        self.asks(Ask::Rollback { app, to, parallel: 1, replace: false })
    }

    fn asks(&mut self, ask: Ask) -> Event {
        self.op += 1;
        Event::Asked { op: OpId(self.op), ask }
    }

    fn other(&self) -> AppSpec {
        AppSpec { args: vec!["--other".into()], ..self.spec.clone() }
    }

    /// The daemon dies and comes back; each word is a child that the keeper has.
    fn resumes(&mut self, now: Time, words: &[&str]) -> Vec<Action> {
        let (cold, living): (Vec<&str>, Vec<&str>) =
            words.iter().partition(|word| **word == "cold");
        let cold = !cold.is_empty();
        let living = living.into_iter().map(|word| self.entry(word)).collect();
        let roll = Roll { living, cold, last_child: self.state.last_child() };
        let (state, actions) = resume(self.state.intents(), roll, now);
        self.state = state;
        actions
    }

    /// `#1=0` lives in instance 0, `,ready`, `,gen2`, `,of#1` a successor, `,code1@40` ended,
    /// `,tree` with some of its tree left, `,unborn` without a process yet; `#1=build`.
    fn entry(&self, word: &str) -> Entry {
        let (child, rest) = word.split_once('=').expect("#child=place");
        let mut parts = rest.split(',');
        let place = parts.next().expect("a place");
        let app = self.spec.name.clone();
        let purpose = match place.parse() {
            Err(_) if place == "exam" => {
                Purpose::Exam { instance: 0, id: SlotId(0), exam: Exam::Health }
            }
            Err(_) => Purpose::Build,
            Ok(instance) => {
                let slot = self.state.app("api").and_then(|app| app.slot(instance));
                let id = slot.map(|slot| slot.id).unwrap_or_default();
                Purpose::Worker { instance, id }
            }
        };
        let mut entry = living(ChildId(number(child)), app, purpose);
        for part in parts {
            if part == "ready" {
                entry.ready = true;
            } else if part == "unborn" {
                entry.pid = None;
            } else if part == "tree" {
                entry.ended.as_mut().expect("ended first").tree_gone = false;
            } else if let Some(told) = part.strip_prefix("told") {
                entry.told = Some(Time(told.parse().expect("a time")));
            } else if let Some(until) = part.strip_prefix("until") {
                entry.until = Some(Time(until.parse().expect("a time")));
            } else if let Some(generation) = part.strip_prefix("gen") {
                entry.generation = generation.parse().expect("a generation");
            } else if let Some(old) = part.strip_prefix("of") {
                entry.respawn_of = Some(ChildId(number(old)));
            } else if let Some((code, at)) =
                part.strip_prefix("code").and_then(|ended| ended.split_once('@'))
            {
                let exit = Exit::Code(code.parse().expect("a code"));
                let at = Time(at.parse().expect("a time"));
                entry.ended = Some(Ended { exit, at, tree_gone: true });
            } else {
                panic!("no such part of an entry: {part}");
            }
        }
        entry
    }

    fn look(&self) -> String {
        let slots = self.state.apps().flat_map(|(name, app)| {
            app.slots().iter().map(move |slot| {
                let (instance, words) = (slot.instance, slot.explain());
                format!("{name}/{instance} g{} r{}: {words}", slot.generation, slot.restarts)
            })
        });
        slots.collect::<Vec<_>>().join("; ")
    }
}

pub(crate) fn reported(now: Time, child: u64, words: &[&str]) -> Event {
    let child = ChildId(child);
    let exit = |exit, tree_gone| Event::Exited { child, exit, at: now, tree_gone };
    let code = |word: &str| Exit::Code(word.parse().expect("a code"));
    match *words {
        ["spawned"] => Event::Spawned { child, pid: Pid(1) },
        ["ready"] => Event::Ready { child },
        ["alive"] => Event::Alive { child },
        ["well"] => Event::Well { child },
        ["ill"] => {
            let breach = Breach { limit: Limit::Health, measured: 3, allowed: 2, lasted: Span(0) };
            Event::Breach { child, breach }
        }
        ["errs"] => {
            let breach = Breach { limit: Limit::Log, measured: 1, allowed: 0, lasted: Span(0) };
            Event::Breach { child, breach }
        }
        ["swells", measured] => {
            let (limit, measured) = (Limit::TrialMemory, measured.parse().expect("bytes"));
            Event::Breach {
                child,
                breach: Breach { limit, measured, allowed: 50, lasted: Span(0) },
            }
        }
        ["extends", until] => Event::Extend { child, until: Time(until.parse().expect("a time")) },
        ["uses", measured] => {
            let measured = measured.parse().expect("bytes");
            let breach = Breach { limit: Limit::Memory, measured, allowed: 100, lasted: Span(0) };
            Event::Breach { child, breach }
        }
        ["exits", "unknown"] => exit(Exit::Unknown, true),
        ["exits", word] => exit(code(word), true),
        ["exits", word, "leaving"] => exit(code(word), false),
        ["dies", signal] => exit(Exit::Signal(signal.parse().expect("a signal")), true),
        ["tree", "gone"] => Event::TreeGone { child },
        ["missing"] => Event::SpawnFailed { child, error: SpawnError::Permanent(ENOENT) },
        ["no", "room"] => Event::SpawnFailed { child, error: SpawnError::Resources(EAGAIN) },
        ["is", "examined"] => Event::Examine { of: child, exam: Exam::Health, patience: Span(100) },
        ["respawned", new] => {
            Event::Respawned { old: child, new: ChildId(number(new)), pid: Pid(1) }
        }
        _ => panic!("no such event: {words:?}"),
    }
}

pub(crate) fn number(word: &str) -> u64 {
    word.strip_prefix('#').and_then(|word| word.parse().ok()).expect("a child is #number")
}

/// A child that the keeper has, and that runs.
pub(crate) fn living(child: ChildId, app: Name, purpose: Purpose) -> Entry {
    Entry {
        child,
        pid: Some(Pid(1)),
        app,
        purpose,
        site: None,
        generation: 1,
        ready: false,
        started_at: Time(0),
        until: None,
        told: None,
        respawn_of: None,
        ended: None,
    }
}
