//! From the LAN into the tunnels.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dataplane::command::{
    Command, InterfaceSpec, NextHop, PortId, SessionId, SessionSpec, SetSpec, TableId,
};
use dataplane::counters::{Drop, PortCounters};
use dataplane::event::{Event, IcmpCause};
use dataplane::sequence::Sequence;
use dataplane::worker::Order;

use crate::rig::*;

const GOLDEN: [&str; 3] = [
    "02000000ff01020000000101080045000060000000004011338a0a000102cb00710106a506a5004c95cc\
     020203010401000c1000aabbccdd01020304050600214500002e123400003f11e51cc0a8020ac0a80114\
     13881770001aa31752414944203120666f72207061636b657473",
    "02000000ff0202000000010208004500006000010000401132890a000202cb00710106a506a5004c94ca\
     020203020402000c1000aabbccdd01020304050600214500002e123400003f11e51cc0a8020ac0a80114\
     13881770001aa31752414944203120666f72207061636b657473",
    "02000000ff0302000000010308004500006000020000401131880a000302cb00710106a506a5004c93c8\
     020203030403000c1000aabbccdd01020304050600214500002e123400003f11e51cc0a8020ac0a80114\
     13881770001aa31752414944203120666f72207061636b657473",
];

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn to_far(payload: &[u8]) -> Vec<u8> {
    frame(0, &udp(LAN_HOST, FAR_HOST, payload))
}

/// A session that is in no set, on uplink 1, as the route to the far site.
fn plain_session(rig: &mut Rig, change: fn(&mut SessionSpec)) {
    let mut spec = rig.session_spec(1);
    spec.set = None;
    change(&mut spec);
    rig.command(Command::SetSession(Arc::new(spec)));
    let network: Ipv4Addr = "192.168.1.0".parse().expect("an address");
    rig.route(0, network, 24, NextHop::Session(SessionId(1)));
}

#[test]
fn one_packet_leaves_on_three_links_octet_by_octet() {
    let mut rig = Rig::new();
    rig.send(0, &to_far(b"RAID 1 for packets"));
    for (link, golden) in GOLDEN.iter().enumerate() {
        assert_eq!(hex(&rig.one(link + 1)), *golden, "link {}", link + 1);
    }
    assert_eq!(rig.all_drops(), 0);
    assert_eq!(rig.set[0].sent_packets.read(), 1);
    for session in &rig.sessions {
        assert_eq!(session[0].sent_packets.read(), 1);
        assert_eq!(session[0].sent_octets.read(), 46, "of the inner packet");
    }
}

#[test]
fn a_burst_has_consecutive_numbers_the_same_on_every_link() {
    let mut rig = Rig::new();
    let spec = rig.set_spec();
    let next_number = Arc::clone(&spec.next_number);
    rig.command(Command::SetSet(Arc::new(spec)));
    for packet in 0..32_u8 {
        rig.offer(0, 0, &to_far(&[packet]));
    }
    rig.poll();
    for link in 1..PORTS {
        let frames = rig.received(link);
        let numbers: Vec<u64> = frames.iter().map(|frame| number_of(frame)).collect();
        let expected: Vec<u64> = (FIRST_NUMBER..FIRST_NUMBER + 32).collect();
        assert_eq!(numbers, expected, "link {link}");
        let payloads: Vec<u8> = frames.iter().map(|frame| frame[14 + 50 + 28]).collect();
        assert_eq!(payloads, (0..32).collect::<Vec<u8>>(), "link {link}");
    }
    assert_eq!(next_number.load(Ordering::Relaxed), FIRST_NUMBER + 32);
}

#[test]
fn ethernet_padding_does_not_enter_the_tunnel() {
    let mut rig = Rig::new();
    let mut padded = to_far(b"");
    padded.resize(60, 0xee);
    rig.send(0, &padded);
    assert_eq!(rig.one(1).len(), 14 + 50 + 28);
}

#[test]
fn a_plain_session_has_no_ha_header_and_no_copies() {
    let mut rig = Rig::new();
    plain_session(&mut rig, |_| {});
    rig.send(0, &to_far(b"x"));
    let sent = rig.one(1);
    assert_eq!(
        sent[42..50],
        [0x00, 0x02, 0x03, 0x01, 0x04, 0x01, 0x00, 0x21]
    );
    assert_eq!(sent.len(), 14 + 36 + 29);
    assert!(rig.received(2).is_empty() && rig.received(3).is_empty());
    plain_session(&mut rig, |spec| spec.address_control = true);
    rig.send(0, &to_far(b"x"));
    assert_eq!(rig.one(1)[48..52], [0xff, 0x03, 0x00, 0x21]);
}

#[test]
fn a_plain_session_sends_sequence_numbers_while_its_peer_does() {
    let mut rig = Rig::new();
    let sequence = Arc::new(Sequence::as_the_peer());
    let mut spec = rig.session_spec(1);
    (spec.set, spec.sequence) = (None, Arc::clone(&sequence));
    rig.command(Command::SetSession(Arc::new(spec)));
    let network: Ipv4Addr = "192.168.1.0".parse().expect("an address");
    rig.route(0, network, 24, NextHop::Session(SessionId(1)));
    let sent = |rig: &mut Rig| {
        rig.send(0, &to_far(b"x"));
        let frame = rig.one(1);
        frame[42..].to_vec()
    };
    assert_eq!(sent(&mut rig)[..2], [0x00, 0x02]);
    sequence.received(true);
    for ns in 0..3 {
        let message = sent(&mut rig);
        let expected = [8, 2, 3, 1, 4, 1, 0, ns, 0, 0, 0, 0x21];
        assert_eq!(message[..12], expected, "Ns {ns}, then Nr and PPP");
        assert_eq!(message.len(), 12 + 29);
    }
    sequence.received(false);
    assert_eq!(sent(&mut rig)[..2], [0x00, 0x02]);
    sequence.received(true);
    assert_eq!(sent(&mut rig)[..8], [8, 2, 3, 1, 4, 1, 0, 3]);
}

#[test]
fn without_a_udp_checksum_the_field_is_zero() {
    let mut rig = Rig::new();
    plain_session(&mut rig, |spec| spec.udp_checksum = false);
    rig.send(0, &to_far(b"x"));
    assert_eq!(rig.one(1)[40..42], [0, 0]);
}

#[test]
fn a_stuck_uplink_costs_only_its_own_copies() {
    let mut rig = Rig::with(1, 64, 8192);
    let offered = 2000;
    let mut received = 0;
    for packet in 0..offered {
        rig.send(0, &to_far(&[packet as u8]));
        received += rig.received(2).len();
        assert_eq!(rig.received(3).len(), 1);
    }
    assert_eq!(received, offered);
    let stuck = rig.drops(1, Drop::TxRingFull);
    let waiting = offered as u64 - stuck;
    assert!((1024..1024 + 256).contains(&waiting), "{waiting} wait");
    assert_eq!(rig.sessions[0][0].send_dropped_packets.read(), stuck);
    assert_eq!(rig.all_drops(), stuck, "nothing else was dropped");
    // It comes back with the oldest frames, in order.
    let mut late = Vec::new();
    loop {
        let frames = rig.received(1);
        if frames.is_empty() {
            break;
        }
        late.extend(frames.iter().map(|frame| number_of(frame)));
        rig.poll();
    }
    assert_eq!(
        late,
        (FIRST_NUMBER..FIRST_NUMBER + waiting).collect::<Vec<_>>()
    );
}

#[test]
fn a_packet_without_room_for_headers_costs_the_last_link_its_copy_alone() {
    let mut rig = Rig::new();
    let packet = udp(LAN_HOST, FAR_HOST, &[0x5a; 72]);
    let narrow = rig.narrow_buffer(&packet);
    assert!(narrow.headroom() < 64);
    let table = TableId(0);
    for packet in [rig.buffer(&packet), narrow, rig.buffer(&packet)] {
        let order = Order::SendIp { table, packet };
        assert!(rig.channels[0].orders.push(order).is_ok());
    }
    rig.poll();
    let all: Vec<u64> = (FIRST_NUMBER..FIRST_NUMBER + 3).collect();
    for link in 1..PORTS {
        let frames = rig.received(link);
        assert!(frames.iter().all(|frame| frame[64..] == packet));
        let numbers: Vec<u64> = frames.iter().map(|frame| number_of(frame)).collect();
        let session = &rig.sessions[link - 1][0];
        let dropped = if link < PORTS - 1 {
            assert_eq!(numbers, all, "link {link}");
            0
        } else {
            assert_eq!(numbers, [all[0], all[2]], "the buffer goes to the last one");
            1
        };
        assert_eq!(rig.drops(link, Drop::NoBuffer), dropped);
        assert_eq!(session.send_dropped_packets.read(), dropped);
        assert_eq!(session.sent_packets.read(), 3 - dropped);
        assert_eq!(session.sent_octets.read(), 100 * (3 - dropped));
    }
    assert_eq!(rig.all_drops(), 1);
}

#[test]
fn a_port_that_goes_down_forgets_what_waited() {
    let mut rig = Rig::with(1, 64, 8192);
    for packet in 0..300 {
        rig.send(0, &to_far(&[packet as u8]));
        assert_eq!((rig.received(2).len(), rig.received(3).len()), (1, 1));
    }
    let port = PortId(1);
    rig.command(Command::SetPortLink { port, up: false });
    rig.poll();
    let on_the_wire = rig.received(1).len() as u64;
    assert_eq!(rig.drops(1, Drop::PortDown), 300 - on_the_wire);
    // The set goes on without it.
    rig.send(0, &to_far(b"x"));
    assert_eq!((rig.received(2).len(), rig.received(3).len()), (1, 1));
    rig.command(Command::SetPortLink { port, up: true });
    rig.poll();
    assert!(rig.received(1).is_empty(), "nothing stale");
    rig.send(0, &to_far(b"x"));
    assert_eq!(number_of(&rig.one(1)), FIRST_NUMBER + 301);
}

#[test]
fn without_a_live_member_no_number_is_taken() {
    let mut rig = Rig::new();
    let spec = SetSpec {
        members: Vec::new(),
        ..rig.set_spec()
    };
    let next_number = Arc::clone(&spec.next_number);
    rig.command(Command::SetSet(Arc::new(spec)));
    rig.send(0, &to_far(b"x"));
    assert_eq!(rig.drops(0, Drop::NoMember), 1);
    let spec = SetSpec {
        next_number: Arc::clone(&next_number),
        ..rig.set_spec()
    };
    rig.command(Command::SetSet(Arc::new(spec)));
    for port in 1..4 {
        let port = PortId(port);
        rig.command(Command::SetPortLink { port, up: false });
    }
    rig.send(0, &to_far(b"x"));
    assert_eq!(rig.drops(0, Drop::NoMember), 2);
    assert_eq!(next_number.load(Ordering::Relaxed), FIRST_NUMBER);
}

#[test]
fn removed_sessions_and_sets_are_not_missed() {
    let mut rig = Rig::new();
    rig.command(Command::RemoveSession(SessionId(2)));
    rig.send(0, &to_far(b"x"));
    let copies = [1, 2, 3].map(|link| rig.received(link).len());
    assert_eq!(copies, [1, 0, 1]);
    rig.command(Command::RemoveSet(SET));
    rig.send(0, &to_far(b"x"));
    assert_eq!(rig.drops(0, Drop::NoRoute), 1);
    let network: Ipv4Addr = "192.168.1.0".parse().expect("an address");
    rig.route(0, network, 24, NextHop::Session(SessionId(2)));
    rig.send(0, &to_far(b"x"));
    assert_eq!(rig.drops(0, Drop::NoRoute), 2);
}

#[test]
fn a_copy_for_an_unknown_gateway_waits_with_the_control_thread() {
    let mut rig = Rig::new();
    rig.command(Command::RemoveNeighbour {
        interface: interface(2).id,
        address: gateway(2).into(),
    });
    rig.send(0, &to_far(b"RAID 1 for packets"));
    let (one, three) = (rig.one(1), rig.one(3));
    let Event::NeighbourMissing {
        interface: on,
        next_hop,
        packet,
    } = rig.one_event()
    else {
        panic!("another event");
    };
    assert_eq!((on, next_hop), (interface(2).id, gateway(2).into()));
    assert_eq!(hex(&packet), GOLDEN[1][28..], "the whole outer packet");
    assert_eq!([hex(&one), hex(&three)], [GOLDEN[0], GOLDEN[2]]);
    let punted = rig.total(|counters: &PortCounters| counters.punted_packets.read());
    assert_eq!(punted, 0, "it came in by none of the uplinks");
}

/// What carries sequence numbers carries four octets less of a packet.
#[test]
fn a_numbered_session_answers_for_what_its_longer_headers_leave_no_room_for() {
    for (sequence, fits) in [(Sequence::default(), 1464), (Sequence::always(), 1460)] {
        let mut rig = Rig::new();
        let mut spec = rig.session_spec(1);
        (spec.set, spec.sequence, spec.mtu) = (None, Arc::new(sequence), 1500);
        rig.command(Command::SetSession(Arc::new(spec)));
        let network: Ipv4Addr = "192.168.1.0".parse().expect("an address");
        rig.route(0, network, 24, NextHop::Session(SessionId(1)));
        rig.send(0, &sized(fits, 0x40));
        assert_eq!(rig.one(1).len(), 14 + 1500, "whole");
        rig.send(0, &sized(fits + 1, 0x40));
        let cause = IcmpCause::FragmentationNeeded { mtu: fits as u16 };
        assert!(matches!(rig.one_event(), Event::Icmp { cause: told, .. } if told == cause));
    }
}

#[test]
fn a_syn_is_clamped_to_what_the_set_carries() {
    let mut rig = Rig::new();
    let spec = SetSpec {
        tcp_mss_fix: true,
        ..rig.set_spec()
    };
    rig.command(Command::SetSet(Arc::new(spec)));
    rig.send(0, &frame(0, &syn(LAN_HOST, FAR_HOST, 1460)));
    let sent = rig.one(1);
    assert_eq!(mss(&sent[64..]), 1410);
    assert!(tcp_checksum_is_right(&sent[64..]));
}

/// A packet of so many octets; `flags` are those of its IPv4 header.
fn sized(octets: usize, flags: u8) -> Vec<u8> {
    let mut packet = udp(LAN_HOST, FAR_HOST, &vec![0x5a; octets - 28]);
    packet[6] = flags;
    packet[10..12].fill(0);
    let checksum = dataplane::checksum::finish(dataplane::checksum::sum(&packet[..20]));
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    frame(0, &packet)
}

#[test]
fn a_plain_session_answers_for_what_is_too_large_or_fragments_it() {
    let mut rig = Rig::new();
    plain_session(&mut rig, |spec| spec.mtu = 1300);
    let refused = |rig: &mut Rig| match rig.one_event() {
        Event::Icmp { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    rig.send(0, &sized(1300, 0x40));
    assert_eq!(rig.one(1).len(), 14 + 36 + 1300);
    rig.send(0, &sized(1301, 0x40));
    let cause = IcmpCause::FragmentationNeeded { mtu: 1300 };
    assert_eq!(refused(&mut rig), cause);
    rig.send(0, &sized(1500, 0));
    let octets: Vec<usize> = rig.received(1).iter().map(Vec::len).collect();
    // A multiple of eight behind the inner header.
    assert_eq!(octets, [14 + 36 + 20 + 1280, 14 + 36 + 20 + 200]);
    // The line counts as well as what PPP agreed on.
    let spec = InterfaceSpec {
        mtu: 1000,
        ..interface(1)
    };
    rig.command(Command::SetInterface(Arc::new(spec)));
    rig.send(0, &sized(965, 0x40));
    let cause = IcmpCause::FragmentationNeeded { mtu: 964 };
    assert_eq!(refused(&mut rig), cause);
    rig.send(0, &sized(964, 0x40));
    assert_eq!(rig.one(1).len(), 14 + 1000);
}

#[test]
fn a_syn_is_clamped_to_what_a_plain_session_carries_both_ways() {
    let mut rig = Rig::new();
    plain_session(&mut rig, |spec| {
        spec.tcp_mss_fix = true;
        spec.mtu = 1300;
    });
    rig.send(0, &frame(0, &syn(LAN_HOST, FAR_HOST, 1460)));
    let sent = rig.one(1);
    assert_eq!(mss(&sent[50..]), 1260);
    assert!(tcp_checksum_is_right(&sent[50..]));
    let packet = ppp_ipv4(&syn(FAR_HOST, LAN_HOST, 1460));
    rig.send(1, &l2tp_frame(1, &plain_message(1, &packet)));
    let sent = rig.one(0);
    assert_eq!(mss(&sent[14..]), 1260);
    assert!(tcp_checksum_is_right(&sent[14..]));
}
