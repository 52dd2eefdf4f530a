//! Advertisements and solicitations of routers to the host's side of router
//! discovery and to the router's, and from the one to the other.
#![no_main]

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use control::addressing::{
    Action, AdvertisedPrefix, Advertiser, AdvertiserSettings, RouterDiscovery,
};
use control::host::link_local;
use dataplane::command::Prefix;
use fuzz::{Input, neighbour_message};
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Routers, networks, addresses and name servers that are kept at most.
const LIMIT: usize = 8;

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let mut now = Duration::ZERO;
    let rng = |seed| StdRng::seed_from_u64(seed);
    let mut host = RouterDiscovery::new(now, HOST_MAC, rng(1));
    let mut router = Advertiser::new(now, ROUTER_MAC, settings(&mut input), rng(2));
    host.set_link(now, true);
    router.set_link(now, true);
    while !input.is_empty() {
        let choice = input.octet();
        let is_up = choice & 8 == 0;
        match choice % 8 {
            0 => host.handle_frame(now, input.short()),
            1 | 2 => host.handle_frame(now, &advertisement(&mut input)),
            3 => router.handle_frame(now, &solicitation(&mut input)),
            4 if is_up => router.set_prefixes(now, &prefixes(now, &mut input)),
            4 => router.set_router(now, choice & 16 == 0),
            5 if choice & 16 == 0 => host.set_link(now, is_up),
            5 => router.set_link(now, is_up),
            6 if is_up => {
                let own = host.assignment().addresses.first().map(|own| own.address);
                if let Some(IpAddr::V6(own)) = own {
                    host.handle_conflict(now, own);
                }
            }
            6 => router.cease(now),
            _ => now += input.time(),
        }
        host.handle_timeout(now);
        router.handle_timeout(now);
        assert!(host.next_timeout().is_none_or(|next| next > now));
        assert!(router.next_timeout().is_none_or(|next| next > now));
        while let Some(Action::Frame(frame)) = router.poll_action() {
            for frame in input.deliver(frame) {
                host.handle_frame(now, &frame);
            }
        }
        while let Some(action) = host.poll_action() {
            if let Action::Frame(frame) = action {
                router.handle_frame(now, &frame);
            }
        }
        host.handle_timeout(now);
        check(&host, now);
    }
});

/// What must be true of every assignment.
fn check(host: &RouterDiscovery, now: Duration) {
    let assignment = host.assignment();
    let counts = [
        assignment.addresses.len(),
        assignment.on_link.len(),
        assignment.routers.len(),
        assignment.name_servers.len(),
    ];
    assert!(counts.iter().all(|count| *count <= LIMIT));
    for own in &assignment.addresses {
        let IpAddr::V6(address) = own.address else {
            panic!("{own:?}");
        };
        assert_eq!(address.octets()[8..], link_local(HOST_MAC).octets()[8..]);
        assert!(!address.is_multicast() && !address.is_unicast_link_local());
        assert!(own.valid_until.is_none_or(|until| until > now));
    }
    assert!(assignment.mtu.is_none_or(|mtu| mtu >= 1280));
}

fn settings(input: &mut Input<'_>) -> AdvertiserSettings {
    let count = input.octet() % 4;
    AdvertiserSettings {
        min_interval: input.time(),
        max_interval: input.time(),
        router_lifetime: input.time(),
        mtu: Some(input.number()),
        dns: (0..count).map(|_| network(input.octet())).collect(),
        managed: count & 1 == 0,
        other: count & 2 == 0,
    }
}

fn network(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, number.into(), 0, 0, 0, 0, 0)
}

fn prefixes(now: Duration, input: &mut Input<'_>) -> Vec<AdvertisedPrefix> {
    let count = input.octet() % 12;
    let until = |input: &mut Input<'_>| Some(now + input.time()).filter(|at| *at > now);
    (0..count)
        .map(|_| AdvertisedPrefix {
            prefix: Prefix::new(network(input.octet() & 15), 64),
            preferred_until: until(input),
            valid_until: until(input),
        })
        .collect()
}

/// A right header, and the fuzzer's options.
fn advertisement(input: &mut Input<'_>) -> Vec<u8> {
    let (flags, lifetime, number) = (input.octet(), input.number(), input.octet() & 15);
    let mut message = vec![134, 0, 0, 0, 64, flags];
    message.extend(lifetime.to_be_bytes());
    message.extend([0; 8]);
    if flags & 1 == 0 {
        message.extend(prefix_option(input));
    }
    message.extend(input.short());
    let mac = [2, 0, 0, 0, 1, number];
    let macs = [mac, [0x33, 0x33, 0, 0, 0, 1]];
    neighbour_message(macs, [link_local(mac), ALL_NODES], message)
}

fn prefix_option(input: &mut Input<'_>) -> Vec<u8> {
    let (length, flags) = (input.octet(), input.octet());
    let mut option = vec![3, 4, if length & 1 == 0 { 64 } else { length }, flags];
    let lifetime = |input: &mut Input<'_>| match input.octet() {
        0xff => u32::MAX,
        octet => u32::from(octet) << (octet % 12),
    };
    option.extend(lifetime(input).to_be_bytes());
    option.extend(lifetime(input).to_be_bytes());
    option.extend([0; 4]);
    option.extend(network(input.octet() & 15).octets());
    option
}

fn solicitation(input: &mut Input<'_>) -> Vec<u8> {
    let mut message = vec![133, 0, 0, 0, 0, 0, 0, 0];
    message.extend(input.short());
    let source = match input.octet() {
        0 => Ipv6Addr::UNSPECIFIED,
        _ => link_local(HOST_MAC),
    };
    let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let macs = [HOST_MAC, [0x33, 0x33, 0, 0, 0, 2]];
    neighbour_message(macs, [source, all_routers], message)
}
