//! `scale`: more instances or fewer, live.

use std::process::ExitCode;

use nexus_proto::AppVerb;

use crate::cli::Scale;
use crate::context::Context;
use crate::failure::Failure;
use crate::operate::{Ask, operate};
use crate::{out, settled};

/// Do it.
pub(super) fn run(context: &Context, args: &Scale) -> Result<ExitCode, Failure> {
    let targets = vec![args.target.clone()];
    if args.change.dry_run {
        let snapshot = context.client.apps()?;
        for (app, _) in super::resolve(context, &targets, &snapshot)? {
            let (name, count) = (&app.name, &args.count);
            out::result(&format!("would scale {name} from {} to {count}\n", app.wanted))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let body = AppVerb { targets, count: Some(args.count.clone()), ..AppVerb::default() };
    let outcome = operate(context, Ask::Verb("scale", &body), &args.change)?;
    settled::show(context, &outcome, &args.change)
}
