//! The sockets that workers are handed: bound when they are first needed, kept as long as the app
//! names them.

use std::io;
use std::os::fd::OwnedFd;

use nexus_core::App;
use nexus_keeper::HoldId;
use nexus_spec::{AppSpec, Listen, Name, Socket};

use crate::daemon::Daemon;
use crate::held::{Held, Line};
use crate::sockets::{self, Sharing};
use crate::spawn::Excuse;

impl Daemon {
    /// An instance's listening sockets, bound when they are first needed and made as the spec has
    /// them now; those that it no longer names are closed.
    pub(crate) fn sockets(
        &mut self,
        spec: &AppSpec,
        instance: u16,
    ) -> Result<Vec<(HoldId, String)>, Excuse> {
        // While a reload is under way, both specs' sockets are needed.
        let app = self.state.app(spec.name.as_str());
        if app.is_none_or(|app| app.rollout().is_none()) {
            self.close_others(spec)?;
        }
        let mut sockets = Vec::with_capacity(spec.listen.len());
        for socket in &spec.listen {
            let held = Held::socket(&spec.name, socket, instance);
            let id = match (self.holdings.id(&held), self.holdings.fd(&held)) {
                (Some(id), Some(fd)) => {
                    sockets::adjust(fd, socket)?;
                    id
                }
                _ => self.bind(&spec.name, held, socket)?,
            };
            sockets.push((id, socket.fd_name()));
        }
        Ok(sockets)
    }

    fn bind(&mut self, app: &Name, held: Held, socket: &Socket) -> Result<HoldId, Excuse> {
        let address = socket.address.to_string();
        if let Some(other) = self.holdings.app_on(&address).filter(|other| other != app) {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("{address}: Address already in use: the app `{other}` listens there"),
            )
            .into());
        }
        let fd = match self.inherited(app, &held, socket)? {
            Some(fd) => fd,
            None => sockets::bound(socket, self.sharing_of(app, &socket.address)?)?,
        };
        self.unadopted.remove(&(app.clone(), address));
        Ok(self.holdings.hold(held, fd)?)
    }

    /// A reload from one socket for all to one for each goes on with what there is, for the first
    /// instance, and the other way round: what waits in its queue is not lost.
    fn inherited(&self, app: &Name, held: &Held, socket: &Socket) -> io::Result<Option<OwnedFd>> {
        let Held::Socket(_, own, address) = held else { return Ok(None) };
        let before = match own {
            None => Some(0),
            Some(0) => None,
            Some(_) => return Ok(None),
        };
        let before = Held::Socket(app.clone(), before, address.clone());
        let Some(fd) = self.holdings.fd(&before) else { return Ok(None) };
        sockets::adjust(fd, socket)?;
        fd.try_clone_to_owned().map(Some)
    }

    /// How an address of an app is to be bound: beside what it has there already.
    fn sharing_of(&self, app: &Name, address: &Listen) -> io::Result<Sharing> {
        let text = address.to_string();
        let mut sharing = self.sharing(app, &text);
        for held in self.holdings.of_app(app) {
            if matches!(&held, Held::Socket(_, _, of) if *of == text)
                && let Some(fd) = self.holdings.fd(&held)
            {
                sockets::admit_others(fd)?;
                sharing = Sharing::Beside;
            }
        }
        Ok(sharing)
    }

    /// A reload has ended, or there are to be fewer instances: close the sockets that the app's
    /// spec does not name.
    pub(crate) fn close_unnamed(&mut self, app: &Name) {
        let Some(spec) = self.state.app(app.as_str()).map(|app| app.spec().clone()) else { return };
        if let Err(error) = self.close_others(&spec) {
            tracing::error!(%app, %error, "a socket that is not its own any more stays open");
        }
    }

    /// Of one for each instance the first stays when there is no instance: who connects waits.
    fn close_others(&mut self, spec: &AppSpec) -> io::Result<()> {
        let slots = self.state.app(spec.name.as_str()).map_or(0, App::instances).max(1);
        let is_named = |own: Option<u16>, address: &str| {
            let mut named = spec.listen.iter().filter(|it| it.address.to_string() == address);
            named.any(|it| it.reuse_port == own.is_some() && own.is_none_or(|own| own < slots))
        };
        for held in self.holdings.of_app(&spec.name) {
            // What is born with a socket that goes is not born any more.
            let goes = matches!(&held, Held::Socket(_, own, address) if !is_named(*own, address))
                || matches!(&held, Held::Template(_, Line::Instance(one), _) if *one >= slots);
            if goes {
                self.holdings.release(&held)?;
            }
        }
        Ok(())
    }
}
