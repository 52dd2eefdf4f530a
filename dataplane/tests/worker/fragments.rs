//! Packets to the appliance that come in fragments.

use std::net::SocketAddr;
use std::sync::Arc;

use dataplane::command::{Command, SessionSpec};
use dataplane::counters::Drop;
use dataplane::event::Event;
use dataplane::headers::{ipv4, ipv6};
use dataplane::transform::fragment;
use proptest::prelude::*;

use crate::ipv6_rig::*;
use crate::rig::*;

/// An outer packet as a router before a line of this MTU cuts it.
fn cut(packet: &[u8], mtu: u16) -> Vec<Vec<u8>> {
    fragment(packet, mtu)
        .expect("DF is clear")
        .map(|part| [part.header(), &packet[part.payload_range.clone()]].concat())
        .collect()
}

/// The same with IPv6, which only a sender does.
fn cut_ipv6(packet: &[u8], part_octets: usize, identification: u32) -> Vec<Vec<u8>> {
    let (header, payload) = packet.split_at(ipv6::HEADER_OCTETS);
    let parts = payload.chunks(part_octets).enumerate();
    parts
        .map(|(index, part)| {
            let offset = index * part_octets;
            let more = u16::from(offset + part.len() < payload.len());
            let mut whole = header.to_vec();
            whole[4..6].copy_from_slice(&(8 + part.len() as u16).to_be_bytes());
            whole[6] = ipv6::NEXT_FRAGMENT;
            whole.extend([header[6], 0]);
            whole.extend((offset as u16 | more).to_be_bytes());
            whole.extend(identification.to_be_bytes());
            whole.extend(part);
            whole
        })
        .collect()
}

/// The outer packet of a message that the peer sends over an uplink.
fn outer(uplink: u16, message: &[u8], identification: u16) -> Vec<u8> {
    let destination = std::net::SocketAddrV4::new(own_address(uplink), 1701);
    ipv4::udp_packet(PEER, destination, message, identification)
}

fn plain(rig: &mut Rig, change: fn(&mut SessionSpec)) {
    let mut spec = rig.session_spec(1);
    spec.set = None;
    change(&mut spec);
    rig.command(Command::SetSession(Arc::new(spec)));
    rig.poll();
}

fn total_of(rig: &Rig, reason: Drop) -> u64 {
    (0..PORTS).map(|port| rig.drops(port, reason)).sum()
}

#[test]
fn fragments_of_a_foreign_peer_on_any_worker_make_the_packet() {
    for workers in 1..=3 {
        let mut rig = Rig::with(workers, 1024, 8192);
        plain(&mut rig, |_| {});
        let packets: Vec<_> = (0..30_u8).map(|seed| inner(&[seed; 1400])).collect();
        for (identification, packet) in (0..).zip(&packets) {
            let message = plain_message(1, &ppp_ipv4(packet));
            let mut parts = cut(&outer(1, &message, identification), 576);
            assert_eq!(parts.len(), 3);
            parts.rotate_left(usize::from(identification) % 3);
            for (index, part) in parts.iter().enumerate() {
                let worker = (usize::from(identification) + index) % workers;
                rig.offer(1, worker, &frame(1, part));
            }
            rig.poll();
        }
        let mut received = rig.received(0);
        let mut expected: Vec<_> = packets.iter().map(|packet| delivered(packet)).collect();
        received.sort();
        expected.sort();
        assert_eq!(received, expected, "{workers} workers");
        assert_eq!(rig.all_drops(), 0);
        assert_eq!(rig.total(|port| port.reassembled_packets.read()), 30);
        assert_eq!(rig.total(|port| port.reassembled_fragments.read()), 90);
        let shares: Vec<u64> = rig.counters[1]
            .iter()
            .map(|port| port.reassembled_packets.read())
            .collect();
        assert!(shares.iter().all(|&share| share > 0), "{shares:?}");
    }
}

#[test]
fn a_fragmented_copy_of_a_set_is_eliminated_as_any_other() {
    let mut rig = Rig::with(2, 1024, 8192);
    let packet = inner(&[7; 1400]);
    for link in [2_u16, 1, 3] {
        let message = ha_message(link, PEER_EPOCH, 9, &ppp_ipv4(&packet));
        for (worker, part) in cut(&outer(link, &message, 5), 1000).iter().enumerate() {
            rig.offer(link.into(), worker, &frame(link, part));
        }
        rig.poll();
    }
    assert_eq!(rig.one(0), delivered(&packet));
    assert_eq!(
        [1, 2, 3].map(|port| rig.drops(port, Drop::Duplicate)),
        [1, 0, 1]
    );
    assert_eq!(rig.all_drops(), 2);
}

#[test]
fn a_fragmented_piece_is_still_a_piece() {
    let mut rig = Rig::new();
    let packet = inner(&[7; 1472]);
    for message in pieces(1, PEER_EPOCH, 9, &packet, 1400) {
        for part in cut(&outer(1, &message, message[19].into()), 576) {
            rig.send(1, &frame(1, &part));
        }
    }
    assert_eq!(rig.one(0), delivered(&packet));
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn fragments_over_ipv6_make_the_packet() {
    let mut rig = Rig::with_ipv6();
    rig.go_over_ipv6();
    let packet = inner_ipv6(&[3; 1300]);
    let message = ha_message(1, PEER_EPOCH, 1, &ppp_ipv6(&packet));
    let mut parts = cut_ipv6(&l2tp_packet_ipv6(1, &message), 512, 77);
    parts.reverse();
    for part in &parts {
        assert!(rig.received(0).is_empty());
        rig.send(1, &frame(1, part));
    }
    assert_eq!(rig.one(0), delivered(&packet));
    assert_eq!(rig.all_drops(), 0);
    // Behind another extension header they are not put together.
    let mut behind = parts[0][..40].to_vec();
    behind.extend([ipv6::NEXT_FRAGMENT, 0, 1, 4, 0, 0, 0, 0]);
    behind.extend(&parts[0][40..]);
    behind[6] = ipv6::NEXT_DESTINATION_OPTIONS;
    let payload_octets = (behind.len() - 40) as u16;
    behind[4..6].copy_from_slice(&payload_octets.to_be_bytes());
    rig.send(1, &frame(1, &behind));
    assert_eq!(rig.drops(1, Drop::BadFragment), 1);
}

/// Fragments in fragments would be work for nothing that anybody sends.
#[test]
fn a_datagram_that_is_a_fragment_itself_is_refused() {
    let mut rig = Rig::with_ipv6();
    rig.go_over_ipv6();
    let message = ha_message(1, PEER_EPOCH, 1, &ppp_ipv6(&inner_ipv6(&[3; 1300])));
    let inside = cut_ipv6(&l2tp_packet_ipv6(1, &message), 512, 77);
    for part in inside.iter().flat_map(|part| cut_ipv6(part, 256, 78)) {
        rig.send(1, &frame(1, &part));
    }
    assert!(rig.received(0).is_empty());
    assert_eq!(rig.drops(1, Drop::BadFragment), inside.len() as u64);
}

#[test]
fn whatever_is_to_us_reaches_the_control_thread_whole() {
    let mut rig = Rig::new();
    let mut ping = ipv4::header(LAN_HOST, own_address(0), ipv4::PROTOCOL_ICMP, 1520, 3).to_vec();
    ping.extend([8; 1500]);
    for part in cut(&ping, 576).iter().rev() {
        rig.send(0, &frame(0, part));
    }
    let Event::Local { packet, .. } = rig.one_event() else {
        panic!("another event");
    };
    assert_eq!(packet[..], ping);
    let mut control = vec![0xc8, 0x02, 0x04, 0x00, 0, 0, 0, 0, 0, 0, 0, 0];
    control.resize(1024, 0);
    for part in cut(&outer(1, &control, 8), 576) {
        rig.send(1, &frame(1, &part));
    }
    let Event::L2tpControl {
        source, payload, ..
    } = rig.one_event()
    else {
        panic!("another event");
    };
    assert_eq!(
        (source, &payload[..]),
        (SocketAddr::from(PEER), &control[..])
    );
}

#[test]
fn fragments_to_others_are_forwarded_as_they_are() {
    let mut rig = Rig::new();
    let packet = udp(LAN_HOST, FAR_HOST, &[1; 1000]);
    for part in cut(&packet, 576) {
        rig.send(0, &frame(0, &part));
    }
    assert_eq!(rig.received(1).len(), 2);
    assert_eq!(rig.total(|port| port.reassembled_fragments.read()), 0);
}

#[test]
fn fragments_that_make_no_packet_have_names_and_their_buffers_come_back() {
    let mut rig = Rig::with(2, 1024, 4096);
    let start = rig.pool.available();
    let message = ha_message(1, PEER_EPOCH, 9, &ppp_ipv4(&inner(&[7; 1400])));
    let of = |identification| cut(&outer(1, &message, identification), 576);
    // One is missing.
    for part in &of(1)[1..] {
        rig.send(1, &frame(1, part));
    }
    assert_eq!(rig.all_drops(), 0);
    rig.now += 2 * TSC_HZ + 1;
    rig.poll();
    assert_eq!(rig.drops(1, Drop::FragmentTimeout), 2);
    // The same twice.
    for part in [&of(2)[0], &of(2)[0]] {
        rig.send(1, &frame(1, part));
    }
    assert_eq!(rig.drops(1, Drop::BadFragment), 2);
    // Damaged on the way: the UDP checksum finds out.
    for (index, part) in of(3).iter_mut().enumerate() {
        if index == 1 {
            part[100] ^= 1;
        }
        rig.send(1, &frame(1, part));
    }
    assert_eq!(rig.drops(1, Drop::BadUdp), 1);
    // A piece in the middle that ends at no multiple of eight.
    let mut odd = of(4)[1].clone();
    odd.pop();
    let octets = odd.len() as u16;
    odd[2..4].copy_from_slice(&octets.to_be_bytes());
    odd[10..12].fill(0);
    let checksum = dataplane::checksum::finish(dataplane::checksum::sum(&odd[..20]));
    odd[10..12].copy_from_slice(&checksum.to_be_bytes());
    rig.send(1, &frame(1, &odd));
    assert_eq!(rig.drops(1, Drop::BadFragment), 3);
    // Larger than a buffer.
    let large = outer(1, &[0; 3000], 5);
    for part in cut(&large, 1500) {
        rig.send(1, &frame(1, &part));
    }
    assert_eq!(rig.drops(1, Drop::Oversized), 3);
    assert_eq!(rig.pool.available(), start);
}

#[test]
fn a_flood_of_fragments_is_bounded_and_what_is_new_finds_room_again() {
    let mut rig = Rig::with(1, 1024, 4096);
    let start = rig.pool.available();
    let part = |identification| cut(&outer(1, &[0; 1000], identification), 576).remove(0);
    for identification in 0..3000_u16 {
        rig.send(1, &frame(1, &part(identification)));
        rig.now += TSC_HZ / 100_000;
    }
    let held = u64::from(start - rig.pool.available());
    assert!(held <= 256, "{held} are kept");
    assert_eq!(rig.drops(1, Drop::FragmentsFull), 3000 - held);
    // A quarter of a second later the crowd is gone.
    rig.send(1, &frame(1, &part(4000)));
    rig.now += TSC_HZ / 3;
    let message = ha_message(1, PEER_EPOCH, 9, &ppp_ipv4(&inner(&[7; 1400])));
    for part in cut(&outer(1, &message, 5000), 576) {
        rig.send(1, &frame(1, &part));
    }
    assert_eq!(rig.received(0).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Fragments of good packets among junk of the same peer: each good packet
    /// comes out, and every frame is accounted for.
    #[test]
    fn fragments_among_junk_are_put_together_and_nothing_vanishes(
        packets in prop::collection::vec((600..1400_usize, 200..900_u16), 1..6),
        junk in prop::collection::vec(
            (100..108_u16, any::<u16>(), 0..200_usize, any::<bool>()),
            0..80,
        ),
        workers in 1..=2_usize,
        seed in any::<u64>(),
    ) {
        let mut rig = Rig::with(workers, 1024, 4096);
        plain(&mut rig, |_| {});
        let mut frames = Vec::new();
        let mut expected = Vec::new();
        for (identification, &(octets, mtu)) in (0..).zip(&packets) {
            let packet = inner(&vec![identification as u8; octets]);
            let message = plain_message(1, &ppp_ipv4(&packet));
            let parts = cut(&outer(1, &message, identification), mtu.max(octets as u16 / 5 + 60));
            prop_assert!(parts.len() <= 8);
            frames.extend(parts.iter().map(|part| frame(1, part)));
            expected.push(delivered(&packet));
        }
        for &(identification, word, octets, aligned) in &junk {
            let octets = if aligned { octets & !7 } else { octets };
            let mut packet = outer(1, &vec![0x55; octets], identification);
            packet[6..8].copy_from_slice(&(word & 0x201f).to_be_bytes());
            packet[10..12].fill(0);
            let checksum = dataplane::checksum::finish(dataplane::checksum::sum(&packet[..20]));
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            frames.push(frame(1, &packet));
        }
        let mut state = seed | 1;
        for place in (1..frames.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            frames.swap(place, (state >> 33) as usize % (place + 1));
        }
        for (index, frame) in frames.iter().enumerate() {
            rig.offer(1, index % workers, frame);
            if index % 7 == 6 {
                rig.poll();
            }
        }
        rig.poll();
        let mut received = rig.received(0);
        received.sort();
        expected.sort();
        prop_assert_eq!(&received, &expected);
        rig.events();
        rig.now += 3 * TSC_HZ;
        rig.poll();
        let joined = rig.total(|port| port.reassembled_fragments.read());
        let made = rig.total(|port| port.reassembled_packets.read());
        let punted = rig.total(|port| port.punted_packets.read());
        let accounted = rig.all_drops() + punted + received.len() as u64 + joined - made;
        prop_assert_eq!(accounted, frames.len() as u64);
        prop_assert_eq!(total_of(&rig, Drop::FragmentsFull), 0);
    }
}
