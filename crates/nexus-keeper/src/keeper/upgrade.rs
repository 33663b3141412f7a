//! The keeper's part of an upgrade; see [`crate::upgrade`].

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::Keeper;
use crate::codec::REFUSALS;
use crate::handoff;
use crate::sys::{self, files, process};
use crate::upgrade::{Step, Undone};
use crate::wire::{Ended, Report};

/// A new program that ends so often as nexusd before it has resumed is given up.
const DEATHS_MAX: u32 = 3;

/// What a keeper has to do with an upgrade.
#[derive(Default)]
pub(super) enum Upgrading {
    /// Nothing.
    #[default]
    Not,
    /// This program is to be executed as soon as all is told.
    Asked(OwnedFd),
    /// We are the new program; this is the old one's file.
    Trial(Trial),
}

pub(super) struct Trial {
    pub(super) old: OwnedFd,
    /// How often its nexusd has ended.
    deaths: u32,
    /// It has taken too long: its nexusd was killed.
    over: bool,
}

impl Trial {
    pub(super) fn new(old: OwnedFd) -> Trial {
        Trial { old, deaths: 0, over: false }
    }
}

impl Keeper {
    /// nexusd wants this program in our place.
    pub(super) fn order_upgrade(
        &mut self,
        number: u64,
        until_ms: u64,
        program: Option<OwnedFd>,
    ) -> Result<(), (i32, &'static str)> {
        let program = program.ok_or((libc::EBADF, REFUSALS[5]))?;
        if !matches!(self.upgrading, Upgrading::Not) {
            return Err((libc::EBUSY, REFUSALS[9]));
        }
        self.arena.begin_upgrade(number, until_ms);
        self.upgrading = Upgrading::Asked(program);
        Ok(())
    }

    /// At the end of a turn: execute the program that was asked for, if all is told, and no child
    /// shares our descriptors. Comes back if it cannot be executed.
    pub(super) fn become_asked(&mut self, now: u64) {
        let Upgrading::Asked(program) = &self.upgrading else { return };
        let late = self.arena.upgrade().is_none_or(|upgrade| now >= upgrade.until_ms);
        let busy = !self.say_queue.is_empty()
            || !self.tell_queue.is_empty()
            || self.live.iter().any(|live| live.far_end.is_some());
        if busy && !late {
            return;
        }
        let undone = if late {
            Undone::KeeperLate
        } else {
            let error = match process::own_program() {
                Ok(old) => {
                    let (program, old) = (program.as_raw_fd(), old.as_raw_fd());
                    self.become_program(program, Some(old), None)
                }
                Err(error) => error,
            };
            Undone::NotExecuted(error.raw_os_error().unwrap_or(libc::EIO))
        };
        self.upgrading = Upgrading::Not;
        self.arena.set_upgrade(Step::Undone(undone));
        self.say(Report::Upgrade);
    }

    /// Execute a program into our own role, in this process: children stay children, nexusd stays.
    /// Returns only when it cannot be executed; then nothing has changed.
    fn become_program(
        &self,
        program: i32,
        old: Option<i32>,
        undone: Option<Undone>,
    ) -> std::io::Error {
        let mut table = self.table();
        table.lock = Some(self.lock.as_raw_fd());
        table.link = self.peer.as_ref().map(|peer| peer.link.as_raw_fd());
        table.peer = self.peer.as_ref().map(|peer| (peer.pid, peer.pidfd()));
        (table.in_place, table.old_program, table.undone) = (true, old, undone);
        for (record, live) in self.live.iter().enumerate() {
            let Some(now) = self.arena.changing(record as u32) else { continue };
            if let Some(gate) = &live.gate {
                table.gates.push((now.child, gate.as_raw_fd()));
            }
            if live.whole_told {
                table.told.push(now.child);
            }
        }
        let handoff = match table.write() {
            Ok(handoff) => handoff,
            Err(e) => return e,
        };
        let argv = handoff::argv(crate::ARG_KEEPER, &handoff);
        let command = process::Command::new(&argv, &handoff::environment(&self.home));
        table.set_inherited(true);
        let error = command.exec_file(program);
        table.set_inherited(false);
        error
    }

    /// We were executed into the role: what that has to do with an upgrade.
    pub(super) fn go_on_upgrading(&mut self, old: Option<OwnedFd>, undone: Option<Undone>) {
        let Some(upgrade) = self.arena.upgrade().filter(|upgrade| upgrade.is_on_trial()) else {
            return;
        };
        match (old, undone) {
            (Some(old), None) => {
                self.upgrading = Upgrading::Trial(Trial::new(old));
                if upgrade.step == Step::Keeper {
                    self.arena.set_upgrade(Step::Nexusd);
                    self.say(Report::Upgrade);
                }
            }
            // Whoever does not know the old program's file is the old program.
            (None, undone) => {
                let undone = undone.unwrap_or(Undone::KeeperEnded(Ended::Unknown));
                self.arena.set_upgrade(Step::Undone(undone));
            }
            (Some(_), Some(undone)) => self.arena.set_upgrade(Step::Undone(undone)),
        }
    }

    /// The file of the program that the next nexusd may have to go back to.
    pub(super) fn old_program(&self) -> Option<BorrowedFd<'_>> {
        match &self.upgrading {
            Upgrading::Trial(trial) => Some(std::os::fd::AsFd::as_fd(&trial.old)),
            Upgrading::Not | Upgrading::Asked(_) => None,
        }
    }

    /// A nexusd of our own program decides from here on.
    pub(super) fn upgrade_is_done(&mut self) {
        let outgoing = self.peer.as_ref().is_some_and(|peer| peer.outgoing);
        if !outgoing {
            self.end_outgoing();
        }
        if outgoing || self.arena.upgrade().is_none_or(|upgrade| upgrade.step != Step::Nexusd) {
            return;
        }
        self.upgrading = Upgrading::Not;
        self.arena.set_upgrade(Step::Done);
        self.say(Report::Upgrade);
    }

    /// A nexusd has ended. Comes back if the old program is not to take over, or cannot.
    pub(super) fn nexusd_ended_in_upgrade(&mut self, outgoing: bool, ended: Ended) {
        match &mut self.upgrading {
            Upgrading::Not => {}
            Upgrading::Asked(_) => {
                // Without a nexusd nobody would bring the old program back.
                self.upgrading = Upgrading::Not;
                self.arena.set_upgrade(Step::Undone(Undone::NexusdEnded(ended)));
            }
            Upgrading::Trial(trial) => {
                trial.deaths += u32::from(!outgoing);
                if trial.over {
                    self.go_back(Undone::NexusdLate);
                } else if trial.deaths >= DEATHS_MAX {
                    self.go_back(Undone::NexusdEnded(ended));
                }
            }
        }
    }

    /// By the clock: a new program that is not ready in time is given up.
    pub(super) fn upgrade_if_late(&mut self, now: u64) {
        let late = self.upgrade_until().is_some_and(|until| now >= until);
        let Upgrading::Trial(trial) = &mut self.upgrading else { return };
        if !late || trial.over {
            return;
        }
        trial.over = true;
        match &self.peer {
            // Its end comes by its pidfd.
            Some(peer) => peer.kill(),
            None => self.go_back(Undone::NexusdLate),
        }
    }

    /// When to look again.
    pub(super) fn upgrade_until(&self) -> Option<u64> {
        match &self.upgrading {
            Upgrading::Not => None,
            Upgrading::Trial(trial) if trial.over => None,
            Upgrading::Asked(_) | Upgrading::Trial(_) => {
                self.arena.upgrade().map(|upgrade| upgrade.until_ms)
            }
        }
    }

    /// Execute the old program again. There is no nexusd: the old program starts one. Comes back
    /// only where that cannot be done, with what there is.
    fn go_back(&mut self, undone: Undone) {
        self.end_outgoing();
        if let Upgrading::Trial(trial) = &self.upgrading {
            let error = self.become_program(trial.old.as_raw_fd(), None, Some(undone));
            eprintln!("nexus-keeper: the old program cannot be executed: {error}");
        }
        self.upgrading = Upgrading::Not;
    }

    /// Take a program's file over from whoever handed down.
    pub(super) fn take_program(fd: Option<i32>) -> std::io::Result<Option<OwnedFd>> {
        fd.map(|fd| handoff::take(fd).and_then(files::lift)).transpose()
    }

    /// For the end of a turn.
    pub(super) fn upgrade_in_turn(&mut self) {
        let now = sys::now_ms();
        self.upgrade_if_late(now);
        self.become_asked(now);
    }
}
