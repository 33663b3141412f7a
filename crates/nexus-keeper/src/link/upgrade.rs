//! nexusd's part of an upgrade; see [`crate::upgrade`].

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::Link;
use crate::sys::{self, process};
use crate::upgrade::{Step, Undone, Upgrade};
use crate::wire::{Ended, Order};

impl Link {
    /// Have a program's file executed in the place of both.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn order_upgrade(
        &mut self,
        number: u64,
        until_ms: u64,
        program: OwnedFd,
    ) -> io::Result<()> {
        self.old_program = None;
        self.offer(&Order::Upgrade { number, until_ms }, Some(program))
    }

    /// The last upgrade that the keeper has begun.
    pub fn upgrade(&self) -> Option<Upgrade> {
        self.arena.upgrade()
    }

    /// Whether this nexusd is of a new program that has to prove itself by `Order::Resumed`.
    pub fn is_on_trial(&self) -> bool {
        self.old_program.is_some() && self.upgrade().is_some_and(|upgrade| upgrade.is_on_trial())
    }

    /// Close the file of the program before ours, once there is no way back to it.
    pub(super) fn forget_old_program(&mut self) {
        if !self.is_on_trial() {
            self.old_program = None;
        }
    }

    /// The keeper's version, as it says itself.
    pub fn keeper_version(&self) -> String {
        self.arena.version()
    }

    /// End a keeper that is not the new program in time; its pidfd tells the rest.
    pub fn end_keeper(&self) {
        // It may have ended just now.
        let _ = process::signal(self.keeper.1.as_fd(), libc::SIGKILL);
    }

    /// What the death of the keeper that was seen makes of an upgrade.
    pub(super) fn undone(&self) -> Option<Undone> {
        let upgrade = self.upgrade().filter(|upgrade| upgrade.is_on_trial())?;
        if self.old_program.is_some() {
            return None;
        }
        Some(match upgrade.step {
            Step::Keeper if sys::now_ms() >= upgrade.until_ms => Undone::KeeperLate,
            Step::Keeper | Step::Nexusd | Step::Done | Step::Undone(_) => {
                let ended = process::exit_info(self.keeper.1.as_fd());
                Undone::KeeperEnded(ended.unwrap_or(Ended::Unknown))
            }
        })
    }
}
