//! `restart`: stop and start again; with a project file, as it says now; with another limit.

use std::process::ExitCode;

use nexus_proto::Switch;

use super::named;
use crate::cli::Restart;
use crate::context::Context;
use crate::ensure::{STARTED, ensure};
use crate::exit::Exit;
use crate::failure::Failure;

/// Do it.
pub(super) fn run(context: &Context, args: &Restart) -> Result<ExitCode, Failure> {
    ensure(context, STARTED)?;
    let mut body = named::body(context, &args.named, true)?;
    if body.specs.is_some() && args.max_memory_restart.is_some() {
        return Err(Failure::new(Exit::Usage, "a project file has its apps' limits itself")
            .help("write `max_memory_restart` into it"));
    }
    if body.specs.is_some() && args.watch {
        return Err(Failure::new(Exit::Usage, "a project file says itself what is watched")
            .help("write `watch` into it"));
    }
    body.max_memory_restart = args.max_memory_restart;
    body.watch = args.watch.then_some(Switch::Toggle);
    named::ask(context, "restart", &args.named, body)
}
