//! Everything that stands before an inner packet on a link, from the outer
//! IPv4 header to the PPP protocol, built once for each session.
//!
//! ```text
//! HA:     IPv4 20 | UDP 8 | L2TP with O 8 | HA header 12 | PPP protocol 2             = 50
//! plain:  IPv4 20 | UDP 8 | L2TP 6        | FF 03 when asked for | PPP protocol 2      = 36 or 38
//! ```
//!
//! DF is clear and every packet has an identification of its own: a router
//! with a smaller MTU on the way may fragment, and a peer that reassembles (an
//! ordinary LNS) still gets the packet. With DF set such a packet would vanish
//! wherever ICMP is filtered, and a link that is up would carry nothing.
//! Inner packets are kept to the link's MTU, so none of this should happen.

use std::net::{SocketAddr, SocketAddrV4};

use crate::checksum;
use crate::command::SessionSpec;

use super::ha::{self, HaHeader, Kind};
use super::{ipv4, l2tp, ppp, udp};

/// Octets before the inner packet of an HA set.
pub const HA_OCTETS: usize = 50;
/// Octets before the inner packet of a plain session with address and control.
pub const PLAIN_MAX_OCTETS: usize = 38;
/// The same without them.
pub const PLAIN_OCTETS: usize = 36;

const TOTAL_LENGTH: usize = 2;
const IDENTIFICATION: usize = 4;
const IPV4_CHECKSUM: usize = 10;
const UDP: usize = ipv4::HEADER_OCTETS;
const UDP_LENGTH: usize = UDP + 4;
const UDP_CHECKSUM: usize = UDP + 6;
const L2TP: usize = UDP + udp::HEADER_OCTETS;
const HA: usize = L2TP + 8;
const HA_EPOCH: usize = HA + 2;

/// One session's prebuilt headers.
#[derive(Clone, Debug)]
pub struct Template {
    form: Form,
    /// Sum of the IPv4 header without total length, identification and checksum.
    ipv4_sum: u32,
    /// Sum of what the UDP checksum covers before the inner packet, without
    /// the two lengths, epoch and number; `None` to send no checksum.
    udp_sum: Option<u32>,
}

#[derive(Clone, Debug)]
enum Form {
    Ha([u8; HA_OCTETS]),
    Plain([u8; PLAIN_OCTETS]),
    PlainAddressControl([u8; PLAIN_MAX_OCTETS]),
}

impl Template {
    /// Builds the headers of a session: with an HA header when it is in a set.
    /// `None` when its two ends are not both IPv4.
    #[must_use]
    pub fn new(session: &SessionSpec) -> Option<Self> {
        let (SocketAddr::V4(local), SocketAddr::V4(peer)) = (session.local, session.peer) else {
            return None;
        };
        let octets = build(session, local, peer);
        // What varies is zero for now.
        let ipv4_sum = checksum::sum(&octets[..UDP]);
        let udp_sum = checksum::pseudo_header_sum(
            local.ip().octets(),
            peer.ip().octets(),
            ipv4::PROTOCOL_UDP,
            0,
        ) + checksum::sum(&octets[UDP..]);
        let mut ha = [0; HA_OCTETS];
        let mut plain = [0; PLAIN_OCTETS];
        let mut plain_address_control = [0; PLAIN_MAX_OCTETS];
        let form = if session.set.is_some() {
            ha.copy_from_slice(&octets);
            Form::Ha(ha)
        } else if session.address_control {
            plain_address_control.copy_from_slice(&octets);
            Form::PlainAddressControl(plain_address_control)
        } else {
            plain.copy_from_slice(&octets);
            Form::Plain(plain)
        };
        Some(Self {
            form,
            ipv4_sum,
            udp_sum: session.udp_checksum.then_some(udp_sum),
        })
    }

    /// How many octets stand before the inner packet.
    #[inline]
    #[must_use]
    pub fn octets(&self) -> usize {
        match self.form {
            Form::Ha(_) => HA_OCTETS,
            Form::Plain(_) => PLAIN_OCTETS,
            Form::PlainAddressControl(_) => PLAIN_MAX_OCTETS,
        }
    }

    /// Whether the packets carry an HA header, with epoch and number.
    #[inline]
    #[must_use]
    pub fn is_ha(&self) -> bool {
        matches!(self.form, Form::Ha(_))
    }

    /// Writes the headers of one copy to the first [`Self::octets`] of
    /// `header`, which the inner packet follows.
    ///
    /// `inner_sum` is [`checksum::sum`] of the inner packet, taken once for all
    /// copies (it is not used by sessions that send no UDP checksum). `number`
    /// and `epoch` go into the HA header, if there is one. Returns false, with
    /// nothing written, when `header` is too short for the headers or the
    /// packet too long for IPv4.
    #[inline]
    pub fn write(
        &self,
        header: &mut [u8],
        inner_octets: usize,
        number: u64,
        epoch: u32,
        inner_sum: u32,
        identification: u16,
    ) -> bool {
        let patch = Patch {
            inner_octets,
            inner_sum,
            identification,
        };
        match &self.form {
            Form::Ha(octets) => {
                let [_, _, n0, n1, n2, n3, n4, n5] = number.to_be_bytes();
                let [e0, e1, e2, e3] = epoch.to_be_bytes();
                let series = [e0, e1, e2, e3, n0, n1, n2, n3, n4, n5];
                let sum = checksum::sum(&series);
                let Some(header) = self.patched(octets, header, &patch, sum) else {
                    return false;
                };
                header[HA_EPOCH..HA_EPOCH + series.len()].copy_from_slice(&series);
                true
            }
            Form::Plain(octets) => self.patched(octets, header, &patch, 0).is_some(),
            Form::PlainAddressControl(octets) => self.patched(octets, header, &patch, 0).is_some(),
        }
    }

    /// Copies the headers, and fills in lengths, identification and checksums.
    /// `series_sum` is the sum of epoch and number. The length is a constant
    /// to the compiler, which turns the copy into a few wide stores.
    #[inline]
    fn patched<'a, const N: usize>(
        &self,
        octets: &[u8; N],
        header: &'a mut [u8],
        patch: &Patch,
        series_sum: u32,
    ) -> Option<&'a mut [u8; N]> {
        let header: &mut [u8; N] = header.first_chunk_mut()?;
        let total = u16::try_from(N.checked_add(patch.inner_octets)?).ok()?;
        let udp_length = total - ipv4::HEADER_OCTETS as u16;
        let identification = patch.identification;
        let ipv4_checksum =
            checksum::finish(self.ipv4_sum + u32::from(total) + u32::from(identification));
        let udp_checksum = self.udp_sum.map_or(0, |sum| {
            // The length stands in the pseudo-header and in the header.
            let lengths = 2 * u32::from(udp_length);
            udp::finish(sum + lengths + series_sum + u32::from(checksum::fold(patch.inner_sum)))
        });
        *header = *octets;
        header[TOTAL_LENGTH..TOTAL_LENGTH + 2].copy_from_slice(&total.to_be_bytes());
        header[IDENTIFICATION..IDENTIFICATION + 2].copy_from_slice(&identification.to_be_bytes());
        header[IPV4_CHECKSUM..IPV4_CHECKSUM + 2].copy_from_slice(&ipv4_checksum.to_be_bytes());
        header[UDP_LENGTH..UDP_LENGTH + 2].copy_from_slice(&udp_length.to_be_bytes());
        header[UDP_CHECKSUM..UDP_CHECKSUM + 2].copy_from_slice(&udp_checksum.to_be_bytes());
        Some(header)
    }
}

/// What one copy's headers need to know of its inner packet.
struct Patch {
    inner_octets: usize,
    inner_sum: u32,
    identification: u16,
}

/// All headers of a session, with everything zero that differs between packets.
fn build(session: &SessionSpec, local: SocketAddrV4, peer: SocketAddrV4) -> Vec<u8> {
    let mut octets = Vec::with_capacity(HA_OCTETS);
    octets.extend(ipv4::header(
        *local.ip(),
        *peer.ip(),
        ipv4::PROTOCOL_UDP,
        0,
        0,
    ));
    octets[IPV4_CHECKSUM..IPV4_CHECKSUM + 2].fill(0);
    octets.extend(local.port().to_be_bytes());
    octets.extend(peer.port().to_be_bytes());
    octets.extend([0; 4]);
    let offset_flag = if session.set.is_some() {
        l2tp::FLAG_OFFSET
    } else {
        0
    };
    octets.extend((offset_flag | l2tp::VERSION).to_be_bytes());
    octets.extend(session.peer_tunnel.to_be_bytes());
    octets.extend(session.peer_session.to_be_bytes());
    if session.set.is_some() {
        octets.extend((ha::OCTETS as u16).to_be_bytes());
        let header = HaHeader {
            kind: Kind::Data,
            flags: 0,
            epoch: 0,
            number: 0,
        };
        octets.extend(header.octets());
    } else if session.address_control {
        octets.extend(ppp::ADDRESS_CONTROL);
    }
    octets.extend(ppp::PROTOCOL_IPV4.to_be_bytes());
    octets
}
