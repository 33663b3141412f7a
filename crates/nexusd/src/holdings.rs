//! All that the pair holds, by meaning: the link to the keeper with its mirror, and our index.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use nexus_keeper::{HoldId, Link, Order, Stored};
use nexus_spec::Name;

use crate::held::{Held, Index};
use crate::service::Service;

/// The link and the index of what is held.
pub(crate) struct Holdings {
    pub(crate) link: Link,
    index: Index,
    /// A third holder, where there is one.
    pub(crate) service: Option<Service>,
}

impl Holdings {
    /// Take over what the keeper handed down. What has a note that we do not know is let go: an
    /// older version's descriptor must not be held for ever.
    pub(crate) fn new(mut link: Link, held: Vec<(HoldId, Vec<u8>)>) -> io::Result<Holdings> {
        let mut service = Service::from_env(crate::clock::now());
        if let Some(service) = &mut service {
            service.keep(Stored::Arena { home: link.home().to_owned() });
        }
        let mut index = Index::default();
        let mut strange = Vec::new();
        for (id, note) in held {
            match Held::parse(&note) {
                Some(held) => {
                    if let Some(service) = service.as_mut().filter(|_| held.outlives_both()) {
                        service.keep(Stored::Held(id, note));
                    }
                    index.insert(held, id);
                }
                None => strange.push(id),
            }
        }
        for id in strange {
            link.send(&Order::Release { id })?;
        }
        Ok(Holdings { link, index, service })
    }

    /// Hold a descriptor: from here on it survives the death of either of the pair.
    pub(crate) fn hold(&mut self, held: Held, fd: OwnedFd) -> io::Result<HoldId> {
        self.release(&held)?;
        let id = self.index.fresh();
        let note = held.to_string().into_bytes();
        self.link.hold(id, &note, fd)?;
        if let Some(service) = self.service.as_mut().filter(|_| held.outlives_both()) {
            service.keep(Stored::Held(id, note));
        }
        self.index.insert(held, id);
        Ok(id)
    }

    /// Let a descriptor go, if it is held.
    pub(crate) fn release(&mut self, held: &Held) -> io::Result<()> {
        match self.index.remove(held) {
            Some(id) => {
                if let Some(service) = &mut self.service {
                    service.release(&Stored::Held(id, held.to_string().into_bytes()));
                }
                self.link.send(&Order::Release { id })
            }
            None => Ok(()),
        }
    }

    /// A child has come to be: its pidfd is kept, too.
    pub(crate) fn lives(&mut self, child: u64) {
        if let Some(service) = &mut self.service {
            service.keep(Stored::Child(child));
        }
    }

    /// It has ended.
    pub(crate) fn dies(&mut self, child: u64) {
        if let Some(service) = &mut self.service {
            service.release(&Stored::Child(child));
        }
    }

    /// Whether the service manager has not taken all yet.
    pub(crate) fn service_waits(&self) -> bool {
        self.service.as_ref().is_some_and(Service::wants_write)
    }

    /// Tell the service manager what it takes.
    pub(crate) fn tell_service(&mut self) {
        if let Some(service) = &mut self.service {
            service.flush(&self.link);
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

    /// The app whose socket has this address.
    pub(crate) fn app_on(&self, address: &str) -> Option<Name> {
        self.index.app_on(address)
    }

    pub(crate) fn apps(&self) -> Vec<Name> {
        self.index.apps()
    }

    pub(crate) fn notify(&self) -> Option<(String, HoldId)> {
        self.index.notify()
    }

    pub(crate) fn hearer(&self) -> Option<(String, HoldId)> {
        self.index.hearer()
    }

    /// Hold another socket that hears channels, under the number of the one before.
    pub(crate) fn renew_hearer(&mut self, name: String, fd: OwnedFd) -> io::Result<()> {
        let new = Held::Hearer(name);
        let Some((name, id)) = self.index.hearer() else { return self.hold(new, fd).map(drop) };
        let (old, note) = (Held::Hearer(name), new.to_string().into_bytes());
        self.link.hold(id, &note, fd)?;
        if let Some(service) = &mut self.service {
            service.release(&Stored::Held(id, old.to_string().into_bytes()));
            service.keep(Stored::Held(id, note));
        }
        self.index.remove(&old);
        self.index.insert(new, id);
        Ok(())
    }
}
