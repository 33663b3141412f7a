//! `monit`: the dashboard. A [`Model`](model::Model) is what it knows, `update` what a message
//! changes in it, `draw` what is on the screen: all three pure. The feeds bring messages, the stage
//! carries out what the model wants.

mod action;
mod feed;
mod filter;
mod fleet;
mod keys;
mod link;
mod log_window;
mod model;
mod screen;
mod signals;
mod stage;
#[cfg(test)]
mod tests;
mod update;
mod view;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use nexus_proto::client;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// How long a daemon may take to answer before it counts as lost.
const ANSWER: Duration = Duration::from_secs(3);

/// Show the dashboard until it is left.
///
/// # Errors
/// It makes no sense here (no terminal, a form for programs), or the socket is not ours to use. A
/// daemon that is not there is no error: the screen says so and waits for one.
pub(crate) fn run(context: &Context) -> Result<ExitCode, Failure> {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    if !std::io::stdout().is_terminal() || dumb || context.is_json() {
        return Err(Failure::new(Exit::Usage, "monit needs a terminal to draw on")
            .help("nexusctl list             a table")
            .help("nexusctl list -o json     for programs"));
    }
    let client = context.client.clone().with_patience(ANSWER, Duration::ZERO);
    // Here a pair that was killed is brought back, as by every command. Any other failure may pass
    // while we look on.
    if let Err(failure @ client::Failure::NotPermitted { .. }) = client.version() {
        return Err(failure.into());
    }
    stage::play(context, &client.without_reviver())
}
