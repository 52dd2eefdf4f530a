//! The demo's sites with IPv6: around the tunnels, inside them, or both.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use dataplane::command::Prefix;
use dataplane::headers::{ipv4, ipv6, udp};

use super::world::{LINKS, World, config};
use crate::config::{Config, InterfaceAddress};

/// A host on the LAN 2001:db8:`lan`::/64.
pub(super) fn host_ipv6(lan: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, lan.into(), 0, 0, 0, 0, 10)
}

fn lan_ipv6(lan: u8) -> Prefix {
    Prefix::new(host_ipv6(lan), 64)
}

/// The address of `host` on a line, which is counted from 0.
pub(super) fn on_line(line: usize, host: u8) -> Ipv6Addr {
    let line = u16::try_from(line).expect("small") + 1;
    Ipv6Addr::new(0x2001, 0xdb8, 0xf000 + line, 0, 0, 0, 0, host.into())
}

/// The line that an address of either family is on.
pub(super) fn line_of(address: IpAddr) -> usize {
    let line = match address {
        IpAddr::V4(address) => u16::from(address.octets()[1]),
        IpAddr::V6(address) => address.segments()[2] & 0xff,
    };
    usize::from(line) - 1
}

/// Takes a UDP datagram from its packet, which must be right in every respect.
pub(super) fn datagram(packet: &[u8]) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
    let (source, destination, udp): (IpAddr, IpAddr, _) = if packet[0] >> 4 == 6 {
        let header = ipv6::parse(packet).expect("our own packet");
        if header.next_header != ipv6::NEXT_UDP {
            return None;
        }
        let udp = udp::parse_over_ipv6(&header, ipv6::HEADER_OCTETS, packet);
        (header.source.into(), header.destination.into(), udp)
    } else {
        let header = ipv4::parse(packet).expect("our own packet");
        if header.protocol != ipv4::PROTOCOL_UDP {
            return None;
        }
        let udp = udp::parse(&header, packet);
        (header.source.into(), header.destination.into(), udp)
    };
    let udp = udp.expect("our own datagram");
    let source = SocketAddr::new(source, udp.source_port);
    let destination = SocketAddr::new(destination, udp.destination_port);
    Some((source, destination, packet[udp.payload_range].to_vec()))
}

/// Gives a site an IPv6 address on each line, and has it dial over IPv6 on some.
pub(super) fn around(config: &mut Config, host: u8, over_ipv6: [bool; LINKS]) {
    for (line, interface) in config.interfaces[1..].iter_mut().enumerate() {
        interface.addresses.push(InterfaceAddress {
            address: on_line(line, host).into(),
            prefix_length: 64,
        });
    }
    for (line, outgoing) in config.l2tp.outgoing.iter_mut().enumerate() {
        if over_ipv6[line] {
            outgoing.server = on_line(line, 1).into();
        }
    }
}

/// Gives a site IPv6 on its LAN, and the far end's LAN as a route.
pub(super) fn inside(config: &mut Config, lan: u8, far_lan: u8) {
    config.interfaces[0].addresses.push(InterfaceAddress {
        address: Ipv6Addr::new(0x2001, 0xdb8, lan.into(), 0, 0, 0, 0, 1).into(),
        prefix_length: 64,
    });
    for outgoing in &mut config.l2tp.outgoing {
        outgoing.routes.push(lan_ipv6(far_lan));
    }
    for incoming in &mut config.l2tp.incoming {
        for login in &mut incoming.matches {
            login.routes.push(lan_ipv6(far_lan));
        }
    }
}

/// The demo's sites, with IPv6 inside and on some lines around.
pub(super) fn sites(over_ipv6: [bool; LINKS]) -> Vec<Config> {
    let (mut head, mut remote) = (config("head"), config("remote"));
    around(&mut head, 1, [false; LINKS]);
    around(&mut remote, 2, over_ipv6);
    inside(&mut head, 1, 2);
    inside(&mut remote, 2, 1);
    vec![head, remote]
}

/// Traffic of both families, over lines whose families the seed chooses.
pub(super) fn world(seed: u64) -> World {
    let over_ipv6 = std::array::from_fn(|line| seed >> line & 1 == 1);
    let mut world = World::of(seed, sites(over_ipv6));
    world.ipv6_traffic = true;
    world
}
