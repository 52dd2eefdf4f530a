//! From the tunnels to the LAN.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use dataplane::command::{
    Command, Epoch, InterfaceId, NextHop, SessionId, SessionSpec, SetSpec, TableId,
};
use dataplane::counters::Drop;
use dataplane::event::Event;
use dataplane::headers::ha::Report;
use dataplane::headers::ipv4;
use dataplane::sequence::Sequence;
use dataplane::window::Window;

use crate::rig::*;

#[test]
fn the_first_copy_is_delivered_and_the_others_are_not() {
    let mut rig = Rig::new();
    let packet = inner(b"hello");
    rig.send(2, &copy(2, 77, &packet));
    assert_eq!(rig.one(0), delivered(&packet));
    rig.send(1, &copy(1, 77, &packet));
    rig.send(3, &copy(3, 77, &packet));
    rig.send(2, &copy(2, 77, &packet));
    assert!(rig.received(0).is_empty());
    assert_eq!(
        [1, 2, 3].map(|link| rig.drops(link, Drop::Duplicate)),
        [1; 3]
    );
    let wins = [0, 1, 2].map(|session| rig.sessions[session][0].wins.read());
    assert_eq!(wins, [0, 1, 0]);
    assert_eq!(rig.sessions[1][0].received_packets.read(), 2);
    assert_eq!(rig.set[0].delivered_packets.read(), 1);
    assert_eq!(rig.set[0].delivered_octets.read(), packet.len() as u64);
    assert_eq!(rig.set[0].duplicates.read(), 3);
}

/// Copies are recognised on the port that leads to the peer. When what arrives there is
/// looked up in another table, they are for no session of that table, as ever.
#[test]
fn copies_on_the_way_to_the_peer_must_arrive_in_the_session_s_table() {
    let mut rig = Rig::new();
    let elsewhere = NextHop::Interface {
        interface: InterfaceId(2),
        via: Some(gateway(2).into()),
    };
    rig.route(1, *PEER.ip(), 32, elsewhere);
    let packet = inner(b"x");
    rig.send(1, &copy(1, 1, &packet));
    assert_eq!(rig.one(0), delivered(&packet), "its session is at hand now");
    let destination = SocketAddrV4::new(own_address(1), 1701);
    let message = ha_message(1, PEER_EPOCH, 2, &ppp_ipv4(&packet));
    let outer = ipv4::udp_packet(PEER, destination, &message, 7);
    rig.send(2, &frame(2, &outer));
    assert!(rig.received(0).is_empty());
    assert_eq!(rig.drops(2, Drop::NotForwarding), 1);
}

#[test]
fn copies_of_one_burst_are_eliminated_too() {
    let mut rig = Rig::new();
    for number in [5, 6, 5, 7, 6, 5] {
        rig.offer(1, 0, &copy(1, number, &inner(&[number as u8])));
    }
    rig.poll();
    let payloads: Vec<u8> = rig.received(0).iter().map(|frame| frame[42]).collect();
    assert_eq!(payloads, [5, 6, 7]);
    assert_eq!(rig.drops(1, Drop::Duplicate), 3);
}

#[test]
fn copies_of_two_sessions_in_one_burst_are_counted_for_their_own() {
    let mut rig = Rig::new();
    let beside = SessionSpec {
        table: TableId(1),
        local: rig.session_spec(1).local,
        ..rig.session_spec(2)
    };
    rig.command(Command::SetSession(Arc::new(beside)));
    rig.poll();
    // Sessions, and payloads: of every length once.
    let burst = [(1, 10), (1, 11), (2, 20), (2, 22), (2, 24), (1, 13)];
    for (number, (session, octets)) in (1..).zip(burst) {
        let packet = inner(&vec![session as u8; octets]);
        let message = ha_message(session, PEER_EPOCH, number, &ppp_ipv4(&packet));
        rig.offer(1, 0, &l2tp_frame(1, &message));
    }
    rig.poll();
    let delivered: Vec<_> = rig.received(0);
    assert_eq!(
        delivered.iter().map(Vec::len).collect::<Vec<_>>(),
        burst.map(|(_, octets)| 42 + octets)
    );
    for session in [1, 2] {
        let own = burst.iter().filter(|&&(of, _)| of == session);
        let octets: Vec<u64> = own.map(|&(_, octets)| 28 + octets as u64).collect();
        let counters = &rig.sessions[usize::from(session) - 1][0];
        assert_eq!(counters.received_packets.read(), octets.len() as u64);
        assert_eq!(counters.wins.read(), octets.len() as u64);
        assert_eq!(counters.received_octets.read(), octets.iter().sum::<u64>());
    }
    let all: u64 = burst.iter().map(|&(_, octets)| 28 + octets as u64).sum();
    assert_eq!(rig.set[0].delivered_octets.read(), all);
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn a_number_older_than_the_window_is_too_late() {
    let mut rig = Rig::new();
    rig.send(1, &copy(1, 200_000, &inner(b"new")));
    // The ring's slot of this number holds the newer one.
    let old = 200_000 - Window::MIN_NUMBERS;
    rig.send(1, &copy(1, old, &inner(b"old")));
    assert_eq!(rig.received(0).len(), 1);
    assert_eq!(rig.drops(1, Drop::TooLate), 1);
    assert_eq!(rig.sessions[0][0].too_late.read(), 1);
}

#[test]
fn two_epochs_are_received_and_no_other() {
    let mut rig = Rig::new();
    let newer = Epoch::new(9, Window::MIN_NUMBERS);
    let mut spec = rig.set_spec();
    spec.epochs.insert(0, newer);
    rig.command(Command::SetSet(Arc::new(spec)));
    let of_epoch = |epoch| l2tp_frame(1, &ha_message(1, epoch, 5, &ppp_ipv4(&inner(b"x"))));
    rig.send(1, &of_epoch(PEER_EPOCH));
    rig.send(1, &of_epoch(9));
    rig.send(1, &of_epoch(10));
    assert_eq!(rig.received(0).len(), 2, "the same number in each epoch");
    assert_eq!(rig.drops(1, Drop::UnknownEpoch), 1);
    assert_eq!(rig.sessions[0][0].unknown_epoch.read(), 1);
}

/// Every octet of a copy damaged in turn: the packet must still be delivered
/// by the good copy that comes after, and only by that one.
#[test]
fn a_damaged_copy_that_arrives_first_does_not_cost_the_packet() {
    let mut rig = Rig::new();
    let packet = inner(b"precious");
    let good = copy(1, 0, &packet);
    for (number, at) in (1..).zip(14..good.len()) {
        let mut damaged = copy(1, number, &packet);
        damaged[at] ^= 0x10;
        rig.send(1, &damaged);
        // A clear checksum flag is the one way to get past it; none is here.
        let early = rig.received(0);
        assert!(early.is_empty(), "octet {at} damaged and delivered");
        rig.send(2, &copy(2, number, &packet));
        assert_eq!(
            rig.received(0).len(),
            1,
            "octet {at} damaged cost the packet"
        );
        rig.events();
    }
}

#[test]
fn an_inner_header_is_looked_at_before_the_number_is_marked() {
    let mut rig = Rig::new();
    let packet = inner(b"x");
    let mut bad = packet.clone();
    bad[10] ^= 1;
    let mut cut = packet.clone();
    cut.truncate(packet.len() - 1);
    let mut martian = udp(Ipv4Addr::LOCALHOST, LAN_HOST, b"x");
    for (broken, reason) in [
        (&mut bad, Drop::BadIpv4),
        (&mut cut, Drop::Truncated),
        (&mut martian, Drop::MartianSource),
    ] {
        rig.send(1, &copy(1, 40, broken));
        assert_eq!(rig.drops(1, reason), 1, "{reason:?}");
    }
    rig.send(2, &copy(2, 40, &packet));
    assert_eq!(rig.received(0).len(), 1);
}

#[test]
fn two_workers_eliminate_each_others_copies() {
    let mut rig = Rig::with(2, 1024, 4096);
    for number in 0..200_u64 {
        let worker = (number % 2) as usize;
        rig.offer(1, worker, &copy(1, number, &inner(&[number as u8])));
        rig.offer(2, 1 - worker, &copy(2, number, &inner(&[number as u8])));
        if number % 20 == 19 {
            // Each worker is ahead of the other in every second round.
            let ahead = (number / 20 % 2) as usize;
            rig.workers[ahead].poll_once(1);
            rig.workers[1 - ahead].poll_once(1);
        }
    }
    rig.poll();
    assert_eq!(rig.received(0).len(), 200);
    let duplicates = [0, 1].map(|worker| rig.set[worker].duplicates.read());
    assert_eq!(duplicates.iter().sum::<u64>(), 200);
    assert!(duplicates.iter().all(|&count| count > 0), "{duplicates:?}");
}

#[test]
fn ha_data_from_another_address_is_accepted_and_said_once_a_second() {
    let mut rig = Rig::new();
    let moved = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 77), 40_000);
    let from_there = |number| {
        let message = ha_message(1, PEER_EPOCH, number, &ppp_ipv4(&inner(b"x")));
        l2tp_frame_from(moved, 1, &message)
    };
    rig.send(1, &from_there(1));
    rig.send(1, &from_there(2));
    assert_eq!(rig.received(0).len(), 2);
    assert_eq!(rig.sessions[0][0].peer_moved_packets.read(), 2);
    let Event::PeerMoved { session, source } = rig.one_event() else {
        panic!("another event");
    };
    assert_eq!((session, source), (SessionId(1), moved.into()));
    rig.now += TSC_HZ;
    rig.send(1, &from_there(3));
    assert_eq!(rig.events().len(), 1);
}

#[test]
fn what_is_not_for_a_session_has_a_name() {
    let mut rig = Rig::new();
    let data = |session| ha_message(session, PEER_EPOCH, 1, &ppp_ipv4(&inner(b"x")));
    rig.send(1, &l2tp_frame(1, &data(9)));
    assert_eq!(rig.drops(1, Drop::UnknownSession), 1);
    rig.send(1, &l2tp_frame(1, &data(2)));
    assert_eq!(rig.drops(1, Drop::UnknownSession), 2, "of another table");
    rig.send(
        1,
        &l2tp_frame(1, &plain_message(1, &ppp_ipv4(&inner(b"x")))),
    );
    assert_eq!(
        rig.drops(1, Drop::HaMismatch),
        1,
        "a member's data is numbered"
    );
    let ipx = ha_message(1, PEER_EPOCH, 1, &[0x00, 0x2b, 0x60]);
    rig.send(1, &l2tp_frame(1, &ipx));
    assert_eq!(rig.drops(1, Drop::UnknownPpp), 1);
    let mut version = data(1);
    version[8] = 0x20;
    rig.send(1, &l2tp_frame(1, &version));
    assert_eq!(rig.drops(1, Drop::BadHaHeader), 1);
    assert!(rig.received(0).is_empty() && rig.events().is_empty());
    // Nothing of that marked the number.
    rig.send(1, &l2tp_frame(1, &data(1)));
    assert_eq!(rig.received(0).len(), 1);
}

fn change_session(rig: &mut Rig, change: fn(&mut SessionSpec)) {
    let mut spec = rig.session_spec(1);
    change(&mut spec);
    rig.command(Command::SetSession(Arc::new(spec)));
}

#[test]
fn nothing_is_forwarded_before_authentication() {
    let mut rig = Rig::new();
    change_session(&mut rig, |spec| spec.receive = false);
    rig.send(1, &copy(1, 1, &inner(b"x")));
    assert_eq!(rig.drops(1, Drop::NotAuthenticated), 1);
    change_session(&mut rig, |spec| {
        spec.receive = false;
        spec.set = None;
    });
    rig.send(
        1,
        &l2tp_frame(1, &plain_message(1, &ppp_ipv4(&inner(b"x")))),
    );
    assert_eq!(rig.drops(1, Drop::NotAuthenticated), 2);
    // PPP itself is.
    rig.send(
        1,
        &l2tp_frame(1, &plain_message(1, &[0xc0, 0x21, 1, 1, 0, 4])),
    );
    assert!(matches!(rig.one_event(), Event::Ppp { .. }));
    change_session(&mut rig, |_| {});
    rig.send(1, &copy(1, 1, &inner(b"x")));
    assert_eq!(rig.received(0).len(), 1);
}

#[test]
fn a_plain_session_takes_data_from_its_peer_alone() {
    let mut rig = Rig::new();
    change_session(&mut rig, |spec| spec.set = None);
    let packet = inner(b"x");
    let message = plain_message(1, &ppp_ipv4(&packet));
    rig.send(1, &l2tp_frame(1, &message));
    assert_eq!(rig.one(0), delivered(&packet));
    rig.send(1, &l2tp_frame(1, &message));
    assert_eq!(rig.received(0).len(), 1, "nothing is eliminated");
    let other_port = SocketAddrV4::new(*PEER.ip(), 1702);
    rig.send(1, &l2tp_frame_from(other_port, 1, &message));
    assert_eq!(rig.drops(1, Drop::WrongPeer), 1);
    rig.send(1, &copy(1, 1, &packet));
    assert_eq!(rig.drops(1, Drop::HaMismatch), 1);
    let compressed = plain_message(1, &[&[0xff, 0x03, 0x21], &packet[..]].concat());
    rig.send(1, &l2tp_frame(1, &compressed));
    assert_eq!(rig.one(0), delivered(&packet));
    assert_eq!(rig.sessions[0][0].received_packets.read(), 3);
}

/// A plain data message with S.
fn sequenced_message(uplink: u16, ns: u16, ppp: &[u8]) -> Vec<u8> {
    let plain = plain_message(uplink, ppp);
    let [high, low] = ns.to_be_bytes();
    [&[0x08, 0x02], &plain[2..6], &[high, low, 0xab, 0xcd], ppp].concat()
}

#[test]
fn overtaken_messages_of_a_plain_session_are_dropped_where_they_are_numbered() {
    let mut rig = Rig::new();
    let sequence = Arc::new(Sequence::as_the_peer());
    let mut spec = rig.session_spec(1);
    (spec.set, spec.sequence) = (None, Arc::clone(&sequence));
    rig.command(Command::SetSession(Arc::new(spec.clone())));
    let packet = inner(b"x");
    let passes = |rig: &mut Rig, ns: u16| {
        let message = sequenced_message(1, ns, &ppp_ipv4(&packet));
        rig.send(1, &l2tp_frame(1, &message));
        let received = rig.received(0);
        assert!(received.iter().all(|frame| *frame == delivered(&packet)));
        !received.is_empty()
    };
    assert!(!sequence.is_sent());
    assert!(passes(&mut rig, 500) && passes(&mut rig, 502));
    assert!(sequence.is_sent(), "a LAC does as its LNS");
    assert!(!passes(&mut rig, 501) && !passes(&mut rig, 502));
    assert_eq!(rig.drops(1, Drop::OldSequence), 2);
    // The session is set anew while it lives: what was received is still known.
    spec.mtu = 1400;
    rig.command(Command::SetSession(Arc::new(spec)));
    assert!(!passes(&mut rig, 400) && passes(&mut rig, 503));
    // The peer begins anew.
    let taken: Vec<bool> = (0..7).map(|ns| passes(&mut rig, ns)).collect();
    assert_eq!(taken, [false, false, false, false, true, true, true]);
    assert_eq!(rig.sessions[0][0].sequence_restarts.read(), 1);
    // From elsewhere nothing is learnt.
    let stranger = SocketAddrV4::new(*PEER.ip(), 1702);
    let message = sequenced_message(1, 9000, &ppp_ipv4(&packet));
    rig.send(1, &l2tp_frame_from(stranger, 1, &message));
    assert!(passes(&mut rig, 7));
    rig.send(1, &l2tp_frame(1, &plain_message(1, &ppp_ipv4(&packet))));
    assert_eq!(rig.one(0), delivered(&packet), "without a number");
    assert!(!sequence.is_sent());
}

#[test]
fn ppp_frames_reach_the_control_thread_from_their_protocol_on() {
    let mut rig = Rig::new();
    for ppp in [
        &[0xc0, 0x21, 9, 1, 0, 4][..],
        &[0xff, 0x03, 0xc0, 0x21, 9, 1, 0, 4],
    ] {
        rig.send(1, &l2tp_frame(1, &plain_message(1, ppp)));
        let Event::Ppp {
            session,
            source,
            frame,
        } = rig.one_event()
        else {
            panic!("another event");
        };
        assert_eq!((session, source), (SessionId(1), PEER.into()));
        assert_eq!(frame[..], [0xc0, 0x21, 9, 1, 0, 4]);
    }
    rig.send(1, &l2tp_frame(1, &plain_message(1, &[0x2b, 0x60])));
    let Event::Ppp { frame, .. } = rig.one_event() else {
        panic!("another event");
    };
    assert_eq!(frame[..], [0x00, 0x2b, 0x60], "field compression undone");
    rig.send(1, &l2tp_frame(1, &plain_message(1, &[0x02])));
    assert_eq!(rig.drops(1, Drop::BadPpp), 1);
}

#[test]
fn control_messages_reach_the_control_thread() {
    let mut rig = Rig::new();
    let message = [0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0];
    let stranger = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 9), 5555);
    rig.send(1, &l2tp_frame_from(stranger, 1, &message));
    let Event::L2tpControl {
        table,
        source,
        destination,
        payload,
    } = rig.one_event()
    else {
        panic!("another event");
    };
    assert_eq!((table, source), (TableId(1), stranger.into()));
    assert_eq!(destination, SocketAddrV4::new(own_address(1), 1701).into());
    assert_eq!(payload[..], message);
}

#[test]
fn a_flood_of_strangers_does_not_starve_known_tunnels() {
    let mut rig = Rig::new();
    let stranger = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 9), 5555);
    let call = [0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0];
    for _ in 0..4000 {
        rig.send(1, &l2tp_frame_from(stranger, 1, &call));
    }
    let policed = rig.drops(1, Drop::PuntPoliced);
    assert!(policed > 2000, "{policed}");
    rig.events();
    // Nor those that are about to be: what comes after the request names a tunnel.
    let connected = [0xc8, 0x02, 0, 12, 0x77, 0x77, 0, 0, 0, 1, 0, 1];
    rig.send(1, &l2tp_frame_from(stranger, 1, &connected));
    assert!(matches!(rig.one_event(), Event::L2tpControl { .. }));
    let hello = [0xc8, 0x02, 0, 12, 0x01, 0x01, 0, 0, 0, 0, 0, 0];
    rig.send(1, &l2tp_frame(1, &hello));
    assert!(matches!(rig.one_event(), Event::L2tpControl { .. }));
}

/// Nobody empties the ring meanwhile: the control thread is late.
#[test]
fn strangers_leave_room_in_the_ring_for_peers() {
    let mut rig = Rig::new();
    let stranger = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 9), 5555);
    let call = [0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0];
    // By every port and of several classes, more than half of it in all.
    for _ in 0..512 {
        for uplink in [1_u16, 2] {
            let terminate = plain_message(uplink, &[0xc0, 0x21, 5, 1, 0, 4]);
            for message in [&call[..], &terminate] {
                let frame = l2tp_frame_from(stranger, uplink, message);
                rig.send(uplink.into(), &frame);
            }
        }
    }
    let full = [1, 2].map(|uplink| rig.drops(uplink, Drop::PuntRingFull));
    assert!(full.iter().sum::<u64>() > 0, "{full:?}");
    let hello = [0xc8, 0x02, 0, 12, 0x01, 0x01, 0, 0, 0, 0, 0, 0];
    let echo = plain_message(1, &[0xc0, 0x21, 9, 1, 0, 4]);
    rig.send(1, &l2tp_frame(1, &hello));
    rig.send(1, &l2tp_frame(1, &echo));
    let mut events = rig.events();
    let [hello, echo] = [events.len() - 2, events.len() - 1];
    assert!(
        matches!(&events[hello], Event::L2tpControl { source, .. } if *source == PEER.into()),
        "{:?}",
        events[hello]
    );
    let Event::Ppp { source, frame, .. } = events.remove(echo) else {
        panic!("another event");
    };
    assert_eq!((source, &frame[2..3]), (PEER.into(), &[9][..]));
}

/// Whoever knows the ids of a session, but not where its peer is.
#[test]
fn ppp_from_elsewhere_does_not_starve_the_peer() {
    let mut rig = Rig::new();
    let stranger = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 9), 1701);
    let terminate = plain_message(1, &[0xc0, 0x21, 5, 1, 0, 4]);
    for _ in 0..5000 {
        rig.send(1, &l2tp_frame_from(stranger, 1, &terminate));
        rig.events();
    }
    assert!(rig.drops(1, Drop::PuntPoliced) > 1000);
    let echo = plain_message(1, &[0xc0, 0x21, 9, 1, 0, 4]);
    rig.send(1, &l2tp_frame(1, &echo));
    assert!(matches!(rig.one_event(), Event::Ppp { source, .. } if source == PEER.into()));
}

#[test]
fn one_session_does_not_take_the_place_of_another() {
    let mut rig = Rig::new();
    let junk = [0xc0, 0x21, 11, 1, 0, 8, 0, 0, 0, 0];
    for _ in 0..4000 {
        rig.send(1, &l2tp_frame(1, &plain_message(1, &junk)));
    }
    let handed_over = rig.events().len() as u64;
    assert_eq!(rig.drops(1, Drop::PuntPoliced), 4000 - handed_over);
    assert!((50..500).contains(&handed_over), "{handed_over}");
    let mut other = rig.session_spec(2);
    (other.id, other.table) = (SessionId(4), TableId(1));
    (other.local, other.set) = (rig.session_spec(1).local, None);
    rig.command(Command::SetSession(Arc::new(other)));
    rig.send(1, &l2tp_frame(1, &plain_message(2, &junk)));
    assert!(matches!(rig.one_event(), Event::Ppp { .. }));
}

#[test]
fn a_report_is_handed_over_whole() {
    let mut rig = Rig::new();
    rig.send(1, &l2tp_frame(1, &REPORT.message(0x101, 0x201, 1, 0)));
    let Event::Report { session, frame, .. } = rig.one_event() else {
        panic!("another event");
    };
    assert_eq!(session, SessionId(1));
    assert_eq!(Report::parse(&frame), Ok(REPORT));
}

#[test]
fn a_syn_from_the_far_site_is_clamped() {
    let mut rig = Rig::new();
    let spec = SetSpec {
        tcp_mss_fix: true,
        ..rig.set_spec()
    };
    rig.command(Command::SetSet(Arc::new(spec)));
    rig.send(1, &copy(1, 1, &syn(FAR_HOST, LAN_HOST, 1460)));
    let sent = rig.one(0);
    assert_eq!(mss(&sent[14..]), 1410);
    assert!(tcp_checksum_is_right(&sent[14..]));
}
