//! What each reason means, in a sentence. Those of the workers have theirs in `dataplane/src/counters.rs`.

use dataplane::counters::Drop;

/// The words of the counters that devices keep themselves.
pub const DEVICE: [(&str, &str); 4] = [
    (
        "device-receive-missed",
        "The receive queues were full: the workers are too slow for what arrives, or stood still.",
    ),
    (
        "device-receive-errors",
        "The device received it damaged: a bad cable or plug, or another duplex at the other end.",
    ),
    (
        "device-no-buffer",
        "No packet buffer was left to receive into: `memory` is too small.",
    ),
    (
        "device-send-errors",
        "The device, or the kernel below it, did not send it.",
    ),
];

/// The words of control messages without effect.
pub const L2TP: [(&str, &str); 6] = [
    (
        "malformed",
        "No L2TPv2 control message, or not the start of a tunnel.",
    ),
    (
        "unknown-tunnel",
        "For a tunnel id that was not assigned, as after a restart.",
    ),
    (
        "wrong-peer",
        "For one of our tunnels, but not from its peer.",
    ),
    ("not-allowed", "A request from where none may come."),
    (
        "refused",
        "A request that was not acceptable, as with a wrong secret.",
    ),
    (
        "limited",
        "Requests over a limit, and half-open tunnels that made room for others.",
    ),
];

/// The words of links, for their copies and packets.
pub const LINK: [(&str, &str); 5] = [
    (
        "not-sent",
        "Never left: transmit ring full, port down, or the gateway's hardware address unknown.",
    ),
    ("over-speed", "More than the link's `speed`."),
    (
        "duplicate",
        "A copy whose number another link had brought: elimination at work.",
    ),
    ("too-late", "A copy whose number is older than the window."),
    (
        "unknown-epoch",
        "A copy of a numbering that is not received, as of a peer's last life.",
    ),
];

/// The words of sets, those of their links together.
pub const SET: [(&str, &str); 3] = [LINK[2], LINK[3], LINK[4]];

/// All words that the workers use, for frames of a port and for our own packets.
pub fn of_workers() -> impl Iterator<Item = (&'static str, &'static str)> {
    Drop::ALL
        .iter()
        .map(|reason| (reason.name(), reason.meaning()))
}

/// All words of a port's drops.
pub fn of_ports() -> impl Iterator<Item = (&'static str, &'static str)> {
    of_workers().chain(DEVICE)
}
