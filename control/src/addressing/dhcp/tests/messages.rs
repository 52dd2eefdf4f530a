//! The messages, octet by octet.

use super::message::{Identity, Kind, Outgoing, frame, parse};
use super::*;

fn identity() -> Identity {
    Identity {
        mac: MAC,
        client_id: client_id(MAC),
        hostname: Some("van-1".to_owned()),
        vendor_class: Some("hal2tp".to_owned()),
    }
}

/// The fixed fields of a DHCP message (RFC 2131, 2), then options.
fn payload(start: [u8; 12], addresses: [[u8; 4]; 4], mac: [u8; 6], options: &[u8]) -> Vec<u8> {
    let mut payload = start.to_vec();
    payload.extend(addresses.as_flattened());
    payload.extend(mac);
    // The rest of `chaddr`, `sname` and `file`.
    payload.resize(236, 0);
    payload.extend([99, 130, 83, 99]);
    payload.extend(options);
    payload
}

const NO_ADDRESS: [u8; 4] = [0; 4];

#[test]
fn a_discover_on_the_wire() {
    let discover = Outgoing {
        kind: MessageType::Discover,
        xid: 0x1234_5678,
        seconds: 5,
        broadcast: true,
        client_address: Ipv4Addr::UNSPECIFIED,
        requested: Some(ADDRESS),
        server: None,
    };
    let everybody = Ipv4Addr::BROADCAST;
    let packet = discover.packet(&identity(), Ipv4Addr::UNSPECIFIED, everybody, 0xabcd);
    let frame = frame([0xff; 6], MAC, &packet);
    let mut expected = vec![
        // Ethernet.
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0x12, 0x34, 8, 0, //
        // IPv4.
        0x45, 0, 0x01, 0x48, 0xab, 0xcd, 0, 0, 64, 17, 0xcd, 0xd8, 0, 0, 0, 0, 255, 255, 255, 255,
        // UDP.
        0, 68, 0, 67, 0x01, 0x34, 0x83, 0x1c,
    ];
    let options = [
        &[12, 5][..],
        b"van-1",
        &[50, 4, 100, 64, 0, 77],
        &[53, 1, 1],
        &[55, 7, 121, 1, 3, 6, 26, 58, 59],
        &[57, 2, 0x05, 0xc0],
        &[60, 6],
        b"hal2tp",
        // Type, IAID, DUID of a link-layer address on Ethernet.
        &[
            61, 15, 255, 0, 0, 0x12, 0x34, 0, 3, 0, 1, 2, 0, 0, 0, 0x12, 0x34,
        ],
        &[255],
    ];
    expected.extend(payload(
        [1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 5, 0x80, 0],
        [NO_ADDRESS; 4],
        MAC,
        &options.concat(),
    ));
    // 300 octets, however few are needed (RFC 1542, 2.1).
    expected.resize(14 + 20 + 8 + 300, 0);
    assert_eq!(frame, expected);
}

#[test]
fn a_renewal_on_the_wire() {
    let renewal = Outgoing {
        kind: MessageType::Request,
        xid: 0x1234_5678,
        seconds: 0,
        broadcast: false,
        client_address: ADDRESS,
        requested: None,
        server: None,
    };
    let bare = Identity {
        hostname: None,
        vendor_class: None,
        ..identity()
    };
    let packet = renewal.packet(&bare, ADDRESS, SERVER, 0xabcd);
    let mut expected = vec![
        // IPv4.
        0x45, 0, 0x01, 0x48, 0xab, 0xcd, 0, 0, 64, 17, 0x05, 0x0a, 100, 64, 0, 77, 100, 64, 0, 1,
        // UDP.
        0, 68, 0, 67, 0x01, 0x34, 0x2b, 0xdb,
    ];
    let options = [
        &[53, 1, 3][..],
        &[55, 7, 121, 1, 3, 6, 26, 58, 59],
        &[57, 2, 0x05, 0xc0],
        &[
            61, 15, 255, 0, 0, 0x12, 0x34, 0, 3, 0, 1, 2, 0, 0, 0, 0x12, 0x34,
        ],
        &[255],
    ];
    expected.extend(payload(
        [1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0],
        [ADDRESS.octets(), NO_ADDRESS, NO_ADDRESS, NO_ADDRESS],
        MAC,
        &options.concat(),
    ));
    expected.resize(20 + 8 + 300, 0);
    assert_eq!(packet, expected);
}

/// As dnsmasq writes it.
fn ack(options: &[u8]) -> Vec<u8> {
    payload(
        [2, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0x80, 0],
        [NO_ADDRESS, ADDRESS.octets(), SERVER.octets(), NO_ADDRESS],
        MAC,
        options,
    )
}

#[test]
fn an_ack_from_the_wire() {
    let options = [
        &[53, 1, 5, 54, 4, 100, 64, 0, 1, 51, 4, 0, 0, 0, 120][..],
        &[58, 4, 0, 0, 0, 60, 59, 4, 0, 0, 0, 105],
        &[
            1, 4, 255, 255, 255, 0, 28, 4, 100, 64, 0, 255, 3, 4, 100, 64, 0, 1,
        ],
        &[255],
    ];
    let reply = parse(&packet(&ack(&options.concat())), &identity()).unwrap();
    assert_eq!((reply.kind, reply.xid), (Kind::Ack, 0x1234_5678));
    assert_eq!((reply.address, reply.server), (ADDRESS, SERVER));
    let lease = Lease::read(&reply, &mut DhcpCounters::default()).unwrap();
    let times = lease.times.unwrap();
    assert_eq!(
        (times.renewal, times.rebinding, times.lease),
        (s(60), s(105), s(120))
    );
}

/// RFC 3396: an option goes on in a later one, also behind others, and in `file` and `sname`, in that order.
#[test]
fn options_that_were_split_are_put_together() {
    let options = [
        &[
            53, 1, 5, 52, 1, 3, 6, 3, 9, 9, 9, 54, 4, 100, 64, 0, 1, 6, 2, 1, 8,
        ][..],
        &[0, 0, 255, 53, 1, 6],
    ];
    let mut payload = ack(&options.concat());
    payload[108..114].copy_from_slice(&[6, 2, 8, 8, 0, 255]);
    payload[44..49].copy_from_slice(&[6, 1, 2, 255, 6]);
    let reply = parse(&packet(&payload), &identity()).unwrap();
    assert_eq!(
        reply.options.stations(OptionCode::DomainNameServer),
        [Ipv4Addr::new(9, 9, 9, 1), Ipv4Addr::new(8, 8, 8, 2)]
    );
    assert_eq!(reply.kind, Kind::Ack, "nothing counts behind the end");
    // Without the third option they are names, whatever stands there.
    let at = payload.windows(3).position(|window| window == [52, 1, 3]);
    payload[at.unwrap() + 2] = 0;
    let reply = parse(&packet(&payload), &identity()).unwrap();
    assert_eq!(
        reply.options.stations(OptionCode::DomainNameServer),
        [Ipv4Addr::new(9, 9, 9, 1)]
    );
}

/// An option that breaks off takes nothing with it that stood before.
#[test]
fn what_stands_before_a_broken_option_counts() {
    let options = [53, 1, 5, 54, 4, 100, 64, 0, 1, 12, 200, b'x'];
    let reply = parse(&packet(&ack(&options)), &identity()).unwrap();
    assert_eq!((reply.kind, reply.server), (Kind::Ack, SERVER));
}

#[test]
fn a_packet_must_be_whole_and_ours() {
    let good = packet(&ack(&[53, 1, 5, 54, 4, 100, 64, 0, 1]));
    assert!(parse(&good, &identity()).is_ok());
    // Without a checksum of UDP (RFC 768).
    let mut packet = good.clone();
    packet[26..28].fill(0);
    assert!(parse(&packet, &identity()).is_ok());
    // Behind its end is padding.
    packet.extend([0; 6]);
    assert!(parse(&packet, &identity()).is_ok());

    let address = |address, port| std::net::SocketAddrV4::new(address, port);
    let to = |port, octets: &[u8]| {
        ipv4::udp_packet(
            address(SERVER, 67),
            address(Ipv4Addr::BROADCAST, port),
            octets,
            1,
        )
    };
    let payload = &good[28..];
    let mut without_cookie = payload.to_vec();
    without_cookie[236] = 0;
    let mut without_length = payload.to_vec();
    without_length[2] = 255;
    for packet in [
        to(67, payload),
        to(68, &payload[..239]),
        to(68, &without_cookie),
        to(68, &without_length),
    ] {
        let refused = parse(&packet, &identity()).map(|_| ());
        assert_eq!(refused, Err(Refusal::Malformed));
    }
}
