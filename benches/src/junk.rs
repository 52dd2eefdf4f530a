//! What strangers send to an appliance: seeded, and right as far as a stranger can make it.
//!
//! A stranger may forge any address, and may have heard what went by, but he does not stand in the way of the packets:
//! the ids, numbers and epochs of what is live he has to guess. The one exception is [`Kind::ForgedCopies`], which know
//! all but the epoch. L2TP has no protection against whoever knows more (RFC 2661, 9.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use dataplane::checksum;
use dataplane::headers::{icmpv6, ipv4, ipv6};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const L2TP: u16 = 1701;
const CONTROL: u16 = 0xc802;
/// Flags of a copy: the offset field, version 2.
const COPY: u16 = 0x0202;
/// Where the HA header stands in a copy's UDP payload.
const HA_OFFSET: usize = 8;
const STOP_CCN: u16 = 4;
const CDN: u16 = 14;
const ASSIGNED_TUNNEL_ID: [u8; 8] = [0x80, 8, 0, 0, 0, 9, 0, 0];
const MOST_OCTETS: usize = 1400;

/// Whom it is sent to.
#[derive(Clone, Debug)]
pub struct Target {
    pub mac: [u8; 6],
    pub address: Ipv4Addr,
    /// Whose address strangers forge.
    pub peer: Ipv4Addr,
    /// Frames that the peer sent to the target.
    pub overheard: Vec<Vec<u8>>,
}

macro_rules! kinds {
    ($($(#[doc = $text:literal])* $name:ident,)*) => {
        /// What a frame is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[doc = $text])* $name,)* }

        impl Kind {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

kinds! {
    /// Random octets to port 1701.
    Octets,
    /// A control header with random ids and numbers, and AVPs of random contents.
    Control,
    /// A data header of any form with random ids.
    Data,
    /// Control messages that were heard, damaged.
    DamagedControl,
    /// Copies and PPP frames that were heard, damaged, with random ids.
    DamagedData,
    /// Control messages that were heard, as they were.
    ReplayedControl,
    /// Copies that were heard, as they were.
    ReplayedCopies,
    /// Good requests for a tunnel, each from another address.
    Requests,
    /// StopCCN and CDN to random ids from the peer's address and port.
    Stops,
    /// LCP Terminate-Requests to random ids from the peer's address and port.
    Terminates,
    /// LCP Terminate-Requests to live ids, from somebody else's address.
    ForeignTerminates,
    /// Copies that were heard, with the ids of their session, but of another epoch.
    ForgedCopies,
    /// ARP for and from anybody but the peer.
    Arp,
    /// ICMP echoes and errors.
    Icmp,
    /// Neighbour and router discovery.
    Discovery,
    /// Fragments that make no packet, or one that is junk.
    Fragments,
    /// UDP and TCP to other ports.
    OtherPorts,
    /// Frames and IP headers that cannot be right.
    Broken,
}

/// Makes junk for one target.
pub struct Junk {
    rng: StdRng,
    target: Target,
    /// UDP payloads that were heard.
    control: Vec<Vec<u8>>,
    copies: Vec<Vec<u8>>,
    ppp: Vec<Vec<u8>>,
}

impl Junk {
    /// # Panics
    /// When too little was heard: a set-up, copies and PPP frames.
    pub fn new(seed: u64, target: Target) -> Self {
        let heard = |of: fn(u16) -> bool| -> Vec<Vec<u8>> {
            let frames = target.overheard.iter();
            let payloads = frames.filter_map(|frame| l2tp_payload(frame));
            let payloads = payloads.filter(|payload| of(flags(payload)));
            payloads.map(<[u8]>::to_vec).collect()
        };
        let junk = Self {
            rng: StdRng::seed_from_u64(seed),
            control: heard(|flags| flags & 0x8000 != 0),
            copies: heard(|flags| flags == COPY),
            ppp: heard(|flags| flags & 0x8000 == 0 && flags != COPY),
            target,
        };
        assert!(junk.control.iter().any(|payload| is_request(payload)));
        assert!(!junk.copies.is_empty() && !junk.ppp.is_empty());
        junk
    }

    /// So many frames, each of any kind.
    pub fn frames(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count)
            .map(|_| {
                let kind = *Kind::ALL.choose(&mut self.rng).expect("there are kinds");
                self.frame(kind)
            })
            .collect()
    }

    /// One frame.
    pub fn frame(&mut self, kind: Kind) -> Vec<u8> {
        match kind {
            Kind::Octets => {
                let payload = self.octets(0..300);
                self.by_anybody(&payload)
            }
            Kind::Control => {
                let payload = self.random_control();
                self.by_anybody(&payload)
            }
            Kind::Data => {
                let mut payload = self.octets(2..300);
                // T = 0, version 2 more often than not.
                payload[0] &= 0x7f;
                payload[1] = if self.chance(8) { payload[1] } else { 2 };
                self.by_anybody(&payload)
            }
            Kind::DamagedControl => {
                let payload = self.damaged_control();
                self.by_anybody(&payload)
            }
            Kind::DamagedData => {
                let heard = if self.chance(2) {
                    &self.copies
                } else {
                    &self.ppp
                };
                let mut payload = heard.choose(&mut self.rng).expect("some").clone();
                self.damage(&mut payload);
                self.set_random(&mut payload, 2..6);
                self.by_anybody(&payload)
            }
            Kind::ReplayedControl => {
                let payload = self.control.choose(&mut self.rng).expect("some").clone();
                self.by_peer(&payload)
            }
            Kind::ReplayedCopies => {
                let data = self.copies.iter().filter(|copy| copy[HA_OFFSET] & 0xf == 0);
                let data: Vec<_> = data.collect();
                let payload = data.choose(&mut self.rng).map(|copy| copy.to_vec());
                self.by_peer(&payload.expect("copies of data were heard"))
            }
            Kind::Requests => {
                let payload = self.request();
                self.by_stranger(&payload)
            }
            Kind::Stops => {
                let payload = self.stop();
                self.by_peer(&payload)
            }
            Kind::Terminates => {
                let mut payload = vec![0, 2, 0, 0, 0, 0];
                self.set_random(&mut payload, 2..6);
                payload.extend(self.terminate());
                self.by_peer(&payload)
            }
            Kind::ForeignTerminates => {
                let live = self.ppp.choose(&mut self.rng).expect("some");
                let ids = if flags(live) & 0x4000 == 0 {
                    2..6
                } else {
                    4..8
                };
                let mut payload = vec![0, 2];
                payload.extend(&live[ids]);
                payload.extend(self.terminate());
                self.by_stranger(&payload)
            }
            Kind::ForgedCopies => {
                let payload = self.forged_copy();
                if self.chance(2) {
                    self.by_peer(&payload)
                } else {
                    self.by_stranger(&payload)
                }
            }
            Kind::Arp => self.arp(),
            Kind::Icmp => self.icmp(),
            Kind::Discovery => self.discovery(),
            Kind::Fragments => self.fragment(),
            Kind::OtherPorts => self.other_port(),
            Kind::Broken => self.broken(),
        }
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.rng.random_ratio(1, one_in)
    }

    fn octets(&mut self, count: std::ops::Range<usize>) -> Vec<u8> {
        octets(&mut self.rng, count)
    }

    fn set_random(&mut self, octets: &mut [u8], at: std::ops::Range<usize>) {
        if let Some(part) = octets.get_mut(at) {
            self.rng.fill(part);
        }
    }

    /// An address of the target's network that is neither its own nor its peer's.
    fn stranger(&mut self) -> Ipv4Addr {
        let [a, b, ..] = self.target.address.octets();
        let (c, d) = (
            self.rng.random_range(1..=255),
            self.rng.random_range(1..=254),
        );
        Ipv4Addr::new(a, b, c, d)
    }

    fn control_message(&mut self, message: u16, body: &[u8]) -> Vec<u8> {
        let octets = 12 + 8 + body.len();
        let mut payload = CONTROL.to_be_bytes().to_vec();
        payload.extend((octets as u16).to_be_bytes());
        payload.extend(self.rng.random::<[u8; 8]>());
        payload.extend([0x80, 8, 0, 0, 0, 0]);
        payload.extend(message.to_be_bytes());
        payload.extend(body);
        payload
    }

    fn random_control(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        for _ in 0..self.rng.random_range(0..12) {
            let value = self.octets(0..30);
            let flags = self.rng.random_range(0..4_u8) << 6;
            body.extend([
                flags,
                6 + value.len() as u8,
                0,
                0,
                0,
                self.rng.random_range(0..45),
            ]);
            body.extend(value);
        }
        let message = self.rng.random_range(0..18);
        let mut payload = self.control_message(message, &body);
        if self.chance(4) {
            // To nobody yet, as a request is.
            payload[4..10].fill(0);
        }
        payload
    }

    /// Its tunnel id is not the one that was heard, or its numbers are the old ones.
    fn damaged_control(&mut self) -> Vec<u8> {
        let mut payload = self.control.choose(&mut self.rng).expect("some").clone();
        let is_request = is_request(&payload);
        let (header, mut body) = (payload[..12].to_vec(), payload.split_off(12));
        self.damage(&mut body);
        payload = header;
        payload.extend(body);
        if !self.chance(4) {
            let octets = (payload.len() as u16).to_be_bytes();
            payload[2..4].copy_from_slice(&octets);
        }
        if !is_request {
            self.set_random(&mut payload, 4..12);
        } else if self.chance(4) {
            self.set_random(&mut payload, 6..12);
        }
        payload
    }

    fn request(&mut self) -> Vec<u8> {
        let requests: Vec<_> = self.control.iter().filter(|one| is_request(one)).collect();
        let mut payload = requests.choose(&mut self.rng).expect("some").to_vec();
        let assigned = payload
            .windows(6)
            .position(|avp| avp == &ASSIGNED_TUNNEL_ID[..6]);
        let value = assigned.expect("a request has it") + 6;
        self.set_random(&mut payload, value..value + 2);
        payload
    }

    fn stop(&mut self) -> Vec<u8> {
        let result = [0x80, 8, 0, 0, 0, 1, 0, 1];
        let mut body = result.to_vec();
        let is_stop = self.chance(2);
        body.extend(ASSIGNED_TUNNEL_ID);
        let id = body.len() - 2;
        self.set_random(&mut body, id..id + 2);
        if !is_stop {
            // The Assigned Session ID.
            body[id - 1] = 14;
        }
        let mut payload = self.control_message(if is_stop { STOP_CCN } else { CDN }, &body);
        if self.chance(4) {
            payload[4..8].fill(0);
        }
        payload
    }

    fn terminate(&mut self) -> Vec<u8> {
        vec![0xff, 3, 0xc0, 0x21, 5, self.rng.random(), 0, 4]
    }

    /// The headers up to the epoch stay whole: nothing else is wrong with it, or
    /// something behind them too.
    fn forged_copy(&mut self) -> Vec<u8> {
        let mut payload = self.copies.choose(&mut self.rng).expect("some").clone();
        if self.chance(2) {
            let mut rest = payload.split_off(HA_OFFSET + 12);
            self.damage(&mut rest);
            payload.extend(rest);
            self.set_random(&mut payload, HA_OFFSET + 6..HA_OFFSET + 12);
        }
        let change: u32 = self.rng.random_range(1..=u32::MAX);
        let epoch = &mut payload[HA_OFFSET + 2..HA_OFFSET + 6];
        for (octet, change) in epoch.iter_mut().zip(change.to_be_bytes()) {
            *octet ^= change;
        }
        payload
    }

    fn damage(&mut self, octets: &mut Vec<u8>) {
        damage(&mut self.rng, octets);
    }
}

/// Frames.
impl Junk {
    fn by_anybody(&mut self, payload: &[u8]) -> Vec<u8> {
        if self.chance(2) {
            self.by_peer(payload)
        } else {
            self.by_stranger(payload)
        }
    }

    fn by_peer(&mut self, payload: &[u8]) -> Vec<u8> {
        let source = SocketAddrV4::new(self.target.peer, L2TP);
        self.udp(source, L2TP, payload)
    }

    fn by_stranger(&mut self, payload: &[u8]) -> Vec<u8> {
        let port = if self.chance(2) {
            L2TP
        } else {
            self.rng.random_range(1..=u16::MAX)
        };
        let source = SocketAddrV4::new(self.stranger(), port);
        self.udp(source, L2TP, payload)
    }

    fn udp(&mut self, source: SocketAddrV4, port: u16, payload: &[u8]) -> Vec<u8> {
        let to = SocketAddrV4::new(self.target.address, port);
        let packet = ipv4::udp_packet(source, to, payload, self.rng.random());
        self.ethernet(0x0800, &packet)
    }

    fn ip(&mut self, source: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let octets = (ipv4::HEADER_OCTETS + payload.len()) as u16;
        let to = self.target.address;
        let mut packet = ipv4::header(source, to, protocol, octets, self.rng.random()).to_vec();
        packet.extend(payload);
        packet
    }

    fn ethernet(&self, ether_type: u16, packet: &[u8]) -> Vec<u8> {
        ethernet(self.target.mac, ether_type, packet)
    }

    fn arp(&mut self) -> Vec<u8> {
        let operation = self.rng.random_range(1..=2);
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, operation];
        packet.extend(STRANGERS_MAC);
        packet.extend(self.stranger().octets());
        packet.extend([0; 6]);
        let asked = match self.rng.random_range(0..3) {
            0 => self.target.address,
            1 => self.stranger(),
            _ => Ipv4Addr::from_bits(self.rng.random()),
        };
        packet.extend(asked.octets());
        if self.chance(4) {
            // The sender's own address stays a stranger's.
            let mut tail = packet.split_off(18);
            self.damage(&mut tail);
            packet.extend(tail);
        }
        match self.chance(2) {
            true => ethernet([0xff; 6], 0x0806, &packet),
            false => self.ethernet(0x0806, &packet),
        }
    }

    fn icmp(&mut self) -> Vec<u8> {
        let kind = *[0, 3, 3, 4, 5, 8, 8, 11, 12, 13]
            .choose(&mut self.rng)
            .expect("some");
        let mut message = vec![kind, self.rng.random_range(0..5), 0, 0];
        message.extend(self.octets(4..100));
        let sum = checksum::finish(checksum::sum(&message));
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let source = if self.chance(2) {
            self.target.peer
        } else {
            self.stranger()
        };
        let packet = self.ip(source, ipv4::PROTOCOL_ICMP, &message);
        self.ethernet(0x0800, &packet)
    }

    fn discovery(&mut self) -> Vec<u8> {
        let mut message = vec![self.rng.random_range(133..=137), 0, 0, 0];
        message.extend(self.octets(4..80));
        let source = Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(self.rng.random::<u64>()));
        let limit = icmpv6::NEIGHBOUR_DISCOVERY_HOP_LIMIT;
        let hop_limit = if self.chance(8) { 64 } else { limit };
        neighbour_discovery(source, hop_limit, message)
    }

    fn fragment(&mut self) -> Vec<u8> {
        let octets = 8 * self.rng.random_range(1..40);
        let payload = self.octets(octets..octets + 1);
        let source = if self.chance(2) {
            self.target.peer
        } else {
            self.stranger()
        };
        let mut packet = self.ip(source, ipv4::PROTOCOL_UDP, &payload);
        // Few identifications, so that some meet.
        packet[4] = 0;
        packet[5] = self.rng.random_range(0..16);
        let offset: u16 = self.rng.random_range(0..6);
        let more = if self.chance(3) { 0 } else { 0x2000 };
        packet[6..8].copy_from_slice(&(offset | more).to_be_bytes());
        let sum = header_checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        self.ethernet(0x0800, &packet)
    }

    fn other_port(&mut self) -> Vec<u8> {
        let payload = self.octets(0..200);
        let source = self.stranger();
        if self.chance(2) {
            // Also from 1701 to elsewhere; 5000 is the traffic's own.
            let from = SocketAddrV4::new(source, self.rng.random_range(1..=u16::MAX));
            let port = self.rng.random_range(6000..=u16::MAX);
            self.udp(from, port, &payload)
        } else {
            let segment = self.octets(20..60);
            let packet = self.ip(source, ipv4::PROTOCOL_TCP, &segment);
            self.ethernet(0x0800, &packet)
        }
    }

    fn broken(&mut self) -> Vec<u8> {
        let source = self.stranger();
        let payload = self.octets(8..200);
        let mut packet = self.ip(source, ipv4::PROTOCOL_UDP, &payload);
        match self.rng.random_range(0..5) {
            0 => {
                let at = self.rng.random_range(0..ipv4::HEADER_OCTETS);
                packet[at] ^= 1 << self.rng.random_range(0..8);
            }
            1 => packet.truncate(self.rng.random_range(0..packet.len())),
            2 => {
                let other = self.rng.random_range(0x0600..0x8000);
                return self.ethernet(other, &packet);
            }
            3 => {
                let [.., last] = self.target.mac;
                let mut mac = self.target.mac;
                mac[5] = last.wrapping_add(1);
                return ethernet(mac, 0x0800, &packet);
            }
            // A UDP header of random octets: length and checksum are wrong.
            _ => {}
        }
        self.ethernet(0x0800, &packet)
    }
}

fn octets(rng: &mut StdRng, count: std::ops::Range<usize>) -> Vec<u8> {
    let mut octets = vec![0; rng.random_range(count)];
    rng.fill(&mut octets[..]);
    octets
}

/// A few octets changed, cut out, put in or repeated.
fn damage(rng: &mut StdRng, octets: &mut Vec<u8>) {
    for _ in 0..rng.random_range(1..6) {
        if octets.is_empty() {
            octets.push(rng.random());
        }
        let at = rng.random_range(0..octets.len());
        match rng.random_range(0..6) {
            0 => octets[at] ^= 1 << rng.random_range(0..8),
            1 => octets[at] = rng.random(),
            2 => octets.truncate(at),
            3 => octets[at] = if rng.random_ratio(1, 2) { 0 } else { 0xff },
            4 => {
                let more = self::octets(rng, 1..20);
                octets.splice(at..at, more);
            }
            _ => {
                let again = octets[at..].to_vec();
                octets.extend(again);
            }
        }
    }
    octets.truncate(MOST_OCTETS);
}

/// A frame to all nodes with a message of neighbour discovery, whose checksum is filled in.
fn neighbour_discovery(source: Ipv6Addr, hop_limit: u8, mut message: Vec<u8>) -> Vec<u8> {
    let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let (ends, octets) = ((source.octets(), to.octets()), message.len() as u16);
    let pseudo = checksum::pseudo_header_sum_ipv6(&ends.0, &ends.1, ipv6::NEXT_ICMPV6, octets);
    message[2..4].fill(0);
    let sum = checksum::finish(pseudo + checksum::sum(&message));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = ipv6::header(source, to, ipv6::NEXT_ICMPV6, octets).to_vec();
    packet[7] = hop_limit;
    packet.extend(message);
    ethernet([0x33, 0x33, 0, 0, 0, 1], 0x86dd, &packet)
}

/// The hardware address that all strangers have.
pub const STRANGERS_MAC: [u8; 6] = [2, 0xba, 0xd0, 0, 0, 1];

/// A frame from [`STRANGERS_MAC`], with padding up to Ethernet's least length.
#[must_use]
pub fn ethernet(to: [u8; 6], ether_type: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend(STRANGERS_MAC);
    frame.extend(ether_type.to_be_bytes());
    frame.extend(packet);
    frame.resize(frame.len().max(60), 0);
    frame
}

fn header_checksum(packet: &[u8]) -> u16 {
    let mut header = [0; ipv4::HEADER_OCTETS];
    header.copy_from_slice(&packet[..ipv4::HEADER_OCTETS]);
    header[10..12].fill(0);
    checksum::finish(checksum::sum(&header))
}

/// The payload of UDP from port 1701 or to it, over IPv4 without options.
#[must_use]
pub fn l2tp_payload(frame: &[u8]) -> Option<&[u8]> {
    let packet = frame
        .strip_prefix(frame.get(..12)?)?
        .strip_prefix(&[8, 0])?;
    let total = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let packet = packet.get(..total)?;
    if packet.first() != Some(&0x45) || packet.get(9) != Some(&ipv4::PROTOCOL_UDP) {
        return None;
    }
    let ports = packet.get(20..24)?;
    let l2tp = L2TP.to_be_bytes();
    (ports[..2] == l2tp || ports[2..] == l2tp).then_some(packet.get(28..)?)
}

/// The first two octets of an L2TP message.
#[must_use]
pub fn flags(payload: &[u8]) -> u16 {
    payload
        .first_chunk()
        .map_or(0, |&flags| u16::from_be_bytes(flags))
}

/// The message type of a control message; `None` for a ZLB and for everything else.
#[must_use]
pub fn message_type(payload: &[u8]) -> Option<u16> {
    if flags(payload) & 0x8000 == 0 {
        return None;
    }
    let value = payload.get(18..20)?.first_chunk()?;
    Some(u16::from_be_bytes(*value))
}

fn is_request(payload: &[u8]) -> bool {
    message_type(payload) == Some(1)
}

pub mod provider;
#[cfg(test)]
mod tests;
