//! `check`: read a project file and change nothing.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::{Check, Format};
use crate::context::Context;
use crate::failure::Failure;
use crate::human::count;
use crate::project::{self, Part};
use crate::{out, text};

/// Do it.
pub(super) fn run(context: &Context, args: &Check) -> Result<ExitCode, Failure> {
    let named = args.file.clone().unwrap_or_else(project::default);
    let part = Part { only: &[], profile: args.env.as_deref() };
    let project = project::load(context, &named, part)?;
    let names = || project.apps.iter().map(|app| app.name.as_str());
    match context.format {
        Format::Json | Format::Jsonl => context.document(&json!({
            "schema": "nexus.check/1",
            "file": project.file,
            "apps": names().collect::<Vec<_>>(),
        }))?,
        Format::Name => out::result(&names().map(|name| format!("{name}\n")).collect::<String>())?,
        Format::Table | Format::Wide => {
            let file = text::plain(&named.display().to_string());
            let apps = count(project.apps.len() as u64, "app");
            let list = names().collect::<Vec<_>>().join(", ");
            out::result(&format!("{file} is right: {apps} ({list})\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
