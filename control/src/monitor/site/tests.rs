use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::Board;
use super::*;

fn session(name: &str, set: Option<&str>) -> Session {
    Session {
        name: name.to_owned(),
        tunnel: format!("tunnel-{name}"),
        set: set.map(str::to_owned),
        set_remote: set.map(|_| "192.0.2.1".to_owned()),
        state: "up".into(),
        ..Session::default()
    }
}

fn set(protection: &str) -> Set {
    Set {
        name: "A".to_owned(),
        remote: "192.0.2.1".to_owned(),
        protection: protection.to_owned(),
        ..Set::default()
    }
}

/// A minute in which everything went well.
fn minute() -> Sample {
    Sample {
        measured_s: 60,
        echoes_sent: 60,
        settled_packets: 10_000,
        latency: Some(Spread::of(20_000)),
        ..Sample::default()
    }
}

fn verdict_of(minute: Sample) -> Verdict {
    verdict::of_link(&session("head1", None), &minute, None).0
}

#[test]
fn a_link_that_loses_is_degraded_and_then_bad() {
    let loses = |lost_packets| {
        verdict_of(Sample {
            lost_packets,
            ..minute()
        })
    };
    assert_eq!(loses(-50), Verdict::Good);
    assert_eq!(loses(9), Verdict::Good);
    assert_eq!(loses(10), Verdict::Degraded);
    assert_eq!(loses(199), Verdict::Degraded);
    assert_eq!(loses(200), Verdict::Bad);
    let echoes = |echoes_lost| {
        verdict_of(Sample {
            echoes_lost,
            ..minute()
        })
    };
    assert_eq!(echoes(1), Verdict::Degraded);
    assert_eq!(echoes(2), Verdict::Bad);
    let single = Sample {
        settled_packets: 1,
        lost_packets: 1,
        ..minute()
    };
    assert_eq!(
        verdict_of(single),
        Verdict::Degraded,
        "one lost packet says little"
    );
    let (_, reasons) = verdict::of_link(
        &session("head1", None),
        &Sample {
            settled_packets: 1000,
            lost_packets: 31,
            ..minute()
        },
        None,
    );
    assert_eq!(reasons, ["loses 3.1 % of its packets"]);
}

#[test]
fn a_link_that_was_away_is_degraded_and_then_bad() {
    let away = |offline_s| {
        verdict_of(Sample {
            offline_s,
            ..minute()
        })
    };
    assert_eq!(
        [0, 1, 5, 6].map(away),
        [
            Verdict::Good,
            Verdict::Degraded,
            Verdict::Degraded,
            Verdict::Bad
        ]
    );
    for (state, verdict) in [
        ("up", Verdict::Good),
        ("standby", Verdict::Good),
        ("dialling", Verdict::Down),
    ] {
        let session = Session {
            state: state.into(),
            ..session("head1", None)
        };
        assert_eq!(
            verdict::of_link(&session, &minute(), None).0,
            verdict,
            "{state}"
        );
    }
}

#[test]
fn an_alarm_is_bad_and_its_text_the_reason() {
    let session = Session {
        alarm: Some(Alarm {
            text: "nothing arrives".to_owned(),
            for_s: 3,
        }),
        ..session("head1", None)
    };
    assert_eq!(
        verdict::of_link(&session, &minute(), None),
        (Verdict::Bad, vec!["nothing arrives".to_owned()])
    );
}

#[test]
fn a_masked_link_is_degraded_and_its_set_has_one_less() {
    let session = Session {
        state: "standby".into(),
        masked_for_s: Some(42),
        ..session("head1", Some("A"))
    };
    let parts = Parts {
        samples: HashMap::new(),
        last_results: HashMap::new(),
    };
    let link = parts.link(&session, None);
    assert_eq!(link.masked_for_s, Some(42));
    assert_eq!(
        (link.verdict, link.reasons.clone()),
        (
            Verdict::Degraded,
            vec!["masked for a drill, 42 s left".to_owned()]
        )
    );
    assert_eq!(
        verdict::of_set(&set(Set::HA), &minute(), &[link]),
        (
            Verdict::Degraded,
            vec!["one link less: head1 is masked for a drill".to_owned()]
        )
    );
}

#[test]
fn a_link_is_slow_against_the_quickest_of_its_set() {
    let race = Race {
        wins: 0,
        best_latency_us: Some(20_000),
    };
    let takes = |mean_us| {
        let minute = Sample {
            latency: Some(Spread::of(mean_us)),
            ..minute()
        };
        verdict::of_link(&session("head1", Some("A")), &minute, Some(&race)).0
    };
    assert_eq!(takes(70_000), Verdict::Good);
    assert_eq!(takes(70_001), Verdict::Degraded);
}

#[test]
fn a_set_is_judged_by_its_protection_its_losses_and_its_links() {
    let parts = Parts {
        samples: HashMap::new(),
        last_results: HashMap::new(),
    };
    let good = parts.link(&session("head1", Some("A")), None);
    let down = SiteLink {
        verdict: Verdict::Down,
        reasons: vec!["is dialling".to_owned()],
        ..good.clone()
    };
    let lost = Sample {
        lost_packets: 3,
        ..minute()
    };
    let judged = |protection, minute: &Sample, links: &[SiteLink]| {
        verdict::of_set(&set(protection), minute, links).0
    };
    let slow = SiteLink {
        verdict: Verdict::Degraded,
        ..good.clone()
    };
    assert_eq!(
        judged(Set::HA, &minute(), &[good.clone(), slow]),
        Verdict::Good
    );
    assert_eq!(judged(Set::HA, &minute(), &[down]), Verdict::Degraded);
    assert_eq!(
        judged(Set::ONE_LINK, &minute(), std::slice::from_ref(&good)),
        Verdict::Degraded
    );
    let lost_one = Sample {
        lost_packets: 1,
        ..minute()
    };
    for lost in [lost, lost_one] {
        let links = std::slice::from_ref(&good);
        assert_eq!(judged(Set::HA, &lost, links), Verdict::Bad);
    }
    assert_eq!(judged(Set::DOWN, &lost, &[]), Verdict::Down);
}

fn any_minute() -> impl Strategy<Value = Sample> {
    (
        0u64..3000,
        -5i64..3000,
        0u64..70,
        0u64..70,
        0u32..70,
        prop::option::of(0u64..1_000_000),
    )
        .prop_map(|(settled, lost, sent, echoes_lost, offline_s, latency)| {
            let settled_packets = settled.max(lost.max(0) as u64);
            Sample {
                measured_s: 60,
                settled_packets,
                lost_packets: lost,
                echoes_sent: sent.max(echoes_lost),
                echoes_lost,
                offline_s,
                latency: latency.map(Spread::of),
                ..Sample::default()
            }
        })
}

proptest! {
    /// Nothing that gets worse makes a verdict better, and a verdict always says why.
    #[test]
    fn a_verdict_is_monotone(minute in any_minute(), more in 0u64..100, best_us in prop::option::of(0u64..500_000)) {
        let session = session("head1", Some("A"));
        let race = Race { wins: 0, best_latency_us: best_us };
        let judge = |minute: &Sample| verdict::of_link(&session, minute, Some(&race));
        let (verdict, reasons) = judge(&minute);
        prop_assert_eq!(verdict == Verdict::Good, reasons.is_empty());
        let worse = [
            Sample { lost_packets: minute.lost_packets + more as i64, settled_packets: minute.settled_packets + more, ..minute },
            Sample { echoes_lost: minute.echoes_lost + more, echoes_sent: minute.echoes_sent + more, ..minute },
            Sample { offline_s: minute.offline_s + more as u32, ..minute },
            Sample { latency: minute.latency.map(|it| Spread::of(it.most_us + 1000 * more)), ..minute },
        ];
        for worse in worse {
            prop_assert!(judge(&worse).0 >= verdict, "{:?}", worse);
        }
        let down = Session { state: "down".into(), ..session.clone() };
        prop_assert_eq!(verdict::of_link(&down, &minute, Some(&race)).0, Verdict::Down);
    }
}

/// Two moments of an appliance with a set of two links, one of which never came up, and a link by itself.
fn board() -> Board {
    let board = Board::default();
    let at = |uptime_s: u64| Status {
        name: "remote".to_owned(),
        uptime_s,
        tunnels: vec![Tunnel {
            name: "tunnel-head2".to_owned(),
            last_result: Some("no answer".to_owned()),
            ..Tunnel::default()
        }],
        sessions: vec![
            Session {
                sent_octets: 1000 * uptime_s,
                received_packets: 7 * uptime_s,
                unique_packets: 97 * uptime_s,
                lost_packets: 3 * uptime_s,
                wins: 60 * uptime_s,
                ..session("head1", Some("A"))
            },
            Session {
                state: "dialling".into(),
                wins: 20 * uptime_s,
                ..session("head2", Some("A"))
            },
            session("plain", None),
            session("new", Some("B")),
        ],
        sets: vec![Set {
            lost_packets: 4,
            ..set(Set::HA)
        }],
        ..Status::default()
    };
    let first = board.pin(Moment::new(Duration::from_secs(1000), at(10), None));
    let site = Site::of(&first);
    assert_eq!(site.sets[0].links[0].minute.measured_s, 0);
    assert_eq!(site.sets[0].links[0].minute.loss_ratio, None);
    board.pin(Moment::new(
        Duration::from_millis(1_001_500),
        at(11),
        Some(&first),
    ));
    board
}

#[test]
fn links_stand_with_their_sets() {
    let moment = board().latest().unwrap();
    let site = Site::of(&moment);
    assert_eq!((site.number, site.at_unix_ms), (2, 1_001_500));
    assert_eq!(
        site.verdict,
        Verdict::Down,
        "the set B has never been there"
    );
    let [a, b] = &site.sets[..] else {
        panic!("{:?}", site.sets)
    };
    assert_eq!(
        (a.graph.as_str(), a.verdict),
        ("set/A/192.0.2.1", Verdict::Degraded)
    );
    assert_eq!(
        a.reasons,
        ["head1 loses 3.0 % of its packets", "head2 is dialling"]
    );
    assert_eq!(a.lost_packets, 4);
    let [head1, head2] = &a.links[..] else {
        panic!("{:?}", a.links)
    };
    assert_eq!(head1.rates.sent_bit_s, 8000);
    assert_eq!(head1.rates.received_packet_s, 7);
    assert_eq!(head1.minute.loss_ratio, Some(0.03));
    assert_eq!(head1.minute.win_ratio, Some(0.75));
    assert_eq!(head1.last_result, None);
    assert_eq!(head2.last_result.as_deref(), Some("no answer"));
    assert_eq!(
        (b.graph.as_str(), b.verdict),
        ("set/B/192.0.2.1", Verdict::Down)
    );
    assert_eq!(site.links[0].graph, "plain");
    assert_eq!(site.links[0].minute.win_ratio, None);
}

#[test]
fn a_site_is_written_and_read_back() {
    let site = Site::of(&board().latest().unwrap());
    let json = serde_json::to_string(&site).unwrap();
    assert!(json.contains(r#""verdict":"degraded""#), "{json}");
    assert_eq!(serde_json::from_str::<Site>(&json).unwrap(), site);
}

/// What the monitor does each second for so many links. Measured without optimisation, so that the limit is a generous one.
#[test]
fn ten_thousand_links_are_seen_to_in_time() {
    let status = |uptime_s| Status {
        uptime_s,
        sessions: (0..10_000)
            .map(|number| session(&format!("link-{number}"), Some("A")))
            .collect(),
        ..Status::default()
    };
    let board = Board::default();
    let first = board.pin(Moment::new(Duration::ZERO, status(1), None));
    let second = Moment::new(Duration::ZERO, status(2), Some(&first));
    let began = Instant::now();
    let moment = board.pin(second);
    let pinned = began.elapsed();
    let json = serde_json::to_vec(&Site::of(&moment)).unwrap();
    let rendered = began.elapsed() - pinned;
    println!(
        "pinned in {pinned:?}, rendered in {rendered:?}, {} octets",
        json.len()
    );
    assert!(
        pinned + rendered < Duration::from_secs(3),
        "{pinned:?} {rendered:?}"
    );
}
