//! VLANs on a port.

use dataplane::Encapsulation::Vlan;
use dataplane::command::{Command, PortId};
use dataplane::counters::Drop;
use dataplane::event::Event;
use dataplane::headers::{ipv4, udp as udp_header};

use crate::logical_rig::*;
use crate::rig::*;

/// ARP for all.
fn arp() -> Vec<u8> {
    let mut arp = [0xff; 6].to_vec();
    arp.extend(gateway_mac(2));
    arp.extend([0x08, 0x06]);
    arp.extend([0; 28]);
    arp
}

/// What the one event says, which is of ARP.
fn heard_arp(rig: &mut Rig) -> (PortId, Vec<u8>) {
    match rig.one_event() {
        Event::Arp { port, frame } => (port, frame.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn identifiers_have_twelve_bits_and_are_in_any_order() {
    let vlans = [(1, Vlan(4094)), (1, Vlan(0x107)), (1, Vlan(7))];
    let mut rig = rig(&vlans, [FIRST, FIRST + 1]);
    let arp = arp();
    for (identifier, port) in [(4094, FIRST), (0x107, FIRST + 1), (7, FIRST + 2)] {
        rig.send(1, &tagged(identifier, &arp));
        assert_eq!(heard_arp(&mut rig), (PortId(port), arp.clone()));
    }
    for identifier in [0x0fe, 8, 4095] {
        rig.send(1, &tagged(identifier, &arp));
    }
    assert_eq!(rig.drops(1, Drop::UnknownVlan), 3);
    assert!(rig.events().is_empty());
    rig.send(0, &frame(0, &udp(LAN_HOST, FAR_HOST, b"x")));
    let sent = rig.received(1);
    let tags = [[0x81, 0x00, 0x0f, 0xfe], [0x81, 0x00, 0x01, 0x07]];
    assert_eq!(sent.len(), 1 + tags.len());
    for tag in tags {
        assert!(sent.iter().any(|frame| frame[12..16] == tag), "{tag:02x?}");
    }
}

#[test]
fn copies_over_vlans_and_untagged_are_copies_of_one_set() {
    let mut rig = on_vlans();
    let packet = inner(b"hello");
    let frames = [
        to_port_1(copy(2, 77, &packet)),
        to_port_1(copy(1, 77, &packet)),
        to_port_1(copy(3, 77, &packet)),
    ];
    rig.offer(1, 0, &tagged(7, &frames[0]));
    rig.offer(1, 0, &frames[1]);
    rig.offer(1, 0, &tagged(8, &frames[2]));
    rig.poll();
    assert_eq!(rig.one(0), delivered(&packet));
    let received = [0, 1, 2].map(|session| rig.sessions[session][0].received_packets.read());
    assert_eq!(received, [1; 3]);
    let duplicates: u64 = [1, FIRST, FIRST + 1]
        .map(|port| rig.drops(port.into(), Drop::Duplicate))
        .iter()
        .sum();
    assert_eq!((duplicates, rig.all_drops()), (2, 2));
    // The device counts all, the logical ports their own.
    assert_eq!(counted(&rig, 1), [3, 0]);
    assert_eq!(counted(&rig, FIRST), [1, 0]);
    let octets = |port: usize| rig.counters[port][0].received_octets.read();
    let untagged = frames.each_ref().map(|frame| frame.len() as u64);
    assert_eq!(octets(usize::from(FIRST)), untagged[0]);
    assert_eq!(octets(1), untagged.iter().sum::<u64>() + 2 * 4);
}

#[test]
fn copies_are_of_a_session_on_its_own_vlan_alone() {
    let mut rig = on_vlans();
    let packet = inner(b"hello");
    // Known to be at hand on its own.
    rig.send(1, &tagged(7, &to_port_1(copy(2, 1, &packet))));
    assert_eq!(rig.one(0), delivered(&packet));
    for (identifier, number) in [(8, 2), (9, 3)] {
        let frame = to_port_1(copy(2, number, &packet));
        rig.send(1, &tagged(identifier, &frame));
    }
    rig.send(1, &to_port_1(copy(2, 4, &packet)));
    assert!(rig.received(0).is_empty());
    assert_eq!(rig.sessions[1][0].received_packets.read(), 1);
    assert_eq!(rig.drops(usize::from(FIRST) + 1, Drop::NotForwarding), 1);
    assert_eq!(rig.drops(1, Drop::UnknownVlan), 1);
    assert_eq!(rig.drops(1, Drop::NotForwarding), 1);
    assert_eq!(rig.all_drops(), 3);
}

#[test]
fn a_whole_burst_of_tagged_copies_stays_in_order() {
    let mut rig = on_vlans();
    let packets: Vec<_> = (0..100_u8).map(|octet| inner(&[octet; 9])).collect();
    for (number, packet) in (0..).zip(&packets) {
        for (uplink, identifier) in [(2, 7), (3, 8)] {
            let frame = to_port_1(copy(uplink, number, packet));
            rig.offer(1, 0, &tagged(identifier, &frame));
        }
    }
    rig.poll();
    let expected: Vec<_> = packets.iter().map(|packet| delivered(packet)).collect();
    assert_eq!(rig.received(0), expected);
    assert_eq!(rig.set[0].delivered_packets.read(), 100);
    assert_eq!(rig.set[0].duplicates.read(), 100);
}

#[test]
fn what_leaves_by_a_vlan_has_its_tag() {
    let mut rig = on_vlans();
    let frames = forty_packets(&mut rig);
    let of = |tag: &[u8]| -> Vec<Vec<u8>> {
        let of_vlan = frames.iter().filter(|frame| frame[12..].starts_with(tag));
        of_vlan
            .map(|frame| {
                let untagged = &frame[12 + tag.len()..];
                [&frame[..12], untagged].concat()
            })
            .collect()
    };
    for (uplink, tag) in [(2, [0x81, 0, 0, 7]), (3, [0x81, 0, 0, 8])] {
        let of_vlan = of(&tag);
        assert_eq!(of_vlan.len(), 40);
        for (number, frame) in (FIRST_NUMBER..).zip(&of_vlan) {
            assert_eq!(frame[..6], gateway_mac(uplink));
            assert_eq!(frame[6..12], port_mac(1));
            assert_eq!(number_of(frame), number);
            let outer = ipv4::parse(&frame[14..]).expect("an outer header");
            assert_eq!(outer.source, own_address(uplink));
            // Its checksums are right though the device would fill them in.
            udp_header::parse(&outer, &frame[14..]).expect("a datagram");
        }
    }
    let sent = [0, 1, 2].map(|session| rig.sessions[session][0].sent_packets.read());
    assert_eq!(sent, [40; 3]);
    assert_eq!(counted(&rig, 1), [0, 120]);
    assert_eq!(counted(&rig, FIRST), [0, 40]);
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn a_tag_for_priority_alone_is_none() {
    let mut rig = on_vlans();
    let packet = inner(b"hello");
    let untagged = to_port_1(copy(1, 5, &packet));
    rig.send(1, &tagged(0, &untagged));
    assert_eq!(rig.one(0), delivered(&packet));
    // On a VLAN, too, and on ports that carry none.
    rig.send(1, &tagged(7, &tagged(0, &to_port_1(copy(2, 6, &packet)))));
    assert_eq!(rig.one(0), delivered(&packet));
    rig.send(0, &tagged(0, &frame(0, &udp(LAN_HOST, FAR_HOST, b"x"))));
    assert_eq!(rig.received(1).len(), 3);
    // Once.
    rig.send(1, &tagged(0, &tagged(0, &untagged)));
    rig.send(1, &tagged(0, &tagged(7, &untagged)));
    assert!(rig.received(0).is_empty());
    assert_eq!(rig.drops(1, Drop::UnknownVlan), 2);
    assert_eq!(rig.all_drops(), 2);
}

#[test]
fn what_a_tag_stands_in_front_of_goes_the_usual_ways() {
    let mut rig = on_vlans();
    let arp = arp();
    rig.send(1, &tagged(7, &arp));
    assert_eq!(heard_arp(&mut rig), (PortId(FIRST), arp.clone()));
    // Cut off in the tag.
    rig.send(1, &tagged(7, &arp)[..16]);
    assert_eq!(rig.drops(1, Drop::Truncated), 1);
    // In the frame behind it.
    rig.send(1, &tagged(7, &to_port_1(copy(2, 1, &inner(b"x"))))[..30]);
    assert_eq!(rig.drops(usize::from(FIRST), Drop::Truncated), 1);
    // In the device: the rig's cut at 1800 octets.
    let large = tagged(7, &to_port_1(copy(2, 1, &inner(&[0; 1900]))));
    rig.send(1, &large[..1800]);
    assert_eq!(rig.drops(usize::from(FIRST), Drop::Oversized), 1);
    let mut strange = to_port_1(copy(2, 1, &inner(b"x")));
    strange[12..14].copy_from_slice(&[0x88, 0xcc]);
    rig.send(1, &tagged(7, &strange));
    assert_eq!(rig.drops(usize::from(FIRST), Drop::UnknownEtherType), 1);
    let mut to_another = strange;
    to_another[5] ^= 1;
    rig.send(1, &tagged(7, &to_another));
    assert_eq!(rig.drops(1, Drop::NotForUs), 1);
    assert_eq!(rig.all_drops(), 5);
}

#[test]
fn a_vlan_is_down_with_its_port_and_alone() {
    let mut rig = on_vlans();
    let packet = udp(LAN_HOST, FAR_HOST, b"x");
    let mut down = |port, up| {
        rig.command(Command::SetPortLink {
            port: PortId(port),
            up,
        });
        rig.send(0, &frame(0, &packet));
        rig.received(1).len()
    };
    assert_eq!(down(FIRST, false), 2);
    assert_eq!(down(1, false), 0);
    assert_eq!(down(1, true), 2);
    assert_eq!(down(FIRST, true), 3);
    let absent = rig.sessions[1][0].send_dropped_packets.read();
    assert_eq!(absent, 2, "of the packets that others carried");
}
