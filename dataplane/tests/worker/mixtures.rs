//! Bursts for many sets come out as if each frame had come alone, on the way in and on the way out.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use dpdk::BURST;
use proptest::prelude::*;

use dataplane::arrivals::{Arrivals, GROUP_NUMBERS};
use dataplane::checksum;
use dataplane::command::{
    Command, Epoch, NextHop, Ordering, SessionId, SessionSpec, SetId, SetSpec, TableId,
};
use dataplane::counters::{Drop, SessionCounters, SetCounters};
use dataplane::headers::ha::{FLAG_MORE_PIECES, FLAG_NOT_FIRST_PIECE};
use dataplane::skew::Histogram;
use dataplane::window::Window;

use crate::ipv6_rig::*;
use crate::malformed;
use crate::rig::*;

/// All come in here, where there is a session over IPv6 too.
const UPLINK: u16 = malformed::OVER_IPV6;
const OLD_EPOCH: u32 = PEER_EPOCH - 1;
/// Sessions over IPv4 and their sets, one of which the session over IPv6 is of. One is of none.
const SESSIONS: [(u16, Option<SetId>); 13] = [
    (10, Some(SetId(1))),
    (11, Some(SetId(1))),
    (12, Some(SetId(2))),
    // Found from the same place as the second.
    (13, Some(SetId(66))),
    (14, Some(SetId(3))),
    (15, Some(SET)),
    (16, None),
    (17, Some(SetId(1))),
    (18, Some(SetId(3))),
    (19, Some(SetId(1))),
    (20, Some(SetId(1))),
    (21, Some(SetId(1))),
    (22, Some(SetId(1))),
];
/// Those of the first set, more than take turns in one run.
const OF_ONE_SET: [usize; 7] = [0, 1, 7, 9, 11, 12, 10];
/// Those of another one.
const OF_ANOTHER_SET: [usize; 2] = [4, 8];
/// The one of the first set whose packets are routed elsewhere.
const ELSEWHERE: u16 = 20;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Copy,
    Damaged,
    Old,
    Plain,
    Lcp,
    /// In another form.
    WithLength,
    /// With a tag that says no VLAN.
    Tagged,
    /// The two of a copy that was cut on the way.
    FirstFragment,
    LastFragment,
    OverIpv6,
    Arp,
}

/// What the control thread says before a burst.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    /// The session is set anew.
    Session(usize),
    /// The set is set anew.
    Set(usize),
    /// The epochs of the set change places.
    Epoch(usize),
}

struct Site {
    rig: Rig,
    sessions: Vec<Arc<SessionCounters>>,
    arrivals: Vec<Arc<Arrivals>>,
    sets: Vec<Arc<SetCounters>>,
    session_specs: Vec<SessionSpec>,
    set_specs: Vec<SetSpec>,
}

impl Site {
    fn new() -> Self {
        let mut rig = malformed::rig();
        let mut sets = vec![Arc::clone(&rig.set[0])];
        let (mut set_specs, mut session_specs) = (Vec::new(), Vec::new());
        for id in [1, 2, 3, 66].map(SetId) {
            let counters = Arc::<SetCounters>::default();
            let spec = SetSpec {
                id,
                members: Vec::new(),
                epochs: [PEER_EPOCH, OLD_EPOCH]
                    .map(|epoch| Epoch::new(epoch, 0))
                    .to_vec(),
                counters: vec![Arc::clone(&counters)],
                ..rig.set_spec()
            };
            rig.command(Command::SetSet(Arc::new(spec.clone())));
            set_specs.push(spec);
            sets.push(counters);
        }
        let mut sessions = vec![Arc::clone(&rig.sessions[usize::from(UPLINK) - 1][0])];
        let mut arrivals = Vec::new();
        for (number, set) in SESSIONS {
            let counters = Arc::<SessionCounters>::default();
            let numbers = Arc::new(Arrivals::new(PEER_EPOCH));
            let spec = SessionSpec {
                id: SessionId(number.into()),
                table: TableId(UPLINK.into()),
                local_tunnel: 0x100 + number,
                local_session: 0x200 + number,
                set,
                counters: vec![Arc::clone(&counters)],
                arrivals: vec![Arc::clone(&numbers)],
                payload_table: if number == ELSEWHERE {
                    TableId(UPLINK.into())
                } else {
                    rig.session_spec(UPLINK).payload_table
                },
                ..rig.session_spec(UPLINK)
            };
            rig.command(Command::SetSession(Arc::new(spec.clone())));
            session_specs.push(spec);
            sessions.push(counters);
            arrivals.push(numbers);
        }
        rig.poll();
        Self {
            rig,
            sessions,
            arrivals,
            sets,
            session_specs,
            set_specs,
        }
    }

    fn change(&mut self, change: Change) {
        let command = match change {
            Change::Nothing => return,
            Change::Session(session) => {
                Command::SetSession(Arc::new(self.session_specs[session].clone()))
            }
            Change::Set(set) => {
                let set = set % self.set_specs.len();
                Command::SetSet(Arc::new(self.set_specs[set].clone()))
            }
            Change::Epoch(set) => {
                let set = set % self.set_specs.len();
                self.set_specs[set].epochs.reverse();
                Command::SetSet(Arc::new(self.set_specs[set].clone()))
            }
        };
        self.rig.command(command);
        self.rig.poll();
    }

    /// What came out of the LAN for each set, and of all else how much, of bursts of `most`
    /// frames or fewer.
    fn take(
        &mut self,
        bursts: &[(Change, Vec<Vec<u8>>)],
        most: usize,
    ) -> (BTreeMap<u8, Vec<Vec<u8>>>, Vec<usize>) {
        let mut delivered: BTreeMap<u8, Vec<Vec<u8>>> = BTreeMap::new();
        let mut others = Vec::new();
        let parts = bursts.iter().flat_map(|(change, burst)| {
            let no_change = std::iter::repeat(Change::Nothing);
            std::iter::once(*change)
                .chain(no_change)
                .zip(burst.chunks(most))
        });
        for (change, burst) in parts {
            self.change(change);
            for frame in burst {
                self.rig.offer(UPLINK.into(), 0, frame);
            }
            self.rig.poll();
            for frame in self.rig.received(0) {
                let of_set = frame[frame.len() - 2];
                delivered.entry(of_set).or_default().push(frame);
            }
            others.push(self.rig.events().len());
        }
        let sent = (1..PORTS).map(|port| self.rig.received(port).len());
        (delivered, vec![others.iter().sum(), sent.sum()])
    }

    fn counted(&self) -> String {
        let drops = |port| {
            Drop::ALL
                .iter()
                .map(move |&reason| self.rig.drops(port, reason))
        };
        let ports: Vec<Vec<u64>> = (0..PORTS).map(|port| drops(port).collect()).collect();
        let arrivals = self.arrivals.iter().map(|arrivals| {
            let end = arrivals.end_group();
            let groups = (0..end.min(12)).chain(end.saturating_sub(12)..end);
            let numbers: Vec<_> = groups.map(|group| arrivals.numbers(group)).collect();
            let skew = (format!("{:?}", arrivals.skew), arrivals.skew.missed());
            (end, numbers, arrivals.repeated(), arrivals.untraced(), skew)
        });
        let arrivals: Vec<_> = arrivals.collect();
        format!("{:?} {:?} {arrivals:?} {ports:?}", self.sessions, self.sets)
    }
}

/// What is in the packets of a set: its number and the packet's, last.
fn payload(set: Option<SetId>, number: u64) -> [u8; 3] {
    [0x5a, set.map_or(0xff, |set| set.0 as u8), number as u8]
}

fn octets(session: usize, number: u64, kind: Kind) -> Vec<u8> {
    let (id, set) = SESSIONS[session];
    let payload = payload(set, number);
    let packet = inner(&payload);
    // Each packet's own: the fragments of two sessions make no packet.
    let identification = id << 8 | number as u16;
    let in_epoch = |epoch| {
        let message = ha_message(id, epoch, number, &ppp_ipv4(&packet));
        l2tp_frame(UPLINK, &message)
    };
    match (kind, set) {
        (Kind::Copy, Some(_)) => in_epoch(PEER_EPOCH),
        (Kind::Old, Some(_)) => in_epoch(OLD_EPOCH),
        (Kind::Damaged, _) => {
            let mut frame = in_epoch(PEER_EPOCH);
            *frame.last_mut().expect("octets") ^= 1;
            frame
        }
        (Kind::Lcp, _) => {
            let message = plain_message(id, &[0xc0, 0x21, 9, 1, 0, 4]);
            l2tp_frame(UPLINK, &message)
        }
        (Kind::WithLength, Some(_)) => {
            let message = ha_message(id, PEER_EPOCH, number, &ppp_ipv4(&packet));
            let octets = message.len() as u16 + 2;
            let start = [&[0x42, 0x02][..], &octets.to_be_bytes()].concat();
            l2tp_frame(UPLINK, &[&start, &message[2..]].concat())
        }
        (Kind::Tagged, Some(_)) => {
            let frame = in_epoch(PEER_EPOCH);
            [&frame[..12], &[0x81, 0, 0xa0, 0], &frame[12..]].concat()
        }
        (Kind::FirstFragment, Some(_)) => cut(&in_epoch(PEER_EPOCH), identification).0,
        (Kind::LastFragment, Some(_)) => cut(&in_epoch(PEER_EPOCH), identification).1,
        (Kind::OverIpv6, _) => {
            let packet = inner(&self::payload(Some(SET), number));
            let message = ha_message(UPLINK, PEER_EPOCH, number, &ppp_ipv4(&packet));
            l2tp_frame_ipv6(UPLINK, &message)
        }
        (Kind::Arp, _) => {
            let mut frame = vec![0xff; 42];
            frame[12..14].copy_from_slice(&[8, 6]);
            frame
        }
        _ => {
            let message = plain_message(id, &ppp_ipv4(&packet));
            l2tp_frame(UPLINK, &message)
        }
    }
}

/// The two fragments of a frame.
fn cut(frame: &[u8], identification: u16) -> (Vec<u8>, Vec<u8>) {
    // Both headers are in the first, which has the form of a whole copy.
    const CUT: usize = 56;
    let (headers, payload) = frame.split_at(34);
    let fragment = |field: u16, payload: &[u8]| {
        let mut fragment = [headers, payload].concat();
        let total_octets = fragment.len() as u16 - 14;
        fragment[16..18].copy_from_slice(&total_octets.to_be_bytes());
        fragment[18..20].copy_from_slice(&identification.to_be_bytes());
        fragment[20..22].copy_from_slice(&field.to_be_bytes());
        fragment[24..26].fill(0);
        let checksum = checksum::fold(checksum::sum(&fragment[14..34]));
        fragment[24..26].copy_from_slice(&(!checksum).to_be_bytes());
        fragment
    };
    let (first, last) = payload.split_at(CUT);
    (fragment(0x2000, first), fragment(CUT as u16 / 8, last))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        60 => Just(Kind::Copy),
        1 => Just(Kind::Damaged),
        1 => Just(Kind::Old),
        1 => Just(Kind::Plain),
        1 => Just(Kind::Lcp),
        1 => Just(Kind::WithLength),
        1 => Just(Kind::Tagged),
        1 => Just(Kind::FirstFragment),
        1 => Just(Kind::LastFragment),
        1 => Just(Kind::OverIpv6),
        1 => Just(Kind::Arp),
    ]
}

/// The sessions of a burst: of all sets, or of one alone.
fn sessions() -> impl Strategy<Value = &'static [usize]> {
    const ALL: [usize; SESSIONS.len()] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    prop_oneof![
        Just(&ALL[..]),
        Just(&OF_ONE_SET[..]),
        Just(&OF_ONE_SET[..2]),
        Just(&OF_ANOTHER_SET[..])
    ]
}

/// In two slots of the window, the second one's first number among them.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..12_u64, 26..38_u64]
}

/// How far ahead of the others a link is, or a burst.
fn ahead() -> impl Strategy<Value = u64> {
    prop_oneof![60 => Just(0), 1 => Just(Window::MIN_NUMBERS), 1 => Just(1 << 47)]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => Just(Change::Nothing),
        1 => (0..SESSIONS.len()).prop_map(Change::Session),
        1 => any::<usize>().prop_map(Change::Set),
        1 => any::<usize>().prop_map(Change::Epoch),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_burst_of_many_sets_comes_out_as_its_frames_alone(
        picks in prop::collection::vec(
            (
                change(),
                sessions(),
                ahead(),
                prop::collection::vec((any::<prop::sample::Index>(), ahead(), number(), kind()), 1..33),
            ),
            1..9,
        ),
    ) {
        let bursts: Vec<_> = picks
            .iter()
            .zip(0..)
            .map(|((change, sessions, base, burst), turn)| {
                // Most numbers are new in each burst.
                let base = base + GROUP_NUMBERS * turn;
                let frames = burst.iter().map(|(session, ahead, number, kind)| {
                    octets(*session.get(sessions), base + ahead + number, *kind)
                });
                (*change, frames.collect::<Vec<_>>())
            })
            .collect();
        let (mut together, mut apart) = (Site::new(), Site::new());
        prop_assert_eq!(together.take(&bursts, BURST), apart.take(&bursts, 1));
        prop_assert_eq!(together.counted(), apart.counted());
    }
}

/// Sets that have a link of their own on each of the first two uplinks, and the network behind each.
const SENDING: [u8; 5] = [1, 2, 3, 4, 66];

fn sending_rig() -> Rig {
    let mut rig = Rig::new();
    for set in SENDING {
        let id = SetId(set.into());
        let links = [(1, 0x20), (2, 0x80)].map(|(uplink, start)| (uplink, start + u16::from(set)));
        for (uplink, number) in links {
            let spec = SessionSpec {
                id: SessionId(number.into()),
                peer_tunnel: 0x300 + number,
                local_tunnel: 0x100 + number,
                set: Some(id),
                ..rig.session_spec(uplink)
            };
            rig.command(Command::SetSession(Arc::new(spec)));
        }
        let spec = SetSpec {
            id,
            members: links.map(|(_, number)| SessionId(number.into())).to_vec(),
            // More than its links carry whole.
            mtu: 1500,
            ..rig.set_spec()
        };
        rig.command(Command::SetSet(Arc::new(spec)));
        rig.route(0, Ipv4Addr::new(10, 9, set, 0), 24, NextHop::Set(id));
    }
    rig.poll();
    rig
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn each_set_numbers_its_own_of_a_burst_in_order(
        bursts in prop::collection::vec(prop::collection::vec(0..SENDING.len(), 1..33), 1..5),
    ) {
        let mut rig = sending_rig();
        let mut expected: BTreeMap<u8, Vec<(u64, u8)>> = BTreeMap::new();
        let mut sent: [BTreeMap<u8, Vec<(u64, u8)>>; 2] = Default::default();
        for (payload, set) in (0..).zip(bursts.iter().flatten()) {
            let of_set = expected.entry(SENDING[*set]).or_default();
            of_set.push((FIRST_NUMBER + of_set.len() as u64, payload));
        }
        let mut payload = 0;
        for burst in &bursts {
            for set in burst {
                let to = Ipv4Addr::new(10, 9, SENDING[*set], payload % 3);
                rig.offer(0, 0, &frame(0, &udp(LAN_HOST, to, &[payload])));
                payload += 1;
            }
            rig.poll();
            for (sent, (uplink, start)) in sent.iter_mut().zip([(1, 0x320), (2, 0x380)]) {
                for frame in rig.received(uplink) {
                    let set = (u16::from_be_bytes([frame[44], frame[45]]) - start) as u8;
                    let number = frame[56..62].iter().fold(0, |all, &octet| all << 8 | u64::from(octet));
                    prop_assert_eq!(frame[64 + 18], set, "the inner packet's destination");
                    sent.entry(set).or_default().push((number, frame[frame.len() - 1]));
                }
            }
        }
        for sent in &sent {
            prop_assert_eq!(sent, &expected);
        }
        prop_assert_eq!(rig.all_drops(), 0);
    }
}

#[test]
fn pieces_for_one_set_among_packets_for_another_are_marked_as_such() {
    let mut rig = sending_rig();
    // The second is cut.
    for (set, octets) in [(2, 10), (1, 1440), (2, 20)] {
        let to = Ipv4Addr::new(10, 9, set, 1);
        rig.offer(0, 0, &frame(0, &udp(LAN_HOST, to, &vec![set; octets])));
    }
    rig.poll();
    for (uplink, start) in [(1, 0x320), (2, 0x380)] {
        let sent = rig.received(uplink);
        let flags = |set: u16| -> Vec<u8> {
            let of_set = sent
                .iter()
                .filter(|frame| u16::from_be_bytes([frame[44], frame[45]]) == start + set);
            of_set.map(|frame| frame[51]).collect()
        };
        assert_eq!(flags(1), [FLAG_MORE_PIECES, FLAG_NOT_FIRST_PIECE]);
        assert_eq!(flags(2), [0, 0]);
        assert_eq!(sent.len(), 4);
    }
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn sets_that_take_turns_lose_nothing_and_keep_their_order() {
    // Each after the second copy of its burst, so that later ones could overtake it.
    for unusual in [
        &[][..],
        &[Kind::WithLength],
        &[Kind::Tagged],
        &[Kind::FirstFragment, Kind::LastFragment],
        &[Kind::Old],
    ] {
        let mut site = Site::new();
        let turns = |number: u64| (0..6).map(move |session| octets(session, number, Kind::Copy));
        let burst = |burst: u64| {
            let mut frames: Vec<_> = (5 * burst..5 * burst + 5).flat_map(turns).collect();
            // The numbers that are left out of it by the fifth session.
            for (place, &kind) in unusual.iter().enumerate() {
                frames[10 + place] = octets(4, 5 * burst + 1, kind);
            }
            (Change::Nothing, frames)
        };
        let bursts: Vec<_> = (0..20).map(burst).collect();
        let (delivered, others) = site.take(&bursts, BURST);
        assert_eq!(others, [0, 0]);
        for set in [0, 1, 2, 3, 66] {
            let of_set = delivered[&set].iter();
            let numbers: Vec<u8> = of_set.map(|frame| frame[frame.len() - 1]).collect();
            let all = 0..100_u8;
            // The other fragment stands where the last session's copy stood.
            let is_there = |&number: &u8| unusual.len() < 2 || set != 0 || number % 5 != 1;
            let expected: Vec<u8> = all.filter(is_there).collect();
            assert_eq!(numbers, expected, "of set {set} with {unusual:?}");
        }
    }
}

/// What a session of [`OF_ONE_SET`] has, the warm-up's left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    wins: u64,
    duplicates: u64,
    /// Skews.
    measured: u64,
    missed: u64,
}

/// The numbers of the packets that leave, and what is told of each session, when these copies come in
/// one burst: each the place of its session among [`OF_ONE_SET`], and its number.
fn take_one_burst(copies: &[(usize, u64)]) -> (Vec<u8>, [Told; OF_ONE_SET.len()]) {
    let mut site = Site::new();
    let copy = |&(session, number): &(usize, u64)| octets(OF_ONE_SET[session], number, Kind::Copy);
    let mut take = |copies: &[(usize, u64)]| {
        for frame in copies.iter().map(copy) {
            site.rig.offer(UPLINK.into(), 0, &frame);
        }
        site.rig.poll();
        let left = site.rig.received(0);
        left.iter().map(|frame| frame[frame.len() - 1]).collect()
    };
    // What is at hand of each session is found with its first copy.
    let _: Vec<u8> = take(&std::array::from_fn::<_, { OF_ONE_SET.len() }, _>(
        |place| (place, 200),
    ));
    let numbers = take(copies);
    let told = std::array::from_fn(|place| {
        let session = OF_ONE_SET[place];
        // Before them stands the one over IPv6.
        let counters = &site.sessions[1 + session];
        let skew = &site.arrivals[session].skew;
        let mut measured = Histogram::default();
        skew.add_to(&mut measured);
        Told {
            wins: counters.wins.read() - u64::from(place == 0),
            duplicates: counters.duplicates.read() - u64::from(place != 0),
            measured: measured.count(),
            missed: skew.missed(),
        }
    });
    (numbers, told)
}

#[test]
fn sessions_that_take_turns_win_what_they_brought_first() {
    // Up to 6 and of 8 the first session's copy is the first one, of 7 and 9 the second one's.
    let copies = [
        [(0, 0), (1, 0), (0, 1), (0, 2)],
        [(1, 1), (0, 3), (1, 2), (0, 4)],
        [(0, 5), (1, 3), (0, 6), (1, 7)],
        [(0, 7), (0, 8), (1, 4), (1, 5)],
        [(1, 6), (1, 8), (1, 9), (0, 9)],
    ];
    let (numbers, [first, second, ..]) = take_one_burst(copies.as_flattened());
    assert_eq!(numbers, (0..10).collect::<Vec<u8>>());
    assert_eq!((first.wins, first.duplicates), (8, 2));
    assert_eq!((second.wins, second.duplicates), (2, 8));
}

#[test]
fn a_first_copy_is_known_before_the_skew_of_one_that_came_behind_it_in_its_burst() {
    // Two sessions bring the number that is measured; the second one has been there before.
    let copies = [
        [(2, 36), (1, 33), (1, 34), (1, 35)],
        [(0, 32), (1, 32), (0, 33), (0, 34)],
        [(2, 32), (0, 35), (0, 36), (1, 36)],
        [(0, 37), (1, 37), (0, 38), (1, 38)],
    ];
    let (numbers, told) = take_one_burst(copies.as_flattened());
    assert_eq!(numbers, [36, 33, 34, 35, 32, 37, 38]);
    let measured = told.map(|told| (told.measured, told.missed));
    assert_eq!(measured[..3], [(1, 0); 3]);
    assert_eq!(measured[3..], [(0, 0); 4]);
}

#[test]
fn the_numbers_of_sets_whose_sessions_take_turns_are_their_own() {
    let mut site = Site::new();
    let turns = |[one, other]: [usize; 2]| {
        let copies = (0..10).flat_map(move |number| [(one, number), (other, number)]);
        copies.map(|(session, number)| octets(session, number, Kind::Copy))
    };
    let [first, second] = [[OF_ONE_SET[0], OF_ONE_SET[1]], OF_ANOTHER_SET];
    // What is at hand of each session is found with its first copy.
    let known = [first, second].concat();
    let known = known
        .iter()
        .map(|&session| octets(session, 200, Kind::Copy));
    let bursts = [
        known.collect(),
        turns(first).collect(),
        turns(second).collect(),
    ];
    let (delivered, _) = site.take(&bursts.map(|burst| (Change::Nothing, burst)), BURST);
    for set in [1, 3] {
        let numbers = delivered[&set].iter().map(|frame| frame[frame.len() - 1]);
        let expected = std::iter::once(200).chain(0..10);
        assert_eq!(
            numbers.collect::<Vec<u8>>(),
            expected.collect::<Vec<u8>>(),
            "of set {set}"
        );
    }
}

/// A site whose first set lets packets go in order.
fn ordered_site() -> Site {
    let mut site = Site::new();
    site.set_specs[0].ordering = Some(Ordering {
        max_delay_us: 30_000,
        adaptive: false,
    });
    site.change(Change::Set(0));
    site
}

fn copies_of_one_set(copies: &[(usize, u64)]) -> (Change, Vec<Vec<u8>>) {
    let copy = |&(session, number): &(usize, u64)| octets(OF_ONE_SET[session], number, Kind::Copy);
    (Change::Nothing, copies.iter().map(copy).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn an_ordered_set_whose_sessions_take_turns_delivers_what_it_would_of_frames_alone(
        bursts in prop::collection::vec(
            prop::collection::vec((0..OF_ONE_SET.len() - 1, number()), 1..33),
            1..6,
        ),
    ) {
        let bursts: Vec<_> = bursts.iter().map(|burst| copies_of_one_set(burst)).collect();
        let [together, alone] = [BURST, 1].map(|most| {
            let mut site = ordered_site();
            let (mut delivered, _) = site.take(&bursts, most);
            let mut delivered = delivered.remove(&1).unwrap_or_default();
            // What waits for a number that never comes.
            site.rig.now += 1 << 40;
            site.rig.poll();
            delivered.extend(site.rig.received(0));
            // Not every one in its turn: it waits no longer than it has to, and that is counted in bursts.
            delivered.sort_unstable();
            (delivered, format!("{:?}", site.sessions))
        });
        prop_assert_eq!(together, alone);
    }
}

#[test]
fn what_waits_goes_where_its_own_session_leads() {
    let mut site = ordered_site();
    let all: [_; OF_ONE_SET.len()] = std::array::from_fn(|place| (place, 0));
    // The number 1 lacks.
    let turns = [
        (1, 2),
        (0, 3),
        (1, 4),
        (0, 5),
        (1, 6),
        (0, 7),
        (1, 8),
        (0, 9),
    ];
    let more = [(1, 10), (0, 11), (1, 12), (0, 13), (1, 14), (0, 15)];
    let bursts = [&all[..], &[&turns[..], &more].concat()].map(copies_of_one_set);
    let (delivered, _) = site.take(&bursts, BURST);
    assert_eq!(delivered[&1].len(), 1, "the others wait");
    // The first session's packets are routed elsewhere from now on.
    site.session_specs[0].payload_table = TableId(UPLINK.into());
    site.change(Change::Session(0));
    let (delivered, _) = site.take(&[copies_of_one_set(&[(1, 1)])], BURST);
    let numbers = delivered[&1].iter().map(|frame| frame[frame.len() - 1]);
    assert_eq!(numbers.collect::<Vec<u8>>(), [1, 2, 4, 6, 8, 10, 12, 14]);
}
