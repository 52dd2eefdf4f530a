//! PPPoE sessions on a port, and on a VLAN.

use dataplane::command::{Command, InterfaceId, PortId, PppoeSession};
use dataplane::counters::Drop;
use dataplane::event::Event;
use dataplane::headers::{ipv4, udp as udp_header};
use dataplane::worker::Order;

use crate::logical_rig::*;
use crate::rig::*;

#[test]
fn copies_in_sessions_and_without_are_copies_of_one_set() {
    let mut rig = connected();
    let packet = inner(b"hello");
    let copies = [1, 2, 3].map(|link| to_port_1(copy(link, 77, &packet)));
    rig.offer(1, 0, &tagged(8, &in_pppoe(NESTED, &copies[2])));
    rig.offer(1, 0, &in_pppoe(SESSION, &copies[1]));
    rig.offer(1, 0, &copies[0]);
    rig.poll();
    assert_eq!(rig.one(0), delivered(&packet));
    let received = [0, 1, 2].map(|session| rig.sessions[session][0].received_packets.read());
    assert_eq!(received, [1; 3]);
    let duplicates =
        [1, SESSION_PORT, NESTED_PORT].map(|port| rig.drops(port.into(), Drop::Duplicate));
    assert_eq!((duplicates.iter().sum::<u64>(), rig.all_drops()), (2, 2));
    let ports = [1, SESSION_PORT, VLAN_PORT, NESTED_PORT];
    assert_eq!(ports.map(|port| counted(&rig, port)[0]), [3, 1, 1, 1]);
    let octets = ports.map(|port| rig.counters[usize::from(port)][0].received_octets.read());
    let plain = copies[0].len() as u64;
    // With five octets of padding, which go with the session's header.
    assert_eq!(octets, [3 * plain + 13 + 17, plain, plain + 13, plain]);
}

#[test]
fn bursts_of_sessions_stay_in_order() {
    let mut rig = connected();
    let packets: Vec<_> = (0..100_u8).map(|octet| inner(&[octet; 9])).collect();
    for (number, packet) in (0..).zip(&packets) {
        let [second, third] = [2, 3].map(|link| to_port_1(copy(link, number, packet)));
        rig.offer(1, 0, &in_pppoe(SESSION, &second));
        rig.offer(1, 0, &tagged(8, &in_pppoe(NESTED, &third)));
    }
    rig.poll();
    let expected: Vec<_> = packets.iter().map(|packet| delivered(packet)).collect();
    assert_eq!(rig.received(0), expected);
    assert_eq!(rig.set[0].duplicates.read(), 100);
}

#[test]
fn what_leaves_by_a_session_goes_to_its_concentrator() {
    let mut rig = connected();
    let frames = forty_packets(&mut rig);
    for (session, uplink, tag) in [(SESSION, 2, &[][..]), (NESTED, 3, &[0x81, 0, 0, 8])] {
        let mut front = session.access_concentrator.to_vec();
        front.extend(port_mac(1));
        front.extend(tag);
        front.extend([0x88, 0x64, 0x11, 0, 0x12, 0x34]);
        let in_session: Vec<_> = frames
            .iter()
            .filter_map(|frame| frame.strip_prefix(&front[..]))
            .collect();
        assert_eq!(in_session.len(), 40);
        for (number, pppoe) in (FIRST_NUMBER..).zip(in_session) {
            let length = u16::from_be_bytes([pppoe[0], pppoe[1]]);
            assert_eq!(usize::from(length), pppoe.len() - 2);
            assert_eq!(pppoe[2..4], [0x00, 0x21]);
            let outer = ipv4::parse(&pppoe[4..]).expect("an outer header");
            assert_eq!(outer.source, own_address(uplink));
            udp_header::parse(&outer, &pppoe[4..]).expect("its checksum is right");
            let plain = [&[0; 14], &pppoe[4..]].concat();
            assert_eq!(number_of(&plain), number);
        }
    }
    let ports = [1, SESSION_PORT, VLAN_PORT, NESTED_PORT];
    assert_eq!(ports.map(|port| counted(&rig, port)[1]), [120, 40, 40, 40]);
    let octets = ports.map(|port| rig.counters[usize::from(port)][0].sent_octets.read());
    assert_eq!(octets[2] - octets[3], 40 * 8);
    assert_eq!(octets[0] - 3 * octets[1], 40 * (8 + 8 + 4));
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn without_a_session_nothing_comes_and_nothing_goes() {
    let mut rig = not_connected();
    let packet = udp(LAN_HOST, FAR_HOST, b"x");
    rig.send(0, &frame(0, &packet));
    assert_eq!(rig.received(1).len(), 1, "the link without a session");
    let absent = |rig: &Rig, link: usize| rig.sessions[link - 1][0].send_dropped_packets.read();
    assert_eq!([2, 3].map(|link| absent(&rig, link)), [1; 2]);
    let arriving = in_pppoe(SESSION, &to_port_1(copy(2, 1, &inner(b"x"))));
    rig.send(1, &arriving);
    assert_eq!(rig.drops(1, Drop::UnknownPppoeSession), 1);
    let own = rig.buffer(&packet);
    rig.order(Order::SendOnInterface {
        interface: InterfaceId(2),
        mac: gateway_mac(2),
        packet: own,
    });
    assert_eq!(rig.drops(SESSION_PORT.into(), Drop::NoPppoeSession), 1);
    assert!(rig.received(1).is_empty());

    connect(&mut rig, SESSION_PORT, Some(SESSION));
    rig.send(1, &arriving);
    assert_eq!(rig.received(0).len(), 1);
    rig.send(0, &frame(0, &packet));
    assert_eq!(rig.received(1).len(), 2);

    // A new session: the old one's frames are nobody's.
    let next = PppoeSession { id: 2, ..SESSION };
    connect(&mut rig, SESSION_PORT, Some(next));
    rig.send(1, &arriving);
    assert_eq!(rig.drops(1, Drop::UnknownPppoeSession), 2);
    rig.send(1, &in_pppoe(next, &to_port_1(copy(2, 2, &inner(b"x")))));
    assert_eq!(rig.received(0).len(), 1);

    connect(&mut rig, SESSION_PORT, None);
    rig.send(0, &frame(0, &packet));
    assert_eq!(rig.received(1).len(), 1);
    assert_eq!(absent(&rig, 2), 2);
    // What is no port of PPPoE is left as it is.
    connect(&mut rig, 1, None);
    connect(&mut rig, VLAN_PORT, Some(SESSION));
    connect(&mut rig, 99, Some(SESSION));
    rig.send(0, &frame(0, &packet));
    assert_eq!(rig.received(1).len(), 1);
}

#[test]
fn frames_of_no_session_of_ours_and_malformed_ones_are_dropped_by_name() {
    let mut rig = connected();
    let good = in_pppoe(SESSION, &to_port_1(copy(2, 1, &inner(b"x"))));
    let changed = |at: usize, octet: u8| {
        let mut frame = good.clone();
        frame[at] = octet;
        frame
    };
    let another_mac = changed(11, 9);
    let all_stations = [&[0xff; 6], &good[6..]].concat();
    for (frame, reason) in [
        (&changed(14, 0x12), Drop::BadPppoe),
        (&changed(14, 0x21), Drop::BadPppoe),
        (&changed(15, 0xa7), Drop::BadPppoe),
        (&changed(18, 0xff), Drop::BadPppoe),
        (&good[..good.len() - 6].to_vec(), Drop::BadPppoe),
        (&pppoe_frame(SESSION, &[]), Drop::BadPppoe),
        (&pppoe_frame(SESSION, &[0x00, 0x20]), Drop::BadPppoe),
        (&good[..19].to_vec(), Drop::Truncated),
        (&another_mac, Drop::UnknownPppoeSession),
        (&changed(17, 0x35), Drop::UnknownPppoeSession),
        (&in_pppoe(NESTED, &good), Drop::UnknownPppoeSession),
        (&all_stations, Drop::Multicast),
    ] {
        let (before, all) = (rig.drops(1, reason), rig.all_drops());
        rig.send(1, frame);
        assert_eq!(rig.drops(1, reason), before + 1, "{frame:02x?}");
        assert_eq!(rig.all_drops(), all + 1);
    }
    assert!(rig.received(0).is_empty() && rig.events().is_empty());
    // The rig's ports cut at 1800 octets.
    let large = in_pppoe(SESSION, &to_port_1(copy(2, 1, &inner(&[0; 1900]))));
    rig.send(1, &large[..1800]);
    assert_eq!(rig.drops(1, Drop::Oversized), 1);
    // The session of a port is none on a VLAN of it.
    rig.send(1, &tagged(8, &good));
    assert_eq!(rig.drops(VLAN_PORT.into(), Drop::UnknownPppoeSession), 1);
    // On a port without PPPoE nobody is in a session.
    let elsewhere = [&port_mac(2), &good[6..]].concat();
    rig.send(2, &elsewhere);
    assert_eq!(rig.drops(2, Drop::UnknownPppoeSession), 1);
    // What is in a session is looked at like anything else.
    let mut damaged = to_port_1(copy(2, 1, &inner(b"x")));
    damaged[24] ^= 1;
    rig.send(1, &in_pppoe(SESSION, &damaged));
    assert_eq!(rig.drops(SESSION_PORT.into(), Drop::BadIpv4), 1);
    rig.send(1, &good);
    assert_eq!(rig.received(0).len(), 1, "and the good one is taken");
}

#[test]
fn the_protocol_field_may_be_compressed() {
    let mut rig = connected();
    let packet = inner(b"hello");
    let outer = &copy(2, 1, &packet)[14..];
    rig.send(1, &pppoe_frame(SESSION, &[&[0x21], outer].concat()));
    assert_eq!(rig.one(0), delivered(&packet));
}

#[test]
fn ppp_frames_and_discovery_are_the_control_threads() {
    let mut rig = connected();
    let lcp = pppoe_frame(SESSION, &[0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4]);
    let padded = [&lcp[..], &[0; 30]].concat();
    rig.send(1, &padded);
    match rig.one_event() {
        Event::PppoeSession { port, frame } => {
            assert_eq!((port, &frame[..]), (PortId(SESSION_PORT), &lcp[..]));
        }
        other => panic!("{other:?}"),
    }
    let nested = pppoe_frame(NESTED, &[0x80, 0x57, 1, 1, 0, 4]);
    rig.send(1, &tagged(8, &nested));
    match rig.one_event() {
        Event::PppoeSession { port, frame } => {
            assert_eq!((port, &frame[..]), (PortId(NESTED_PORT), &nested[..]));
        }
        other => panic!("{other:?}"),
    }
    let punted = |rig: &Rig, port: u16| rig.counters[usize::from(port)][0].punted_packets.read();
    assert_eq!(
        [SESSION_PORT, NESTED_PORT].map(|port| punted(&rig, port)),
        [1; 2]
    );
    assert_eq!(counted(&rig, SESSION_PORT), [1, 0]);

    let mut offer = lcp;
    offer[12..20].copy_from_slice(&[0x88, 0x63, 0x11, 0x07, 0, 0, 0, 0]);
    for (port, frame) in [(1, offer.clone()), (VLAN_PORT, tagged(8, &offer))] {
        rig.send(1, &frame);
        match rig.one_event() {
            Event::PppoeDiscovery { port: at, frame } => {
                assert_eq!((at, &frame[..]), (PortId(port), &offer[..]));
            }
            other => panic!("{other:?}"),
        }
    }
    // A client hears what is to it, where it is one.
    rig.send(1, &[&[0xff; 6], &offer[6..]].concat());
    assert_eq!(rig.drops(1, Drop::Multicast), 1);
    rig.send(2, &[&port_mac(2), &offer[6..]].concat());
    assert_eq!(rig.drops(2, Drop::UnknownEtherType), 1);
    assert!(rig.events().is_empty());
    let mut rig = on_vlans();
    rig.send(1, &offer);
    assert_eq!(rig.drops(1, Drop::UnknownEtherType), 1);
    assert!(rig.events().is_empty());
}

#[test]
fn the_control_threads_frames_of_pppoe_leave_as_they_are() {
    let mut rig = not_connected();
    let mut frame = SESSION.access_concentrator.to_vec();
    frame.extend(port_mac(1));
    frame.extend([
        0x88, 0x64, 0x11, 0, 0x12, 0x34, 0, 6, 0xc0, 0x21, 9, 1, 0, 4,
    ]);
    send_frame(&mut rig, SESSION_PORT, &frame);
    assert_eq!(rig.one(1), frame);
    send_frame(&mut rig, NESTED_PORT, &frame);
    let on_vlan = [&frame[..12], &[0x81, 0, 0, 8], &frame[12..]].concat();
    assert_eq!(rig.one(1), on_vlan);
    frame[13] = 0x63;
    for (port, out) in [(1, &frame), (SESSION_PORT, &frame)] {
        send_frame(&mut rig, port, &frame);
        assert_eq!(&rig.one(1), out);
    }
    send_frame(&mut rig, VLAN_PORT, &frame);
    assert_eq!(rig.one(1)[12..18], [0x81, 0, 0, 8, 0x88, 0x63]);
    // Nothing but IP is put into a session.
    connect(&mut rig, SESSION_PORT, Some(SESSION));
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    send_frame(&mut rig, SESSION_PORT, &frame);
    assert_eq!(rig.drops(SESSION_PORT.into(), Drop::UnknownEtherType), 1);
    send_frame(&mut rig, SESSION_PORT, &frame[..13]);
    assert_eq!(rig.drops(SESSION_PORT.into(), Drop::Truncated), 1);
    send_frame(&mut rig, VLAN_PORT, &frame[..11]);
    assert_eq!(rig.drops(VLAN_PORT.into(), Drop::Truncated), 1);
    assert!(rig.received(1).is_empty());
}

#[test]
fn a_flood_of_discovery_costs_no_session_its_ppp_frames() {
    let mut rig = connected();
    let lcp = pppoe_frame(SESSION, &[0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4]);
    let mut offer = lcp.clone();
    offer[13] = 0x63;
    for _ in 0..20 {
        for _ in 0..20 {
            rig.offer(1, 0, &offer);
        }
        rig.send(1, &lcp);
    }
    let events = rig.events();
    let of_session = events
        .iter()
        .filter(|event| matches!(event, Event::PppoeSession { .. }));
    assert_eq!(of_session.count(), 20);
    assert_eq!(events.len(), 20 + 64);
    assert_eq!(rig.drops(1, Drop::PuntPoliced), 400 - 64);
    assert_eq!(rig.all_drops(), 400 - 64);
}

#[test]
fn a_session_is_down_with_all_that_carries_it() {
    let mut rig = connected();
    let packet = udp(LAN_HOST, FAR_HOST, b"x");
    let set_link = |rig: &mut Rig, port, up| {
        let port = PortId(port);
        rig.command(Command::SetPortLink { port, up });
        rig.poll();
    };
    // Our own frames, too, with the VLAN alone.
    set_link(&mut rig, VLAN_PORT, false);
    send_frame(&mut rig, NESTED_PORT, &frame(1, &packet));
    assert_eq!(rig.drops(NESTED_PORT.into(), Drop::PortDown), 1);
    assert!(rig.received(1).is_empty());
    let mut with = |port, up| {
        set_link(&mut rig, port, up);
        rig.send(0, &frame(0, &packet));
        rig.received(1).len()
    };
    assert_eq!(with(VLAN_PORT, false), 2);
    assert_eq!(with(NESTED_PORT, false), 2);
    assert_eq!(with(VLAN_PORT, true), 2);
    assert_eq!(with(NESTED_PORT, true), 3);
    assert_eq!(with(1, false), 0);
    send_frame(&mut rig, NESTED_PORT, &frame(1, &packet));
    send_frame(&mut rig, VLAN_PORT, &frame(1, &packet));
    assert_eq!(rig.drops(NESTED_PORT.into(), Drop::PortDown), 2);
    assert_eq!(rig.drops(VLAN_PORT.into(), Drop::PortDown), 1);
}
