//! Keystrokes in, text out: the screens against files (`UPDATE_GOLDEN=1 cargo test -p nexusctl`
//! writes them anew), and what must hold whatever is typed.

mod play;
mod promises;
mod screens;
