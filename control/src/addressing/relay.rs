//! The DHCP relay agent of one LAN interface: its clients find servers elsewhere
//! (RFC 1542, 4, with what RFC 2131, 4.1 says of it).
//!
//! Messages go on as they came, but for `hops` and `giaddr`; options are not
//! looked at, nor is one added (RFC 3046).

use serde::Serialize;
use std::net::{Ipv4Addr, SocketAddrV4};

use dataplane::headers::ethernet::BROADCAST;
use dataplane::headers::ipv4;
use dhcproto::v4::borrowed::Message;
use dhcproto::v4::{CLIENT_PORT, HType, Opcode, SERVER_PORT};

use super::Action;
use super::dhcp::message::{frame, is_unicast, payload_to};

/// Requests that came through more relays are not passed on (RFC 1542, 4.1.1).
const MAX_HOPS: u8 = 16;
const HOPS: usize = 3;
const GIADDR: std::ops::Range<usize> = 24..28;

/// What a relay has passed on, and what it has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RelayCounters {
    /// Each once, however many servers got it.
    pub requests_relayed: u64,
    pub replies_relayed: u64,
    /// No whole UDP packet to port 67 with right checksums, or no DHCP of the expected side in it.
    pub malformed: u64,
    /// Requests that came through more than 16 relays.
    pub too_many_hops: u64,
    /// Requests that name one of our addresses as their relay: looped, or forged.
    pub own_giaddr: u64,
    /// Requests at a time at which the interface had no address.
    pub no_address: u64,
    /// Replies from an address that is none of the servers'.
    pub other_server: u64,
    /// Replies that name another relay.
    pub other_giaddr: u64,
}

/// The relay. `addresses` are those of the LAN interface in all calls; the first
/// one tells servers which network a client is in.
#[derive(Debug)]
pub struct Relay {
    servers: Vec<Ipv4Addr>,
    identification: u16,
    counters: RelayCounters,
}

impl Relay {
    #[must_use]
    pub fn new(servers: Vec<Ipv4Addr>) -> Self {
        Self {
            servers,
            identification: 0,
            counters: RelayCounters::default(),
        }
    }

    #[must_use]
    pub fn counters(&self) -> &RelayCounters {
        &self.counters
    }

    /// A packet to port 67 that came in on the LAN, from its IPv4 header on,
    /// unchecked. What is to be sent: an [`Action::Packet`] to each server, routed
    /// like any packet of ours, so also into a tunnel.
    pub fn handle_client(&mut self, addresses: &[Ipv4Addr], packet: &[u8]) -> Vec<Action> {
        match self.request(addresses, packet) {
            Ok(packets) => {
                self.counters.requests_relayed += 1;
                packets.into_iter().map(Action::Packet).collect()
            }
            Err(counter) => {
                *counter(&mut self.counters) += 1;
                Vec::new()
            }
        }
    }

    /// A packet to port 67 of one of `addresses`, whichever way it came, from its
    /// IPv4 header on, unchecked. What is to be sent: an [`Action::Frame`] out of
    /// the LAN interface, whose hardware address is `mac`.
    pub fn handle_server(
        &mut self,
        addresses: &[Ipv4Addr],
        mac: [u8; 6],
        packet: &[u8],
    ) -> Option<Action> {
        match self.reply(addresses, mac, packet) {
            Ok(frame) => {
                self.counters.replies_relayed += 1;
                Some(Action::Frame(frame))
            }
            Err(counter) => {
                *counter(&mut self.counters) += 1;
                None
            }
        }
    }

    /// RFC 1542, 4.1.1.
    fn request(&mut self, addresses: &[Ipv4Addr], packet: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
        let (_, payload, message) = read(packet, Opcode::BootRequest)?;
        let &address = addresses.first().ok_or(NO_ADDRESS)?;
        if message.hops() > MAX_HOPS {
            return Err(|counters| &mut counters.too_many_hops);
        }
        let giaddr = message.giaddr();
        if addresses.contains(&giaddr) {
            return Err(|counters| &mut counters.own_giaddr);
        }
        let mut relayed = payload.to_vec();
        relayed[HOPS] += 1;
        // The first relay's stays: replies go there.
        if giaddr.is_unspecified() {
            relayed[GIADDR].copy_from_slice(&address.octets());
        }
        let source = SocketAddrV4::new(address, SERVER_PORT);
        let to = |&server: &Ipv4Addr| {
            self.identification = self.identification.wrapping_add(1);
            let server = SocketAddrV4::new(server, SERVER_PORT);
            ipv4::udp_packet(source, server, &relayed, self.identification)
        };
        Ok(self.servers.iter().map(to).collect())
    }

    /// RFC 1542, 4.1.2.
    fn reply(
        &mut self,
        addresses: &[Ipv4Addr],
        mac: [u8; 6],
        packet: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let (server, payload, message) = read(packet, Opcode::BootReply)?;
        if !self.servers.contains(&server) {
            return Err(|counters| &mut counters.other_server);
        }
        let giaddr = message.giaddr();
        if !addresses.contains(&giaddr) {
            return Err(|counters| &mut counters.other_giaddr);
        }
        // A client without an address answers no ARP, so its hardware address must be taken from the message.
        let (destination, hardware) = match station(&message) {
            Some(hardware) if !message.flags().broadcast() && is_unicast(message.yiaddr()) => {
                (message.yiaddr(), hardware)
            }
            _ => (Ipv4Addr::BROADCAST, BROADCAST),
        };
        self.identification = self.identification.wrapping_add(1);
        let packet = ipv4::udp_packet(
            SocketAddrV4::new(giaddr, SERVER_PORT),
            SocketAddrV4::new(destination, CLIENT_PORT),
            payload,
            self.identification,
        );
        Ok(frame(hardware, mac, &packet))
    }
}

/// The counter of what is not passed on.
type Refusal = fn(&mut RelayCounters) -> &mut u64;

const NO_ADDRESS: Refusal = |counters| &mut counters.no_address;

/// The sender, the payload, and the fixed fields of a message.
fn read(packet: &[u8], opcode: Opcode) -> Result<(Ipv4Addr, &[u8], Message<'_>), Refusal> {
    const MALFORMED: Refusal = |counters| &mut counters.malformed;
    let (ipv4, payload) = payload_to(SERVER_PORT, packet).ok_or(MALFORMED)?;
    let message = Message::new(payload).map_err(|_| MALFORMED)?;
    if message.opcode() != opcode {
        return Err(MALFORMED);
    }
    Ok((ipv4.source, payload, message))
}

/// The client's hardware address, when it is one of a station on Ethernet.
fn station(message: &Message<'_>) -> Option<[u8; 6]> {
    // The length before `chaddr`, which counts on it.
    if message.htype() != HType::Eth || message.hlen() != 6 {
        return None;
    }
    let mac: [u8; 6] = message.chaddr().try_into().ok()?;
    (mac[0] & 1 == 0 && mac != [0; 6]).then_some(mac)
}

#[cfg(test)]
mod tests;
