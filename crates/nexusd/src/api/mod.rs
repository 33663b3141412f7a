//! The front door: HTTP/1.1 with JSON on the control socket.

mod answer;
mod events;
mod figures;
mod logs;
mod openapi;
mod routes;
mod seats;
mod table;
mod upgrade;
mod wish;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nexus_proto::{Code, Problem};
use tokio::net::{UnixListener, UnixStream};
use tower_service::Service;

use crate::command::Front;
use seats::{Requests, Seats};

pub(crate) use seats::STREAMS_MAX;

/// From the first byte of a request to the end of its headers; a client that is slower is cut.
const HEADER_PATIENCE: Duration = Duration::from_secs(5);
/// The longest request line and headers together, in bytes.
const HEADERS_MAX: usize = 64 * 1024;
/// After a failed accept (no descriptor left): how long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// `alice(1000)`.
    pub(crate) name: String,
}

/// Serve the control socket for ever.
///
/// # Errors
/// When the descriptor is no listening socket.
pub(crate) async fn serve(socket: OwnedFd, front: Front) -> std::io::Result<()> {
    let listener = StdListener::from(socket);
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let routes = routes::routes(front);
    let seats = Seats::new();
    // Of a lasting want of descriptors the log tells once.
    let mut refused = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                refused = false;
                let Some(place) = seats.place().await else { return Ok(()) };
                let (routes, requests) = (routes.clone(), Requests::default());
                let of_it = requests.clone();
                let task = tokio::spawn(async move {
                    connection(stream, routes, of_it).await;
                    drop(place);
                });
                seats.seat(requests, task.abort_handle());
            }
            Err(error) => {
                if !std::mem::replace(&mut refused, true) {
                    tracing::warn!(%error, "clients cannot be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serve one client that came by another way than our socket.
#[cfg(any(test, fuzzing))]
pub(crate) async fn one(stream: UnixStream, front: Front) {
    connection(stream, routes::routes(front), Requests::default()).await;
}

async fn connection(stream: UnixStream, routes: axum::Router, requests: Requests) {
    crate::quiet::busy();
    let peer = admit(&stream).await;
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let peer = peer.clone();
        let mut routes = routes.clone();
        let asked = requests.one();
        async move {
            let answer = match peer {
                Ok(peer) => {
                    let mut request = request.map(Body::new);
                    request.extensions_mut().insert(peer);
                    let answer = routes.call(request).await?;
                    answer::refusal(answer).await
                }
                Err(problem) => answer::problem(&problem),
            };
            Ok::<_, Infallible>(answer::of_us(answer).map(|body| asked.with(body)))
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        // A client may close its half when it has said all, and still wait for the answer.
        .half_close(true)
        .header_read_timeout(HEADER_PATIENCE)
        .max_buf_size(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a client's connection ended");
    }
}

/// Only our own user and root may come in (`unix(7)`, SO_PEERCRED).
async fn admit(stream: &UnixStream) -> Result<Peer, Problem> {
    let own = nix::unistd::geteuid().as_raw();
    let uid = stream.peer_cred().map(|peer| peer.uid());
    match uid {
        Ok(uid) if uid == own || uid == 0 => Ok(Peer { name: user(uid).await }),
        Ok(uid) => Err(Problem::new(
            Code::NotPermitted,
            format!("not allowed to control this daemon: it belongs to {}", user(own).await),
        )
        .cause(format!("you are uid {uid}"))
        .help("run the command as that user, or as root")),
        Err(error) => Err(Problem::new(
            Code::NotPermitted,
            format!("the kernel does not say who you are: {error}"),
        )),
    }
}

/// A user in words. Names are asked for once: whoever answers (LDAP, a file) may take its time, so
/// not on this thread.
async fn user(uid: u32) -> String {
    static KNOWN: Mutex<BTreeMap<u32, String>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = known().get(&uid) {
        return name.clone();
    }
    let looked_up = tokio::task::spawn_blocking(move || {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
        user.map_or_else(|| format!("uid {uid}"), |user| format!("{}({uid})", user.name))
    });
    let name = looked_up.await.unwrap_or_else(|_| format!("uid {uid}"));
    // Only our own user's and root's are asked for.
    known().insert(uid, name.clone());
    name
}
