//! The answer of `hal2tp status --json`: a stable interface.
//!
//! Names are those of the configuration and the standards. Counters are whole
//! numbers that only grow while the appliance runs; times carry their unit in
//! the name. What is absent is not written. Readers must allow for more fields.

mod interface;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

pub use interface::{Client, Given, Interface, Line, Router};

/// One of a few words, which is written down for each of many lines.
pub type Word = Cow<'static, str>;

/// The whole appliance. Each line is of one moment, and of many thousands not all are of the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Status {
    pub name: String,
    /// Version of the running program.
    pub version: String,
    pub uptime_s: u64,
    pub dataplane: Dataplane,
    pub ports: Vec<Port>,
    pub interfaces: Vec<Interface>,
    pub tunnels: Vec<Tunnel>,
    /// Control messages without effect, by reason; reasons with none are left out.
    pub l2tp_drops: BTreeMap<String, u64>,
    /// L2TP sessions: the links.
    pub sessions: Vec<Session>,
    /// HA sets, one entry for each remote.
    pub sets: Vec<Set>,
    pub routes: Vec<Route>,
    pub neighbours: Vec<Neighbour>,
    /// What became of ARP and neighbour discovery; what is 0 is left out.
    pub neighbour_counters: BTreeMap<String, u64>,
    pub events: EventCounts,
    /// The configured alarms and syslog: whom events are told to.
    pub alarms: Vec<Notifier>,
    pub history: History,
}

/// What is kept for graphs, and how that fares. Counts are of this process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct History {
    /// As the configuration has it; absent when it is to be in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Whether it is on disk now.
    pub on_disk: bool,
    /// Names that something is known of.
    pub graphs: usize,
    /// What the file takes on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_octets: Option<u64>,
    /// Seconds that were not recorded because the disk was slow.
    pub dropped_seconds: u64,
    /// Samples of links and sets beyond the limit.
    pub refused_samples: u64,
    /// Events that are too long to be kept.
    pub refused_events: u64,
    /// Samples that could not be written.
    pub lost_samples: u64,
    /// Rows that were damaged, or of another version, whenever one was met.
    pub damaged_rows: u64,
    /// What last went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Dataplane {
    pub dpdk_version: String,
    /// Whether packet buffers live in hugepages.
    pub hugepages: bool,
    pub workers: Vec<Worker>,
    /// Packets of our own (ARP, L2TP, PPP, ICMP) that did not leave, by reason;
    /// reasons with none are left out.
    pub drops: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Worker {
    /// The core it is pinned to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<u32>,
}

/// `up` or `down`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    Up,
    #[default]
    Down,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Port {
    pub name: String,
    /// As the configuration has it.
    pub device: String,
    pub driver: String,
    pub mac: String,
    pub link: LinkState,
    /// Largest IP packet, octets.
    pub mtu: u16,
    pub received_packets: u64,
    pub received_octets: u64,
    pub sent_packets: u64,
    pub sent_octets: u64,
    /// Handed to the control thread: control messages, PPP, ARP and the like.
    pub punted_packets: u64,
    /// Packets to us that were put together, and the fragments that they came in.
    pub reassembled_packets: u64,
    pub reassembled_fragments: u64,
    /// Frames that were not forwarded, by reason; reasons with none are left
    /// out. Those of `device-...` the device dropped, and they are not in
    /// the packets received or are in those sent.
    pub drops: BTreeMap<String, u64>,
    /// Who of the workers dropped how much of that, in their order.
    pub per_worker: Vec<PortWorker>,
}

/// What one worker did with a port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct PortWorker {
    /// As those of the port, without the device's.
    pub drops: BTreeMap<String, u64>,
}

/// Which end of a tunnel we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// We set it up (LAC).
    #[default]
    Outgoing,
    /// The peer set it up (LNS).
    Incoming,
}

/// An L2TP tunnel, or an attempt at one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Tunnel {
    pub name: String,
    pub role: Role,
    /// RFC 2661, 7.2.1: `idle`, `wait-ctl-reply`, `wait-ctl-conn`, `established`; `waiting` between attempts.
    pub state: Word,
    pub table: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_address: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_address: Option<SocketAddr>,
    /// The id that the peer writes into packets to us; 0 while there is none.
    pub local_tunnel_id: u16,
    pub peer_tunnel_id: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_hostname: Option<String>,
    /// What ended the last attempt or connection of an outgoing tunnel: the
    /// peer's result, error and text, or what we found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_result: Option<String>,
    /// Time until the next attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_s: Option<u64>,
    pub up_s: u64,
}

/// An L2TP session with its PPP: one link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Session {
    /// The configuration's `graph`.
    pub name: String,
    /// The configuration's `name` of the `outgoing` or `incoming`.
    pub tunnel: String,
    /// Table in which the tunnel's own packets travel; absent when the configuration leaves that to the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// The `remote` of the set's entry that the link belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_remote: Option<String>,
    /// `dialling` or `down` without a session; then `authenticating` (LCP too),
    /// `held` (another instance of the remote is asked whether it lives),
    /// `ipcp`, `up`, `standby`, `closing`.
    pub state: Word,
    /// Whether the peer agreed to the HA header.
    pub ha: bool,
    pub username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_ip: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<Ipv4Addr>,
    /// What it carries, `IPv4`, `IPv6` or both.
    pub networks: Vec<Word>,
    pub local_session_id: u16,
    pub peer_session_id: u16,
    /// Largest inner packet that fits, octets.
    pub mtu: u16,
    /// Largest outer IP packet that has been seen to arrive at the peer whole,
    /// octets; of links of a set whose peer tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_mtu: Option<u16>,
    pub sent_packets: u64,
    pub sent_octets: u64,
    /// Copies that never left: ring full, port down, neighbour unknown.
    pub send_dropped_packets: u64,
    /// Copies that the link's `speed` had no room for.
    pub over_speed_packets: u64,
    /// The configured `speed`, of outer IP packets; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_bit_s: Option<u64>,
    pub received_packets: u64,
    pub received_octets: u64,
    /// Numbers of which a copy arrived. With those that the network made, and
    /// those too late, they are the packets received.
    pub unique_packets: u64,
    /// Copies that the peer handed over and that did not arrive. Counted two
    /// seconds after the peer's report, and taken back when one arrives later.
    pub lost_packets: u64,
    /// Copies that the network made.
    pub duplicated_packets: u64,
    /// Copies of which it is not known whether they arrived (the books did not
    /// keep up), or whether they were handed over (the link died).
    pub unknown_packets: u64,
    /// Packets of which the only copy to arrive came over this link, though
    /// another one was there.
    pub sole_packets: u64,
    /// The longest time in which nothing of what the set carried arrived, from
    /// the first packet that was missed to the last, and the most packets in a row.
    pub longest_outage_ms: u64,
    pub longest_outage_packets: u64,
    /// Copies that were the first of their number.
    pub wins: u64,
    pub duplicates: u64,
    pub too_late: u64,
    pub unknown_epoch: u64,
    /// Times that the peer began to count its data messages anew.
    pub sequence_restarts: u64,
    pub per_worker: Vec<SessionWorker>,
    pub round_trip: RoundTrip,
    pub skew: Skew,
    /// What the peer's last report says that it did with copies for this link
    /// since it joined the set; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
    /// What is wrong with a link that is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    /// How much longer the link is masked for a drill: it is up, and carries nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masked_for_s: Option<u64>,
    pub echo_sent: u64,
    pub echo_lost: u64,
    /// The peer's LCP echoes that the workers have answered.
    pub echo_answered: u64,
    pub up_s: u64,
}

impl Session {
    /// Whether it carries packets or stands by to.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(&*self.state, "up" | "standby")
    }
}

/// What one worker did with a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SessionWorker {
    pub received_packets: u64,
    pub wins: u64,
    pub duplicates: u64,
}

/// What the far end did with copies for a link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Peer {
    pub sent_packets: u64,
    /// Refused by the `speed` at the far end.
    pub over_speed_packets: u64,
    /// Copies that did not leave the far end for another reason.
    pub not_sent_packets: u64,
}

/// How far a link's copies were behind the first ones of their numbers;
/// sampled, absent until something was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Skew {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<u64>,
    /// The same of the last five to ten seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_p99_us: Option<u64>,
    pub samples: u64,
    /// Samples that were behind by more than 65 536 numbers, and could not be measured.
    pub missed_samples: u64,
}

/// Something that somebody should see to, though everything still works.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Alarm {
    pub text: String,
    pub for_s: u64,
}

/// Of LCP echoes; absent until one was answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RoundTrip {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_us: Option<u64>,
    /// Echoes of this session that were answered, and their round trips together.
    pub answered: u64,
    pub total_us: u64,
}

/// One HA set with one remote.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Set {
    pub name: String,
    /// The `remote-ip` on the incoming side, the server on the outgoing side.
    pub remote: String,
    /// `ha`, or why there is no protection: see [`Set::HA`] and its neighbours.
    pub protection: String,
    /// Names of the live links, in the file's order.
    pub members: Vec<String>,
    /// Inner packets numbered and sent.
    pub sent_packets: u64,
    pub sent_octets: u64,
    /// Of those, the ones that were cut to fit the smallest link, and into how many pieces.
    pub split_packets: u64,
    pub split_pieces: u64,
    /// First copies, forwarded.
    pub delivered_packets: u64,
    pub delivered_octets: u64,
    /// Of those, the ones that were put together, and of how many pieces.
    pub reassembled_packets: u64,
    pub reassembled_pieces: u64,
    pub duplicates: u64,
    pub too_late: u64,
    /// Packets that the best single link alone would not have delivered.
    pub saved_packets: u64,
    /// Packets that no link delivered. As for links: settled, and taken back.
    pub lost_packets: u64,
    /// Packets of which that is not known.
    pub unknown_packets: u64,
    /// Copies of a numbering that is not received.
    pub unknown_epoch: u64,
    /// How far the second quickest link is behind the first copies in 99 of
    /// 100 cases, over the last seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_best_skew_us: Option<u64>,
    /// Two boxes use the same credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    /// Our epoch, eight hexadecimal digits.
    pub send_epoch: String,
    /// The peer's epochs that are received, newest first.
    pub receive_epochs: Vec<String>,
    /// Largest inner packet, octets; what no link carries whole goes in pieces.
    pub mtu: u16,
    /// Absent when packets leave as they come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordering: Option<Ordering>,
}

/// How the packets of a set were put into order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Ordering {
    /// The configuration's `max-delay`.
    pub max_delay_us: u64,
    /// How long a missing packet is waited for now.
    pub hold_us: u64,
    /// Packets that wait now, and the most that ever did at a time.
    pub waiting_packets: u64,
    pub most_waiting_packets: u64,
    /// Packets that had to wait, and for how long in the mean: these, and all that were delivered.
    pub held_packets: u64,
    pub mean_held_us: u64,
    pub mean_delay_us: u64,
    /// Gaps in the numbers that were given up: not filled in time; lost on
    /// every link; more waited than there was room for.
    pub timed_out_gaps: u64,
    pub lost_gaps: u64,
    pub no_room_gaps: u64,
    /// Packets that came after their gap was given up, and were forwarded all the same.
    pub late_packets: u64,
}

impl Set {
    /// Two links or more, all with the HA header.
    pub const HA: &'static str = "ha";
    /// One live link: the next failure is felt.
    pub const ONE_LINK: &'static str = "one link: no protection";
    /// No live link.
    pub const DOWN: &'static str = "down";
    /// The peer does not speak HA: one link carries, the others stand by.
    pub const NO_HA: &'static str = "peer has no HA: no protection";
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Route {
    pub table: u32,
    /// Network with prefix length.
    pub to: String,
    /// An address, an interface, a session, a set, `local` or `blackhole`.
    pub via: String,
    /// Who put it there: `own`, `connected`, `static` (gateways too), `tunnel`.
    pub origin: Word,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Neighbour {
    pub interface: String,
    pub address: String,
    /// Absent while it is being asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// `reachable`, `stale`, `incomplete`, `static`.
    pub state: String,
}

/// Events of links and sets since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct EventCounts {
    pub told: u64,
    /// They came faster than they could be told.
    pub lost: u64,
}

/// One of `alarms`, or `syslog`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Notifier {
    pub name: String,
    /// Events that were taken.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Events that were never told: too many waited.
    pub dropped: u64,
    /// Events that wait.
    pub waiting: u64,
    /// The last attempt failed.
    pub failing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The answer to `kick` on the socket: what one name ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Kicked {
    pub name: String,
    pub tunnels: usize,
    /// Those besides the sessions of the tunnels.
    pub sessions: usize,
}

/// The answer to `mask` on the socket: what carries nothing now, for a drill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Masked {
    pub name: String,
    /// Names of the links.
    pub links: Vec<String>,
    pub for_s: u64,
}

/// The answer to `unmask` on the socket: whose drill was ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Unmasked {
    pub name: String,
    /// Names of the links; none when nothing was masked.
    pub links: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let status = Status {
            name: "head".to_owned(),
            uptime_s: 5,
            ports: vec![Port {
                link: LinkState::Up,
                drops: BTreeMap::from([("no-route".to_owned(), 3)]),
                ..Port::default()
            }],
            sessions: vec![Session {
                round_trip: RoundTrip {
                    last_us: Some(5_000),
                    ..RoundTrip::default()
                },
                remote_ip: Some(Ipv4Addr::new(192, 0, 2, 1)),
                ..Session::default()
            }],
            ..Status::default()
        };
        let json = serde_json::to_string(&status).unwrap();
        assert!(json.contains(r#""link":"up""#), "{json}");
        assert!(
            json.contains(r#""round_trip":{"last_us":5000,"answered":0,"total_us":0}"#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }

    #[test]
    fn an_answer_of_another_version_is_still_read() {
        let status: Status =
            serde_json::from_str(r#"{"name":"head","something_new":[1],"sets":[{"name":"A"}]}"#)
                .unwrap();
        assert_eq!(status.sets[0].name, "A");
    }
}
