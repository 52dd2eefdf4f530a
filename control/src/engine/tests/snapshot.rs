//! A status that is written in pieces.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::remotes::two_remotes;
use super::world::{HEAD, LINKS, REMOTE, World, config, milliseconds, remote_at, seconds};
use crate::config::{Config, Incoming};
use crate::engine::link::{Origin, Phase};
use crate::engine::{Engine, Snapshot};
use crate::management::status::{Role, Status, Tunnel};
use crate::seeds::seeds;

/// Writes so many lines at most, and says whether it is whole.
fn write(engine: &Engine, now: Duration, snapshot: &mut Snapshot, lines: usize) -> bool {
    let mut written = 0;
    let whole = engine.continue_snapshot(now, snapshot, || {
        written += 1;
        written < lines
    });
    assert!(written <= lines, "{written} lines");
    whole
}

/// Another `incoming` like the head's, by which nobody comes.
fn nobodys(head: &Config) -> Incoming {
    let mut incoming = head.l2tp.incoming[0].clone();
    incoming.name = "nobody".to_owned();
    for login in &mut incoming.matches {
        login.graph = format!("nobody's {}", login.graph);
    }
    incoming
}

#[test]
fn in_pieces_of_any_size_it_says_the_same() {
    let mut configs = two_remotes();
    let another = nobodys(&configs[HEAD]);
    configs[HEAD].l2tp.incoming.push(another);
    let mut world = World::of(1, configs);
    world.run_for(seconds(5));
    world.traffic_for(seconds(1));
    for (site, far_ends) in [(HEAD, 2), (REMOTE, 1)] {
        let engine = world.engine(site);
        let whole = engine.status(world.now);
        let links = if site == HEAD { 4 * LINKS } else { LINKS };
        assert_eq!((whole.sessions.len(), whole.sets.len()), (links, far_ends));
        assert_eq!(whole.tunnels.len(), far_ends * LINKS);
        assert!(whole.routes.len() > far_ends);
        for lines in [1, 2, 3, 5, 1000] {
            let mut snapshot = Snapshot::default();
            let mut pieces = 1;
            while !write(engine, world.now, &mut snapshot, lines) {
                pieces += 1;
            }
            assert_eq!(snapshot.into_status(), whole, "{lines} lines at a time");
            let all = whole.sessions.len() + whole.sets.len() + whole.tunnels.len();
            assert!(pieces * lines > all + whole.routes.len(), "{pieces}");
        }
    }
}

#[test]
fn it_begins_anew_with_another_configuration() {
    let mut world = World::new(2);
    world.run_for(seconds(5));
    let mut snapshot = Snapshot::default();
    for _ in 0..3 {
        assert!(!write(world.engine(REMOTE), world.now, &mut snapshot, 1));
    }
    world.change(REMOTE, |config| {
        config.l2tp.outgoing.remove(0);
    });
    let engine = world.engine(REMOTE);
    while !write(engine, world.now, &mut snapshot, 1) {}
    assert_eq!(snapshot.into_status(), engine.status(world.now));
}

#[test]
fn each_line_is_of_the_moment_in_which_it_is_written() {
    let mut world = World::new(6);
    world.run_for(seconds(5));
    let mut snapshot = Snapshot::default();
    let now = world.clock(REMOTE);
    assert!(!write(world.engine(REMOTE), now, &mut snapshot, 1));
    world.engine_mut(REMOTE).kick(now, "head1").unwrap();
    world.run_for(seconds(2));
    let (engine, now) = (world.engine(REMOTE), world.clock(REMOTE));
    assert!(write(engine, now, &mut snapshot, 1000));
    let status = snapshot.into_status();
    assert_eq!(status, engine.status(now));
    assert_eq!(status.uptime_s, now.as_secs());
}

/// A former link's figures stay those of its graph when it goes while the status is written, and another one has its id then.
#[test]
fn a_former_link_that_goes_meanwhile_counts_once() {
    let mut world = World::new(5);
    world.run_for(seconds(5));
    world.traffic_for(seconds(1));
    let former = world.engine(REMOTE).links.ids().min().unwrap();
    world.change(REMOTE, |config| {
        config.l2tp.outgoing[0].name = "isp1".to_owned();
    });
    let is_former = |world: &World| {
        let link = world.engine(REMOTE).links.get(&former);
        link.is_some_and(|link| link.origin == Origin::Former)
    };
    assert!(is_former(&world));
    let mut snapshot = Snapshot::default();
    let now = world.clock(REMOTE);
    assert!(!write(world.engine(REMOTE), now, &mut snapshot, 1));
    assert!(
        world
            .run_until(seconds(30), |world| !is_former(world))
            .is_some()
    );
    let now = world.clock(REMOTE);
    world.engine_mut(REMOTE).kick(now, "head2").unwrap();
    let anew = world.run_until(seconds(30), |world| {
        let link = world.engine(REMOTE).links.get(&former);
        link.is_some_and(|link| link.is_open())
    });
    assert!(anew.is_some(), "its id is used again");
    world.traffic_for(seconds(1));
    let (engine, now) = (world.engine(REMOTE), world.clock(REMOTE));
    while !write(engine, now, &mut snapshot, 1) {}
    let status = engine.status(now);
    assert_eq!(carried(&snapshot.into_status()), carried(&status));
}

/// What each link has carried.
fn carried(status: &Status) -> BTreeMap<String, [u64; 4]> {
    let links = status.sessions.iter().map(|link| {
        let carried = [
            link.sent_packets,
            link.received_packets,
            link.unique_packets,
            link.echo_sent,
        ];
        (link.name.clone(), carried)
    });
    links.collect()
}

/// Tunnels and routes come and go while they are written.
fn assert_tables_are_whole(status: &Status) {
    let routes: BTreeSet<_> = status.routes.iter().map(|it| (it.table, &it.to)).collect();
    assert_eq!(routes.len(), status.routes.len(), "{:?}", status.routes);
    let lan = status.routes.iter().any(|it| it.origin == "connected");
    assert!(lan, "there all the time: {:?}", status.routes);
    let dialled = |it: &&Tunnel| it.role == Role::Outgoing;
    let names = status.tunnels.iter().filter(dialled).map(|it| &it.name);
    let names: Vec<&String> = names.collect();
    assert!(names.is_empty() || names == ["head1", "head2", "head3"]);
    let lingers = |it: &Tunnel| it.state == "idle" && it.next_attempt_s.is_some();
    assert!(!status.tunnels.iter().any(lingers), "{:?}", status.tunnels);
    let ids = status.tunnels.iter().map(|it| it.local_tunnel_id);
    let ids: Vec<u16> = ids.filter(|&id| id != 0).collect();
    let different: BTreeSet<u16> = ids.iter().copied().collect();
    assert_eq!(different.len(), ids.len(), "{:?}", status.tunnels);
}

/// Links come and go while it is written: each is there once, with all that it ever carried.
#[test]
fn whatever_happens_meanwhile_nothing_is_missing_or_twice() {
    for seed in seeds(4) {
        println!("seed {seed}");
        let mut world = World::new(seed);
        world.run_for(seconds(5));
        let mut before = BTreeMap::new();
        for round in 0..12 {
            world.cut(std::array::from_fn(|link| round % (LINKS + 1) == link));
            let mut snapshots = [Snapshot::default(), Snapshot::default()];
            let mut whole = [false; 2];
            while whole != [true; 2] {
                for site in [HEAD, REMOTE] {
                    let (engine, now) = (world.engine(site), world.clock(site));
                    whole[site] = write(engine, now, &mut snapshots[site], 1);
                }
                world.traffic_for(milliseconds(400));
            }
            let now = world.clock(REMOTE);
            let name = ["head1", "head2", "head3"][round % LINKS];
            // One that is down already is no matter.
            let _ = world.engine_mut(REMOTE).kick(now, name);
            for (site, snapshot) in snapshots.into_iter().enumerate() {
                let status = snapshot.into_status();
                assert_eq!(status.sessions.len(), LINKS, "links at {site}");
                assert_eq!(status.sets.len(), 1, "sets at {site}");
                assert_tables_are_whole(&status);
                for (name, carried) in carried(&status) {
                    let key = (site, name);
                    if let Some(before) = before.get(&key) {
                        let grown = carried
                            .iter()
                            .zip(before)
                            .all(|(now, before)| now >= before);
                        assert!(grown, "{key:?}: {before:?}, then {carried:?}");
                    }
                    before.insert(key, carried);
                }
            }
        }
        assert_eq!(before.len(), 2 * LINKS, "all links, at both ends");
        let mut carried = before.values().flatten();
        assert!(carried.all(|&count| count > 0), "{before:?}");
    }
}

/// Whatever their ids and their age: ids are used again.
#[test]
fn a_box_that_comes_with_the_credentials_of_another_is_not_shown_in_its_place() {
    let configs = vec![config("head"), config("remote"), remote_at(3, 2)];
    let twin = configs.len() - 1;
    for ids_are_free in [false, true] {
        let mut world = World::stopped(3, configs.clone());
        world.start(HEAD);
        world.start(REMOTE);
        world.run_for(seconds(5));
        if ids_are_free {
            for name in ["head1", "head2", "head3"] {
                let now = world.clock(REMOTE);
                world.engine_mut(REMOTE).kick(now, name).unwrap();
                world.run_for(seconds(60));
            }
        }
        world.start(twin);
        let held = |world: &World| {
            let mut links = world.engine(HEAD).links.values();
            let held = links.find(|link| matches!(link.phase, Phase::Held { .. }))?;
            Some((held.id, held.origin))
        };
        let came = world.run_until(seconds(3), |world| held(world).is_some());
        assert!(came.is_some(), "the first is asked whether it lives");
        let (id, origin) = held(&world).unwrap();
        let engine = world.engine(HEAD);
        let open = engine.links.of_origin(origin).find(|link| link.is_open());
        let open = open.expect("the first is there");
        assert_eq!(open.id > id, ids_are_free, "{id:?}");
        let status = engine.status(world.clock(HEAD));
        let name = engine.link_name(id);
        let shown = status.sessions.iter().find(|line| line.name == name);
        let shown = shown.map(|line| (&*line.state, line.local_session_id));
        assert_eq!(shown, Some(("up", open.spec.local_session)));
    }
}

/// Two boxes come with the same credentials at once, and neither's link is open yet.
#[test]
fn of_links_that_carry_nothing_the_newest_is_shown() {
    let configs = vec![config("head"), config("remote"), remote_at(3, 2)];
    let mut seen = 0;
    for seed in seeds(5) {
        println!("seed {seed}");
        let mut world = World::of(seed, configs.clone());
        for _ in 0..500 {
            world.run_for(milliseconds(2));
            let engine = world.engine(HEAD);
            let status = engine.status(world.clock(HEAD));
            for line in &status.sessions {
                let alive = engine
                    .links
                    .values()
                    .filter(|link| engine.link_name(link.id) == line.name && !link.is_leaving());
                let alive: Vec<_> = alive.collect();
                if alive.len() > 1 && !alive.iter().any(|link| link.is_open()) {
                    let newest = alive.iter().max_by_key(|link| link.call).unwrap();
                    assert_eq!(line.local_session_id, newest.spec.local_session);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 0, "it never happened");
}
