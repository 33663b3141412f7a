//! `completion`: a script for a shell.

use std::process::ExitCode;

use crate::cli::Completion;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{completion, out};

/// Do it.
pub(super) fn run(args: &Completion) -> Result<ExitCode, Failure> {
    let script = completion::script(args.shell, &program()).map_err(|error| {
        Failure::new(Exit::Internal, "the script cannot be made").cause(error.to_string())
    })?;
    out::result(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// As we were called: a word that is looked up in PATH stays one, so that an upgrade is followed.
fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    if !called.contains('/') {
        return "nexusctl".to_owned();
    }
    let path = std::path::absolute(&called).unwrap_or_else(|_| called.into());
    path.display().to_string()
}
