//! Several clients of a server in this process. Any error is a panic.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::str;
use std::sync::Arc;
use std::time::Duration;

use multilock::GuardArc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::{PATIENCE, Server};

const CLIENTS: usize = 8;
const PUTS: usize = 40;
/// Too much data to be in transit before the client reads it: see [`Running::start`].
const FILLERS: usize = 32;
const GET_ALL: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
static FILLER: [u8; 8 << 10] = [b'x'; 8 << 10];

pub(crate) async fn run() {
    timeout(Duration::from_secs(60), async {
        let running = Running::start(PATIENCE).await;
        bad_requests(&running).await;
        parallel_clients(&running).await;
        slow_client(&running).await;
        shutdown(running).await;
        too_slow_clients().await;
    })
    .await
    .expect("it takes a few seconds");
    println!("all tests have passed");
}

/// The server's answers to invalid requests, and to valid ones that look similar.
async fn bad_requests(running: &Running) {
    let long = "a".repeat(9_000);
    let put = |rest: &str| format!("PUT /a HTTP/1.1\r\nHost: a\r\n{rest}\r\n");
    let cases = [
        ("\r\n\r\n".to_owned(), 400),
        ("hello\r\n\r\n".to_owned(), 400),
        ("GET / a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET /../a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(129)), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), 505),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nA: {long}\r\n\r\n"), 431),
        // No end, and no line.
        (long, 431),
        (put(""), 411),
        (put("Content-Length: 65537\r\n"), 413),
        // More than is in transit at a time, so the server has to read it.
        (put("Content-Length: 1000000\r\n") + &"a".repeat(1_000_000), 413),
        (put("Content-Length: 99999999999999999999999999\r\n"), 413),
        (put("Content-Length: -1\r\n"), 400),
        (put("Content-Length: +1\r\n"), 400),
        (put("Content-Length: 1\r\nContent-Length: 1\r\n"), 400),
        (put("Transfer-Encoding: chunked\r\n"), 501),
    ];
    for (request, status) in &cases {
        let mut client = running.client().await;
        client.send(request.as_bytes()).await;
        let answer = client.receive().await;
        assert_eq!(answer.status, *status, "{}", &request[..request.len().min(100)]);
        assert!(client.is_closed().await, "after {status} the connection is closed");
    }
    // Not text at all.
    let mut client = running.client().await;
    client.send(b"GET /\xFF HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.receive().await.status, 400);
    println!("{} bad requests were refused", cases.len() + 1);

    // These are valid, and all are sent over one connection.
    let mut client = running.client().await;
    for (method, path, body, status, value) in [
        ("GET", "/none", "", 404, ""),
        ("DELETE", "/none", "", 404, ""),
        ("POST", "/none", "", 405, ""),
        ("PUT", "/", "all", 405, ""),
        ("PUT", "/name", "", 201, ""),
        ("PUT", "/name", "value", 204, ""),
        ("GET", "/name", "", 200, "value"),
        ("GET", "/", "", 200, "name 5\nvalue\n"),
        ("DELETE", "/name", "", 204, ""),
        ("GET", "/name", "", 404, ""),
        ("GET", "/", "", 200, ""),
    ] {
        let answer = client.ask(method, path, body.as_bytes()).await;
        assert_eq!((answer.status, &*answer.body), (status, value.as_bytes()), "{method} {path}");
    }
    let longest = vec![b'a'; 65_536];
    assert_eq!(client.ask("PUT", "/name", &longest).await.status, 201);
    assert_eq!(client.ask("GET", "/name", b"").await.body, longest);
    assert_eq!(client.ask("DELETE", "/name", b"").await.status, 204);
    // Two requests at once, the second of which is the last.
    let get = "GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /none HTTP/1.1\r\nhOsT:a\r\nConnection: Close\r\n\r\n";
    client.send(format!("{get}{last}").as_bytes()).await;
    assert_eq!((client.receive().await.status, client.receive().await.status), (404, 404));
    assert!(client.is_closed().await);
    println!("16 valid requests were answered");
}

/// Each client counts in a value of its own, while others read all values: each answer shows a single moment.
async fn parallel_clients(running: &Running) {
    let mut client = running.client().await;
    let before = client.all().await.version;
    for filler in 0..FILLERS {
        assert_eq!(client.ask("PUT", &format!("/filler-{filler}"), &FILLER).await.status, 201);
    }
    let before = before + FILLERS;

    let address = running.address;
    let writers: Vec<_> = (0..CLIENTS)
        .map(|number| {
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let path = format!("/counter-{number}");
                for count in 1..=PUTS {
                    let body = count.to_string();
                    let status = client.ask("PUT", &path, body.as_bytes()).await.status;
                    assert_eq!(status, if count == 1 { 201 } else { 204 });
                    assert_eq!(client.ask("GET", &path, b"").await.body, body.as_bytes());
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let mut times = 0;
                loop {
                    let all = client.all().await;
                    times += 1;
                    assert_eq!(
                        all.counted(),
                        all.version - before,
                        "the answer mixes several moments"
                    );
                    if all.counted() == CLIENTS * PUTS {
                        return times;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut times = 0;
    for reader in readers {
        times += reader.await.unwrap();
    }
    println!(
        "{} values were put by {CLIENTS} clients, and all of them read {times} times",
        CLIENTS * PUTS
    );
}

/// A client that stops in the middle blocks writers, but not readers.
async fn slow_client(running: &Running) {
    let mut slow = running.client().await;
    slow.send_and_wait(GET_ALL).await;

    let mut reader = running.client().await;
    assert_eq!(reader.ask("GET", "/counter-0", b"").await.status, 200);
    assert_eq!(reader.ask("DELETE", "/none", b"").await.status, 404);
    let mut writer = running.client().await;
    let put = tokio::spawn(async move { writer.ask("PUT", "/counter-0", b"0").await.status });
    sleep(Duration::from_millis(100)).await;
    assert!(!put.is_finished(), "the value changes while a client reads it");

    let all = slow.receive().await.all();
    assert_eq!(all.counted(), CLIENTS * PUTS);
    assert_eq!(put.await.unwrap(), 204);
    println!("a slow client has received all values as they were");
}

/// Clients that have sent a request before receive the whole answer. Later clients receive none.
async fn shutdown(running: Running) {
    let mut idle = running.client().await;
    let mut slow = running.client().await;
    slow.send_and_wait(GET_ALL).await;

    let Running { address, stop, served, .. } = running;
    stop.send(()).unwrap();
    sleep(Duration::from_millis(100)).await;
    assert!(!served.is_finished(), "a client has not received the whole answer");
    let refused = TcpStream::connect(address).await.expect_err("the server does not listen").kind();
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    assert_eq!(idle.ask("GET", "/counter-0", b"").await.status, 503);

    assert_eq!(slow.receive().await.all().counted(), (CLIENTS - 1) * PUTS);
    assert!(served.await.unwrap().is_some(), "all requests were answered");
    println!("the server shut down after all requests were answered");
}

/// Slow clients are cut off, and then the lock is free.
async fn too_slow_clients() {
    let running = Running::start(Duration::from_millis(500)).await;
    let fillers = (0..FILLERS).map(|filler| (format!("filler-{filler}"), FILLER.to_vec()));
    running.server.store.write().await.values.extend(fillers);

    let takes = async {
        let mut client = running.client().await;
        client.send_and_wait(GET_ALL).await;
        let put = running.client().await.ask("PUT", "/name", b"value").await;
        assert_eq!(put.status, 201);
        // A reset, or the end of what was in transit.
        let mut rest = Vec::new();
        let _ = client.stream.read_to_end(&mut rest).await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "the answer was complete");
    };
    let sends = async |some: &[u8]| {
        let mut client = running.client().await;
        client.send(some).await;
        assert_eq!(client.receive().await.status, 408);
    };
    let says_nothing = async {
        assert!(running.client().await.is_closed().await);
    };
    tokio::join!(
        takes,
        sends(b"GET / HTTP/1.1\r\nHo"),
        sends(b"PUT /name HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na"),
        says_nothing
    );
    println!("clients that are too slow were cut off");
}

/// A server that runs in this process.
struct Running {
    server: Arc<Server>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Option<GuardArc>>,
}

impl Running {
    /// Listens at a free port. Buffers are small, so that a server soon notices a slow client.
    async fn start(patience: Duration) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(8 << 10).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener: TcpListener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = Server::new(patience);
        let serves = server.clone();
        let served =
            tokio::spawn(
                async move { serves.serve(listener, async { drop(stopped.await) }).await },
            );
        Self { server, address, stop, served }
    }

    async fn client(&self) -> Client {
        Client::connect(self.address).await
    }
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

struct Reply {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 << 10).unwrap();
        socket.set_send_buffer_size(8 << 10).unwrap();
        Self { stream: socket.connect(address).await.unwrap(), received: Vec::new() }
    }

    async fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
    }

    /// Waits until the answer begins, and reads no more of it.
    async fn send_and_wait(&mut self, request: &[u8]) {
        self.send(request).await;
        let mut some = [0; 100];
        let read = self.stream.read(&mut some).await.unwrap();
        self.received.extend_from_slice(&some[..read]);
    }

    async fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Reply {
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        self.send(&[head.as_bytes(), body].concat()).await;
        self.receive().await
    }

    async fn all(&mut self) -> All {
        self.ask("GET", "/", b"").await.all()
    }

    async fn receive(&mut self) -> Reply {
        let status = self.line().await;
        let status = status.strip_prefix("HTTP/1.1 ").expect(&status);
        let status = status[..3].parse().unwrap();
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_owned(), value.to_owned());
        }
        let mut body = Vec::new();
        if status == 204 {
            assert!(!headers.contains_key("Content-Length"), "there is no body");
        } else if let Some(length) = headers.get("Content-Length") {
            body = self.bytes(length.parse().unwrap()).await;
        } else {
            assert_eq!(headers["Transfer-Encoding"], "chunked");
            loop {
                let size = usize::from_str_radix(&self.line().await, 16).unwrap();
                body.extend(self.bytes(size).await);
                assert_eq!(self.line().await, "");
                if size == 0 {
                    break;
                }
            }
        }
        Reply { status, headers, body }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.received.windows(2).position(|window| window == b"\r\n") {
                let line = self.bytes(end + 2).await;
                return str::from_utf8(&line[..end]).unwrap().to_owned();
            }
            self.more().await;
        }
    }

    async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            self.more().await;
        }
        self.received.drain(..count).collect()
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.received).await.unwrap();
        assert_ne!(read, 0, "the server has closed in the middle of an answer");
    }

    /// Whether the connection was closed without more data.
    async fn is_closed(&mut self) -> bool {
        self.received.is_empty() && matches!(self.stream.read(&mut [0]).await, Ok(0))
    }
}

/// All values, and how often they have been changed.
struct All {
    version: usize,
    values: BTreeMap<String, Vec<u8>>,
}

impl Reply {
    fn all(self) -> All {
        assert_eq!(self.status, 200);
        let (mut values, mut rest) = (BTreeMap::new(), &self.body[..]);
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap();
            let (key, length) = str::from_utf8(&rest[..end]).unwrap().split_once(' ').unwrap();
            let value = &rest[end + 1..][..length.parse().unwrap()];
            values.insert(key.to_owned(), value.to_owned());
            rest = rest[end + 1 + value.len()..].strip_prefix(b"\n").unwrap();
        }
        All { version: self.headers["Version"].parse().unwrap(), values }
    }
}

impl All {
    /// The sum of all counters.
    fn counted(&self) -> usize {
        let counters = self.values.iter().filter(|(key, _)| key.starts_with("counter-"));
        counters.map(|(_, value)| str::from_utf8(value).unwrap().parse::<usize>().unwrap()).sum()
    }
}
