//! Whole engines over a seeded network. HAL2TP_SEEDS multiplies the seeds.

mod books;
mod chaos;
mod families;
mod given;
mod happenings;
mod invariants;
mod ipv6;
mod isp;
mod kick;
mod lac;
mod mask;
mod mixture;
mod names;
mod nat;
mod network;
mod path_mtu;
mod peering;
mod plain;
mod ppp;
mod reload;
mod remotes;
mod simulation;
mod snapshot;
mod uplinks;
mod workers;
mod world;

use crate::seeds::seeds;
use std::time::Duration;

use world::{HEAD, LINKS, REMOTE, World, host, milliseconds, seconds};

/// RFC 2661, 4.4.1.
const ICRP: u16 = 11;

#[test]
fn three_links_come_up_and_carry_both_ways() {
    let mut world = World::new(1);
    world.run_for(seconds(5));
    assert_eq!((world.members(HEAD), world.members(REMOTE)), (3, 3));
    let sent = world.traffic_for(seconds(2));
    world.assert_all_delivered(&sent);
    world.assert_none_refused();
    for site in [HEAD, REMOTE] {
        let workers = &world.sites[site].workers;
        let set = workers.sets.values().next().expect("one set");
        assert_eq!(set.mtu, 1500, "whatever its links carry");
        assert!(workers.sessions.values().all(|link| link.mtu == 1450));
    }
}

/// Who joins a set is given its packets once the workers have carried out the
/// commands before it: none may go uncounted, those of routes neither.
#[test]
fn a_link_has_joined_when_the_workers_have_carried_out_all_commands_before() {
    let mut world = World::new(1);
    world.run_for(seconds(5));
    for site in [HEAD, REMOTE] {
        world.assert_mirrored(site);
    }
    world.lag = seconds(3);
    world.kill(REMOTE);
    world.start(REMOTE);
    let joined = |world: &World| {
        let links = world.engine(REMOTE).links.values();
        links.filter(|link| link.joined.is_some()).count()
    };
    let took = world.run_until(seconds(60), |world| joined(world) > 0);
    assert!(took.is_some(), "it never joins");
    let workers = &world.sites[REMOTE].workers;
    assert!(workers.sets.values().any(|set| !set.members.is_empty()));
}

/// The rule that what lets a peer send leaves only when we are ready: while
/// links come up one by one under traffic, no copy is ever refused.
#[test]
fn no_copy_meets_a_session_that_is_not_ready() {
    for seed in seeds(20) {
        println!("seed {seed}");
        let mut world = World::new(seed);
        world.lines.iter_mut().for_each(|line| line.loss = 0.1);
        let mut up = 0;
        for _ in 0..20 {
            world.traffic_for(seconds(1));
            up += u32::from(world.all_up());
        }
        assert!(up > 5, "all links were up for {up} s only");
        world.assert_none_refused();
    }
}

#[test]
fn cutting_each_link_in_turn_loses_nothing() {
    let mut world = World::new(3);
    world.run_for(seconds(5));
    let mut all = [Vec::new(), Vec::new()];
    for link in 0..LINKS {
        for cut in [true, false] {
            world.lines[link].cut = cut;
            let sent = world.traffic_for(seconds(12));
            for site in [HEAD, REMOTE] {
                all[site].extend(&sent[site]);
                let up = if cut { 2 } else { 3 };
                assert_eq!(world.members(site), up, "link {link}, cut {cut}");
            }
        }
    }
    world.assert_all_delivered(&all);
}

#[test]
fn the_last_link_alone_carries_all_and_all_links_down_withdraw_the_route() {
    let ours = |world: &World| {
        let sets = world.engine(REMOTE).sets.iter();
        sets.map(|set| set.ours.clone()).collect::<Vec<_>>()
    };
    let mut world = World::new(4);
    world.run_for(seconds(5));
    world.cut([true, true, false]);
    let sent = world.traffic_for(seconds(10));
    assert_eq!(world.members(HEAD), 1);
    world.assert_all_delivered(&sent);
    world.cut([true; 3]);
    world.run_for(seconds(10));
    for (site, lan) in [(HEAD, 2), (REMOTE, 1)] {
        assert_eq!(world.sites[site].workers.route(host(lan)), None, "{site}");
    }
    let before = ours(&world);
    world.cut([false; 3]);
    world.run_for(seconds(12));
    assert!(world.all_up());
    assert_eq!(
        before,
        ours(&world),
        "a time with all links down keeps instance and epoch"
    );
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
}

/// A line that answers nothing is no refusal: it is tried every few seconds.
#[test]
fn a_line_that_was_dead_for_minutes_is_found_within_twelve_seconds() {
    let mut world = World::new(5);
    world.run_for(seconds(5));
    world.cut([true; 3]);
    world.run_for(seconds(300));
    world.cut([false; 3]);
    let took = world.run_until(seconds(12), World::all_up);
    assert!(took.is_some(), "{}", world.members(REMOTE));
}

/// A tunnel whose call is never answered is given up and dialled again.
#[test]
fn a_call_that_is_never_answered_is_dialled_again() {
    let mut world = World::new(6);
    world.dropped_message_type = Some(ICRP);
    world.run_for(seconds(30));
    assert_eq!(world.members(REMOTE), 0);
    world.dropped_message_type = None;
    let took = world.run_until(seconds(20), World::all_up);
    assert!(took.is_some(), "{}", world.members(REMOTE));
    world.run_for(seconds(45));
    world.assert_nothing_leaked(HEAD, 3, 1);
    world.assert_nothing_leaked(REMOTE, 3, 1);
}

#[test]
fn a_restarted_remote_displaces_its_old_instance_within_five_seconds() {
    for seed in seeds(10) {
        println!("seed {seed}");
        let mut world = World::new(seed);
        world.run_for(seconds(5));
        world.traffic_for(seconds(2));
        world.kill(REMOTE);
        world.traffic_for(milliseconds(500));
        world.start(REMOTE);
        world.traffic_for(seconds(5));
        assert!(world.all_up());
        let sent = world.traffic_for(seconds(1));
        world.assert_all_delivered(&sent);
        world.run_for(seconds(40));
        world.assert_nothing_leaked(HEAD, 3, 1);
    }
}

/// The old instance is forgotten even when its last link has long been gone.
#[test]
fn a_remote_that_comes_back_much_later_leaves_no_old_instance_behind() {
    let mut world = World::new(9);
    for _ in 0..3 {
        world.run_for(seconds(5));
        world.kill(REMOTE);
        world.run_for(seconds(60));
        world.start(REMOTE);
    }
    world.run_for(seconds(60));
    assert!(world.all_up());
    world.assert_nothing_leaked(HEAD, 3, 1);
}

#[test]
fn a_restarted_head_is_found_again_within_the_timeout_and_three_seconds() {
    for seed in seeds(10) {
        println!("seed {seed}");
        let mut world = World::new(seed);
        world.run_for(seconds(5));
        world.traffic_for(seconds(2));
        world.kill(HEAD);
        world.traffic_for(milliseconds(800));
        world.start(HEAD);
        world.traffic_for(seconds(8));
        assert!(world.all_up());
        let sent = world.traffic_for(seconds(1));
        world.assert_all_delivered(&sent);
    }
}

#[test]
fn a_clean_stop_clears_the_tunnels_at_both_ends() {
    for (stopping, other) in [(HEAD, REMOTE), (REMOTE, HEAD)] {
        let mut world = World::new(8);
        world.run_for(seconds(5));
        world.shut_down(stopping);
        // The other end dials at once, and must not be let in again.
        world.run_for(Duration::from_secs(1));
        assert!(world.engine(stopping).is_shut_down(), "site {stopping}");
        assert_eq!(world.members(other), 0);
        assert_eq!(world.engine(stopping).endpoint.tunnels().count(), 3);
    }
}
