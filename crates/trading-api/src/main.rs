//! The trading API: real market data over HTTP, one of these processes per CPU.
//!
//! A worker takes the sockets that its manager keeps (or binds `PORT`), says it is ready when it
//! has its data, and on SIGTERM or SIGINT drains: nothing that a client has sent is lost. One
//! thread each; the processes are the parallelism. It never invents a price.

mod app;
mod dataset;
mod day;
mod decimal;
mod health;
mod listening;
mod logs;
mod market;
mod patience;
mod problem;
mod quote;
mod request;
mod serve;
mod settings;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use nexus_worker::Stop;
use tokio::runtime::Builder;

use crate::app::App;
use crate::dataset::Dataset;
use crate::listening::Doors;
use crate::settings::Settings;

/// Exit code for settings that make no sense.
const BAD_SETTINGS: u8 = 2;

fn main() -> ExitCode {
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(flaws) => {
            eprintln!("{flaws}");
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trading-api: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    logs::start(settings.log_level)?;
    let stop = Stop::install()?;
    let data = Dataset::load()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let doors = Doors::open(&settings)?;
        let app = Arc::new(App::new(settings, data, doors.port(), started));
        tracing::info!(
            port = app.port,
            inherited = doors.kept,
            bars = app.data.len(),
            connections_max = app.settings.limits.connections,
            "ready"
        );
        // The socket is open and queues, the data is there: from here every request is answered.
        nexus_worker::ready()?;
        Ok(serve::serve(app, doors, stop).await?)
    })
}
