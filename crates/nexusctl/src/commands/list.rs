//! `list`: the fleet, also when there is none.

use std::process::ExitCode;

use nexus_proto::Snapshot;
use nexus_spec::Name;
use serde_json::json;

use super::fleet;
use crate::cli::{Format, List};
use crate::context::Context;
use crate::failure::Failure;
use crate::view::{Rows, empty, list};
use crate::{human, out, text};

/// Do it.
pub(super) fn run(context: &Context, args: &List) -> Result<ExitCode, Failure> {
    match fleet(context)? {
        Some(snapshot) => show(context, &snapshot, args)?,
        None => nothing(context)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, snapshot: &Snapshot, args: &List) -> Result<(), Failure> {
    match context.format {
        Format::Json => context.document(snapshot)?,
        Format::Jsonl => {
            for app in &snapshot.apps {
                let mut line = serde_json::to_value(app).unwrap_or_default();
                if let Some(fields) = line.as_object_mut() {
                    fields.insert("schema".to_owned(), "nexus.app/1".into());
                }
                out::json(&line, false)?;
            }
        }
        Format::Name => {
            let names = snapshot.apps.iter().map(|app| format!("{}\n", app.name));
            out::result(&names.collect::<String>())?;
        }
        Format::Table | Format::Wide if context.quiet => {
            let names = snapshot.apps.iter().map(|app| format!("{}\n", app.name));
            out::result(&names.collect::<String>())?;
        }
        Format::Table | Format::Wide => {
            let wide = args.wide || context.format == Format::Wide;
            let page = list(snapshot, &context.out, Rows { instances: args.instances, wide });
            out::result(&page.text)?;
            context.hidden(page.hidden);
        }
    }
    Ok(())
}

/// No daemon: the empty state, and valid JSON.
fn nothing(context: &Context) -> Result<(), Failure> {
    let home = text::plain(&context.home.path().display().to_string());
    context.note(&format!("no daemon runs for {home}"));
    match context.format {
        Format::Json => context.document(&json!({
            "schema": "nexus.list/1",
            "generation": 0,
            "generated_at": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "daemon": null,
            "host": null,
            "apps": [],
        })),
        Format::Jsonl | Format::Name => Ok(()),
        Format::Table | Format::Wide => {
            // What cannot be read is as good as unknown here: starting a daemon will say why.
            let known = nexusd::known(context.home.path()).unwrap_or_default();
            let page = if known.is_empty() { empty(&context.out) } else { unserved(&known) };
            out::result(&page)
        }
    }
}

/// Apps that are known while nobody looks after them.
fn unserved(known: &[(Name, u16)]) -> String {
    let mut text = format!("{} known:\n\n", human::count(known.len() as u64, "app"));
    for (name, wanted) in known {
        let state = match wanted {
            0 => "stopped".to_owned(),
            wanted => format!("{} wanted", human::count(u64::from(*wanted), "instance")),
        };
        text.push_str(&format!("  {name}  {state}\n"));
    }
    text.push_str(
        "\nWorkers that run go on, and are not replaced when they end.\n\n  \
         Look after them again   nexusctl resurrect\n",
    );
    text
}
