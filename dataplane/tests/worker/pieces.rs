//! Packets in pieces: larger than a link.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dataplane::command::{Command, Epoch, InterfaceSpec, NextHop, SetSpec};
use dataplane::counters::{Counter, Drop, SetCounters};
use dataplane::headers::ipv4;
use dataplane::reassembly::Place;
use dataplane::window::Window;
use proptest::prelude::*;

use crate::ipv6_rig::*;
use crate::rig::*;

/// A packet of this many octets for the LAN host, DF set.
pub(crate) fn large(octets: usize, seed: u8) -> Vec<u8> {
    sized(FAR_HOST, LAN_HOST, octets, seed)
}

/// The same for the far host.
fn outward(octets: usize, seed: u8) -> Vec<u8> {
    sized(LAN_HOST, FAR_HOST, octets, seed)
}

fn sized(source: Ipv4Addr, destination: Ipv4Addr, octets: usize, seed: u8) -> Vec<u8> {
    let payload: Vec<u8> = (0..octets - 28).map(|at| at as u8 ^ seed).collect();
    let mut packet = udp(source, destination, &payload);
    packet[6] = 0x40;
    packet[10..12].fill(0);
    let checksum = dataplane::checksum::finish(dataplane::checksum::sum(&packet[..20]));
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet
}

fn set_total(rig: &Rig, counter: fn(&SetCounters) -> &Counter) -> u64 {
    rig.set
        .iter()
        .map(|counters| counter(counters).read())
        .sum()
}

/// Three uplinks of these MTUs in a set that presents 1500.
fn uneven(workers: usize, mtus: [u16; 3]) -> Rig {
    uneven_over(1024, workers, mtus)
}

/// The same over wires that hold so many frames.
fn uneven_over(ring_depth: u32, workers: usize, mtus: [u16; 3]) -> Rig {
    let mut rig = Rig::with(workers, ring_depth, 8192);
    for (uplink, mtu) in (1..).zip(mtus) {
        let spec = InterfaceSpec {
            mtu,
            ..interface(uplink)
        };
        rig.command(Command::SetInterface(Arc::new(spec)));
    }
    let spec = SetSpec {
        mtu: 1500,
        ..rig.set_spec()
    };
    rig.command(Command::SetSet(Arc::new(spec)));
    rig.poll();
    rig
}

/// The message in an outer frame that a rig sent, as the peer of another rig
/// would send it: with the ids and the epoch that are received there.
fn turned_round(uplink: u16, frame: &[u8]) -> Vec<u8> {
    let outer = &frame[14..];
    let header = ipv4::parse(outer).expect("a right outer header");
    assert!(!header.dont_fragment);
    let datagram = dataplane::headers::udp::parse(&header, outer).expect("a right checksum");
    addressed_to_us(uplink, &outer[datagram.payload_range])
}

fn addressed_to_us(uplink: u16, message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    message[2..4].copy_from_slice(&(0x100 + uplink).to_be_bytes());
    message[4..6].copy_from_slice(&(0x200 + uplink).to_be_bytes());
    message[10..14].copy_from_slice(&PEER_EPOCH.to_be_bytes());
    message
}

#[test]
fn a_packet_larger_than_a_link_leaves_in_pieces_that_fit_every_link() {
    let mut rig = uneven(1, [1500, 1280, 576]);
    let spec = SetSpec {
        mtu: 1500,
        ..rig.set_spec()
    };
    let next_number = Arc::clone(&spec.next_number);
    rig.command(Command::SetSet(Arc::new(spec)));
    let packet = outward(1500, 3);
    rig.send(0, &frame(0, &packet));
    let mut expected = packet;
    assert!(ipv4::decrement_ttl(&mut expected));
    for link in 1..=3_u16 {
        let frames = rig.received(link.into());
        let flags: Vec<u8> = frames.iter().map(|frame| frame[51]).collect();
        assert_eq!(flags, [0x01, 0x03, 0x02], "link {link}");
        let numbers: Vec<u64> = frames.iter().map(|frame| number_of(frame)).collect();
        assert_eq!(numbers, [0, 1, 2].map(|piece| FIRST_NUMBER + piece));
        assert!(frames.iter().all(|frame| frame.len() <= 14 + 576));
        let messages: Vec<_> = frames
            .iter()
            .map(|frame| turned_round(link, frame))
            .collect();
        assert_eq!(messages[0][20..22], [0x00, 0x21]);
        let octets = [&messages[0][22..], &messages[1][20..], &messages[2][20..]];
        assert_eq!(octets.concat(), expected);
    }
    assert_eq!(next_number.load(Ordering::Relaxed), FIRST_NUMBER + 3);
    assert_eq!(rig.all_drops(), 0);
    assert!(rig.events().is_empty(), "nobody is told of a smaller MTU");
    let of_set = |counter| set_total(&rig, counter);
    assert_eq!(of_set(|set| &set.sent_packets), 1);
    assert_eq!(of_set(|set| &set.sent_octets), 1500);
    assert_eq!(of_set(|set| &set.split_packets), 1);
    assert_eq!(of_set(|set| &set.split_pieces), 3);
    assert_eq!(rig.sessions[0][0].sent_packets.read(), 3, "copies");
}

#[test]
fn pieces_follow_the_smallest_live_link() {
    let mut rig = uneven(1, [1500, 1400, 1280]);
    let copies = |rig: &mut Rig, octets| {
        rig.send(0, &frame(0, &outward(octets, 1)));
        [1, 2, 3].map(|link| rig.received(link).len())
    };
    assert_eq!(copies(&mut rig, 1230), [1, 1, 1]);
    assert_eq!(copies(&mut rig, 1231), [2, 2, 2]);
    let port = dataplane::command::PortId(3);
    rig.command(Command::SetPortLink { port, up: false });
    assert_eq!(copies(&mut rig, 1231), [1, 1, 0]);
    assert_eq!(copies(&mut rig, 1351), [2, 2, 0]);
    let mut spec = rig.session_spec(2);
    spec.mtu = 600;
    rig.command(Command::SetSession(Arc::new(spec)));
    assert_eq!(copies(&mut rig, 1351), [3, 3, 0]);
    rig.command(Command::SetPortLink { port, up: true });
    assert_eq!(copies(&mut rig, 600), [1, 1, 1]);
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn a_link_that_is_too_small_for_a_set_has_a_name() {
    let mut rig = uneven(1, [1500, 575, 1500]);
    rig.send(0, &frame(0, &outward(1500, 1)));
    let copies = [1, 2, 3].map(|link| rig.received(link).len());
    assert_eq!(copies, [2, 0, 2]);
    assert_eq!(rig.drops(2, Drop::LinkTooSmall), 2, "copies");
    let mut rig = uneven(1, [575, 575, 575]);
    rig.send(0, &frame(0, &outward(100, 1)));
    assert_eq!(rig.drops(0, Drop::LinkTooSmall), 1);
}

#[test]
fn what_is_larger_than_the_set_is_answered_for_or_fragmented_and_then_cut() {
    let mut rig = uneven(1, [1500, 576, 1280]);
    rig.send(0, &frame(0, &outward(1501, 1)));
    assert_eq!(rig.drops(0, Drop::FragmentationNeeded), 1);
    let dataplane::event::Event::Icmp { cause, .. } = rig.one_event() else {
        panic!("another event");
    };
    let expected = dataplane::event::IcmpCause::FragmentationNeeded { mtu: 1500 };
    assert_eq!(cause, expected);
    let packet = udp(LAN_HOST, FAR_HOST, &[7; 1600 - 28]);
    rig.send(0, &frame(0, &packet));
    // 1500 octets in three pieces, and the other fragment.
    assert_eq!([1, 2, 3].map(|link| rig.received(link).len()), [4; 3]);
}

#[test]
fn the_mss_is_held_to_what_needs_no_cutting() {
    let mut rig = uneven(1, [1500, 1400, 1280]);
    let spec = SetSpec {
        tcp_mss_fix: true,
        mtu: 1500,
        ..rig.set_spec()
    };
    rig.command(Command::SetSet(Arc::new(spec)));
    rig.send(0, &frame(0, &syn(LAN_HOST, FAR_HOST, 1460)));
    assert_eq!(mss(&rig.one(1)[64..]), 1230 - 40);
    rig.send(1, &copy(1, 1, &syn(FAR_HOST, LAN_HOST, 1460)));
    assert_eq!(mss(&rig.one(0)[14..]), 1230 - 40);
}

#[test]
fn without_room_for_all_pieces_a_packet_takes_no_number() {
    let mut rig = uneven_over(64, 1, [576; 3]);
    let next_number = {
        let spec = SetSpec {
            mtu: 1500,
            ..rig.set_spec()
        };
        let next_number = Arc::clone(&spec.next_number);
        rig.command(Command::SetSet(Arc::new(spec)));
        next_number
    };
    // Nobody takes frames off the wires: the TX rings fill up.
    for seed in 0..900 {
        rig.send(0, &frame(0, &outward(1500, seed as u8)));
    }
    let numbers = next_number.load(Ordering::Relaxed) - FIRST_NUMBER;
    assert!((1024..1400).contains(&numbers), "{numbers}");
    assert_eq!(numbers % 3, 0, "whole packets");
    let refused = [1, 2, 3].map(|port| rig.drops(port, Drop::TxRingFull));
    assert_eq!(refused, [2700 - numbers; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// DF packets of any size over three links of different MTUs. Each copy of
    /// each piece may be lost as long as one comes through; they come in any
    /// order, twice, on any worker.
    #[test]
    fn what_any_link_delivers_is_put_together_once(
        mtus in prop::sample::subsequence(vec![1500_u16, 1400, 1280, 576], 3).prop_shuffle(),
        sizes in prop::collection::vec(28..=1500_usize, 1..24),
        workers in 1..=2_usize,
        owner in 0..2_usize,
        lost in prop::collection::vec(0..8_u8, 80),
        repeated in any::<u64>(),
        seed in any::<u64>(),
    ) {
        let mut sender = uneven(workers, [mtus[0], mtus[1], mtus[2]]);
        let packets: Vec<_> = (0..).zip(&sizes).map(|(seed, &size)| outward(size, seed)).collect();
        for (index, packet) in packets.iter().enumerate() {
            sender.offer(0, index % workers, &frame(0, packet));
        }
        sender.poll();
        prop_assert_eq!(sender.all_drops(), 0);
        let mut arrivals = Vec::new();
        for link in 1..=3_u16 {
            for frame in sender.received(link.into()) {
                let inner_octets = frame.len() - 14;
                prop_assert!(inner_octets <= usize::from(mtus[usize::from(link) - 1]));
                let number = number_of(&frame);
                // Lost on any two links at most.
                let mask = lost[number as usize % 80];
                let mask = if mask == 7 { 0 } else { mask };
                if mask >> (link - 1) & 1 == 0 {
                    arrivals.push((link, turned_round(link, &frame)));
                }
            }
        }
        let again: Vec<_> = arrivals
            .iter()
            .enumerate()
            .filter(|(index, _)| repeated >> (index % 64) & 1 == 1)
            .map(|(_, arrival)| arrival.clone())
            .collect();
        arrivals.extend(again);
        shuffle(&mut arrivals, seed);

        let mut receiver = uneven(workers, [1500; 3]);
        let spec = SetSpec { mtu: 1500, owner, ..receiver.set_spec() };
        receiver.command(Command::SetSet(Arc::new(spec)));
        receiver.route(0, FAR_HOST, 32, NextHop::Interface {
            interface: interface(0).id,
            via: Some(LAN_HOST.into()),
        });
        for (index, (link, message)) in arrivals.iter().enumerate() {
            let worker = (seed >> (index % 60)) as usize % workers;
            receiver.offer((*link).into(), worker, &l2tp_frame(*link, message));
            if index % 9 == 8 {
                receiver.poll();
            }
        }
        receiver.poll();
        let mut received = receiver.received(0);
        let mut expected: Vec<_> = packets
            .iter()
            .map(|packet| {
                let mut packet = packet.clone();
                assert!(ipv4::decrement_ttl(&mut packet));
                delivered(&packet)
            })
            .collect();
        received.sort();
        expected.sort();
        prop_assert_eq!(received, expected);
        let duplicates: u64 = (1..=3).map(|port| receiver.drops(port, Drop::Duplicate)).sum();
        prop_assert_eq!(receiver.all_drops(), duplicates);
    }
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for place in (1..items.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        items.swap(place, (state >> 33) as usize % (place + 1));
    }
}

#[test]
fn pieces_over_any_links_make_the_packet() {
    let mut rig = Rig::new();
    let packet = large(1500, 1);
    let cut = [1, 2, 3].map(|link| pieces(link, PEER_EPOCH, 100, &packet, 526));
    assert_eq!(cut[0].len(), 3);
    rig.send(2, &l2tp_frame(2, &cut[1][2]));
    rig.send(3, &l2tp_frame(3, &cut[2][0]));
    assert!(rig.received(0).is_empty());
    rig.send(1, &l2tp_frame(1, &cut[0][1]));
    assert_eq!(rig.one(0), delivered(&packet));
    // The other copies are eliminated, piece by piece.
    for link in 1..=3_u16 {
        for message in &cut[usize::from(link) - 1] {
            rig.send(link.into(), &l2tp_frame(link, message));
        }
    }
    assert!(rig.received(0).is_empty());
    let duplicates: u64 = (1..=3).map(|port| rig.drops(port, Drop::Duplicate)).sum();
    assert_eq!((duplicates, rig.all_drops()), (9, 9));
    assert_eq!(set_total(&rig, |set| &set.delivered_packets), 1);
    assert_eq!(set_total(&rig, |set| &set.delivered_octets), 1500);
    assert_eq!(set_total(&rig, |set| &set.reassembled_packets), 1);
    assert_eq!(set_total(&rig, |set| &set.reassembled_pieces), 3);
}

#[test]
fn pieces_on_other_workers_reach_the_owner() {
    for owner in 0..3 {
        let mut rig = Rig::with(3, 1024, 8192);
        let spec = SetSpec {
            owner,
            ..rig.set_spec()
        };
        rig.command(Command::SetSet(Arc::new(spec)));
        rig.poll();
        let packets: Vec<_> = (0..40).map(|seed| large(1500, seed)).collect();
        let mut frames = Vec::new();
        for (index, packet) in packets.iter().enumerate() {
            let number = 3 * index as u64;
            for (at, link) in [(0, 1), (1, 2), (2, 3)] {
                let message = pieces(link, PEER_EPOCH, number, packet, 526).remove(at);
                frames.push((
                    usize::from(link),
                    (index + at) % 3,
                    l2tp_frame(link, &message),
                ));
            }
        }
        for (port, worker, frame) in &frames {
            rig.offer(*port, *worker, frame);
        }
        rig.poll();
        let mut received = rig.received(0);
        let mut expected: Vec<_> = packets.iter().map(|packet| delivered(packet)).collect();
        received.sort();
        expected.sort();
        assert_eq!(received, expected, "owner {owner}");
        assert_eq!(rig.all_drops(), 0);
        let by_worker: Vec<u64> = rig
            .set
            .iter()
            .map(|set| set.reassembled_packets.read())
            .collect();
        let mut all_by_owner = vec![0; 3];
        all_by_owner[owner] = 40;
        assert_eq!(by_worker, all_by_owner);
    }
}

#[test]
fn a_piece_that_never_comes_has_a_name_after_a_while() {
    let mut rig = Rig::new();
    let cut = pieces(1, PEER_EPOCH, 7, &large(1500, 1), 526);
    rig.send(1, &l2tp_frame(1, &cut[0]));
    rig.now += TSC_HZ;
    rig.send(1, &l2tp_frame(1, &cut[1]));
    rig.now += TSC_HZ - 1;
    rig.poll();
    assert_eq!(rig.all_drops(), 0);
    rig.now += 1;
    rig.poll();
    assert_eq!(rig.drops(1, Drop::ReassemblyTimeout), 2);
    rig.send(1, &l2tp_frame(1, &cut[2]));
    assert!(rig.received(0).is_empty());
}

#[test]
fn pieces_of_two_epochs_are_not_mixed() {
    let mut rig = Rig::new();
    let newer = Epoch::new(9, Window::MIN_NUMBERS);
    let mut spec = rig.set_spec();
    spec.epochs.insert(0, newer);
    rig.command(Command::SetSet(Arc::new(spec)));
    let (one, other) = (large(1400, 1), large(1400, 2));
    let of_one = pieces(1, PEER_EPOCH, 7, &one, 1000);
    let of_other = pieces(2, 9, 7, &other, 1000);
    rig.send(1, &l2tp_frame(1, &of_one[0]));
    rig.send(2, &l2tp_frame(2, &of_other[1]));
    assert!(rig.received(0).is_empty());
    rig.send(2, &l2tp_frame(2, &of_other[0]));
    assert_eq!(rig.one(0), delivered(&other));
    rig.send(1, &l2tp_frame(1, &of_one[1]));
    assert_eq!(rig.one(0), delivered(&one));
}

#[test]
fn what_can_be_wrong_with_a_piece_is_found_before_its_number_is_marked() {
    let mut rig = Rig::new();
    let packet = large(1500, 1);
    let good = pieces(1, PEER_EPOCH, 0, &packet, 1000);
    let first = |number, octets: &[u8]| {
        flagged_message(
            1,
            Place::First.flags(),
            PEER_EPOCH,
            number,
            &ppp_ipv4(octets),
        )
    };
    let mut bad = packet[..750].to_vec();
    bad[10] ^= 1;
    let mut huge = packet[..750].to_vec();
    huge[2..4].copy_from_slice(&9000_u16.to_be_bytes());
    huge[10..12].fill(0);
    let checksum = dataplane::checksum::finish(dataplane::checksum::sum(&huge[..20]));
    huge[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut martian = udp(Ipv4Addr::LOCALHOST, LAN_HOST, &[0; 1000]);
    martian.truncate(750);
    let wrong = [
        (first(0, &bad), Drop::BadIpv4),
        (first(0, &packet[..19]), Drop::Truncated),
        (first(0, &packet), Drop::BadPiece),
        (first(0, &huge), Drop::BadPiece),
        (first(0, &martian), Drop::MartianSource),
        (
            flagged_message(1, 1, PEER_EPOCH, 0, &packet[..750]),
            Drop::UnknownPpp,
        ),
        (flagged_message(1, 3, PEER_EPOCH, 1, b""), Drop::BadPiece),
        (flagged_message(1, 2, PEER_EPOCH, 1, b""), Drop::BadPiece),
        (
            flagged_message(1, 0x81, PEER_EPOCH, 1, b"x"),
            Drop::BadHaHeader,
        ),
    ];
    for (message, reason) in wrong {
        let before = rig.drops(1, reason);
        rig.send(1, &l2tp_frame(1, &message));
        assert_eq!(rig.drops(1, reason), before + 1, "{reason:?}");
    }
    for message in good {
        rig.send(1, &l2tp_frame(1, &message));
    }
    assert_eq!(rig.one(0), delivered(&packet));
}

#[test]
fn pieces_that_add_up_to_another_length_are_no_packet() {
    let mut rig = Rig::new();
    let packet = large(1500, 1);
    let cut = pieces(1, PEER_EPOCH, 4, &packet, 1000);
    let longer = flagged_message(1, 2, PEER_EPOCH, 5, &packet[749..]);
    rig.send(1, &l2tp_frame(1, &cut[0]));
    rig.send(1, &l2tp_frame(1, &longer));
    assert!(rig.received(0).is_empty());
    assert_eq!(rig.drops(1, Drop::BadReassembly), 2);
}

#[test]
fn a_flood_of_first_pieces_is_bounded_and_named() {
    let mut rig = Rig::with(1, 1024, 4096);
    let start = rig.pool.available();
    for number in 0..1000 {
        let cut = pieces(1, PEER_EPOCH, 2 * number, &large(1500, 1), 1000);
        rig.send(1, &l2tp_frame(1, &cut[0]));
    }
    let held = 1000 - rig.drops(1, Drop::ReassemblyFull);
    assert!(
        held <= REASSEMBLY_PIECES as u64 && held > 100,
        "{held} are kept"
    );
    assert_eq!(u64::from(start - rig.pool.available()), held);
    rig.now += 2 * TSC_HZ;
    rig.poll();
    assert_eq!(rig.pool.available(), start, "every buffer came back");
}

#[test]
fn a_piece_older_than_the_window_is_too_late() {
    let mut rig = Rig::new();
    let old = pieces(1, PEER_EPOCH, 70_000, &large(1500, 1), 1000);
    rig.send(1, &l2tp_frame(1, &old[0]));
    let new = 70_000 + 2 * Window::MIN_NUMBERS;
    for message in pieces(1, PEER_EPOCH, new, &large(1500, 2), 1000) {
        rig.send(1, &l2tp_frame(1, &message));
    }
    assert_eq!(rig.one(0), delivered(&large(1500, 2)));
    rig.send(1, &l2tp_frame(1, &old[1]));
    assert_eq!(rig.drops(1, Drop::TooLate), 1);
    assert!(rig.received(0).is_empty());
}

/// IPv6 inside is cut the same way, over either family, where IPv6 itself
/// would be answered with "packet too big".
#[test]
fn ipv6_is_cut_and_put_together_over_both_families() {
    for over_ipv6 in [false, true] {
        let mut sender = Rig::with_ipv6();
        if over_ipv6 {
            sender.go_over_ipv6();
        }
        let spec = SetSpec {
            mtu: 1500,
            ..sender.set_spec()
        };
        sender.command(Command::SetSet(Arc::new(spec)));
        let spec = InterfaceSpec {
            mtu: 1280,
            ..interface_ipv6(2)
        };
        sender.command(Command::SetInterface(Arc::new(spec)));
        let packet = udp_ipv6(LAN_HOST_IPV6, FAR_HOST_IPV6, &[9; 1452]);
        assert_eq!(packet.len(), 1500);
        sender.send(0, &frame(0, &packet));
        assert!(sender.events().is_empty() && sender.all_drops() == 0);
        let headers = if over_ipv6 { 14 + 40 + 8 } else { 14 + 20 + 8 };
        let mut receiver = Rig::with_ipv6();
        receiver.go_over_ipv6();
        receiver.route(
            0,
            FAR_NETWORK_IPV6,
            48,
            NextHop::Interface {
                interface: interface(0).id,
                via: Some(LAN_HOST_IPV6.into()),
            },
        );
        for link in [2_u16, 3, 1] {
            let frames = sender.received(link.into());
            assert_eq!(frames.len(), 2);
            for frame in frames {
                assert!(frame.len() <= 14 + 1280);
                let message = addressed_to_us(link, &frame[headers..]);
                receiver.send(link.into(), &l2tp_frame_ipv6(link, &message));
            }
        }
        let received = receiver.one(0);
        let mut expected = packet;
        expected[7] -= 2;
        assert_eq!(received[14..], expected);
        assert_eq!(receiver.all_drops(), 4, "the other copies");
    }
}

#[test]
fn a_packet_that_does_not_fit_its_first_buffer_gets_a_larger_one() {
    let mut rig = Rig::with_copies_of(4096);
    let start = rig.copies.available();
    let spec = SetSpec {
        mtu: 4000,
        ..rig.set_spec()
    };
    rig.command(Command::SetSet(Arc::new(spec)));
    let spec = InterfaceSpec {
        mtu: 4000,
        ..interface(0)
    };
    rig.command(Command::SetInterface(Arc::new(spec)));
    for (number, octets) in [(10, 4000), (20, 1900)] {
        let packet = large(octets, 1);
        for message in pieces(1, PEER_EPOCH, number, &packet, 1450) {
            rig.send(1, &l2tp_frame(1, &message));
        }
        assert_eq!(rig.one(0), delivered(&packet));
    }
    assert_eq!(rig.all_drops(), 0);
    // More than the buffers hold is refused before its number is marked.
    let first = &pieces(1, PEER_EPOCH, 30, &large(4097, 1), 1450)[0];
    rig.send(1, &l2tp_frame(1, first));
    assert_eq!(rig.drops(1, Drop::BadPiece), 1);
    assert_eq!(rig.copies.available(), start);
}

#[test]
fn without_a_buffer_for_the_pieces_a_packet_is_dropped_by_name_and_takes_no_number() {
    let mut rig = Rig::with_copies_of(2048);
    let spec = SetSpec {
        mtu: 1500,
        ..rig.set_spec()
    };
    let next_number = Arc::clone(&spec.next_number);
    rig.command(Command::SetSet(Arc::new(spec)));
    let mut taken = Vec::new();
    while let Some(buffer) = rig.copies.alloc() {
        taken.push(buffer);
    }
    rig.send(0, &frame(0, &outward(1500, 1)));
    assert_eq!(rig.drops(0, Drop::NoBuffer), 1);
    assert_eq!(next_number.load(Ordering::Relaxed), FIRST_NUMBER);
}

#[test]
fn an_inbox_that_is_full_costs_what_it_has_no_room_for_by_name() {
    let mut rig = Rig::with(2, 4096, 16_384);
    let spec = SetSpec {
        owner: 1,
        ..rig.set_spec()
    };
    rig.command(Command::SetSet(Arc::new(spec)));
    rig.poll();
    // The owner does nothing for a while.
    for number in 0..600 {
        let cut = pieces(1, PEER_EPOCH, 2 * number, &large(1500, 1), 1000);
        rig.offer(1, 0, &l2tp_frame(1, &cut[0]));
        rig.workers[0].poll_once(1);
    }
    let refused = rig.drops(1, Drop::HandOverFull);
    assert_eq!(refused, 600 - 512);
    rig.poll();
    rig.now += 3 * TSC_HZ;
    rig.poll();
    let of_owner = rig.drops(1, Drop::ReassemblyTimeout) + rig.drops(1, Drop::ReassemblyFull);
    assert_eq!(of_owner, 512);
}
