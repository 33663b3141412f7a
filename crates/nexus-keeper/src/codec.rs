//! Orders and reports as bytes: one message each, little endian, bounded.
//!
//! A message is a version, a kind, and the kind's fields; byte strings carry their length in two
//! bytes. A reader ignores kinds that it does not know and fields after those that it knows, so
//! that a newer and an older program can be a pair.

use crate::wire::{
    CARRIED_ENV_MAX, CODES_MAX, Ended, HoldId, NOTE_MAX, OnExit, Order, Report, Stage, TAG_MAX,
};

/// No message is longer.
pub(crate) const MESSAGE_MAX: usize = 8 * 1024;
const VERSION: u8 = 1;

/// Why a message means nothing to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Of another version, or of a kind that came later: ignored and counted.
    Unknown,
    /// Cut short, or beyond a bound.
    Malformed(&'static str),
}

/// An order as the keeper reads it: the strings stay in the receive buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    Acknowledge { child: u64 },
    GiveWay,
    Hold { id: HoldId, note: &'a [u8] },
    Kill { child: u64 },
    Leave,
    Main { child: u64, pid: i32 },
    Note { child: u64, note: &'a [u8] },
    Ping { number: u64 },
    Release { id: HoldId },
    Resumed,
    Spawn(AskedSpawn<'a>),
    Take { child: u64, pid: i32, tag: &'a [u8], note: &'a [u8] },
    Terminate { child: u64, signal: i32, whole: bool },
    Upgrade { number: u64, until_ms: u64 },
}

/// `Order::Spawn` as the keeper reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AskedSpawn<'a> {
    pub(crate) child: u64,
    pub(crate) template: u64,
    /// It came later than the rest, and so is last on the wire.
    pub(crate) stdin: Option<u64>,
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
    pub(crate) next: Option<u64>,
    pub(crate) delay_ms: u64,
    pub(crate) stay_codes: &'a [u8],
    pub(crate) env: &'a [u8],
    pub(crate) tag: &'a [u8],
    pub(crate) note: &'a [u8],
}

const ACKNOWLEDGE: u8 = 1;
const HOLD: u8 = 2;
const KILL: u8 = 3;
const LEAVE: u8 = 4;
const NOTE: u8 = 5;
const PING: u8 = 6;
const RELEASE: u8 = 7;
const RESUMED: u8 = 8;
const SPAWN: u8 = 9;
const TAKE: u8 = 10;
const TERMINATE: u8 = 11;
const UPGRADE: u8 = 12;
const GIVE_WAY: u8 = 13;
const MAIN: u8 = 14;

/// An order's bytes.
///
/// # Errors
/// The name of the bound that it breaks.
pub(crate) fn encode_order(order: &Order) -> Result<Vec<u8>, &'static str> {
    let mut out = vec![VERSION];
    match order {
        Order::Acknowledge { child } => put(&mut out, ACKNOWLEDGE, &[*child]),
        Order::GiveWay => put(&mut out, GIVE_WAY, &[]),
        Order::Hold { id, note } => {
            put(&mut out, HOLD, &[id.0]);
            put_bytes(&mut out, note, NOTE_MAX, "note longer than NOTE_MAX")?;
        }
        Order::Release { id } => put(&mut out, RELEASE, &[id.0]),
        Order::Kill { child } => put(&mut out, KILL, &[*child]),
        Order::Leave => put(&mut out, LEAVE, &[]),
        Order::Main { child, pid } => {
            put(&mut out, MAIN, &[*child, u64::from(pid.cast_unsigned())]);
        }
        Order::Note { child, note } => {
            put(&mut out, NOTE, &[*child]);
            put_bytes(&mut out, note, NOTE_MAX, "note longer than NOTE_MAX")?;
        }
        Order::Ping { number } => put(&mut out, PING, &[*number]),
        Order::Resumed => put(&mut out, RESUMED, &[]),
        Order::Spawn { child, template, env, tag, stdin, stdout, stderr, note, on_exit } => {
            let OnExit { next, delay_ms, stay_codes } = on_exit;
            let next = next.map_or(0, |n| n.wrapping_add(1));
            let ids = [*child, template.0, stdout.0, stderr.0, next, *delay_ms];
            put(&mut out, SPAWN, &ids);
            put_bytes(&mut out, stay_codes, CODES_MAX, "more stay_codes than CODES_MAX")?;
            put_bytes(&mut out, env, CARRIED_ENV_MAX, "env longer than CARRIED_ENV_MAX")?;
            put_bytes(&mut out, tag, TAG_MAX, "tag longer than TAG_MAX")?;
            put_bytes(&mut out, note, NOTE_MAX, "note longer than NOTE_MAX")?;
            if let Some(stdin) = stdin {
                out.extend_from_slice(&stdin.0.to_le_bytes());
            }
        }
        Order::Take { child, pid, tag, note } => {
            put(&mut out, TAKE, &[*child, u64::from(pid.cast_unsigned())]);
            put_bytes(&mut out, tag, TAG_MAX, "tag longer than TAG_MAX")?;
            put_bytes(&mut out, note, NOTE_MAX, "note longer than NOTE_MAX")?;
        }
        Order::Terminate { child, signal, whole } => {
            let signal = u64::from(signal.cast_unsigned());
            put(&mut out, TERMINATE, &[*child, signal, u64::from(*whole)]);
        }
        Order::Upgrade { number, until_ms } => put(&mut out, UPGRADE, &[*number, *until_ms]),
    }
    Ok(out)
}

/// The order in a message.
pub(crate) fn decode_order(message: &[u8]) -> Result<Asked<'_>, Flaw> {
    let (kind, mut rest) = kind_of(message)?;
    let rest = &mut rest;
    Ok(match kind {
        ACKNOWLEDGE => Asked::Acknowledge { child: word(rest)? },
        GIVE_WAY => Asked::GiveWay,
        HOLD => Asked::Hold { id: HoldId(word(rest)?), note: bytes(rest, NOTE_MAX)? },
        KILL => Asked::Kill { child: word(rest)? },
        LEAVE => Asked::Leave,
        MAIN => Asked::Main { child: word(rest)?, pid: number(rest)? },
        NOTE => Asked::Note { child: word(rest)?, note: bytes(rest, NOTE_MAX)? },
        PING => Asked::Ping { number: word(rest)? },
        RELEASE => Asked::Release { id: HoldId(word(rest)?) },
        RESUMED => Asked::Resumed,
        SPAWN => Asked::Spawn(AskedSpawn {
            child: word(rest)?,
            template: word(rest)?,
            stdout: word(rest)?,
            stderr: word(rest)?,
            next: word(rest)?.checked_sub(1),
            delay_ms: word(rest)?,
            stay_codes: bytes(rest, CODES_MAX)?,
            env: bytes(rest, CARRIED_ENV_MAX)?,
            tag: bytes(rest, TAG_MAX)?,
            note: bytes(rest, NOTE_MAX)?,
            // A field of the expression is read in the order in which it is written here.
            stdin: word(rest).ok(),
        }),
        TAKE => Asked::Take {
            child: word(rest)?,
            pid: number(rest)?,
            tag: bytes(rest, TAG_MAX)?,
            note: bytes(rest, NOTE_MAX)?,
        },
        // A nexusd of the version before says nothing of the rest of the tree.
        TERMINATE => Asked::Terminate {
            child: word(rest)?,
            signal: number(rest)?,
            whole: word(rest).is_ok_and(|whole| whole != 0),
        },
        UPGRADE => Asked::Upgrade { number: word(rest)?, until_ms: word(rest)? },
        _ => return Err(Flaw::Unknown),
    })
}

const EXITED: u8 = 1;
const REFUSED: u8 = 2;
const RESPAWNED: u8 = 3;
const RUNNING: u8 = 4;
const SPAWNED: u8 = 5;
const SPAWN_FAILED: u8 = 6;
const TREE_GONE: u8 = 7;
const PONG: u8 = 8;
const STOP: u8 = 9;
const UPGRADED: u8 = 10;
const MAIN_SET: u8 = 11;

/// Write a report's bytes into a buffer that is used again and again.
pub(crate) fn encode_report(report: &Report, out: &mut Vec<u8>) {
    out.clear();
    out.push(VERSION);
    match report {
        Report::Exited { child, ended, at_ms, tree_gone } => {
            let (how, value) = ended_to_words(*ended);
            put(out, EXITED, &[*child, how, value, *at_ms, u64::from(*tree_gone)]);
        }
        Report::Refused { child, errno, why } => {
            let child = child.map_or(0, |c| c.wrapping_add(1));
            put(out, REFUSED, &[child, u64::from(errno.cast_unsigned()), why_to_word(why)]);
        }
        Report::Respawned { old, new } => put(out, RESPAWNED, &[*old, *new]),
        Report::Running { child } => put(out, RUNNING, &[*child]),
        Report::Spawned { child, pid } => {
            put(out, SPAWNED, &[*child, u64::from(pid.cast_unsigned())]);
        }
        Report::SpawnFailed { child, stage, errno } => {
            let words =
                [*child, u64::from(stage_to_byte(*stage)), u64::from(errno.cast_unsigned())];
            put(out, SPAWN_FAILED, &words);
        }
        Report::TreeGone { child } => put(out, TREE_GONE, &[*child]),
        Report::Pong { number } => put(out, PONG, &[*number]),
        Report::Stop => put(out, STOP, &[]),
        Report::Upgrade => put(out, UPGRADED, &[]),
        Report::Main { child, pid, errno } => {
            let words = [pid, errno].map(|number| u64::from(number.cast_unsigned()));
            put(out, MAIN_SET, &[*child, words[0], words[1]]);
        }
    }
}

/// The report in a message.
pub(crate) fn decode_report(message: &[u8]) -> Result<Report, Flaw> {
    let (kind, mut rest) = kind_of(message)?;
    let rest = &mut rest;
    Ok(match kind {
        EXITED => Report::Exited {
            child: word(rest)?,
            ended: ended_from_words(word(rest)?, word(rest)?),
            at_ms: word(rest)?,
            tree_gone: word(rest)? != 0,
        },
        REFUSED => Report::Refused {
            child: word(rest)?.checked_sub(1),
            errno: number(rest)?,
            why: why_from_word(word(rest)?),
        },
        RESPAWNED => Report::Respawned { old: word(rest)?, new: word(rest)? },
        RUNNING => Report::Running { child: word(rest)? },
        SPAWNED => Report::Spawned { child: word(rest)?, pid: number(rest)? },
        SPAWN_FAILED => Report::SpawnFailed {
            child: word(rest)?,
            stage: stage_from_byte(word(rest)? as u8).unwrap_or(Stage::Exec),
            errno: number(rest)?,
        },
        TREE_GONE => Report::TreeGone { child: word(rest)? },
        PONG => Report::Pong { number: word(rest)? },
        STOP => Report::Stop,
        UPGRADED => Report::Upgrade,
        MAIN_SET => Report::Main { child: word(rest)?, pid: number(rest)?, errno: number(rest)? },
        _ => return Err(Flaw::Unknown),
    })
}

/// What `Report::Refused` can say; on the wire it is the place in this list.
pub(crate) const REFUSALS: [&str; 10] = [
    "an order of an unknown kind",
    "a message cut short or beyond a bound",
    "all CHILDREN_MAX places are taken",
    "this child's number is in use",
    "no such child",
    "the order's descriptor did not come with it",
    "nothing is held by this number",
    "the child has not ended, or its tree has not",
    "the signal could not be sent",
    "an upgrade is under way",
];

fn why_to_word(why: &str) -> u64 {
    REFUSALS.iter().position(|w| *w == why).map_or(u64::MAX, |i| i as u64)
}

fn why_from_word(word: u64) -> &'static str {
    let place = usize::try_from(word).ok().and_then(|i| REFUSALS.get(i));
    place.copied().unwrap_or("a reason that this version does not know")
}

/// `Ended` as two words.
pub(crate) fn ended_to_words(ended: Ended) -> (u64, u64) {
    match ended {
        Ended::Code(code) => (1, u64::from(code)),
        Ended::Signal(signal) => (2, u64::from(signal.cast_unsigned())),
        Ended::Unknown => (3, 0),
        Ended::Core(signal) => (4, u64::from(signal.cast_unsigned())),
    }
}

/// And back; what is not known is `Unknown`.
pub(crate) fn ended_from_words(how: u64, value: u64) -> Ended {
    match how {
        1 => Ended::Code(value as u8),
        2 => Ended::Signal(value as i32),
        4 => Ended::Core(value as i32),
        _ => Ended::Unknown,
    }
}

/// `Stage` as a byte; 0 is kept for "none".
pub(crate) fn stage_to_byte(stage: Stage) -> u8 {
    match stage {
        Stage::Fork => 1,
        Stage::Rights => 2,
        Stage::Descriptors => 3,
        Stage::Cwd => 4,
        Stage::Exec => 5,
        Stage::Grants => 6,
        Stage::Itself => 7,
    }
}

/// And back.
pub(crate) fn stage_from_byte(byte: u8) -> Option<Stage> {
    match byte {
        1 => Some(Stage::Fork),
        2 => Some(Stage::Rights),
        3 => Some(Stage::Descriptors),
        4 => Some(Stage::Cwd),
        5 => Some(Stage::Exec),
        6 => Some(Stage::Grants),
        7 => Some(Stage::Itself),
        _ => None,
    }
}

fn put(out: &mut Vec<u8>, kind: u8, words: &[u64]) {
    out.push(kind);
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

fn put_bytes(
    out: &mut Vec<u8>,
    bytes: &[u8],
    max: usize,
    flaw: &'static str,
) -> Result<(), &'static str> {
    let len = u16::try_from(bytes.len()).map_err(|_| flaw)?;
    if bytes.len() > max {
        return Err(flaw);
    }
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn kind_of(message: &[u8]) -> Result<(u8, &[u8]), Flaw> {
    match message {
        [VERSION, kind, rest @ ..] => Ok((*kind, rest)),
        [_, _, ..] => Err(Flaw::Unknown),
        _ => Err(Flaw::Malformed(REFUSALS[1])),
    }
}

fn word(rest: &mut &[u8]) -> Result<u64, Flaw> {
    let (head, tail) = rest.split_first_chunk::<8>().ok_or(Flaw::Malformed(REFUSALS[1]))?;
    *rest = tail;
    Ok(u64::from_le_bytes(*head))
}

fn number(rest: &mut &[u8]) -> Result<i32, Flaw> {
    Ok((word(rest)? as u32).cast_signed())
}

fn bytes<'a>(rest: &mut &'a [u8], max: usize) -> Result<&'a [u8], Flaw> {
    let flaw = Flaw::Malformed(REFUSALS[1]);
    let (head, tail) = rest.split_first_chunk::<2>().ok_or(flaw)?;
    let len = usize::from(u16::from_le_bytes(*head));
    if len > max || len > tail.len() {
        return Err(flaw);
    }
    let (bytes, tail) = tail.split_at(len);
    *rest = tail;
    Ok(bytes)
}
