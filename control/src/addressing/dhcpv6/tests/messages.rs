//! Messages as octets.

use dhcproto::Encodable;
use proptest::prelude::*;

use super::super::message::{Association, Lent, parse};
use super::*;

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

const SOLICIT: &str = concat!(
    "33330001000202000000000186dd",
    "6000000000651140",
    "fe80000000000000000000fffe000001ff020000000000000000000000010002",
    "02220223006505ce",
    "01aabbcc",
    "0001000a00030001020000000001",
    "0003000c000000010000000000000000",
    "0006000400170052",
    "000800020000",
    "00190029000000010000000000000000",
    "001a001900000000000000003800000000000000000000000000000000",
);

#[test]
fn a_golden_frame() {
    let solicit = Outgoing {
        kind: MessageType::Solicit,
        transaction: [0xaa, 0xbb, 0xcc],
        elapsed_cs: 0,
        server_id: None,
        addresses: Some(Vec::new()),
        prefixes: Some(vec![Prefix::new(Ipv6Addr::UNSPECIFIED, 56)]),
        asks_for_options: true,
    };
    assert_eq!(solicit.frame(MAC), octets(SOLICIT));
}

/// The identifiers are the same after a restart.
#[test]
fn identifiers_are_made_of_the_hardware_address() {
    let mac = [2, 1, 0xa, 0xb, 0xc, 0xd];
    assert_eq!(duid(mac), [0, 3, 0, 1, 2, 1, 0xa, 0xb, 0xc, 0xd]);
    assert_eq!(message::iaid(mac), 0x0a0b_0c0d);
}

/// The octets of an option.
fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let mut option = code.to_be_bytes().to_vec();
    option.extend((data.len() as u16).to_be_bytes());
    option.extend(data);
    option
}

fn packet(options: &[u8]) -> Vec<u8> {
    let mut payload = vec![7, 1, 2, 3];
    payload.extend(options);
    let source = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9), 547, 0, 0);
    let destination = SocketAddrV6::new(link_local(MAC), 546, 0, 0);
    udp_packet(source, destination, &payload)
}

/// Lengths that are too short for what they hold, or longer than what is there.
#[test]
fn options_of_a_wrong_length_are_malformed() {
    let association = |code, inner: &[u8]| {
        let mut data = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        data.extend(inner);
        option(code, &data)
    };
    let mut prefix_too_long = vec![0; 25];
    prefix_too_long[8] = 129;
    let wrong = [
        ("half a header", vec![0, 1, 0]),
        ("longer than the message", vec![0, 1, 0, 4, 1, 2, 3]),
        ("no status", option(13, &[0])),
        ("no preference", option(7, &[])),
        ("no time", option(82, &[0, 0, 1])),
        ("half a name server", option(23, &[0x20; 24])),
        ("no association", option(3, &[0; 11])),
        ("no association", option(25, &[0; 11])),
        ("half an address", association(3, &option(5, &[0; 23]))),
        ("half a prefix", association(25, &option(26, &[0; 24]))),
        (
            "a prefix of 129 bits",
            association(25, &option(26, &prefix_too_long)),
        ),
        ("no status inside", association(3, &option(13, &[0]))),
        (
            "inside, longer than there is",
            association(3, &[0, 5, 0, 24, 1]),
        ),
        ("further inside", association(3, &option(5, &[0; 25]))),
    ];
    for (what, options) in wrong {
        assert_eq!(
            parse(MAC, &packet(&options)),
            Err(Refused::Malformed),
            "{what}"
        );
    }
    assert_eq!(parse(MAC, &packet(&[])[..51]), Err(Refused::Malformed));
    // What is not known, or not ours, is skipped.
    let mut options = option(999, &[1, 2, 3]);
    options.extend(option(3, &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]));
    let packet = packet(&options);
    let told = parse(MAC, &packet).unwrap();
    assert_eq!((told.addresses, told.refused), (None, 1));
}

/// RFC 8415, 21.4, 21.6 and 21.22.
#[test]
fn what_cannot_be_is_refused() {
    let address = |address: &str, preferred_s: u32, valid_s: u32| {
        let mut data = address.parse::<Ipv6Addr>().unwrap().octets().to_vec();
        data.extend(preferred_s.to_be_bytes());
        data.extend(valid_s.to_be_bytes());
        option(5, &data)
    };
    let association = |t1_s: u32, t2_s: u32, inner: &[Vec<u8>]| {
        let mut data = vec![0, 0, 0, 1];
        data.extend(t1_s.to_be_bytes());
        data.extend(t2_s.to_be_bytes());
        data.extend(inner.concat());
        option(3, &data)
    };
    let good = address("2001:db8::1", 1, 2);
    let told = association(
        0,
        0,
        &[
            address("2001:db8::2", 2, 1),
            address("ff02::1", 1, 2),
            address("fe80::1", 1, 2),
            address("::", 1, 2),
            good.clone(),
        ],
    );
    let told_packet = packet(&told);
    let told = parse(MAC, &told_packet).unwrap();
    assert_eq!(told.refused, 4);
    let expected = Lent {
        prefix: Prefix::host("2001:db8::1".parse::<Ipv6Addr>().unwrap()),
        preferred_s: 1,
        valid_s: 2,
    };
    let expected = Association {
        lent: vec![expected],
        ..Association::default()
    };
    assert_eq!(told.addresses, Some(expected));
    // Renewing after rebinding: the whole association is discarded.
    let backwards_packet = packet(&association(20, 10, std::slice::from_ref(&good)));
    let backwards = parse(MAC, &backwards_packet).unwrap();
    assert_eq!((backwards.addresses, backwards.refused), (None, 1));
    let later_packet = packet(&association(20, 0, &[good]));
    assert!(parse(MAC, &later_packet).unwrap().addresses.is_some());
}

proptest! {
    /// What dhcproto writes is read as it was meant.
    #[test]
    fn what_a_server_writes_is_read(
        network in any::<u16>(),
        times in (0..1000_u32, 1000..2000_u32),
        lifetimes in (0..1000_u32, 1000..2000_u32),
        preference in prop::option::of(any::<u8>()),
        servers in prop::collection::vec(1..u128::MAX, 0..10),
        message in any::<[u8; 3]>(),
    ) {
        let mut server = Server::new(3);
        server.network = network;
        (server.t1_s, server.t2_s) = times;
        (server.preferred_s, server.valid_s) = lifetimes;
        server.preference = preference;
        server.name_servers = servers.iter().map(|bits| Ipv6Addr::from_bits(bits >> 3 | 1 << 125)).collect();
        let solicit = Outgoing {
            kind: MessageType::Solicit,
            transaction: message,
            elapsed_cs: 0,
            server_id: None,
            addresses: Some(Vec::new()),
            prefixes: Some(Vec::new()),
            asks_for_options: true,
        };
        let packet = server.answer(Duration::ZERO, &read(&solicit.frame(MAC))).unwrap();
        let told = parse(MAC, &packet).unwrap();
        let association = |prefix| Association {
            t1_s: times.0,
            t2_s: times.1,
            status: Status::Success,
            lent: vec![Lent { prefix, preferred_s: lifetimes.0, valid_s: lifetimes.1 }],
        };
        let id = server.id();
        let expected = Incoming {
            source: server.source(),
            kind: MessageType::Advertise,
            transaction: message,
            client_id: Some(&duid(MAC)),
            server_id: Some(&id),
            preference: preference.unwrap_or(0),
            status: Status::Success,
            addresses: Some(association(Prefix::host(server.address()))),
            prefixes: Some(association(server.prefix())),
            name_servers: server.name_servers.clone(),
            sol_max_rt_s: None,
            refused: 0,
        };
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn any_options_parse_or_do_not(
        codes in prop::collection::vec((0..30_u16, prop::collection::vec(any::<u8>(), 0..60)), 0..8),
        rest in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut options: Vec<u8> = codes.iter().flat_map(|(code, data)| option(*code, data)).collect();
        options.extend(rest);
        let _ = parse(MAC, &packet(&options));
        let _ = parse(MAC, &options);
    }

    /// Written by us, read by dhcproto and written by it: the same.
    #[test]
    fn our_messages_are_what_they_say(addresses in prop::collection::vec(any::<u128>(), 0..5)) {
        let renew = Outgoing {
            kind: MessageType::Renew,
            transaction: [1, 2, 3],
            elapsed_cs: 77,
            server_id: Some(&[1, 2, 3, 4]),
            addresses: Some(addresses.iter().copied().map(Ipv6Addr::from_bits).collect()),
            prefixes: None,
            asks_for_options: false,
        };
        let frame = renew.frame(MAC);
        let message = read(&frame);
        prop_assert_eq!(message.to_vec().unwrap(), &frame[14 + 48..]);
        prop_assert_eq!(server::addresses(&message).len(), addresses.len());
    }
}
