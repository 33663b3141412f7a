//! `save`: write down what runs.

use std::process::ExitCode;

use nexus_proto::client::fresh_key;

use crate::cli::Format;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::count;
use crate::{out, text};

/// Do it.
pub(super) fn run(context: &Context) -> Result<ExitCode, Failure> {
    let key = fresh_key()
        .map_err(|error| Failure::new(Exit::Failed, "no random number").cause(error.to_string()))?;
    let saved = context.client.save(&key)?;
    match context.format {
        Format::Json | Format::Jsonl => context.document(&saved)?,
        Format::Name => out::result(&format!("{}\n", text::plain(&saved.path)))?,
        Format::Table | Format::Wide => {
            let apps = count(saved.apps, "app");
            out::result(&format!("saved {apps} to {}\n", text::plain(&saved.path)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
