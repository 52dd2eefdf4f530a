//! What is in a frame, as far as its first octets show it: for filters and words.

use std::net::{IpAddr, SocketAddr};

use dataplane::headers::ha::{FLAG_NOT_FIRST_PIECE, HaHeader, Kind};
use dataplane::headers::l2tp::{self, L2tp};
use dataplane::headers::{ethernet, ipv4, ipv6, ppp, pppoe, udp, vlan};

/// Octets of source and destination port.
const PORTS_OCTETS: usize = 4;
const UDP_HEADER_OCTETS: usize = 8;
/// A frame has no more VLAN tags that are looked behind.
const MOST_TAGS: usize = 2;

/// One IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ip {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    /// Of TCP and UDP, but for later fragments.
    pub(super) ports: Option<(u16, u16)>,
}

/// An L2TP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tunnelled {
    pub(super) destination: SocketAddr,
    pub(super) tunnel: u16,
    /// 0 in a control message of the tunnel itself.
    pub(super) session: u16,
    pub(super) ha: Option<HaHeader>,
}

/// The parts of a frame. `outer` is what carries L2TP; `inner` is what is
/// carried, in a tunnel or, on a LAN, by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) is_arp: bool,
    pub(super) outer: Option<Ip>,
    pub(super) inner: Option<Ip>,
    pub(super) tunnelled: Option<Tunnelled>,
}

impl Packet {
    /// Reads the first octets of a frame that had so many.
    pub(super) fn read(kept: &[u8], octets: usize) -> Self {
        // Lengths speak of the whole frame. What is read is at its start.
        let mut frame = kept.to_vec();
        frame.resize(octets.max(kept.len()), 0);
        let Some((ether_type, packet)) = untagged(&frame) else {
            return Self::default();
        };
        let mut read = Self {
            is_arp: ether_type == ethernet::ETHER_TYPE_ARP,
            ..Self::default()
        };
        let Some((ip, payload)) = ip(ether_type, packet) else {
            return read;
        };
        match l2tp_message(&ip, payload) {
            Some((tunnelled, inner)) => {
                read.outer = Some(ip);
                read.tunnelled = Some(tunnelled);
                read.inner = inner;
            }
            None => read.inner = Some(ip),
        }
        read
    }
}

/// EtherType and payload behind VLAN tags and PPPoE.
fn untagged(frame: &[u8]) -> Option<(u16, &[u8])> {
    let mut frame = frame;
    let mut ether_type = ethernet::parse(frame)?.ether_type;
    for _ in 0..MOST_TAGS {
        if ether_type != ethernet::ETHER_TYPE_VLAN {
            break;
        }
        // The addresses are not looked at again: any octets in their place will do.
        frame = frame.get(vlan::TAG_OCTETS..)?;
        ether_type = ethernet::parse(frame)?.ether_type;
    }
    if ether_type == ethernet::ETHER_TYPE_PPPOE_SESSION {
        let pppoe = pppoe::parse(frame).ok()?;
        let ether_type = pppoe::ether_type(pppoe.protocol)?;
        return Some((ether_type, frame.get(pppoe.information_range)?));
    }
    Some((ether_type, frame.get(ethernet::HEADER_OCTETS..)?))
}

/// The header of an IP packet, and what is behind it.
fn ip(ether_type: u16, packet: &[u8]) -> Option<(Ip, &[u8])> {
    let (source, destination, protocol, offset, is_later) = match ether_type {
        ethernet::ETHER_TYPE_IPV4 => {
            let header = ipv4::known(packet).filter(|_| packet[0] >> 4 == 4)?;
            let is_later = header.fragment_offset_octets != 0;
            let addresses = (header.source.into(), header.destination.into());
            let (source, destination): (IpAddr, IpAddr) = addresses;
            let offset = header.header_octets;
            (source, destination, header.protocol, offset, is_later)
        }
        ethernet::ETHER_TYPE_IPV6 => {
            let header = ipv6::known(packet).filter(|_| packet[0] >> 4 == 6)?;
            let upper = ipv6::upper_layer(&header, packet).ok()?;
            let is_later = upper
                .fragment
                .is_some_and(|fragment| fragment.fragment_offset_octets != 0);
            let (source, destination) = (header.source.into(), header.destination.into());
            (source, destination, upper.protocol, upper.offset, is_later)
        }
        _ => return None,
    };
    let payload = packet.get(offset..)?;
    let has_ports = matches!(protocol, ipv4::PROTOCOL_TCP | ipv4::PROTOCOL_UDP) && !is_later;
    let ports = payload.first_chunk::<PORTS_OCTETS>().filter(|_| has_ports);
    let ip = Ip {
        source,
        destination,
        protocol,
        ports: ports
            .map(|&[s0, s1, d0, d1]| (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]))),
    };
    Some((ip, payload))
}

/// What an L2TP message in a UDP packet says, and the packet in it.
fn l2tp_message(outer: &Ip, payload: &[u8]) -> Option<(Tunnelled, Option<Ip>)> {
    let (source, destination) = outer
        .ports
        .filter(|_| outer.protocol == ipv4::PROTOCOL_UDP)?;
    if source != udp::PORT_L2TP && destination != udp::PORT_L2TP {
        return None;
    }
    let message = payload.get(UDP_HEADER_OCTETS..)?;
    let destination = SocketAddr::new(outer.destination, destination);
    match l2tp::parse(message).ok()? {
        L2tp::Control => {
            // Flags and length, then the ids (RFC 2661, 3.1).
            let &[_, _, _, _, t0, t1, s0, s1] = message.first_chunk()?;
            let tunnelled = Tunnelled {
                destination,
                tunnel: u16::from_be_bytes([t0, t1]),
                session: u16::from_be_bytes([s0, s1]),
                ha: None,
            };
            Some((tunnelled, None))
        }
        L2tp::Data(data) => {
            let ha = HaHeader::parse(message.get(data.padding_range.clone())?).ok();
            let tunnelled = Tunnelled {
                destination,
                tunnel: data.tunnel,
                session: data.session,
                ha,
            };
            let is_packet =
                ha.is_none_or(|ha| ha.kind == Kind::Data && ha.flags & FLAG_NOT_FIRST_PIECE == 0);
            let frame = message.get(data.payload_offset..data.end)?;
            Some((tunnelled, is_packet.then(|| carried(frame)).flatten()))
        }
    }
}

/// The IP packet in a PPP frame.
fn carried(frame: &[u8]) -> Option<Ip> {
    let (protocol, octets) = ppp::protocol(frame)?;
    let ether_type = pppoe::ether_type(protocol)?;
    ip(ether_type, frame.get(octets..)?).map(|(ip, _)| ip)
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use proptest::prelude::*;

    use super::*;

    pub(in super::super) const HOST: SocketAddrV4 =
        SocketAddrV4::new(Ipv4Addr::new(192, 168, 2, 10), 5000);
    pub(in super::super) const FAR: SocketAddrV4 =
        SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 20), 5004);
    pub(in super::super) const PEER: SocketAddrV4 =
        SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 1), 1701);
    pub(in super::super) const OWN: SocketAddrV4 =
        SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 2), 1701);

    pub(in super::super) fn frame(packet: &[u8]) -> Vec<u8> {
        [&[2; 12][..], &[8, 0], packet].concat()
    }

    /// A frame of a LAN.
    pub(in super::super) fn on_lan() -> Vec<u8> {
        frame(&ipv4::udp_packet(HOST, FAR, b"hello", 1))
    }

    /// A copy of a packet over tunnel 0x101, session 0x201.
    pub(in super::super) fn copy(number: u64) -> Vec<u8> {
        let header = HaHeader {
            kind: Kind::Data,
            flags: 0,
            epoch: 7,
            number,
        };
        let packet = ipv4::udp_packet(FAR, HOST, b"hello", 1);
        let message = [
            &[2, 2, 1, 1, 2, 1, 0, 12][..],
            &header.octets(),
            &[0, 0x21],
            &packet,
        ]
        .concat();
        frame(&ipv4::udp_packet(PEER, OWN, &message, 2))
    }

    #[test]
    fn a_frame_of_a_lan_has_an_inner_packet_alone() {
        let read = Packet::read(&on_lan(), on_lan().len());
        assert_eq!(read.outer, None);
        let inner = read.inner.expect("a packet");
        assert_eq!(inner.ports, Some((5000, 5004)));
        assert_eq!(inner.destination, IpAddr::from(*FAR.ip()));
    }

    #[test]
    fn a_copy_has_both_and_its_number() {
        let frame = copy(77);
        for kept in [frame.len(), 14 + 20 + 8 + 8 + 12 + 2 + 24] {
            let read = Packet::read(&frame[..kept], frame.len());
            assert_eq!(read.outer.expect("outer").source, IpAddr::from(*PEER.ip()));
            assert_eq!(read.inner.expect("inner").ports, Some((5004, 5000)));
            let tunnelled = read.tunnelled.expect("a message");
            assert_eq!((tunnelled.tunnel, tunnelled.session), (0x101, 0x201));
            assert_eq!(tunnelled.destination, SocketAddr::from(OWN));
            assert_eq!(tunnelled.ha.expect("a header").number, 77);
        }
    }

    #[test]
    fn tags_and_pppoe_are_looked_behind() {
        let copy = copy(3);
        let tagged = [&copy[..12], &[0x81, 0, 0, 7], &copy[12..]].concat();
        assert_eq!(
            Packet::read(&tagged, tagged.len()),
            Packet::read(&copy, copy.len())
        );
        let octets = (copy.len() - 14 + 2) as u16;
        let header = [0x88, 0x64, 0x11, 0, 0, 5];
        let in_session = [
            &copy[..12],
            &header,
            &octets.to_be_bytes(),
            &[0, 0x21],
            &copy[14..],
        ]
        .concat();
        assert_eq!(
            Packet::read(&in_session, in_session.len()),
            Packet::read(&copy, copy.len())
        );
    }

    proptest! {
        #[test]
        fn any_octets_can_be_read(
            octets in prop::collection::vec(any::<u8>(), 0..200), more in 0_usize..2000,
        ) {
            Packet::read(&octets, octets.len() + more);
        }

        #[test]
        fn a_damaged_copy_can_be_read(place in 0_usize..100, change: u8, kept in 0_usize..120) {
            let mut frame = copy(9);
            let (place, whole) = (place % frame.len(), frame.len());
            frame[place] ^= change;
            Packet::read(&frame[..kept.min(whole)], whole);
        }
    }
}
