//! The rig with IPv6 beside IPv4.
//!
//! The LAN is 2001:db8:2::1/64, uplink N 2001:db8:f0+N::2/64 with a gateway
//! that is link-local. 2001:db8:1::/48 is routed into the set. The peer is
//! 2001:db8:ffff::1; sessions go to it when they are asked to.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

use dataplane::checksum;
use dataplane::command::{Command, InterfaceId, InterfaceSpec, NextHop, SessionSpec};
use dataplane::headers::ipv6;

use crate::rig::*;

pub(crate) const PEER_IPV6: SocketAddrV6 = SocketAddrV6::new(
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1),
    1701,
    0,
    0,
);
pub(crate) const LAN_HOST_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x10);
pub(crate) const FAR_HOST_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x20);
pub(crate) const FAR_NETWORK_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0);

pub(crate) fn own_ipv6(port: u16) -> Ipv6Addr {
    match port {
        0 => Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1),
        uplink => Ipv6Addr::new(0x2001, 0xdb8, 0xf0 + uplink, 0, 0, 0, 0, 2),
    }
}

pub(crate) fn own_link_local(port: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, port)
}

pub(crate) fn gateway_ipv6(uplink: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 2, uplink)
}

pub(crate) fn interface_ipv6(port: u16) -> InterfaceSpec {
    let mut spec = interface(port);
    spec.addresses.push((own_ipv6(port).into(), 64));
    spec.addresses.push((own_link_local(port).into(), 64));
    spec
}

impl Rig {
    pub(crate) fn with_ipv6() -> Self {
        Self::new().and_ipv6()
    }

    pub(crate) fn and_ipv6(self) -> Self {
        let mut rig = self;
        for port in 0..PORTS as u16 {
            rig.command(Command::SetInterface(Arc::new(interface_ipv6(port))));
            let connected = NextHop::Interface {
                interface: InterfaceId(port),
                via: None,
            };
            rig.route(port.into(), own_ipv6(port), 128, NextHop::Local);
            rig.route(port.into(), own_ipv6(port), 64, connected);
        }
        for uplink in 1..PORTS as u16 {
            let via = NextHop::Interface {
                interface: InterfaceId(uplink),
                via: Some(gateway_ipv6(uplink).into()),
            };
            rig.route(uplink.into(), Ipv6Addr::UNSPECIFIED, 0, via);
            rig.neighbour(uplink, gateway_ipv6(uplink), gateway_mac(uplink));
        }
        rig.neighbour(0, LAN_HOST_IPV6, LAN_HOST_MAC);
        rig.route(0, FAR_NETWORK_IPV6, 48, NextHop::Set(SET));
        rig.poll();
        rig
    }

    /// A session whose tunnel goes over IPv6.
    pub(crate) fn session_over_ipv6(&self, uplink: u16) -> SessionSpec {
        SessionSpec {
            local: SocketAddr::new(own_ipv6(uplink).into(), 1701),
            peer: PEER_IPV6.into(),
            ..self.session_spec(uplink)
        }
    }

    /// All sessions go over IPv6 from now on.
    pub(crate) fn go_over_ipv6(&mut self) {
        for uplink in 1..PORTS as u16 {
            let spec = self.session_over_ipv6(uplink);
            self.command(Command::SetSession(Arc::new(spec)));
        }
        self.poll();
    }
}

/// A UDP packet between two hosts.
pub(crate) fn udp_ipv6(source: Ipv6Addr, destination: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let end = |address, port| SocketAddrV6::new(address, port, 0, 0);
    ipv6::udp_packet(end(source, 5000), end(destination, 6000), payload)
}

/// A packet for the LAN host that came from the far site, told apart by its payload.
pub(crate) fn inner_ipv6(payload: &[u8]) -> Vec<u8> {
    udp_ipv6(FAR_HOST_IPV6, LAN_HOST_IPV6, payload)
}

/// A packet to us over an uplink with an L2TP message of the peer's.
pub(crate) fn l2tp_packet_ipv6(uplink: u16, message: &[u8]) -> Vec<u8> {
    let own = SocketAddrV6::new(own_ipv6(uplink), 1701, 0, 0);
    ipv6::udp_packet(PEER_IPV6, own, message)
}

pub(crate) fn l2tp_frame_ipv6(uplink: u16, message: &[u8]) -> Vec<u8> {
    frame(uplink, &l2tp_packet_ipv6(uplink, message))
}

/// A packet with this upper layer, whose checksum at `checksum_at` is made right.
pub(crate) fn packet_ipv6(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    protocol: u8,
    upper: &[u8],
    checksum_at: usize,
) -> Vec<u8> {
    let mut upper = upper.to_vec();
    upper[checksum_at..checksum_at + 2].fill(0);
    let sum = upper_sum(source, destination, protocol, &upper);
    let checksum = checksum::finish(sum).to_be_bytes();
    upper[checksum_at..checksum_at + 2].copy_from_slice(&checksum);
    let mut packet = ipv6::header(source, destination, protocol, upper.len() as u16).to_vec();
    packet.extend(upper);
    packet
}

fn upper_sum(source: Ipv6Addr, destination: Ipv6Addr, protocol: u8, upper: &[u8]) -> u32 {
    let length = upper.len() as u16;
    checksum::pseudo_header_sum_ipv6(&source.octets(), &destination.octets(), protocol, length)
        + checksum::sum(upper)
}

/// Whether the checksum of what follows the header is right.
pub(crate) fn upper_checksum_is_right(packet: &[u8]) -> bool {
    let header = ipv6::parse(packet).expect("an IPv6 header");
    let upper = &packet[40..];
    let sum = upper_sum(header.source, header.destination, header.next_header, upper);
    checksum::finish(sum) == 0
}

/// A TCP SYN with this MSS.
pub(crate) fn syn_ipv6(source: Ipv6Addr, destination: Ipv6Addr, mss: u16) -> Vec<u8> {
    let mut tcp = vec![
        0x13, 0x88, 0x17, 0x70, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 0x02, 0xff, 0xff,
    ];
    tcp.extend([0, 0, 0, 0, 2, 4]);
    tcp.extend(mss.to_be_bytes());
    packet_ipv6(source, destination, ipv6::NEXT_TCP, &tcp, 16)
}

/// A message of neighbour discovery, with the hop limit of a neighbour's.
pub(crate) fn discovery(kind: u8, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    message.extend([0x20; 16]);
    let mut packet = packet_ipv6(source, destination, ipv6::NEXT_ICMPV6, &message, 2);
    packet[7] = 255;
    packet
}
