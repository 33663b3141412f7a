//! PM2's dialect: what its users type, in our words, and whose home they mean.

mod home;
mod words;

pub use home::{home, real_daemon};
pub use words::words;
