//! Where the appliance is asked by HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::super::addresses;
use super::super::decode::{Read, Section, Wrong, scalar, text};
use super::super::model::{Http, Server};
use super::super::problem::Problems;
use super::super::tree::{Node, Value, printable};

const KEY: &str = "http";

/// An address alone is short for `{ listen: ADDRESS }`.
pub(super) fn http(management: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<Http> {
    let node = management.node(KEY)?;
    if !matches!(node.value, Value::Mapping(_)) {
        let listen = listen(management, problems, KEY)?;
        return Some(Http {
            listen,
            token_file: None,
            names: Vec::new(),
        });
    }
    let mut section = Section::open(problems, management.path.key(KEY), Some(node));
    let listen = listen(&mut section, problems, "listen");
    if listen.is_none() {
        let place = section.path.key("listen");
        problems.missing(
            &place,
            "add `listen: ` and an address with its port, as \"127.0.0.1:8080\"",
        );
    }
    let http = Http {
        listen: listen.unwrap_or_default(),
        token_file: section.optional(problems, "token-file", path),
        names: section
            .list(problems, "names", host_name)
            .unwrap_or_default(),
    };
    section.close(problems);
    Some(http)
}

/// One address, or a list of them; `None` when the key is not there.
fn listen(
    section: &mut Section<'_>,
    problems: &mut Problems<'_>,
    key: &'static str,
) -> Option<Vec<SocketAddr>> {
    let node = section.node(key)?;
    match node.value {
        Value::Sequence(_) => section.list(problems, key, socket_address),
        _ => {
            let address = section.optional(problems, key, socket_address);
            Some(address.into_iter().collect())
        }
    }
}

fn socket_address(node: &Node) -> Read<SocketAddr> {
    let wanted = "an address with its port, in quotes, as \"127.0.0.1:8080\" or \"[::1]:8080\"";
    let (text, _) = scalar(node, wanted)?;
    let address = text.parse::<SocketAddr>();
    address
        .ok()
        .filter(|address| address.port() > 0)
        .ok_or_else(|| {
            let message = format!("\"{}\" is not an address with its port", printable(text));
            Wrong::new(message, format!("write {wanted}"))
        })
}

fn path(node: &Node) -> Read<PathBuf> {
    let path = text(node)?;
    if path.starts_with('/') && !path.contains('\0') {
        return Ok(PathBuf::from(path));
    }
    Err(Wrong::new(
        "the file needs a whole path",
        "write a path that begins with /",
    ))
}

/// As it is compared with what a browser says: in small letters, without the dot at the end.
fn host_name(node: &Node) -> Read<String> {
    match addresses::server(node)? {
        Server::Name(name) => Ok(name.trim_end_matches('.').to_ascii_lowercase()),
        Server::Address(address) => Err(Wrong::new(
            format!("{address} is not a name"),
            "write a host name; addresses are taken without being told",
        )),
    }
}
