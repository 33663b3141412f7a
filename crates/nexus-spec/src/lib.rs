//! What a user may ask for: options and project files parsed into values that are right by
//! construction, every flaw with its place and its remedy.

mod app;
mod name;
mod units;

pub use app::{AppSpec, Backoff, Instances, Listen, LogFiles, Ready, Restart, RunAs, Stop};
pub use name::{Name, NameFlaw};
pub use units::{Signal, Span};
