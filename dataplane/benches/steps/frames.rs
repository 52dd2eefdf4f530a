//! Frames to measure with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};

use dataplane::checksum;
use dataplane::command::{SessionId, SessionSpec, SetId, TableId};
use dataplane::headers::encapsulation::{Fields, Template};
use dataplane::headers::ethernet::{self, Ethernet};
use dataplane::headers::ha::HaHeader;
use dataplane::headers::l2tp::{self, L2tp};
use dataplane::headers::ppp::{self, PROTOCOL_IPV4};
use dataplane::headers::udp::{self, PORT_L2TP};
use dataplane::headers::{ipv4, ipv6};

pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const EPOCH: u32 = 7;
pub(crate) const NUMBER: u64 = 12_345;

/// A member of a set, with UDP checksums.
pub(crate) fn session(over_ipv6: bool) -> SessionSpec {
    let ends: [IpAddr; 2] = match over_ipv6 {
        false => [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
        true => [1, 2].map(|host| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host).into()),
    };
    let [local, peer] = ends.map(|address| (address, PORT_L2TP).into());
    SessionSpec {
        id: SessionId(1),
        table: TableId(0),
        local,
        peer,
        local_tunnel: 11,
        local_session: 12,
        // The frames go round to the one that sent them.
        peer_tunnel: 11,
        peer_session: 12,
        payload_table: TableId(0),
        receive: true,
        tcp_mss_fix: false,
        mtu: 1450,
        udp_checksum: true,
        address_control: false,
        set: Some(SetId(1)),
        masked: false,
        sequence: std::sync::Arc::default(),
        echo: None,
        speed: None,
        counters: Vec::new(),
        arrivals: Vec::new(),
    }
}

/// An IPv4 packet of so many octets.
pub(crate) fn inner(octets: usize) -> Vec<u8> {
    let source = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 5000);
    let destination = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 1), 5001);
    let payload: Vec<u8> = (0..octets - 28).map(|at| at as u8).collect();
    let packet = ipv4::udp_packet(source, destination, &payload, 0);
    assert_eq!(packet.len(), octets);
    packet
}

/// A copy as the session's peer sends it.
pub(crate) fn copy(session: &SessionSpec, inner: &[u8]) -> Vec<u8> {
    let reverse = SessionSpec {
        local: session.peer,
        peer: session.local,
        ..session.clone()
    };
    let template = Template::new(&reverse).expect("one family");
    let fields = Fields {
        inner_octets: inner.len(),
        inner_sum: checksum::sum(inner),
        protocol: PROTOCOL_IPV4,
        flags: 0,
        epoch: EPOCH,
        number: NUMBER,
        identification: 3,
    };
    let mut header = vec![0; template.octets()];
    assert!(template.write(&mut header, &fields));
    let ethernet = Ethernet {
        destination: MAC,
        source: [2, 0, 0, 0, 0, 2],
        ether_type: match template.is_over_ipv6() {
            true => ethernet::ETHER_TYPE_IPV6,
            false => ethernet::ETHER_TYPE_IPV4,
        },
    };
    [&ethernet.octets()[..], &header, inner].concat()
}

/// The number in a copy, by the parsers that take every form, to the inner header.
pub(crate) fn parse(frame: &[u8]) -> Option<u64> {
    let ethernet = ethernet::parse(frame)?;
    let packet = frame.get(ethernet::HEADER_OCTETS..)?;
    let datagram = if ethernet.ether_type == ethernet::ETHER_TYPE_IPV6 {
        let header = ipv6::parse(packet).ok()?;
        let upper = ipv6::upper_layer(&header, packet).ok()?;
        udp::parse_over_ipv6(&header, upper.offset, packet).ok()?
    } else {
        udp::parse(&ipv4::parse(packet).ok()?, packet).ok()?
    };
    let payload = packet.get(datagram.payload_range)?;
    let Ok(L2tp::Data(data)) = l2tp::parse(payload) else {
        return None;
    };
    let ha = HaHeader::parse(payload.get(data.padding_range)?).ok()?;
    let frame = payload.get(data.payload_offset..data.end)?;
    let (_, protocol_octets) = ppp::protocol(frame)?;
    ipv4::parse(frame.get(protocol_octets..)?).ok()?;
    Some(ha.number)
}
