//! Links that are masked for a drill: what comes over them is named, and touches nothing.

use std::sync::Arc;

use dataplane::command::{Command, SessionSpec};
use dataplane::counters::Drop;
use dataplane::event::Event;
use dataplane::window::Group;

use crate::ipv6_rig::*;
use crate::pieces::large;
use crate::rig::*;

fn mask(rig: &mut Rig, spec: SessionSpec, masked: bool) {
    let spec = SessionSpec { masked, ..spec };
    rig.command(Command::SetSession(Arc::new(spec)));
    rig.poll();
}

/// The usual form, one that has to be looked at, and a piece: none of them counts as
/// received, is noted in the books or uses up a number.
#[test]
fn a_masked_copy_is_named_and_marks_nothing() {
    let mut rig = Rig::new();
    let packet = inner(b"hello");
    rig.send(1, &copy(1, 76, &packet));
    assert_eq!(rig.one(0), delivered(&packet), "its session is at hand now");
    let spec = rig.session_spec(1);
    mask(&mut rig, spec.clone(), true);
    rig.send(1, &copy(1, 77, &packet));
    let odd = ha_message(
        1,
        PEER_EPOCH,
        78,
        &[&[0xff, 0x03], &ppp_ipv4(&packet)[..]].concat(),
    );
    rig.send(1, &l2tp_frame(1, &odd));
    assert!(rig.received(0).is_empty() && rig.events().is_empty());
    assert_eq!(rig.drops(1, Drop::Masked), 2);
    assert_eq!(rig.drops(1, Drop::Duplicate), 0);
    let counters = &rig.sessions[0][0];
    assert_eq!(
        (counters.received_packets.read(), counters.wins.read()),
        (1, 1)
    );
    let noted = rig.arrivals[0][0].numbers(Group::of(77).index);
    assert_eq!(noted, Some(1 << (76 % 32)));
    // Over another link the same numbers are first.
    rig.send(2, &copy(2, 77, &packet));
    rig.send(2, &copy(2, 78, &packet));
    assert_eq!(rig.received(0).len(), 2);
    // And it is as it was when the drill is over.
    mask(&mut rig, spec, false);
    rig.send(1, &copy(1, 77, &packet));
    rig.send(1, &copy(1, 79, &packet));
    assert_eq!(rig.one(0), delivered(&packet));
    assert_eq!(
        (rig.drops(1, Drop::Masked), rig.drops(1, Drop::Duplicate)),
        (2, 1)
    );
}

#[test]
fn a_masked_piece_is_in_no_packet() {
    let mut rig = Rig::new();
    let spec = rig.session_spec(1);
    mask(&mut rig, spec, true);
    let packet = large(1500, 3);
    let messages = pieces(1, PEER_EPOCH, 500, &packet, 1000);
    for message in &messages {
        rig.send(1, &l2tp_frame(1, message));
    }
    assert!(rig.received(0).is_empty());
    assert_eq!(rig.drops(1, Drop::Masked), messages.len() as u64);
}

#[test]
fn over_ipv6_too() {
    let mut rig = Rig::with_ipv6();
    rig.go_over_ipv6();
    let packet = inner(b"x");
    let copy = |number| {
        let message = ha_message(1, PEER_EPOCH, number, &ppp_ipv4(&packet));
        l2tp_frame_ipv6(1, &message)
    };
    rig.send(1, &copy(5));
    assert_eq!(rig.one(0), delivered(&packet));
    let spec = rig.session_over_ipv6(1);
    mask(&mut rig, spec, true);
    rig.send(1, &copy(6));
    assert!(rig.received(0).is_empty());
    assert_eq!(rig.drops(1, Drop::Masked), 1);
}

/// PPP, its echoes and the set's reports go on.
#[test]
fn what_keeps_a_masked_link_up_is_taken() {
    let mut rig = Rig::new();
    let spec = rig.session_spec(1);
    mask(&mut rig, spec, true);
    let echo = [0xc0, 0x21, 0x0a, 1, 0, 8, 0, 0, 0, 0];
    rig.send(1, &l2tp_frame(1, &plain_message(1, &echo)));
    assert!(matches!(rig.one_event(), Event::Ppp { .. }));
    let message = REPORT.message(0x101, 0x201, 1, 0);
    rig.send(1, &l2tp_frame(1, &message));
    assert!(matches!(rig.one_event(), Event::Report { .. }));
    assert_eq!(rig.drops(1, Drop::Masked), 0);
}
