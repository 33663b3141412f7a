//! `apply` and `diff`: a project file as the wish of what runs.

use std::process::ExitCode;

use nexus_proto::{Diff, Remedy};

use crate::cli::{Apply, Differ, Format, Wish};
use crate::context::Context;
use crate::ensure::{STARTED, ensure};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operate::{Ask, operate};
use crate::project::{self, Part};
use crate::{base_env, out, settled, view};

/// What differs: exit 0 or 1.
pub(super) fn diff(context: &Context, args: &Differ) -> Result<ExitCode, Failure> {
    let asked = asked(context, &args.wish, false)?;
    let diff = context.client.diff(&asked)?;
    show(context, &diff)?;
    let exit = if diff.same { Exit::Done } else { Exit::Failed };
    Ok(ExitCode::from(exit.code()))
}

/// Make it so; the plan is told first.
pub(super) fn run(context: &Context, args: &Apply) -> Result<ExitCode, Failure> {
    let asked = asked(context, &args.wish, args.prune)?;
    if args.change.dry_run {
        show(context, &context.client.diff(&asked)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure(context, STARTED)?;
    let diff = context.client.diff(&asked)?;
    if !context.is_json() {
        context.note(view::diff(&diff, &context.err).trim_end());
    }
    let idle = diff.apps.iter().all(|app| app.action == Remedy::Nothing);
    let outcome = operate(context, Ask::Apply(&asked), &args.change)?;
    // Nothing was asked of any app: the table would be no result of it.
    if idle && !context.is_json() {
        return Ok(ExitCode::SUCCESS);
    }
    settled::show(context, &outcome, &args.change)
}

fn asked(context: &Context, wish: &Wish, prune: bool) -> Result<nexus_proto::Apply, Failure> {
    let file = wish.file.clone().unwrap_or_else(project::default);
    let part = Part { only: &wish.only, profile: wish.env.as_deref() };
    let project = project::load(context, &file, part)?;
    let source = project.file.display().to_string();
    let daemon = project.daemon;
    let start = nexus_proto::Start { daemon, ..base_env::start(project.apps, source) };
    Ok(nexus_proto::Apply { start, whole: wish.only.is_empty(), prune })
}

fn show(context: &Context, diff: &Diff) -> Result<(), Failure> {
    match context.format {
        Format::Json => context.document(diff),
        Format::Jsonl => diff.apps.iter().try_for_each(|app| out::json(app, false)),
        Format::Name => {
            let differing = diff.apps.iter().filter(|app| app.change != nexus_proto::Change::Same);
            out::result(&differing.map(|app| format!("{}\n", app.app)).collect::<String>())
        }
        Format::Table | Format::Wide if context.quiet => Ok(()),
        Format::Table | Format::Wide => out::result(&view::diff(diff, &context.out)),
    }
}
