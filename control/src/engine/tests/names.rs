//! Servers that are host names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::world::{HEAD, LINKS, REMOTE, World, config, seconds};
use crate::config::Server;

fn on_line(line: usize, host: u8) -> IpAddr {
    let line = u8::try_from(line + 1).expect("few lines");
    Ipv4Addr::new(10, line, 0, host).into()
}

fn name(line: usize) -> String {
    format!("line-{line}.head.example.net")
}

/// The demo's two sites; the remote knows its servers by name.
fn world(seed: u64) -> World {
    let mut remote = config("remote");
    for (line, outgoing) in remote.l2tp.outgoing.iter_mut().enumerate() {
        outgoing.server = Server::Name(name(line));
    }
    World::stopped(seed, vec![config("head"), remote])
}

fn start(world: &mut World, addresses: impl Fn(usize) -> Vec<IpAddr>) {
    for line in 0..LINKS {
        world.names.insert(name(line), addresses(line));
    }
    world.start(HEAD);
    world.start(REMOTE);
}

#[test]
fn a_name_is_as_good_as_an_address() {
    let mut world = world(1);
    // Of another family than our own addresses: not dialled.
    let elsewhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into();
    start(&mut world, |line| vec![elsewhere, on_line(line, 1)]);
    world.run_for(seconds(5));
    assert!(world.all_up());
    assert_eq!(world.look_ups, LINKS as u64);
    assert_eq!(world.to_nobody, 0);
}

#[test]
fn addresses_are_tried_in_turn() {
    let mut world = world(2);
    start(&mut world, |line| {
        vec![on_line(line, 77), on_line(line, 78), on_line(line, 1)]
    });
    world.run_for(seconds(30));
    assert!(world.all_up());
    assert_eq!(world.look_ups, 3 * LINKS as u64, "once for each attempt");
}

#[test]
fn a_name_is_looked_up_again_before_each_attempt() {
    let mut world = world(3);
    world.start(HEAD);
    world.start(REMOTE);
    world.run_for(seconds(60));
    assert!(!world.all_up());
    let asked = world.look_ups;
    assert!(asked > 3 * LINKS as u64, "{asked}");
    let result = world.engine(REMOTE).dialers[0].last_result.clone();
    assert_eq!(
        result.as_deref(),
        Some("line-0.head.example.net: not found")
    );
    for line in 0..LINKS {
        world.names.insert(name(line), vec![on_line(line, 77)]);
    }
    world.run_for(seconds(20));
    for line in 0..LINKS {
        world.names.insert(name(line), vec![on_line(line, 1)]);
    }
    assert!(world.run_until(seconds(20), World::all_up).is_some());
}
