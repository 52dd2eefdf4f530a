//! A client and its concentrators on a segment of a seed's making: loss,
//! duplicates, delay, reordering, all in simulated time.

mod world;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::world::{CLEAR, Weather, World};
use super::model::{Model, SERVICE, settings};
use super::packet::tag;
use super::*;
use crate::addressing::Assignment;
use crate::seeds::seeds;

#[test]
fn a_line_opens_within_a_few_round_trips() {
    let mut world = World::started(1, settings(), 1);
    assert_eq!(world.client.state(), PppoeState::Discovering);
    world.run_until(world.now + Duration::from_millis(100));
    world.assert_agreed();
    assert_eq!(world.client.assignment().mtu, Some(1492));
    let expected = Concentrator {
        mac: world.concentrators[0].mac,
        name: "ac-1".to_owned(),
        session: 0x101,
    };
    assert_eq!(world.client.concentrator(), Some(&expected));
    assert_eq!(world.client.last_error(), None);
    world.run_for(3600);
    world.assert_agreed();
    let counters = world.client.counters();
    assert_eq!((counters.initiations_sent, counters.requests_sent), (1, 1));
    assert_eq!(counters.sessions_opened, 1, "it stays open");
    let served = world.served().unwrap().ppp.echo_statistics();
    assert!(served.answered > 1000 && served.lost == 0, "{served:?}");
}

#[test]
fn ipv6_has_the_link_local_addresses_of_both_ends() {
    let wanted = PppoeSettings {
        ipv6: true,
        ..settings()
    };
    let mut world = World::new(2, wanted, 1);
    world.concentrators[0].ipv6 = true;
    world.set_link(true);
    world.run_for(1);
    world.assert_agreed();
    let assignment = world.client.assignment();
    let own = assignment.addresses[1];
    assert_eq!(own.prefix_length, 128);
    assert_eq!(assignment.routers.len(), 2);
    for address in [own.address, assignment.routers[1].address] {
        let std::net::IpAddr::V6(address) = address else {
            panic!("{address}")
        };
        assert!(address.is_unicast_link_local());
    }
}

/// RFC 4638: what we ask for, what is granted, what the peer's MRU leaves of it.
#[test]
fn more_than_1492_octets_only_where_the_concentrator_agrees() {
    for (asked, granted, mru, mtu) in [
        (1500, Some(1500), 1500, 1500),
        (1500, Some(1496), 1500, 1496),
        (1500, Some(9000), 1500, 1500),
        (1500, Some(1000), 1500, 1492),
        (1500, None, 1500, 1492),
        (1492, Some(1500), 1500, 1492),
        (1500, Some(1500), 1400, 1400),
        (1400, Some(1500), 1500, 1400),
    ] {
        let wanted = PppoeSettings {
            mtu: asked,
            ..settings()
        };
        let mut world = World::new(3, wanted, 1);
        world.concentrators[0].max_payload = granted;
        world.concentrators[0].mru = mru;
        world.set_link(true);
        world.run_for(1);
        world.assert_agreed();
        let case = (asked, granted, mru);
        assert_eq!(world.client.assignment().mtu, Some(mtu), "{case:?}");
        // What it may send us.
        let told = world.served().unwrap().ppp.peer_mru();
        assert_eq!(
            told,
            asked.min(granted.unwrap_or(1492).max(1492)),
            "{case:?}"
        );
    }
}

#[test]
fn discovery_goes_on_with_growing_pauses_until_somebody_answers() {
    let mut world = World::started(4, settings(), 0);
    world.run_for(300);
    let pauses: Vec<_> = world
        .initiations
        .windows(2)
        .map(|two| two[1] - two[0])
        .collect();
    for (count, pause) in pauses.iter().enumerate() {
        let most = Duration::from_secs(32.min(1 << count));
        assert!(*pause <= most && *pause >= most * 3 / 4, "{pauses:?}");
    }
    assert!(pauses.len() > 10, "{pauses:?}");
    assert_eq!(
        world.client.last_error(),
        Some("no access concentrator answers")
    );
    world
        .concentrators
        .push(Model::new(1, StdRng::seed_from_u64(4)));
    world.run_for(33);
    world.assert_agreed();
}

#[test]
fn a_restarted_concentrator_is_dialled_again_and_may_give_another_address() {
    let mut world = World::started(5, settings(), 1);
    world.run_for(60);
    world.assert_agreed();
    let before = world.client.assignment().clone();
    world.concentrators[0].restart();
    let at = world.now;
    while world.is_open() {
        world.run_until(world.now + Duration::from_millis(100));
        assert!(
            world.now < at + Duration::from_secs(8),
            "the echoes show it"
        );
    }
    assert_eq!(
        world.client.last_error(),
        Some("LCP echoes are not answered")
    );
    assert_eq!(world.client.counters().terminations_sent, 1);
    world.run_for(2);
    world.assert_agreed();
    assert_ne!(*world.client.assignment(), before);
    let told = [
        before,
        Assignment::default(),
        world.client.assignment().clone(),
    ];
    assert_eq!(world.assignments, told);
}

#[test]
fn after_a_padt_the_line_is_back_at_once_but_not_again_and_again() {
    let mut world = World::started(6, settings(), 1);
    world.run_for(60);
    let text: [(u16, &[u8]); 1] = [(tag::GENERIC_ERROR, b"maintenance\n")];
    world.concentrators[0].terminate(&text);
    world.collect();
    world.run_for(1);
    world.assert_agreed();
    let told = "access concentrator ended the session: error: maintenance";
    assert_eq!(world.client.last_error(), Some(told));
    assert_eq!(
        world.client.counters().terminations_sent,
        0,
        "nothing to tell"
    );

    world.initiations.clear();
    let end = world.now + Duration::from_secs(600);
    while world.now < end {
        world.concentrators[0].terminate(&[]);
        world.collect();
        world.run_until(world.now + Duration::from_millis(500));
    }
    let pauses: Vec<_> = world
        .initiations
        .windows(2)
        .map(|two| two[1] - two[0])
        .collect();
    assert!(pauses.len() < 24, "{pauses:?}");
    assert!(
        pauses
            .iter()
            .rev()
            .take(3)
            .all(|pause| pause.as_secs() >= 44),
        "{pauses:?}"
    );
    world.run_for(61);
    world.assert_agreed();
}

#[test]
fn a_concentrator_that_negotiates_anew_keeps_the_session() {
    let mut world = World::started(13, settings(), 1);
    world.run_for(60);
    let before = (world.session, world.client.assignment().clone());
    world.concentrators[0].renegotiate(world.now);
    world.collect();
    world.run_for(5);
    world.assert_agreed();
    assert_eq!(world.session, before.0);
    let now = world.client.assignment().clone();
    assert_ne!(now, before.1, "the model gives another address");
    assert_eq!(world.assignments, [before.1, Assignment::default(), now]);
    let counters = world.client.counters();
    assert_eq!(
        (counters.initiations_sent, counters.sessions_opened),
        (1, 1)
    );
}

#[test]
fn a_wrong_password_is_named_and_not_tried_in_a_hurry() {
    let wanted = PppoeSettings {
        password: "guess".into(),
        ..settings()
    };
    let mut world = World::started(7, wanted, 1);
    world.run_for(5);
    let error = world.client.last_error().unwrap();
    assert!(
        error.contains("authentication of \"site\" failed"),
        "{error}"
    );
    assert_eq!(world.client.state(), PppoeState::Idle);
    world.run_for(1800);
    let pauses: Vec<_> = world
        .initiations
        .windows(2)
        .map(|two| two[1] - two[0])
        .collect();
    assert!(pauses[0].as_secs() >= 7, "{pauses:?}");
    assert!(pauses.len() < 14, "{pauses:?}");
    assert!(world.assignments.is_empty() && world.concentrators[0].sessions.is_empty());
}

#[test]
fn an_error_instead_of_a_session_is_named_and_asked_again_later() {
    let mut world = World::new(8, settings(), 1);
    world.concentrators[0].refuses = Some((tag::AC_SYSTEM_ERROR, "no more sessions"));
    world.set_link(true);
    world.run_for(20);
    let named = "access concentrator \"ac-1\": access concentrator has a fault: no more sessions";
    assert_eq!(world.client.last_error(), Some(named));
    assert!(world.concentrators[0].requests < 8);
    world.concentrators[0].refuses = None;
    world.run_for(40);
    world.assert_agreed();
}

#[test]
fn of_two_concentrators_the_named_one_is_taken() {
    for name in ["ac-1", "ac-2"] {
        let wanted = PppoeSettings {
            ac_name: Some(name.to_owned()),
            service_name: Some(SERVICE.to_owned()),
            ..settings()
        };
        let mut world = World::started(9, wanted, 2);
        world.run_for(1);
        world.assert_agreed();
        assert_eq!(world.client.concentrator().unwrap().name, name);
        assert_eq!(
            world.client.counters().offers_refused + world.client.counters().unexpected,
            1
        );
    }
}

#[test]
fn a_service_that_nobody_has_is_not_taken() {
    let wanted = PppoeSettings {
        service_name: Some("telephony".to_owned()),
        ..settings()
    };
    let mut world = World::started(10, wanted, 2);
    world.run_for(60);
    assert_eq!(world.client.state(), PppoeState::Discovering);
}

#[test]
fn a_concentrator_that_only_offers_gives_way_to_another_and_is_taken_without_one() {
    for seed in seeds(20) {
        let mut world = World::new(seed, settings(), 2);
        world.concentrators[0].is_dead_end = true;
        world.set_link(true);
        world.run_for(40);
        world.assert_agreed();
        assert_eq!(world.client.concentrator().unwrap().name, "ac-2");

        world.concentrators[1].restart();
        world.concentrators.pop();
        world.concentrators[0].is_dead_end = false;
        world.run_for(40);
        world.assert_agreed();
        assert_eq!(world.client.concentrator().unwrap().name, "ac-1");
    }
}

#[test]
fn a_cable_that_is_pulled_ends_the_session_and_one_that_is_plugged_in_begins_it() {
    let mut world = World::started(11, settings(), 1);
    world.run_for(60);
    world.set_link(false);
    assert_eq!(world.client.state(), PppoeState::Idle);
    assert_eq!(world.client.next_timeout(), None);
    assert_eq!(world.client.counters().terminations_sent, 0);
    world.run_for(60);
    world.set_link(true);
    world.run_for(1);
    world.assert_agreed();
}

#[test]
fn closing_tells_the_concentrator_and_is_for_good() {
    let mut world = World::started(12, settings(), 1);
    world.run_for(60);
    world.client.close(world.now);
    world.collect();
    assert_eq!(world.client.next_timeout(), None);
    world.run_for(1);
    assert!(world.concentrators[0].sessions.is_empty());
    assert_eq!(world.client.counters().terminations_sent, 1);
    let sent = world.sent;
    world.set_link(false);
    world.set_link(true);
    world.run_for(60);
    assert_eq!((world.client.state(), world.sent), (PppoeState::Idle, sent));
}

/// PADRs are repeated and their answers late: the concentrator has sessions
/// that nobody uses, and is told so.
#[test]
fn sessions_by_repeated_requests_are_given_back() {
    let mut given_back = 0;
    for seed in seeds(50) {
        // Not so long that the session ends by it.
        let patient = PppoeSettings {
            lcp_timeout: Duration::from_secs(60),
            ..settings()
        };
        let mut world = World::new(seed, patient, 1);
        world.weather.max_delay_ms = 3000;
        world.set_link(true);
        while world.session.is_none() {
            world.run_until(world.now + Duration::from_millis(10));
        }
        let uniq = world.served().unwrap().host_uniq.clone();
        // Whatever is still on its way arrives.
        world.run_for(9);
        let model = &world.concentrators[0];
        let ours = model.sessions.values();
        let same = ours.filter(|session| session.host_uniq == uniq).count();
        assert!(same <= 1, "seed {seed}");
        given_back += world.client.counters().terminations_sent;
    }
    println!("{given_back} sessions were given back");
    assert!(given_back > 10);
}

/// Whatever happens on the line: order is kept, and when it is good again the
/// client is open and both ends agree.
#[test]
fn storms_pass() {
    let mut opened = 0;
    for seed in seeds(150) {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5707);
        let wanted = PppoeSettings {
            mtu: [1492, 1500][rng.random_range(0..2)],
            ipv6: rng.random_bool(0.5),
            service_name: rng.random_bool(0.5).then(|| SERVICE.to_owned()),
            ..settings()
        };
        let mut world = World::new(seed, wanted, rng.random_range(1..=2));
        for concentrator in &mut world.concentrators {
            concentrator.ipv6 = rng.random_bool(0.5);
            concentrator.max_payload = [None, Some(1500)][rng.random_range(0..2)];
        }
        world.set_link(true);
        for _ in 0..rng.random_range(1..12) {
            world.weather = if rng.random_bool(0.3) {
                CLEAR
            } else {
                Weather::of(&mut rng)
            };
            world.run_for(rng.random_range(1..40));
            let which = rng.random_range(0..world.concentrators.len());
            match rng.random_range(0..7) {
                0 => world.concentrators[which].restart(),
                1 => world.concentrators[which].terminate(&[]),
                2 => world.set_link(false),
                3 => world.concentrators[which].is_dead_end = true,
                4 => world.concentrators[which].renegotiate(world.now),
                5 => world.concentrators[which].refuses = Some((tag::GENERIC_ERROR, "")),
                _ => {}
            }
            world.run_until(world.now + Duration::from_millis(rng.random_range(0..9000)));
            world.set_link(true);
            world.concentrators[which].is_dead_end = false;
            world.concentrators[which].refuses = None;
        }
        world.weather = CLEAR;
        world.run_for(200);
        world.assert_agreed();
        opened += world.client.counters().sessions_opened;
    }
    println!("{opened} sessions were opened");
}
