//! What `stop`, `restart` and `delete` have in common: apps that are known, by what was typed.

use std::path::Path;
use std::process::ExitCode;

use nexus_proto::{AppVerb, Target};
use serde_json::json;

use crate::base_env;
use crate::cli::{Format, Named};
use crate::context::Context;
use crate::failure::Failure;
use crate::operate::{Ask, operate};
use crate::project::{self, Part};
use crate::{out, settled};

/// Do `verb` to what was typed. `respec` = a project file's apps get what it says now.
///
/// # Errors
/// A project file with flaws, an unknown name, no daemon.
pub(super) fn run(
    context: &Context,
    verb: &str,
    args: &Named,
    respec: bool,
) -> Result<ExitCode, Failure> {
    ask(context, verb, args, body(context, args, respec)?)
}

/// Ask it, or say what would be asked.
///
/// # Errors
/// An unknown name, no daemon.
pub(super) fn ask(
    context: &Context,
    verb: &str,
    args: &Named,
    body: AppVerb,
) -> Result<ExitCode, Failure> {
    if args.change.dry_run {
        let targets = context.client.targets(&body.targets)?.targets;
        return plan(context, verb, &targets);
    }
    let outcome = operate(context, Ask::Verb(verb, &body), &args.change)?;
    settled::show(context, &outcome, &args.change)
}

/// The request: what was typed, project files replaced by the names in them.
pub(super) fn body(context: &Context, args: &Named, respec: bool) -> Result<AppVerb, Failure> {
    let mut targets = Vec::new();
    let mut apps = Vec::new();
    let mut source = String::new();
    for typed in &args.targets {
        if !project::is_project(typed) {
            targets.push(typed.clone());
            continue;
        }
        let part = Part { only: &args.only, profile: args.env.as_deref() };
        let project = project::load(context, Path::new(typed), part)?;
        targets.extend(project.apps.iter().map(|app| app.name.to_string()));
        source = project.file.display().to_string();
        apps.extend(project.apps);
    }
    let specs = (respec && !apps.is_empty()).then(|| base_env::start(apps, source));
    Ok(AppVerb { targets, specs, ..AppVerb::default() })
}

/// What would be done.
///
/// # Errors
/// When stdout cannot be written.
pub(super) fn plan(context: &Context, verb: &str, targets: &[Target]) -> Result<ExitCode, Failure> {
    match context.format {
        Format::Json | Format::Jsonl => {
            context
                .document(&json!({"schema": "nexus.plan/1", "verb": verb, "targets": targets}))?;
        }
        Format::Name => {
            out::result(&targets.iter().map(|one| format!("{}\n", name(one))).collect::<String>())?;
        }
        Format::Table | Format::Wide => {
            let line = |one: &Target| format!("would {verb} {}\n", name(one));
            out::result(&targets.iter().map(line).collect::<String>())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn name(target: &Target) -> String {
    match target.instance {
        Some(instance) => format!("{}/{instance}", target.app),
        None => target.app.to_string(),
    }
}
