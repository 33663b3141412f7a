//! All that the pair holds, by meaning: the link to the keeper with its mirror, and our index.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use nexus_keeper::{HoldId, Link, Order};
use nexus_spec::Name;

use crate::held::{Held, Index};

/// The link and the index of what is held.
pub(crate) struct Holdings {
    pub(crate) link: Link,
    index: Index,
}

impl Holdings {
    /// Take over what the keeper handed down. What has a note that we do not know is let go: an
    /// older version's descriptor must not be held for ever.
    pub(crate) fn new(mut link: Link, held: Vec<(HoldId, Vec<u8>)>) -> io::Result<Holdings> {
        let mut index = Index::default();
        let mut strange = Vec::new();
        for (id, note) in held {
            match Held::parse(&note) {
                Some(held) => index.insert(held, id),
                None => strange.push(id),
            }
        }
        for id in strange {
            link.send(&Order::Release { id })?;
        }
        Ok(Holdings { link, index })
    }

    /// Hold a descriptor: from here on it survives the death of either of the pair.
    pub(crate) fn hold(&mut self, held: Held, fd: OwnedFd) -> io::Result<HoldId> {
        self.release(&held)?;
        let id = self.index.fresh();
        self.link.hold(id, held.to_string().as_bytes(), fd)?;
        self.index.insert(held, id);
        Ok(id)
    }

    /// Let a descriptor go, if it is held.
    pub(crate) fn release(&mut self, held: &Held) -> io::Result<()> {
        match self.index.remove(held) {
            Some(id) => self.link.send(&Order::Release { id }),
            None => Ok(()),
        }
    }

    pub(crate) fn id(&self, held: &Held) -> Option<HoldId> {
        self.index.get(held)
    }

    pub(crate) fn fd(&self, held: &Held) -> Option<BorrowedFd<'_>> {
        self.link.held(self.index.get(held)?)
    }

    /// A duplicate of our own.
    pub(crate) fn duplicate(&self, held: &Held) -> io::Result<OwnedFd> {
        self.fd(held)
            .ok_or_else(|| io::Error::other(format!("`{held}` is not held")))?
            .try_clone_to_owned()
    }

    pub(crate) fn of_app(&self, app: &Name) -> Vec<Held> {
        self.index.of_app(app)
    }

    pub(crate) fn notify(&self) -> Option<(String, HoldId)> {
        self.index.notify()
    }
}
