//! Packets in pieces: larger than a link.

use std::sync::Arc;

use dataplane::command::{Command, Epoch, SetSpec};
use dataplane::counters::{Counter, Drop, SetCounters};
use dataplane::reassembly::Place;
use dataplane::window::Window;

use crate::rig::*;

/// A packet of this many octets for the LAN host, DF set.
fn large(octets: usize, seed: u8) -> Vec<u8> {
    let payload: Vec<u8> = (0..octets - 28).map(|at| at as u8 ^ seed).collect();
    let mut packet = inner(&payload);
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
    let mut martian = udp(std::net::Ipv4Addr::LOCALHOST, LAN_HOST, &[0; 1000]);
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
