//! A store of values over HTTP, on tokio. Its connections share the store by guards that own the lock.
//!
//! ```text
//! cargo run --example server                    # and then, in another terminal:
//! curl -T FILE http://127.0.0.1:8080/NAME
//! curl http://127.0.0.1:8080/NAME
//! curl http://127.0.0.1:8080/                   # all values
//! curl -X DELETE http://127.0.0.1:8080/NAME
//!
//! cargo run --example server -- --self-test     # sends itself requests, and ends
//! ```
//!
//! It shows these uses of the locks:
//! * a read guard that is stored in the answer, and has no lifetime. While a slow client receives all values,
//!   they stay as they were when it asked, and nothing is copied;
//! * the guard of a part: an answer with one value;
//! * a future that owns guards and may be dropped: a client that is too slow is cut off, and the lock is released;
//! * a lock without data, for the shutdown. Each request shares it, and the holder that has it exclusively knows
//!   that all requests have been answered.
//!
//! The price: a writer waits for the slowest of the readers, which is [`PATIENCE`] at most, and readers that arrive
//! meanwhile wait behind the writer. Where that is too long, put the values in `Arc`s and send clones of those.

mod request;
mod self_test;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{env, io};

use multilock::{GuardArc, Mode, MultiLock, RwLock, RwLockReadGuardArc, RwLockUpgradableReadGuard};
use request::{Refusal, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// How long a client may take to send a request, and how long to receive an answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Store {
    values: BTreeMap<String, Vec<u8>>,
    /// How often the values have been changed.
    version: u64,
}

struct Server {
    store: Arc<RwLock<Store>>,
    /// Shared by each request from its receipt until it is answered.
    requests: Arc<MultiLock>,
    patience: Duration,
}

/// What is sent. It owns the guards that it needs.
enum Answer {
    /// A status without a body.
    Status(&'static str),
    One(RwLockReadGuardArc<Store, Vec<u8>>),
    All(RwLockReadGuardArc<Store>),
}

impl Server {
    fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Self { store: Arc::default(), requests: Arc::default(), patience })
    }

    /// Answers requests until `shutdown` is ready, and then finishes those that were received before. While the
    /// returned guard is alive, no request is answered. Returns `None` if a request took too long.
    async fn serve(
        self: &Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Option<GuardArc> {
        let accept = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(self.clone().connection(stream))),
                    Err(error) => {
                        // There may be too many connections at the moment.
                        eprintln!("cannot accept: {error}");
                        sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        };
        tokio::select! {
            () = accept => {}
            () = shutdown => {}
        }
        drop(listener);
        timeout(2 * self.patience, self.requests.acquire_arc(Mode::Exclusive)).await.ok()
    }

    /// Answers requests one after another. An error is that of the client, which is gone.
    async fn connection(self: Arc<Self>, mut stream: TcpStream) -> io::Result<()> {
        let mut received = Vec::new();
        loop {
            let request =
                match timeout(self.patience, request::read(&mut stream, &mut received)).await {
                    Ok(Ok(request)) => request,
                    Ok(Err(Refusal::Gone(result))) => return result,
                    Ok(Err(Refusal::Status(status))) => return self.refuse(stream, status).await,
                    Err(_) if received.is_empty() => return Ok(()),
                    Err(_) => return self.refuse(stream, "408 Request Timeout").await,
                };
            // Fails while the shutdown waits for exclusive access.
            let Some(_shares) = self.requests.try_acquire(Mode::Shared) else {
                return self.refuse(stream, "503 Service Unavailable").await;
            };
            let close = request.close;
            let answer = self.answer(request).await;
            timeout(self.patience, answer.send(&mut stream)).await??;
            if close {
                return Ok(());
            }
        }
    }

    async fn answer(&self, Request { method, key, body, .. }: Request) -> Answer {
        match (&*method, key) {
            ("GET", None) => Answer::All(self.store.read_arc().await),
            ("GET", Some(key)) => {
                let store = self.store.read_arc().await;
                match RwLockReadGuardArc::try_map(store, |store| store.values.get(&key)) {
                    Ok(value) => Answer::One(value),
                    Err(_) => Answer::Status("404 Not Found"),
                }
            }
            ("PUT", Some(key)) => {
                let mut store = self.store.write().await;
                store.version += 1;
                match store.values.insert(key, body) {
                    None => Answer::Status("201 Created"),
                    Some(_) => Answer::Status("204 No Content"),
                }
            }
            ("DELETE", Some(key)) => {
                // If there is nothing to delete, no reader is blocked.
                let store = self.store.upgradable_read().await;
                if !store.values.contains_key(&key) {
                    return Answer::Status("404 Not Found");
                }
                let mut store = RwLockUpgradableReadGuard::upgrade(store).await;
                store.version += 1;
                store.values.remove(&key);
                Answer::Status("204 No Content")
            }
            _ => Answer::Status("405 Method Not Allowed\r\nAllow: GET, PUT, DELETE"),
        }
    }

    /// The last answer of a connection. What the client sends after it is not parsed, but if the server did not read
    /// it, the client might not see the answer.
    async fn refuse(&self, mut stream: TcpStream, status: &'static str) -> io::Result<()> {
        let refuse = async {
            stream
                .write_all(format!("HTTP/1.1 {status}\r\nConnection: close\r\n").as_bytes())
                .await?;
            stream.write_all(b"Content-Length: 0\r\n\r\n").await?;
            stream.shutdown().await?;
            let mut rest = stream.take(16 * request::BODY_LIMIT as u64);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
        };
        timeout(self.patience, refuse).await?.map(|_| ())
    }
}

impl Answer {
    /// Sends the answer to the client, and keeps its guard until everything is sent.
    async fn send(self, stream: &mut TcpStream) -> io::Result<()> {
        match self {
            Self::Status(status) => {
                // Only this status must not state the length of a body.
                let length = if status.starts_with("204") { "" } else { "Content-Length: 0\r\n" };
                stream.write_all(format!("HTTP/1.1 {status}\r\n{length}\r\n").as_bytes()).await
            }
            Self::One(value) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", value.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&value).await
            }
            Self::All(store) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVersion: {}\r\n\r\n",
                    store.version
                );
                stream.write_all(head.as_bytes()).await?;
                // A chunk for each value: its key, its length, and the value.
                for (key, value) in &store.values {
                    let line = format!("{key} {}\n", value.len());
                    let size = format!("{:x}\r\n", line.len() + value.len() + 1);
                    let chunk = [size.as_bytes(), line.as_bytes(), value, b"\n\r\n"].concat();
                    stream.write_all(&chunk).await?;
                }
                stream.write_all(b"0\r\n\r\n").await
            }
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let address = match (args.next().as_deref(), args.next()) {
        (Some("--self-test"), None) => {
            self_test::run().await;
            return ExitCode::SUCCESS;
        }
        (None, None) => "127.0.0.1:8080".to_owned(),
        (Some(address), None) if !address.starts_with('-') => address.to_owned(),
        _ => {
            eprintln!("usage: server [ADDRESS:PORT | --self-test]");
            return ExitCode::from(2);
        }
    };
    let listener = match TcpListener::bind(&address).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen at {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("listening at {address}; stop with Ctrl-C");
    let server = Server::new(PATIENCE);
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("cannot wait for Ctrl-C: {error}");
            std::future::pending().await
        }
    };
    match server.serve(listener, interrupted).await {
        Some(_) => {
            println!("all requests are answered");
            ExitCode::SUCCESS
        }
        None => {
            println!("a request took too long");
            ExitCode::FAILURE
        }
    }
}
