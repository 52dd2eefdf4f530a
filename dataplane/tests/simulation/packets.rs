//! Packets that say which they are, and copies as they look on a link.

use std::net::{SocketAddrV4, SocketAddrV6};

use dataplane::checksum;
use dataplane::headers::{ethernet, ipv4, ipv6};

use crate::plan;
use crate::scenario::{Scenario, Sizes};

const UDP_OCTETS: usize = 8;
const ETHERNET_OCTETS: usize = 14;
/// Before a copy's HA header: flags, tunnel, session, offset size.
const L2TP_OCTETS: usize = 8;
const HA_OCTETS: usize = 12;

/// The packet with this serial number from a site's host to the other's.
pub(crate) fn packet(scenario: &Scenario, site: usize, serial: u64) -> Vec<u8> {
    let is_ipv6 = scenario.inner_ipv6 && serial % 2 == 1;
    let header_octets = ip_octets(is_ipv6) + UDP_OCTETS;
    // Anything will do that is spread over the range and follows from the serial number.
    let spread = (serial.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize;
    let octets = match scenario.sizes {
        Sizes::Small => 64,
        Sizes::Large => 1400,
        Sizes::Mixed => 64 + spread % (1500 - 64 + 1),
    };
    let mut payload = serial.to_be_bytes().to_vec();
    payload.extend((payload.len()..octets - header_octets).map(|index| (index + spread) as u8));
    let hosts = [site, 1 - site];
    if is_ipv6 {
        let [from, to] = hosts.map(|site| SocketAddrV6::new(plan::host_ipv6(site), 5000, 0, 0));
        return ipv6::udp_packet(from, to, &payload);
    }
    let [from, to] = hosts.map(|site| SocketAddrV4::new(plan::host(site), 5000));
    let mut packet = ipv4::udp_packet(from, to, &payload, serial as u16);
    if scenario.sizes == Sizes::Large {
        forbid_fragments(&mut packet);
    }
    packet
}

fn forbid_fragments(packet: &mut [u8]) {
    packet[6] |= 0x40;
    packet[10..12].fill(0);
    let checksum = checksum::finish(checksum::sum(&packet[..20]));
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// The same as it leaves for the other site's host: it has passed two routers.
pub(crate) fn delivered(mut packet: Vec<u8>) -> Vec<u8> {
    for _ in 0..2 {
        let passed = match packet[0] >> 4 {
            6 => ipv6::decrement_hop_limit(&mut packet),
            _ => ipv4::decrement_ttl(&mut packet),
        };
        assert!(passed, "it has hops left");
    }
    packet
}

/// A frame from a site's host to its router.
pub(crate) fn from_host(site: usize, packet: &[u8]) -> Vec<u8> {
    frame(plan::mac(site, 0), plan::host_mac(site), packet)
}

/// The packet in a frame to a site's host from its router.
pub(crate) fn to_host(site: usize, frame_to_host: &[u8]) -> Result<&[u8], String> {
    let packet = frame_to_host.get(ETHERNET_OCTETS..).unwrap_or_default();
    if frame_to_host != frame(plan::host_mac(site), plan::mac(site, 0), packet) {
        return Err(format!("no frame for the host: {frame_to_host:?}"));
    }
    Ok(packet)
}

fn frame(to: [u8; 6], from: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let ether_type = ethernet::ether_type_of(packet).to_be_bytes();
    [&to[..], &from, &ether_type, packet].concat()
}

/// The serial number of a packet, or of one whose first piece this is.
pub(crate) fn serial(packet: &[u8]) -> Option<u64> {
    let is_ipv6 = packet.first()? >> 4 == 6;
    let payload = packet.get(ip_octets(is_ipv6) + UDP_OCTETS..)?;
    Some(u64::from_be_bytes(*payload.first_chunk()?))
}

/// One copy on a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy<'a> {
    /// The receiver's ids of tunnel and session.
    pub(crate) ids: (u16, u16),
    pub(crate) epoch: u32,
    pub(crate) number: u64,
    pub(crate) flags: u8,
    /// The inner packet, or what the piece has of it.
    pub(crate) content: &'a [u8],
}

/// More pieces follow; not the first piece.
pub(crate) const MORE: u8 = 1;
pub(crate) const NOT_FIRST: u8 = 2;

impl<'a> Copy<'a> {
    /// Reads what our workers write; `None` when it is something else.
    pub(crate) fn read(frame: &'a [u8]) -> Option<Self> {
        let message = message(frame)?;
        let (l2tp, rest) = message.split_at_checked(L2TP_OCTETS)?;
        let (ha, ppp) = rest.split_at_checked(HA_OCTETS)?;
        if l2tp[..2] != [2, 2] || l2tp[6..] != [0, 12] || ha[0] != 0x10 {
            return None;
        }
        let two = |octets: &[u8]| u16::from_be_bytes([octets[0], octets[1]]);
        let flags = ha[1];
        let content = if flags & NOT_FIRST == 0 {
            ppp.get(2..)?
        } else {
            ppp
        };
        Some(Self {
            ids: (two(&l2tp[2..4]), two(&l2tp[4..6])),
            epoch: u32::from_be_bytes(*ha[2..].first_chunk()?),
            number: ha[6..]
                .iter()
                .fold(0, |number, &octet| number << 8 | u64::from(octet)),
            flags,
            content,
        })
    }
}

/// What the outer UDP datagram carries.
pub(crate) fn message(frame: &[u8]) -> Option<&[u8]> {
    let is_ipv6 = frame.get(ETHERNET_OCTETS)? >> 4 == 6;
    frame.get(ETHERNET_OCTETS + ip_octets(is_ipv6) + UDP_OCTETS..)
}

fn ip_octets(is_ipv6: bool) -> usize {
    if is_ipv6 { 40 } else { 20 }
}
