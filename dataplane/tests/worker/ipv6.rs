//! IPv6 inside tunnels, around them and beside them.

use std::net::Ipv6Addr;
use std::sync::Arc;

use dataplane::checksum;
use dataplane::command::{Command, InterfaceId, NextHop, PortId, SessionId, SessionSpec, TableId};
use dataplane::counters::Drop;
use dataplane::event::{Event, IcmpCause};
use dataplane::headers::{ipv4, ipv6, udp as udp_header};
use dataplane::worker::Order;

use crate::ipv6_rig::*;
use crate::rig::*;

const ETHER_TYPE: [u8; 2] = [0x86, 0xdd];

fn to_far(payload: &[u8]) -> Vec<u8> {
    udp_ipv6(LAN_HOST_IPV6, FAR_HOST_IPV6, payload)
}

fn copy_ipv6(uplink: u16, number: u64, packet: &[u8]) -> Vec<u8> {
    l2tp_frame(
        uplink,
        &ha_message(uplink, PEER_EPOCH, number, &ppp_ipv6(packet)),
    )
}

/// Session 1 outside the set, over IPv6, as the route to the far site.
fn plain_session(rig: &mut Rig, change: fn(&mut SessionSpec)) {
    let mut spec = rig.session_over_ipv6(1);
    spec.set = None;
    change(&mut spec);
    rig.command(Command::SetSession(Arc::new(spec)));
    rig.route(0, FAR_NETWORK_IPV6, 48, NextHop::Session(SessionId(1)));
    rig.route(0, FAR_HOST, 24, NextHop::Session(SessionId(1)));
    rig.poll();
}

fn icmp(rig: &mut Rig) -> (IcmpCause, TableId, Option<InterfaceId>, Vec<u8>) {
    match rig.one_event() {
        Event::Icmp {
            cause,
            table,
            interface,
            packet,
        } => (cause, table, interface, packet.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_packet_goes_into_a_set_over_ipv4() {
    let mut rig = Rig::with_ipv6();
    let packet = to_far(b"RAID 1 for packets");
    rig.send(0, &frame(0, &packet));
    for link in 1..PORTS {
        let sent = rig.one(link);
        assert_eq!(number_of(&sent), FIRST_NUMBER, "link {link}");
        assert_eq!(sent[12..14], [0x08, 0x00]);
        assert_eq!(sent[62..64], [0x00, 0x57], "IPv6 is inside");
        assert_eq!(sent[64..], delivered(&packet)[14..], "one hop less");
    }
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn a_burst_of_both_families_has_right_checksums_on_every_link() {
    let mut rig = Rig::with_ipv6();
    let packets: Vec<_> = (0..9_u8)
        .map(|number| match number % 3 {
            1 => to_far(&vec![number; 20 + usize::from(number)]),
            _ => udp(LAN_HOST, FAR_HOST, &vec![number; usize::from(number)]),
        })
        .collect();
    // Ways are known from the second burst on.
    for _ in 0..2 {
        for packet in &packets {
            rig.offer(0, 0, &frame(0, packet));
        }
        rig.poll();
        for link in 1..PORTS {
            let sent = rig.received(link);
            assert_eq!(sent.len(), packets.len(), "link {link}");
            for (sent, packet) in sent.iter().zip(&packets) {
                assert_eq!(sent[64..], delivered(packet)[14..], "link {link}");
                assert_ne!(sent[40..42], [0; 2], "there is a checksum");
                let outer = ipv4::parse(&sent[14..]).expect("a right header");
                udp_header::parse(&outer, &sent[14..]).expect("a right checksum");
            }
        }
    }
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn a_packet_comes_out_of_a_set_over_ipv4_once() {
    let mut rig = Rig::with_ipv6();
    let packet = inner_ipv6(b"x");
    for uplink in 1..PORTS as u16 {
        rig.send(uplink.into(), &copy_ipv6(uplink, 7, &packet));
    }
    let frame = rig.one(0);
    assert_eq!(frame, delivered(&packet));
    assert_eq!(frame[12..14], ETHER_TYPE);
    assert_eq!(rig.set[0].duplicates.read(), 2);
    assert_eq!(rig.set[0].delivered_packets.read(), 1);
}

#[test]
fn a_set_over_ipv6_octet_by_octet() {
    let mut rig = Rig::with_ipv6();
    rig.go_over_ipv6();
    let packet = to_far(b"RAID 1 for packets");
    rig.send(0, &frame(0, &packet));
    for link in 1..PORTS as u16 {
        let sent = rig.one(link.into());
        assert_eq!(sent.len(), 14 + 70 + packet.len());
        assert_eq!(sent[..6], gateway_mac(link), "a gateway that is link-local");
        assert_eq!(sent[12..14], ETHER_TYPE);
        let outer = &sent[14..];
        assert!(upper_checksum_is_right(outer));
        let payload_octets = (packet.len() + 30) as u16;
        let mut expected =
            ipv6::header(own_ipv6(link), *PEER_IPV6.ip(), 17, payload_octets).to_vec();
        expected.extend([0x06, 0xa5, 0x06, 0xa5]);
        expected.extend(payload_octets.to_be_bytes());
        assert_eq!(outer[..46], expected);
        let mut message = vec![0x02, 0x02];
        message.extend((0x300 + link).to_be_bytes());
        message.extend((0x400 + link).to_be_bytes());
        message.extend([
            0, 12, 0x10, 0, 0xaa, 0xbb, 0xcc, 0xdd, 1, 2, 3, 4, 5, 6, 0, 0x57,
        ]);
        message.extend(&delivered(&packet)[14..]);
        assert_eq!(outer[48..], message);
    }
}

#[test]
fn an_outer_checksum_is_required_over_ipv6() {
    let mut rig = Rig::with_ipv6();
    rig.go_over_ipv6();
    let message = ha_message(1, PEER_EPOCH, 1, &ppp_ipv6(&inner_ipv6(b"x")));
    let good = l2tp_frame_ipv6(1, &message);
    let mut without = good.clone();
    without[14 + 46..14 + 48].fill(0);
    rig.send(1, &without);
    assert_eq!(rig.drops(1, Drop::BadUdp), 1);
    for at in [14 + 8, 14 + 41, 14 + 70, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        rig.send(1, &damaged);
    }
    assert_eq!(rig.all_drops(), 5);
    assert!(rig.received(0).is_empty() && rig.events().is_empty());
    // None of these marked the number.
    rig.send(1, &good);
    assert_eq!(rig.one(0), delivered(&inner_ipv6(b"x")));
    // Without a checksum in the session's words there is one all the same.
    plain_session(&mut rig, |spec| spec.udp_checksum = false);
    rig.send(0, &frame(0, &to_far(b"x")));
    assert!(upper_checksum_is_right(&rig.one(1)[14..]));
}

#[test]
fn plain_sessions_carry_both_over_ipv6() {
    let mut rig = Rig::with_ipv6();
    plain_session(&mut rig, |_| {});
    rig.send(0, &frame(0, &to_far(b"x")));
    rig.send(0, &frame(0, &udp(LAN_HOST, FAR_HOST, b"x")));
    let sent = rig.received(1);
    assert_eq!(sent.len(), 2);
    let l2tp = [0x00, 0x02, 0x03, 0x01, 0x04, 0x01];
    assert_eq!(sent[0][62..70], [&l2tp[..], &[0x00, 0x57]].concat());
    assert_eq!(sent[1][62..70], [&l2tp[..], &[0x00, 0x21]].concat());
    assert!(
        sent.iter()
            .all(|frame| upper_checksum_is_right(&frame[14..]))
    );
    let ipv4 = inner(b"x");
    rig.send(1, &l2tp_frame_ipv6(1, &plain_message(1, &ppp_ipv4(&ipv4))));
    assert_eq!(rig.one(0), delivered(&ipv4));
    let ipv6 = inner_ipv6(b"x");
    // FF 03, and the protocol compressed to one octet.
    let ppp = [&[0xff, 0x03, 0x57], &ipv6[..]].concat();
    rig.send(1, &l2tp_frame_ipv6(1, &plain_message(1, &ppp)));
    assert_eq!(rig.one(0), delivered(&ipv6));
    assert_eq!(rig.all_drops(), 0);
    plain_session(&mut rig, |spec| spec.receive = false);
    rig.send(1, &l2tp_frame_ipv6(1, &plain_message(1, &ppp)));
    assert_eq!(rig.drops(1, Drop::NotAuthenticated), 1);
}

#[test]
fn l2tp_behind_extension_headers_is_found() {
    let mut rig = Rig::with_ipv6();
    rig.go_over_ipv6();
    let message = ha_message(1, PEER_EPOCH, 1, &ppp_ipv6(&inner_ipv6(b"x")));
    let packet = l2tp_packet_ipv6(1, &message);
    let behind = |next_header: u8, extension: &[u8]| {
        let mut long = packet[..40].to_vec();
        long.extend(extension);
        long.extend(&packet[40..]);
        let payload_octets = (long.len() - 40) as u16;
        long[4..6].copy_from_slice(&payload_octets.to_be_bytes());
        long[6] = next_header;
        frame(1, &long)
    };
    rig.send(1, &behind(60, &[17, 0, 1, 4, 0, 0, 0, 0]));
    assert_eq!(rig.one(0), delivered(&inner_ipv6(b"x")));
    // A fragment header that makes no fragment.
    rig.send(1, &behind(44, &[17, 0, 0, 0, 9, 9, 9, 9]));
    assert_eq!(rig.drops(1, Drop::Duplicate), 1);
    rig.send(1, &behind(60, &[17, 99, 1, 4, 0, 0, 0, 0]));
    assert_eq!(rig.drops(1, Drop::Truncated), 1);
    // An option that must be known, and a routing header that leads on.
    rig.send(1, &behind(60, &[17, 0, 0xc1, 4, 0, 0, 0, 0]));
    rig.send(1, &behind(43, &[17, 0, 0, 1, 0, 0, 0, 0]));
    assert_eq!(rig.drops(1, Drop::BadIpv6), 2);
}

#[test]
fn control_messages_and_ppp_over_ipv6_reach_the_control_thread() {
    let mut rig = Rig::with_ipv6();
    plain_session(&mut rig, |_| {});
    let message = [0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0];
    rig.send(1, &l2tp_frame_ipv6(1, &message));
    let Event::L2tpControl {
        table,
        source,
        destination,
        payload,
    } = rig.one_event()
    else {
        panic!("another event");
    };
    assert_eq!((table, source), (TableId(1), PEER_IPV6.into()));
    assert_eq!(destination.ip(), own_ipv6(1));
    assert_eq!(payload[..], message);
    rig.send(1, &l2tp_frame_ipv6(1, &plain_message(1, &[0xc0, 0x21, 9])));
    let Event::Ppp { source, frame, .. } = rig.one_event() else {
        panic!("another event");
    };
    assert_eq!(source, PEER_IPV6.into());
    assert_eq!(frame[..], [0xc0, 0x21, 9]);
}

#[test]
fn a_peer_of_the_other_family_is_another() {
    let mut rig = Rig::with_ipv6();
    plain_session(&mut rig, |_| {});
    // Over IPv4, with the same ids.
    let message = plain_message(1, &ppp_ipv6(&inner_ipv6(b"x")));
    rig.send(1, &l2tp_frame(1, &message));
    assert_eq!(rig.drops(1, Drop::WrongPeer), 1);
    assert!(rig.received(0).is_empty());
}

#[test]
fn what_is_larger_than_the_way_out_is_told() {
    let mut rig = Rig::with_ipv6();
    plain_session(&mut rig, |_| {});
    let sized = |octets: usize| to_far(&vec![0x5a; octets - 48]);
    // 1500 on the link, without IPv6, UDP, L2TP and PPP.
    rig.send(0, &frame(0, &sized(1444)));
    assert_eq!(rig.one(1).len(), 14 + 1500);
    let large = sized(1445);
    rig.send(0, &frame(0, &large));
    let expected = (
        IcmpCause::FragmentationNeeded { mtu: 1444 },
        TableId(0),
        Some(InterfaceId(0)),
        large,
    );
    assert_eq!(icmp(&mut rig), expected);
    assert_eq!(rig.drops(0, Drop::FragmentationNeeded), 1);
    assert!(rig.received(1).is_empty(), "nothing is cut into fragments");
}

/// The parts of one outer packet behind their Ethernet headers, put together.
fn outer_of(frames: &[Vec<u8>], mtu: usize) -> Vec<u8> {
    let mut whole = Vec::new();
    for frame in frames {
        let packet = &frame[14..];
        assert!(packet.len() <= mtu);
        let (offset, header_octets) = if packet[0] >> 4 == 6 {
            let header = ipv6::parse(packet).expect("an IPv6 header");
            let upper = ipv6::upper_layer(&header, packet).expect("a fragment");
            let fragment = upper.fragment.expect("a fragment header");
            (fragment.fragment_offset_octets, 48)
        } else {
            let header = ipv4::parse(packet).expect("an IPv4 header");
            (header.fragment_offset_octets, 20)
        };
        assert_eq!(offset, whole.len(), "in order");
        whole.extend(&packet[header_octets..]);
    }
    whole
}

#[test]
fn a_link_below_the_least_mtu_carries_it_in_outer_fragments() {
    let mut rig = Rig::with_ipv6();
    let mut small = interface_ipv6(1);
    small.mtu = 1280;
    rig.command(Command::SetInterface(Arc::new(small)));
    for over_ipv6 in [true, false] {
        let mut spec = if over_ipv6 {
            rig.session_over_ipv6(1)
        } else {
            rig.session_spec(1)
        };
        spec.set = None;
        spec.tcp_mss_fix = true;
        rig.command(Command::SetSession(Arc::new(spec)));
        rig.route(0, FAR_NETWORK_IPV6, 48, NextHop::Session(SessionId(1)));
        let packet = to_far(&[0x5a; 1280 - 48]);
        rig.send(0, &frame(0, &packet));
        let frames = rig.received(1);
        assert_eq!(frames.len(), 2);
        for frame in &frames {
            assert_eq!(frame[..6], gateway_mac(1));
        }
        let datagram = outer_of(&frames, 1280);
        assert_eq!(datagram[16..], delivered(&packet)[14..]);
        let (source, destination) = (own_ipv6(1), *PEER_IPV6.ip());
        let pseudo_header = if over_ipv6 {
            let (source, destination) = (source.octets(), destination.octets());
            let length = datagram.len() as u16;
            checksum::pseudo_header_sum_ipv6(&source, &destination, 17, length)
        } else {
            let (source, destination) = (own_address(1).octets(), PEER.ip().octets());
            checksum::pseudo_header_sum(source, destination, 17, datagram.len() as u16)
        };
        let sum = pseudo_header + checksum::sum(&datagram);
        assert_eq!(checksum::finish(sum), 0);
        // Beyond the least, the sender can do something about it.
        rig.send(0, &frame(0, &to_far(&[0x5a; 1281 - 48])));
        let cause = IcmpCause::FragmentationNeeded { mtu: 1280 };
        assert_eq!(icmp(&mut rig).0, cause);
        // TCP is held to what needs no cutting.
        rig.send(0, &frame(0, &syn_ipv6(LAN_HOST_IPV6, FAR_HOST_IPV6, 1440)));
        let sent = rig.one(1);
        let headers = if over_ipv6 { 56 } else { 36 };
        let mss = 1280 - headers as u16 - 60;
        let at = 14 + headers + 62;
        assert_eq!(sent[at..at + 2], mss.to_be_bytes());
    }
    // Two that are cut at the same moment are told apart.
    let mut spec = rig.session_over_ipv6(1);
    spec.set = None;
    rig.command(Command::SetSession(Arc::new(spec)));
    for _ in 0..2 {
        rig.offer(0, 0, &frame(0, &to_far(&[0x5a; 1280 - 48])));
    }
    rig.poll();
    let frames = rig.received(1);
    let identification = |frame: &Vec<u8>| frame[14 + 44..14 + 48].to_vec();
    assert_eq!(identification(&frames[0]), identification(&frames[1]));
    assert_ne!(identification(&frames[1]), identification(&frames[2]));
    assert_eq!(rig.all_drops(), 2, "those that were told about");
}

#[test]
fn a_cut_packet_waits_for_its_neighbour_in_parts() {
    let mut rig = Rig::on_filling_ports().and_ipv6();
    let mut small = interface_ipv6(1);
    small.mtu = 1280;
    rig.command(Command::SetInterface(Arc::new(small)));
    plain_session(&mut rig, |_| {});
    let packet = to_far(&[0x5a; 1280 - 48]);
    rig.send(0, &frame(0, &packet));
    let expected = rig.received(1);
    assert_eq!(expected.len(), 2, "also by a port that fills in checksums");
    rig.command(Command::RemoveNeighbour {
        interface: InterfaceId(1),
        address: gateway_ipv6(1).into(),
    });
    rig.send(0, &frame(0, &packet));
    let waiting: Vec<_> = rig
        .events()
        .into_iter()
        .map(|event| match event {
            Event::NeighbourMissing { packet, .. } => [&[0; 14], &packet[..]].concat(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(outer_of(&waiting, 1280), outer_of(&expected, 1280));
}

#[test]
fn a_hop_limit_that_is_used_up_is_told() {
    let mut rig = Rig::with_ipv6();
    for hop_limit in [0, 1] {
        let mut packet = to_far(b"x");
        packet[7] = hop_limit;
        rig.send(0, &frame(0, &packet));
        let (cause, table, interface, about) = icmp(&mut rig);
        assert_eq!((cause, about), (IcmpCause::TimeExceeded, packet));
        assert_eq!((table, interface), (TableId(0), Some(InterfaceId(0))));
    }
    assert_eq!(rig.drops(0, Drop::TtlExpired), 2);
    let mut packet = inner_ipv6(b"x");
    packet[7] = 1;
    rig.send(1, &copy_ipv6(1, 1, &packet));
    let (cause, table, interface, _) = icmp(&mut rig);
    assert_eq!(cause, IcmpCause::TimeExceeded);
    assert_eq!((table, interface), (TableId(0), None), "out of a tunnel");
    // To ourselves it need not last.
    packet = udp_ipv6(LAN_HOST_IPV6, own_ipv6(0), b"x");
    packet[7] = 1;
    rig.send(0, &frame(0, &packet));
    assert!(matches!(rig.one_event(), Event::Local { .. }));
}

#[test]
fn without_a_route_there_is_an_answer() {
    let mut rig = Rig::with_ipv6();
    let nowhere: Ipv6Addr = "2001:db8:dead::1".parse().expect("an address");
    let packet = udp_ipv6(LAN_HOST_IPV6, nowhere, b"x");
    rig.send(0, &frame(0, &packet));
    assert_eq!(icmp(&mut rig).0, IcmpCause::NetUnreachable);
    rig.route(0, nowhere, 128, NextHop::Blackhole);
    rig.send(0, &frame(0, &packet));
    assert_eq!(rig.drops(0, Drop::Blackhole), 1);
    assert!(rig.events().is_empty());
}

#[test]
fn a_syn_is_clamped_both_ways() {
    let mut rig = Rig::with_ipv6();
    rig.go_over_ipv6();
    let mut spec = rig.set_spec();
    spec.mtu = 1400;
    spec.tcp_mss_fix = true;
    rig.command(Command::SetSet(Arc::new(spec)));
    rig.send(0, &frame(0, &syn_ipv6(LAN_HOST_IPV6, FAR_HOST_IPV6, 1440)));
    let sent = rig.one(1);
    let packet = &sent[14 + 70..];
    assert_eq!(packet[62..64], 1340_u16.to_be_bytes());
    assert!(upper_checksum_is_right(packet));
    let syn = syn_ipv6(FAR_HOST_IPV6, LAN_HOST_IPV6, 1440);
    let message = ha_message(1, PEER_EPOCH, 1, &ppp_ipv6(&syn));
    rig.send(1, &l2tp_frame_ipv6(1, &message));
    let got = rig.one(0);
    assert_eq!(got[14 + 62..14 + 64], 1340_u16.to_be_bytes());
    assert!(upper_checksum_is_right(&got[14..]));
}

/// The group in which an address is asked for, and its hardware address.
fn group(address: Ipv6Addr) -> (Ipv6Addr, [u8; 6]) {
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::from_bits(
        0xff02_0000_0000_0000_0000_0001_ff00_0000
            | u128::from_be_bytes(address.octets()) & 0xff_ffff,
    );
    (group, [0x33, 0x33, 0xff, a, b, c])
}

fn multicast(port: u16, mac: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let mut frame = frame(port, packet);
    frame[..6].copy_from_slice(&mac);
    frame
}

#[test]
fn neighbour_discovery_reaches_the_control_thread_whole() {
    let mut rig = Rig::with_ipv6();
    let all_nodes: Ipv6Addr = "ff02::1".parse().expect("an address");
    let all_routers: Ipv6Addr = "ff02::2".parse().expect("an address");
    let (solicited, mac) = group(own_ipv6(0));
    let (of_link_local, link_local_mac) = group(own_link_local(0));
    let frames = [
        multicast(0, mac, &discovery(135, LAN_HOST_IPV6, solicited)),
        // A host that is about to take an address has none yet.
        multicast(0, mac, &discovery(135, Ipv6Addr::UNSPECIFIED, solicited)),
        multicast(
            0,
            link_local_mac,
            &discovery(135, LAN_HOST_IPV6, of_link_local),
        ),
        multicast(
            0,
            [0x33, 0x33, 0, 0, 0, 1],
            &discovery(134, gateway_ipv6(0), all_nodes),
        ),
        multicast(
            0,
            [0x33, 0x33, 0, 0, 0, 2],
            &discovery(133, LAN_HOST_IPV6, all_routers),
        ),
        frame(0, &discovery(136, LAN_HOST_IPV6, own_ipv6(0))),
        frame(0, &discovery(135, LAN_HOST_IPV6, own_link_local(0))),
        // Who lives behind a tunnel is answered for, where packets are routed onwards.
        {
            let (elsewhere, mac) = group(FAR_HOST_IPV6);
            multicast(0, mac, &discovery(135, LAN_HOST_IPV6, elsewhere))
        },
    ];
    for sent in &frames {
        rig.send(0, sent);
        let Event::NeighbourDiscovery { port, frame } = rig.one_event() else {
            panic!("another event");
        };
        assert_eq!((port, &frame[..]), (PortId(0), &sent[..]));
    }
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn neighbour_discovery_from_elsewhere_or_for_others_has_a_name() {
    let mut rig = Rig::with_ipv6();
    let (solicited, mac) = group(own_ipv6(0));
    let mut far = discovery(135, FAR_HOST_IPV6, solicited);
    far[7] = 254;
    rig.send(0, &multicast(0, mac, &far));
    let mut unicast = discovery(136, FAR_HOST_IPV6, own_ipv6(0));
    unicast[7] = 64;
    rig.send(0, &frame(0, &unicast));
    assert_eq!(rig.drops(0, Drop::ForeignNeighbourDiscovery), 2);
    // Somebody else is asked for on an ISP side.
    let (solicited, mac) = group(LAN_HOST_IPV6);
    rig.send(
        1,
        &multicast(1, mac, &discovery(135, gateway_ipv6(1), solicited)),
    );
    assert_eq!(rig.drops(1, Drop::Multicast), 1);
    // A listener query (RFC 3810), and a packet of an application.
    let query = packet_ipv6(
        gateway_ipv6(0),
        "ff02::1".parse().expect("an address"),
        58,
        &[130; 24],
        2,
    );
    rig.send(0, &multicast(0, [0x33, 0x33, 0, 0, 0, 1], &query));
    let group: Ipv6Addr = "ff0e::1234".parse().expect("an address");
    let packet = udp_ipv6(LAN_HOST_IPV6, group, b"x");
    rig.send(0, &multicast(0, [0x33, 0x33, 0, 0, 0x12, 0x34], &packet));
    rig.send(0, &frame(0, &packet));
    assert_eq!(rig.drops(0, Drop::Multicast), 3);
    let short = discovery(135, LAN_HOST_IPV6, own_ipv6(0));
    rig.send(0, &frame(0, &short[..short.len() - 1]));
    assert_eq!(rig.drops(0, Drop::Truncated), 1);
    assert!(rig.events().is_empty());
    // One that only passes through is a packet as any other.
    rig.send(0, &frame(0, &discovery(136, LAN_HOST_IPV6, FAR_HOST_IPV6)));
    assert_eq!(rig.one(1)[64 + 7], 254);
}

#[test]
fn a_flood_of_solicitations_is_policed() {
    let mut rig = Rig::with_ipv6();
    let (solicited, mac) = group(own_ipv6(0));
    let solicitation = multicast(0, mac, &discovery(135, LAN_HOST_IPV6, solicited));
    for _ in 0..1000 {
        rig.send(0, &solicitation);
    }
    let told = rig.events().len() as u64;
    assert!((200..400).contains(&told), "{told}");
    assert_eq!(rig.drops(0, Drop::PuntPoliced), 1000 - told);
}

#[test]
fn link_local_addresses_stay_on_their_link() {
    let mut rig = Rig::with_ipv6();
    let host = gateway_ipv6(0);
    // To us, whatever the source.
    for (source, destination) in [
        (host, own_link_local(0)),
        (LAN_HOST_IPV6, own_link_local(0)),
        (host, own_ipv6(0)),
    ] {
        let packet = udp_ipv6(source, destination, b"x");
        rig.send(0, &frame(0, &packet));
        let Event::Local {
            table,
            interface,
            packet: local,
        } = rig.one_event()
        else {
            panic!("another event");
        };
        assert_eq!((table, interface), (TableId(0), Some(InterfaceId(0))));
        assert_eq!(local[..], packet);
    }
    // Another interface's address, a neighbour's, and one beyond a route.
    let elsewhere = NextHop::Set(SET);
    rig.route(0, Ipv6Addr::UNSPECIFIED, 0, elsewhere);
    for destination in [own_link_local(1), host] {
        rig.send(0, &frame(0, &udp_ipv6(LAN_HOST_IPV6, destination, b"x")));
    }
    assert_eq!(rig.drops(0, Drop::LinkLocal), 2);
    rig.send(
        1,
        &copy_ipv6(1, 1, &udp_ipv6(FAR_HOST_IPV6, own_link_local(0), b"x")),
    );
    assert_eq!(rig.drops(1, Drop::LinkLocal), 1);
    assert!(rig.events().is_empty());
    // A source that means nothing where the packet goes.
    let packet = udp_ipv6(host, FAR_HOST_IPV6, b"x");
    rig.send(0, &frame(0, &packet));
    let expected = (
        IcmpCause::BeyondScope,
        TableId(0),
        Some(InterfaceId(0)),
        packet,
    );
    assert_eq!(icmp(&mut rig), expected);
    assert_eq!(rig.drops(0, Drop::LinkLocal), 3);
    assert!((1..PORTS).all(|port| rig.received(port).is_empty()));
}

#[test]
fn martians_and_misfits_have_names() {
    let mut rig = Rig::with_ipv6();
    let address = |text: &str| -> Ipv6Addr { text.parse().expect("an address") };
    for source in ["::", "::1", "::ffff:192.168.2.10", "ff02::1"] {
        rig.send(
            0,
            &frame(0, &udp_ipv6(address(source), FAR_HOST_IPV6, b"x")),
        );
    }
    assert_eq!(rig.drops(0, Drop::MartianSource), 4);
    for destination in ["::", "::1", "::ffff:192.168.1.20"] {
        let packet = udp_ipv6(LAN_HOST_IPV6, address(destination), b"x");
        rig.send(0, &frame(0, &packet));
    }
    assert_eq!(rig.drops(0, Drop::MartianDestination), 3);
    // Inside a tunnel they do not mark a number.
    let martian = udp_ipv6(address("::1"), LAN_HOST_IPV6, b"x");
    rig.send(1, &copy_ipv6(1, 5, &martian));
    assert_eq!(rig.drops(1, Drop::MartianSource), 1);
    let mut short = inner_ipv6(b"x");
    short[5] += 1;
    rig.send(1, &copy_ipv6(1, 5, &short));
    assert_eq!(rig.drops(1, Drop::Truncated), 1);
    // What PPP calls IPv6 is IPv6.
    let message = ha_message(1, PEER_EPOCH, 5, &ppp_ipv6(&inner(&[0; 40])));
    rig.send(1, &l2tp_frame(1, &message));
    assert_eq!(rig.drops(1, Drop::BadIpv6), 1);
    let message = ha_message(1, PEER_EPOCH, 5, &ppp_ipv4(&inner_ipv6(b"x")));
    rig.send(1, &l2tp_frame(1, &message));
    assert_eq!(rig.drops(1, Drop::BadIpv4), 1);
    let mut version = frame(0, &to_far(b"x"));
    version[14] = 0x45;
    rig.send(0, &version);
    assert_eq!(rig.drops(0, Drop::BadIpv6), 1);
    assert!(rig.received(0).is_empty());
    rig.send(1, &copy_ipv6(1, 5, &inner_ipv6(b"x")));
    assert_eq!(rig.one(0), delivered(&inner_ipv6(b"x")));
}

#[test]
fn an_isp_side_forwards_no_ipv6() {
    let mut rig = Rig::with_ipv6();
    let stranger: Ipv6Addr = "2001:db8:5555::1".parse().expect("an address");
    for destination in [LAN_HOST_IPV6, FAR_HOST_IPV6, *PEER_IPV6.ip()] {
        rig.send(1, &frame(1, &udp_ipv6(stranger, destination, b"x")));
    }
    assert_eq!(rig.drops(1, Drop::NotForwarding), 3);
    rig.send(1, &frame(1, &udp_ipv6(stranger, own_ipv6(1), b"x")));
    let Event::Local {
        table, interface, ..
    } = rig.one_event()
    else {
        panic!("another event");
    };
    assert_eq!((table, interface), (TableId(1), Some(InterfaceId(1))));
}

#[test]
fn our_own_packets_leave_as_ipv6() {
    let mut rig = Rig::with_ipv6();
    let routed = udp_ipv6(own_ipv6(0), LAN_HOST_IPV6, b"x");
    // A gateway that is link-local is reached by its interface.
    let to_gateway = udp_ipv6(own_link_local(2), gateway_ipv6(2), b"x");
    let (first, second, third) = (
        rig.buffer(&routed),
        rig.buffer(&to_gateway),
        rig.buffer(&to_gateway),
    );
    let send = |packet, table| Order::SendIp {
        table: TableId(table),
        packet,
    };
    rig.order(send(first, 0));
    let sent = rig.one(0);
    assert_eq!(sent[12..14], ETHER_TYPE);
    assert_eq!(sent[14..], routed, "no hop less");
    rig.order(Order::SendOnInterface {
        interface: InterfaceId(2),
        mac: gateway_mac(2),
        packet: second,
    });
    let sent = rig.one(2);
    assert_eq!(sent[12..14], ETHER_TYPE);
    assert_eq!(sent[14..], to_gateway);
    // Tables do not say where it is.
    rig.order(send(third, 2));
    assert_eq!(rig.channels[0].injected.drops.read(Drop::LinkLocal), 1);
}

#[test]
fn an_unknown_neighbour_is_asked_for() {
    let mut rig = Rig::with_ipv6();
    let other: Ipv6Addr = "2001:db8:2::77".parse().expect("an address");
    let packet = udp_ipv6(FAR_HOST_IPV6, other, b"x");
    rig.send(1, &copy_ipv6(1, 1, &packet));
    let Event::NeighbourMissing {
        interface,
        next_hop,
        packet: waiting,
    } = rig.one_event()
    else {
        panic!("another event");
    };
    assert_eq!((interface, next_hop), (InterfaceId(0), other.into()));
    assert_eq!(waiting[..], delivered(&packet)[14..]);
    rig.neighbour(0, other, LAN_HOST_MAC);
    rig.send(1, &copy_ipv6(1, 2, &packet));
    assert_eq!(rig.one(0), delivered(&packet));
    // A tunnel's gateway, too.
    rig.go_over_ipv6();
    rig.command(Command::RemoveNeighbour {
        interface: InterfaceId(2),
        address: gateway_ipv6(2).into(),
    });
    rig.send(0, &frame(0, &to_far(b"x")));
    let Event::NeighbourMissing { next_hop, .. } = rig.one_event() else {
        panic!("another event");
    };
    assert_eq!(next_hop, gateway_ipv6(2));
}
