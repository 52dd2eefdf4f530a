//! PPPoE's frames (RFC 2516 4, 5): the header of both stages, and the tags of
//! discovery.

use dataplane::headers::ethernet::{
    self, ETHER_TYPE_PPPOE_DISCOVERY, ETHER_TYPE_PPPOE_SESSION, Ethernet,
};
use dataplane::headers::pppoe::HEADER_OCTETS;

/// Version 1, type 1.
const VERSION_AND_TYPE: u8 = 0x11;
/// What a frame's header and tags may come to: an Ethernet frame's 1500 octets.
const MAX_OCTETS: usize = 1500;

/// What a discovery packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// PADI: who has this service?
    Initiation,
    /// PADO: I have.
    Offer,
    /// PADR: a session, please.
    Request,
    /// PADS: here is its id, or why there is none.
    Confirmation,
    /// PADT: the session is over.
    Termination,
}

impl Code {
    const ALL: [Self; 5] = [
        Self::Initiation,
        Self::Offer,
        Self::Request,
        Self::Confirmation,
        Self::Termination,
    ];

    const fn number(self) -> u8 {
        match self {
            Self::Initiation => 0x09,
            Self::Offer => 0x07,
            Self::Request => 0x19,
            Self::Confirmation => 0x65,
            Self::Termination => 0xa7,
        }
    }
}

/// Tag types (RFC 2516, appendix A; RFC 4638 3).
pub(super) mod tag {
    pub(in crate::pppoe) const END_OF_LIST: u16 = 0x0000;
    pub(in crate::pppoe) const SERVICE_NAME: u16 = 0x0101;
    pub(in crate::pppoe) const AC_NAME: u16 = 0x0102;
    pub(in crate::pppoe) const HOST_UNIQ: u16 = 0x0103;
    pub(in crate::pppoe) const AC_COOKIE: u16 = 0x0104;
    pub(in crate::pppoe) const RELAY_SESSION_ID: u16 = 0x0110;
    pub(in crate::pppoe) const PPP_MAX_PAYLOAD: u16 = 0x0120;
    pub(in crate::pppoe) const SERVICE_NAME_ERROR: u16 = 0x0201;
    pub(in crate::pppoe) const AC_SYSTEM_ERROR: u16 = 0x0202;
    pub(in crate::pppoe) const GENERIC_ERROR: u16 = 0x0203;
}

/// Why a frame is not one of PPPoE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Another EtherType, or fewer octets than its headers have.
    Header,
    /// Another version or type than 1, or no such code.
    Kind,
    /// The length goes past the end of the frame.
    Length,
    /// A tag goes past the end of the others.
    Tag,
}

/// A discovery packet whose tags are all within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) ethernet: Ethernet,
    pub(super) code: Code,
    pub(super) session: u16,
    tags: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a frame from its Ethernet header on. Octets past the length are
    /// padding.
    pub(super) fn parse(frame: &'a [u8]) -> Result<Self, Malformed> {
        let (ethernet, code, session, tags) = split(frame, ETHER_TYPE_PPPOE_DISCOVERY)?;
        let mut codes = Code::ALL.into_iter();
        let code = codes
            .find(|known| known.number() == code)
            .ok_or(Malformed::Kind)?;
        let packet = Self {
            ethernet,
            code,
            session,
            tags,
        };
        let mut rest = tags;
        while !rest.is_empty() {
            match take_tag(rest).ok_or(Malformed::Tag)? {
                (tag::END_OF_LIST, ..) => break,
                (_, _, after) => rest = after,
            }
        }
        Ok(packet)
    }

    /// All tags of a type.
    pub(super) fn all(&self, kind: u16) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.tags;
        let tags = std::iter::from_fn(move || {
            let (kind, value, after) = take_tag(rest)?;
            rest = after;
            (kind != tag::END_OF_LIST).then_some((kind, value))
        });
        tags.filter(move |(found, _)| *found == kind)
            .map(|(_, value)| value)
    }

    /// The first tag of a type.
    pub(super) fn tag(&self, kind: u16) -> Option<&'a [u8]> {
        self.all(kind).next()
    }
}

/// The first tag: its type, its value, and what comes after it.
fn take_tag(tags: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[k0, k1, l0, l1], rest) = tags.split_first_chunk()?;
    let (value, after) = rest.split_at_checked(u16::from_be_bytes([l0, l1]).into())?;
    Some((u16::from_be_bytes([k0, k1]), value, after))
}

/// The headers of a frame and what is in it.
fn split(frame: &[u8], ether_type: u16) -> Result<(Ethernet, u8, u16, &[u8]), Malformed> {
    let ethernet = ethernet::parse(frame)
        .filter(|ethernet| ethernet.ether_type == ether_type)
        .ok_or(Malformed::Header)?;
    let (&[kind, code, s0, s1, l0, l1], rest) = frame[ethernet::HEADER_OCTETS..]
        .split_first_chunk::<HEADER_OCTETS>()
        .ok_or(Malformed::Header)?;
    if kind != VERSION_AND_TYPE {
        return Err(Malformed::Kind);
    }
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let payload = rest.get(..length).ok_or(Malformed::Length)?;
    Ok((ethernet, code, u16::from_be_bytes([s0, s1]), payload))
}

/// Reads a session frame from its Ethernet header on: who sent it to whom, the
/// session, and the PPP frame from its protocol field on.
pub(super) fn parse_session(frame: &[u8]) -> Result<(Ethernet, u16, &[u8]), Malformed> {
    match split(frame, ETHER_TYPE_PPPOE_SESSION)? {
        (ethernet, 0, session, ppp) => Ok((ethernet, session, ppp)),
        _ => Err(Malformed::Kind),
    }
}

fn header(ethernet: &Ethernet, code: u8, session: u16, octets: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ethernet::HEADER_OCTETS + HEADER_OCTETS + octets);
    frame.extend_from_slice(&ethernet.octets());
    frame.extend_from_slice(&[VERSION_AND_TYPE, code]);
    frame.extend_from_slice(&session.to_be_bytes());
    frame.extend_from_slice(&u16::try_from(octets).unwrap_or(u16::MAX).to_be_bytes());
    frame
}

/// A session frame; `ppp` begins with its protocol field and fits a frame.
pub(super) fn session_frame(
    source: [u8; 6],
    destination: [u8; 6],
    session: u16,
    ppp: &[u8],
) -> Vec<u8> {
    let ethernet = Ethernet {
        destination,
        source,
        ether_type: ETHER_TYPE_PPPOE_SESSION,
    };
    let mut frame = header(&ethernet, 0, session, ppp.len());
    frame.extend_from_slice(ppp);
    frame
}

/// A discovery frame; `None` when the tags do not fit one.
pub(super) fn discovery_frame(
    source: [u8; 6],
    destination: [u8; 6],
    code: Code,
    session: u16,
    tags: &[(u16, &[u8])],
) -> Option<Vec<u8>> {
    let octets = tags.iter().map(|(_, value)| 4 + value.len()).sum();
    if HEADER_OCTETS + octets > MAX_OCTETS {
        return None;
    }
    let ethernet = Ethernet {
        destination,
        source,
        ether_type: ETHER_TYPE_PPPOE_DISCOVERY,
    };
    let mut frame = header(&ethernet, code.number(), session, octets);
    for (kind, value) in tags {
        frame.extend_from_slice(&kind.to_be_bytes());
        let octets = u16::try_from(value.len()).unwrap_or(u16::MAX);
        frame.extend_from_slice(&octets.to_be_bytes());
        frame.extend_from_slice(value);
    }
    Some(frame)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];

    /// RFC 2516, appendix B: a PADI for any service, and a PADO.
    #[test]
    fn the_rfcs_examples() {
        let padi = discovery_frame(
            [0x00, 0x50, 0xda, 0x42, 0xd7, 0xdf],
            ethernet::BROADCAST,
            Code::Initiation,
            0,
            &[(tag::SERVICE_NAME, b"")],
        );
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x50, 0xda, 0x42, 0xd7, 0xdf, 0x88, 0x63,
            0x11, 0x09, 0x00, 0x00, 0x00, 0x04, 0x01, 0x01, 0x00, 0x00,
        ];
        assert_eq!(padi.as_deref(), Some(&expected[..]));

        let mut pado = vec![
            0x00, 0x50, 0xda, 0x42, 0xd7, 0xdf, 0x00, 0x90, 0x1a, 0x00, 0x31, 0x7c, 0x88, 0x63,
            0x11, 0x07, 0x00, 0x00, 0x00, 0x20, 0x01, 0x01, 0x00, 0x00, 0x01, 0x02, 0x00, 0x18,
        ];
        pado.extend(b"Go RedBack - eshshesh.al");
        pado.extend([0; 14]);
        let packet = Packet::parse(&pado).unwrap();
        assert_eq!((packet.code, packet.session), (Code::Offer, 0));
        assert_eq!(packet.tag(tag::SERVICE_NAME), Some(&b""[..]));
        let name = b"Go RedBack - eshshesh.al";
        assert_eq!(packet.tag(tag::AC_NAME), Some(&name[..]));
        assert_eq!(packet.tag(tag::AC_COOKIE), None, "padding is no tag");
    }

    /// RFC 2516, appendix B: LCP in a session.
    #[test]
    fn a_session_frame_as_it_stands_on_the_wire() {
        let lcp = [0xc0, 0x21, 1, 1, 0, 4];
        let frame = session_frame(OURS, THEIRS, 0x1234, &lcp);
        let headers = [
            2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0x64, 0x11, 0, 0x12, 0x34, 0, 6,
        ];
        assert_eq!(frame, [&headers[..], &lcp].concat());
        let (ethernet, session, ppp) = parse_session(&frame).unwrap();
        assert_eq!((ethernet.source, session, ppp), (OURS, 0x1234, &lcp[..]));
        let mut padded = frame.clone();
        padded.extend([0; 40]);
        assert_eq!(parse_session(&padded).unwrap().2, lcp);
    }

    #[test]
    fn what_is_not_whole_is_malformed() {
        let tags: [(u16, &[u8]); 2] = [(tag::SERVICE_NAME, b"isp"), (tag::HOST_UNIQ, b"12345678")];
        let whole = discovery_frame(OURS, THEIRS, Code::Offer, 0, &tags).unwrap();
        assert!(Packet::parse(&whole).is_ok());
        for octets in 0..20 {
            assert_eq!(Packet::parse(&whole[..octets]), Err(Malformed::Header));
        }
        for octets in 20..whole.len() {
            assert_eq!(Packet::parse(&whole[..octets]), Err(Malformed::Length));
        }
        let with = |at: usize, octet| {
            let mut frame = whole.clone();
            frame[at] = octet;
            Packet::parse(&frame).map(|_| ())
        };
        assert_eq!(with(13, 0x64), Err(Malformed::Header), "EtherType");
        assert_eq!(with(14, 0x12), Err(Malformed::Kind), "version and type");
        assert_eq!(with(15, 0x08), Err(Malformed::Kind), "code");
        assert_eq!(
            with(23, 0x04),
            Err(Malformed::Tag),
            "the first goes too far"
        );
        assert_eq!(with(19, 3), Err(Malformed::Tag), "three octets are no tag");
        assert_eq!(with(19, 7), Ok(()), "the second is beyond the length");
        let mut session = session_frame(OURS, THEIRS, 1, &[0xc0, 0x21]);
        session[15] = 1;
        assert_eq!(parse_session(&session), Err(Malformed::Kind), "code");
    }

    #[test]
    fn nothing_counts_after_the_end_of_the_list() {
        let tags: [(u16, &[u8]); 3] = [
            (tag::SERVICE_NAME, b"a"),
            (tag::END_OF_LIST, b""),
            (tag::SERVICE_NAME, b"b"),
        ];
        let mut frame = discovery_frame(OURS, THEIRS, Code::Offer, 0, &tags).unwrap();
        frame.extend([9; 3]);
        frame[19] += 3;
        let packet = Packet::parse(&frame).unwrap();
        assert_eq!(packet.all(tag::SERVICE_NAME).collect::<Vec<_>>(), [b"a"]);
    }

    #[test]
    fn tags_that_do_not_fit_a_frame_are_not_sent() {
        let frame =
            |octets| discovery_frame(OURS, THEIRS, Code::Request, 0, &[(1, &vec![7; octets])]);
        assert_eq!(frame(1490).map(|frame| frame.len()), Some(1514));
        assert_eq!(frame(1491), None);
    }

    proptest! {
        #[test]
        fn written_packets_read_back(
            code in 0..5_usize,
            session: u16,
            tags in prop::collection::vec((1..=u16::MAX, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            padding in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let borrowed: Vec<_> = tags.iter().map(|(kind, value)| (*kind, &value[..])).collect();
            let mut frame = discovery_frame(OURS, THEIRS, Code::ALL[code], session, &borrowed).unwrap();
            frame.extend(padding);
            let packet = Packet::parse(&frame).unwrap();
            prop_assert_eq!((packet.code, packet.session), (Code::ALL[code], session));
            prop_assert_eq!((packet.ethernet.source, packet.ethernet.destination), (OURS, THEIRS));
            for (kind, _) in &tags {
                let expected: Vec<&[u8]> =
                    borrowed.iter().filter(|(other, _)| other == kind).map(|(_, value)| *value).collect();
                prop_assert_eq!(packet.all(*kind).collect::<Vec<_>>(), expected);
            }
        }

        #[test]
        fn any_octets_are_parsed_without_panic(mut octets: Vec<u8>, discovery: bool) {
            if let Some(kind) = octets.get_mut(12..16) {
                kind.copy_from_slice(if discovery { &[0x88, 0x63, 0x11, 0x07] } else { &[0x88, 0x64, 0x11, 0] });
            }
            if let Ok(packet) = Packet::parse(&octets) {
                prop_assert!(packet.all(tag::AC_NAME).count() <= octets.len());
            }
            if let Ok((_, _, ppp)) = parse_session(&octets) {
                prop_assert!(ppp.len() <= octets.len());
            }
        }
    }
}
