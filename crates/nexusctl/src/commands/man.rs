//! `man`: manual pages, shown, printed or written.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::cli::Man;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{manual, out};

/// Do it.
pub(super) fn run(context: &Context, args: &Man) -> Result<ExitCode, Failure> {
    if let Some(dir) = &args.dir {
        return write(dir);
    }
    let page = manual::page(args.page.as_deref()).map_err(|near| {
        let name = args.page.as_deref().unwrap_or_default();
        let failure = Failure::new(Exit::Unknown, format!("no manual page for `{name}`"));
        let failure = near
            .iter()
            .fold(failure, |failure, name| failure.help(format!("did you mean `{name}`?")));
        failure.help("nexusctl man          about all verbs")
    })?;
    let page = page.map_err(|error| unmade(&error))?;
    if context.out.terminal && show(&page.roff).is_ok() {
        return Ok(ExitCode::SUCCESS);
    }
    out::result(&page.roff)?;
    Ok(ExitCode::SUCCESS)
}

/// By man(1), which knows the pager; an error when there is none.
fn show(roff: &str) -> std::io::Result<()> {
    let mut man = Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = man.stdin.take() {
        // A pager that was left early has read enough.
        let _ = stdin.write_all(roff.as_bytes());
    }
    let status = man.wait()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other("man(1) failed")) }
}

fn write(dir: &Path) -> Result<ExitCode, Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        let title = format!("cannot write {}", path.display());
        Failure::new(Exit::Failed, title).cause(error.to_string())
    };
    let pages = manual::pages().map_err(|error| unmade(&error))?;
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    for page in pages {
        let path = dir.join(&page.file);
        std::fs::write(&path, page.roff).map_err(|error| failed(&path, &error))?;
        out::result(&format!("{}\n", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn unmade(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Internal, "the page cannot be made").cause(error.to_string())
}
