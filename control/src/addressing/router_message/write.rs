//! Advertisements as they are written.

use std::net::Ipv6Addr;

use smoltcp::wire::{Icmpv6Message, NdiscOptionRepr, NdiscPrefixInfoFlags, NdiscPrefixInformation};

use crate::host::discovery::{frame, group_mac, message_packet};
use crate::host::link_local;

use super::{
    MANAGED, OPTION_RECURSIVE_DNS, OTHER, Preference, RouterAdvertisement, RouterOption, push,
    source_mac,
};

const ADVERTISEMENT_OCTETS: usize = 16;
/// Those of which one option has room.
const MOST_DNS_SERVERS: usize = 127;

/// The frame in which the router `mac` tells `destination` of itself; the
/// source is the router's own link-local address, whatever stands in it.
pub(in crate::addressing) fn advertise(
    mac: [u8; 6],
    destination: Ipv6Addr,
    advertisement: &RouterAdvertisement,
) -> Vec<u8> {
    let mut flags = preference_bits(advertisement.preference);
    flags |= if advertisement.managed { MANAGED } else { 0 };
    flags |= if advertisement.other { OTHER } else { 0 };
    let mut message = vec![0; ADVERTISEMENT_OCTETS];
    message[0] = Icmpv6Message::RouterAdvert.into();
    message[4] = advertisement.hop_limit;
    message[5] = flags;
    message[6..8].copy_from_slice(&advertisement.lifetime_s.to_be_bytes());
    push(&mut message, &source_mac(mac));
    for option in &advertisement.options {
        push_option(&mut message, option);
    }
    let packet = message_packet(link_local(mac), destination, &message);
    frame(mac, group_mac(destination), &packet)
}

/// RFC 4191, 2.2.
fn preference_bits(preference: Preference) -> u8 {
    match preference {
        Preference::High => 0b01 << 3,
        Preference::Medium => 0,
        Preference::Low => 0b11 << 3,
    }
}

fn push_option(message: &mut Vec<u8>, option: &RouterOption) {
    match option {
        RouterOption::Prefix(prefix) => {
            let mut flags = NdiscPrefixInfoFlags::empty();
            flags.set(NdiscPrefixInfoFlags::ON_LINK, prefix.on_link);
            flags.set(NdiscPrefixInfoFlags::ADDRCONF, prefix.autonomous);
            let seconds = |lifetime: u32| smoltcp::time::Duration::from_secs(lifetime.into());
            let information = NdiscPrefixInformation {
                prefix_len: prefix.length,
                flags,
                valid_lifetime: seconds(prefix.valid_s),
                preferred_lifetime: seconds(prefix.preferred_s),
                prefix: prefix.prefix,
            };
            push(message, &NdiscOptionRepr::PrefixInformation(information));
        }
        RouterOption::Mtu(mtu) => push(message, &NdiscOptionRepr::Mtu(*mtu)),
        RouterOption::RecursiveDns {
            servers,
            lifetime_s,
        } => {
            // The length is in units of eight octets, of which an address has two.
            let servers = &servers[..servers.len().min(MOST_DNS_SERVERS)];
            message.extend([OPTION_RECURSIVE_DNS, 1 + 2 * servers.len() as u8, 0, 0]);
            message.extend(lifetime_s.to_be_bytes());
            message.extend(servers.iter().flat_map(Ipv6Addr::octets));
        }
    }
}
