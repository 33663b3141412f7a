//! `describe`: everything about some apps.

use std::process::ExitCode;

use serde_json::json;

use super::{last_events, resolve};
use crate::cli::{Format, Targets};
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::view::describe;

/// Events that are shown.
const EVENTS: usize = 5;

/// Do it.
pub(super) fn run(context: &Context, args: &Targets) -> Result<ExitCode, Failure> {
    let snapshot = context.client.apps()?;
    let mut apps: Vec<_> =
        resolve(context, &args.targets, &snapshot)?.into_iter().map(|(app, _)| app).collect();
    apps.dedup_by_key(|app| app.name.clone());
    let mut documents = Vec::new();
    for (number, app) in apps.into_iter().enumerate() {
        let events = last_events(context, app, EVENTS)?;
        match context.format {
            Format::Json => documents.push(json!({"app": app, "events": events})),
            Format::Jsonl => {
                let schema = "nexus.describe/1";
                out::json(&json!({"schema": schema, "app": app, "events": events}), false)?;
            }
            Format::Name => out::result(&format!("{}\n", app.name))?,
            Format::Table | Format::Wide => {
                let gap = if number == 0 { "" } else { "\n" };
                let text = describe(app, &events, &snapshot.generated_at, &context.out);
                out::result(&format!("{gap}{text}"))?;
            }
        }
    }
    if context.format == Format::Json {
        context.document(&json!({"schema": "nexus.describe/1", "apps": documents}))?;
    }
    Ok(ExitCode::SUCCESS)
}
