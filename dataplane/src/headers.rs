//! Wire formats of the data path: how each header is read, checked and written.
//!
//! Readers take octets from the network and never panic; what is wrong with
//! them is the reason under which the frame is dropped. Nothing here allocates
//! but the functions that build a whole packet for the control thread.

pub mod decapsulation;
pub mod decapsulation_ipv6;
pub mod encapsulation;
pub mod ethernet;
pub mod ha;
pub mod ha_frame;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod l2tp;
pub mod lcp;
pub mod plain;
pub mod ppp;
pub mod pppoe;
pub mod routable;
pub mod udp;
pub mod vlan;

/// The two octets at `offset`, in network order.
#[inline]
fn u16_at(data: &[u8], offset: usize) -> Option<u16> {
    let octets = data.get(offset..)?.first_chunk()?;
    Some(u16::from_be_bytes(*octets))
}

/// The length, header included, that an IP packet of either version gives in
/// its header.
#[inline]
#[must_use]
pub fn packet_octets(packet: &[u8]) -> Option<usize> {
    match packet.first()? >> 4 {
        4 => u16_at(packet, 2).map(usize::from),
        6 => u16_at(packet, ipv6::PAYLOAD_LENGTH)
            .map(|payload| ipv6::HEADER_OCTETS + usize::from(payload)),
        _ => None,
    }
}
