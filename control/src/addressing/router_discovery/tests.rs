//! Point by point of RFC 4861, 6.3, RFC 4862, 5.5, RFC 4191, RFC 7559 and RFC 8106.

use proptest::prelude::*;
use rand::SeedableRng;

use super::super::known::LIMIT;
use super::super::router_message::{FOR_EVER_S, advertise};
use super::*;
use crate::host::discovery::ALL_NODES;

mod lifetimes;
mod moves;
mod simulation;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Preferred and valid lifetime of [`prefix`].
const PREFERRED_S: u32 = 14_400;
const VALID_S: u32 = 86_400;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn router_mac(number: u8) -> [u8; 6] {
    [2, 0, 0, 0, 1, number]
}

fn router(number: u8) -> IpAddr {
    link_local(router_mac(number)).into()
}

/// 2001:db8:NUMBER::/64
fn network(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0)
}

/// Ours in [`network`].
fn own(number: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0xff, 0xfe00, 1).into()
}

fn prefix(number: u16) -> PrefixInformation {
    PrefixInformation {
        prefix: network(number),
        length: 64,
        on_link: true,
        autonomous: true,
        valid_s: VALID_S,
        preferred_s: PREFERRED_S,
    }
}

fn lasting(number: u16, preferred_s: u32, valid_s: u32) -> PrefixInformation {
    PrefixInformation {
        preferred_s,
        valid_s,
        ..prefix(number)
    }
}

/// Of a router with a lifetime of 1800 s.
fn advertisement(prefixes: &[PrefixInformation]) -> RouterAdvertisement {
    RouterAdvertisement {
        source: Ipv6Addr::UNSPECIFIED,
        hop_limit: 64,
        managed: false,
        other: false,
        preference: Preference::Medium,
        lifetime_s: 1800,
        options: prefixes.iter().copied().map(RouterOption::Prefix).collect(),
        options_refused: 0,
    }
}

struct Host {
    now: Duration,
    discovery: RouterDiscovery,
    /// When routers were asked for.
    solicited: Vec<Duration>,
    changes: u32,
}

impl Host {
    /// With its link up since the start.
    fn new() -> Self {
        let mut host = Self::with_link_down();
        host.set_link(true);
        host
    }

    fn with_link_down() -> Self {
        let rng = StdRng::seed_from_u64(1);
        Self {
            now: Duration::ZERO,
            discovery: RouterDiscovery::new(Duration::ZERO, MAC, rng),
            solicited: Vec::new(),
            changes: 0,
        }
    }

    /// Knows router 1 and network 1.
    fn settled() -> Self {
        let mut host = Self::new();
        host.hear(1, &advertisement(&[prefix(1)]));
        assert!(host.take_changed());
        host
    }

    fn set_link(&mut self, up: bool) {
        self.discovery.set_link(self.now, up);
        self.poll();
    }

    fn hear(&mut self, from: u8, told: &RouterAdvertisement) {
        let frame = advertise(router_mac(from), ALL_NODES, told);
        self.discovery.handle_frame(self.now, &frame);
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(action) = self.discovery.poll_action() {
            match action {
                Action::Changed => self.changes += 1,
                Action::Frame(frame) => {
                    assert_eq!(frame, router_message::solicit(MAC));
                    self.solicited.push(self.now);
                }
                Action::Packet(packet) => panic!("{packet:?}"),
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.discovery.next_timeout().filter(|at| *at <= end) {
            assert!(at > self.now, "a timer that does not go on: {at:?}");
            self.now = at;
            self.discovery.handle_timeout(at);
            self.poll();
        }
        self.now = end;
    }

    /// Whether it was said, since the last look, that the assignment is another one.
    fn take_changed(&mut self) -> bool {
        let changes = std::mem::take(&mut self.changes);
        assert!(changes <= 1, "said {changes} times at once");
        changes > 0
    }

    fn assignment(&self) -> &Assignment {
        self.discovery.assignment()
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let addresses = self.assignment().addresses.iter();
        addresses.map(|own| own.address).collect()
    }

    fn routers(&self) -> Vec<IpAddr> {
        let routers = self.assignment().routers.iter();
        routers.map(|router| router.address).collect()
    }

    /// Those for which something may be set up.
    fn preferred(&self) -> Vec<IpAddr> {
        let addresses = self.assignment().addresses.iter();
        let preferred = addresses.filter(|own| is_ahead(own.preferred_until, self.now));
        preferred.map(|own| own.address).collect()
    }
}

#[test]
fn an_advertisement_makes_a_whole_assignment() {
    let mut host = Host::new();
    let dns = "2001:db8::53".parse().unwrap();
    let mut told = advertisement(&[prefix(1)]);
    told.managed = true;
    told.options.push(RouterOption::Mtu(1480));
    told.options.push(RouterOption::RecursiveDns {
        servers: vec![dns],
        lifetime_s: 600,
    });
    host.hear(1, &told);
    let expected = Assignment {
        addresses: vec![Address {
            address: own(1),
            prefix_length: 64,
            preferred_until: Some(seconds(14_400)),
            valid_until: Some(seconds(86_400)),
        }],
        on_link: Vec::new(),
        routers: vec![Router {
            address: router(1),
            valid_until: Some(seconds(1800)),
        }],
        mtu: Some(1480),
        name_servers: vec![dns.into()],
        delegated: Vec::new(),
        server: Some(router(1)),
    };
    assert_eq!(host.assignment(), &expected);
    assert!(host.take_changed());
    assert!(host.discovery.managed() && !host.discovery.other());
    assert_eq!(host.discovery.counters().advertisements, 1);
}

/// RFC 4861, 6.3.7, and RFC 7559, 2.
#[test]
fn routers_are_asked_for_until_one_answers() {
    let mut host = Host::new();
    host.pass(seconds(24 * 3600));
    assert!(host.solicited[0] <= seconds(1), "{:?}", host.solicited[0]);
    let waits: Vec<f64> = host
        .solicited
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs_f64())
        .collect();
    assert_eq!(waits[..2], [4.0, 4.0]);
    let mut expected = 8.0_f64;
    for wait in &waits[2..] {
        assert!(
            (0.9..=1.1).contains(&(wait / expected)),
            "{wait} {expected}"
        );
        expected = (expected * 2.0).min(3600.0);
    }
    assert!((30..40).contains(&waits.len()), "{}", waits.len());
    // One that is no default router is no answer.
    let asked = host.solicited.len();
    let told = RouterAdvertisement {
        lifetime_s: 0,
        ..advertisement(&[prefix(1)])
    };
    host.hear(1, &told);
    host.pass(seconds(4000));
    assert_eq!(host.solicited.len(), asked + 1);
    host.hear(1, &advertisement(&[]));
    let asked = host.solicited.len();
    host.pass(seconds(1700));
    assert_eq!(host.solicited.len(), asked);
}

#[test]
fn the_delay_of_the_first_solicitation_is_by_chance() {
    let delays: Vec<Duration> = (0..20)
        .map(|seed| {
            let rng = StdRng::seed_from_u64(seed);
            let mut discovery = RouterDiscovery::new(Duration::ZERO, MAC, rng);
            discovery.set_link(Duration::ZERO, true);
            discovery.next_timeout().unwrap()
        })
        .collect();
    assert!(delays.iter().all(|delay| *delay <= seconds(1)));
    assert!(
        delays
            .iter()
            .any(|delay| *delay < Duration::from_millis(500))
    );
    assert!(
        delays
            .iter()
            .any(|delay| *delay > Duration::from_millis(500))
    );
}

#[test]
fn nothing_is_asked_or_heard_while_the_link_is_down() {
    let mut host = Host::with_link_down();
    host.hear(1, &advertisement(&[prefix(1)]));
    host.pass(seconds(100));
    assert_eq!(host.solicited, []);
    assert_eq!(host.assignment(), &Assignment::default());
    assert_eq!(host.discovery.counters().ignored, 1);
}

/// RFC 4191, 3.1: by preference, and the one that was first of equals.
#[test]
fn routers_stand_in_the_order_of_their_preference() {
    let mut host = Host::new();
    let told = |preference| RouterAdvertisement {
        preference,
        ..advertisement(&[])
    };
    host.hear(1, &told(Preference::Low));
    host.hear(2, &told(Preference::Medium));
    host.hear(3, &told(Preference::High));
    host.hear(4, &told(Preference::Medium));
    assert_eq!(host.routers(), [3, 2, 4, 1].map(router));
    assert_eq!(host.assignment().server, Some(router(3)));
    host.changes = 0;
    host.hear(2, &told(Preference::Medium));
    assert!(!host.take_changed());
    host.hear(2, &told(Preference::Low));
    assert_eq!(host.routers(), [3, 4, 1, 2].map(router));
    assert!(host.take_changed());
}

#[test]
fn a_router_that_takes_its_leave_is_gone_at_once() {
    let mut host = Host::settled();
    let told = RouterAdvertisement {
        lifetime_s: 0,
        ..advertisement(&[prefix(1)])
    };
    host.hear(1, &told);
    assert!(host.take_changed());
    assert!(host.routers().is_empty());
    assert_eq!(host.addresses(), [own(1)], "its network may stay");
    // There is none now: another is asked for.
    host.pass(seconds(1));
    assert_eq!(host.solicited.len(), 1);
}

/// RFC 4861, 4.6.2: on link or for addresses, each without the other.
#[test]
fn each_flag_of_a_prefix_has_its_own_effect() {
    let mut host = Host::new();
    let only_on_link = PrefixInformation {
        autonomous: false,
        ..prefix(1)
    };
    let only_address = PrefixInformation {
        on_link: false,
        ..prefix(2)
    };
    let short = PrefixInformation {
        autonomous: false,
        length: 48,
        ..prefix(3)
    };
    host.hear(1, &advertisement(&[only_on_link, only_address, short]));
    let [address] = host.assignment().addresses[..] else {
        panic!("{:?}", host.assignment());
    };
    assert_eq!((address.address, address.prefix_length), (own(2), 128));
    let on_link = [Prefix::new(network(1), 64), Prefix::new(network(3), 48)];
    assert_eq!(host.assignment().on_link, on_link);
    // Without the flag nothing is said of the link: it stays so.
    host.changes = 0;
    let neither = PrefixInformation {
        on_link: false,
        autonomous: false,
        ..prefix(1)
    };
    host.hear(1, &advertisement(&[neither, only_address]));
    assert!(!host.take_changed());
    // RFC 4861, 6.3.4: without a lifetime it ends at once.
    host.hear(
        1,
        &advertisement(&[PrefixInformation {
            valid_s: 0,
            preferred_s: 0,
            ..only_on_link
        }]),
    );
    assert_eq!(host.assignment().on_link, on_link[1..]);
    assert!(host.take_changed());
    // An address in a network that is now known to be on the link.
    host.hear(1, &advertisement(&[prefix(2)]));
    assert_eq!(host.assignment().addresses[0].prefix_length, 64);
    assert!(host.take_changed());
}

#[test]
fn prefixes_that_cannot_be_are_refused() {
    let mut host = Host::new();
    let link_local = PrefixInformation {
        prefix: "fe80::".parse().unwrap(),
        ..prefix(1)
    };
    let multicast = PrefixInformation {
        prefix: "ff05::".parse().unwrap(),
        ..prefix(1)
    };
    let everything = PrefixInformation {
        prefix: Ipv6Addr::UNSPECIFIED,
        length: 0,
        autonomous: false,
        ..prefix(1)
    };
    let too_long = PrefixInformation {
        length: 129,
        ..prefix(1)
    };
    // RFC 4862, 5.5.3 c and d.
    let preferred_too_long = lasting(1, 11, 10);
    let no_room = PrefixInformation {
        length: 72,
        on_link: false,
        ..prefix(1)
    };
    let wrong = [
        link_local,
        multicast,
        everything,
        too_long,
        preferred_too_long,
        no_room,
    ];
    host.hear(1, &advertisement(&wrong));
    assert_eq!(host.discovery.counters().options_refused, 6);
    assert!(host.addresses().is_empty() && host.assignment().on_link.is_empty());
    // RFC 4862, 5.5.3 d: nothing is made of a lifetime of 0.
    host.hear(1, &advertisement(&[lasting(2, 0, 0)]));
    assert!(host.addresses().is_empty());
}

#[test]
fn the_smallest_sensible_mtu_counts() {
    let mut host = Host::new();
    let told = |mtu| {
        let mut told = advertisement(&[]);
        told.options.push(RouterOption::Mtu(mtu));
        told
    };
    for (mtu, expected) in [
        (1279, None),
        (65_536, None),
        (65_535, Some(65_535)),
        (1280, Some(1280)),
    ] {
        host.hear(1, &told(mtu));
        assert_eq!(host.assignment().mtu, expected, "{mtu}");
    }
    assert_eq!(host.discovery.counters().options_refused, 2);
    // RFC 4861, 6.3.4: what is not said does not change.
    host.hear(1, &advertisement(&[]));
    assert_eq!(host.assignment().mtu, Some(1280));
    host.hear(2, &told(1500));
    assert_eq!(
        host.assignment().mtu,
        Some(1280),
        "of two routers the smaller"
    );
}

#[test]
fn name_servers_come_and_go() {
    let mut host = Host::new();
    let servers: Vec<Ipv6Addr> = (1..=2).map(network).collect();
    let told = |servers: &[Ipv6Addr], lifetime_s| {
        let mut told = advertisement(&[]);
        let servers = servers.to_vec();
        told.options.push(RouterOption::RecursiveDns {
            servers,
            lifetime_s,
        });
        told
    };
    host.hear(1, &told(&servers, 100));
    assert_eq!(
        host.assignment().name_servers,
        servers.iter().copied().map(IpAddr::V6).collect::<Vec<_>>()
    );
    host.hear(1, &told(&servers[..1], 0));
    assert_eq!(host.assignment().name_servers, [IpAddr::V6(servers[1])]);
    host.changes = 0;
    host.pass(seconds(100));
    assert!(host.assignment().name_servers.is_empty() && host.take_changed());
    let wrong = [ALL_NODES, Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST];
    host.hear(1, &told(&wrong, 100));
    assert!(host.assignment().name_servers.is_empty());
    assert_eq!(host.discovery.counters().options_refused, 3);
}

/// RFC 4862, 5.4.5.
#[test]
fn an_address_of_somebody_else_is_taken_away_until_the_link_comes_up() {
    let mut host = Host::settled();
    let IpAddr::V6(address) = own(1) else {
        panic!()
    };
    host.discovery.handle_conflict(host.now, address);
    host.poll();
    assert!(host.take_changed() && host.addresses().is_empty());
    assert_eq!(host.assignment().on_link, [Prefix::new(network(1), 64)]);
    host.hear(1, &advertisement(&[prefix(1)]));
    assert!(!host.take_changed() && host.addresses().is_empty());
    host.discovery.handle_conflict(host.now, address);
    host.discovery.handle_conflict(host.now, network(7));
    assert_eq!(host.discovery.counters().duplicates, 1);
    host.set_link(false);
    host.set_link(true);
    assert_eq!(host.addresses(), [own(1)]);
}

#[test]
fn a_flood_ends_in_a_counter() {
    let mut host = Host::settled();
    for number in 2..100 {
        let mut told = advertisement(&[prefix(number.into())]);
        told.options.push(RouterOption::RecursiveDns {
            servers: vec![network(number.into())],
            lifetime_s: 100,
        });
        host.hear(number, &told);
    }
    let assignment = host.assignment();
    assert_eq!(assignment.routers.len(), LIMIT);
    assert_eq!(assignment.addresses.len(), LIMIT);
    assert_eq!(assignment.name_servers.len(), LIMIT);
    assert_eq!(
        assignment.routers[0].address,
        router(1),
        "what was there stays"
    );
    let left_over = 91 + 91 + 91 + 90;
    assert_eq!(host.discovery.counters().table_full, left_over);
}

proptest! {
    /// Junk, and messages damaged anywhere, change nothing.
    #[test]
    fn junk_never_changes_an_assignment(
        junk in prop::collection::vec(any::<u8>(), 0..200),
        at in 20..86_usize,
        bit in 0..8_u32,
    ) {
        let mut host = Host::settled();
        let before = host.assignment().clone();
        let mut damaged = advertise(router_mac(2), ALL_NODES, &advertisement(&[prefix(2)]));
        damaged[at] ^= 1 << bit;
        host.discovery.handle_frame(host.now, &junk);
        host.discovery.handle_frame(host.now, &damaged);
        host.poll();
        prop_assert_eq!(host.assignment(), &before);
        prop_assert!(!host.take_changed());
    }
}
