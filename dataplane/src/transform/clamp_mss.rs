//! Lowering the MSS option of TCP SYNs to what fits a tunnel (RFC 9293 3.7.1, RFC 6691).

use crate::checksum;
use crate::headers::ipv4::{self, FRAGMENT_OFFSET, MORE_FRAGMENTS, PROTOCOL_TCP};
use crate::headers::ipv6::{self, NEXT_TCP};

/// IP and TCP headers without options, which the MSS does not count (RFC 6691, 2).
const IPV4_HEADERS_OCTETS: u16 = 40;
const IPV6_HEADERS_OCTETS: u16 = 60;

const TCP_HEADER_OCTETS: usize = 20;
const TCP_CHECKSUM: usize = 16;
const FLAG_SYN: u8 = 0x02;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_MSS: u8 = 2;
const OPTION_MSS_OCTETS: u8 = 4;

/// Lowers the MSS option of a TCP SYN in the IPv4 or IPv6 `packet` to what fits an
/// `mtu`, and mends the TCP checksum. Returns whether something was changed.
///
/// Left as they are: everything that is no SYN, fragments (an option or the
/// checksum may lie elsewhere), a SYN without the option (its sender is held
/// to 536, RFC 9293 3.7.1), options that are malformed, and all packets when
/// the MTU leaves no room for data.
#[inline]
pub fn clamp_mss(packet: &mut [u8], mtu: u16) -> bool {
    let (header, headers_octets) = match packet.first() {
        Some(octet) if octet >> 4 == 6 => (ipv6_syn(packet), IPV6_HEADERS_OCTETS),
        _ => (ipv4_syn(packet), IPV4_HEADERS_OCTETS),
    };
    let limit = mtu.saturating_sub(headers_octets);
    match header {
        Some(header) if limit > 0 => clamp_options(header, limit),
        _ => false,
    }
}

/// Whether an IPv4 packet without options in its header looks as if it were a
/// SYN: all those that [`clamp_mss`] may change do.
#[inline]
#[must_use]
pub fn may_be_syn(packet: &[u8]) -> bool {
    const FLAGS: usize = ipv4::HEADER_OCTETS + 13;
    packet.get(9) == Some(&PROTOCOL_TCP)
        && packet.get(FLAGS).is_some_and(|flags| flags & FLAG_SYN != 0)
}

/// The same of an IPv6 packet. What stands behind extension headers would have
/// to be found: it may be one.
#[inline]
#[must_use]
pub fn may_be_syn_ipv6(packet: &[u8]) -> bool {
    const FLAGS: usize = ipv6::HEADER_OCTETS + 13;
    match packet.get(ipv6::NEXT_HEADER) {
        Some(&NEXT_TCP) => packet.get(FLAGS).is_some_and(|flags| flags & FLAG_SYN != 0),
        Some(&(ipv6::NEXT_UDP | ipv6::NEXT_ICMPV6 | ipv6::NEXT_ESP)) => false,
        _ => true,
    }
}

/// The TCP header, options included, of an IPv4 packet that is a whole TCP SYN.
#[inline]
fn ipv4_syn(packet: &mut [u8]) -> Option<&mut [u8]> {
    let (header_octets, total_octets) = ipv4::extent(packet)?;
    let fragment = u16::from_be_bytes([packet[6], packet[7]]);
    if packet[9] != PROTOCOL_TCP || fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0 {
        return None;
    }
    syn(packet.get_mut(header_octets..total_octets)?)
}

/// The same of an IPv6 packet. Extension headers are rare before TCP: only a
/// packet that has some is walked.
#[inline]
fn ipv6_syn(packet: &mut [u8]) -> Option<&mut [u8]> {
    let header = ipv6::known(packet)?;
    let offset = if header.next_header == NEXT_TCP {
        ipv6::HEADER_OCTETS
    } else {
        let upper = ipv6::upper_layer(&header, packet).ok()?;
        if upper.protocol != NEXT_TCP || upper.is_fragment() {
            return None;
        }
        upper.offset
    };
    syn(packet.get_mut(offset..header.total_octets)?)
}

#[inline]
fn syn(segment: &mut [u8]) -> Option<&mut [u8]> {
    let fixed = segment.first_chunk::<TCP_HEADER_OCTETS>()?;
    if fixed[13] & FLAG_SYN == 0 {
        return None;
    }
    let tcp_octets = usize::from(fixed[12] >> 4) * 4;
    segment.get_mut(..tcp_octets)
}

/// Walks the options (RFC 9293, 3.1) and lowers each MSS above `limit`.
fn clamp_options(tcp_header: &mut [u8], limit: u16) -> bool {
    let mut changed = false;
    let mut at = TCP_HEADER_OCTETS;
    while let Some(option) = tcp_header.get(at..) {
        match *option {
            [OPTION_NOP, ..] => at += 1,
            [OPTION_MSS, OPTION_MSS_OCTETS, high, low, ..] => {
                let mss = u16::from_be_bytes([high, low]);
                if mss > limit {
                    replace(tcp_header, at + 2, mss, limit);
                    changed = true;
                }
                at += usize::from(OPTION_MSS_OCTETS);
            }
            [OPTION_END, ..] | [] | [_] | [_, 0 | 1, ..] => break,
            [_, length, ..] => at += usize::from(length),
        }
    }
    changed
}

/// Replaces two octets of the header and mends its checksum (RFC 1624). At an
/// odd offset they lie across two words, which is the same to the sum as one
/// word with its octets swapped.
fn replace(tcp_header: &mut [u8], at: usize, old: u16, new: u16) {
    tcp_header[at..at + 2].copy_from_slice(&new.to_be_bytes());
    let (old, new) = match at % 2 {
        0 => (old, new),
        _ => (old.swap_bytes(), new.swap_bytes()),
    };
    let [high, low] = [tcp_header[TCP_CHECKSUM], tcp_header[TCP_CHECKSUM + 1]];
    let checksum = checksum::update(u16::from_be_bytes([high, low]), old, new);
    tcp_header[TCP_CHECKSUM..TCP_CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
}
