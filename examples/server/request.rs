//! As much of HTTP/1.1 as the server needs. It refuses what it does not understand.

use std::{io, str};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const HEAD_LIMIT: usize = 8 << 10;
pub(crate) const BODY_LIMIT: usize = 64 << 10;
const KEY_LIMIT: usize = 128;

pub(crate) struct Request {
    pub(crate) method: String,
    /// `None` stands for all values.
    pub(crate) key: Option<String>,
    pub(crate) body: Vec<u8>,
    /// Whether this is the last request of the connection.
    pub(crate) close: bool,
}

/// Why there is no request, and no further one.
pub(crate) enum Refusal {
    Status(&'static str),
    Gone(io::Result<()>),
}

const BAD: Refusal = Refusal::Status("400 Bad Request");

/// Takes the next request from `received`, and receives more if the request is not complete. If dropped, it
/// leaves there what was received.
pub(crate) async fn read(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
) -> Result<Request, Refusal> {
    let head = loop {
        let end = received.windows(4).position(|window| window == b"\r\n\r\n");
        // The length of an unfinished head is unknown.
        if end.unwrap_or(received.len()) > HEAD_LIMIT {
            return Err(Refusal::Status("431 Request Header Fields Too Large"));
        }
        match end {
            Some(end) => break end,
            None => receive(stream, received).await?,
        }
    };
    let (mut request, length) = parse(&received[..head])?;
    let end = head + 4 + length;
    while received.len() < end {
        receive(stream, received).await?;
    }
    request.body = received[head + 4..end].to_vec();
    received.drain(..end);
    Ok(request)
}

async fn receive(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<(), Refusal> {
    match stream.read_buf(received).await {
        // Even in the middle of a request: no client is left to receive an answer.
        Ok(0) => Err(Refusal::Gone(Ok(()))),
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::Gone(Err(error))),
    }
}

/// The request without its body, and the length of the body.
fn parse(head: &[u8]) -> Result<(Request, usize), Refusal> {
    let head = str::from_utf8(head).map_err(|_| BAD)?;
    let mut lines = head.split("\r\n");

    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BAD);
    };
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(BAD);
    }
    if version != "HTTP/1.1" {
        let is_http = version.starts_with("HTTP/");
        return Err(if is_http { Refusal::Status("505 HTTP Version Not Supported") } else { BAD });
    }
    let key = target.strip_prefix('/').ok_or(BAD)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if key.len() > KEY_LIMIT || !key.bytes().all(fits) {
        return Err(BAD);
    }

    let (mut hosts, mut length, mut close) = (0, None, false);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(BAD)?;
        // A continued line, or a line within a line, may mean something else to another parser.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BAD);
        }
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(BAD);
        }
        let value = value.trim_matches([' ', '\t']);
        match &*name.to_ascii_lowercase() {
            "host" => hosts += 1,
            "content-length" => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                if !digits || length.is_some() {
                    return Err(BAD);
                }
                // A number that does not fit in its type is too large anyway.
                length = Some(value.parse().unwrap_or(usize::MAX));
            }
            "transfer-encoding" => return Err(Refusal::Status("501 Not Implemented")),
            "connection" => close |= value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    if hosts != 1 {
        return Err(BAD);
    }
    if method == "PUT" && length.is_none() {
        return Err(Refusal::Status("411 Length Required"));
    }
    let length = length.unwrap_or(0);
    if length > BODY_LIMIT {
        return Err(Refusal::Status("413 Content Too Large"));
    }
    let key = (!key.is_empty()).then(|| key.to_owned());
    Ok((Request { method: method.to_owned(), key, body: Vec::new(), close }, length))
}
