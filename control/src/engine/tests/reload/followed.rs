//! What follows a reload besides links: figures by their names, neighbours, sets and routes.

use super::*;

impl World {
    /// Packets that a site says a graph has received.
    fn received(&self, site: usize, graph: &str) -> u64 {
        let status = self.engine(site).status(self.clock(site));
        let mut sessions = status.sessions.iter();
        let session = sessions.find(|session| session.name == graph);
        session.map_or(0, |session| session.received_packets)
    }
}

/// A link that is removed and added again has not carried what the one before carried.
#[test]
fn what_a_name_carried_is_forgotten_with_it() {
    let mut world = pair(76);
    let graph = "L2TP-remote-1";
    world.traffic_for(seconds(1));
    let before = world.received(REMOTE, graph);
    assert!(before > 20, "{before}");
    let whole = world.sites[REMOTE].config.clone();
    world.change(REMOTE, |config| drop(config.l2tp.outgoing.remove(0)));
    world.run_for(seconds(10));
    world.reload(REMOTE, whole.clone());
    assert_eq!(world.received(REMOTE, graph), 0);
    // With a session that has ended, and one that still leaves.
    assert!(world.run_until(seconds(70), World::all_up).is_some());
    world.traffic_for(seconds(1));
    let now = world.clock(REMOTE);
    world.engine_mut(REMOTE).kick(now, "head1").unwrap();
    world.run_for(seconds(20));
    assert!(world.all_up() && world.engine(REMOTE).history.contains_key(graph));
    world.change(REMOTE, |config| drop(config.l2tp.outgoing.remove(0)));
    world.run_for(milliseconds(500));
    assert!(!world.engine(REMOTE).history.contains_key(graph));
    let kept = "L2TP-remote-2";
    assert!(world.received(REMOTE, kept) > before);
}

/// Another name of the tunnel is no other graph: what it carried stands there all the time.
#[test]
fn a_graph_goes_on_under_another_tunnel() {
    let mut world = pair(77);
    let graph = "L2TP-remote-1";
    world.traffic_for(seconds(1));
    let mut least = world.received(REMOTE, graph);
    assert!(least > 20, "{least}");
    world.change(REMOTE, |config| {
        config.l2tp.outgoing[0].name = "isp1".to_owned();
    });
    let mut most = 0;
    for _ in 0..60 {
        let now = world.received(REMOTE, graph);
        assert!(now >= least, "{now} after {least}");
        most = most.max(now - least);
        least = now;
        world.run_for(milliseconds(100));
    }
    assert!(most < 20, "{most} at once");
    assert!(world.all_up());
}

/// What leaves does so under the name that it had, and nothing of it is the new graph's.
#[test]
fn a_graph_with_another_name_begins_at_nothing() {
    let mut world = pair(78);
    world.traffic_for(seconds(1));
    world.change(REMOTE, |config| {
        config.l2tp.outgoing[0].graph = "one".to_owned();
    });
    assert_eq!(world.received(REMOTE, "one"), 0);
    world.run_for(seconds(10));
    assert!(world.all_up());
    assert_eq!(world.received(REMOTE, "one"), 0);
    let history = &world.engine(REMOTE).history;
    assert!(!history.contains_key("L2TP-remote-1"));
}

/// A host of the LAN asks for the hardware address of another one, which lives behind a tunnel.
#[test]
fn a_lan_is_answered_for_others_as_soon_as_it_forwards() {
    let mut remote = config("remote");
    let far = Ipv4Addr::new(192, 168, 2, 200);
    let to = Prefix::new(far, 32);
    let (via, table) = (Via::HaSet(0), 0);
    remote.routes.push(Route { to, via, table });
    remote.interfaces[0].forward = false;
    let mut world = up(79, vec![config("head"), remote]);
    let (host, mac) = ([192, 168, 2, 77], [2, 0, 0, 0, 7, 7]);
    let mut frame = vec![0xff; 6];
    frame.extend(mac);
    // RFC 826: a request, of Ethernet and IPv4.
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(host);
    frame.extend([0; 6]);
    frame.extend(far.octets());
    let answers = |world: &mut World| {
        let (now, frame) = (world.clock(REMOTE), frame.clone());
        let port = PortId(0);
        let engine = world.engine_mut(REMOTE);
        let before = engine.neighbours.counters().proxy_replies_sent;
        engine.handle_event(now, Event::Arp { port, frame });
        engine.neighbours.counters().proxy_replies_sent - before
    };
    for (forward, expected) in [(false, 0), (true, 1), (false, 0)] {
        world.change(REMOTE, |config| config.interfaces[0].forward = forward);
        assert_eq!(answers(&mut world), expected, "{forward}");
    }
}

/// Whether the size of TCP's segments is looked at is the set's, too.
#[test]
fn a_set_clamps_no_longer_than_its_tunnels_do() {
    let mut remote = config("remote");
    for outgoing in &mut remote.l2tp.outgoing {
        outgoing.tcp_mss_fix = false;
    }
    remote.l2tp.outgoing[0].tcp_mss_fix = true;
    let mut world = up(80, vec![config("head"), remote]);
    let clamps = |world: &World| {
        let sets = world.sites[REMOTE].workers.sets.values();
        sets.map(|set| set.tcp_mss_fix).collect::<Vec<_>>()
    };
    for fixed in [true, false, true] {
        let before = world.links(REMOTE);
        world.change(REMOTE, |config| {
            config.l2tp.outgoing[0].tcp_mss_fix = fixed;
        });
        assert!(world.run_until(seconds(10), World::all_up).is_some());
        assert_eq!(clamps(&world), [fixed]);
        world.assert_untouched(REMOTE, &before, &["L2TP-remote-2", "L2TP-remote-3"]);
    }
    world.change(REMOTE, |config| drop(config.l2tp.outgoing.remove(0)));
    assert_eq!(clamps(&world), [false]);
}

/// A prefix that leads elsewhere is never without a route: from the routes of the links to the
/// static ones and back, and from one set's links to another's, whichever comes first.
#[test]
fn a_prefix_that_moves_has_a_route_all_the_time() {
    let (mut head, mut remote) = (config("head"), config("remote"));
    for site in [&mut head, &mut remote] {
        site.ha_sets.push(set("B"));
    }
    head.l2tp.incoming[0].matches[2].ha_set = Some(1);
    remote.l2tp.outgoing[2].ha_set = Some(1);
    let far = Ipv4Addr::new(192, 168, 50, 0);
    let prefix = Prefix::new(far, 24);
    let mut world = World::of(81, vec![head, remote]);
    world.run_for(seconds(5));
    let statically = |via| {
        Some(Route {
            to: prefix,
            via,
            table: 0,
        })
    };
    let before = world.links(REMOTE);
    let steps = [
        (Some(0), None),
        (Some(2), None),
        (Some(0), None),
        (None, statically(Via::HaSet(0))),
        (Some(0), None),
        (None, statically(Via::HaSet(1))),
        (None, statically(Via::HaSet(0))),
        (Some(2), None),
        (None, statically(Via::Blackhole)),
        (Some(1), None),
    ];
    let mut hops = Vec::new();
    for (link, route) in steps {
        let mut config = world.sites[REMOTE].config.clone();
        for (place, of) in config.l2tp.outgoing.iter_mut().enumerate() {
            of.routes.retain(|route| *route != prefix);
            of.routes.extend((link == Some(place)).then_some(prefix));
        }
        config.routes = route.into_iter().collect();
        world.sites[REMOTE].config = config.clone();
        let now = world.clock(REMOTE);
        let engine = world.engine_mut(REMOTE);
        let difference = engine.difference(&config).unwrap();
        engine.reload(now, config, &difference);
        let is_removed = |output: &Output| match output {
            Output::Command(Command::RemoveRoute { prefix: gone, .. }) => *gone == prefix,
            _ => false,
        };
        assert!(!engine.outputs.iter().any(is_removed), "{link:?} {route:?}");
        world.carry_out(REMOTE);
        world.assert_mirrored(REMOTE);
        hops.push(
            world.sites[REMOTE]
                .workers
                .route(far)
                .expect("it leads somewhere"),
        );
    }
    let (a, b) = (hops[0], hops[1]);
    assert_ne!(a, b);
    assert_eq!(hops, [a, b, a, a, a, b, a, b, NextHop::Blackhole, a]);
    let all: Vec<&str> = before.keys().map(String::as_str).collect();
    assert_eq!(all.len(), LINKS);
    world.assert_untouched(REMOTE, &before, &all);
}

/// A set that never came up does not remember where it would have been routed.
#[test]
fn a_set_without_tunnels_is_of_no_table() {
    let mut remote = config("remote");
    for outgoing in &mut remote.l2tp.outgoing {
        outgoing.password = Secret::new("wrong".to_owned());
    }
    let mut world = World::of(83, vec![config("head"), remote.clone()]);
    world.run_for(seconds(5));
    let tables = |world: &World| {
        let sets = world.engine(REMOTE).sets.iter();
        sets.map(|set| set.payload_table.0).collect::<Vec<_>>()
    };
    assert_eq!((tables(&world), world.members(REMOTE)), (vec![0], 0));
    world.change(REMOTE, |config| config.l2tp.outgoing.clear());
    world.run_for(seconds(10));
    assert!(tables(&world).is_empty());
    for outgoing in &mut remote.l2tp.outgoing {
        outgoing.payload_table = 5;
    }
    world.reload(REMOTE, remote);
    world.run_for(seconds(5));
    assert_eq!(tables(&world), [5]);
}
