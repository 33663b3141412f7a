//! `reload`: replace workers one after another; with a project file, by what it says now.

use std::process::ExitCode;

use nexus_proto::AppVerb;

use super::named;
use crate::cli::Reload;
use crate::context::Context;
use crate::ensure::{STARTED, ensure};
use crate::failure::Failure;
use crate::operate::{Ask, operate};
use crate::{out, rolling, settled};

/// Do it.
pub(super) fn run(context: &Context, args: &Reload) -> Result<ExitCode, Failure> {
    ensure(context, STARTED)?;
    let body = AppVerb {
        parallel: Some(args.parallel),
        replace: args.replace,
        ..named::body(context, &args.named, true)?
    };
    if args.named.change.dry_run {
        let snapshot = context.client.apps()?;
        let specs = body.specs.as_ref().map(|start| start.apps.as_slice()).unwrap_or_default();
        for (app, target) in super::resolve(context, &body.targets, &snapshot)? {
            let plan = rolling::plan(app, &target, specs, args.parallel);
            out::result(&format!("would reload {plan}\n"))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = operate(context, Ask::Verb("reload", &body), &args.named.change)?;
    settled::show(context, &outcome, &args.named.change)
}
