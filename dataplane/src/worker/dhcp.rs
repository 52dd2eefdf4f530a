//! DHCP to no address of ours: clients hear their servers before they have an
//! address, and servers and relays hear clients that know none. The control
//! thread is told (`Event::Dhcp`).

use dpdk::Mbuf;

use crate::command::PortId;
use crate::counters::Drop;
use crate::event::Event;
use crate::headers::{ethernet, ipv4};

use super::family::Header;
use super::forward::Origin;
use super::police::Class;
use super::{Worker, keep};

impl Worker {
    /// A frame with an IP packet that is for a group of stations. Neither multicast
    /// nor broadcast is forwarded (RFC 1812, 5.3.4 and 5.3.5).
    #[inline(never)]
    pub(super) fn receive_group<H: Header>(&mut self, port: usize, mut packet: Mbuf) {
        let frame_octets = packet.len();
        keep(&mut packet, ethernet::HEADER_OCTETS..frame_octets);
        if !H::known(&packet).is_some_and(|header| self.hears_dhcp(port, &header)) {
            self.io.drop(port, Drop::Multicast);
            return;
        }
        match H::parse(&packet) {
            Ok(header) => {
                keep(&mut packet, 0..header.total_octets());
                self.dhcp_to_group(port, packet, &header, Drop::Multicast);
            }
            Err(reason) => self.io.drop(port, reason),
        }
    }

    fn hears_dhcp<H: Header>(&self, port: usize, header: &H) -> bool {
        self.tables.hears_dhcp(port, header.destination().into())
    }

    /// A packet to no single address, which is not sent on for this reason.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse_group<H: Header>(
        &mut self,
        packet: Mbuf,
        header: &H,
        origin: &Origin,
        reason: Drop,
    ) {
        let port = origin.source;
        if origin.came_in() && self.hears_dhcp(port, header) {
            self.dhcp_to_group(port, packet, header, reason);
        } else {
            self.io.drop(port, reason);
        }
    }

    /// A packet to an address that is not ours, where nothing is sent on. A server
    /// that takes no notice of the broadcast flag sends to the address that it
    /// offers (RFC 2131, 4.1).
    #[cold]
    #[inline(never)]
    pub(super) fn refuse_forwarding<H: Header>(
        &mut self,
        packet: Mbuf,
        header: &H,
        origin: &Origin,
    ) {
        let to_client = || {
            let port = destination_port(header, &packet).ok().flatten();
            H::DHCP_CLIENT.is_some() && port == H::DHCP_CLIENT
        };
        if to_client() {
            self.tell_dhcp(origin.source, packet);
        } else {
            self.io.drop(origin.source, Drop::NotForwarding);
        }
    }

    /// A packet to a group that hears DHCP; `otherwise` says what it is without.
    fn dhcp_to_group<H: Header>(&mut self, port: usize, packet: Mbuf, header: &H, otherwise: Drop) {
        let reason = match destination_port(header, &packet) {
            Ok(Some(udp_port)) if H::DHCP_GROUP.contains(&udp_port) => {
                if !header.has_martian_source() || header.has_no_source() {
                    self.tell_dhcp(port, packet);
                    return;
                }
                Drop::MartianSource
            }
            Ok(_) => otherwise,
            Err(reason) => reason,
        };
        self.io.drop(port, reason);
    }

    fn tell_dhcp(&mut self, port: usize, packet: Mbuf) {
        let event = Event::Dhcp {
            port: PortId(port as u16),
            packet: packet.into(),
        };
        self.io.punt(port, Class::Dhcp, event);
    }
}

/// The UDP port that a packet is to, if it is UDP and no fragment. Its lengths are right.
fn destination_port<H: Header>(header: &H, packet: &[u8]) -> Result<Option<u16>, Drop> {
    let upper = header.upper(packet)?;
    if upper.protocol != ipv4::PROTOCOL_UDP || upper.fragment.is_some() {
        return Ok(None);
    }
    // The checksum is for who reads the message.
    let udp = header.udp(upper.offset, packet, true)?;
    Ok(Some(udp.destination_port))
}
