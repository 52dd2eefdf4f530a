//! Several boxes at one `incoming`: remotes of their own, restarted ones, and
//! twins that use the credentials of another.

use crate::seeds::seeds;
use std::net::Ipv4Addr;

use super::world::{HEAD, REMOTE, World, config, host, milliseconds, remote_at, seconds};
use crate::config::Config;
use crate::engine::What;
use dataplane::command::{NextHop, Prefix, TableId};

const OTHER: usize = 2;
const TWIN: usize = 2;

/// Conflicts that a site has told of, and how those ended that are over.
fn conflicts(world: &World, site: usize) -> (usize, Vec<bool>) {
    let told = world.sites[site].told.all();
    let began = told.iter().filter(|what| **what == What::ConflictBegan);
    let ended = told.iter().filter_map(|what| match what {
        What::ConflictEnded { taken_over } => Some(*taken_over),
        _ => None,
    });
    (began.count(), ended.collect())
}

/// A head with a second remote's logins, and that remote.
pub(super) fn two_remotes() -> Vec<Config> {
    let (mut head, mut other) = (config("head"), remote_at(3, 3));
    let incoming = &mut head.l2tp.incoming[0];
    for place in 0..3 {
        let mut login = incoming.matches[place].clone();
        login.graph = format!("other.{place}");
        login.username = format!("other.{place}");
        login.remote_ip = Ipv4Addr::new(192, 168, 1, 3);
        login.routes = vec![Prefix::new(Ipv4Addr::new(192, 168, 3, 0), 24)];
        incoming.matches.push(login);
        other.l2tp.outgoing[place].username = format!("other.{place}");
    }
    vec![head, config("remote"), other]
}

#[test]
fn remotes_of_one_incoming_have_sets_of_their_own() {
    let mut world = World::of(31, two_remotes());
    world.run_for(seconds(5));
    let counts = [HEAD, REMOTE, OTHER].map(|site| world.members(site));
    assert_eq!(counts, [6, 3, 3]);
    for (lan, to, not_to) in [(2, REMOTE, OTHER), (3, OTHER, REMOTE)] {
        let number = world.send_payload(HEAD, host(lan)).expect("routed");
        world.run_for(seconds(1));
        assert!(world.sites[to].delivered.contains_key(&number));
        assert!(!world.sites[not_to].delivered.contains_key(&number));
        let number = world.send_payload(to, host(1)).expect("routed");
        world.run_for(seconds(1));
        assert!(world.sites[HEAD].delivered.contains_key(&number));
    }
    // One restarts: the other notices nothing.
    world.kill(OTHER);
    let mut sent = world.traffic_for(seconds(2));
    world.start(OTHER);
    for (all, more) in sent.iter_mut().zip(world.traffic_for(seconds(10))) {
        all.extend(more);
    }
    world.assert_all_delivered(&sent);
    assert_eq!(world.members(HEAD), 6);
    world.run_for(seconds(45));
    world.assert_nothing_leaked(HEAD, 6, 2);
    world.assert_none_refused();
}

/// Our PPP address that several remotes share stays our own until the last
/// one's links are down.
#[test]
fn a_shared_local_address_and_the_routes_go_with_the_last_that_has_them() {
    let local = Ipv4Addr::new(192, 168, 99, 1);
    let mut configs = two_remotes();
    configs[HEAD].l2tp.incoming[0].local_ip = local;
    let mut world = World::of(32, configs);
    let before = world.prefixes(HEAD);
    world.run_for(seconds(5));
    let is_ours = |world: &World| world.sites[HEAD].workers.route(local) == Some(NextHop::Local);
    assert!(is_ours(&world));
    world.kill(OTHER);
    world.run_for(seconds(10));
    assert_eq!(world.sites[HEAD].workers.route(host(3)), None);
    assert!(is_ours(&world));
    world.kill(REMOTE);
    world.run_for(seconds(10));
    assert_eq!(world.prefixes(HEAD), before, "every route is withdrawn");
}

/// One box with the logins of two remotes: a set has one place.
#[test]
fn a_set_that_spreads_over_two_remotes_keeps_to_the_first() {
    let mut configs = two_remotes();
    configs.truncate(2);
    configs[REMOTE].l2tp.outgoing[2].username = "other.2".to_owned();
    let mut world = World::of(33, configs);
    world.run_for(seconds(30));
    assert_eq!((world.members(HEAD), world.members(REMOTE)), (2, 2));
    let sent = world.traffic_for(seconds(5));
    world.assert_all_delivered(&sent);
    world.assert_none_refused();
}

/// How many of the head's links lead to a site.
fn links_to(world: &World, site: usize) -> usize {
    let own = world.sites[site].config.interfaces.iter();
    let own: Vec<_> = own
        .flat_map(|of| &of.addresses)
        .map(|of| of.address)
        .collect();
    let engine = world.engine(HEAD);
    let members = engine.groups.iter().flat_map(|group| group.members());
    members
        .filter(|id| own.contains(&engine.links[id].spec.peer.ip()))
        .count()
}

#[test]
fn a_twin_is_refused_while_the_first_answers_and_let_in_after_a_minute() {
    for seed in seeds(5) {
        println!("seed {seed}");
        let configs = vec![config("head"), config("remote"), remote_at(3, 2)];
        let mut world = World::stopped(seed, configs);
        world.start(HEAD);
        world.start(REMOTE);
        world.run_for(seconds(5));
        world.start(TWIN);
        // The first one's links come and go meanwhile: that is no reason to let
        // a twin in early, nor to let it wait for ever.
        let sent = world.traffic_for(seconds(20));
        world.assert_all_delivered(&sent);
        world.lines[1].cut = true;
        let sent = world.traffic_for(seconds(15));
        world.assert_all_delivered(&sent);
        world.lines[1].cut = false;
        let sent = world.traffic_for(seconds(24));
        world.assert_all_delivered(&sent);
        assert_eq!(conflicts(&world, HEAD), (1, vec![]), "it is told once");
        assert_eq!((links_to(&world, REMOTE), links_to(&world, TWIN)), (3, 0));
        let let_in = world.run_until(seconds(65), |world| links_to(world, TWIN) > 0);
        assert!(let_in.is_some());
        assert_eq!(links_to(&world, REMOTE), 0, "one instance at a time");
        world.assert_none_twice();
        assert_eq!(conflicts(&world, HEAD).1, [true]);
        // The first is off: its place is free.
        world.kill(REMOTE);
        world.run_for(seconds(150));
        assert_eq!(links_to(&world, TWIN), 3);
        world.assert_nothing_leaked(HEAD, 3, 1);
    }
}

/// Who comes from where the old process was is not made to wait for its answer.
#[test]
fn a_restarted_box_is_let_in_at_once() {
    for seed in seeds(10) {
        println!("seed {seed}");
        let mut world = World::new(seed);
        let pause = milliseconds(seed * 37 % 400);
        world.run_for(seconds(5) + pause);
        let old = world.engine(HEAD).groups.get(0).current;
        world.kill(REMOTE);
        world.run_for(pause);
        world.start(REMOTE);
        let took = world.run_until(seconds(2), |world| {
            world.engine(HEAD).groups.get(0).current != old && world.members(REMOTE) > 0
        });
        let took = took.expect("let in");
        assert!(took < milliseconds(900), "{took:?}");
        world.run_for(seconds(3));
        assert!(world.all_up());
        assert_eq!(conflicts(&world, HEAD), (0, vec![]), "no false alarm");
    }
}

/// Boxes that have one address by turns, as behind a NAT that forgets, or with the same fixed one: after the first time the one
/// who was there is asked, and answers.
#[test]
fn twins_with_one_address_do_not_displace_each_other_for_ever() {
    for seed in seeds(5) {
        println!("seed {seed}");
        let mut world = World::of(seed, vec![config("head"), config("remote")]);
        world.run_for(seconds(5));
        world.kill(REMOTE);
        world.start(REMOTE);
        world.run_for(seconds(5));
        assert!(world.all_up());
        let current = world.engine(HEAD).groups.get(0).current;
        // Soon after: an answer is waited for, although nobody gives one.
        world.kill(REMOTE);
        world.start(REMOTE);
        let took = world.run_until(seconds(4), |world| {
            world.engine(HEAD).groups.get(0).current != current && world.members(REMOTE) > 0
        });
        let took = took.expect("let in");
        assert!(took >= seconds(1), "{took:?}");
    }
}

/// Whoever calls from elsewhere may be another box: the one who was there is asked for a second.
#[test]
fn a_box_from_elsewhere_is_let_in_when_the_first_does_not_answer() {
    for seed in seeds(5) {
        println!("seed {seed}");
        let configs = vec![config("head"), config("remote"), remote_at(3, 2)];
        let mut world = World::stopped(seed, configs);
        world.start(HEAD);
        world.start(REMOTE);
        world.run_for(seconds(5));
        world.kill(REMOTE);
        world.start(TWIN);
        let took = world.run_until(seconds(3), |world| links_to(world, TWIN) > 0);
        let took = took.expect("let in");
        assert!(took >= seconds(1), "{took:?}");
        assert_eq!(conflicts(&world, HEAD), (0, vec![]), "no false alarm");
    }
}

/// One tunnel leads to another head than the rest: that link alone is refused,
/// and the others carry on.
#[test]
fn another_head_on_one_link_disturbs_no_other() {
    for seed in seeds(5) {
        println!("seed {seed}");
        let (mut stranger, mut remote) = (config("head"), config("remote"));
        let elsewhere = Ipv4Addr::new(10, 1, 0, 9);
        for (line, interface) in (1..).zip(&mut stranger.interfaces[1..]) {
            interface.addresses[0].address = Ipv4Addr::new(10, line, 0, 9).into();
        }
        remote.l2tp.outgoing[0].server = elsewhere.into();
        let mut world = World::stopped(seed, vec![config("head"), remote, stranger]);
        world.start(HEAD);
        world.start(REMOTE);
        world.run_for(seconds(5));
        assert_eq!((world.members(HEAD), world.members(REMOTE)), (2, 2));
        world.start(2);
        let sent = world.traffic_for(seconds(50));
        world.assert_all_delivered(&sent);
        assert_eq!(conflicts(&world, REMOTE), (1, vec![]));
        assert_eq!((world.members(HEAD), world.members(REMOTE)), (2, 2));
        world.assert_none_refused();
    }
}

/// A renegotiated address leaves no route to the old one behind.
#[test]
fn a_head_that_comes_back_with_another_address_leaves_no_old_route() {
    let mut world = World::new(35);
    world.run_for(seconds(5));
    let old = world.sites[HEAD].config.l2tp.incoming[0].local_ip;
    let new = Ipv4Addr::new(192, 168, 77, 1);
    let table = TableId(0);
    assert!(world.prefixes(REMOTE).contains(&(table, Prefix::host(old))));
    world.sites[HEAD].config.l2tp.incoming[0].local_ip = new;
    world.kill(HEAD);
    world.start(HEAD);
    world.run_for(seconds(20));
    assert!(world.all_up());
    assert!(!world.prefixes(REMOTE).contains(&(table, Prefix::host(old))));
    assert!(world.prefixes(REMOTE).contains(&(table, Prefix::host(new))));
}
