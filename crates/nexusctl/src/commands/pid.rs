//! `pid` and `id`: numbers of processes and of instances, a line each, for scripts.

use std::process::ExitCode;

use nexus_proto::{AppView, InstanceView};
use serde_json::{Value, json};

use super::resolve;
use crate::cli::{Format, Id, Pid};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out;

/// Processes that run; one that does not is named beside, and has no line.
pub(super) fn run(context: &Context, args: &Pid) -> Result<ExitCode, Failure> {
    let all = ["all".to_owned()];
    let targets = if args.targets.is_empty() { &all[..] } else { &args.targets };
    let snapshot = context.client.apps()?;
    let found = instances(&resolve(context, targets, &snapshot)?);
    show(context, "nexus.pid/1", "pids", &found, |one| one.pid.map(|pid| pid.to_string()))?;
    if !context.is_json() && !found.iter().any(|(_, one)| one.pid.is_some()) {
        context.note("nothing of it runs");
    }
    Ok(ExitCode::from(Exit::Done.code()))
}

/// Numbers of instances (`pm_id`).
pub(super) fn ids(context: &Context, args: &Id) -> Result<ExitCode, Failure> {
    let snapshot = context.client.apps()?;
    let found = instances(&resolve(context, &args.targets, &snapshot)?);
    show(context, "nexus.id/1", "ids", &found, |one| Some(one.id.to_string()))?;
    Ok(ExitCode::from(Exit::Done.code()))
}

type Found<'a> = Vec<(&'a AppView, &'a InstanceView)>;

/// What targets stand for, an instance each.
fn instances<'a>(found: &[(&'a AppView, nexus_proto::Target)]) -> Found<'a> {
    let of = |(app, target): &(&'a AppView, nexus_proto::Target)| {
        let (app, wanted) = (*app, target.instance);
        let meant = move |one: &&InstanceView| wanted.is_none_or(|number| number == one.instance);
        app.instances.iter().filter(meant).map(move |one| (app, one)).collect::<Vec<_>>()
    };
    found.iter().flat_map(of).collect()
}

fn show(
    context: &Context,
    schema: &str,
    field: &str,
    found: &[(&AppView, &InstanceView)],
    number: impl Fn(&InstanceView) -> Option<String>,
) -> Result<(), Failure> {
    let object = |(app, one): &(&AppView, &InstanceView)| json!({"app": app.name, "instance": one.instance, "id": one.id, "pid": one.pid});
    match context.format {
        Format::Json => {
            let all: Vec<Value> = found.iter().map(object).collect();
            context.document(&json!({"schema": schema, field: all}))
        }
        Format::Jsonl => found.iter().try_for_each(|one| out::json(&object(one), false)),
        Format::Name | Format::Table => {
            let lines = found.iter().filter_map(|(_, one)| Some(format!("{}\n", number(one)?)));
            out::result(&lines.collect::<String>())
        }
        Format::Wide => {
            let line = |(app, one): &(&AppView, &InstanceView)| {
                format!("{}\t{}/{}\n", number(one).unwrap_or("-".into()), app.name, one.instance)
            };
            out::result(&found.iter().map(line).collect::<String>())
        }
    }
}
