//! Whatever the network does, a call is established in the end, and nothing
//! is left of it after it was cleared.

use super::*;

const SEEDS: u64 = 400;

/// Dials and calls again until the call stands, as the appliance does.
struct Owner {
    tunnel: TunnelId,
    call: CallId,
    dials: u32,
    seen: usize,
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
            seen: 0,
        }
    }

    /// Acts on the events since the last time.
    fn keep_up(&mut self, world: &mut World, secret: &str) {
        let (now, seen) = (world.now, world.lac.events.len());
        for event in world.lac.events[self.seen..].to_vec() {
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
        self.seen = seen;
    }
}

/// The call stands at both ends, under the same ids.
fn is_connected(world: &World, call: CallId) -> bool {
    let Some(lac) = world.lac.endpoint.call(call) else {
        return false;
    };
    let connected = |event: &Event| match event {
        Event::CallConnected { call } => world.lns.endpoint.call(*call),
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
    let secret = if seed % 3 == 0 { "" } else { "test" };
    let mut world = World::new(seed, Weather::STORM, vec![incoming(secret)]);
    let (owner, connected) = establish(&mut world, secret, Duration::from_secs(600));
    assert!(
        connected,
        "seed {seed}: no call; LAC {:?}",
        world.lac.events
    );
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
    let dials: u32 = (0..SEEDS).map(survive).sum();
    let seeds = SEEDS as u32;
    assert!(dials < seeds + seeds / 4, "{dials} dials for {seeds} calls");
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
    for seed in 0..10 {
        let mut world = World::new(seed, Weather::STORM, vec![incoming("test")]);
        let (owner, connected) = establish(&mut world, "test", Duration::from_secs(600));
        assert!(connected, "seed {seed}");
        let now = world.now;
        let calls: Vec<CallId> = (0..CALLS)
            .map(|_| world.lac.endpoint.place_call(now, owner.tunnel, Vec::new()))
            .collect();
        world.run(Duration::from_secs(59));
        let connected = calls
            .iter()
            .filter(|&&call| world.lac.is_connected(call))
            .count();
        let dead = !world.lac.tunnel_causes().is_empty();
        assert!(
            dead || connected > CALLS / 4,
            "seed {seed}: {connected} calls connected"
        );
        clear(&mut world, seed, &owner);
        world.run(Duration::from_secs(400));
        assert!(
            world.lac.endpoint.is_empty() && world.lns.endpoint.is_empty(),
            "seed {seed}"
        );
    }
}
