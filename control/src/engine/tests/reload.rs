//! Another configuration under traffic: what has not changed is not touched.

mod followed;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use dataplane::command::{Command, NextHop, PortId, Prefix, SessionId, SessionSpec};
use dataplane::event::Event;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::remotes::two_remotes;
use super::world::{HEAD, LINKS, REMOTE, World, config, extend, milliseconds, seconds};
use crate::config::{Config, HaSet, Match, Neighbour, Ordering, Reloaded, Route, Server, Via};
use crate::engine::link::Phase;
use crate::engine::{Ending, Engine, Output, PortFacts, What};
use crate::secret::Secret;

const OTHER: usize = 2;
/// RFC 2661, 4.4.1.
const ICRP: u16 = 11;

impl World {
    /// Has a site's engine follow another configuration.
    pub(super) fn follow(&mut self, site: usize, config: Config) -> Reloaded {
        let now = self.clock(site);
        let engine = self.engine_mut(site);
        let difference = engine.difference(&config).expect("it takes no restart");
        engine.reload(now, config, &difference);
        self.carry_out(site);
        self.assert_placed(site);
        difference.reloaded
    }

    /// The same, and the site starts with it from now on.
    fn reload(&mut self, site: usize, config: Config) -> Reloaded {
        self.sites[site].config = config.clone();
        self.follow(site, config)
    }

    /// The same of the configuration that it has, with something else in it.
    pub(super) fn change(&mut self, site: usize, change: impl FnOnce(&mut Config)) -> Reloaded {
        let mut config = self.sites[site].config.clone();
        change(&mut config);
        self.reload(site, config)
    }

    /// What the workers have of each link, by name: another `Arc` came by a command.
    fn links(&self, site: usize) -> BTreeMap<String, (SessionId, Arc<SessionSpec>)> {
        let engine = self.engine(site);
        let open = engine.links.values().filter(|link| link.is_open());
        let workers = &self.sites[site].workers.sessions;
        open.map(|link| {
            let spec = Arc::clone(&workers[&link.id]);
            (engine.link_name(link.id), (link.id, spec))
        })
        .collect()
    }

    fn assert_untouched(
        &self,
        site: usize,
        before: &BTreeMap<String, (SessionId, Arc<SessionSpec>)>,
        names: &[&str],
    ) {
        let now = self.links(site);
        for &name in names {
            let ((old, old_spec), (new, new_spec)) = (&before[name], &now[name]);
            assert_eq!(old, new, "{name}");
            assert!(Arc::ptr_eq(old_spec, new_spec), "a command for {name}");
        }
    }
}

fn up(seed: u64, configs: Vec<Config>) -> World {
    let mut world = World::of(seed, configs);
    world.run_for(seconds(5));
    assert!(world.members(REMOTE) == LINKS && world.members(HEAD) >= LINKS);
    world
}

fn pair(seed: u64) -> World {
    up(seed, vec![config("head"), config("remote")])
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn set(name: &str) -> HaSet {
    HaSet {
        name: name.to_owned(),
        ..config("remote").ha_sets[0].clone()
    }
}

/// Everything has another place.
fn shuffled(mut config: Config) -> Config {
    config.ha_sets.insert(0, set("other"));
    let move_set = |set: &mut Option<usize>| *set = set.map(|set| set + 1);
    for outgoing in &mut config.l2tp.outgoing {
        move_set(&mut outgoing.ha_set);
    }
    config.l2tp.outgoing.reverse();
    for incoming in &mut config.l2tp.incoming {
        incoming
            .matches
            .iter_mut()
            .for_each(|login| move_set(&mut login.ha_set));
        incoming.matches.reverse();
    }
    let another = config.l2tp.incoming.first().cloned();
    config.l2tp.incoming.splice(
        0..0,
        another.map(|mut another| {
            another.name = "another".to_owned();
            another.remote_hostname = Some("nobody".to_owned());
            another.matches.clear();
            another
        }),
    );
    config
}

#[test]
fn the_same_configuration_does_nothing_at_all() {
    let mut world = pair(61);
    for site in [HEAD, REMOTE] {
        let before = (world.engine(site).commands, world.links(site));
        let reloaded = world.change(site, |_| {});
        let unchanged = Reloaded {
            unchanged: true,
            ..Reloaded::default()
        };
        assert_eq!(reloaded, unchanged);
        assert_eq!(reloaded.lines(), ["nothing has changed"]);
        assert_eq!(world.engine(site).commands, before.0);
        let all: Vec<&str> = before.1.keys().map(String::as_str).collect();
        assert_eq!(all.len(), LINKS);
        world.assert_untouched(site, &before.1, &all);
    }
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
}

#[test]
fn other_places_in_the_file_touch_no_link() {
    let mut world = pair(62);
    for site in [HEAD, REMOTE] {
        let before = world.links(site);
        let mut sent = world.traffic_for(milliseconds(500));
        let reloaded = world.change(site, |config| *config = shuffled(config.clone()));
        assert_eq!(reloaded.ha_sets.added, ["other"]);
        assert!(!reloaded.unchanged && reloaded.outgoing == Default::default());
        for (all, more) in sent.iter_mut().zip(world.traffic_for(seconds(8))) {
            all.extend(more);
        }
        world.assert_all_delivered(&sent);
        let all: Vec<&str> = before.keys().map(String::as_str).collect();
        assert_eq!(all.len(), LINKS);
        world.assert_untouched(site, &before, &all);
        world.assert_mirrored(site);
    }
    // What has a name is still what it was, and comes back to its place.
    let now = world.now;
    world.engine_mut(REMOTE).kick(now, "head1").unwrap();
    world.run_for(seconds(0));
    assert!(!world.links(REMOTE).contains_key("L2TP-remote-1"));
    assert!(world.run_until(seconds(5), World::all_up).is_some());
    let status = world.engine(REMOTE).status(world.now);
    let tunnels: Vec<_> = status.tunnels.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(tunnels, ["head3", "head2", "head1"]);
    assert_eq!(
        (status.sets.len(), status.sets[0].remote.as_str()),
        (1, "10.1.0.1")
    );
    world.run_for(seconds(45));
    world.assert_nothing_leaked(HEAD, LINKS, 1);
    world.assert_nothing_leaked(REMOTE, LINKS, 1);
    world.assert_none_refused();
}

#[test]
fn a_link_that_is_removed_and_added_again_costs_nothing() {
    let mut world = pair(63);
    let whole = world.sites[REMOTE].config.clone();
    let before = world.links(REMOTE);
    let mut sent = world.traffic_for(seconds(1));
    let reloaded = world.change(REMOTE, |config| {
        config.l2tp.outgoing.remove(0);
    });
    assert_eq!(reloaded.outgoing.removed, ["head1"]);
    assert_eq!(reloaded.lines(), ["outgoing: head1 removed"]);
    extend(&mut sent, world.traffic_for(seconds(10)));
    assert_eq!(world.members(HEAD), LINKS - 1);
    let kept = ["L2TP-remote-2", "L2TP-remote-3"];
    world.assert_untouched(REMOTE, &before, &kept);
    let status = world.engine(REMOTE).status(world.now);
    assert_eq!((status.sessions.len(), status.tunnels.len()), (2, 2));
    world.assert_mirrored(REMOTE);
    let told = world.sites[REMOTE].told.all();
    assert!(told.contains(&What::LinkDown(Ending::Reconfigured)));
    world.run_for(seconds(45));
    world.assert_nothing_leaked(HEAD, LINKS - 1, 1);

    let reloaded = world.reload(REMOTE, whole);
    assert_eq!(reloaded.outgoing.added, ["head1"]);
    extend(&mut sent, world.traffic_for(seconds(5)));
    assert!(world.all_up());
    world.assert_untouched(REMOTE, &before, &kept);
    world.assert_all_delivered(&sent);
    world.assert_none_refused();
}

#[test]
fn what_a_link_was_set_up_with_has_it_set_up_anew() {
    let mut world = pair(64);
    let before = world.links(REMOTE);
    let mut sent = world.traffic_for(seconds(1));
    let reloaded = world.change(REMOTE, |config| {
        config.l2tp.outgoing[1].lcp_rate = milliseconds(1500);
        config.l2tp.outgoing[2].comment = Some("another word".to_owned());
        config.l2tp.outgoing[2]
            .routes
            .push(Prefix::new(Ipv4Addr::new(192, 168, 77, 0), 24));
    });
    assert_eq!(reloaded.outgoing.changed, ["head2"]);
    assert_eq!(reloaded.outgoing.adjusted, ["head3"]);
    extend(&mut sent, world.traffic_for(seconds(5)));
    assert!(world.all_up());
    world.assert_all_delivered(&sent);
    world.assert_untouched(REMOTE, &before, &["L2TP-remote-1", "L2TP-remote-3"]);
    assert_ne!(
        world.links(REMOTE)["L2TP-remote-2"].0,
        before["L2TP-remote-2"].0
    );
    let far = Ipv4Addr::new(192, 168, 77, 1);
    let hop = world.sites[REMOTE].workers.route(far);
    assert!(matches!(hop, Some(NextHop::Set(_))), "{hop:?}");
    world.assert_mirrored(REMOTE);
    world.assert_none_refused();
}

#[test]
fn a_password_that_changes_at_both_ends_costs_that_link_alone() {
    let mut world = pair(65);
    let (at_head, at_remote) = (world.links(HEAD), world.links(REMOTE));
    let mut sent = world.traffic_for(seconds(1));
    let secret = || Secret::new("a better one".to_owned());
    let reloaded = world.change(HEAD, |config| {
        config.l2tp.incoming[0].matches[1].password = secret();
    });
    assert_eq!(
        (reloaded.matches.changed, reloaded.incoming),
        (names(&["remote.2"]), Default::default())
    );
    assert_eq!(world.members(HEAD), LINKS - 1);
    world.change(REMOTE, |config| config.l2tp.outgoing[1].password = secret());
    extend(&mut sent, world.traffic_for(seconds(5)));
    assert!(world.all_up());
    world.assert_all_delivered(&sent);
    world.assert_untouched(HEAD, &at_head, &["remote.1", "remote.3"]);
    world.assert_untouched(REMOTE, &at_remote, &["L2TP-remote-1", "L2TP-remote-3"]);
}

#[test]
fn a_match_that_is_removed_sends_its_link_away() {
    let mut world = pair(66);
    let before = world.links(HEAD);
    let whole = world.sites[HEAD].config.clone();
    let mut sent = world.traffic_for(seconds(1));
    let reloaded = world.change(HEAD, |config| {
        config.l2tp.incoming[0].matches.remove(0);
    });
    assert_eq!(reloaded.matches.removed, ["remote.1"]);
    extend(&mut sent, world.traffic_for(seconds(20)));
    assert_eq!(world.members(HEAD), LINKS - 1);
    world.assert_untouched(HEAD, &before, &["remote.2", "remote.3"]);
    world.reload(HEAD, whole);
    // A peer that was refused is not in a hurry.
    assert!(world.run_until(seconds(70), World::all_up).is_some());
    world.assert_untouched(HEAD, &before, &["remote.2", "remote.3"]);
    world.assert_all_delivered(&sent);
    world.assert_none_refused();
}

/// One `incoming` for two remotes, each with a set of its own. Without the first one's logins,
/// callers are expected to be of another set than before; a link of the other remote that comes
/// back belongs to the others all the same.
#[test]
fn a_remote_that_is_removed_leaves_the_other_whole() {
    let mut configs = two_remotes();
    configs[HEAD].ha_sets.extend([set("B"), set("C")]);
    let logins = &mut configs[HEAD].l2tp.incoming[0].matches;
    for login in &mut logins[3..] {
        login.ha_set = Some(1);
    }
    logins.push(Match {
        graph: "nobody".to_owned(),
        username: "nobody".to_owned(),
        remote_ip: Ipv4Addr::new(192, 168, 1, 4),
        ha_set: Some(2),
        ..logins[0].clone()
    });
    let mut world = up(67, configs);
    assert_eq!((world.members(HEAD), world.members(OTHER)), (6, 3));
    let before = world.links(HEAD);
    let reloaded = world.change(HEAD, |config| {
        let logins = &mut config.l2tp.incoming[0].matches;
        logins.drain(..3);
        logins.rotate_right(1);
        config.ha_sets.remove(0);
        for login in logins {
            login.ha_set = login.ha_set.map(|set| set - 1);
        }
    });
    assert_eq!(reloaded.matches.removed.len(), 3);
    assert_eq!(reloaded.ha_sets.removed, ["A"]);
    let others = ["other.0", "other.1", "other.2"];
    world.assert_untouched(HEAD, &before, &others);
    let now = world.now;
    world.engine_mut(OTHER).kick(now, "head2").unwrap();
    world.run_for(seconds(6));
    assert_eq!((world.members(HEAD), world.members(OTHER)), (3, 3));
    world.assert_untouched(HEAD, &before, &["other.0", "other.2"]);
    let status = world.engine(HEAD).status(world.now);
    let sets = status.sets.iter();
    let sets: Vec<_> = sets
        .map(|set| (set.name.as_str(), set.members.len()))
        .collect();
    assert_eq!(sets, [("B", 3)]);
    world.assert_mirrored(HEAD);
    // It would call again and again.
    world.kill(REMOTE);
    world.run_for(seconds(100));
    assert_eq!(
        world.engine(HEAD).groups.iter().count(),
        1,
        "the former one is forgotten"
    );
    assert_eq!(world.engine(HEAD).sets.iter().count(), 1);
}

/// Who has not logged in yet does so as whoever has that name then.
#[test]
fn logins_that_are_under_way_find_their_places() {
    for (wait_ms, seed) in (600..3000).step_by(150).zip(0..) {
        println!("after {wait_ms} ms");
        let mut world = World::new(seed);
        for line in &mut world.lines {
            line.delay = milliseconds(150);
        }
        world.run_for(milliseconds(wait_ms));
        world.change(HEAD, |config| config.l2tp.incoming[0].matches.reverse());
        assert!(world.run_until(seconds(20), World::all_up).is_some());
        world.assert_placed(HEAD);
        let sent = world.traffic_for(seconds(1));
        world.assert_all_delivered(&sent);
    }
}

/// The address that names a remote is another: it is another remote, and its box, which is the
/// same process still, is let in.
#[test]
fn a_remote_that_gets_another_address_comes_back() {
    let mut world = pair(68);
    let reloaded = world.change(HEAD, |config| {
        for login in &mut config.l2tp.incoming[0].matches {
            login.remote_ip = Ipv4Addr::new(192, 168, 1, 9);
        }
    });
    assert_eq!(reloaded.matches.changed.len(), LINKS);
    assert!(world.run_until(seconds(10), World::all_up).is_some());
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
    let status = world.engine(HEAD).status(world.now);
    assert_eq!(
        (status.sets.len(), status.sets[0].remote.as_str()),
        (1, "192.168.1.9")
    );
    world.run_for(seconds(45));
    world.assert_nothing_leaked(HEAD, LINKS, 1);
}

#[test]
fn a_set_with_another_name_is_another_set() {
    let mut world = pair(69);
    let before = world
        .engine(REMOTE)
        .sets
        .iter()
        .next()
        .unwrap()
        .ours
        .clone();
    let reloaded = world.change(REMOTE, |config| config.ha_sets[0].name = "Z".to_owned());
    assert_eq!(
        (&reloaded.ha_sets.added, &reloaded.ha_sets.removed),
        (&names(&["Z"]), &names(&["A"]))
    );
    assert_eq!(reloaded.outgoing.changed.len(), LINKS);
    assert!(world.run_until(seconds(10), World::all_up).is_some());
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
    world.run_for(seconds(45));
    world.assert_nothing_leaked(HEAD, LINKS, 1);
    world.assert_nothing_leaked(REMOTE, LINKS, 1);
    let now = world
        .engine(REMOTE)
        .sets
        .iter()
        .next()
        .unwrap()
        .ours
        .clone();
    assert!(now.instance != before.instance && now.epoch != before.epoch);
    let status = world.engine(REMOTE).status(world.now);
    assert_eq!(
        status
            .sets
            .iter()
            .map(|set| set.name.as_str())
            .collect::<Vec<_>>(),
        ["Z"]
    );
}

#[test]
fn what_a_set_is_for_itself_changes_under_its_links() {
    let mut remote = config("remote");
    let ordering = Ordering {
        max_delay: milliseconds(20),
        adaptive: true,
    };
    remote.ha_sets[0].ordering = Some(ordering);
    let mut world = up(70, vec![config("head"), remote]);
    let before = world.links(REMOTE);
    let reloaded = world.change(REMOTE, |config| {
        let set = &mut config.ha_sets[0];
        set.mtu = 1400;
        set.grace = seconds(3);
        set.ordering = Some(Ordering {
            max_delay: milliseconds(7),
            adaptive: false,
        });
    });
    assert_eq!(reloaded.lines(), ["ha-sets: A adjusted in place"]);
    let all: Vec<&str> = before.keys().map(String::as_str).collect();
    world.assert_untouched(REMOTE, &before, &all);
    let spec = world.sites[REMOTE].workers.sets.values().next().unwrap();
    let ordering = spec.ordering.unwrap();
    assert_eq!(
        (spec.mtu, ordering.max_delay_us, ordering.adaptive),
        (1400, 7000, false)
    );
    world.change(REMOTE, |config| config.ha_sets[0].ordering = None);
    let spec = world.sites[REMOTE].workers.sets.values().next().unwrap();
    assert!(spec.ordering.is_none());
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
    world.assert_mirrored(REMOTE);
    // A link that leaves now has the time that the file says now.
    let now = world.clock(REMOTE);
    world.engine_mut(REMOTE).kick(now, "head1").unwrap();
    let links = world.engine(REMOTE).links.values();
    let until: Vec<_> = links
        .filter_map(|link| match link.phase {
            Phase::Leaving { until } => Some(until),
            _ => None,
        })
        .collect();
    assert_eq!(until, [now + seconds(3)]);
}

/// What is left of a set that the configuration has no more knows its own grace time.
#[test]
fn a_stop_right_after_the_last_set_has_gone_is_a_clean_one() {
    let mut world = pair(75);
    let reloaded = world.change(REMOTE, |config| {
        config.ha_sets.clear();
        config.l2tp.outgoing.truncate(1);
        config.l2tp.outgoing[0].ha_set = None;
    });
    assert_eq!(reloaded.ha_sets.removed, ["A"]);
    let leaving = |world: &World| {
        let links = world.engine(REMOTE).links.values();
        links.filter(|link| link.is_leaving()).count()
    };
    assert_eq!(leaving(&world), LINKS);
    world.shut_down(REMOTE);
    world.run_for(seconds(1));
    assert!(world.engine(REMOTE).is_shut_down());
    assert_eq!(world.members(HEAD), 0);
}

#[test]
fn what_takes_a_restart_is_named_and_nothing_happens() {
    let mut world = pair(71);
    let before = world.links(REMOTE);
    let mut changed = world.sites[REMOTE].config.clone();
    changed.l2tp.outgoing.pop();
    changed.ports[1].device = crate::config::Device::Interface("eth7".to_owned());
    changed.ha_sets[0].ordering = Some(Ordering {
        max_delay: milliseconds(7),
        adaptive: false,
    });
    changed.ha_sets[0].mtu += 1;
    let why = world.engine_mut(REMOTE).difference(&changed).unwrap_err();
    assert_eq!(
        why,
        "ports, ha-sets[A].mtu, ha-sets[A].ordering: changed, which takes a restart; nothing was applied"
    );
    world.run_for(seconds(1));
    assert!(world.all_up());
    let all: Vec<&str> = before.keys().map(String::as_str).collect();
    world.assert_untouched(REMOTE, &before, &all);
}

#[test]
fn links_that_are_half_open_or_leave_find_their_places() {
    let whole = config("remote");
    for seed in crate::seeds::seeds(20) {
        println!("seed {seed}");
        let mut world = World::new(seed);
        // Some are still being set up, and some have been ended just now.
        world.run_for(milliseconds(seed * 7));
        if seed % 3 == 0 {
            world.dropped_message_type = Some(ICRP);
        }
        for step in 0..6u64 {
            world.run_for(milliseconds(40 * ((seed + step) % 4)));
            let now = world.now;
            if step % 2 == 0 {
                world.engine_mut(REMOTE).kick(now, "L2TP-remote-3").unwrap();
            }
            let site = if (seed + step) % 3 == 0 { HEAD } else { REMOTE };
            match (site, step % 3) {
                (HEAD, 0) => world.change(HEAD, |config| config.l2tp.incoming[0].matches.reverse()),
                (HEAD, 1) => world.change(HEAD, |config| config.l2tp.incoming[0].lcp_rate *= 2),
                (HEAD, _) => world.reload(HEAD, shuffled(config("head"))),
                (_, 0) => world.change(REMOTE, |config| drop(config.l2tp.outgoing.remove(1))),
                (_, 1) => world.reload(REMOTE, shuffled(whole.clone())),
                _ => world.change(REMOTE, |config| config.l2tp.outgoing.clear()),
            };
            // Looks at everything there is.
            for site in [HEAD, REMOTE] {
                let now = world.clock(site);
                let _ = (
                    world.engine(site).status(now),
                    world.engine(site).capture_names(),
                );
            }
            world.reload(REMOTE, whole.clone());
        }
        world.dropped_message_type = None;
        assert!(
            world.run_until(seconds(70), World::all_up).is_some(),
            "seed {seed}"
        );
        let sent = world.traffic_for(seconds(1));
        world.assert_all_delivered(&sent);
        world.run_for(seconds(130));
        for site in [HEAD, REMOTE] {
            world.assert_mirrored(site);
            world.assert_only(site, LINKS, true);
        }
    }
}

fn on_line(line: u8) -> Vec<IpAddr> {
    vec![Ipv4Addr::new(10, line, 0, 1).into()]
}

/// The address of a name that is being looked up is for the tunnel that asked, if that is
/// still there.
#[test]
fn an_address_that_was_asked_for_before_goes_to_no_other_tunnel() {
    let mut before = config("remote");
    for (line, outgoing) in before.l2tp.outgoing.iter_mut().enumerate() {
        outgoing.server = Server::Name(format!("head{line}.example.net"));
    }
    let ports = (0..4u16).map(|id| PortFacts {
        id: PortId(id),
        mac: [2, 0, 0, 0, 0, id as u8],
        mtu: 1500,
        carrier: None,
    });
    let now = Duration::ZERO;
    let mut engine = Engine::new(now, before.clone(), ports.collect(), [7; 32]);
    engine.handle_timeout(now);
    let mut lookups = Vec::new();
    while let Some(output) = engine.poll_output() {
        if let Output::Resolve { lookup, name } = output {
            lookups.push((name, lookup));
        }
    }
    assert_eq!(lookups.len(), LINKS);
    let mut after = before;
    after.l2tp.outgoing.remove(0);
    after.l2tp.outgoing.reverse();
    let difference = engine.difference(&after).unwrap();
    engine.reload(now, after, &difference);
    for (line, (_, lookup)) in (1..).zip(&lookups) {
        engine.handle_resolved(now, *lookup, Ok(on_line(line)));
    }
    let dialled = |engine: &Engine| {
        let tunnels = engine.by_tunnel.iter().map(|(&tunnel, dialled)| {
            let info = engine.endpoint.tunnel(tunnel).unwrap();
            let name = engine.config.l2tp.outgoing[dialled.outgoing].name.clone();
            (name, info.peer.ip())
        });
        tunnels.collect::<BTreeMap<_, _>>()
    };
    let expected = [("head2", 2), ("head3", 3)];
    let expected = expected.map(|(name, line)| (name.to_owned(), on_line(line)[0]));
    assert_eq!(dialled(&engine), expected.into());
}

#[test]
fn static_routes_and_neighbours_come_and_go() {
    let mut world = pair(72);
    let far = Ipv4Addr::new(192, 168, 50, 0);
    let to = Prefix::new(far, 24);
    let route = |via| Route { to, via, table: 0 };
    let hop = |world: &World| world.sites[REMOTE].workers.route(far);
    let before = world.links(REMOTE);
    assert_eq!(hop(&world), None);
    let routes = [
        Some(Via::Blackhole),
        Some(Via::HaSet(0)),
        Some(Via::Interface(0)),
        None,
        Some(Via::HaSet(0)),
        None,
    ];
    for via in routes {
        let reloaded = world.change(REMOTE, |config| {
            config.routes = via.map(route).into_iter().collect();
        });
        assert_eq!(reloaded.routes, 1);
        match (via, hop(&world)) {
            (None, None)
            | (Some(Via::Blackhole), Some(NextHop::Blackhole))
            | (Some(Via::HaSet(0)), Some(NextHop::Set(_)))
            | (Some(Via::Interface(0)), Some(NextHop::Interface { .. })) => {}
            wrong => panic!("{wrong:?}"),
        }
        world.assert_mirrored(REMOTE);
    }
    let neighbour = |last| Neighbour {
        interface: 0,
        address: Ipv4Addr::new(192, 168, 2, 7).into(),
        mac: [2, 0, 0, 0, 7, last],
    };
    let known = |world: &World| {
        let status = world.engine(REMOTE).status(world.now);
        let known = status.neighbours.into_iter();
        known.filter_map(|it| it.mac).collect::<Vec<_>>()
    };
    for neighbours in [vec![neighbour(1)], vec![neighbour(2)], vec![]] {
        let wanted: Vec<String> = neighbours
            .iter()
            .map(|it| crate::engine::display_mac(it.mac))
            .collect();
        let reloaded = world.change(REMOTE, |config| config.neighbours = neighbours);
        assert_eq!((reloaded.neighbours, known(&world)), (1, wanted));
    }
    let all: Vec<&str> = before.keys().map(String::as_str).collect();
    world.assert_untouched(REMOTE, &before, &all);
}

/// Who may come in is looked at tunnel by tunnel: the others stay.
#[test]
fn who_is_no_longer_let_in_goes() {
    let mut world = pair(73);
    let before = world.links(HEAD);
    let net = |line| Prefix::new(Ipv4Addr::new(10, line, 0, 0), 24);
    let reloaded = world.change(HEAD, |config| {
        config.l2tp.incoming[0].allow = vec![net(1), net(3), net(9)];
    });
    assert_eq!(reloaded.incoming.adjusted, ["remote"]);
    world.run_for(seconds(10));
    assert_eq!(world.members(HEAD), LINKS - 1);
    world.assert_untouched(HEAD, &before, &["remote.1", "remote.3"]);
    world.change(HEAD, |config| config.l2tp.incoming[0].allow.clear());
    assert!(world.run_until(seconds(30), World::all_up).is_some());
    world.assert_untouched(HEAD, &before, &["remote.1", "remote.3"]);
}

/// IPv6 is negotiated only where something of it may be routed.
#[test]
fn links_that_are_to_carry_another_family_are_set_up_anew() {
    let mut world = pair(74);
    let far = Prefix::new(std::net::Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 0), 64);
    let reloaded = world.change(REMOTE, |config| {
        config.l2tp.outgoing[1].routes.push(far);
    });
    assert_eq!(
        (reloaded.outgoing.changed, reloaded.outgoing.adjusted),
        (names(&["head2"]), vec![])
    );
    let reloaded = world.change(REMOTE, |config| {
        config.l2tp.outgoing[1].routes.pop();
    });
    assert_eq!(
        (reloaded.outgoing.changed, reloaded.outgoing.adjusted),
        (vec![], names(&["head2"]))
    );
}

/// What it is looked at by is the link, not what the file said before.
#[test]
fn links_that_offer_another_family_already_are_given_its_routes() {
    let far = Prefix::new(std::net::Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 0), 64);
    let (mut head, mut remote) = (config("head"), config("remote"));
    // One login is enough for all callers: which one calls is not known at first.
    head.l2tp.incoming[0].matches[0].routes.push(far);
    remote.l2tp.outgoing[1].routes.push(far);
    let mut world = up(82, vec![head, remote]);
    let (at_head, at_remote) = (world.links(HEAD), world.links(REMOTE));
    let reloaded = world.change(HEAD, |config| {
        config.l2tp.incoming[0].matches[1].routes.push(far);
    });
    assert_eq!(
        (reloaded.matches.changed, reloaded.matches.adjusted),
        (vec![], names(&["remote.2"]))
    );
    for _ in 0..2 {
        world.change(REMOTE, |config| {
            config.l2tp.outgoing[1].routes.retain(|it| *it != far);
        });
        let reloaded = world.change(REMOTE, |config| {
            config.l2tp.outgoing[1].routes.push(far);
        });
        assert_eq!(
            (reloaded.outgoing.changed, reloaded.outgoing.adjusted),
            (vec![], names(&["head2"]))
        );
    }
    for (site, before) in [(HEAD, &at_head), (REMOTE, &at_remote)] {
        let all: Vec<&str> = before.keys().map(String::as_str).collect();
        assert_eq!(all.len(), LINKS);
        world.assert_untouched(site, before, &all);
        world.assert_mirrored(site);
    }
}

/// Does something to every link but the first, or to none.
fn edit_others(rng: &mut StdRng, mut config: Config) -> Config {
    if rng.random() {
        config = shuffled(config);
    }
    let mut is_edited = |name: &str, chance| !name.ends_with('1') && rng.random_bool(chance);
    let l2tp = &mut config.l2tp;
    l2tp.outgoing.retain(|of| !is_edited(&of.name, 0.3));
    for of in &mut l2tp.outgoing {
        if is_edited(&of.name, 0.3) {
            of.lcp_timeout += seconds(1);
        }
        if is_edited(&of.name, 0.2) {
            of.routes.clear();
        }
    }
    for login in l2tp.incoming.iter_mut().map(|of| &mut of.matches) {
        login.retain(|login| !is_edited(&login.graph, 0.2));
        for login in login {
            if is_edited(&login.graph, 0.2) {
                login.password = Secret::new("wrong".to_owned());
            }
        }
    }
    config
}

/// Whatever becomes of the others meanwhile.
#[test]
fn a_link_that_is_kept_carries_everything() {
    for seed in crate::seeds::seeds(20) {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = pair(seed);
        world.lag = milliseconds(rng.random_range(0..20));
        let before = [world.links(HEAD), world.links(REMOTE)];
        let files = [config("head"), config("remote")];
        let mut sent = [Vec::new(), Vec::new()];
        for _ in 0..10 {
            let site = rng.random_range(0..2);
            let edited = edit_others(&mut rng, files[site].clone());
            world.follow(site, edited);
            extend(
                &mut sent,
                world.traffic_for(milliseconds(rng.random_range(5..1500))),
            );
        }
        world.run_for(seconds(1));
        world.assert_all_delivered(&sent);
        world.assert_none_refused();
        let name = ["remote.1", "L2TP-remote-1"];
        for site in [HEAD, REMOTE] {
            world.assert_untouched(site, &before[site], &[name[site]]);
        }
    }
}
