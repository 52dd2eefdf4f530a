//! Packets put together of their pieces, beside an oracle that does it in the
//! most obvious way; and what is kept under a flood.
#![cfg(not(loom))]

use std::collections::{BTreeMap, HashMap};

use dataplane::command::SetId;
use dataplane::counters::Drop;
use dataplane::reassembly::{Key, Limits, MAX_PIECES, Place, Reassembly};
use dataplane::transform::split;
use proptest::prelude::*;

const TIMEOUT: u64 = 1000;

/// A piece and what it is told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    id: usize,
    octets: Vec<u8>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

#[derive(Clone, Debug)]
struct Arrival {
    key: Key,
    place: Place,
    octets: Vec<u8>,
    /// Since the one before it.
    ticks: u64,
}

fn key(set: u32, epoch: u32, number: u64) -> Key {
    Key {
        set: SetId(set),
        epoch,
        number,
    }
}

/// Something with the length that its header says, and octets of its own.
fn packet(octets: usize, seed: u64) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..octets as u64)
        .map(|at| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (at % 57)) as u8 ^ at as u8)
        .collect();
    if seed.is_multiple_of(2) {
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(octets as u16).to_be_bytes());
    } else {
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&(octets as u16 - 40).to_be_bytes());
    }
    packet
}

/// The pieces of one packet, in order.
fn pieces(first: Key, packet: &[u8], mtu: u16) -> Vec<Arrival> {
    split(packet.len(), mtu)
        .expect("it is larger than the link")
        .zip(first.number..)
        .map(|(piece, number)| Arrival {
            key: Key { number, ..first },
            place: piece.place,
            octets: packet[piece.range].to_vec(),
            ticks: 1,
        })
        .collect()
}

/// What the reassembly did with all that was given to it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    packets: Vec<Vec<u8>>,
    /// By id of the part.
    refused: BTreeMap<usize, &'static str>,
}

fn carry_out(arrivals: &[Arrival], capacity: usize) -> (Outcome, usize) {
    let mut reassembly = Reassembly::new(Limits {
        pieces: capacity,
        timeout_ticks: TIMEOUT,
    });
    let mut outcome = Outcome::default();
    let mut delivered = 0;
    let mut now = 0;
    for (id, arrival) in arrivals.iter().enumerate() {
        now += arrival.ticks;
        let refused = &mut outcome.refused;
        let mut refuse = |part: Part, reason: Drop| {
            assert_eq!(
                refused.insert(part.id, reason.name()),
                None,
                "refused twice"
            );
        };
        reassembly.expire(now, &mut refuse);
        let part = Part {
            id,
            octets: arrival.octets.clone(),
        };
        let mut whole = Vec::new();
        let (key, place) = (arrival.key, arrival.place);
        if reassembly.insert(now, key, place, part, &mut whole, &mut refuse) {
            assert!((2..=MAX_PIECES).contains(&whole.len()));
            delivered += whole.len();
            let octets = whole.into_iter().flat_map(|part| part.octets).collect();
            outcome.packets.push(octets);
        } else {
            assert!(whole.is_empty());
        }
        assert!(reassembly.len() <= capacity);
    }
    let accounted = delivered + outcome.refused.len() + reassembly.len();
    assert_eq!(accounted, arrivals.len(), "no piece vanishes");
    let kept = reassembly.len();
    let refused = &mut outcome.refused;
    reassembly.expire(now + TIMEOUT, &mut |part: Part, reason| {
        refused.insert(part.id, reason.name());
    });
    assert!(reassembly.is_empty(), "everything ends");
    (outcome, kept)
}

/// The same without limits, from the law: after each arrival, look for a run of
/// consecutive numbers that starts with a first piece, ends with a last one,
/// has middle ones between, and is as long as its header says.
fn oracle(arrivals: &[Arrival]) -> Outcome {
    type Held = HashMap<Key, (Place, Part, u64)>;
    /// The numbers to which this piece is tied by pieces that are there.
    fn tied(held: &Held, at: Key) -> Vec<Key> {
        let place = |number| held.get(&Key { number, ..at }).map(|entry| entry.0);
        let joined = |number: u64| {
            let pair = (place(number), place(number + 1));
            matches!(pair, (Some(a), Some(b)) if a != Place::Last && b != Place::First)
        };
        let (mut low, mut high) = (at.number, at.number);
        while low > 0 && joined(low - 1) {
            low -= 1;
        }
        while joined(high) {
            high += 1;
        }
        (low..=high).map(|number| Key { number, ..at }).collect()
    }
    let mut held = Held::new();
    let mut outcome = Outcome::default();
    let mut now = 0;
    let expire = |held: &mut Held, outcome: &mut Outcome, now: u64| {
        while let Some(key) = held
            .iter()
            .filter(|(_, entry)| now - entry.2 >= TIMEOUT)
            .min_by_key(|(_, entry)| entry.1.id)
            .map(|(key, _)| *key)
        {
            for key in tied(held, key) {
                let part = held.remove(&key).expect("it is held").1;
                outcome.refused.insert(part.id, "reassembly-timeout");
            }
        }
    };
    for (id, arrival) in arrivals.iter().enumerate() {
        now += arrival.ticks;
        expire(&mut held, &mut outcome, now);
        if held.contains_key(&arrival.key) {
            outcome.refused.insert(id, "bad-reassembly");
            continue;
        }
        let octets = arrival.octets.clone();
        held.insert(arrival.key, (arrival.place, Part { id, octets }, now));
        let run = tied(&held, arrival.key);
        let (first, last) = (held[&run[0]].0, held[&run[run.len() - 1]].0);
        if first != Place::First || last != Place::Last {
            continue;
        }
        let parts = run.iter().map(|key| held.remove(key).expect("held").1);
        let parts: Vec<Part> = parts.collect();
        let octets: Vec<u8> = parts.iter().flat_map(|part| part.octets.clone()).collect();
        if dataplane::headers::packet_octets(&parts[0].octets) == Some(octets.len()) {
            outcome.packets.push(octets);
        } else {
            let ids = parts.iter().map(|part| (part.id, "bad-reassembly"));
            outcome.refused.extend(ids);
        }
    }
    expire(&mut held, &mut outcome, now + TIMEOUT);
    outcome
}

#[derive(Clone, Debug)]
struct Flow {
    set: u32,
    epoch: u32,
    octets: usize,
    mtu: u16,
    /// Numbers of whole packets before it.
    gap: u64,
}

fn flows() -> impl Strategy<Value = Vec<Flow>> {
    let flow = (0..2_u32, 7..9_u32, 600..3000_usize, 100..599_u16, 0..3_u64);
    prop::collection::vec(
        flow.prop_map(|(set, epoch, octets, mtu, gap)| Flow {
            set,
            epoch,
            octets,
            mtu,
            gap,
        }),
        1..12,
    )
}

/// All pieces of some packets, each packet's numbers behind those before it.
fn sent(flows: &[Flow]) -> (Vec<Arrival>, Vec<Vec<u8>>) {
    let mut next: HashMap<(u32, u32), u64> = HashMap::new();
    let mut arrivals = Vec::new();
    let mut packets = Vec::new();
    for (seed, flow) in (0..).zip(flows) {
        let number = next.entry((flow.set, flow.epoch)).or_insert(5);
        *number += flow.gap;
        let packet = packet(flow.octets, seed);
        let cut = pieces(key(flow.set, flow.epoch, *number), &packet, flow.mtu);
        *number += cut.len() as u64;
        arrivals.extend(cut);
        packets.push(packet);
    }
    (arrivals, packets)
}

fn place() -> impl Strategy<Value = Place> {
    prop::sample::select(vec![Place::First, Place::Middle, Place::Last])
}

/// A piece that nobody sent: forged, or of a sender that is out of its mind.
fn junk() -> impl Strategy<Value = Arrival> {
    let octets = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..80),
        (20..900_usize, any::<u64>()).prop_map(|(octets, seed)| {
            let mut start = packet(octets + 40, seed);
            start.truncate(octets);
            start
        }),
    ];
    (0..2_u32, 7..9_u32, 0..40_u64, place(), octets, 0..400_u64).prop_map(
        |(set, epoch, number, place, octets, ticks)| Arrival {
            key: key(set, epoch, number),
            place,
            octets,
            ticks,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_order_puts_every_packet_together(
        (arrivals, packets) in flows().prop_map(|flows| sent(&flows)),
        order in any::<u64>(),
    ) {
        let mut arrivals = arrivals;
        shuffle(&mut arrivals, order);
        let (outcome, kept) = carry_out(&arrivals, 4096);
        let mut put_together = outcome.packets;
        let mut packets = packets;
        put_together.sort();
        packets.sort();
        prop_assert_eq!(put_together, packets);
        prop_assert_eq!((outcome.refused.len(), kept), (0, 0));
    }

    #[test]
    fn with_loss_repeats_and_junk_it_does_what_the_oracle_does(
        flows in flows(),
        junk in prop::collection::vec(junk(), 0..40),
        lost in any::<u64>(),
        late in prop::collection::vec(0..600_u64, 8),
        order in any::<u64>(),
    ) {
        let (sent, _) = sent(&flows);
        let mut arrivals: Vec<Arrival> = sent
            .into_iter()
            .enumerate()
            .filter(|(index, _)| lost >> (index % 64) & 1 == 0)
            .map(|(index, arrival)| Arrival {
                // Some of them seconds apart.
                ticks: if index % 5 == 0 { late[index % 8] } else { 1 },
                ..arrival
            })
            .collect();
        let again: Vec<Arrival> = arrivals.iter().step_by(7).cloned().collect();
        arrivals.extend(again);
        arrivals.extend(junk);
        shuffle(&mut arrivals, order);
        let (outcome, _) = carry_out(&arrivals, 4096);
        prop_assert_eq!(outcome, oracle(&arrivals));
    }

    #[test]
    fn what_is_kept_is_bounded_and_no_piece_vanishes(
        junk in prop::collection::vec(junk(), 0..300),
        capacity in 0..24_usize,
    ) {
        carry_out(&junk, capacity);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// One set loses a piece of every packet; the other one's packets, a few at
    /// a time in any order, all come through.
    #[test]
    fn a_set_that_loses_much_does_not_starve_another(
        capacity in 32..200_usize,
        flood in 1..40_usize,
        order in any::<u64>(),
    ) {
        let mut arrivals = Vec::new();
        let mut packets = 0;
        for round in 0..60_u64 {
            for number in 0..flood as u64 {
                let number = 10 * (round * 40 + number);
                let mut cut = pieces(key(0, 1, number), &packet(1500, number), 526);
                cut.remove((number % 3) as usize);
                arrivals.extend(cut);
            }
            let mut good = pieces(key(1, 1, 3 * round), &packet(1500, round), 526);
            shuffle(&mut good, order ^ round);
            arrivals.extend(good);
            packets += 1;
        }
        for arrival in &mut arrivals {
            arrival.ticks = 0;
        }
        let (outcome, _) = carry_out(&arrivals, capacity);
        prop_assert_eq!(outcome.packets.len(), packets);
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
fn a_run_longer_than_a_packet_may_be_is_never_put_together() {
    let parts = MAX_PIECES + 1;
    let whole = packet(parts * 30, 2);
    let arrivals: Vec<Arrival> = whole
        .chunks(30)
        .enumerate()
        .map(|(at, octets)| Arrival {
            key: key(0, 1, at as u64),
            place: match at {
                0 => Place::First,
                _ if at + 1 == parts => Place::Last,
                _ => Place::Middle,
            },
            octets: octets.to_vec(),
            ticks: 0,
        })
        .collect();
    let (outcome, kept) = carry_out(&arrivals, 4096);
    assert_eq!((outcome.packets.len(), kept), (0, parts));
    let (outcome, _) = carry_out(&arrivals[1..], 4096);
    assert!(outcome.packets.is_empty(), "without a first piece");
}

#[test]
fn the_last_number_of_an_epoch_does_no_harm() {
    let arrivals = [u64::MAX, 0].map(|number| Arrival {
        key: key(0, 1, number),
        place: Place::Middle,
        octets: vec![1],
        ticks: 0,
    });
    assert_eq!(carry_out(&arrivals, 8).1, 2);
}
