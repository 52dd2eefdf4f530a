use proptest::prelude::*;

use super::*;
use crate::host::discovery::ALL_NODES;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x10];

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

const SOLICITATION: &str = concat!(
    "33330000000202000000000186dd",
    "6000000000103aff",
    "fe80000000000000000000fffe000001ff020000000000000000000000000002",
    "85007b2c00000000",
    "0101020000000001",
);

const ADVERTISEMENT: &str = concat!(
    "33330000000102000000001086dd",
    "6000000000683aff",
    "fe80000000000000000000fffe000010ff020000000000000000000000000001",
    // Hop limit 64, M and O, high preference, 1800 s.
    "8600afab40c807080000000000000000",
    "0101020000000010",
    "05010000000005d4",
    // A /64, on link and for addresses, valid for a day, preferred for four hours.
    "030440c000015180000038400000000020010db8000100000000000000000000",
    // Two name servers for half an hour.
    "190500000000070820010db800000000000000000000005320010db8000000000000000000000054",
);

/// What [`ADVERTISEMENT`] says.
fn advertised() -> RouterAdvertisement {
    RouterAdvertisement {
        source: link_local(ROUTER_MAC),
        hop_limit: 64,
        managed: true,
        other: true,
        preference: Preference::High,
        lifetime_s: 1800,
        options: vec![
            RouterOption::Mtu(1492),
            RouterOption::Prefix(PrefixInformation {
                prefix: "2001:db8:1::".parse().unwrap(),
                length: 64,
                on_link: true,
                autonomous: true,
                valid_s: 86_400,
                preferred_s: 14_400,
            }),
            RouterOption::RecursiveDns {
                servers: vec![
                    "2001:db8::53".parse().unwrap(),
                    "2001:db8::54".parse().unwrap(),
                ],
                lifetime_s: 1800,
            },
        ],
        options_refused: 0,
    }
}

/// A message whose octets from this place in the frame on are others, its
/// checksum right.
fn changed(frame_octets: &[u8], at: usize, octets: &[u8]) -> Vec<u8> {
    let mut changed = frame_octets.to_vec();
    changed[at..at + octets.len()].copy_from_slice(octets);
    let address = |at| Ipv6Addr::from(*changed[at..].first_chunk::<16>().unwrap());
    let mut message = changed[54..].to_vec();
    message[2..4].fill(0);
    let packet = message_packet(address(22), address(38), &message);
    changed[56..58].copy_from_slice(&packet[42..44]);
    changed
}

#[test]
fn golden_frames() {
    assert_eq!(solicit(MAC), octets(SOLICITATION));
    let frame = octets(ADVERTISEMENT);
    assert_eq!(advertise(ROUTER_MAC, ALL_NODES, &advertised()), frame);
    let read = parse(MAC, &frame);
    assert_eq!(read, Ok(Message::Advertisement(advertised())));
    let read = parse(ROUTER_MAC, &octets(SOLICITATION));
    assert_eq!(read, Ok(Message::Solicitation));
}

/// Each rule of RFC 4861, 6.1.1 and 6.1.2, broken alone.
#[test]
fn every_rule_of_validation_is_heeded() {
    const HOP_LIMIT: usize = 14 + 7;
    const SOURCE: usize = 14 + 8;
    const CODE: usize = 55;
    let (asked, told) = (octets(SOLICITATION), octets(ADVERTISEMENT));
    let global = "2001:db8::10".parse::<Ipv6Addr>().unwrap().octets();
    let unspecified = [0; 16];
    let mut damaged = told.clone();
    damaged[60] ^= 1;
    let mut short = told[..54 + 12].to_vec();
    short[18..20].copy_from_slice(&12_u16.to_be_bytes());
    let cases = [
        ("hop limit", changed(&told, HOP_LIMIT, &[254])),
        ("hop limit", changed(&asked, HOP_LIMIT, &[64])),
        ("global source", changed(&told, SOURCE, &global)),
        ("no source", changed(&told, SOURCE, &unspecified)),
        (
            "no source, but an address",
            changed(&asked, SOURCE, &unspecified),
        ),
        ("code", changed(&told, CODE, &[1])),
        ("code", changed(&asked, CODE, &[1])),
        ("checksum", damaged),
        ("length", changed(&short, 54, &[134])),
        ("option without length", changed(&told, 54 + 16 + 1, &[0])),
        ("option past the end", changed(&told, 54 + 16 + 1, &[14])),
        ("option without length", changed(&asked, 54 + 8 + 1, &[0])),
        ("option past the end", changed(&asked, 54 + 8 + 1, &[2])),
        ("not IPv6", changed(&told, 14, &[0x40])),
        ("not ICMPv6", changed(&told, 14 + 6, &[17])),
        ("nothing", Vec::new()),
    ];
    for (what, frame) in cases {
        assert_eq!(parse([9; 6], &frame), Err(Refused::Malformed), "{what}");
    }
}

#[test]
fn frames_of_others_and_our_own_mean_nothing() {
    let told = octets(ADVERTISEMENT);
    assert_eq!(parse(ROUTER_MAC, &told), Err(Refused::NotForUs), "our own");
    let to_other = changed(&told, 0, &[2, 0, 0, 0, 0, 9]);
    assert_eq!(parse(MAC, &to_other), Err(Refused::NotForUs), "to another");
    let our_source = changed(&told, 22, &link_local(MAC).octets());
    assert_eq!(
        parse(MAC, &our_source),
        Err(Refused::NotForUs),
        "our address"
    );
    let neighbours = changed(&told, 54, &[136]);
    assert_eq!(
        parse(MAC, &neighbours),
        Err(Refused::NotForUs),
        "neighbours"
    );
    assert!(parse(MAC, &changed(&told, 0, &MAC)).is_ok(), "to us alone");
}

/// RFC 4861, 4.6, and RFC 8106, 5.3.1: the rest of the message counts.
#[test]
fn options_that_are_wrong_or_unknown_are_skipped() {
    let told = octets(ADVERTISEMENT);
    let read = |frame: &[u8]| match parse(MAC, frame) {
        Ok(Message::Advertisement(told)) => (told.options.len(), told.options_refused),
        other => panic!("{other:?}"),
    };
    assert_eq!(read(&told), (3, 0));
    let dns = 54 + 16 + 8 + 8 + 32;
    // The name servers' option is five units long, and an address two of them.
    assert_eq!(read(&changed(&told, dns, &[99])), (2, 0), "unknown");
    let last = changed(&told, 18, &[0, 104 - 40 + 8]);
    let even = changed(&last[..dns + 8], dns + 1, &[1]);
    assert_eq!(read(&even), (2, 1), "no name server at all");
    let last = changed(&told, 18, &[0, 104 - 8]);
    let even = changed(&last[..dns + 32], dns + 1, &[4]);
    assert_eq!(read(&even), (2, 1), "a name server and a half");
    let short_prefix = changed(&told, dns - 32 + 1, &[3, 64, 0xc0]);
    assert!(matches!(
        parse(MAC, &short_prefix),
        Ok(_) | Err(Refused::Malformed)
    ));
}

#[test]
fn the_reserved_preference_is_the_middle_one() {
    let told = octets(ADVERTISEMENT);
    for (flags, preference) in [
        (0b00, Preference::Medium),
        (0b01, Preference::High),
        (0b10, Preference::Medium),
        (0b11, Preference::Low),
    ] {
        let Ok(Message::Advertisement(read)) = parse(MAC, &changed(&told, 59, &[flags << 3]))
        else {
            panic!("refused");
        };
        assert_eq!((read.preference, read.managed), (preference, false));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        flags in any::<(bool, bool)>(),
        lifetime_s in any::<u16>(),
        preference in prop::sample::select(vec![Preference::Low, Preference::Medium, Preference::High]),
        prefixes in prop::collection::vec(any::<(u128, u8, bool, bool, u32, u32)>(), 0..5),
        mtu in prop::option::of(any::<u32>()),
        servers in prop::collection::vec(any::<u128>(), 0..5),
    ) {
        let mut told = RouterAdvertisement {
            managed: flags.0,
            other: flags.1,
            lifetime_s,
            preference,
            options: Vec::new(),
            ..advertised()
        };
        told.options.extend(mtu.map(RouterOption::Mtu));
        for (prefix, length, on_link, autonomous, valid_s, preferred_s) in prefixes {
            told.options.push(RouterOption::Prefix(PrefixInformation {
                prefix: Ipv6Addr::from_bits(prefix),
                length,
                on_link,
                autonomous,
                valid_s,
                preferred_s,
            }));
        }
        if !servers.is_empty() {
            let servers = servers.into_iter().map(Ipv6Addr::from_bits).collect();
            told.options.push(RouterOption::RecursiveDns { servers, lifetime_s: 7 });
        }
        let frame = advertise(ROUTER_MAC, ALL_NODES, &told);
        prop_assert_eq!(parse(MAC, &frame), Ok(Message::Advertisement(told)));
    }

    #[test]
    fn any_octets_parse_or_do_not(
        kind in 133..=134_u8,
        rest in prop::collection::vec(any::<u8>(), 2..200),
    ) {
        let mut frame = octets(ADVERTISEMENT)[..54].to_vec();
        frame.extend([kind, 0, 0, 0]);
        frame.extend(&rest);
        let length = u16::try_from(rest.len() + 4).unwrap();
        frame[18..20].copy_from_slice(&length.to_be_bytes());
        let _ = parse(MAC, &changed(&frame, 12, &[0x86, 0xdd]));
        let _ = parse(MAC, &rest);
    }
}
