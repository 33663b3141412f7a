//! What the whole-system tests stand on: a private home, real programs, facts from `/proc`, and
//! waiting for events with a deadline.
//!
//! Everything here panics with a full sentence when the world does not answer: a test that cannot
//! go on has failed, and the sentence is its report.

pub mod console;
mod fleet;
mod home;
pub mod http;
mod load;
mod machine;
mod port;
mod process;
mod program;
mod running;
mod schema;
mod spread;
mod terminal;
pub mod truth;
mod wait;

pub use fleet::App;
pub use home::Home;
pub use load::{Account, Load};
pub use machine::{Machine, can_boot};
pub use port::free_port;
pub use process::{Process, with_env};
pub use program::{Output, many_files, program, program_dir, repository, run, try_many_files};
pub use running::{Foreground, Running};
pub use schema::misfits;
pub use spread::{Pace, Spread};
pub use terminal::{Left, Terminal};
pub use wait::{PROMPT, wait_for};
