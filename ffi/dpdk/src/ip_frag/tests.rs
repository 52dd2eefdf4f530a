use proptest::prelude::*;

use super::*;
use crate::testing::{eal, pool};

const TIMEOUT: u64 = 1000;
/// Buffers of each test's pool.
const BUFFERS: u32 = 256;
const TAG: u16 = 0x5a;

/// An IPv4 fragment: these octets at this offset of datagram `id`.
fn ipv4(id: u16, offset: usize, more: bool, octets: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + octets.len() as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend((u16::from(more) << 13 | (offset / 8) as u16).to_be_bytes());
    packet.extend([64, 17, 0x12, 0x34, 192, 0, 2, 1, 192, 0, 2, 2]);
    packet.extend(octets);
    packet
}

/// The same in IPv6.
fn ipv6(id: u16, offset: usize, more: bool, octets: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((8 + octets.len() as u16).to_be_bytes());
    packet.extend([NEXT_FRAGMENT, 64]);
    packet.extend([0x20; 15]);
    packet.push(1);
    packet.extend([0x20; 15]);
    packet.push(2);
    packet.extend([17, 0]);
    packet.extend((offset as u16 | u16::from(more)).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(id.to_be_bytes());
    packet.extend(octets);
    packet
}

type Make = fn(u16, usize, bool, &[u8]) -> Vec<u8>;
const FAMILIES: [Make; 2] = [ipv4, ipv6];

/// The payload of a whole datagram, whose header must be right.
fn payload(packet: &[u8]) -> Vec<u8> {
    let word = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    match packet[0] >> 4 {
        4 => {
            assert_eq!(word(2), packet.len());
            assert_eq!((word(6), word(10)), (0, 0), "no fragment; no checksum yet");
            packet[20..].to_vec()
        }
        _ => {
            assert_eq!(word(4) + 40, packet.len());
            assert_eq!(packet[6], 17, "the fragment header is gone");
            packet[40..].to_vec()
        }
    }
}

fn datagram(octets: usize) -> Vec<u8> {
    (0..octets)
        .map(|at| ((at * 7) >> 3) as u8 ^ at as u8)
        .collect()
}

/// Cuts a payload at these places.
fn cut(make: Make, id: u16, payload: &[u8], places: &[usize]) -> Vec<Vec<u8>> {
    let mut bounds = vec![0];
    bounds.extend(places);
    bounds.push(payload.len());
    bounds
        .windows(2)
        .map(|part| {
            let more = part[1] != payload.len();
            make(id, part[0], more, &payload[part[0]..part[1]])
        })
        .collect()
}

/// What became of a fragment, and how many were given up.
#[derive(Debug)]
enum Outcome {
    Kept,
    Whole(Mbuf, usize),
    Refused(Refusal, usize),
}

struct Bench {
    pool: Mempool,
    table: FragmentTable,
}

impl Bench {
    fn new(name: &str, datagrams: u32) -> Self {
        Self {
            pool: pool(name, BUFFERS),
            table: FragmentTable::new(eal(), datagrams, TIMEOUT).expect("memory"),
        }
    }

    fn insert(&mut self, now: u64, packet: &[u8]) -> Outcome {
        let mut mbuf = self.pool.alloc().expect("a buffer");
        assert!(mbuf.extend_from_slice(packet));
        self.insert_mbuf(now, mbuf)
    }

    fn insert_mbuf(&mut self, now: u64, mbuf: Mbuf) -> Outcome {
        let mut refused = Vec::new();
        let mut refuse = |tag, reason| {
            assert_eq!(tag, TAG);
            refused.push(reason);
        };
        let datagram = self.table.insert(mbuf, TAG, now, &self.pool, &mut refuse);
        let out = u32::from(datagram.is_some());
        let held = BUFFERS - self.pool.available() - out;
        assert_eq!(held as usize, self.table.held());
        match datagram {
            Some(Datagram { packet, fragments }) => {
                assert!(refused.is_empty());
                Outcome::Whole(packet, fragments)
            }
            None if refused.is_empty() => Outcome::Kept,
            None => {
                assert!(refused.iter().all(|reason| *reason == refused[0]));
                Outcome::Refused(refused[0], refused.len())
            }
        }
    }

    fn expire(&mut self, now: u64) -> usize {
        let mut count = 0;
        self.table.expire(now, &mut |tag, reason| {
            assert_eq!((tag, reason), (TAG, Refusal::Expired));
            count += 1;
        });
        count
    }
}

#[test]
fn any_order_makes_the_datagram() {
    let orders = [
        [0, 1, 2, 3],
        [3, 2, 1, 0],
        [2, 0, 3, 1],
        [1, 3, 0, 2],
        [3, 0, 1, 2],
    ];
    for make in FAMILIES {
        let mut bench = Bench::new("fragments-order", 16);
        for (id, order) in (0..).zip(orders) {
            let whole = datagram(1600);
            let parts = cut(make, id, &whole, &[400, 808, 1200]);
            for &part in &order[..3] {
                assert!(matches!(bench.insert(1, &parts[part]), Outcome::Kept));
            }
            let outcome = bench.insert(2, &parts[order[3]]);
            let Outcome::Whole(packet, fragments) = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(fragments, 4);
            assert_eq!(payload(&packet), whole);
            assert_eq!(packet.l4_checksum(), crate::Checksum::Unknown);
        }
        assert_eq!(bench.table.held(), 0);
    }
}

#[test]
fn eight_fragments_and_no_more() {
    for make in FAMILIES {
        let mut bench = Bench::new("fragments-eight", 16);
        let whole = datagram(9 * 16);
        let places: Vec<usize> = (1..8).map(|part| part * 16).collect();
        let parts = cut(make, 1, &whole[..8 * 16], &places);
        let outcomes: Vec<Outcome> = parts.iter().map(|part| bench.insert(1, part)).collect();
        assert!(matches!(outcomes[7], Outcome::Whole(_, 8)), "{outcomes:?}");
        drop(outcomes);
        let places: Vec<usize> = (1..9).map(|part| part * 16).collect();
        let parts = cut(make, 2, &whole, &places);
        let outcomes: Vec<Outcome> = parts.iter().map(|part| bench.insert(1, part)).collect();
        assert!(
            matches!(outcomes[7], Outcome::Refused(Refusal::Bad, 8)),
            "{outcomes:?}"
        );
        // The last one begins anew.
        assert!(matches!(outcomes[8], Outcome::Kept));
    }
}

#[test]
fn repeated_overlapping_and_missing_parts_make_no_datagram() {
    for make in FAMILIES {
        let mut bench = Bench::new("fragments-wrong", 16);
        let whole = datagram(96);
        let sets: [&[(usize, bool, usize)]; 6] = [
            // The first or the last twice.
            &[(0, true, 48), (0, true, 48)],
            &[(48, false, 48), (48, false, 48)],
            // The sum is right, with a hole and an overlap.
            &[(0, true, 32), (16, true, 32), (64, false, 32)],
            &[(0, true, 48), (40, true, 8), (56, false, 40)],
            // More than the last one allows.
            &[(16, false, 16), (0, true, 48)],
            &[(8, true, 40), (8, true, 40), (0, true, 16), (80, false, 8)],
        ];
        for (id, set) in (0..).zip(sets) {
            let mut bad = 0;
            for &(offset, more, octets) in set {
                let part = make(id, offset, more, &whole[offset..offset + octets]);
                match bench.insert(1, &part) {
                    Outcome::Kept => {}
                    Outcome::Refused(Refusal::Bad, fragments) => bad += fragments,
                    other => panic!("{id}: {other:?}"),
                }
            }
            assert_eq!(bad, set.len(), "{id}");
            assert_eq!(bench.table.held(), 0);
        }
    }
}

#[test]
fn what_can_be_no_fragment_does_not_go_in() {
    let mut bench = Bench::new("fragments-malformed", 16);
    let part = datagram(64);
    let with = |mut packet: Vec<u8>, at: usize, octet: u8| {
        packet[at] = octet;
        packet
    };
    let wrong = [
        ipv4(1, 0, false, &part),
        ipv4(1, 8, true, &part[..63]),
        ipv4(1, 8, false, &[]),
        ipv4(1, 65_528, false, &part),
        ipv4(1, 65_472, false, &part),
        with(ipv4(1, 8, false, &part), 0, 0x44),
        with(ipv4(1, 8, false, &part), 0, 0x55),
        with(ipv4(1, 8, false, &part), 3, 83),
        with(ipv4(1, 8, false, &part), 3, 85),
        ipv4(1, 8, false, &part)[..19].to_vec(),
        ipv6(1, 0, false, &part),
        ipv6(1, 8, true, &part[..63]),
        ipv6(1, 8, false, &[]),
        ipv6(1, 65_528, false, &part),
        with(ipv6(1, 8, false, &part), 6, 17),
        with(ipv6(1, 8, false, &part), 5, 71),
        ipv6(1, 8, false, &part)[..47].to_vec(),
        vec![],
        vec![0x45],
        vec![0x60],
    ];
    for (index, packet) in wrong.iter().enumerate() {
        let outcome = bench.insert(1, packet);
        assert!(
            matches!(outcome, Outcome::Refused(Refusal::Malformed, 1)),
            "{index}: {outcome:?}"
        );
    }
    let mut odd = bench.pool.alloc().expect("a buffer");
    assert!(odd.extend_from_slice(&[0]) && odd.extend_from_slice(&ipv4(1, 8, false, &part)));
    assert!(odd.trim_front(1));
    assert!(matches!(
        bench.insert_mbuf(1, odd),
        Outcome::Refused(Refusal::Malformed, 1)
    ));
    assert_eq!(bench.table.held(), 0);
}

#[test]
fn what_waits_too_long_is_given_up_and_a_full_table_says_so() {
    let mut bench = Bench::new("fragments-full", 8);
    let part = datagram(64);
    for id in 0..8 {
        assert!(matches!(
            bench.insert(id, &ipv4(id as u16, 0, true, &part)),
            Outcome::Kept
        ));
    }
    assert!(matches!(
        bench.insert(8, &ipv4(9, 0, true, &part)),
        Outcome::Refused(Refusal::Full, 1)
    ));
    // A datagram that has its place goes on.
    assert!(matches!(
        bench.insert(8, &ipv4(0, 64, true, &part)),
        Outcome::Kept
    ));
    assert_eq!(bench.expire(TIMEOUT), 0);
    assert_eq!(bench.expire(TIMEOUT + 1), 2);
    assert_eq!(bench.expire(TIMEOUT + 7), 6);
    assert_eq!(bench.expire(TIMEOUT + 8), 1);
    assert_eq!(bench.table.held(), 0);
    assert_eq!(bench.pool.available(), BUFFERS);
}

#[test]
fn a_datagram_larger_than_a_buffer_is_dropped_and_the_pool_may_have_larger_ones() {
    let mut bench = Bench::new("fragments-large", 8);
    let whole = datagram(4000);
    let parts = |id| cut(ipv4, id, &whole, &[1400, 2800]);
    let outcomes: Vec<Outcome> = parts(1).iter().map(|part| bench.insert(1, part)).collect();
    assert!(
        matches!(outcomes[2], Outcome::Refused(Refusal::Oversized, 3)),
        "{outcomes:?}"
    );
    let large = Mempool::new(eal(), "fragments-larger", 8, 0, 4096 + 128).expect("memory");
    for (index, part) in parts(2).iter().enumerate() {
        let mut mbuf = bench.pool.alloc().expect("a buffer");
        assert!(mbuf.extend_from_slice(part));
        let refuse = &mut |_, reason| panic!("{reason:?}");
        match bench.table.insert(mbuf, TAG, 1, &large, refuse) {
            None => assert!(index < 2),
            Some(datagram) => assert_eq!(payload(&datagram.packet), whole),
        }
    }
    assert_eq!(bench.pool.available(), BUFFERS);
}

#[test]
fn a_table_that_goes_frees_what_it_holds() {
    let mut bench = Bench::new("fragments-drop", 16);
    for id in 0..16 {
        for make in FAMILIES {
            bench.insert(1, &make(id, 8, true, &datagram(64)));
        }
    }
    assert!(bench.table.held() >= 16);
    drop(bench.table);
    assert_eq!(bench.pool.available(), BUFFERS);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_datagram_among_others_and_junk_comes_out_whole_or_not_at_all(
        octets in 1..1500_usize,
        places in prop::collection::btree_set(1..180_usize, 0..7),
        // Of the datagram's own fragments: which comes when.
        order in any::<u64>(),
        junk in prop::collection::vec(
            (0..3_u16, 0..40_usize, any::<bool>(), 1..100_usize, any::<bool>(), 0..400_u64),
            0..60,
        ),
        over_ipv6 in any::<bool>(),
    ) {
        let mut bench = Bench::new("fragments-any", 8);
        let make = FAMILIES[usize::from(over_ipv6)];
        let whole = datagram(octets);
        let places: Vec<usize> = places.iter().map(|p| p * 8).filter(|p| *p < octets).collect();
        prop_assume!(!places.is_empty());
        let parts = cut(make, 99, &whole, &places);
        let mut arrivals: Vec<(Vec<u8>, u64)> = junk
            .iter()
            .map(|&(id, units, more, octets, other, ticks)| {
                let make = FAMILIES[usize::from(other)];
                // Most of them sound by themselves.
                let octets = if more && octets > 8 { octets & !7 } else { octets };
                (make(id, units * 8, more, &vec![id as u8; octets]), ticks)
            })
            .collect();
        let mut state = order | 1;
        for part in &parts {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = (state >> 33) as usize % (arrivals.len() + 1);
            arrivals.insert(place, (part.clone(), 0));
        }
        let mut now = 1;
        let mut own_times = Vec::new();
        let mut came_out = 0;
        for (packet, ticks) in &arrivals {
            now += ticks;
            if parts.contains(packet) {
                own_times.push(now);
            }
            bench.expire(now);
            if let Outcome::Whole(packet, fragments) = bench.insert(now, packet) {
                prop_assert!((2..=8).contains(&fragments));
                let got = payload(&packet);
                if got == whole {
                    came_out += 1;
                    continue;
                }
                // Otherwise it is one of the junk, whose octets are all its id.
                prop_assert!(got.iter().all(|octet| *octet == got[0] && got[0] < 3));
            }
            prop_assert!(bench.table.held() <= 8 * 8);
        }
        let in_time = own_times[own_times.len() - 1] - own_times[0] <= TIMEOUT;
        prop_assert!(came_out <= 1);
        prop_assert!(came_out == 1 || !in_time);
        bench.expire(now + TIMEOUT + 1);
        prop_assert_eq!(bench.table.held(), 0);
        prop_assert_eq!(bench.pool.available(), BUFFERS);
    }
}
