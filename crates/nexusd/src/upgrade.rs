//! Another program in the place of both: asked for, watched over, and told of.
//!
//! How far it is stands in the memory that both of the pair share (`nexus_keeper::Upgrade`); who
//! asked for it, and the answer, stand with the operation on disk. Every nexusd, of the old program
//! or the new, looks at both when it begins and when the keeper says that it is further.

use std::io;

use nexus_core::{OpId, Time};
use nexus_keeper::{Ended, Order, Step, Undone, Upgrade};
use nexus_proto::{Code, DaemonResult, Problem, Verdict};
use nexus_spec::Span;
use tokio::io::Interest;

use crate::clock;
use crate::command::{Begun, Upgrading};
use crate::daemon::{Course, Daemon};
use crate::facts::{Line, NOBODY};
use crate::ops;
use crate::records::Entry;
use crate::run::watch_on;

/// How long a new program may take until it is ready, unless it is said.
const DEADLINE_MS: u64 = 10_000;
/// The longest that may be asked for.
const DEADLINE_MAX_MS: u64 = 300_000;
/// How long after that the keeper may still be on its way to say so.
const GRACE_MS: u64 = 250;

impl Daemon {
    /// Begin one, or answer with the one that the key began.
    pub(crate) fn upgrade(&mut self, upgrading: Upgrading) -> Result<Begun, Problem> {
        let Upgrading { key, by, asked, program } = upgrading;
        self.ops.expire();
        if let Some(begun) = crate::requests::shown(self, &key) {
            return Ok(begun);
        }
        let program = program?;
        if let Some(op) = self.ops.upgrading() {
            let title = format!("an upgrade is under way, asked for by {}", op.view.by);
            let help = format!("nexusctl wait {}", op.view.key);
            return Err(Problem::new(Code::Refused, title).help(help));
        }
        if self.course != Course::Serve || self.shutdown.is_some() {
            return Err(Problem::new(Code::Refused, "the daemon is ending".into()));
        }
        if let Some(why) = self.store.lacking() {
            let title = "no upgrade: the new program could not read what cannot be written";
            let folder = self.home.state();
            return Err(Problem::new(Code::TooMuch, title.into())
                .cause(format!("{}: {why}", folder.display())));
        }
        let (actor, by) = (&by, by.to_string());
        self.log_of(actor, Line::new("operator", format!("upgrade to {}", asked.file), &by));
        tracing::info!(by, file = asked.file, "upgrade");
        let from = env!("CARGO_PKG_VERSION").to_owned();
        let id = self.ops.begin_upgrade(key.clone(), by, ops::Upgrade { file: asked.file, from });
        if let Some(op) = self.ops.get(id) {
            self.store.keep(Entry::Operation(Box::new(op.clone())));
        }
        // On disk before the keeper hears of it: the next nexusd answers.
        self.commit();
        let deadline = asked.deadline_ms.unwrap_or(DEADLINE_MS).min(DEADLINE_MAX_MS);
        let until = clock::now().0 + deadline;
        self.upgrade_until = Some(Time(until + GRACE_MS));
        if let Err(error) = self.holdings.link.order_upgrade(id.0, until, program) {
            self.end_upgrade(id, Err(format!("the keeper takes no orders: {error}")));
        }
        self.begun(id).ok_or_else(|| crate::requests::lost(&key))
    }

    /// See how far the upgrade is, and do our part of it.
    pub(crate) fn look_at_upgrade(&mut self) {
        let link = &self.holdings.link;
        let (upgrade, on_trial) = (link.upgrade(), link.is_on_trial());
        if upgrade.is_some_and(|upgrade| upgrade.step == Step::Nexusd) && !on_trial {
            tracing::info!("the keeper is a new program: a nexusd of it takes our place");
            self.course = Course::GivingWay;
            return;
        }
        let Some(id) = self.ops.upgrading().map(|op| OpId(op.id)) else { return };
        let of_this = upgrade.filter(|upgrade| upgrade.number == id.0);
        match of_this.map(|Upgrade { step, until_ms, .. }| (step, until_ms)) {
            None => {
                let why = "the daemon ended before its keeper was asked, or both of them did";
                self.end_upgrade(id, Err(why.into()));
            }
            Some((Step::Keeper | Step::Nexusd, until)) if !on_trial => {
                self.upgrade_until = Some(Time(until + GRACE_MS));
            }
            // The keeper says when it has heard that we are ready.
            Some((Step::Keeper | Step::Nexusd, _)) => {}
            Some((Step::Done, _)) => self.end_upgrade(id, Ok(())),
            Some((Step::Undone(undone), _)) => self.end_upgrade(id, Err(why(undone))),
        }
    }

    /// By the clock: a keeper that is not the new program in time is ended, and we take its place.
    pub(crate) fn end_late_upgrade(&mut self) {
        if self.upgrade_until.is_none_or(|until| clock::now() < until) {
            return;
        }
        self.upgrade_until = None;
        let Some(id) = self.ops.upgrading().map(|op| OpId(op.id)) else { return };
        match self.holdings.link.upgrade().filter(|upgrade| upgrade.number == id.0) {
            Some(Upgrade { step: Step::Keeper | Step::Nexusd, .. }) => {
                tracing::error!("the new program is not the keeper in time: it is ended");
                self.holdings.link.end_keeper();
            }
            Some(Upgrade { step: Step::Done | Step::Undone(_), .. }) => self.look_at_upgrade(),
            None => {
                let why = "the keeper does not know the order, being of an older version";
                self.end_upgrade(id, Err(why.into()));
            }
        }
    }

    /// The keeper is the new program: nothing is touched any more, and it starts a nexusd of its own,
    /// which ends us. If it dies before that, or does not, we take its place.
    ///
    /// # Errors
    /// What `exec` says, when there is nobody whose place could be taken.
    pub(crate) async fn give_way(mut self) -> io::Result<()> {
        self.commit();
        if !self.outputs.park() {
            // A thread that hangs with its disk would hold up an exec: we are of no use here.
            tracing::error!("a log thread does not stop, its disk hangs: nexusd ends");
            return Ok(());
        }
        self.order(&Order::GiveWay);
        let link = &mut self.holdings.link;
        let socket = watch_on(link.socket(), Interest::WRITABLE)?;
        let keeper = watch_on(link.keeper_pidfd(), Interest::READABLE)?;
        while link.wants_write() {
            tokio::select! {
                ready = socket.writable() => ready?.clear_ready(),
                () = clock::pause(link.flush_after()) => {}
                dead = keeper.readable() => {
                    drop(dead?);
                    break;
                }
            }
            if link.flush().is_err() {
                break;
            }
        }
        let until = self.upgrade_until.unwrap_or(clock::now() + Span(DEADLINE_MS));
        if tokio::time::timeout_at(clock::instant_of(until), keeper.readable()).await.is_err() {
            tracing::error!("the new keeper starts no nexusd in time: it is ended");
            self.holdings.link.end_keeper();
            drop(keeper.readable().await?);
        }
        tracing::error!("the new keeper has ended: the old program takes its place");
        Err(self.holdings.link.promote())
    }

    fn end_upgrade(&mut self, id: OpId, ended: Result<(), String>) {
        self.upgrade_until = None;
        let Some(op) = self.ops.get(id) else { return };
        let Some(ops::Upgrade { file, from }) = op.upgrade.clone() else { return };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let by = op.view.by.clone();
        let (kind, detail) = match &ended {
            Ok(()) => ("upgraded", format!("{from} to {version}: {file}")),
            Err(why) => ("rolled_back", format!("{version} serves, not {file}: {why}")),
        };
        self.log(Line::new(kind, detail, if ended.is_ok() { &by } else { NOBODY }));
        let verdict = if ended.is_ok() { Verdict::Done } else { Verdict::RolledBack };
        let message = ended.err().unwrap_or_default();
        self.ops.upgraded(id, DaemonResult { verdict, message, from, version });
        if let Some(op) = self.ops.get(id) {
            self.store.keep(Entry::Operation(Box::new(op.clone())));
        }
        self.commit();
        self.published.operations.send_modify(|changes| *changes += 1);
        self.publish();
    }
}

fn why(undone: Undone) -> String {
    match undone {
        Undone::NotExecuted(nix::libc::ENOEXEC) => "it is no program for this machine".into(),
        Undone::NotExecuted(errno) => {
            let error = std::io::Error::from_raw_os_error(errno);
            format!("it cannot be executed: {error}")
        }
        Undone::KeeperEnded(ended) => format!("as a keeper it {}", how(ended)),
        Undone::KeeperLate => "as a keeper it was not ready in time".into(),
        Undone::NexusdEnded(ended) => format!("as nexusd it {} before it was ready", how(ended)),
        Undone::NexusdLate => "as nexusd it was not ready in time".into(),
    }
}

fn how(ended: Ended) -> String {
    match ended {
        Ended::Code(code) => format!("exited with code {code}"),
        Ended::Core(signal) | Ended::Signal(signal) => {
            format!("was ended by {}", crate::words::signal(signal))
        }
        Ended::Unknown => "ended".into(),
    }
}
