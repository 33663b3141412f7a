//! Who is at the other end of a connection, and whether they may do what they ask for.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use nexus_proto::{Actor, Code, Problem};
use nexus_spec::Role;
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;

use super::{answer, routes};
use crate::access::Access;
use crate::command::{Command, Front};

/// Names of users that are remembered; beyond, all are asked for anew.
const NAMES_MAX: usize = 1_024;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) actor: Actor,
    /// The groups it had when it connected.
    gids: Vec<u32>,
    /// The daemon's own user or root: nothing is refused to them.
    pub(super) owner: bool,
}

impl Peer {
    /// As the kernel tells (`unix(7)`).
    pub(super) async fn of(stream: &UnixStream) -> Result<Peer, Problem> {
        let unsaid = |error: std::io::Error| {
            let title = format!("the kernel does not say who you are: {error}");
            Problem::new(Code::NotPermitted, title)
        };
        let credentials = stream.peer_cred().map_err(unsaid)?;
        let (uid, pid) = (credentials.uid(), credentials.pid().filter(|pid| *pid > 0));
        let owner = uid == 0 || uid == nix::unistd::geteuid().as_raw();
        let mut gids = vec![credentials.gid()];
        if !owner {
            gids.extend(nexus_keeper::peer_groups(stream.as_fd()).map_err(unsaid)?);
        }
        let comm = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
        let comm = comm.map(|comm| comm.trim_end().to_owned()).unwrap_or_default();
        Ok(Peer { actor: Actor { uid, user: name(uid).await, pid, comm }, gids, owner })
    }

    /// What it may do; `None` = nothing.
    pub(super) fn role(&self, access: &Access) -> Option<Role> {
        match self.owner {
            true => Some(Role::Admin),
            false => access.role(self.actor.uid, &self.gids),
        }
    }

    /// A place to follow something in, for as long as it is kept; `None` = all are taken.
    pub(super) fn seat(&self, front: &Front) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&front.streams).try_acquire_owned().ok()
    }

    /// Whether it may do what needs this role; what that is, is told to it and to the journal.
    pub(super) async fn must_be(
        &self,
        needed: Role,
        front: &Front,
        what: &str,
    ) -> Result<(), Problem> {
        let role = self.role(&front.admitted.borrow().access);
        if role >= Some(needed) {
            return Ok(());
        }
        let said = format!("{what}: needs the role {needed}");
        // When the loop is ending nobody writes it down, and nothing is done either.
        let _ = front.commands.send(Command::Refused(self.actor.clone(), said)).await;
        let own = nix::unistd::geteuid().as_raw();
        let owner = Actor { uid: own, user: name(own).await, pid: None, comm: String::new() };
        Err(refusal(&self.actor, role, needed, &owner, what))
    }
}

/// The sentence.
fn refusal(actor: &Actor, role: Option<Role>, needed: Role, owner: &Actor, what: &str) -> Problem {
    let member = actor.user.clone().unwrap_or_else(|| actor.uid.to_string());
    let (title, is) = match role {
        None => {
            let title = format!("not allowed to control this daemon: it belongs to {owner}");
            (title, "and have no role here")
        }
        Some(role) => {
            let is = match role {
                Role::Viewer => "a viewer here",
                Role::Operator => "an operator here",
                Role::Admin => "an admin here",
            };
            (format!("not allowed: {what} needs the role {needed}"), is)
        }
    };
    let setting = needed.setting();
    Problem::new(Code::NotPermitted, title)
        .cause(format!("you are {actor}, {is}"))
        .help(format!(
            "ask {owner} for {setting} = [\"{member}\"] below [daemon] in the project file, and for \
             `nexusctl apply`"
        ))
        .help("or run the command as that user, or as root")
}

/// In front of what answers: only who has the role comes through.
pub(super) async fn guard(
    State((front, needed, what)): State<(Front, Role, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        let problem = Problem::new(Code::NotPermitted, "nobody knows who asks".into());
        return answer::problem(&problem);
    };
    match peer.must_be(needed, &front, what).await {
        Ok(()) => next.run(request).await,
        Err(problem) => unheard(request.into_body(), &problem).await,
    }
}

/// A refusal of what was not listened to. All of it is taken in first, and dropped: a client that
/// cannot say what it has to say would never look for our answer.
pub(super) async fn unheard(mut body: Body, problem: &Problem) -> Response {
    let whole = async { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} };
    // Who takes longer has had time to look.
    let _ = tokio::time::timeout(routes::BODY_PATIENCE, whole).await;
    answer::problem(problem)
}

/// A user's name. Names are asked for once: whoever answers (LDAP, a file) may take its time, so
/// not on this thread.
async fn name(uid: u32) -> Option<String> {
    static KNOWN: Mutex<BTreeMap<u32, Option<String>>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = known().get(&uid) {
        return name.clone();
    }
    let looked_up = tokio::task::spawn_blocking(move || {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
        user.map(|user| user.name)
    });
    let name = looked_up.await.ok().flatten();
    let mut known = known();
    if known.len() >= NAMES_MAX {
        known.clear();
    }
    known.insert(uid, name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_which_role_is_needed_and_how_to_get_it() {
        let actor = |uid, user: Option<&str>| Actor {
            uid,
            user: user.map(str::to_owned),
            pid: Some(7),
            comm: "curl".into(),
        };
        let root = actor(0, Some("root"));
        let alice = actor(1000, Some("alice"));
        let problem = refusal(&alice, Some(Role::Viewer), Role::Operator, &root, "stop");
        assert_eq!(problem.title, "not allowed: stop needs the role operator");
        assert_eq!(problem.causes, ["you are alice(1000), a viewer here"]);
        assert_eq!(
            problem.help[0],
            "ask root(0) for operators = [\"alice\"] below [daemon] in the project file, and for \
             `nexusctl apply`"
        );
        let problem = refusal(&actor(9, None), None, Role::Viewer, &root, "list");
        assert_eq!(problem.title, "not allowed to control this daemon: it belongs to root(0)");
        assert_eq!(problem.causes, ["you are uid 9, and have no role here"]);
        assert!(problem.help[0].contains("viewers = [\"9\"]"));
    }
}
