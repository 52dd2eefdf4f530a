//! Headers of every form before a packet, and its way to a port or, while the
//! neighbour is not known, to the control thread.

use dpdk::{Mbuf, Mempool};

use crate::counters::Drop;
use crate::event::Event;
use crate::headers::encapsulation::{Fields, Template};
use crate::headers::ha::FLAG_NOT_FIRST_PIECE;
use crate::headers::ppp::{self, PROTOCOL_OCTETS};
use crate::headers::{ethernet, ipv4, ipv6};
use crate::tables::Link;
use crate::transform::fragment::Fragment;
use crate::transform::{fragment, fragment_ipv6};

use super::io::Io;
use super::police::Class;

/// What the headers of one copy say of its packet.
pub(super) struct Copy {
    pub(super) number: u64,
    pub(super) epoch: u32,
    /// Of the HA header: which piece it is, if it is one.
    pub(super) flags: u8,
    /// Sum of the inner packet, or of the piece.
    pub(super) sum: u32,
    pub(super) identification: u16,
}

/// Whether the UDP checksum of what goes out here is ours to make.
#[inline]
pub(super) fn needs_sum(template: &Template, link: &Link) -> bool {
    template.has_udp_checksum() && !link.fills_in_checksums
}

/// What follows the PPP protocol, or what stands in its place in a later piece.
#[inline]
pub(super) fn without_protocol(packet: &[u8], flags: u8) -> &[u8] {
    match packet.split_at_checked(PROTOCOL_OCTETS) {
        Some((_, rest)) if flags & FLAG_NOT_FIRST_PIECE != 0 => rest,
        _ => packet,
    }
}

/// Puts the session's headers before a packet, and the Ethernet header if the
/// neighbour is known. `None` when there is no room.
#[inline(always)]
pub(super) fn encapsulate(
    template: &Template,
    link: &Link,
    mut packet: Mbuf,
    copy: &Copy,
) -> Option<Mbuf> {
    let later_piece = copy.flags & FLAG_NOT_FIRST_PIECE != 0;
    // A later piece has no PPP protocol: its own first octets stand there.
    let (protocol, in_place_octets) = match packet.first_chunk() {
        Some(&octets) if later_piece => (u16::from_be_bytes(octets), octets.len()),
        _ => (ppp::protocol_of(&packet), 0),
    };
    let fields = Fields {
        inner_octets: packet.len() - in_place_octets,
        inner_sum: copy.sum,
        protocol,
        flags: copy.flags,
        epoch: copy.epoch,
        number: copy.number,
        identification: copy.identification,
    };
    let ethernet_octets = link.ethernet.map_or(0, |header| header.len());
    let header_octets = ethernet_octets + template.octets();
    packet.prepend(header_octets - in_place_octets)?;
    let (ethernet, outer) = packet.split_at_mut_checked(ethernet_octets)?;
    if let Some(octets) = &link.ethernet {
        ethernet.copy_from_slice(octets);
    }
    if !template.write(outer, &fields) {
        return None;
    }
    if link.fills_in_checksums && template.has_udp_checksum() {
        template.leave_checksums(outer);
        request_checksums(&mut packet, template).then_some(())?;
    }
    Some(packet)
}

/// Has the port fill in the checksums of a frame.
fn request_checksums(frame: &mut Mbuf, template: &Template) -> bool {
    const ETHERNET_OCTETS: u8 = ethernet::HEADER_OCTETS as u8;
    if template.is_over_ipv6() {
        frame.request_checksum_ipv6(ETHERNET_OCTETS, ipv6::HEADER_OCTETS as u16)
    } else {
        frame.request_checksums(ETHERNET_OCTETS, ipv4::HEADER_OCTETS as u16)
    }
}

/// Sends the outer packet that is made for a link without Ethernet header in
/// fragments that fit `mtu`. False when one was dropped, which is counted.
#[cold]
pub(super) fn send_cut(
    io: &mut Io,
    copies: &Mempool,
    link: &Link,
    mtu: usize,
    identification: u16,
    make: impl FnOnce(&Link) -> Option<Mbuf>,
) -> bool {
    let bare = Link {
        ethernet: None,
        fills_in_checksums: false,
        ..*link
    };
    let Some(outer) = make(&bare) else {
        io.drop(link.port, Drop::NoBuffer);
        return false;
    };
    // What fits no link is not so long.
    let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
    // No two packets at about the same time have the same one (RFC 8200, 4.5).
    let identification = (io.now as u32) << 16 | u32::from(identification);
    let mut send = |parts: &mut dyn Iterator<Item = Fragment>| {
        let mut sent = true;
        for part in parts {
            sent &= send_outer(io, link, part_of(copies, link, &outer, &part));
        }
        sent
    };
    let sent = match ethernet::ether_type_of(&outer) {
        ethernet::ETHER_TYPE_IPV6 => {
            fragment_ipv6(&outer, mtu, identification).map(|mut parts| send(&mut parts))
        }
        _ => fragment(&outer, mtu).map(|mut parts| send(&mut parts)),
    };
    sent.unwrap_or_else(|_| {
        io.drop(link.port, Drop::FragmentationNeeded);
        false
    })
}

/// One fragment of a packet in a buffer of its own.
fn part_of(copies: &Mempool, link: &Link, packet: &[u8], part: &Fragment) -> Option<Mbuf> {
    let mut copy = copies.alloc()?;
    let ethernet = link.ethernet.as_ref().map_or(&[][..], |header| header);
    let payload = packet.get(part.payload_range.clone())?;
    let octets = [ethernet, part.header(), payload];
    let whole = octets.iter().all(|octets| copy.extend_from_slice(octets));
    whole.then_some(copy)
}

/// Sends an outer packet, or has the control thread find its neighbour. False
/// when it was dropped, which is counted.
#[inline(always)]
pub(super) fn send_outer(io: &mut Io, link: &Link, outer: Option<Mbuf>) -> bool {
    let Some(packet) = outer else {
        io.drop(link.port, Drop::NoBuffer);
        return false;
    };
    if link.ethernet.is_some() {
        return io.push(link.port, packet);
    }
    let event = Event::NeighbourMissing {
        interface: link.interface,
        next_hop: link.next_hop,
        packet: packet.into(),
    };
    // It came in elsewhere: what the uplink's counters call punted came in by that.
    match io.offer(link.port, Class::Neighbour, event) {
        Ok(()) => {
            io.note_punted(Class::Neighbour);
            true
        }
        Err(reason) => {
            io.drop(link.port, reason);
            false
        }
    }
}
