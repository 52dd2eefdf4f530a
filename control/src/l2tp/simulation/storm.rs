//! Whatever the network does, a call is established in the end, and nothing
//! is left of it after it was cleared.

use super::*;
use crate::seeds::seeds;

const SEEDS: u64 = 400;

/// Dials and calls again until the call stands, as the appliance does.
struct Owner {
    tunnel: TunnelId,
    call: CallId,
    dials: u32,
}

impl Owner {
    fn new(world: &mut World, secret: &str) -> Self {
        let tunnel = world.lac.endpoint.dial(world.now, dial(secret));
        let call = world
            .lac
            .endpoint
            .place_call(world.now, tunnel, vec![vendor_avp(1)]);
        Self {
            tunnel,
            call,
            dials: 1,
        }
    }

    /// Acts on the events since the last time.
    fn keep_up(&mut self, world: &mut World, secret: &str) {
        let now = world.now;
        for event in core::mem::take(&mut world.lac.events) {
            match event {
                Event::TunnelClosed { tunnel, .. } if tunnel == self.tunnel => {
                    self.tunnel = world.lac.endpoint.dial(now, dial(secret));
                    self.call =
                        world
                            .lac
                            .endpoint
                            .place_call(now, self.tunnel, vec![vendor_avp(1)]);
                    self.dials += 1;
                }
                Event::CallClosed { call, cause }
                    if call == self.call && cause != CallCause::Tunnel =>
                {
                    self.call =
                        world
                            .lac
                            .endpoint
                            .place_call(now, self.tunnel, vec![vendor_avp(1)]);
                }
                _ => {}
            }
        }
    }
}

/// The call stands at both ends, under the same ids.
fn is_connected(world: &World, call: CallId) -> bool {
    let Some(lac) = world.lac.endpoint.call(call) else {
        return false;
    };
    let connected = |event: &Event| match event {
        Event::CallConnected { call, .. } => world.lns.endpoint.call(*call),
        _ => None,
    };
    lac.state == CallState::Established
        && world
            .lns
            .events
            .iter()
            .filter_map(connected)
            .any(|lns| (lns.local_id, lns.peer_id) == (lac.peer_id, lac.local_id))
}

fn establish(world: &mut World, secret: &str, limit: Duration) -> (Owner, bool) {
    let mut owner = Owner::new(world, secret);
    let until = world.now + limit;
    while world.step(until) {
        owner.keep_up(world, secret);
        if is_connected(world, owner.call) {
            return (owner, true);
        }
    }
    (owner, false)
}

/// Clears what stands in one of the ways there are, from one of the sides.
fn clear(world: &mut World, seed: u64, owner: &Owner) {
    let now = world.now;
    let lns_tunnels: Vec<TunnelId> = world.lns.endpoint.tunnels().collect();
    match seed % 4 {
        0 => world
            .lac
            .endpoint
            .close_tunnel(now, owner.tunnel, shutdown()),
        1 => {
            world.lac.endpoint.close_call(now, owner.call, hang_up());
            world
                .lac
                .endpoint
                .close_tunnel(now, owner.tunnel, shutdown());
        }
        2 => {
            for tunnel in lns_tunnels {
                world.lns.endpoint.close_tunnel(now, tunnel, shutdown());
            }
        }
        _ => {
            world
                .lac
                .endpoint
                .close_tunnel(now, owner.tunnel, shutdown());
            for tunnel in lns_tunnels {
                world.lns.endpoint.close_tunnel(now, tunnel, shutdown());
            }
        }
    }
}

fn opened_and_closed(events: &[Event]) -> (usize, usize) {
    let opened = |event: &&Event| matches!(event, Event::CallIncoming { .. });
    let closed = |event: &&Event| matches!(event, Event::CallClosed { .. });
    (
        events.iter().filter(opened).count(),
        events.iter().filter(closed).count(),
    )
}

fn survive(seed: u64) -> u32 {
    let secret = if seed.is_multiple_of(3) { "" } else { "test" };
    let mut world = World::new(seed, Weather::STORM, vec![incoming(secret)]);
    let (owner, connected) = establish(&mut world, secret, Duration::from_secs(600));
    assert!(connected, "seed {seed}: no call");
    clear(&mut world, seed, &owner);
    world.run(Duration::from_secs(400));
    for (name, site) in [("LAC", &world.lac), ("LNS", &world.lns)] {
        let left: Vec<_> = site
            .endpoint
            .tunnels()
            .map(|id| site.endpoint.tunnel(id))
            .collect();
        assert!(
            site.endpoint.is_empty(),
            "seed {seed}: the {name} keeps {left:?}"
        );
    }
    let (opened, closed) = opened_and_closed(&world.lns.events);
    assert_eq!(
        opened, closed,
        "seed {seed}: calls the LNS announced and closed"
    );
    owner.dials
}

#[test]
fn a_call_is_always_established_and_nothing_is_left_of_it() {
    let dials: u32 = seeds(SEEDS).map(survive).sum();
    let calls = seeds(SEEDS).end as u32;
    assert!(dials < calls + calls / 4, "{dials} dials for {calls} calls");
}

#[test]
fn a_dead_network_ends_the_tunnel_at_both_ends() {
    for seed in 0..20 {
        let mut world = World::new(seed, Weather::FINE, vec![incoming("test")]);
        let _ = world.connect(dial("test"));
        world.weather = Weather::CUT;
        world.run(Duration::from_secs(60 + 31 + 2));
        assert_eq!(
            world.lac.tunnel_causes(),
            [TunnelCause::Unreachable],
            "seed {seed}"
        );
        assert_eq!(
            world.lns.tunnel_causes(),
            [TunnelCause::Unreachable],
            "seed {seed}"
        );
        assert_eq!(world.lac.call_causes(), [CallCause::Tunnel], "seed {seed}");
        assert!(world.lac.endpoint.is_empty() && world.lns.endpoint.is_empty());
    }
}

#[test]
fn many_calls_at_once_survive_the_storm() {
    const CALLS: usize = 40;
    const RUNS: u64 = 20;
    let mut connected_in_all = 0;
    for seed in 0..RUNS {
        let mut world = World::new(seed, Weather::STORM, vec![incoming("test")]);
        let (owner, connected) = establish(&mut world, "test", Duration::from_secs(600));
        assert!(connected, "seed {seed}");
        let now = world.now;
        let calls: Vec<CallId> = (0..CALLS)
            .map(|_| world.lac.endpoint.place_call(now, owner.tunnel, Vec::new()))
            .collect();
        world.run(Duration::from_secs(59));
        connected_in_all += calls
            .iter()
            .filter(|&&call| world.lac.is_connected(call))
            .count();
        clear(&mut world, seed, &owner);
        world.run(Duration::from_secs(400));
        assert!(
            world.lac.endpoint.is_empty() && world.lns.endpoint.is_empty(),
            "seed {seed}"
        );
    }
    // Some tunnels do not survive 30 % loss each way, and one message that is
    // lost again and again holds up all behind it.
    let placed = CALLS * RUNS as usize;
    assert!(
        connected_in_all > placed / 2,
        "{connected_in_all} of {placed} calls connected"
    );
}

#[test]
fn damage_never_panics_and_leaves_nothing() {
    for seed in seeds(200) {
        let mut world = World::new(seed, Weather::DAMAGE, vec![incoming("test")]);
        let (owner, _) = establish(&mut world, "test", Duration::from_secs(120));
        world.weather = Weather::FINE;
        // From both ends: a request that is still under way would be granted.
        clear(&mut world, 3, &owner);
        world.run(Duration::from_secs(400));
        assert!(
            world.lac.endpoint.is_empty() && world.lns.endpoint.is_empty(),
            "seed {seed}"
        );
    }
}

#[test]
fn a_site_that_restarts_is_served_while_its_old_tunnel_dies() {
    for seed in 0..20 {
        let mut world = World::new(seed, Weather::FINE, vec![incoming("test")]);
        let _ = world.connect(dial("test"));
        world.lac = Site::new(LAC, Vec::new(), seed + 1000);
        let _ = world.connect(dial("test"));
        assert_eq!(world.lns.endpoint.tunnels().count(), 2, "seed {seed}");
        world.run(Duration::from_secs(60 + 31 + 2));
        assert_eq!(world.lns.endpoint.tunnels().count(), 1, "seed {seed}");
        assert_eq!(
            world.lns.tunnel_causes(),
            [TunnelCause::Unreachable],
            "seed {seed}"
        );
        assert_eq!(
            world.lac.tunnel_causes(),
            [],
            "seed {seed}: the new one lives on"
        );
    }
}
