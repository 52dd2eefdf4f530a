//! What the operator ends by hand comes back, and costs no packet.

use super::world::{HEAD, LINKS, REMOTE, World, seconds};

fn kick(world: &mut World, site: usize, name: &str) -> (usize, usize) {
    let now = world.now;
    let kicked = world
        .engine_mut(site)
        .kick(now, name)
        .expect("something has this name");
    assert_eq!(kicked.name, name);
    (kicked.tunnels, kicked.sessions)
}

/// Every name of both ends, under traffic: the links that are left carry
/// everything, and what was kicked is back within seconds.
#[test]
fn whatever_is_kicked_comes_back_and_nothing_is_lost() {
    let names = [
        (REMOTE, "head1", (1, 0)),
        (REMOTE, "L2TP-remote-2", (0, 1)),
        (HEAD, "remote.3", (0, 1)),
    ];
    for (site, name, wanted) in names {
        let mut world = World::new(11);
        world.run_for(seconds(5));
        assert!(world.all_up());
        let mut sent = world.traffic_for(seconds(1));
        assert_eq!(kick(&mut world, site, name), wanted, "{name}");
        world.run_for(seconds(0));
        assert!(!world.all_up(), "{name} was not ended");
        let back = world.traffic_for(seconds(1));
        sent.iter_mut()
            .zip(back)
            .for_each(|(all, more)| all.extend(more));
        let waited = world.run_until(seconds(5), World::all_up);
        assert!(waited.is_some(), "{name} is not back");
        world.assert_all_delivered(&sent);
        world.assert_none_twice();
        world.assert_none_refused();
    }
}

#[test]
fn the_name_of_an_incoming_ends_all_that_came_in() {
    let mut world = World::new(12);
    world.run_for(seconds(5));
    let name = world.sites[HEAD].config.l2tp.incoming[0].name.clone();
    let (tunnels, _) = kick(&mut world, HEAD, &name);
    assert_eq!(tunnels, LINKS);
    assert_eq!(world.members(HEAD), 0);
    let waited = world.run_until(seconds(10), World::all_up);
    assert!(waited.is_some());
}

#[test]
fn a_name_that_nothing_has_is_refused_with_those_that_there_are() {
    let mut world = World::new(13);
    let now = world.now;
    let why = world
        .engine_mut(REMOTE)
        .kick(now, "haed1")
        .expect_err("a typo");
    assert!(why.contains("\"haed1\""), "{why}");
    assert!(why.contains("head1"), "{why}");
}

/// What we kicked is dialled again at once, and its last result says who did it.
#[test]
fn the_last_result_says_who_did_it() {
    let mut world = World::new(14);
    world.run_for(seconds(5));
    world.cut([true; LINKS]);
    let (now, name) = (world.now, "head1");
    kick(&mut world, REMOTE, name);
    let status = world.engine(REMOTE).status(now);
    let tunnel = status.tunnels.iter().find(|tunnel| tunnel.name == name);
    let tunnel = tunnel.expect("it is configured");
    assert_eq!(
        tunnel.last_result.as_deref(),
        Some("kicked by the operator")
    );
    assert_eq!(tunnel.next_attempt_s, Some(0));
}
