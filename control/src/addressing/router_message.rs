//! Router solicitations and advertisements (RFC 4861, 4.1 and 4.2; RFC 4191,
//! 2.2; RFC 8106, 5.1), with their Ethernet and IPv6 headers. What smoltcp knows
//! of them has one prefix, no preference and no name servers, so that its
//! formats serve for single options.

mod write;

use std::net::Ipv6Addr;

use smoltcp::wire::{
    EthernetAddress, Icmpv6Message, NdiscOption, NdiscOptionRepr, NdiscPrefixInfoFlags,
    RawHardwareAddress,
};

use crate::host::discovery::{Received, frame, group_mac, message_packet, receive};
use crate::host::link_local;

pub(super) use write::advertise;

pub(super) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// A lifetime that does not end (RFC 4861, 4.6.2).
pub(super) const FOR_EVER_S: u32 = u32::MAX;

const SOLICITATION_OCTETS: usize = 8;
const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;
const OPTION_RECURSIVE_DNS: u8 = 25;
/// Options are in units of so many octets.
const UNIT_OCTETS: usize = 8;

/// How much a router wants to be a default router (RFC 4191, 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Preference {
    Low,
    Medium,
    High,
}

impl Preference {
    fn of(flags: u8) -> Self {
        match flags >> 3 & 3 {
            0b01 => Self::High,
            0b11 => Self::Low,
            // RFC 4191, 2.2: the reserved value is taken as this one.
            _ => Self::Medium,
        }
    }
}

/// RFC 4861, 4.6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PrefixInformation {
    pub(super) prefix: Ipv6Addr,
    pub(super) length: u8,
    pub(super) on_link: bool,
    pub(super) autonomous: bool,
    pub(super) valid_s: u32,
    pub(super) preferred_s: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RouterOption {
    Prefix(PrefixInformation),
    Mtu(u32),
    RecursiveDns {
        servers: Vec<Ipv6Addr>,
        lifetime_s: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RouterAdvertisement {
    /// The sender, by its link-local address.
    pub(super) source: Ipv6Addr,
    /// For the packets of the hosts; 0 says nothing.
    pub(super) hop_limit: u8,
    pub(super) managed: bool,
    pub(super) other: bool,
    pub(super) preference: Preference,
    /// 0 is no default router.
    pub(super) lifetime_s: u16,
    pub(super) options: Vec<RouterOption>,
    /// Options that are not as their RFC wants them; the others count.
    pub(super) options_refused: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Solicitation,
    Advertisement(RouterAdvertisement),
}

/// Why a frame means nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not as RFC 4861, 6.1 wants it.
    Malformed,
    /// Of neighbours, for another station, or our own.
    NotForUs,
}

/// Reads a frame, from its Ethernet header on, that the station `mac` received.
pub(super) fn parse(mac: [u8; 6], frame: &[u8]) -> Result<Message, Refused> {
    let received = receive(frame).ok_or(Refused::Malformed)?;
    let to = received.destination_mac;
    let to_us = to == mac || to.starts_with(&[0x33, 0x33]);
    let from_us = received.source_mac == mac || received.source == link_local(mac);
    if !to_us || from_us {
        return Err(Refused::NotForUs);
    }
    match received.icmp.msg_type() {
        Icmpv6Message::RouterSolicit => solicitation(&received),
        Icmpv6Message::RouterAdvert => advertisement(&received),
        _ => Err(Refused::NotForUs),
    }
}

/// RFC 4861, 6.1.1.
fn solicitation(received: &Received<'_>) -> Result<Message, Refused> {
    let octets = received.icmp.payload();
    let mut names_its_mac = false;
    for option in options(octets) {
        names_its_mac |= option?.first() == Some(&1);
    }
    if received.source.is_unspecified() && names_its_mac {
        return Err(Refused::Malformed);
    }
    Ok(Message::Solicitation)
}

/// RFC 4861, 6.1.2.
fn advertisement(received: &Received<'_>) -> Result<Message, Refused> {
    if !received.source.is_unicast_link_local() {
        return Err(Refused::Malformed);
    }
    let header = &received.icmp;
    // smoltcp's flags are without those of RFC 4191.
    let flags = header.clone().into_inner()[5];
    let mut advertisement = RouterAdvertisement {
        source: received.source,
        hop_limit: header.current_hop_limit(),
        managed: flags & MANAGED != 0,
        other: flags & OTHER != 0,
        preference: Preference::of(flags),
        lifetime_s: u16::try_from(header.router_lifetime().secs()).unwrap_or(u16::MAX),
        options: Vec::new(),
        options_refused: 0,
    };
    for octets in options(header.payload()) {
        match option(octets?) {
            Ok(option) => advertisement.options.extend(option),
            Err(_) => advertisement.options_refused += 1,
        }
    }
    Ok(Message::Advertisement(advertisement))
}

/// The options one after another; an error, and no more, when one has no length
/// or is longer than what is there.
fn options(mut octets: &[u8]) -> impl Iterator<Item = Result<&[u8], Refused>> {
    std::iter::from_fn(move || {
        if octets.is_empty() {
            return None;
        }
        let units = octets.get(1).copied().map_or(0, usize::from);
        if units == 0 || octets.len() < units * UNIT_OCTETS {
            octets = &[];
            return Some(Err(Refused::Malformed));
        }
        let (option, rest) = octets.split_at(units * UNIT_OCTETS);
        octets = rest;
        Some(Ok(option))
    })
}

/// A whole option; nothing when it means nothing to us (RFC 4861, 4.6: unknown
/// ones are skipped).
fn option(octets: &[u8]) -> Result<Option<RouterOption>, Refused> {
    if octets[0] == OPTION_RECURSIVE_DNS {
        return recursive_dns(octets).map(Some).ok_or(Refused::Malformed);
    }
    let malformed = |_| Refused::Malformed;
    let option = NdiscOption::new_checked(octets).map_err(malformed)?;
    Ok(match NdiscOptionRepr::parse(&option).map_err(malformed)? {
        NdiscOptionRepr::PrefixInformation(prefix) => {
            let seconds = |lifetime: smoltcp::time::Duration| {
                u32::try_from(lifetime.secs()).unwrap_or(FOR_EVER_S)
            };
            Some(RouterOption::Prefix(PrefixInformation {
                prefix: prefix.prefix,
                length: prefix.prefix_len,
                on_link: prefix.flags.contains(NdiscPrefixInfoFlags::ON_LINK),
                autonomous: prefix.flags.contains(NdiscPrefixInfoFlags::ADDRCONF),
                valid_s: seconds(prefix.valid_lifetime),
                preferred_s: seconds(prefix.preferred_lifetime),
            }))
        }
        NdiscOptionRepr::Mtu(mtu) => Some(RouterOption::Mtu(mtu)),
        _ => None,
    })
}

/// RFC 8106, 5.1: a header of eight octets, and at least one address.
fn recursive_dns(octets: &[u8]) -> Option<RouterOption> {
    let (&[_, _, _, _, l0, l1, l2, l3], addresses) = octets.split_first_chunk()?;
    let (addresses, rest) = addresses.as_chunks::<16>();
    if addresses.is_empty() || !rest.is_empty() {
        return None;
    }
    Some(RouterOption::RecursiveDns {
        servers: addresses.iter().copied().map(Ipv6Addr::from).collect(),
        lifetime_s: u32::from_be_bytes([l0, l1, l2, l3]),
    })
}

/// The frame in which the station `mac` asks for routers (RFC 4861, 6.3.7).
pub(super) fn solicit(mac: [u8; 6]) -> Vec<u8> {
    let mut message = vec![0; SOLICITATION_OCTETS];
    message[0] = Icmpv6Message::RouterSolicit.into();
    push(&mut message, &source_mac(mac));
    let packet = message_packet(link_local(mac), ALL_ROUTERS, &message);
    frame(mac, group_mac(ALL_ROUTERS), &packet)
}

fn source_mac(mac: [u8; 6]) -> NdiscOptionRepr<'static> {
    NdiscOptionRepr::SourceLinkLayerAddr(RawHardwareAddress::from(EthernetAddress(mac)))
}

fn push(message: &mut Vec<u8>, option: &NdiscOptionRepr<'_>) {
    let start = message.len();
    message.resize(start + option.buffer_len(), 0);
    option.emit(&mut NdiscOption::new_unchecked(&mut message[start..]));
}

#[cfg(test)]
mod tests;
