//! `why`: the cause and the evidence of an app's state.

use std::process::ExitCode;

use serde_json::json;

use super::{last_events, resolve};
use crate::cli::{Format, Targets};
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::view::{Cause, why};

/// Events that are looked at.
const EVENTS: usize = 100;

/// Do it.
pub(super) fn run(context: &Context, args: &Targets) -> Result<ExitCode, Failure> {
    let snapshot = context.client.apps()?;
    let mut documents = Vec::new();
    for (number, (app, target)) in
        resolve(context, &args.targets, &snapshot)?.into_iter().enumerate()
    {
        let events = last_events(context, app, EVENTS)?;
        let document = || {
            let mine = |one: &&nexus_proto::InstanceView| {
                target.instance.is_none_or(|only| only == one.instance)
            };
            let instances: Vec<_> = app.instances.iter().filter(mine).collect();
            json!({
                "app": app.name,
                "instance": target.instance,
                "status": app.status,
                "trouble": app.trouble,
                "instances": instances,
                "events": events,
            })
        };
        match context.format {
            Format::Json => documents.push(document()),
            Format::Jsonl => {
                let mut line = document();
                line["schema"] = "nexus.why/1".into();
                out::json(&line, false)?;
            }
            Format::Name => out::result(&format!("{}\n", app.name))?,
            Format::Table | Format::Wide => {
                let gap = if number == 0 { "" } else { "\n" };
                let cause = Cause {
                    app,
                    instance: target.instance,
                    events: &events,
                    today: &snapshot.generated_at,
                };
                out::result(&format!("{gap}{}", why(&cause, &context.out)))?;
            }
        }
    }
    if context.format == Format::Json {
        context.document(&json!({"schema": "nexus.why/1", "apps": documents}))?;
    }
    Ok(ExitCode::SUCCESS)
}
