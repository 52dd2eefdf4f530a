//! A NAT that gives a link another port, and one who only pretends.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::workers::{PPP_IPV4, copy};
use super::world::{HEAD, REMOTE, World, milliseconds, seconds};

const REMOTE_ON_LINE_1: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2));
const HEAD_ON_LINE_1: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)), 1701);

fn behind_nat(seed: u64) -> World {
    let mut world = World::new(seed);
    world.map(REMOTE_ON_LINE_1, SocketAddr::new(REMOTE_ON_LINE_1, 40_001));
    world.run_for(seconds(5));
    assert!(world.all_up());
    world
}

fn peers(world: &World) -> Vec<SocketAddr> {
    let links = world.engine(HEAD).links.values();
    links.map(|link| link.spec.peer).collect()
}

#[test]
fn packets_follow_a_moved_peer_once_it_has_answered_there() {
    for with_traffic in [true, false] {
        let mut world = behind_nat(21);
        let sessions = world.engine(HEAD).links.ids().collect::<Vec<_>>();
        let moved = SocketAddr::new(REMOTE_ON_LINE_1, 40_002);
        for _ in 0..3 {
            world.map(REMOTE_ON_LINE_1, moved);
            if with_traffic {
                let sent = world.traffic_for(seconds(3));
                world.assert_all_delivered(&sent);
            } else {
                world.run_for(seconds(3));
            }
            assert!(peers(&world).contains(&moved), "{:?}", peers(&world));
            let before = world.to_old_mappings;
            world.traffic_for(seconds(20));
            assert_eq!(
                world.to_old_mappings, before,
                "the old mapping is not used any more"
            );
            let now = world.engine(HEAD).links.ids().collect::<Vec<_>>();
            assert_eq!(sessions, now, "no link was set up anew");
            // The tunnel's control messages come from there, too.
            world.run_for(seconds(120));
            world.map(REMOTE_ON_LINE_1, SocketAddr::new(REMOTE_ON_LINE_1, 40_001));
            world.run_for(seconds(3));
        }
        world.assert_none_twice();
        world.assert_none_refused();
        assert!(world.all_up());
    }
}

#[test]
fn a_spoofed_source_captures_nothing_and_is_asked_once_a_second_at_most() {
    let mut world = behind_nat(22);
    let before = peers(&world);
    let nobody = SocketAddr::new(Ipv4Addr::new(198, 51, 100, 66).into(), 1701);
    let workers = &world.sites[REMOTE].workers;
    let set = workers.sets.values().next().expect("one set");
    let member = workers
        .sessions
        .values()
        .find(|spec| spec.peer == HEAD_ON_LINE_1)
        .expect("line 1 is up");
    // What the attacker has seen on the line, under numbers of its own.
    let (set, member) = (Arc::clone(set), Arc::clone(member));
    let rounds = 100;
    for round in 0..rounds {
        let forged = copy(&set, &member, 1_000_000 + round, PPP_IPV4, u64::MAX - round);
        world.inject(nobody, HEAD_ON_LINE_1, forged);
        let mut reply = vec![0x00, 0x02];
        reply.extend(member.peer_tunnel.to_be_bytes());
        reply.extend(member.peer_session.to_be_bytes());
        // An Echo-Reply to an echo that nobody has sent.
        reply.extend([0xff, 0x03, 0xc0, 0x21, 10, 200, 0, 8, 1, 2, 3, 4]);
        world.inject(nobody, HEAD_ON_LINE_1, reply);
        world.traffic_for(milliseconds(100));
    }
    assert_eq!(peers(&world), before);
    assert!((5..=12).contains(&world.to_nobody), "{}", world.to_nobody);
    let asked = world.to_nobody;
    world.traffic_for(seconds(10));
    assert_eq!(world.to_nobody, asked, "who is silent is left alone");
    assert!(world.all_up());
}
