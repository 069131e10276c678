//! As much of HTTP/1.1 as the server needs. What it does not understand it refuses.

use std::{io, str};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const HEAD_LIMIT: usize = 8 << 10;
pub(crate) const BODY_LIMIT: usize = 64 << 10;
const KEY_LIMIT: usize = 128;

pub(crate) struct Request {
    pub(crate) method: String,
    /// `None` is for all of them.
    pub(crate) key: Option<String>,
    pub(crate) body: Vec<u8>,
    /// Whether it is the last one of the connection.
    pub(crate) close: bool,
}

/// Why there is no request, and there will be none.
pub(crate) enum Refusal {
    Status(&'static str),
    Gone(io::Result<()>),
}

const BAD: Refusal = Refusal::Status("400 Bad Request");

/// Takes the next request from what is `received`, and receives more if that is not all of it. Dropped, it leaves
/// there what was received.
pub(crate) async fn read(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
) -> Result<Request, Refusal> {
    let head = loop {
        let end = received.windows(4).position(|window| window == b"\r\n\r\n");
        // How long a head is that has not ended is not known.
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
        // In the middle of a request, too: nobody is there who would take an answer.
        Ok(0) => Err(Refusal::Gone(Ok(()))),
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::Gone(Err(error))),
    }
}

/// The request without its body, and the length of that.
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
        // A line that goes on, or a line in a line, may mean something else to somebody else.
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
                // A number that is too long for its type is too long.
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
