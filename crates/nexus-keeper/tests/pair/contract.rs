//! The facts of `nexus_keeper::facts`, watched while a case runs.
//!
//! A case lives in one nexusd after another: what was seen is appended to a file of the home, and
//! each life reads it first. A line may be written whose order or report did not come about
//! because the life ended between the two: the witness allows for that, as nexusd must.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use nexus_keeper::facts::{InRoll, InRollStage, Seen, Witness};
use nexus_keeper::{Ended, Handoff, KeptState, Order, Report, UNASKED};
use nix::time::{ClockId, clock_gettime};

pub(crate) struct Contract {
    witness: Witness,
    trace: File,
}

impl Contract {
    pub(crate) fn begin(home: &Path, handoff: &Handoff) -> Contract {
        let path = home.join("seen");
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let trace = File::options().create(true).append(true).open(&path).unwrap();
        let mut contract = Contract { witness: Witness::default(), trace };
        // A last line without an end was being written when its life ended; one write makes a
        // line, so there is none in the middle.
        let whole = before.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for line in whole.lines() {
            contract.witness.sees(&parse(line)).unwrap();
        }
        contract.trace.set_len(whole.len() as u64 + u64::from(!whole.is_empty())).unwrap();
        contract.begins(handoff);
        contract
    }

    /// With what the keeper hands down.
    pub(crate) fn begins(&mut self, handoff: &Handoff) {
        let roll = handoff.children.iter().map(|kept| InRoll {
            child: kept.child,
            respawn_of: kept.respawn_of,
            stage: match kept.state {
                KeptState::Alive => InRollStage::Alive,
                KeptState::Failed { .. } => InRollStage::Failed,
                KeptState::Exited { ended, at_ms, tree_gone } => {
                    InRollStage::Exited { ended, at_ms, tree_gone }
                }
            },
        });
        self.sees(Seen::Began(roll.collect()));
    }

    fn sees(&mut self, seen: Seen) {
        self.trace.write_all(format!("{}\n", render(&seen)).as_bytes()).unwrap();
        if let Err(broken) = self.witness.sees(&seen) {
            panic!("`{}` is broken: {}", broken.fact, broken.seen);
        }
    }

    /// Before an order is sent.
    pub(crate) fn orders(&mut self, order: &Order) {
        let seen = match order {
            Order::Acknowledge { child } => Seen::Acknowledged(*child),
            Order::Kill { child } | Order::Terminate { child, .. } => Seen::Stopped(*child),
            Order::Resumed => Seen::Resumed,
            Order::Spawn { child, on_exit, .. } => Seen::Ordered {
                child: *child,
                next: on_exit.next,
                delay_ms: on_exit.delay_ms,
                stay_codes: on_exit.stay_codes.clone(),
            },
            Order::Take { child, .. } => Seen::Taken(*child),
            _ => return,
        };
        self.sees(seen);
    }

    /// After a report is read.
    pub(crate) fn reads(&mut self, report: &Report) {
        let seen = match report {
            Report::Exited { child, ended, at_ms, tree_gone } => {
                Seen::Exited { child: *child, ended: *ended, at_ms: *at_ms, tree_gone: *tree_gone }
            }
            Report::Pong { number } if *number != UNASKED => Seen::Settled,
            // A second order by a number in use: nexusd's fault, and the child lives on.
            Report::Refused { errno: libc::EEXIST, .. } => return,
            Report::Refused { child: Some(child), .. } | Report::SpawnFailed { child, .. } => {
                Seen::Failed(*child)
            }
            Report::Respawned { old, new } => {
                Seen::Respawned { old: *old, new: *new, read_ms: now_ms() }
            }
            Report::Running { child } => Seen::Running(*child),
            Report::Spawned { child, .. } => Seen::Spawned(*child),
            Report::TreeGone { child } => Seen::TreeGone(*child),
            Report::Main { .. }
            | Report::Pong { .. }
            | Report::Refused { child: None, .. }
            | Report::Stop
            | Report::Upgrade => return,
        };
        self.sees(seen);
    }
}

fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap();
    now.tv_sec() as u64 * 1_000 + now.tv_nsec() as u64 / 1_000_000
}

/// One line of words; lists are separated by commas, absent numbers are `-`.
fn render(seen: &Seen) -> String {
    let number = |n: &Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    match seen {
        Seen::Began(roll) => {
            let children = roll.iter().map(|entry| {
                let stage = match entry.stage {
                    InRollStage::Alive => "alive".to_owned(),
                    InRollStage::Failed => "failed".to_owned(),
                    InRollStage::Exited { ended, at_ms, tree_gone } => {
                        format!("{}/{at_ms}/{tree_gone}", render_end(ended))
                    }
                };
                format!(" {},{},{stage}", entry.child, number(&entry.respawn_of))
            });
            format!("began{}", children.collect::<String>())
        }
        Seen::Ordered { child, next, delay_ms, stay_codes } => {
            let codes: Vec<String> = stay_codes.iter().map(u8::to_string).collect();
            format!("ordered {child} {} {delay_ms} {}", number(next), codes.join(","))
        }
        Seen::Taken(child) => format!("taken {child}"),
        Seen::Stopped(child) => format!("stopped {child}"),
        Seen::Acknowledged(child) => format!("acknowledged {child}"),
        Seen::Resumed => "resumed".to_owned(),
        Seen::Settled => "settled".to_owned(),
        Seen::Spawned(child) => format!("spawned {child}"),
        Seen::Running(child) => format!("running {child}"),
        Seen::Failed(child) => format!("failed {child}"),
        Seen::Exited { child, ended, at_ms, tree_gone } => {
            format!("exited {child} {} {at_ms} {tree_gone}", render_end(*ended))
        }
        Seen::TreeGone(child) => format!("treegone {child}"),
        Seen::Respawned { old, new, read_ms } => format!("respawned {old} {new} {read_ms}"),
    }
}

fn render_end(ended: Ended) -> String {
    match ended {
        Ended::Code(code) => format!("c{code}"),
        Ended::Signal(signal) => format!("s{signal}"),
        Ended::Core(signal) => format!("d{signal}"),
        Ended::Unknown => "u0".to_owned(),
    }
}

fn parse(line: &str) -> Seen {
    let mut words = line.split(' ');
    let verb = words.next().unwrap();
    let words: Vec<&str> = words.collect();
    let number = |place: usize| -> u64 { words[place].parse().unwrap() };
    match verb {
        "began" => Seen::Began(words.iter().map(|word| parse_in_roll(word)).collect()),
        "ordered" => Seen::Ordered {
            child: number(0),
            next: words[1].parse().ok(),
            delay_ms: number(2),
            stay_codes: words[3].split(',').filter_map(|code| code.parse().ok()).collect(),
        },
        "taken" => Seen::Taken(number(0)),
        "stopped" => Seen::Stopped(number(0)),
        "acknowledged" => Seen::Acknowledged(number(0)),
        "resumed" => Seen::Resumed,
        "settled" => Seen::Settled,
        "spawned" => Seen::Spawned(number(0)),
        "running" => Seen::Running(number(0)),
        "failed" => Seen::Failed(number(0)),
        "exited" => Seen::Exited {
            child: number(0),
            ended: parse_end(words[1]),
            at_ms: number(2),
            tree_gone: words[3] == "true",
        },
        "treegone" => Seen::TreeGone(number(0)),
        "respawned" => Seen::Respawned { old: number(0), new: number(1), read_ms: number(2) },
        other => panic!("no such line: {other}"),
    }
}

fn parse_in_roll(word: &str) -> InRoll {
    let parts: Vec<&str> = word.split(',').collect();
    let stage = match parts[2] {
        "alive" => InRollStage::Alive,
        "failed" => InRollStage::Failed,
        exited => {
            let parts: Vec<&str> = exited.split('/').collect();
            InRollStage::Exited {
                ended: parse_end(parts[0]),
                at_ms: parts[1].parse().unwrap(),
                tree_gone: parts[2] == "true",
            }
        }
    };
    InRoll { child: parts[0].parse().unwrap(), respawn_of: parts[1].parse().ok(), stage }
}

fn parse_end(word: &str) -> Ended {
    let number = word[1..].parse().unwrap();
    match &word[..1] {
        "c" => Ended::Code(number as u8),
        "s" => Ended::Signal(number),
        "d" => Ended::Core(number),
        _ => Ended::Unknown,
    }
}
