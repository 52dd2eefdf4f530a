use super::*;
use crate::management::status::{RoundTrip, Skew};

fn status(uptime_s: u64, session: Session, set: Set) -> Status {
    Status {
        uptime_s,
        sessions: vec![Session {
            name: "head1".to_owned(),
            ..session
        }],
        sets: vec![Set {
            name: "A".to_owned(),
            remote: "192.0.2.1".to_owned(),
            ..set
        }],
        ..Status::default()
    }
}

fn link_between(before: Session, now: Session) -> Sample {
    let before = status(10, before, Set::default());
    readings(&before, &status(11, now, Set::default()))[0].sample
}

fn set_between(before: Set, now: Set) -> Sample {
    let before = status(10, Session::default(), before);
    readings(&before, &status(11, Session::default(), now))[1].sample
}

fn echoes(answered: u64, last_us: u64, total_us: u64) -> Session {
    Session {
        round_trip: RoundTrip {
            last_us: Some(last_us),
            answered,
            total_us,
            ..RoundTrip::default()
        },
        ..Session::default()
    }
}

#[test]
fn a_second_shows_what_was_counted_in_it() {
    let session = |number: u64, live_p99_us| Session {
        state: "up".into(),
        sent_packets: 3 * number,
        sent_octets: 300 * number,
        received_packets: 2 * number,
        received_octets: 200 * number,
        unique_packets: number,
        lost_packets: number / 10,
        wins: number / 2,
        echo_sent: number,
        echo_lost: number / 20,
        skew: Skew {
            live_p99_us,
            samples: number,
            ..Skew::default()
        },
        ..Session::default()
    };
    let set = |number: u64| Set {
        protection: Set::HA.to_owned(),
        sent_packets: number,
        sent_octets: 90 * number,
        delivered_packets: 4 * number,
        delivered_octets: 400 * number,
        lost_packets: number / 50,
        saved_packets: number / 4,
        ..Set::default()
    };
    let before = status(10, session(100, Some(900)), set(100));
    let now = status(11, session(200, Some(1_000)), set(200));
    let readings = readings(&before, &now);
    let graphs: Vec<_> = readings.iter().map(|it| it.graph.as_str()).collect();
    assert_eq!(graphs, ["head1", "set/A/192.0.2.1"]);
    let link = Sample {
        measured_s: 1,
        offline_s: 0,
        echoes_sent: 100,
        echoes_lost: 5,
        latency: None,
        sent_packets: 300,
        sent_octets: 30_000,
        received_packets: 200,
        received_octets: 20_000,
        settled_packets: 110,
        lost_packets: 10,
        wins: 50,
        saved_packets: 0,
        skew: Some(Spread::of(1_000)),
    };
    assert_eq!(readings[0].sample, link);
    let set = Sample {
        measured_s: 1,
        sent_packets: 100,
        sent_octets: 9_000,
        received_packets: 400,
        received_octets: 40_000,
        settled_packets: 402,
        lost_packets: 2,
        saved_packets: 25,
        ..Sample::default()
    };
    assert_eq!(readings[1].sample, set);
}

#[test]
fn what_is_down_is_offline() {
    for (state, protection, offline_s) in [
        ("up", Set::HA, 0),
        ("standby", Set::ONE_LINK, 0),
        ("dialling", Set::DOWN, 3),
        ("closing", Set::DOWN, 3),
    ] {
        let session = Session {
            state: state.into(),
            ..Session::default()
        };
        let set = Set {
            protection: protection.to_owned(),
            ..Set::default()
        };
        let before = status(7, Session::default(), Set::default());
        for reading in readings(&before, &status(10, session, set)) {
            assert_eq!(reading.sample.offline_s, offline_s, "{state} {protection}");
            assert_eq!(reading.sample.measured_s, 3);
        }
    }
}

#[test]
fn losses_that_are_taken_back_count_less_than_nothing() {
    let session = |unique_packets, lost_packets| Session {
        unique_packets,
        lost_packets,
        ..Session::default()
    };
    let sample = link_between(session(100, 20), session(115, 12));
    assert_eq!((sample.lost_packets, sample.settled_packets), (-8, 7));
}

#[test]
fn round_trips_of_a_second_are_told_from_their_sums() {
    assert_eq!(
        link_between(echoes(3, 70, 210), echoes(3, 70, 210)).latency,
        None
    );
    let one = link_between(echoes(3, 70, 210), echoes(4, 90, 300)).latency;
    assert_eq!(one, Some(Spread::of(90)));
    let three = link_between(echoes(3, 70, 210), echoes(6, 90, 400))
        .latency
        .unwrap();
    assert_eq!((three.count, three.total_us), (3, 190));
    assert_eq!((three.least_us, three.most_us), (50, 90));
}

#[test]
fn a_new_session_of_a_link_begins_to_count_anew() {
    let sample = link_between(echoes(300, 70, 21_000), echoes(2, 40, 70));
    let latency = sample.latency.unwrap();
    assert_eq!((latency.count, latency.total_us), (2, 70));
    let session = |sent_packets| Session {
        sent_packets,
        ..Session::default()
    };
    assert_eq!(link_between(session(100), session(30)).sent_packets, 30);
}

/// What was lost before the new beginning is not taken back, nor was it saved in this second.
#[test]
fn counters_that_begin_anew_are_all_compared_with_nothing() {
    let session = |received_packets, unique_packets, lost_packets| Session {
        received_packets,
        unique_packets,
        lost_packets,
        ..Session::default()
    };
    let sample = link_between(session(5000, 4000, 1000), session(30, 20, 2));
    assert_eq!((sample.lost_packets, sample.settled_packets), (2, 22));
    let set = |delivered_packets, lost_packets, saved_packets| Set {
        delivered_packets,
        lost_packets,
        saved_packets,
        ..Set::default()
    };
    let sample = set_between(set(5000, 70, 90), set(30, 1, 3));
    assert_eq!((sample.lost_packets, sample.settled_packets), (1, 31));
    assert_eq!(sample.saved_packets, 3);
}

/// The best link may deliver late what another one had saved.
#[test]
fn what_was_saved_may_be_taken_back_and_is_not_saved_again() {
    let set = |delivered_packets, saved_packets| Set {
        delivered_packets,
        saved_packets,
        ..Set::default()
    };
    let saved = |before, now| set_between(set(5000, before), set(5100, now)).saved_packets;
    assert_eq!((saved(900, 899), saved(900, 904)), (0, 4));
}

/// A set that was not there before has done everything since.
#[test]
fn a_new_set_is_compared_with_nothing() {
    let set = Set {
        delivered_packets: 5,
        ..Set::default()
    };
    let mut before = status(1, Session::default(), Set::default());
    before.sets.clear();
    let readings = readings(&before, &status(2, Session::default(), set));
    assert_eq!(readings[1].sample.received_packets, 5);
}

/// Its name may be that of a link that was removed, and of which the status still knows.
#[test]
fn a_new_link_is_compared_with_itself() {
    let session = Session {
        sent_packets: 1_000_000,
        unique_packets: 900_000,
        lost_packets: 30,
        echo_sent: 7,
        ..echoes(300, 70, 21_000)
    };
    let mut before = status(1, Session::default(), Set::default());
    before.sessions.clear();
    let readings = readings(&before, &status(2, session, Set::default()));
    let nothing = Sample {
        measured_s: 1,
        offline_s: 1,
        ..Sample::default()
    };
    assert_eq!(readings[0].sample, nothing);
}

/// The configuration's order may change, and links and sets come and go.
#[test]
fn a_line_is_compared_with_the_one_of_its_name_wherever_it_was() {
    let at = |uptime_s, lines: &[(&str, u64)]| Status {
        uptime_s,
        sessions: lines
            .iter()
            .map(|&(name, sent_packets)| Session {
                name: name.to_owned(),
                sent_packets,
                ..Session::default()
            })
            .collect(),
        sets: lines
            .iter()
            .map(|&(name, sent_packets)| Set {
                name: "A".to_owned(),
                remote: name.to_owned(),
                sent_packets,
                ..Set::default()
            })
            .collect(),
        ..Status::default()
    };
    let before = at(10, &[("a", 100), ("b", 200), ("c", 300)]);
    let sent = |lines: &[(&str, u64)]| {
        let readings = readings(&before, &at(11, lines));
        readings
            .into_iter()
            .map(|reading| (reading.graph, reading.sample.sent_packets))
            .collect::<Vec<_>>()
    };
    let named = |name: &str, sent| (name.to_owned(), sent);
    let same = sent(&[("a", 101), ("b", 202), ("c", 303)]);
    assert_eq!(same[..3], [named("a", 1), named("b", 2), named("c", 3)]);
    let other = sent(&[("b", 202), ("new", 7), ("a", 101)]);
    let links = [named("b", 2), named("new", 0), named("a", 1)];
    assert_eq!(other[..3], links);
    // All that a new set sent is of this second.
    let sets = [
        named("set/A/b", 2),
        named("set/A/new", 7),
        named("set/A/a", 1),
    ];
    assert_eq!(other[3..], sets);
}
