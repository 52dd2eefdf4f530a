//! Everything that stands before an inner packet on a link, from the outer IP
//! header to the PPP protocol, built once for each session.
//!
//! ```text
//! HA:     IP 20 or 40 | UDP 8 | L2TP with O 8 | HA header 12 | PPP protocol 2             = 50 or 70
//! plain:  IP 20 or 40 | UDP 8 | L2TP 6        | FF 03 when asked for | PPP protocol 2      = 36, 38, 56 or 58
//! with S: IP 20 or 40 | UDP 8 | L2TP with S 10 | FF 03 when asked for | PPP protocol 2     = 40, 42, 60 or 62
//! ```
//!
//! Over IPv4, DF is clear and every packet has an identification of its own: a
//! router with a smaller MTU on the way may fragment, and a peer that
//! reassembles (an ordinary LNS) still gets the packet. With DF set such a
//! packet would vanish wherever ICMP is filtered, and a link that is up would
//! carry nothing. Inner packets are kept to the link's MTU, so none of this
//! should happen. Over IPv6 no router fragments, and there is no identification.

use std::net::IpAddr;

use crate::checksum;
use crate::command::SessionSpec;

use super::ha::{self, HaHeader, Kind};
use super::{ipv4, ipv6, l2tp, ppp, udp};

/// Octets before the inner packet of an HA set, over IPv4.
pub const HA_OCTETS: usize = 50;
/// Octets before the inner packet of a plain session with address and control, over IPv4.
pub const PLAIN_MAX_OCTETS: usize = 38;
/// The same without them.
pub const PLAIN_OCTETS: usize = 36;

/// What Ns and Nr take.
pub const SEQUENCE_OCTETS: usize = 4;

/// What the IPv6 header is longer.
pub const IPV6_EXTRA_OCTETS: usize = ipv6::HEADER_OCTETS - ipv4::HEADER_OCTETS;

const HA_IPV6_OCTETS: usize = HA_OCTETS + IPV6_EXTRA_OCTETS;
const PLAIN_MAX_IPV6_OCTETS: usize = PLAIN_MAX_OCTETS + IPV6_EXTRA_OCTETS;
const PLAIN_IPV6_OCTETS: usize = PLAIN_OCTETS + IPV6_EXTRA_OCTETS;
const SEQUENCED_OCTETS: usize = PLAIN_OCTETS + SEQUENCE_OCTETS;
const SEQUENCED_MAX_OCTETS: usize = PLAIN_MAX_OCTETS + SEQUENCE_OCTETS;
const SEQUENCED_IPV6_OCTETS: usize = PLAIN_IPV6_OCTETS + SEQUENCE_OCTETS;
const SEQUENCED_MAX_IPV6_OCTETS: usize = PLAIN_MAX_IPV6_OCTETS + SEQUENCE_OCTETS;

const TOTAL_LENGTH: usize = 2;
const IDENTIFICATION: usize = 4;
const IPV4_CHECKSUM: usize = 10;

/// Octets of the outer IP header: where UDP starts.
const IPV4: usize = ipv4::HEADER_OCTETS;
const IPV6: usize = ipv6::HEADER_OCTETS;

// From the start of UDP.
const UDP_LENGTH: usize = 4;
const UDP_CHECKSUM: usize = 6;
const HA_FLAGS: usize = udp::HEADER_OCTETS + 8 + 1;
const HA_EPOCH: usize = HA_FLAGS + 1;
const NS: usize = udp::HEADER_OCTETS + 6;

/// One session's prebuilt headers.
#[derive(Clone, Debug)]
pub struct Template {
    form: Form,
    /// Sum of the IPv4 header without total length, identification and checksum.
    ipv4_sum: u32,
    /// Sum of what the UDP checksum covers before the inner packet, without the
    /// two lengths, flags, epoch, number and PPP protocol; `None` to send no checksum.
    udp_sum: Option<u32>,
    /// Sum of the pseudo-header without the length.
    pseudo_header_sum: u32,
}

#[derive(Clone, Debug)]
enum Form {
    Ha([u8; HA_OCTETS]),
    Plain([u8; PLAIN_OCTETS]),
    PlainAddressControl([u8; PLAIN_MAX_OCTETS]),
    HaIpv6([u8; HA_IPV6_OCTETS]),
    PlainIpv6([u8; PLAIN_IPV6_OCTETS]),
    PlainAddressControlIpv6([u8; PLAIN_MAX_IPV6_OCTETS]),
    Sequenced([u8; SEQUENCED_OCTETS]),
    SequencedAddressControl([u8; SEQUENCED_MAX_OCTETS]),
    SequencedIpv6([u8; SEQUENCED_IPV6_OCTETS]),
    SequencedAddressControlIpv6([u8; SEQUENCED_MAX_IPV6_OCTETS]),
}

/// What the headers of one copy say of its packet.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// Of the inner packet.
    pub inner_octets: usize,
    /// [`checksum::sum`] of the inner packet, taken once for all copies (it is
    /// not used by sessions that send no UDP checksum).
    pub inner_sum: u32,
    /// PPP protocol of the inner packet; before a later piece, which has none,
    /// the piece's first two octets, which then do not belong to the inner packet.
    pub protocol: u16,
    /// For the HA header, if there is one. The number is also that of a session's
    /// sequence, if the headers have one.
    pub flags: u8,
    pub epoch: u32,
    pub number: u64,
    /// For the outer IPv4 header, if it is one.
    pub identification: u16,
}

impl Template {
    /// Builds the headers of a session: with an HA header when it is in a set.
    /// `None` when its two ends are of different families.
    #[must_use]
    pub fn new(session: &SessionSpec) -> Option<Self> {
        Self::of(session, false)
    }

    /// The same with a sequence number (RFC 2661, 5.4), for a session without a set.
    #[must_use]
    pub fn sequenced(session: &SessionSpec) -> Option<Self> {
        Self::of(session, true)
    }

    fn of(session: &SessionSpec, sequenced: bool) -> Option<Self> {
        let octets = build(session, sequenced)?;
        // What varies is zero for now.
        let over_ipv6 = session.peer.is_ipv6();
        let (ip, behind) = octets.split_at(if over_ipv6 { IPV6 } else { IPV4 });
        let pseudo_header_sum = udp::pseudo_header_sum(session.local.ip(), session.peer.ip(), 0);
        let udp_sum = pseudo_header_sum + checksum::sum(behind);
        Some(Self {
            form: form(&octets)?,
            ipv4_sum: checksum::sum(ip),
            udp_sum: (session.udp_checksum || over_ipv6).then_some(udp_sum),
            pseudo_header_sum,
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
            Form::HaIpv6(_) => HA_IPV6_OCTETS,
            Form::PlainIpv6(_) => PLAIN_IPV6_OCTETS,
            Form::PlainAddressControlIpv6(_) => PLAIN_MAX_IPV6_OCTETS,
            Form::Sequenced(octets) => octets.len(),
            Form::SequencedAddressControl(octets) => octets.len(),
            Form::SequencedIpv6(octets) => octets.len(),
            Form::SequencedAddressControlIpv6(octets) => octets.len(),
        }
    }

    /// Whether the packets carry an HA header, with epoch and number.
    #[inline]
    #[must_use]
    pub fn is_ha(&self) -> bool {
        matches!(self.form, Form::Ha(_) | Form::HaIpv6(_))
    }

    /// The headers of the form with HA over IPv4, if they are of it: zero where
    /// packets differ.
    #[must_use]
    pub(super) fn ha_over_ipv4(&self) -> Option<&[u8; HA_OCTETS]> {
        match &self.form {
            Form::Ha(octets) => Some(octets),
            _ => None,
        }
    }

    #[inline]
    #[must_use]
    pub fn is_over_ipv6(&self) -> bool {
        matches!(
            self.form,
            Form::HaIpv6(_)
                | Form::PlainIpv6(_)
                | Form::PlainAddressControlIpv6(_)
                | Form::SequencedIpv6(_)
                | Form::SequencedAddressControlIpv6(_)
        )
    }

    /// Whether the packets carry a UDP checksum, which is made from the sum of
    /// the inner packet.
    #[inline]
    #[must_use]
    pub fn has_udp_checksum(&self) -> bool {
        self.udp_sum.is_some()
    }

    /// Writes the headers of one copy to the first [`Self::octets`] of
    /// `header`, which the inner packet follows. Returns false, with nothing
    /// written, when `header` is too short for the headers or the packet too
    /// long for IP.
    #[inline(always)]
    pub fn write(&self, header: &mut [u8], fields: &Fields) -> bool {
        match &self.form {
            Form::Ha(octets) => self.write_ha::<_, IPV4>(octets, header, fields),
            Form::Plain(octets) => self.patched::<_, IPV4>(octets, header, fields, 0).is_some(),
            Form::PlainAddressControl(octets) => {
                self.patched::<_, IPV4>(octets, header, fields, 0).is_some()
            }
            Form::HaIpv6(octets) => self.write_ha::<_, IPV6>(octets, header, fields),
            Form::PlainIpv6(octets) => self.patched::<_, IPV6>(octets, header, fields, 0).is_some(),
            Form::PlainAddressControlIpv6(octets) => {
                self.patched::<_, IPV6>(octets, header, fields, 0).is_some()
            }
            Form::Sequenced(octets) => self.write_sequenced::<_, IPV4>(octets, header, fields),
            Form::SequencedAddressControl(octets) => {
                self.write_sequenced::<_, IPV4>(octets, header, fields)
            }
            Form::SequencedIpv6(octets) => self.write_sequenced::<_, IPV6>(octets, header, fields),
            Form::SequencedAddressControlIpv6(octets) => {
                self.write_sequenced::<_, IPV6>(octets, header, fields)
            }
        }
    }

    /// Prepares headers that were written for a port that fills in the checksums
    /// itself: the one of IPv4 is 0, and where UDP's belongs stands the sum of the
    /// pseudo-header.
    pub fn leave_checksums(&self, header: &mut [u8]) {
        let udp = if self.is_over_ipv6() {
            IPV6
        } else {
            if let Some(checksum) = header.get_mut(IPV4_CHECKSUM..IPV4_CHECKSUM + 2) {
                checksum.fill(0);
            }
            IPV4
        };
        let Some(&mut [.., l0, l1, ref mut c0, ref mut c1]) = header
            .get_mut(udp..)
            .and_then(<[u8]>::first_chunk_mut::<{ udp::HEADER_OCTETS }>)
        else {
            return;
        };
        let length = u16::from_be_bytes([l0, l1]);
        let sum = checksum::fold(self.pseudo_header_sum + u32::from(length));
        [*c0, *c1] = sum.to_be_bytes();
    }

    #[inline]
    fn write_ha<const N: usize, const IP: usize>(
        &self,
        octets: &[u8; N],
        header: &mut [u8],
        fields: &Fields,
    ) -> bool {
        let [_, _, n0, n1, n2, n3, n4, n5] = fields.number.to_be_bytes();
        let [e0, e1, e2, e3] = fields.epoch.to_be_bytes();
        let series = [e0, e1, e2, e3, n0, n1, n2, n3, n4, n5];
        // The flags are the low octet of their word.
        let sum = checksum::sum(&series) + u32::from(fields.flags);
        let Some(header) = self.patched::<N, IP>(octets, header, fields, sum) else {
            return false;
        };
        put(header, IP + HA_FLAGS, [fields.flags]);
        put(header, IP + HA_EPOCH, series);
        true
    }

    fn write_sequenced<const N: usize, const IP: usize>(
        &self,
        octets: &[u8; N],
        header: &mut [u8],
        fields: &Fields,
    ) -> bool {
        let ns = fields.number as u16;
        let Some(header) = self.patched::<N, IP>(octets, header, fields, ns.into()) else {
            return false;
        };
        put(header, IP + NS, ns.to_be_bytes());
        true
    }

    /// Copies the headers behind an outer IP header of `IP` octets, and fills in
    /// lengths, identification, checksums and PPP protocol. `series_sum` is the
    /// sum of flags, epoch and number. The lengths are constants to the compiler, which
    /// turns the copy into a few wide stores.
    #[inline]
    fn patched<'a, const N: usize, const IP: usize>(
        &self,
        octets: &[u8; N],
        header: &'a mut [u8],
        fields: &Fields,
        series_sum: u32,
    ) -> Option<&'a mut [u8; N]> {
        let header: &mut [u8; N] = header.first_chunk_mut()?;
        let total = N.checked_add(fields.inner_octets)?;
        // What the IP header gives: all, or what follows the header.
        let length = u16::try_from(if IP == IPV6 { total - IP } else { total }).ok()?;
        let udp_length = (total - IP) as u16;
        let udp_checksum = self.udp_sum.map_or(0, |sum| {
            // The length stands in the pseudo-header and in the header.
            let varying = 2 * u32::from(udp_length) + series_sum + u32::from(fields.protocol);
            udp::finish(sum + varying + u32::from(checksum::fold(fields.inner_sum)))
        });
        *header = *octets;
        if IP == IPV6 {
            put(header, ipv6::PAYLOAD_LENGTH, length.to_be_bytes());
        } else {
            let identification = fields.identification;
            let sum = self.ipv4_sum + u32::from(length) + u32::from(identification);
            put(header, TOTAL_LENGTH, length.to_be_bytes());
            put(header, IDENTIFICATION, identification.to_be_bytes());
            put(header, IPV4_CHECKSUM, checksum::finish(sum).to_be_bytes());
        }
        put(header, IP + UDP_LENGTH, udp_length.to_be_bytes());
        put(header, IP + UDP_CHECKSUM, udp_checksum.to_be_bytes());
        let protocol = fields.protocol.to_be_bytes();
        put(header, N - ppp::PROTOCOL_OCTETS, protocol);
        Some(header)
    }
}

/// Writes octets at a place that is in the header.
#[inline(always)]
fn put<const N: usize, const M: usize>(header: &mut [u8; N], at: usize, octets: [u8; M]) {
    header[at..at + M].copy_from_slice(&octets);
}

/// The form whose headers are so long: no two are alike.
fn form(octets: &[u8]) -> Option<Form> {
    let form = match octets.len() {
        HA_OCTETS => Form::Ha(octets.try_into().ok()?),
        PLAIN_OCTETS => Form::Plain(octets.try_into().ok()?),
        PLAIN_MAX_OCTETS => Form::PlainAddressControl(octets.try_into().ok()?),
        HA_IPV6_OCTETS => Form::HaIpv6(octets.try_into().ok()?),
        PLAIN_IPV6_OCTETS => Form::PlainIpv6(octets.try_into().ok()?),
        PLAIN_MAX_IPV6_OCTETS => Form::PlainAddressControlIpv6(octets.try_into().ok()?),
        SEQUENCED_OCTETS => Form::Sequenced(octets.try_into().ok()?),
        SEQUENCED_MAX_OCTETS => Form::SequencedAddressControl(octets.try_into().ok()?),
        SEQUENCED_IPV6_OCTETS => Form::SequencedIpv6(octets.try_into().ok()?),
        SEQUENCED_MAX_IPV6_OCTETS => Form::SequencedAddressControlIpv6(octets.try_into().ok()?),
        _ => return None,
    };
    Some(form)
}

/// All headers of a session, with everything zero that differs between packets.
fn build(session: &SessionSpec, sequenced: bool) -> Option<Vec<u8>> {
    let (local, peer) = (session.local, session.peer);
    let mut octets = Vec::with_capacity(HA_IPV6_OCTETS);
    match (local.ip(), peer.ip()) {
        (IpAddr::V4(local), IpAddr::V4(peer)) => {
            octets.extend(ipv4::header(local, peer, ipv4::PROTOCOL_UDP, 0, 0));
            octets[IPV4_CHECKSUM..IPV4_CHECKSUM + 2].fill(0);
        }
        (IpAddr::V6(local), IpAddr::V6(peer)) => {
            octets.extend(ipv6::header(local, peer, ipv6::NEXT_UDP, 0));
        }
        _ => return None,
    }
    octets.extend(local.port().to_be_bytes());
    octets.extend(peer.port().to_be_bytes());
    octets.extend([0; 4]);
    let optional = match session.set {
        Some(_) => l2tp::FLAG_OFFSET,
        None if sequenced => l2tp::FLAG_SEQUENCE,
        None => 0,
    };
    octets.extend((optional | l2tp::VERSION).to_be_bytes());
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
    } else {
        if sequenced {
            // Ns for now, and Nr, which is reserved in data messages.
            octets.extend([0; SEQUENCE_OCTETS]);
        }
        if session.address_control {
            octets.extend(ppp::ADDRESS_CONTROL);
        }
    }
    octets.extend([0; ppp::PROTOCOL_OCTETS]);
    Some(octets)
}
