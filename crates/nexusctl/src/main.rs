//! `nexusctl`: the command line; re-executed by itself, the daemon and its keeper.

mod base_env;
mod build_log;
mod cli;
mod commands;
mod completion;
mod confirm;
mod context;
mod dialect;
mod doctor;
mod draft;
mod ensure;
mod exit;
mod failure;
mod home;
mod human;
mod identity;
mod interrupt;
mod log_files;
mod look;
mod manual;
mod monit;
mod near;
mod operate;
mod out;
mod progress;
mod project;
mod report;
mod roles;
mod rolling;
mod service;
mod settled;
mod text;
mod view;
mod when;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::context::Context;
use crate::dialect::Dialect;
use crate::exit::Exit;

fn main() -> ExitCode {
    if let Some(code) = roles::route() {
        return code;
    }
    std::panic::set_hook(Box::new(|panic| {
        out::note(&format!(
            "error[NX7000]: a bug in nexusctl {}: {panic}",
            env!("CARGO_PKG_VERSION")
        ));
        std::process::exit(i32::from(Exit::Internal.code()));
    }));
    if completion::answered() {
        return ExitCode::SUCCESS;
    }
    let (dialect, words) = dialect::of(std::env::args_os());
    let code = run(dialect, words);
    match dialect {
        Dialect::Ours => code,
        // PM2 knows no other two.
        Dialect::Pm2 if code == ExitCode::SUCCESS => code,
        Dialect::Pm2 => ExitCode::FAILURE,
    }
}

/// What the command line says, to its end; gives what to exit with.
fn run(dialect: Dialect, words: Vec<OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => return told_by_clap(&error),
    };
    let context = match Context::new(&cli.global, dialect) {
        Ok(context) => context,
        Err(failure) => {
            let look = look::Look::of(look::Stream::Err, cli.global.color, cli.global.ascii);
            out::note(failure.render(&look).trim_end_matches('\n'));
            return ExitCode::from(failure.exit.code());
        }
    };
    let code = match commands::run(&context, cli.verb) {
        Ok(code) => code,
        Err(failure) => {
            context.tell(&failure);
            ExitCode::from(failure.exit.code())
        }
    };
    context.note_skew();
    code
}

/// Help and the version go to stdout and are no error; the rest is a wrong command line.
fn told_by_clap(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    let broken = printed.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
    let exit = match (broken, error.exit_code()) {
        (true, _) => Exit::ClosedPipe,
        (false, 0) => Exit::Done,
        (false, _) => Exit::Usage,
    };
    ExitCode::from(exit.code())
}
