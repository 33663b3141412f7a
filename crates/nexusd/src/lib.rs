//! Carries out the core's decisions, moves log bytes, serves clients.
//!
//! nexusd never forks a worker and never decides policy: an event comes in, `nexus_core::step`
//! decides, and the modules here do it. See `docs/ARCHITECTURE.md`.

mod access;
mod admission;
mod api;
mod apply;
mod calendar;
mod clock;
mod clockwork;
mod command;
mod cpus;
pub mod credentials;
mod daemon;
mod dependencies;
mod door;
mod end;
mod environment;
mod exits;
mod facts;
mod files;
mod flush;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod heard;
mod hearer;
mod held;
mod history;
mod holdings;
mod home;
mod identity;
mod journal;
#[cfg(test)]
mod kinds;
mod lines;
mod log_sources;
mod mains;
mod measure;
mod metrics;
mod note;
mod notify;
mod ops;
mod origin;
mod outputs;
mod own_log;
mod passed;
mod probes;
mod probing;
mod quiet;
mod records;
mod refused;
mod replies;
mod reports;
mod requests;
mod roll;
mod rolling;
mod rollouts;
pub mod room;
mod run;
mod runs;
mod sampling;
mod saved;
mod service;
mod shutdown;
mod signals;
mod sockets;
mod sources;
mod spawn;
mod stat;
mod stdin;
mod store;
mod strays;
mod survivors;
mod sync;
mod targets;
mod template;
mod timed;
mod trouble;
mod unadopted;
mod upgrade;
mod vault;
mod view;
mod watched;
mod watching;
mod words;

pub use lines::VERSION as STATE_FORMAT;
pub use log_sources::{LogSource, log_sources};
pub use run::run;
pub use service::{hand_over, let_go};
pub use store::known;
