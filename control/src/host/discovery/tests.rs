use proptest::prelude::*;

use super::*;

const US: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x10);
const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn solicited() -> Vec<u8> {
    let group = solicited_node(US);
    frame(
        HOST_MAC,
        group_mac(group),
        &solicitation(HOST_MAC, HOST, US, group),
    )
}

fn advertised(solicited: bool, destination: Ipv6Addr) -> Vec<u8> {
    let told = Advertisement {
        target: HOST,
        mac: Some(HOST_MAC),
        router: true,
        solicited,
        overrides: false,
    };
    frame(HOST_MAC, OUR_MAC, &advertisement(&told, HOST, destination))
}

/// Makes the checksum right again.
fn mended(mut frame: Vec<u8>) -> Vec<u8> {
    let mut ipv6 = Ipv6Packet::new_unchecked(&mut frame[14..]);
    let (source, destination) = (ipv6.src_addr(), ipv6.dst_addr());
    Icmpv6Packet::new_unchecked(ipv6.payload_mut()).fill_checksum(&source, &destination);
    frame
}

/// A message with octets changed from this place in the frame on.
fn changed(frame: &[u8], at: usize, octets: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + octets.len()].copy_from_slice(octets);
    mended(frame)
}

#[test]
fn what_is_written_is_read() {
    let Message::Solicitation(asked) = parse(&solicited()).unwrap().message else {
        panic!("no solicitation");
    };
    let expected = Solicitation {
        source: HOST,
        target: US,
        mac: Some(HOST_MAC),
    };
    assert_eq!(asked, expected);
    let read = parse(&advertised(true, US)).unwrap();
    let expected = Message::Advertisement(Advertisement {
        target: HOST,
        mac: Some(HOST_MAC),
        router: true,
        solicited: true,
        overrides: false,
    });
    assert_eq!(read.message, expected);
    assert_eq!((read.source_mac, read.destination_mac), (HOST_MAC, OUR_MAC));
}

/// Each rule of RFC 4861, 7.1.1 and 7.1.2, broken alone.
#[test]
fn every_rule_of_validation_is_heeded() {
    const HOP_LIMIT: usize = 14 + 7;
    const SOURCE: usize = 14 + 8;
    const DESTINATION: usize = 14 + 24;
    const TYPE: usize = 14 + 40;
    const CODE: usize = TYPE + 1;
    const TARGET: usize = TYPE + 8;
    const OPTION: usize = TYPE + 24;
    let (asked, told) = (solicited(), advertised(true, US));
    let mut damaged = asked.clone();
    damaged[TYPE + 2] ^= 1;
    let mut short = asked[..asked.len() - 9].to_vec();
    short[18..20].copy_from_slice(&23_u16.to_be_bytes());
    let unspecified = Ipv6Addr::UNSPECIFIED.octets();
    let group = solicited_node(US).octets();
    let cases = [
        ("hop limit", changed(&asked, HOP_LIMIT, &[254])),
        ("checksum", damaged),
        ("code", changed(&asked, CODE, &[1])),
        ("length", mended(short)),
        ("target", changed(&asked, TARGET, &group)),
        ("option of length 0", changed(&asked, OPTION + 1, &[0])),
        ("option past the end", changed(&asked, OPTION + 1, &[2])),
        (
            "no source, but an address",
            changed(&asked, SOURCE, &unspecified),
        ),
        ("multicast source", changed(&asked, SOURCE, &group)),
        ("hop limit", changed(&told, HOP_LIMIT, &[64])),
        ("code", changed(&told, CODE, &[7])),
        ("target", changed(&told, TARGET, &group)),
        ("solicited, but to all", advertised(true, ALL_NODES)),
        ("no source", changed(&told, SOURCE, &unspecified)),
        ("no ICMP", changed(&told, 14 + 6, &[17])),
        ("no IPv6", changed(&told, 14, &[0x40])),
        ("another EtherType", changed(&told, 12, &[8, 0])),
        ("nothing", Vec::new()),
        ("half a header", asked[..40].to_vec()),
    ];
    for (what, frame) in cases {
        assert_eq!(parse(&frame), Err(Refused::Malformed), "{what}");
    }
    // A source-less solicitation by unicast, without an option.
    let by_unicast = frame(
        HOST_MAC,
        OUR_MAC,
        &solicitation(HOST_MAC, Ipv6Addr::UNSPECIFIED, US, US),
    );
    assert_eq!(parse(&by_unicast), Err(Refused::Malformed));
    assert!(parse(&changed(&told, DESTINATION, &HOST.octets())).is_ok());
    // Unknown options are skipped (RFC 4861, 4.6).
    let unknown = changed(&asked, OPTION, &[200]);
    let Message::Solicitation(asked) = parse(&unknown).unwrap().message else {
        panic!("no solicitation");
    };
    assert_eq!(asked.mac, None);
}

#[test]
fn routers_and_redirects_are_no_business_of_ours() {
    // Of the length that each has without options.
    for (kind, octets) in [(133, 8), (134, 16), (137, 40_u8)] {
        let mut frame = advertised(true, US)[..54].to_vec();
        frame.extend([kind, 0]);
        frame.resize(54 + usize::from(octets), 0);
        frame[18..20].copy_from_slice(&[0, octets]);
        assert_eq!(
            parse(&mended(frame)),
            Err(Refused::NotForNeighbours),
            "{kind}"
        );
    }
}

proptest! {
    #[test]
    fn any_octets_parse_or_do_not(
        kind in 130..140_u8,
        rest in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut octets = advertised(true, US)[..54].to_vec();
        octets.push(kind);
        octets.push(0);
        octets.extend(rest);
        let length = u16::try_from(octets.len() - 54).unwrap();
        octets[18..20].copy_from_slice(&length.to_be_bytes());
        if octets.len() >= 58 {
            octets = mended(octets);
        }
        let _ = parse(&octets);
        let _ = parse(&octets[14..]);
    }

    /// Nothing but the fields that are not looked at may change unnoticed.
    #[test]
    fn a_damaged_message_is_refused(at in 20..86_usize, bit in 0..8_u32) {
        let mut frame = solicited();
        frame[at] ^= 1 << bit;
        prop_assert!(parse(&frame).is_err());
    }
}
