use std::time::Duration;

use dataplane::capture::CaptureSpec;
use dataplane::command::PortId;

use super::super::Wanted;
use super::super::names::{Link, Names, Port};
use super::super::packet::tests::{OWN, PEER, copy, on_lan};
use super::*;

/// Ports lan, isp1, isp2 and a VLAN on isp2; links head1 and head2 of set A, over isp1 and isp2.
pub(in super::super) fn names() -> Names {
    let port = |name: &str| Port {
        name: name.to_owned(),
        description: format!("device of {name}"),
    };
    let link = |id: u16| Link {
        id: id.into(),
        name: format!("graph{id}"),
        tunnel: format!("head{id}"),
        set: Some(0),
        peer: PEER.into(),
        local_ids: (0x100 + id, 0x200 + id),
        peer_ids: (0x300 + id, 0x400 + id),
    };
    Names {
        ports: vec![port("lan"), port("isp1"), port("isp2"), port("vlan7")],
        links: vec![link(1), link(2)],
        sets: vec![Set {
            id: 0,
            name: "A".to_owned(),
        }],
    }
}

/// A nanosecond is a tick.
pub(in super::super) fn clock() -> Clock {
    CaptureSpec::new(Vec::new(), 0, 0, 1_000_000_000).clock()
}

pub(in super::super) fn received(port: u16, us: u64, octets: Vec<u8>, notes: &[Note]) -> Frame {
    Frame {
        record: Record {
            ticks: Duration::from_micros(us).as_nanos() as u64,
            way: Way::Received,
            device: PortId(port),
            port: PortId(port),
            session: None,
            octets: octets.len(),
            more: false,
        },
        octets,
        notes: notes.to_vec(),
    }
}

pub(in super::super) fn judged(verdict: Verdict, link: u32, number: u64) -> Note {
    Note::Judged {
        verdict,
        set: SetId(0),
        session: SessionId(link),
        epoch: 7,
        number,
    }
}

fn left(port: u16, session: Option<u32>) -> Note {
    Note::Left {
        port: PortId(port),
        session: session.map(SessionId),
    }
}

fn dropped(port: u16, session: Option<u32>, reason: Drop) -> Note {
    Note::Dropped {
        port: PortId(port),
        session: session.map(SessionId),
        reason,
    }
}

fn comments(frames: &[Frame]) -> Vec<String> {
    let (names, mut firsts) = (Index::new(names()), FirstCopies::default());
    let explained = |frame| explain(frame, &names, &clock(), &mut firsts).comment;
    frames.iter().map(explained).collect()
}

fn comment(frame: Frame) -> String {
    comments(&[frame]).remove(0)
}

#[test]
fn a_duplicate_says_how_far_it_is_behind_and_behind_which_link() {
    let told = comments(&[
        received(
            1,
            100,
            copy(5),
            &[judged(Verdict::First, 1, 5), left(0, None)],
        ),
        received(
            2,
            412,
            copy(5),
            &[
                judged(Verdict::Duplicate, 2, 5),
                dropped(2, None, Drop::Duplicate),
            ],
        ),
        received(1, 412, copy(5), &[judged(Verdict::Duplicate, 1, 5)]),
        received(2, 500, copy(6), &[judged(Verdict::Duplicate, 2, 6)]),
    ]);
    let expected = [
        "first copy; link graph1, set A, number 5; forwarded to port lan",
        "duplicate, 312 µs behind the first copy, which link graph1 brought; link graph2, set A, number 5",
        "duplicate, 312 µs behind the first copy, which the same link brought; link graph1, set A, number 5",
        "duplicate; its first copy was not captured; link graph2, set A, number 6",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_is_dropped_names_the_reason_and_the_link_that_its_ids_are_of() {
    let bad = received(1, 0, copy(5), &[dropped(1, None, Drop::BadUdp)]);
    assert_eq!(comment(bad), "dropped: bad-udp; link graph1");
    let late = received(
        1,
        0,
        copy(5),
        &[
            judged(Verdict::TooLate, 1, 5),
            dropped(1, None, Drop::TooLate),
        ],
    );
    assert_eq!(
        comment(late),
        "too late: its number is older than the window; link graph1, set A, number 5"
    );
}

/// A packet of which no copy left is lost; of one of which some did not, others may have.
#[test]
fn a_packet_is_dropped_when_all_of_it_was() {
    let outcome = |notes: &[Note]| {
        let (names, mut firsts) = (Index::new(names()), FirstCopies::default());
        let frame = received(0, 0, on_lan(), notes);
        explain(&frame, &names, &clock(), &mut firsts).outcome
    };
    let numbered = Note::Numbered {
        set: SetId(0),
        epoch: 7,
        number: 1,
    };
    let full = |link: u32| dropped(link as u16, Some(link), Drop::TxRingFull);
    let lost = Some(Outcome::Dropped);
    assert_eq!(outcome(&[numbered, full(1), full(2)]), lost);
    assert_eq!(outcome(&[dropped(1, Some(1), Drop::OverSpeed)]), lost);
    assert_eq!(outcome(&[numbered, full(1), left(2, Some(2))]), None);
    assert_eq!(outcome(&[numbered]), None);
    assert_eq!(outcome(&[]), None);
}

#[test]
fn a_packet_into_a_set_tells_the_way_of_each_copy() {
    let numbered = Note::Numbered {
        set: SetId(0),
        epoch: 9,
        number: 77,
    };
    let notes = [
        numbered,
        left(1, Some(1)),
        dropped(2, Some(2), Drop::TxRingFull),
    ];
    assert_eq!(
        comment(received(0, 0, on_lan(), &notes)),
        "into set A as number 77; sent over link graph1 by port isp1; not sent over link graph2 by port isp2: tx-ring-full"
    );
}

#[test]
fn what_waits_says_so_and_what_it_lets_go_is_counted() {
    let waits = received(1, 0, copy(6), &[judged(Verdict::First, 1, 6)]);
    assert!(comment(waits).ends_with("; waits for its turn, or for other pieces"));
    let fragment = received(1, 0, on_lan(), &[]);
    assert_eq!(
        comment(fragment),
        "waits for other fragments, or for another worker"
    );
    let notes = [judged(Verdict::First, 1, 5), left(0, None), left(0, None)];
    assert!(
        comment(received(1, 0, copy(5), &notes)).ends_with("; forwarded to port lan (2 frames)")
    );
}

#[test]
fn what_leaves_is_the_links_by_session_or_by_ids() {
    let mut frame = received(1, 0, copy(8), &[]);
    frame.record.way = Way::Sent;
    // To us, and so to no peer.
    assert_eq!(comment(frame.clone()), "sent by port isp1");
    frame.record.session = Some(SessionId(2));
    assert_eq!(
        comment(frame.clone()),
        "sent over link graph2, set A, number 8"
    );
    frame.record.session = None;
    let mut names = names();
    names.links[0].peer = OWN.into();
    names.links[0].peer_ids = (0x101, 0x201);
    let (names, mut firsts) = (Index::new(names), FirstCopies::default());
    let told = explain(&frame, &names, &clock(), &mut firsts);
    assert_eq!(told.comment, "sent over link graph1, set A, number 8");
}

#[test]
fn a_choice_is_by_port_link_and_set() {
    let frame = received(1, 0, copy(5), &[dropped(1, None, Drop::BadUdp)]);
    let (names, mut firsts) = (Index::new(names()), FirstCopies::default());
    let explained = explain(&frame, &names, &clock(), &mut firsts);
    let is_of = |sets: &[&str], links: &[&str], ports: &[&str]| {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        explained.is_of(&Choice::new(&Wanted {
            sets: all(sets),
            links: all(links),
            ports: all(ports),
            ..Wanted::default()
        }))
    };
    assert!(is_of(&[], &[], &[]));
    assert!(is_of(&["A"], &["head1"], &["isp1"]));
    assert!(is_of(&[], &["graph1", "head2"], &[]));
    assert!(!is_of(&["B"], &[], &[]));
    assert!(!is_of(&[], &["head2"], &[]));
    assert!(!is_of(&[], &[], &["isp2", "lan"]));
}

#[test]
fn a_frame_of_a_logical_port_is_of_both_ports() {
    let mut frame = received(2, 0, on_lan(), &[Note::Punted("ARP")]);
    frame.record.port = PortId(3);
    let (names, mut firsts) = (Index::new(names()), FirstCopies::default());
    let explained = explain(&frame, &names, &clock(), &mut firsts);
    assert_eq!(
        explained.comment,
        "to the control thread: ARP; logical port vlan7"
    );
    for port in ["isp2", "vlan7"] {
        let wanted = Wanted {
            ports: vec![port.to_owned()],
            ..Wanted::default()
        };
        assert!(explained.is_of(&Choice::new(&wanted)), "{port}");
    }
}

#[test]
fn first_copies_are_forgotten_in_the_order_in_which_they_came() {
    let mut firsts = FirstCopies::default();
    for number in 0..=FIRST_COPIES as u64 {
        firsts.note((SetId(0), 7, number), number, SessionId(1));
    }
    assert_eq!(firsts.of.len(), FIRST_COPIES);
    assert!(!firsts.of.contains_key(&(SetId(0), 7, 0)));
    assert!(firsts.of.contains_key(&(SetId(0), 7, 1)));
}
