//! What the engines say of their links, against what the lines did.

use std::time::Duration;

use super::network::Fate;
use super::world::{HEAD, LINKS, REMOTE, World, config, milliseconds, seconds};
use crate::management::status::{Session, Status};

fn status(world: &World, site: usize) -> Status {
    world.engine(site).status(world.now)
}

/// A link's line of the status.
fn link(world: &World, site: usize, link: usize) -> Session {
    status(world, site).sessions.swap_remove(link)
}

fn alarmed(world: &World, site: usize) -> Vec<usize> {
    let sessions = status(world, site).sessions;
    let alarmed = sessions.iter().enumerate();
    alarmed
        .filter(|(_, session)| session.alarm.is_some())
        .map(|(link, _)| link)
        .collect()
}

#[test]
fn figures_agree_with_the_lines_to_the_packet() {
    for seed in crate::seeds::seeds(6) {
        println!("seed {seed}");
        // No link is to be dialled anew while its packets are counted.
        let configs = ["head", "remote"].map(|name| {
            let mut config = config(name);
            let incoming = config.l2tp.incoming.iter_mut();
            incoming.for_each(|it| it.lcp_timeout = seconds(60));
            let outgoing = config.l2tp.outgoing.iter_mut();
            outgoing.for_each(|it| it.lcp_timeout = seconds(60));
            config
        });
        let mut world = World::of(seed, configs.into());
        world.run_for(seconds(5));
        for (link, line) in world.lines.iter_mut().enumerate() {
            line.loss = 0.02 + 0.06 * link as f64;
            line.duplication = 0.05;
            line.reordering = 0.2;
        }
        world.fates.clear();
        world.traffic_for(seconds(20));
        world.lines = Default::default();
        world.run_for(seconds(6));
        for (site, other) in [(HEAD, REMOTE), (REMOTE, HEAD)] {
            let mut lost_by_all = 0;
            for place in 0..LINKS {
                let fate = world.fates[&(site, place)];
                let (ours, theirs) = (link(&world, site, place), link(&world, other, place));
                let expected = Fate {
                    sent: theirs.sent_packets,
                    lost: ours.lost_packets,
                    doubled: ours.duplicated_packets,
                };
                assert_eq!(fate, expected, "link {place} to {site}");
                assert_eq!(ours.unique_packets, fate.sent - fate.lost);
                assert_eq!(ours.received_packets, fate.sent - fate.lost + fate.doubled);
                assert_eq!(ours.unknown_packets, 0);
                let peer = ours.peer.expect("reports come");
                assert_eq!(peer.sent_packets, theirs.sent_packets);
                lost_by_all += ours.lost_packets;
            }
            let set = status(&world, site).sets.swap_remove(0);
            let links = status(&world, site).sessions;
            let of_set = |link: &Session| link.set_remote.as_ref() == Some(&set.remote);
            assert!(links.iter().all(of_set), "{links:?}");
            let delivered = world.sites[site].delivered.len() as u64;
            let sent = world.fates[&(site, 0)].sent;
            assert_eq!(set.lost_packets, sent - delivered);
            assert_eq!(set.unknown_packets, 0);
            assert!(set.saved_packets > 0 && lost_by_all > 100, "{set:?}");
            let best = (0..LINKS).map(|place| link(&world, site, place).unique_packets);
            assert_eq!(set.saved_packets, delivered - best.max().unwrap_or(0));
        }
    }
}

/// Its echoes are answered, its packets vanish.
#[test]
fn a_link_that_is_up_and_delivers_nothing_is_known_within_three_seconds() {
    for with_traffic in [true, false] {
        for seed in crate::seeds::seeds(5) {
            let mut world = World::new(seed);
            world.run_for(seconds(5));
            let run = |world: &mut World, time: Duration| {
                if with_traffic {
                    world.traffic_for(time);
                } else {
                    world.run_for(time);
                }
            };
            run(&mut world, milliseconds(3000 + 37 * seed));
            assert!(alarmed(&world, HEAD).is_empty());
            world.lines[1].ha_cut = true;
            run(&mut world, seconds(3));
            assert_eq!(alarmed(&world, HEAD), [1], "with traffic: {with_traffic}");
            assert_eq!(alarmed(&world, REMOTE), [1]);
            run(&mut world, seconds(30));
            assert!(world.all_up(), "it is up all the time");
            let alarm = link(&world, HEAD, 1).alarm.expect("still");
            assert!((29..=33).contains(&alarm.for_s), "{alarm:?}");
            world.lines[1].ha_cut = false;
            run(&mut world, milliseconds(1300));
            assert!(alarmed(&world, HEAD).is_empty() && alarmed(&world, REMOTE).is_empty());
            run(&mut world, seconds(4));
            let outage_ms = link(&world, HEAD, 1).longest_outage_ms;
            if with_traffic {
                assert!((32_500..33_500).contains(&outage_ms), "{outage_ms}");
            }
        }
    }
}

#[test]
fn packets_that_vanish_while_reports_pass_are_known_too() {
    let mut world = World::new(3);
    world.run_for(seconds(5));
    world.traffic_for(seconds(3));
    world.lines[2].data_cut = true;
    world.traffic_for(seconds(3));
    assert_eq!(alarmed(&world, HEAD), [2]);
    let alarm = link(&world, HEAD, 2).alarm.expect("as just seen");
    assert_eq!(alarm.text, "reports arrive, packets do not");
    world.lines[2].data_cut = false;
    world.traffic_for(milliseconds(300));
    assert!(alarmed(&world, HEAD).is_empty());
}

#[test]
fn lossy_and_idle_links_raise_no_alarm() {
    let mut world = World::new(5);
    world.lines.iter_mut().for_each(|line| line.loss = 0.1);
    world.run_for(seconds(10));
    for second in 0..120 {
        world.run_for(seconds(1));
        assert!(alarmed(&world, HEAD).is_empty(), "after {second} s");
    }
}

/// What earlier sessions of a link lost stays in its figures.
#[test]
fn a_link_that_is_dialled_anew_keeps_its_figures() {
    let mut world = World::new(6);
    world.run_for(seconds(5));
    world.lines[1].loss = 0.2;
    world.traffic_for(seconds(10));
    world.lines[1].loss = 0.0;
    world.traffic_for(seconds(4));
    let before = link(&world, HEAD, 1);
    assert!(before.lost_packets > 100, "{before:?}");
    world.lines[1].cut = true;
    world.traffic_for(seconds(12));
    world.lines[1].cut = false;
    world.traffic_for(seconds(15));
    assert!(world.all_up());
    let after = link(&world, HEAD, 1);
    assert_eq!(after.lost_packets, before.lost_packets);
    // Some of the time it was up; what it was given then, the peer had no way to say.
    assert!(after.unknown_packets > 300, "{after:?}");
    assert!(after.unique_packets > before.unique_packets + 500);
    assert_eq!(status(&world, HEAD).sets[0].lost_packets, 0);
}

/// What a set instance carried is not forgotten with it.
#[test]
fn a_restarted_remote_keeps_its_figures_at_the_head() {
    let mut world = World::new(7);
    world.run_for(seconds(5));
    world.traffic_for(seconds(5));
    world.run_for(seconds(4));
    let before = status(&world, HEAD).sets.swap_remove(0);
    world.kill(REMOTE);
    world.start(REMOTE);
    world.run_for(seconds(60));
    world.traffic_for(seconds(5));
    world.run_for(seconds(4));
    let after = status(&world, HEAD).sets.swap_remove(0);
    assert_eq!(after.delivered_packets, 2 * before.delivered_packets);
    assert_eq!((after.lost_packets, after.unknown_packets), (0, 0));
    world.assert_nothing_leaked(HEAD, 3, 1);
    assert_eq!(world.engine(HEAD).books.len(), 1);
}

/// A place for it is made at the first look.
#[test]
fn what_workers_measure_of_a_members_skew_is_told() {
    let mut world = World::new(7);
    world.run_for(seconds(5));
    for link in world.engine(REMOTE).links.values() {
        let arrivals = link.spec.arrivals.first().expect("one for each worker");
        arrivals.skew.note(7_000_000);
    }
    world.run_for(seconds(2));
    for session in status(&world, REMOTE).sessions {
        assert_eq!(session.skew.samples, 1, "{}", session.name);
        let mean_us = session.skew.mean_us.expect("measured");
        assert!((6_500..7_500).contains(&mean_us), "{mean_us}");
    }
}
