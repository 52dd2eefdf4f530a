//! What this crate reads of `hal2tp status --json`. More fields than these are there and are left out.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

/// One appliance at one moment.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Status {
    pub name: String,
    pub uptime_s: u64,
    /// L2TP sessions: the links.
    pub sessions: Vec<Session>,
    pub tunnels: Vec<Tunnel>,
    pub sets: Vec<Set>,
    pub ports: Vec<Port>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Session {
    /// The configuration's `graph`.
    pub name: String,
    pub state: String,
    pub local_session_id: u16,
    pub peer_session_id: u16,
    pub ha: bool,
    pub sent_packets: u64,
    pub send_dropped_packets: u64,
    pub over_speed_packets: u64,
    pub received_packets: u64,
    pub unique_packets: u64,
    pub lost_packets: u64,
    pub duplicated_packets: u64,
    pub unknown_packets: u64,
    pub longest_outage_ms: u64,
    /// Copies that were the first of their number.
    pub wins: u64,
    pub duplicates: u64,
    pub too_late: u64,
    /// LCP echoes of the peer that the workers answered.
    pub echo_answered: u64,
    pub per_worker: Vec<SessionWorker>,
    pub round_trip: RoundTrip,
    pub skew: Skew,
    /// What the far end did with copies for the link.
    pub peer: Peer,
    pub alarm: Option<Alarm>,
    /// How much longer it is masked for a drill.
    pub masked_for_s: Option<u64>,
    pub up_s: u64,
    /// Families that are open: IPv4, IPv6.
    pub networks: Vec<String>,
    /// Our address inside.
    pub local_ip: Option<Ipv4Addr>,
    /// LCP echoes.
    pub echo_sent: u64,
    pub echo_lost: u64,
}

/// How far a link's copies are behind the first ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Skew {
    pub min_us: Option<u64>,
    pub mean_us: Option<u64>,
    pub p99_us: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Peer {
    pub sent_packets: u64,
    pub over_speed_packets: u64,
    pub not_sent_packets: u64,
}

/// What is wrong with a link that is up.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Alarm {
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Tunnel {
    /// The routing table its packets travel in: in the lab, the link's number.
    pub table: u32,
    pub state: String,
    pub local_tunnel_id: u16,
    pub peer_tunnel_id: u16,
    pub peer_address: Option<SocketAddr>,
    /// What ended the last attempt or connection of an outgoing tunnel.
    pub last_result: Option<String>,
    pub up_s: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SessionWorker {
    pub received_packets: u64,
    pub wins: u64,
    pub duplicates: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RoundTrip {
    pub mean_us: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Set {
    pub name: String,
    pub protection: String,
    /// Names of the live links.
    pub members: Vec<String>,
    pub sent_packets: u64,
    pub delivered_packets: u64,
    pub duplicates: u64,
    pub too_late: u64,
    /// Packets that were sent in pieces, and that were put together.
    pub split_packets: u64,
    pub reassembled_packets: u64,
    pub saved_packets: u64,
    pub lost_packets: u64,
    pub unknown_packets: u64,
    pub unknown_epoch: u64,
    pub next_best_skew_us: Option<u64>,
    /// Absent when packets leave as they come.
    pub ordering: Option<Ordering>,
}

/// How the packets of a set were put into order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Ordering {
    pub hold_us: u64,
    pub waiting_packets: u64,
    pub held_packets: u64,
    pub mean_held_us: u64,
    pub timed_out_gaps: u64,
    pub lost_gaps: u64,
    pub no_room_gaps: u64,
    pub late_packets: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Port {
    pub name: String,
    pub received_packets: u64,
    pub sent_packets: u64,
    pub punted_packets: u64,
    pub reassembled_packets: u64,
    pub reassembled_fragments: u64,
    pub drops: std::collections::BTreeMap<String, u64>,
}

impl Status {
    /// The newest session of link `number` (from 1): the one whose name ends in it.
    pub fn link(&self, number: usize) -> Option<&Session> {
        let mut sessions = self.sessions.iter().rev();
        sessions.find(|session| link_number(&session.name) == Some(number))
    }

    /// Numbers of the links that carry traffic of a set, ascending.
    pub fn live_links(&self) -> Vec<usize> {
        let members = self.sets.iter().flat_map(|set| &set.members);
        let mut links: Vec<usize> = members.filter_map(|name| link_number(name)).collect();
        links.sort_unstable();
        links.dedup();
        links
    }
}

/// The number at the end of a link's name: `remote.2` and `L2TP-remote-2` are both link 2.
fn link_number(name: &str) -> Option<usize> {
    let digits = name.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let start = digits.rfind(|letter: char| !letter.is_ascii_digit());
    digits[start.map_or(0, |start| start + 1)..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links_by_the_number_at_the_end_of_their_names() {
        let names = ["remote.1", "L2TP-remote-12", "7", "remote", "l2tp.x", ""];
        let numbers: Vec<_> = names.into_iter().map(link_number).collect();
        assert_eq!(numbers, [Some(1), Some(12), Some(7), None, None, None]);
    }

    #[test]
    fn reads_an_answer_with_more_and_with_fewer_fields() {
        let json = r#"{"name":"head","sessions":[{"name":"remote.2","wins":5,"new":1}],
            "sets":[{"name":"A","members":["remote.2","remote.1"]}],"unknown":{}}"#;
        let status: Status = serde_json::from_str(json).unwrap();
        assert_eq!(status.live_links(), [1, 2]);
        assert_eq!(status.link(2).unwrap().wins, 5);
        assert_eq!(status.link(1), None);
    }
}
