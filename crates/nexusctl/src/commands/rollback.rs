//! `rollback`: back to a configuration that an app has had, by a reload.

use std::process::ExitCode;

use nexus_proto::{AppVerb, AppView, VersionView};

use crate::cli::Rollback;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operate::{Ask, operate};
use crate::text::plain;
use crate::{out, rolling, settled};

/// Do it.
pub(super) fn run(context: &Context, args: &Rollback) -> Result<ExitCode, Failure> {
    let targets = args.targets.clone();
    if args.change.dry_run {
        let snapshot = context.client.apps()?;
        for (app, target) in super::resolve(context, &targets, &snapshot)? {
            let version = version(app, args.to).ok_or_else(|| no_version(app))?;
            let plan = rolling::plan(app, &target, &[], args.parallel);
            let (generation, differs) = (version.generation, plain(&version.differs.join(", ")));
            out::result(&format!("would roll back {plan}, to generation {generation}\n"))?;
            out::result(&format!("  what differs: {differs}\n"))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (parallel, replace, to) = (Some(args.parallel), args.replace, args.to);
    let body = AppVerb { targets, parallel, replace, to, ..AppVerb::default() };
    let outcome = operate(context, Ask::Verb("rollback", &body), &args.change)?;
    settled::show(context, &outcome, &args.change)
}

/// Where it would lead, as the daemon finds it: the versions are the newest first.
fn version(app: &AppView, to: Option<u64>) -> Option<&VersionView> {
    app.versions.iter().find(|version| match to {
        Some(to) => version.generation == to,
        None => version.generation < app.version,
    })
}

fn no_version(app: &AppView) -> Failure {
    let title = format!("`{}` has had no such configuration", app.name);
    Failure::new(Exit::Refused, title).help(format!("nexusctl describe {}", app.name))
}
