//! What a worker links: inherited listening sockets, readiness, and a stop that drains.
//!
//! Nexus binds an app's addresses once, keeps them, and hands them to every worker; a worker says
//! when it is ready and gets a signal when it is to go. All of it follows protocols that other
//! managers speak too (`sd_listen_fds(3)`, `sd_notify(3)`), and all of it does something sensible
//! without any manager: [`listen_or_bind`] binds, [`ready`] and its kin do nothing.
//!
//! ```no_run
//! use std::io::Write;
//!
//! fn main() -> std::io::Result<()> {
//!     let stop = nexus_worker::Stop::install()?;
//!     let listener = nexus_worker::listen_or_bind("127.0.0.1:8080")?;
//!     nexus_worker::ready()?;
//!     while let Some(mut client) = listener.accept_until(stop)? {
//!         let _gone = client.write_all(b"hello\n");
//!     }
//!     nexus_worker::stopping()?;
//!     Ok(())
//! }
//! ```
//!
//! # A reload that drops nothing
//! The listening socket is shared by all workers of the app and outlives each of them. So a worker
//! that is asked to stop only closes its own copy (dropping the [`Listener`] does that), finishes
//! what it has accepted, answers further requests on open connections with `Connection: close`,
//! keeps idle ones open a little longer ([`Stream::next_request`]), and exits 0. `drain_timeout`
//! is how long it has for that. Connections that it never accepted stay queued in the kernel for its siblings.
//! Never call `shutdown(2)` on the socket: that would end it for everyone.
//!
//! # With tokio
//! [`Stop`] is the reading end of a pipe that becomes readable and stays so: wait for it by
//! `tokio::net::unix::pipe::Receiver::from_owned_fd(stop.as_fd().try_clone_to_owned()?)?` and
//! `readable().await`. A listener becomes a `TokioListener` with the feature `tokio`.
//!
//! # Every worker its share
//! On a shared socket the kernel may give nearly all connections to one worker, and connections
//! that are kept alive stay there. So workers tell each other how many they have, and leave the
//! next one to who has clearly fewer: no worker has less than half the mean, and one that has
//! just been started catches up. [`Listener::accept_until`] and `TokioListener::accept` do it,
//! [`Listener::leave_next`] is for other loops.

mod address;
mod inherit;
mod listener;
mod notify;
mod share;
mod stop;
mod sys;
#[cfg(feature = "tokio")]
mod tokio;

pub use inherit::{Which, listen, listen_or_bind};
pub use listener::{Connection, Listener, Socket, Stream};
pub use notify::{alive, ready, status, stopping, watchdog_period};
pub use stop::{Stop, stop_requested};
#[cfg(feature = "tokio")]
pub use tokio::{TokioListener, TokioStream};
