//! An interface that takes frames and never gets rid of them.
//!
//! What a veth hands over is still its sender's until somebody takes it: a queue that hardly moves, at the other end, leaves
//! the frames lying in the sender's ring.

use std::io;

use crate::netns::{Namespace, checked};

/// Holds what arrives on `interface`. Whoever listens by a packet socket still sees it.
pub(super) fn begin(namespace: &Namespace, interface: &str) -> io::Result<()> {
    let queue = queue(interface);
    namespace.ip(&format!("link add {queue} type ifb"))?;
    namespace.ip(&format!("link set dev {queue} up"))?;
    // One frame in minutes; room for more than any ring holds.
    let slow = format!("qdisc add dev {queue} root tbf rate 64bit burst 1600 limit 256mb");
    tc(namespace, &slow)?;
    tc(namespace, &format!("qdisc add dev {interface} ingress"))?;
    let redirect = format!(
        "filter add dev {interface} parent ffff: protocol all u32 match u32 0 0 \
         action mirred egress redirect dev {queue}"
    );
    tc(namespace, &redirect)
}

/// Lets frames through again; those that were held are dropped.
pub(super) fn end(namespace: &Namespace, interface: &str) -> io::Result<()> {
    tc(namespace, &format!("qdisc del dev {interface} ingress"))?;
    namespace.ip(&format!("link del {}", queue(interface)))
}

fn queue(interface: &str) -> String {
    format!("{interface}-held")
}

fn tc(namespace: &Namespace, words: &str) -> io::Result<()> {
    let mut command = namespace.command("tc");
    checked(command.args(words.split_whitespace())).map(drop)
}
