//! What the clients of `server` receive, and how it ends.

#![cfg(all(unix, not(any(loom, shuttle, miri))))]

#[path = "../../tests/support/program.rs"]
mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, sleep};
use std::time::Duration;
use std::{env, str};

use program::{command, run, stderr, stdout};

/// Too much data to be in transit before a client reads it.
const FILLERS: usize = 16;
const FILLER: usize = 2 << 20;
/// In seconds: longer than a test takes.
const PATIENT: &str = "20";
/// A client that waits longer has failed.
const LATE: Option<Duration> = Some(Duration::from_secs(10));

#[test]
fn answers_requests() {
    let server = Server::start(PATIENT);
    for (method, path, body, status, value) in [
        ("GET", "/none", "", 404, ""),
        ("DELETE", "/none", "", 404, ""),
        ("POST", "/none", "", 405, ""),
        ("PUT", "/", "all", 405, ""),
        ("PUT", "/name", "", 201, ""),
        ("PUT", "/name", "value", 204, ""),
        ("GET", "/name", "", 200, "value"),
        ("GET", "/", "", 200, "\"name\" 5\nvalue\n"),
        ("DELETE", "/name", "", 204, ""),
        ("GET", "/name", "", 404, ""),
        ("GET", "/", "", 200, ""),
    ] {
        let answer = server.ask(method, path, body.as_bytes());
        assert_eq!((answer.status, &*answer.body), (status, value.as_bytes()), "{method} {path}");
    }
}

/// Each client counts in a value of its own, while others read all values.
#[test]
fn an_answer_with_all_values_shows_one_moment() {
    const CLIENTS: usize = 4;
    const PUTS: usize = 25;
    let server = &Server::start(PATIENT);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for count in 1..=PUTS {
                    let (path, body) = (format!("/{client}"), count.to_string());
                    let status = server.ask("PUT", &path, body.as_bytes()).status;
                    assert_eq!(status, if count == 1 { 201 } else { 204 });
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(move || {
                let mut counted = 0;
                while counted < CLIENTS * PUTS {
                    let all = server.ask("GET", "/", b"");
                    let values = str::from_utf8(&all.body).unwrap().lines().skip(1).step_by(2);
                    counted = values.map(|count| count.parse::<usize>().unwrap()).sum();
                    assert_eq!(all.header("version"), counted, "the answer mixes moments");
                }
            });
        }
    });
}

#[test]
fn a_slow_client_receives_all_values_as_they_were() {
    let server = Server::filled(PATIENT);
    let mut slow = server.begin("GET", "/", b"");
    slow.wait();
    assert_eq!(server.ask("GET", "/0", b"").status, 200, "readers share the lock");
    assert_eq!(server.ask("DELETE", "/none", b"").status, 404, "it changes nothing");

    let put = server.begin("PUT", "/0", b"new");
    put.0.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(put.0.peek(&mut [0]).is_err(), "the value changes while a client reads it");
    put.0.set_read_timeout(LATE).unwrap();
    assert!(slow.end().is_complete_and_filled());
    assert_eq!(put.end().status, 204);
}

#[test]
fn a_client_that_is_too_slow_is_cut_off() {
    let server = Server::filled("1");
    let mut slow = server.begin("GET", "/", b"");
    slow.wait();
    assert_eq!(server.ask("PUT", "/0", b"new").status, 204, "the lock is free again");
    let answer = slow.end();
    assert!(answer.body.len() < answer.header("content-length"), "the answer is complete");
}

#[test]
fn a_shutdown_refuses_what_waits_and_finishes_what_runs() {
    for signal in ["INT", "TERM"] {
        let server = Server::filled(PATIENT);
        let mut slow = server.begin("GET", "/", b"");
        slow.wait();
        let waits = [("PUT", "/0"), ("DELETE", "/1")].map(|(method, path)| {
            let request = server.begin(method, path, b"");
            // Until the server has it, and it waits for the lock.
            sleep(Duration::from_millis(300));
            request
        });

        server.signal(signal);
        assert_eq!(waits.map(|request| request.end().status), [503; 2], "{signal}");
        while TcpStream::connect(server.address).is_ok() {}
        assert!(slow.end().is_complete_and_filled());
        assert_eq!(server.end(), (Some(0), "all requests are answered\n".into(), "".into()));
    }
}

#[test]
fn a_shutdown_does_not_wait_for_a_client_that_is_too_slow() {
    let server = Server::filled("1");
    let mut slow = server.begin("GET", "/", b"");
    slow.wait();
    server.signal("TERM");
    let why = "server: 127.0.0.1:0: a client took too long\n";
    assert_eq!(server.end(), (Some(1), "".into(), why.into()));
}

#[test]
fn says_what_it_cannot_do() {
    for (args, code, why) in [
        (&["--unknown"][..], 2, "usage: server "),
        (&["127.0.0.1:0", "soon"], 2, "usage: server "),
        (&["127.0.0.1:0", "1", "more"], 2, "usage: server "),
        (&["nowhere"], 1, "server: nowhere: "),
    ] {
        let output = run("server", args, &env::temp_dir());
        assert_eq!((output.status.code(), stdout(&output)), (Some(code), ""), "{args:?}");
        assert!(stderr(&output).starts_with(why), "{args:?}: {}", stderr(&output));
    }
}

/// A server that runs. It is killed when this is dropped.
struct Server {
    process: Child,
    says: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    /// Listens at a free port. `patience` is in seconds.
    fn start(patience: &str) -> Self {
        let mut command = command("server", &["127.0.0.1:0", patience], &env::temp_dir());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut says, mut line) = (BufReader::new(process.stdout.take().unwrap()), String::new());
        says.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening at ").unwrap().split(';').next().unwrap();
        Self { process, says, address: address.parse().unwrap() }
    }

    fn filled(patience: &str) -> Self {
        let server = Self::start(patience);
        for filler in 0..FILLERS {
            let put = server.ask("PUT", &format!("/{filler}"), &vec![b'x'; FILLER]);
            assert_eq!(put.status, 201);
        }
        server
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.begin(method, path, body).end()
    }

    fn begin(&self, method: &str, path: &str, body: &[u8]) -> Request {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(LATE).unwrap();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n").unwrap();
        write!(stream, "Content-Length: {length}\r\n\r\n").unwrap();
        stream.write_all(body).unwrap();
        Request(stream)
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Waits for the end: the exit code, and what the server has printed.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut errors) = (String::new(), String::new());
        self.says.read_to_string(&mut out).unwrap();
        self.process.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.process.wait().unwrap().code(), out, errors)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request that was sent.
struct Request(TcpStream);

impl Request {
    /// Waits until the answer begins, and reads none of it.
    fn wait(&mut self) {
        assert_eq!(self.0.peek(&mut [0]).unwrap(), 1);
    }

    fn end(mut self) -> Answer {
        let mut received = Vec::new();
        // A reset is an end, too.
        let _ = self.0.read_to_end(&mut received);
        let head = received.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        let body = received.split_off(head + 4);
        let head = String::from_utf8(received).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        Answer { status, head, body }
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> usize {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|header| header.0 == name).unwrap().1.parse().unwrap()
    }

    fn is_complete_and_filled(&self) -> bool {
        let values = self.body.iter().filter(|&&byte| byte == b'x').count();
        self.body.len() == self.header("content-length") && values == FILLERS * FILLER
    }
}
