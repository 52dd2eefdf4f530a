//! As much of a RADIUS server (RFC 2865) as l2tpns needs to let one login in, by PAP or CHAP.

use std::collections::BTreeMap;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use benches::netns::Namespace;
use md5::{Digest, Md5};

const ACCESS_REQUEST: u8 = 1;
const ACCESS_ACCEPT: u8 = 2;
const ACCESS_REJECT: u8 = 3;

const USER_NAME: u8 = 1;
const USER_PASSWORD: u8 = 2;
const CHAP_PASSWORD: u8 = 3;
const FRAMED_IP_ADDRESS: u8 = 8;
const FRAMED_ROUTE: u8 = 22;
const CHAP_CHALLENGE: u8 = 60;
const FRAMED_IPV6_ROUTE: u8 = 99;

/// Code, identifier, length, authenticator.
const HEADER_OCTETS: usize = 20;

/// Who may log in, and what he gets.
#[derive(Clone)]
pub(super) struct User {
    pub(super) secret: &'static str,
    pub(super) name: &'static str,
    pub(super) password: &'static str,
    pub(super) address: [u8; 4],
    pub(super) route: &'static str,
    pub ipv6_route: &'static str,
}

/// A server on 127.0.0.1, port 1812, of a namespace. Dropping it ends it.
pub(super) struct Radius {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Radius {
    pub(super) fn start(namespace: &Namespace, user: User) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = namespace.spawn(move || serve(&user, &over));
        Self {
            is_over,
            thread: Some(thread),
        }
    }
}

impl Drop for Radius {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("RADIUS server: {error}");
        }
    }
}

fn serve(user: &User, is_over: &AtomicBool) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:1812")?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut packet = [0; 4096];
    while !is_over.load(Ordering::Relaxed) {
        match socket.recv_from(&mut packet) {
            Ok((length, from)) => {
                if let Some(answer) = answer(&packet[..length], user) {
                    socket.send_to(&answer, from)?;
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn answer(request: &[u8], user: &User) -> Option<Vec<u8>> {
    let authenticator = request.get(4..HEADER_OCTETS)?;
    if request[0] != ACCESS_REQUEST {
        return None;
    }
    let mut attributes = Vec::new();
    let code = if is_right(request, authenticator, user)? {
        let route = user.route.as_bytes();
        for (kind, value) in [
            (FRAMED_IP_ADDRESS, user.address.as_slice()),
            (FRAMED_ROUTE, route),
            (FRAMED_IPV6_ROUTE, user.ipv6_route.as_bytes()),
        ] {
            attributes.extend([kind, value.len() as u8 + 2]);
            attributes.extend(value);
        }
        ACCESS_ACCEPT
    } else {
        ACCESS_REJECT
    };
    let length = (HEADER_OCTETS + attributes.len()) as u16;
    let mut answer = vec![code, request[1]];
    answer.extend(length.to_be_bytes());
    let signature = md5(&[&answer, authenticator, &attributes, user.secret.as_bytes()]);
    answer.extend(signature);
    answer.extend(attributes);
    Some(answer)
}

fn is_right(request: &[u8], authenticator: &[u8], user: &User) -> Option<bool> {
    let attributes = attributes(request.get(HEADER_OCTETS..)?)?;
    if *attributes.get(&USER_NAME)? != user.name.as_bytes() {
        return Some(false);
    }
    if let Some(response) = attributes.get(&CHAP_PASSWORD) {
        let (id, response) = response.split_at_checked(1)?;
        let challenge = attributes.get(&CHAP_CHALLENGE).unwrap_or(&authenticator);
        return Some(md5(&[id, user.password.as_bytes(), challenge]) == response);
    }
    let hidden = attributes.get(&USER_PASSWORD)?;
    Some(plain(hidden, authenticator, user.secret) == user.password.as_bytes())
}

fn attributes(mut octets: &[u8]) -> Option<BTreeMap<u8, &[u8]>> {
    let mut attributes = BTreeMap::new();
    while let [kind, length, ..] = *octets {
        let (attribute, rest) = octets.split_at_checked(length.into())?;
        attributes.insert(kind, attribute.get(2..)?);
        octets = rest;
    }
    Some(attributes)
}

/// RFC 2865, 5.2.
fn plain(hidden: &[u8], authenticator: &[u8], secret: &str) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut before = authenticator;
    for block in hidden.chunks(16) {
        let mask = md5(&[secret.as_bytes(), before]);
        plain.extend(block.iter().zip(mask).map(|(octet, mask)| octet ^ mask));
        before = block;
    }
    while plain.last() == Some(&0) {
        plain.pop();
    }
    plain
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
