//! What a capture says of each frame is what became of it, and it changes nothing.

use std::net::Ipv4Addr;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;

use dataplane::Encapsulation::Vlan;
use dataplane::capture::{Batch, CaptureSpec, Note, Record, Way};
use dataplane::command::{
    Command, EchoAnswer, NextHop, Ordering, PortId, SessionId, SessionSpec, SetSpec,
};
use dataplane::counters::{Drop, PortCounters};
use dataplane::window::{Verdict, Window};
use dataplane::worker::{HandOver, Order};

use crate::logical_rig;
use crate::malformed;
use crate::pieces::large;
use crate::rig::*;

const SNAP_OCTETS: u16 = 256;

/// A frame that was captured, with octets and notes of its own.
struct Seen {
    record: Record,
    octets: Vec<u8>,
    notes: Vec<Note>,
}

/// A capture on these ports of a rig.
fn capture_on(
    rig: &mut Rig,
    ports: impl IntoIterator<Item = usize>,
    snap: u16,
) -> Arc<CaptureSpec> {
    let mut wanted = vec![false; rig.counters.len()];
    for port in ports {
        wanted[port] = true;
    }
    let spec = Arc::new(CaptureSpec::new(wanted, snap, rig.workers.len(), TSC_HZ));
    rig.command(Command::Capture(Some(Arc::clone(&spec))));
    rig.poll();
    spec
}

fn capture(rig: &mut Rig) -> Arc<CaptureSpec> {
    capture_on(rig, 0..PORTS, SNAP_OCTETS)
}

/// Ends a capture, and gives what it has seen.
fn end(rig: &mut Rig, spec: &CaptureSpec) -> Vec<Seen> {
    rig.command(Command::Capture(None));
    rig.poll();
    assert!(spec.taps().iter().all(|tap| tap.is_closed()));
    taken(spec)
}

fn taken(spec: &CaptureSpec) -> Vec<Seen> {
    let mut all = Vec::new();
    for tap in spec.taps() {
        while let Some(batch) = tap.take() {
            all.extend(seen(&batch));
            tap.give_back(batch);
        }
    }
    all
}

fn seen(batch: &Batch) -> Vec<Seen> {
    let frames = batch.frames().map(|frame| Seen {
        record: frame.record.clone(),
        octets: frame.octets.to_vec(),
        notes: frame.notes.to_vec(),
    });
    frames.collect()
}

/// What is noted of one frame that a rig receives, and what leaves.
fn fate(rig: &mut Rig, port: usize, frame: &[u8]) -> (Vec<Note>, Vec<Seen>) {
    let spec = capture(rig);
    rig.send(port, frame);
    let (received, sent): (Vec<_>, Vec<_>) = end(rig, &spec)
        .into_iter()
        .partition(|seen| seen.record.way == Way::Received);
    let [received] = &received[..] else {
        panic!("{} frames were received", received.len());
    };
    assert_eq!(received.octets, frame[..frame.len().min(256)]);
    assert_eq!(received.record.octets, frame.len());
    assert_eq!(received.record.device, PortId(port as u16));
    (received.notes.clone(), sent)
}

/// A packet without room for headers has its number and its end, also when nobody else
/// gets a copy.
#[test]
fn a_packet_without_room_for_headers_has_its_number_and_is_dropped() {
    let mut rig = Rig::new();
    for uplink in 2..PORTS as u32 {
        rig.command(Command::RemoveSession(SessionId(uplink)));
    }
    let spec = capture(&mut rig);
    let packet = frame(0, &udp(LAN_HOST, FAR_HOST, &[0x5a; 72]));
    let narrow = rig.narrow_buffer(&packet);
    rig.offer_buffer(0, 0, narrow);
    rig.poll();
    let seen = end(&mut rig, &spec);
    let [received] = &seen[..] else {
        panic!("{} frames", seen.len());
    };
    assert_eq!(
        received.notes,
        [
            Note::Numbered {
                set: SET,
                epoch: SEND_EPOCH,
                number: FIRST_NUMBER,
            },
            Note::Dropped {
                port: PortId(1),
                session: Some(SessionId(1)),
                reason: Drop::NoBuffer,
            },
        ]
    );
    assert_eq!(rig.drops(1, Drop::NoBuffer), 1);
}

fn judged(verdict: Verdict, uplink: u16, number: u64) -> Note {
    Note::Judged {
        verdict,
        set: SET,
        session: SessionId(uplink.into()),
        epoch: PEER_EPOCH,
        number,
    }
}

fn left(port: u16, session: Option<u32>) -> Note {
    Note::Left {
        port: PortId(port),
        session: session.map(SessionId),
    }
}

fn dropped(port: u16, reason: Drop) -> Note {
    Note::Dropped {
        port: PortId(port),
        session: None,
        reason,
    }
}

#[test]
fn first_copies_duplicates_and_late_ones_are_told_apart() {
    let mut rig = Rig::new();
    let packet = inner(b"hello");
    let (notes, sent) = fate(&mut rig, 1, &copy(1, 200_000, &packet));
    let first = judged(Verdict::First, 1, 200_000);
    assert_eq!(notes, [first, left(0, None)]);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].octets, delivered(&packet));
    assert_eq!(sent[0].record.port, PortId(0));
    let (notes, sent) = fate(&mut rig, 2, &copy(2, 200_000, &packet));
    let duplicate = judged(Verdict::Duplicate, 2, 200_000);
    assert_eq!(notes, [duplicate, dropped(2, Drop::Duplicate)]);
    assert!(sent.is_empty());
    let old = 200_000 - Window::MIN_NUMBERS;
    let (notes, _) = fate(&mut rig, 3, &copy(3, old, &packet));
    let late = judged(Verdict::TooLate, 3, old);
    assert_eq!(notes, [late, dropped(3, Drop::TooLate)]);
}

#[test]
fn copies_of_one_burst_have_a_fate_each() {
    let mut rig = Rig::new();
    let spec = capture(&mut rig);
    for number in [5, 6, 5, 7] {
        rig.offer(1, 0, &copy(1, number, &inner(&[number as u8])));
    }
    rig.poll();
    let seen = end(&mut rig, &spec);
    let verdicts: Vec<_> = seen
        .iter()
        .filter_map(|seen| match seen.notes.first() {
            Some(&Note::Judged {
                verdict, number, ..
            }) => Some((number, verdict)),
            _ => None,
        })
        .collect();
    let expected = [
        (5, Verdict::First),
        (6, Verdict::First),
        (5, Verdict::Duplicate),
        (7, Verdict::First),
    ];
    assert_eq!(verdicts, expected);
}

#[test]
fn what_is_dropped_has_the_counters_name() {
    let mut rig = Rig::new();
    let mut damaged = copy(1, 9, &inner(b"hello"));
    *damaged.last_mut().expect("octets") ^= 1;
    let (notes, _) = fate(&mut rig, 1, &damaged);
    assert_eq!(notes, [dropped(1, Drop::BadUdp)]);
    let nowhere = frame(0, &udp(LAN_HOST, Ipv4Addr::new(10, 99, 0, 1), b"x"));
    let (notes, _) = fate(&mut rig, 0, &nowhere);
    assert_eq!(notes, [dropped(0, Drop::NoRoute)]);
    rig.route(0, Ipv4Addr::new(10, 99, 0, 0), 16, NextHop::Blackhole);
    let (notes, _) = fate(&mut rig, 0, &nowhere);
    assert_eq!(notes, [dropped(0, Drop::Blackhole)]);
}

#[test]
fn a_packet_into_a_set_has_its_number_and_a_copy_for_each_link() {
    let mut rig = Rig::new();
    let (notes, sent) = fate(&mut rig, 0, &frame(0, &udp(LAN_HOST, FAR_HOST, b"hello")));
    let numbered = Note::Numbered {
        set: SET,
        epoch: SEND_EPOCH,
        number: FIRST_NUMBER,
    };
    let copies = [1, 2, 3].map(|uplink| left(uplink, Some(uplink.into())));
    assert_eq!(notes, [&[numbered], &copies[..]].concat());
    for (uplink, sent) in (1_u16..).zip(&sent) {
        assert_eq!(sent.record.session, Some(SessionId(uplink.into())));
        assert_eq!(sent.record.port, PortId(uplink));
        assert_eq!(sent.octets, rig.one(uplink.into()));
    }
    assert_eq!(sent.len(), 3);
}

#[test]
fn what_does_not_leave_is_not_shown_as_sent() {
    let mut rig = Rig::new();
    rig.command(Command::SetPortLink {
        port: PortId(2),
        up: false,
    });
    let spec = capture(&mut rig);
    rig.send(0, &frame(0, &udp(LAN_HOST, FAR_HOST, b"hello")));
    rig.order(Order::SendFrame {
        port: PortId(2),
        frame: rig.buffer(&[0; 60]),
    });
    assert_eq!(rig.drops(2, Drop::PortDown), 1);
    let seen = end(&mut rig, &spec);
    let ports: Vec<u16> = seen.iter().map(|seen| seen.record.port.0).collect();
    assert_eq!(ports, [0, 1, 3]);
}

#[test]
fn what_has_no_room_for_its_copies_says_so_for_each_link() {
    let ring = Arc::new(HandOver::new(1));
    let mut rig = Rig::handing_over(ring);
    let spec = capture(&mut rig);
    let packet = frame(0, &udp(LAN_HOST, FAR_HOST, b"hello"));
    for _ in 0..3 {
        rig.send(0, &packet);
    }
    let seen = end(&mut rig, &spec);
    let last = seen
        .iter()
        .rfind(|seen| seen.record.way == Way::Received)
        .expect("the last packet");
    let full = last.notes.iter().filter(|note| {
        matches!(
            note,
            Note::Dropped {
                reason: Drop::TxRingFull,
                session: Some(_),
                ..
            }
        )
    });
    assert!(full.count() >= 1, "{:?}", last.notes);
}

#[test]
fn what_goes_to_the_control_thread_says_as_what() {
    let mut rig = Rig::new();
    let control = [0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0];
    let (notes, _) = fate(&mut rig, 1, &l2tp_frame(1, &control));
    assert_eq!(notes, [Note::Punted("an L2TP control message")]);
    let to_us = frame(0, &udp(LAN_HOST, own_address(0), b"x"));
    let (notes, _) = fate(&mut rig, 0, &to_us);
    assert_eq!(notes, [Note::Punted("for an address of our own")]);
}

#[test]
fn an_echo_that_is_answered_here_says_over_which_link() {
    let mut rig = Rig::new();
    let spec = SessionSpec {
        echo: Some(EchoAnswer {
            magic: 7,
            mru: 1500,
        }),
        ..rig.session_spec(1)
    };
    rig.command(Command::SetSession(Arc::new(spec)));
    let request = [0xc0, 0x21, 9, 1, 0, 8, 0, 0, 0, 1];
    let (notes, sent) = fate(&mut rig, 1, &l2tp_frame(1, &plain_message(1, &request)));
    assert_eq!(notes, [left(1, Some(1))]);
    assert_eq!(sent[0].record.session, Some(SessionId(1)));
    // What follows is no link's.
    let (notes, _) = fate(&mut rig, 0, &frame(0, &udp(LAN_HOST, LAN_HOST, b"x")));
    assert_eq!(notes, [left(0, None)]);
}

#[test]
fn a_packet_that_waits_for_its_turn_has_a_verdict_and_nothing_else() {
    let mut rig = Rig::new();
    rig.now = 10 * TSC_HZ;
    let spec = SetSpec {
        ordering: Some(Ordering {
            max_delay_us: 30_000,
            adaptive: false,
        }),
        ..rig.set_spec()
    };
    rig.command(Command::SetSet(Arc::new(spec)));
    rig.send(1, &copy(1, 100, &inner(b"before")));
    let (notes, sent) = fate(&mut rig, 1, &copy(1, 102, &inner(b"later")));
    assert_eq!(notes, [judged(Verdict::First, 1, 102)]);
    assert!(sent.is_empty());
    let (notes, sent) = fate(&mut rig, 1, &copy(1, 101, &inner(b"gap")));
    // Its own fate, not that of the packet that it lets go.
    assert_eq!(notes, [judged(Verdict::First, 1, 101), left(0, None)]);
    assert_eq!(sent.len(), 2);
}

#[test]
fn frames_of_a_logical_port_are_seen_on_its_carrier() {
    let vlans = [(1, Vlan(7)), (1, Vlan(8))];
    let mut rig = logical_rig::rig(&vlans, [logical_rig::FIRST, logical_rig::FIRST + 1]);
    let spec = capture_on(&mut rig, [1], SNAP_OCTETS);
    rig.send(0, &frame(0, &udp(LAN_HOST, FAR_HOST, b"x")));
    let mut arp = [0xff; 6].to_vec();
    arp.extend(gateway_mac(2));
    arp.extend([0x08, 0x06]);
    arp.extend([0; 28]);
    rig.send(1, &logical_rig::tagged(8, &arp));
    let seen = end(&mut rig, &spec);
    let ports: Vec<_> = seen
        .iter()
        .map(|seen| (seen.record.way, seen.record.device.0, seen.record.port.0))
        .collect();
    let second = logical_rig::FIRST + 1;
    assert!(ports.contains(&(Way::Received, 1, second)), "{ports:?}");
    assert!(ports.contains(&(Way::Sent, 1, second)), "{ports:?}");
    let out = seen.iter().find(|seen| seen.record.port.0 == second);
    assert_eq!(out.expect("a frame").octets[12..14], [0x81, 0x00]);
}

#[test]
fn other_ports_frames_are_not_kept_but_notes_name_them() {
    let mut rig = Rig::new();
    let spec = capture_on(&mut rig, [1], SNAP_OCTETS);
    rig.send(0, &frame(0, &udp(LAN_HOST, FAR_HOST, b"hello")));
    rig.send(2, &copy(2, 5, &inner(b"two")));
    rig.send(1, &copy(1, 5, &inner(b"one")));
    let seen = end(&mut rig, &spec);
    let ways: Vec<_> = seen
        .iter()
        .map(|seen| (seen.record.way, seen.record.port.0))
        .collect();
    assert_eq!(ways, [(Way::Sent, 1), (Way::Received, 1)]);
}

#[test]
fn so_many_octets_are_kept_and_the_length_is_the_frames() {
    let mut rig = Rig::new();
    let spec = capture_on(&mut rig, [0], 60);
    let long = frame(0, &udp(LAN_HOST, FAR_HOST, &[7; 900]));
    rig.send(0, &long);
    let seen = end(&mut rig, &spec);
    assert_eq!(seen[0].octets, long[..60]);
    assert_eq!(seen[0].record.octets, long.len());
}

/// Packets wait for their owner by the burst, also when they are looked at one by one.
#[test]
fn a_capture_takes_no_room_of_what_workers_hand_to_each_other() {
    let mut rig = Rig::with(2, 1024, 8192);
    rig.now = 10 * TSC_HZ;
    let spec = SetSpec {
        ordering: Some(Ordering {
            max_delay_us: 30_000,
            adaptive: false,
        }),
        owner: 0,
        ..rig.set_spec()
    };
    rig.command(Command::SetSet(Arc::new(spec)));
    let capture = capture(&mut rig);
    let packets: Vec<_> = (0..1200_u16).map(|it| inner(&it.to_be_bytes())).collect();
    for (numbers, packets) in (0..).step_by(30).zip(packets.chunks(30)) {
        for (number, packet) in (numbers..).zip(packets) {
            rig.offer(1, 1, &copy(1, number, packet));
        }
        // The owner does not look meanwhile.
        let now = rig.now;
        rig.workers[1].poll_once(now);
        rig.workers[1].poll_once(now);
    }
    assert_eq!(rig.received(0).len(), 0, "all wait");
    rig.poll();
    let expected: Vec<_> = packets.iter().map(|packet| delivered(packet)).collect();
    assert!(rig.received(0) == expected, "all, and in order");
    assert_eq!(rig.all_drops(), 0);
    end(&mut rig, &capture);
}

/// An older one makes room for it, which is that one's own fate.
#[test]
fn a_piece_that_takes_the_room_of_others_only_waits() {
    let mut rig = Rig::with(1, 1024, 4096);
    let mut number = 0;
    let mut next = || {
        number += 1;
        let piece = &pieces(1, PEER_EPOCH, 2 * number, &large(1500, 1), 1000)[0];
        (2 * number, l2tp_frame(1, piece))
    };
    while rig.drops(1, Drop::ReassemblyFull) == 0 {
        let (_, frame) = next();
        rig.send(1, &frame);
    }
    let before = rig.drops(1, Drop::ReassemblyFull);
    let (number, frame) = next();
    let (notes, _) = fate(&mut rig, 1, &frame);
    assert_eq!(notes, [judged(Verdict::First, 1, number)]);
    assert!(rig.drops(1, Drop::ReassemblyFull) > before);
}

/// A worker that gets nothing but full bursts has no time for a look at each frame.
#[test]
fn a_crowded_worker_does_not_look_until_it_keeps_up_again() {
    let mut rig = Rig::with(1, 1024, 4096);
    let spec = capture_on(&mut rig, [1], SNAP_OCTETS);
    let mut number = 0;
    let mut burst = |rig: &mut Rig, frames: u64| {
        for _ in 0..frames {
            number += 1;
            rig.offer(1, 0, &copy(1, number, &inner(b"much")));
        }
        let now = rig.now;
        rig.workers[0].poll_once(now);
        assert_eq!(rig.received(0).len() as u64, frames, "all go on");
    };
    for _ in 0..16 {
        burst(&mut rig, 32);
    }
    assert_eq!(spec.taps()[0].missed(), 0);
    for _ in 0..3 {
        burst(&mut rig, 32);
    }
    assert_eq!(spec.taps()[0].missed(), 3 * 32);
    burst(&mut rig, 31);
    burst(&mut rig, 32);
    assert_eq!(spec.taps()[0].missed(), 3 * 32);
    assert_eq!(end(&mut rig, &spec).len(), 16 * 32 + 31 + 32);
}

#[test]
fn a_reader_that_is_away_costs_records_and_no_packet() {
    let mut rig = Rig::new();
    let spec = capture_on(&mut rig, [1], 2048);
    let mut got = 0;
    let mut sent = 0;
    while spec.taps()[0].missed() == 0 {
        // Full bursts would be too much for other reasons.
        for _ in 0..31 {
            sent += 1;
            rig.offer(1, 0, &copy(1, sent, &inner(b"much")));
        }
        rig.poll();
        got += rig.received(0).len() as u64;
        assert!(sent < 100_000, "the ring is bounded");
    }
    assert_eq!(got, sent);
    let seen = end(&mut rig, &spec);
    assert_eq!(seen.len() as u64 + spec.taps()[0].missed(), sent);
    assert!(seen.len() > 1000, "{} frames are kept", seen.len());
}

#[test]
fn a_few_frames_are_handed_over_within_a_millisecond() {
    let mut rig = Rig::new();
    let spec = capture(&mut rig);
    rig.send(1, &copy(1, 1, &inner(b"one")));
    assert!(taken(&spec).is_empty(), "there may come more");
    rig.now += TSC_HZ / 1000;
    rig.poll();
    assert_eq!(taken(&spec).len(), 2, "received and sent");
    end(&mut rig, &spec);
    rig.send(1, &copy(1, 2, &inner(b"two")));
    assert!(taken(&spec).is_empty(), "it has ended");
}

/// All counters of all ports.
fn counters(rig: &Rig) -> Vec<u64> {
    let of_port = |counters: &Arc<PortCounters>| {
        let drops = Drop::ALL.iter().map(|&reason| counters.drops.read(reason));
        let others = [
            counters.received_packets.read(),
            counters.received_octets.read(),
            counters.sent_packets.read(),
            counters.sent_octets.read(),
            counters.punted_packets.read(),
        ];
        drops.chain(others).collect::<Vec<_>>()
    };
    rig.counters.iter().flatten().flat_map(of_port).collect()
}

/// What a rig makes of bursts of frames: what leaves each port, the events, the counters.
/// Copies go after the other frames of their burst: order is not compared. Nor are
/// identifications, which the copies for a link take for a whole burst.
fn outcome(rig: &mut Rig, frames: &[(usize, Vec<u8>)]) -> (Vec<Vec<Vec<u8>>>, usize, Vec<u64>) {
    let mut out = vec![Vec::new(); PORTS];
    let mut events = 0;
    for burst in frames.chunks(20) {
        for (port, frame) in burst {
            rig.offer(*port, 0, frame);
        }
        rig.poll();
        events += rig.events().len();
        for (port, out) in out.iter_mut().enumerate() {
            out.extend(rig.received(port));
        }
    }
    for frames in &mut out {
        for frame in frames.iter_mut() {
            if frame[12..14] == [8, 0] {
                frame[18..20].fill(0);
                frame[24..26].fill(0);
            }
        }
        frames.sort();
    }
    (out, events, counters(rig))
}

/// Whether a frame may wait for others that make a packet with it.
fn may_wait(frame: &[u8]) -> bool {
    let is_fragment = (frame[20] & 0x3f, frame[21]) != (0, 0);
    let is_piece = frame.get(51).is_some_and(|&flags| flags != 0);
    frame[12..14] == [0x86, 0xdd] || is_fragment || is_piece
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_capture_changes_nothing_and_every_frame_has_a_fate(
        picks in prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..120),
    ) {
        let seeds = malformed::seeds();
        let frames: Vec<_> = picks
            .iter()
            .map(|(seed, place, change)| {
                let (port, mut frame) = seeds[seed.index(seeds.len())].clone();
                if change % 2 == 0 {
                    let place = place.index(frame.len());
                    frame[place] ^= change;
                }
                (port, frame)
            })
            .collect();
        let mut plain = malformed::rig();
        let mut watched = malformed::rig();
        let spec = capture(&mut watched);
        let expected = outcome(&mut plain, &frames);
        let left: usize = expected.0.iter().map(Vec::len).sum();
        prop_assert_eq!(outcome(&mut watched, &frames), expected);
        let seen = end(&mut watched, &spec);
        let (received, sent): (Vec<_>, Vec<_>) =
            seen.iter().partition(|seen| seen.record.way == Way::Received);
        prop_assert_eq!(sent.len(), left);
        prop_assert_eq!(received.len(), frames.len());
        for seen in received {
            let ended = seen.notes.iter().any(|note| !matches!(note, Note::Judged { .. }));
            prop_assert!(ended || may_wait(&seen.octets), "{:?}", seen.octets);
        }
    }
}
