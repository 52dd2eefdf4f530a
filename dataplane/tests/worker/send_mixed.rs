//! Bursts for many sets leave as their packets alone would.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dpdk::{BURST, Mbuf};
use proptest::prelude::*;

use dataplane::command::{Command, NextHop, SessionId, SessionSpec, SetId, SetSpec, TableId};
use dataplane::counters::{Drop, SessionCounters, SetCounters};
use dataplane::headers::ipv4;
use dataplane::speed::SpeedLimit;
use dataplane::worker::Order;

use crate::ipv6_rig::*;
use crate::rig::*;

/// A link of a set, by the uplink with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Usual(u16),
    WithoutChecksum(u16),
    /// What is larger than 700 octets is cut.
    Narrow(u16),
    OverIpv6(u16),
    /// Faster than anything that is sent.
    WithSpeed(u16),
    /// Its gateway's address is not known.
    Unresolved(u16),
    TooSmall(u16),
    /// There is no route to the peer.
    Absent(u16),
}

use Link::*;

const SETS: [&[Link]; 14] = [
    &[Usual(1), Usual(2)],
    &[Usual(1), Usual(2)],
    &[Usual(1)],
    &[Usual(1), Usual(2), Usual(3)],
    &[Usual(2), Usual(1)],
    &[Usual(3), Usual(3)],
    &[WithoutChecksum(1), WithoutChecksum(2)],
    &[Usual(1), WithoutChecksum(2)],
    &[Narrow(1), Usual(2)],
    &[Usual(1), OverIpv6(3)],
    &[WithSpeed(1), Usual(2)],
    &[Usual(1), Unresolved(2)],
    &[Usual(1), TooSmall(2), Usual(3)],
    &[Absent(1), Usual(2)],
];

/// Those that have nothing but usual members.
const USUAL: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

#[derive(Clone, Copy, Debug)]
struct Packet {
    set: usize,
    /// Behind the headers of IP and UDP.
    octets: usize,
    ipv6: bool,
}

/// An appliance with these sets.
struct Hub {
    rig: Rig,
    sets: Vec<SetSpec>,
    sessions: Vec<Vec<Arc<SessionCounters>>>,
    /// So many packets were made.
    packets: u16,
}

/// What left over each link, by port and tunnel, without what is every copy's own.
type Sent = BTreeMap<(usize, u16), Vec<Vec<u8>>>;

impl Hub {
    fn new(rig: Rig, workers: usize) -> Self {
        let mut rig = rig.and_ipv6();
        for uplink in 1..PORTS as u16 {
            let via = NextHop::Interface {
                interface: interface(uplink).id,
                via: Some(Ipv4Addr::new(10, 0, uplink as u8, 77).into()),
            };
            rig.route(uplink.into(), *UNRESOLVED_PEER.ip(), 32, via);
        }
        let mut hub = Self {
            rig,
            sets: Vec::new(),
            sessions: Vec::new(),
            packets: 0,
        };
        for (set, links) in SETS.iter().enumerate() {
            let id = SetId(5 + 3 * set as u32);
            let members = links.iter().enumerate();
            let members = members.map(|(place, &link)| hub.add_link(id, place, link, workers));
            let spec = SetSpec {
                id,
                next_number: Arc::new((FIRST_NUMBER + 0xfff0 * set as u64).into()),
                members: members.collect(),
                mtu: 1450,
                counters: (0..workers)
                    .map(|_| Arc::<SetCounters>::default())
                    .collect(),
                ..hub.rig.set_spec()
            };
            hub.rig.command(Command::SetSet(Arc::new(spec.clone())));
            hub.sets.push(spec);
            let next_hop = NextHop::Set(id);
            hub.rig.route(0, far_host(set), 32, next_hop);
            hub.rig.route(0, far_host_ipv6(set), 128, next_hop);
            hub.rig.poll();
        }
        hub
    }

    fn add_link(&mut self, set: SetId, place: usize, link: Link, workers: usize) -> SessionId {
        let (Usual(uplink)
        | WithoutChecksum(uplink)
        | Narrow(uplink)
        | OverIpv6(uplink)
        | WithSpeed(uplink)
        | Unresolved(uplink)
        | TooSmall(uplink)
        | Absent(uplink)) = link;
        let number = tunnel(set, place);
        let counters: Vec<_> = (0..workers)
            .map(|_| Arc::<SessionCounters>::default())
            .collect();
        let mut spec = match link {
            OverIpv6(_) => self.rig.session_over_ipv6(uplink),
            _ => self.rig.session_spec(uplink),
        };
        spec = SessionSpec {
            id: SessionId(number.into()),
            peer_tunnel: number,
            local_tunnel: number,
            set: Some(set),
            counters: counters.clone(),
            ..spec
        };
        match link {
            Usual(_) | OverIpv6(_) => {}
            WithoutChecksum(_) => spec.udp_checksum = false,
            Narrow(_) => spec.mtu = 700,
            WithSpeed(_) => spec.speed = Some(Arc::new(SpeedLimit::new(100_000_000_000))),
            Unresolved(_) => spec.peer = SocketAddr::V4(UNRESOLVED_PEER),
            TooSmall(_) => spec.mtu = 100,
            Absent(_) => spec.table = TableId(99),
        }
        self.rig.command(Command::SetSession(Arc::new(spec)));
        self.sessions.push(counters);
        SessionId(number.into())
    }

    /// The octets of the next packet, which end with its number.
    fn packet(&mut self, packet: &Packet) -> Vec<u8> {
        let mut payload = vec![0x5a; packet.octets];
        payload.extend(self.packets.to_be_bytes());
        self.packets += 1;
        if packet.ipv6 {
            udp_ipv6(LAN_HOST_IPV6, far_host_ipv6(packet.set), &payload)
        } else {
            udp(LAN_HOST, far_host(packet.set), &payload)
        }
    }

    fn offer(&mut self, packets: &[Packet], worker: usize) {
        for packet in packets {
            let packet = frame(0, &self.packet(packet));
            self.rig.offer(0, worker, &packet);
        }
    }

    /// Sends packets in bursts of `most` or fewer. What leaves by a port that is not taken from
    /// stays there.
    fn send(&mut self, packets: &[Packet], most: usize, ports: &[usize]) -> Sent {
        let mut sent = Sent::new();
        for burst in packets.chunks(most) {
            self.offer(burst, 0);
            self.rig.poll();
            for &port in ports {
                for frame in self.rig.received(port) {
                    let (tunnel, frame) = without_identification(frame);
                    sent.entry((port, tunnel)).or_default().push(frame);
                }
            }
        }
        sent
    }

    fn counted(&mut self) -> String {
        let sets = self.sets.iter();
        let sets = sets.map(|set| (set.next_number.load(Ordering::Relaxed), &set.counters));
        let sets: Vec<_> = sets.collect();
        let drops = |port| Drop::ALL.iter().map(move |&reason| (port, reason));
        let drops = (0..PORTS).flat_map(drops);
        let drops: Vec<_> = drops
            .map(|(port, reason)| self.rig.drops(port, reason))
            .collect();
        let events = self.rig.events().len();
        format!("{sets:?} {:?} {drops:?} {events}", self.sessions)
    }

    /// Has uplink 1 be stuck, with as much in its ring as that takes.
    fn fill_first_uplink(&mut self) {
        let packet = Packet {
            set: 0,
            octets: 1,
            ipv6: false,
        };
        while self.rig.drops(1, Drop::TxRingFull) == 0 {
            self.send(&[packet; BURST], BURST, &[2, 3]);
        }
    }
}

const UNRESOLVED_PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 9), 1701);

fn far_host(set: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, set as u8, 1)
}

fn far_host_ipv6(set: usize) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x900, set as u16, 0, 0, 0, 1)
}

fn tunnel(set: SetId, place: usize) -> u16 {
    0x100 + 4 * set.0 as u16 + place as u16
}

/// The tunnel of a frame, and the frame without what follows the order in which copies are made.
fn without_identification(mut frame: Vec<u8>) -> (u16, Vec<u8>) {
    let is_ipv4 = frame[14] >> 4 == 4;
    let udp = if is_ipv4 {
        assert!(ipv4::parse(&frame[14..]).is_ok(), "a good header");
        frame[18..20].fill(0);
        frame[24..26].fill(0);
        34
    } else {
        54
    };
    let tunnel = u16::from_be_bytes([frame[udp + 10], frame[udp + 11]]);
    (tunnel, frame)
}

fn packets(sets: &'static [usize]) -> impl Strategy<Value = Vec<Packet>> {
    let octets = prop_oneof![6 => 0..100_usize, 1 => 600..800_usize, 1 => 1300..1400_usize];
    let packet = (
        prop::sample::select(sets),
        octets,
        prop::bool::weighted(0.2),
    );
    let packet = packet.prop_map(|(set, octets, ipv6)| Packet { set, octets, ipv6 });
    prop::collection::vec(packet, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_burst_for_many_sets_leaves_as_its_packets_alone(
        bursts in prop_oneof![
            packets(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
            packets(&USUAL),
            packets(&[0, 1, 6, 7]),
            packets(&[3, 12, 9]),
        ],
    ) {
        let [together, alone] = [BURST, 1].map(|most| {
            let mut hub = Hub::new(Rig::new(), 1);
            let sent = hub.send(&bursts, most, &[1, 2, 3]);
            (sent, hub.counted())
        });
        prop_assert_eq!(together, alone);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn so_it_does_beside_an_uplink_that_is_stuck(
        bursts in packets(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
    ) {
        let [together, alone] = [BURST, 1].map(|most| {
            let mut hub = Hub::new(Rig::with(1, 64, 8192), 1);
            hub.fill_first_uplink();
            let sent = hub.send(&bursts, most, &[2, 3]);
            (sent, hub.counted())
        });
        prop_assert_eq!(together, alone);
    }
}

/// A burst for these sets in turn.
fn turns(sets: &[usize]) -> Vec<Packet> {
    let packet = |&set| Packet {
        set,
        octets: 20,
        ipv6: false,
    };
    sets.iter().map(packet).cycle().take(BURST).collect()
}

#[test]
fn no_two_copies_have_one_identification() {
    let mut hub = Hub::new(Rig::new(), 1);
    hub.offer(&turns(&USUAL), 0);
    hub.rig.poll();
    let frames = (1..PORTS).flat_map(|port| hub.rig.received(port));
    let frames: Vec<_> = frames.collect();
    let identifications: BTreeSet<_> = frames.iter().map(|frame| [frame[18], frame[19]]).collect();
    assert_eq!(frames.len(), 4 * (2 + 2 + 1 + 3 + 2 + 2 + 2 + 2));
    assert_eq!(identifications.len(), frames.len());
}

#[test]
fn a_ring_that_has_room_for_some_takes_so_many() {
    let mut hub = Hub::new(Rig::with(1, 64, 8192), 1);
    hub.fill_first_uplink();
    let before = hub.rig.drops(1, Drop::TxRingFull);
    // Room for some, in the queue and so in the ring.
    let mut taken = hub.rig.received(1).len();
    hub.rig.poll();
    let mut offered = 0;
    for _ in 0..4 {
        let sent = hub.send(&turns(&[0, 1]), BURST, &[2, 3]);
        offered += BURST;
        assert_eq!(sent.values().map(Vec::len).sum::<usize>(), BURST);
    }
    let dropped = (hub.rig.drops(1, Drop::TxRingFull) - before) as usize;
    assert_eq!(offered - dropped, taken, "as many as there was room for");
    assert!(dropped > 0);
    // Nothing is left behind, and what is sent is in order.
    let mut numbers: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    loop {
        let frames = hub.rig.received(1);
        if frames.is_empty() {
            break;
        }
        taken += frames.len();
        for frame in frames {
            let number = number_of(&frame);
            let (tunnel, _) = without_identification(frame);
            numbers.entry(tunnel).or_default().push(number);
        }
        hub.rig.poll();
    }
    for numbers in numbers.values() {
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }
    let sent: u64 = hub
        .sessions
        .iter()
        .map(|link| link[0].sent_packets.read())
        .sum();
    let dropped: u64 = hub
        .sessions
        .iter()
        .map(|link| link[0].send_dropped_packets.read())
        .sum();
    let numbered: u64 = hub
        .sets
        .iter()
        .map(|set| set.counters[0].sent_packets.read())
        .sum();
    assert_eq!(sent + dropped, 2 * numbered);
    assert_eq!(taken as u64 + numbered, sent);
}

#[test]
fn without_buffers_each_link_but_the_last_lacks_its_own_copies() {
    for left in [0, 1, 10, 31] {
        let mut hub = Hub::new(Rig::new(), 1);
        // What is at hand of the sets is found with the first packets.
        hub.send(&turns(&[0, 1, 7]), BURST, &[1, 2, 3]);
        hub.offer(&turns(&[0, 1, 7]), 0);
        let mut held: Vec<Mbuf> = std::iter::from_fn(|| hub.rig.copies.alloc()).collect();
        held.truncate(held.len() - left);
        hub.rig.poll();
        assert_eq!(hub.rig.received(1).len(), left);
        assert_eq!(hub.rig.received(2).len(), BURST, "the packets themselves");
        let lacking = (BURST - left) as u64;
        assert_eq!(hub.rig.drops(1, Drop::NoBuffer), lacking);
        assert_eq!(hub.rig.all_drops(), lacking);
        let dropped = hub
            .sessions
            .iter()
            .map(|link| link[0].send_dropped_packets.read());
        assert_eq!(dropped.sum::<u64>(), lacking);
        let sent = hub.sessions.iter().map(|link| link[0].sent_packets.read());
        assert_eq!(sent.sum::<u64>(), 4 * BURST as u64 - lacking);
    }
}

#[test]
fn a_packet_without_room_for_headers_costs_the_last_link_of_its_set_alone() {
    let mut hub = Hub::new(Rig::new(), 1);
    let burst = turns(&[0, 1, 3]);
    // What is at hand of the sets is found with the first packets.
    hub.send(&burst, BURST, &[1, 2, 3]);
    for (place, packet) in burst.iter().enumerate() {
        let octets = hub.packet(&Packet {
            octets: 70,
            ..*packet
        });
        let packet = match place {
            3 | 5 => hub.rig.narrow_buffer(&octets),
            _ => hub.rig.buffer(&octets),
        };
        let table = TableId(0);
        let order = Order::SendIp { table, packet };
        assert!(hub.rig.channels[0].orders.push(order).is_ok());
    }
    hub.rig.poll();
    // Eleven packets each for the first two sets, ten for the one with three links.
    let received = [1, 2, 3].map(|port| hub.rig.received(port).len());
    assert_eq!(received, [BURST, BURST - 1, 9]);
    assert_eq!(hub.rig.drops(2, Drop::NoBuffer), 1, "of the first set");
    assert_eq!(hub.rig.drops(3, Drop::NoBuffer), 1, "of the third one");
    assert_eq!(hub.rig.all_drops(), 2);
    let dropped = hub
        .sessions
        .iter()
        .map(|link| link[0].send_dropped_packets.read());
    let dropped: Vec<u64> = dropped.collect();
    // The links of the sets before are two each, and one.
    let mut expected = vec![0; dropped.len()];
    (expected[1], expected[7]) = (1, 1);
    assert_eq!(dropped, expected);
}

#[test]
fn workers_beside_each_other_take_each_number_once() {
    let mut hub = Hub::new(Rig::with(2, 1024, 8192), 2);
    for _ in 0..4 {
        for worker in 0..2 {
            hub.offer(&turns(&[0, 1, 6, 7, 3]), worker);
        }
    }
    hub.rig.poll();
    let mut numbers: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    for frame in hub.rig.received(1) {
        let number = number_of(&frame);
        let (tunnel, _) = without_identification(frame);
        numbers.entry(tunnel).or_default().push(number);
    }
    assert_eq!(numbers.len(), 5);
    for set in [0, 1, 6, 7, 3] {
        let spec = &hub.sets[set];
        let numbers = numbers.get_mut(&tunnel(spec.id, 0)).expect("copies");
        numbers.sort_unstable();
        let end = spec.next_number.load(Ordering::Relaxed);
        let all = end - numbers.len() as u64..end;
        assert_eq!(*numbers, all.collect::<Vec<_>>());
        assert_eq!(numbers[0], FIRST_NUMBER + 0xfff0 * set as u64);
    }
}
