//! For the author of a server, here with axum on tokio: requests share a store, and a shutdown ends their waits for it.
//!
//! ```text
//! cargo run --example server -- --help          # the address, and the patience with slow clients
//! cargo run --example server                    # and then, in another terminal:
//! curl -T FILE http://127.0.0.1:8080/NAME
//! curl http://127.0.0.1:8080/NAME
//! curl http://127.0.0.1:8080/                   # all values
//! curl -X DELETE http://127.0.0.1:8080/NAME
//! ```
//!
//! It shows these uses of the lock:
//! * `read_or` and `write_or`: a request that waits for the lock when the server shuts down is refused, and the requests
//!   that have the lock are finished;
//! * a read guard that owns the lock, and has no lifetime. While a slow client receives all values, they stay as they
//!   were when it asked, and the map is not copied;
//! * a future that owns a guard and may be dropped: a client that is too slow is cut off, and the lock is released.
//!
//! The price: a writer waits for the slowest of the readers, and readers that arrive meanwhile wait behind the writer,
//! for the patience of the server at most. Where that is too long, send a clone of the map.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{env, io};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::stream;
use multilock::{RwLock, RwLockUpgradableReadGuard};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Store {
    /// A clone of a value is the same bytes.
    values: BTreeMap<String, Bytes>,
    /// How often the values have been changed.
    version: u64,
}

#[derive(Clone)]
struct Server {
    store: Arc<RwLock<Store>>,
    /// Cancels all waits for the lock.
    shutdown: CancellationToken,
    /// How long a client may take to receive all values, and how long the server takes to shut down.
    patience: Duration,
}

/// The server shuts down.
const REFUSED: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

async fn get_all(State(server): State<Server>) -> Result<impl IntoResponse, StatusCode> {
    let store = server.store.read_arc_or(server.shutdown.cancelled()).await;
    let store = store.map_err(|()| REFUSED)?;
    let line = |key: &str, value: &Bytes| format!("{key:?} {}\n", value.len());
    let lengths = store.values.iter().map(|(key, value)| line(key, value).len() + value.len() + 1);
    let head = [
        ("version", store.version.to_string()),
        (CONTENT_LENGTH.as_str(), lengths.sum::<usize>().to_string()),
    ];

    // The channel has room for one piece, so the task waits for the client.
    let (send, mut pieces) = mpsc::channel(1);
    let send_all = async move {
        for (key, value) in &store.values {
            for piece in [line(key, value).into(), value.clone(), Bytes::from_static(b"\n")] {
                // Fails if the client is gone.
                let Ok(()) = send.send(piece).await else { return };
            }
        }
    };
    // The task owns the guard. A client that is too slow sees that the rest is missing.
    tokio::spawn(timeout(server.patience, send_all));
    let pieces =
        stream::poll_fn(move |cx| pieces.poll_recv(cx).map(|piece| piece.map(io::Result::Ok)));
    Ok((head, Body::from_stream(pieces)))
}

async fn get_one(
    State(server): State<Server>,
    Path(key): Path<String>,
) -> Result<Bytes, StatusCode> {
    let store = server.store.read_or(server.shutdown.cancelled()).await;
    let store = store.map_err(|()| REFUSED)?;
    store.values.get(&key).cloned().ok_or(StatusCode::NOT_FOUND)
}

/// The value is received before the lock is acquired.
async fn put(State(server): State<Server>, Path(key): Path<String>, value: Bytes) -> StatusCode {
    let Ok(mut store) = server.store.write_or(server.shutdown.cancelled()).await else {
        return REFUSED;
    };
    store.version += 1;
    match store.values.insert(key, value) {
        None => StatusCode::CREATED,
        Some(_) => StatusCode::NO_CONTENT,
    }
}

async fn delete(
    State(server): State<Server>,
    Path(key): Path<String>,
) -> Result<StatusCode, StatusCode> {
    // If there is nothing to delete, no reader is blocked.
    let store = server.store.upgradable_read_or(server.shutdown.cancelled()).await;
    let store = store.map_err(|()| REFUSED)?;
    if !store.values.contains_key(&key) {
        return Err(StatusCode::NOT_FOUND);
    }
    let store = RwLockUpgradableReadGuard::upgrade_or(store, server.shutdown.cancelled()).await;
    let mut store = store.map_err(|_| REFUSED)?;
    store.version += 1;
    store.values.remove(&key);
    Ok(StatusCode::NO_CONTENT)
}

/// Waits for Ctrl-C, or for the signal that ends a service. From this call on, they do not end the process.
#[cfg(unix)]
fn stopped() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stopped() -> io::Result<impl Future<Output = ()>> {
    Ok(async { tokio::signal::ctrl_c().await.expect("there is a console") })
}

/// Serves until the process is stopped, and then finishes the requests that have the lock.
async fn serve(address: &str, patience: Duration) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let (shutdown, stopped) = (CancellationToken::new(), stopped()?);
    let server = Server { store: Arc::default(), shutdown: shutdown.clone(), patience };
    let routes = Router::new()
        .route("/", get(get_all))
        .route("/{key}", get(get_one).put(put).delete(delete))
        .with_state(server);
    println!("listening at {}; stop with Ctrl-C", listener.local_addr()?);
    let serve =
        axum::serve(listener, routes).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let served = tokio::spawn(serve.into_future());

    stopped.await;
    // From now on no connection is accepted, and no request waits for the lock.
    shutdown.cancel();
    match timeout(patience, served).await {
        Ok(served) => served?,
        Err(_) => Err(io::Error::other("a client took too long")),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let address = args.first().map_or("127.0.0.1:8080", String::as_str);
    let patience = args.get(1).map_or(Ok(10), |seconds| seconds.parse());
    let (Ok(patience), false) = (patience, address.starts_with('-') || args.len() > 2) else {
        eprintln!("usage: server [ADDRESS:PORT [SECONDS]]");
        return ExitCode::from(2);
    };
    match serve(address, Duration::from_secs(patience)).await {
        Ok(()) => {
            println!("all requests are answered");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("server: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}
