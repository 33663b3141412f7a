//! What earlier versions wrote is read as what they meant by it: `fixtures/VERSION` beside `src`.
//!
//! A line is what was written, in hexadecimal, and what it is read as. The first never changes;
//! `NEXUS_BLESS=1` writes the second anew (look at what differs), and a first file for a version
//! that has none.

use std::fmt::Debug;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::arena::{Arena, Changing, Fixed, Phase, Strings};
use crate::codec::{decode_order, decode_report, encode_order, encode_report};
use crate::handoff::{Limits, Table};
use crate::sys::map::Map;
use crate::upgrade::{Step, Undone};
use crate::wire::{Ended, HoldId, OnExit, Order, Report, Stage};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn blessing() -> bool {
    std::env::var_os("NEXUS_BLESS").is_some()
}

/// Every version's file of this name.
fn files(name: &str, of_now: &[Vec<u8>]) -> Vec<PathBuf> {
    let own = root().join(env!("CARGO_PKG_VERSION")).join(name);
    if blessing() && !own.exists() {
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
        let lines: Vec<String> = of_now.iter().map(|bytes| hex(bytes) + " \n").collect();
        std::fs::write(&own, lines.concat()).unwrap();
    }
    let versions = std::fs::read_dir(root()).unwrap().flatten();
    versions.map(|version| version.path().join(name)).filter(|path| path.exists()).collect()
}

fn check(name: &str, of_now: &[Vec<u8>], read: impl Fn(&[u8]) -> String) {
    let files = files(name, of_now);
    assert!(!files.is_empty(), "NEXUS_BLESS=1 cargo test -p nexus-keeper writes {name}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| {
            let (hex, meant) = line.split_once(' ').unwrap();
            let is = read(&unhex(hex));
            assert!(blessing() || is == meant, "{}: {meant}\nis read as\n{is}", path.display());
            format!("{hex} {is}\n")
        });
        let anew: String = lines.collect();
        if blessing() {
            std::fs::write(path, anew).unwrap();
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn orders() -> Vec<Order> {
    let (child, note) = (7, b"note".to_vec());
    let on_exit = OnExit { next: Some(9), delay_ms: 250, stay_codes: vec![0, 7] };
    vec![
        Order::Acknowledge { child },
        Order::GiveWay,
        Order::Hold { id: HoldId(3), note: note.clone() },
        Order::Release { id: HoldId(3) },
        Order::Kill { child },
        Order::Leave,
        Order::Note { child, note: note.clone() },
        Order::Ping { number: 1 },
        Order::Resumed,
        Order::Spawn {
            child,
            template: HoldId(1),
            env: b"A=b\0".to_vec(),
            tag: b"home/app/0".to_vec(),
            stdin: Some(HoldId(2)),
            stdout: HoldId(3),
            stderr: HoldId(4),
            note: note.clone(),
            on_exit,
        },
        Order::Take { child, pid: 99, tag: b"home/app/0".to_vec(), note },
        Order::Terminate { child, signal: 15, whole: true },
        Order::Upgrade { number: 5, until_ms: 1_000 },
        Order::Main { child, pid: 99 },
    ]
}

fn reports() -> Vec<Report> {
    let child = 7;
    vec![
        Report::Exited { child, ended: Ended::Code(3), at_ms: 5, tree_gone: true },
        Report::Exited { child, ended: Ended::Signal(9), at_ms: 5, tree_gone: false },
        Report::Exited { child, ended: Ended::Core(11), at_ms: 5, tree_gone: false },
        Report::Refused { child: Some(child), errno: 28, why: "no such child" },
        Report::Respawned { old: child, new: 9 },
        Report::Running { child },
        Report::Spawned { child, pid: 99 },
        Report::SpawnFailed { child, stage: Stage::Exec, errno: 2 },
        Report::TreeGone { child },
        Report::Pong { number: 1 },
        Report::Stop,
        Report::Upgrade,
        Report::Main { child, pid: 99, errno: 24 },
    ]
}

fn table() -> Table {
    Table {
        home: "/var/lib/nexus".into(),
        arena: 70,
        link: Some(71),
        lock: Some(72),
        peer: Some((9, 73)),
        limits: Limits {
            nofile_soft: 1024,
            nofile_hard: 4096,
            core: Some((0, 8192)),
            oom_score_adj: -5,
        },
        cgroup: Some("/sys/fs/cgroup/nexus".into()),
        resumed: true,
        held: vec![(HoldId(1), 74, b"pipe a 0 out r".to_vec())],
        children: vec![(7, 76, 99)],
        gates: vec![(7, 77)],
        told: vec![7],
        in_place: true,
        old_program: Some(78),
        undone: Some(Undone::NexusdEnded(Ended::Code(1))),
    }
}

#[test]
fn orders_of_every_version_are_read() {
    let bytes: Vec<_> = orders().iter().map(|order| encode_order(order).unwrap()).collect();
    check("orders.txt", &bytes, |bytes| shown(&decode_order(bytes).unwrap()));
}

#[test]
fn reports_of_every_version_are_read() {
    let encode = |report: &Report| {
        let mut bytes = Vec::new();
        encode_report(report, &mut bytes);
        bytes
    };
    let bytes: Vec<_> = reports().iter().map(encode).collect();
    check("reports.txt", &bytes, |bytes| shown(&decode_report(bytes).unwrap()));
}

#[test]
fn handoffs_of_every_version_are_read() {
    let bytes = [table().encode()];
    check("handoff.txt", &bytes, |bytes| shown(&Table::decode(bytes).unwrap()));
}

/// As much of an arena as one child touches.
const ARENA: usize = 4096 + 2048;

fn arena() -> Vec<u8> {
    let arena = Arena::create(123).unwrap();
    let fixed =
        Fixed { template: 1, stdout: 3, stderr: 4, next: 10, delay_ms: 250, ..Fixed::default() };
    let strings = Strings { codes: &[0, 7], env: b"A=b\0", tag: b"home/app/0" };
    arena.set_fixed(0, &fixed, &strings);
    let mut now = Changing::new(7, Phase::Exited);
    (now.pid, now.started_ms, now.at_ms, now.ended) = (99, 5, 6, Ended::Signal(9));
    arena.set_note(0, &mut now, b"note");
    arena.commit(0, now);
    arena.set_used(1);
    arena.seen_child(9);
    arena.count_nexusd_restart();
    arena.begin_upgrade(5, 1_000);
    arena.set_upgrade(Step::Done);
    arena.set_version("0.1.0");
    let mut bytes = vec![0; ARENA];
    Map::new(arena.fd(), ARENA, false).unwrap().load(0, &mut bytes);
    bytes
}

/// Rows of sixteen bytes, zeroes left out: `(number, bytes)`.
fn squeeze(bytes: &[u8]) -> Vec<u8> {
    let rows = bytes.chunks(16).enumerate().filter(|(_, row)| row.iter().any(|byte| *byte != 0));
    rows.flat_map(|(number, row)| [&(number as u16).to_le_bytes(), row].concat()).collect()
}

fn unsqueeze(bytes: &[u8]) -> Arena {
    let empty = Arena::create(0).unwrap();
    let map = Map::new(empty.fd().as_fd(), ARENA, true).unwrap();
    for row in bytes.chunks(18) {
        let number = u16::from_le_bytes([row[0], row[1]]);
        map.store(usize::from(number) * 16, &row[2..]);
    }
    Arena::open(empty.fd().try_clone_to_owned().unwrap(), false).unwrap()
}

#[test]
fn arenas_of_every_version_are_read() {
    check("arena.txt", &[squeeze(&arena())], |bytes| {
        let arena = unsqueeze(bytes);
        let now = arena.changing(0).unwrap();
        let mut tag = [0; crate::wire::TAG_MAX];
        let strings = [arena.note(0, &now), arena.env(0), arena.tag(0, &mut tag).to_vec()];
        let strings = strings.map(|bytes| String::from_utf8(bytes).unwrap());
        let pair = (arena.used(), arena.last_child(), arena.counters(), arena.upgrade());
        let fixed = (arena.fixed(0), arena.stays_after(0, 7));
        shown(&(pair, arena.version(), now, fixed, strings))
    });
}
