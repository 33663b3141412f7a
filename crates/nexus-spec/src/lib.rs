//! What a user may ask for: options and project files parsed into values that are right by
//! construction, every flaw with its place and its remedy.

mod app;
mod conflicts;
mod flaw;
mod given;
mod instances;
mod listen;
mod name;
mod options;
mod project;
mod read;
mod ready;
mod render;
mod restart;
mod secret;
mod settings;
mod signal;
mod span;
mod suggest;
mod visible;
mod words;
mod write;
mod wrong;

pub use app::{AppSpec, LogFiles, RunAs, interpreter_of};
pub use flaw::{Bytes, Code, Flaw, Flaws, Place, Related};
pub use instances::Instances;
pub use listen::Listen;
pub use name::{Name, NameFlaw};
pub use options::{OptionFlaw, Options};
pub use project::{Project, project};
pub use ready::{Ready, ReadyFlaw};
pub use restart::{Backoff, Restart, Stop};
pub use secret::is_secret;
pub use settings::{Scope, Setting, settings};
pub use signal::Signal;
pub use span::Span;
pub use words::split as split_words;
