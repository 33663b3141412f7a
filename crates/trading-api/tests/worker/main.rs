//! The real program on real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod client;
mod drain;
mod limits;
mod program;
