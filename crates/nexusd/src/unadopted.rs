//! Sockets of an app that only its workers have: both of the pair were killed, and the kernel did
//! not let us fetch them (Yama, seccomp). The workers serve; the next one to be spawned, in a reload
//! at the latest, gets a socket that is bound beside theirs.

use nexus_core::Purpose;
use nexus_spec::{Name, Socket};

use crate::daemon::Daemon;
use crate::facts::{Line, NOBODY};
use crate::held::Held;
use crate::sockets::Sharing;

impl Daemon {
    /// At the beginning: whatever is not held, and is served.
    pub(crate) fn find_unadopted(&mut self) {
        let mut found = Vec::new();
        for (name, app) in self.state.apps() {
            let is_held = |socket: &Socket, instance| {
                self.holdings.id(&Held::socket(name, socket, instance)).is_some()
            };
            let all_held = |socket: &Socket| match socket.reuse_port {
                true => self.instances_with_workers(name).all(|one| is_held(socket, one)),
                false => is_held(socket, 0),
            };
            let missing = app.spec().listen.iter().filter(|socket| !all_held(socket));
            let missing: Vec<String> = missing.map(|socket| socket.address.to_string()).collect();
            if !missing.is_empty() && self.has_workers(name) {
                found.push((name.clone(), missing));
            }
        }
        for (app, addresses) in found {
            let detail = format!("sockets not adopted: {}", addresses.join(", "));
            let line = Line { app: Some(app.clone()), ..Line::new("adopt", detail, NOBODY) };
            self.log(line);
            self.unadopted.extend(addresses.into_iter().map(|address| (app.clone(), address)));
        }
    }

    /// Those of one app, while its workers serve on them.
    pub(crate) fn served_by_workers_only(&self, app: &Name) -> Vec<String> {
        if self.unadopted.is_empty() || !self.has_workers(app) {
            return Vec::new();
        }
        let of_it = self.unadopted.iter().filter(|(name, _)| name == app);
        of_it.map(|(_, address)| address.clone()).collect()
    }

    /// How an address of an app is to be bound.
    pub(crate) fn sharing(&self, app: &Name, address: &str) -> Sharing {
        if self.served_by_workers_only(app).iter().any(|one| one == address) {
            Sharing::Beside
        } else {
            Sharing::Alone
        }
    }

    fn has_workers(&self, app: &Name) -> bool {
        let of_it = |child: &u64| self.notes.get(child).is_some_and(|note| note.app == *app);
        self.pid_by_child.keys().any(of_it)
    }

    fn instances_with_workers(&self, app: &Name) -> impl Iterator<Item = u16> {
        let notes = self.pid_by_child.keys().filter_map(|child| self.notes.get(child));
        notes.filter(move |note| note.app == *app).filter_map(|note| match note.purpose() {
            Purpose::Worker { instance, .. } => Some(instance),
            Purpose::Build | Purpose::Exam { .. } => None,
        })
    }
}
