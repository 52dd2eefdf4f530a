//! A peer without HA never gets a packet twice.

use super::world::{HEAD, LINKS, REMOTE, World, config, host, milliseconds, seconds};
use crate::config::Config;
use crate::engine::group::Protection;
use dataplane::command::NextHop;

const ORDERS: [[usize; LINKS]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

/// Which end has no HA.
fn sites(without_ha: usize) -> Vec<Config> {
    let (mut head, mut remote) = (config("head"), config("remote"));
    if without_ha == HEAD {
        for login in &mut head.l2tp.incoming[0].matches {
            login.ha_set = None;
        }
    } else {
        for outgoing in &mut remote.l2tp.outgoing {
            outgoing.ha_set = None;
        }
    }
    vec![head, remote]
}

#[test]
fn a_peer_without_ha_gets_one_plain_session_and_the_others_stand_by() {
    let mut world = World::of(7, sites(HEAD));
    world.run_for(seconds(5));
    let route = world.sites[REMOTE].workers.route(host(1));
    assert!(matches!(route, Some(NextHop::Session(_))), "{route:?}");
    let mut groups = world.engine(REMOTE).groups.iter();
    let group = groups.next().expect("one group");
    assert_eq!(group.protection(), Protection::NoHa);
    assert_eq!(group.sessions().count(), 3);
}

/// Every order of links coming and going, seen from both ends: one copy of
/// each packet leaves, and it arrives at most once.
#[test]
fn no_order_of_links_coming_and_going_makes_duplicates() {
    for without_ha in [HEAD, REMOTE] {
        for (place, coming) in ORDERS.into_iter().enumerate() {
            for going in ORDERS {
                let mut world = World::of(place as u64, sites(without_ha));
                world.cut([true; LINKS]);
                for (link, cut) in coming
                    .map(|link| (link, false))
                    .into_iter()
                    .chain(going.map(|link| (link, true)))
                {
                    world.lines[link].cut = cut;
                    let case = (without_ha, coming, going, link, cut);
                    let sent = world.traffic_every(milliseconds(100), seconds(13));
                    let count = sent.iter().map(Vec::len).sum::<usize>() as u64;
                    assert_eq!(world.copies, count, "{case:?}");
                    world.copies = 0;
                    world.assert_none_twice();
                    world.assert_none_refused();
                    let sent = world.traffic_every(milliseconds(100), seconds(1));
                    let down = world.lines.iter().all(|line| line.cut);
                    assert_eq!(sent[HEAD].is_empty(), down, "{case:?}");
                    assert_eq!(sent[REMOTE].is_empty(), down, "{case:?}");
                    if !down {
                        world.assert_all_delivered(&sent);
                    }
                    world.copies = 0;
                }
            }
        }
    }
}

/// Some links agree on HA and one does not: the set carries, the plain one
/// stands by, and takes over alone when the set is gone.
#[test]
fn a_plain_session_beside_a_set_carries_only_without_it() {
    let (head, mut remote) = (config("head"), config("remote"));
    remote.l2tp.outgoing[2].ha_set = None;
    remote.l2tp.outgoing[2].routes = remote.l2tp.outgoing[0].routes.clone();
    let mut world = World::of(11, vec![head, remote]);
    world.run_for(seconds(5));
    assert_eq!(world.members(HEAD), 2);
    let route = |world: &World| world.sites[HEAD].workers.route(host(2));
    assert!(matches!(route(&world), Some(NextHop::Set(_))));
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
    world.cut([true, true, false]);
    world.run_for(seconds(10));
    assert!(matches!(route(&world), Some(NextHop::Session(_))));
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
    world.cut([false; 3]);
    world.run_for(seconds(20));
    assert!(matches!(route(&world), Some(NextHop::Set(_))));
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);
    world.assert_none_refused();
}

#[test]
fn sequence_numbers_are_sent_where_either_end_asks_for_them() {
    for (of_head, of_remote) in [(false, false), (true, false), (false, true)] {
        let mut configs = sites(HEAD);
        configs[HEAD].l2tp.incoming[0].peering.sequencing = of_head;
        for outgoing in &mut configs[REMOTE].l2tp.outgoing {
            outgoing.peering.sequencing = of_remote;
        }
        let mut world = World::of(5, configs);
        world.run_for(seconds(5));
        for site in [HEAD, REMOTE] {
            assert_eq!(world.engine(site).links.values().count(), LINKS);
            for link in world.engine(site).links.values() {
                assert!(link.is_open());
                let asked = of_head || of_remote;
                let case = (site, of_head, of_remote);
                assert_eq!(link.spec.sequence.is_sent(), asked, "{case:?}");
            }
        }
        let sent = world.traffic_for(seconds(1));
        world.assert_all_delivered(&sent);
    }
}

#[test]
fn echoes_are_to_be_preferred_in_queues_and_nothing_else_is() {
    let mut world = World::of(5, sites(HEAD));
    world.run_for(seconds(5));
    let link = world.engine(REMOTE).links.values().next().expect("a link");
    let flags = |frame: &[u8]| link.encapsulate(frame)[..2].to_vec();
    assert_eq!(flags(&[0xc0, 0x21, 9, 1, 0, 8]), [0x01, 0x02], "request");
    assert_eq!(flags(&[0xc0, 0x21, 10, 1, 0, 8]), [0x01, 0x02], "reply");
    assert_eq!(flags(&[0xc0, 0x21, 1, 1, 0, 4]), [0x00, 0x02]);
    assert_eq!(flags(&[0x80, 0x21, 9, 1, 0, 4]), [0x00, 0x02]);
}
