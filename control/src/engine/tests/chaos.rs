//! Faults at random, over many seeds: whatever has happened, all links are up
//! again soon after, nothing was delivered twice, and nothing is left behind.

use crate::seeds::seeds;
use std::time::Duration;

use rand::Rng;

use super::families;
use super::network::Line;
use super::world::{HEAD, LINKS, REMOTE, World, milliseconds, seconds};

/// From the last fault until all links are up: an echo timeout, a pause
/// between attempts, and an attempt that had begun while the line was bad.
const CONVERGENCE: Duration = Duration::from_secs(30);

fn random_line(world: &mut World) -> Line {
    let rng = &mut world.rng;
    Line {
        cut: rng.random_bool(0.25),
        loss: [0.0, 0.02, 0.1, 0.3][rng.random_range(0..4)],
        duplication: [0.0, 0.05, 0.3][rng.random_range(0..3)],
        reordering: [0.0, 0.05, 0.3][rng.random_range(0..3)],
        ..Line::default()
    }
}

fn converge(world: &mut World) -> Duration {
    for site in [HEAD, REMOTE] {
        if world.sites[site].engine.is_none() {
            world.start(site);
        }
    }
    world.lines = [Line::default(); LINKS];
    let took = world.run_until(CONVERGENCE, World::all_up);
    took.unwrap_or_else(|| {
        panic!(
            "{} and {} of {LINKS} links are up",
            world.members(HEAD),
            world.members(REMOTE)
        )
    })
}

fn assert_sound(world: &mut World, prefixes: [usize; 2]) {
    // What was up may still be replaced: stale copies of old set-ups arrive.
    world.run_for(seconds(2));
    let sent = world.traffic_every(milliseconds(50), seconds(1));
    world.assert_all_delivered(&sent);
    world.assert_none_refused();
    // As long as a closed tunnel lingers. The tunnel of a process that died
    // before it placed its call must miss its HELLO first.
    let patient = world.rng.random_bool(0.1);
    world.run_for(seconds(if patient { 130 } else { 40 }));
    for site in [HEAD, REMOTE] {
        world.assert_nothing_leaked(site, LINKS, 1);
        let tunnels = world.engine(site).endpoint.tunnels().count();
        assert!(!patient || tunnels == LINKS, "{tunnels} tunnels at {site}");
        assert_eq!(world.prefixes(site).len(), prefixes[site], "routes");
    }
}

#[test]
fn any_faults_and_restarts_are_recovered_from() {
    let mut longest = Duration::ZERO;
    for seed in seeds(200) {
        println!("seed {seed}");
        let mut world = families::world(seed);
        world.run_for(seconds(5));
        assert!(world.all_up());
        let prefixes = [HEAD, REMOTE].map(|site| world.prefixes(site).len());
        for _ in 0..world.rng.random_range(5..15) {
            let site = world.rng.random_range(0..2);
            let running = world.sites[site].engine.is_some();
            match world.rng.random_range(0..10) {
                0 | 1 if running => world.kill(site),
                2 if running => {
                    world.shut_down(site);
                    let time = milliseconds(world.rng.random_range(0..500));
                    world.run_for(time);
                    world.kill(site);
                }
                _ if !running => world.start(site),
                _ => {
                    let link = world.rng.random_range(0..LINKS);
                    world.lines[link] = random_line(&mut world);
                }
            }
            let time = milliseconds(world.rng.random_range(50..3000));
            world.traffic_every(milliseconds(50), time);
            world.assert_none_twice();
        }
        longest = longest.max(converge(&mut world));
        assert_sound(&mut world, prefixes);
    }
    println!("the slowest was up after {longest:?}");
}

/// While one line is sound, whatever the others do, every packet arrives once.
#[test]
fn one_sound_line_is_enough() {
    for seed in seeds(80) {
        println!("seed {seed}");
        let mut world = families::world(seed);
        world.run_for(seconds(5));
        assert!(world.all_up());
        let prefixes = [HEAD, REMOTE].map(|site| world.prefixes(site).len());
        let sound = world.rng.random_range(0..LINKS);
        let mut all = [Vec::new(), Vec::new()];
        for _ in 0..10 {
            let link = (sound + world.rng.random_range(1..LINKS)) % LINKS;
            world.lines[link] = random_line(&mut world);
            let time = milliseconds(world.rng.random_range(50..3000));
            let sent = world.traffic_every(milliseconds(20), time);
            for (all, sent) in all.iter_mut().zip(sent) {
                all.extend(sent);
            }
        }
        world.assert_all_delivered(&all);
        converge(&mut world);
        assert_sound(&mut world, prefixes);
    }
}
