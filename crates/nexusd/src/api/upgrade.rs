//! `POST /v1/daemon/upgrade`: the file is opened and looked at here, since its disk may hang.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use hyper::HeaderMap;
use nexus_proto::{Code, Problem, UpgradeDaemon};

use super::{answer, routes};
use crate::command::{Command, Front, Upgrading};
use crate::identity::Program;

pub(super) async fn upgrade(
    State(front): State<Front>,
    Extension(peer): routes::Who,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let key = match routes::key(&headers) {
        Ok(key) => key,
        Err(problem) => return answer::problem(&problem),
    };
    let asked = match routes::read::<UpgradeDaemon>(body).await {
        Ok(asked) => asked,
        Err(problem) => return answer::problem(&problem),
    };
    let file = asked.file.clone();
    let program = match tokio::task::spawn_blocking(move || open(Path::new(&file))).await {
        Ok(program) => program,
        Err(_) => return answer::ending(),
    };
    let upgrading = Upgrading { key, by: peer.actor.clone(), asked, program };
    routes::begun(&front, front.ask(|reply| Command::Upgrade(upgrading, reply)).await).await
}

/// The program's file, if we may execute it and nobody else may change it.
fn open(path: &Path) -> Result<OwnedFd, Problem> {
    let no = |why: String| {
        let title = format!("{} cannot take over: {why}", path.display());
        Err(Problem::new(Code::RolledBack, title).cause("nothing was changed"))
    };
    if !path.is_absolute() {
        return no("it is no absolute path".into());
    }
    // A fifo would hold up an open for reading.
    let opened = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    let file: File = match opened {
        Ok(file) => file,
        Err(error) => return no(error.to_string()),
    };
    match file.metadata() {
        Err(error) => no(error.to_string()),
        Ok(meta) if !meta.is_file() => no("it is no file".into()),
        Ok(meta) if meta.mode() & 0o111 == 0 => no("it is not executable (chmod +x)".into()),
        Ok(meta) if meta.mode() & 0o022 != 0 => no("others may write to it (chmod go-w)".into()),
        Ok(meta) if meta.uid() != 0 && meta.uid() != nix::unistd::geteuid().as_raw() => {
            no(format!("it belongs to user {}, who may change it", meta.uid()))
        }
        Ok(_) => match may_follow(&file) {
            Ok(()) => Ok(file.into()),
            Err(why) => no(why),
        },
    }
}

/// Whether the program in it and this one can hand over to each other.
fn may_follow(file: &File) -> Result<(), String> {
    let own = Program::own().ok_or("this program does not know itself")?;
    Program::of(file)?.can_follow(&own)
}
