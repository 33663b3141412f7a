//! The front door: HTTP/1.1 with JSON on the control socket.

mod answer;
mod events;
mod figures;
mod logs;
mod openapi;
mod peer;
mod routes;
mod seats;
mod table;
mod upgrade;
mod whole;
mod wish;

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nexus_proto::{Code, Problem};
use tokio::net::{UnixListener, UnixStream};
use tower_service::Service;

use crate::command::Front;
use peer::Peer;
use seats::{Requests, Seats};

pub(crate) use seats::{GUESTS_MAX, STREAMS_MAX};

/// From the first byte of a request to the end of its headers; a client that is slower is cut.
const HEADER_PATIENCE: Duration = Duration::from_secs(5);
/// The longest request line and headers together, in bytes.
const HEADERS_MAX: usize = 64 * 1024;
/// After a failed accept (no descriptor left): how long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serve the control socket, and the group's when there is one, for ever.
///
/// # Errors
/// When the descriptor is no listening socket.
pub(crate) async fn serve(socket: OwnedFd, front: Front) -> std::io::Result<()> {
    let control = listener(socket)?;
    let seats = Arc::new(Seats::new());
    let routes = routes::routes(front.clone());
    let own = accept(control, routes.clone(), front.clone(), Arc::clone(&seats));
    tokio::join!(own, serve_group(routes, front, seats));
    Ok(())
}

/// Serve the group's socket, whichever it is at the time.
async fn serve_group(routes: axum::Router, front: Front, seats: Arc<Seats>) {
    let mut admitted = front.admitted.clone();
    loop {
        let socket = admitted.borrow_and_update().socket.clone();
        let serving = async {
            let socket = socket.and_then(|socket| socket.try_clone().ok());
            match socket.map(listener) {
                Some(Ok(listener)) => {
                    accept(listener, routes.clone(), front.clone(), Arc::clone(&seats)).await;
                }
                Some(Err(error)) => tracing::error!(%error, "the group's socket is no good"),
                None => {}
            }
            std::future::pending().await
        };
        tokio::select! {
            () = serving => {}
            changed = admitted.changed() => if changed.is_err() { return },
        }
    }
}

fn listener(socket: OwnedFd) -> std::io::Result<UnixListener> {
    let listener = StdListener::from(socket);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

async fn accept(listener: UnixListener, routes: axum::Router, front: Front, seats: Arc<Seats>) {
    // Of a lasting want of descriptors the log tells once.
    let mut refused = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                refused = false;
                let Some(place) = seats.place().await else { return };
                let (routes, requests) = (routes.clone(), Requests::default());
                let (of_it, front) = (requests.clone(), front.clone());
                let task = tokio::spawn(async move {
                    connection(stream, routes, front, of_it).await;
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
    connection(stream, routes::routes(front.clone()), front, Requests::default()).await;
}

async fn connection(stream: UnixStream, routes: axum::Router, front: Front, requests: Requests) {
    crate::quiet::busy();
    let peer = Peer::of(&stream).await;
    // Others leave places to our own user and to root, whatever they ask for: beyond their number
    // they are hung up on.
    let _guest = match &peer {
        Ok(Peer { owner: true, .. }) => None,
        Ok(_) | Err(_) => match Arc::clone(&front.guests).try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => return,
        },
    };
    let known = peer.clone().ok();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let peer = peer.clone();
        let mut routes = routes.clone();
        let asked = requests.one();
        async move {
            let answer = match peer.and_then(|peer| text_only(request.uri()).map(|()| peer)) {
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
        .serve_connection(TokioIo::new(stream), service);
    let served = tokio::select! {
        served = served => served,
        () = demoted(known, front) => return,
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a client's connection ended");
    }
}

/// A query that is no text is refused, as a path is: what is looked for would be another word.
fn text_only(uri: &axum::http::Uri) -> Result<(), Problem> {
    let mut rest = uri.query().unwrap_or_default().as_bytes().iter();
    let mut plain = Vec::new();
    while let Some(byte) = rest.next() {
        let digits = rest.as_slice().get(..2).filter(|_| *byte == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => {
                plain.push(escaped);
                rest.nth(1);
            }
            None => plain.push(*byte),
        }
    }
    match std::str::from_utf8(&plain) {
        Ok(_) => Ok(()),
        Err(error) => {
            let title = "the query is no valid UTF-8".into();
            Err(Problem::new(Code::BadRequest, title).cause(error.to_string()))
        }
    }
}

/// Comes when somebody may do less than when they came: what they follow must not go on. Whoever
/// may still come in asks again.
async fn demoted(peer: Option<Peer>, front: Front) {
    let Some(peer) = peer.filter(|peer| !peer.owner) else { return std::future::pending().await };
    let mut admitted = front.admitted;
    let role = peer.role(&admitted.borrow_and_update().access);
    let fewer = |now: &crate::admission::Admitted| peer.role(&now.access) < role;
    if admitted.wait_for(fewer).await.is_err() {
        std::future::pending::<()>().await;
    }
}
