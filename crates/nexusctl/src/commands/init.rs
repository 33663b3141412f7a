//! `init`: a commented project file of what is found here.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::Init;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::project::DEFAULT;
use crate::{draft, out};

/// Do it.
pub(super) fn run(context: &Context, args: &Init) -> Result<ExitCode, Failure> {
    let dir = std::env::current_dir().map_err(|error| {
        Failure::new(Exit::Failed, "no working directory").cause(error.to_string())
    })?;
    let found = draft::look(&dir);
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let text = draft::text(&found, cpus);
    if args.stdout {
        out::result(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = OpenOptions::new().write(true).create_new(true).open(DEFAULT);
    let mut file = file.map_err(|error| {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return unwritten(&error);
        }
        Failure::new(Exit::Refused, format!("{DEFAULT} is there already; it stays as it is"))
            .help("nexusctl check           what is wrong with it")
            .help("nexusctl init --stdout   what would be written")
    })?;
    file.write_all(text.as_bytes()).map_err(|error| unwritten(&error))?;
    if context.is_json() {
        context.document(&json!({"schema": "nexus.init/1", "file": dir.join(DEFAULT)}))?;
    } else {
        out::result(&format!("{DEFAULT}\n"))?;
        if found.is_empty() {
            context.note("no program was found here: write yours into `script`");
        }
        context.note("next:  nexusctl check\n       nexusctl start\n       nexusctl list");
    }
    Ok(ExitCode::SUCCESS)
}

fn unwritten(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write {DEFAULT}")).cause(error.to_string())
}
