//! A plain client, which can also misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Names in small letters.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The text of an error, which is all that such an answer has.
    pub(super) fn error(&self) -> String {
        let document = self.json();
        let object = document.as_object().unwrap();
        assert_eq!(object.len(), 1, "{document}");
        object["error"].as_str().unwrap().to_owned()
    }
}

pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Reads one reply; of a reply to `HEAD` there is no body.
pub(super) fn read_reply(stream: &mut impl BufRead, has_body: bool) -> Reply {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no reply: {line:?}"));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = Vec::new();
    let length = headers.get("content-length").filter(|_| has_body);
    if let Some(length) = length {
        body.resize(length.parse().unwrap(), 0);
        stream.read_exact(&mut body).unwrap();
    }
    Reply {
        status,
        headers,
        // Pictures are looked at elsewhere.
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// Sends octets as they are, and reads one reply.
pub(super) fn send(address: SocketAddr, request: &str) -> Reply {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let has_body = !request.starts_with("HEAD");
    read_reply(&mut BufReader::new(stream), has_body)
}

pub(super) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

pub(super) fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, &request("GET", path, &[], ""))
}

pub(super) const TOKEN: &str = "a-token-of-32-letters-0123456789";

/// Kicks with the right token.
pub(super) fn kick(address: SocketAddr, body: &str) -> Reply {
    act(address, "/api/v1/kick", body)
}

/// The same of `reload`.
pub(super) fn reload(address: SocketAddr, body: &str) -> Reply {
    act(address, "/api/v1/reload", body)
}

/// Asks for an action with the right token.
pub(super) fn act(address: SocketAddr, path: &str, body: &str) -> Reply {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    send(address, &request("POST", path, &headers, body))
}
