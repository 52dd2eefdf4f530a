//! Point by point of RFC 4861, 6.2, and what the host's side makes of it.

use proptest::prelude::*;
use rand::SeedableRng;

use super::super::RouterDiscovery;
use super::*;
use crate::host::link_local;
use crate::seeds::seeds;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const DNS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn settings() -> AdvertiserSettings {
    AdvertiserSettings {
        min_interval: seconds(200),
        max_interval: seconds(600),
        router_lifetime: seconds(1800),
        mtu: Some(1480),
        dns: vec![DNS],
        managed: false,
        other: true,
    }
}

/// 2001:db8:NUMBER::/64, for ever.
fn prefix(number: u16) -> AdvertisedPrefix {
    AdvertisedPrefix {
        prefix: Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0), 64),
        preferred_until: None,
        valid_until: None,
    }
}

struct Router {
    now: Duration,
    advertiser: Advertiser,
    /// What was advertised, and when.
    sent: Vec<(Duration, RouterAdvertisement)>,
}

impl Router {
    fn with_seed(seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self {
            now: Duration::ZERO,
            advertiser: Advertiser::new(Duration::ZERO, MAC, settings(), rng),
            sent: Vec::new(),
        }
    }

    /// A default router with network 1 since a while.
    fn settled() -> Self {
        let mut router = Self::with_seed(1);
        router.advertiser.set_prefixes(router.now, &[prefix(1)]);
        router.advertiser.set_router(router.now, true);
        router.advertiser.set_link(router.now, true);
        router.pass(seconds(3600));
        router.sent.clear();
        router
    }

    fn poll(&mut self) {
        while let Some(action) = self.advertiser.poll_action() {
            let Action::Frame(frame) = action else {
                panic!("{action:?}");
            };
            match router_message::parse(HOST_MAC, &frame) {
                Ok(Message::Advertisement(told)) => self.sent.push((self.now, told)),
                other => panic!("{other:?}"),
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.advertiser.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.advertiser.handle_timeout(self.now);
            self.poll();
            let next = self.advertiser.next_timeout();
            assert!(next.is_none_or(|next| next > self.now));
        }
        self.now = end;
    }

    fn solicited(&mut self) {
        let frame = router_message::solicit(HOST_MAC);
        self.advertiser.handle_frame(self.now, &frame);
        self.poll();
    }

    fn last(&self) -> &RouterAdvertisement {
        &self.sent.last().unwrap().1
    }

    /// Networks of the last advertisement, with preferred and valid lifetimes.
    fn told(&self) -> Vec<(Ipv6Addr, u32, u32)> {
        let options = self.last().options.iter();
        options
            .filter_map(|option| match option {
                RouterOption::Prefix(it) => Some((it.prefix, it.preferred_s, it.valid_s)),
                _ => None,
            })
            .collect()
    }
}

fn network(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0)
}

#[test]
fn everything_that_is_set_is_told() {
    let mut router = Router::settled();
    router.pass(seconds(600));
    let expected = RouterAdvertisement {
        source: link_local(MAC),
        hop_limit: 64,
        managed: false,
        other: true,
        preference: Preference::Medium,
        lifetime_s: 1800,
        options: vec![
            RouterOption::Prefix(PrefixInformation {
                prefix: network(1),
                length: 64,
                on_link: true,
                autonomous: true,
                valid_s: 5400,
                preferred_s: 2700,
            }),
            RouterOption::Mtu(1480),
            RouterOption::RecursiveDns {
                servers: vec![DNS],
                lifetime_s: 1800,
            },
        ],
        options_refused: 0,
    };
    assert_eq!(router.last(), &expected);
}

/// RFC 4861, 6.2.4.
#[test]
fn the_first_three_come_quickly_and_the_others_by_chance() {
    let mut router = Router::with_seed(3);
    router.advertiser.set_router(router.now, true);
    router.pass(seconds(100));
    assert_eq!(router.sent.len(), 0, "the link is down");
    router.advertiser.set_link(router.now, true);
    router.pass(seconds(24 * 3600));
    assert!(router.sent[0].0 - seconds(100) <= ANSWER_DELAY);
    let waits: Vec<Duration> = router
        .sent
        .windows(2)
        .map(|two| two[1].0 - two[0].0)
        .collect();
    assert_eq!(waits[..2], [INITIAL_INTERVAL; 2]);
    assert!(
        waits[2..]
            .iter()
            .all(|wait| (seconds(200)..=seconds(600)).contains(wait))
    );
    assert!(waits[2..].iter().any(|wait| *wait < seconds(300)));
    assert!(waits[2..].iter().any(|wait| *wait > seconds(500)));
    router.advertiser.set_link(router.now, false);
    assert_eq!(router.advertiser.next_timeout(), None);
}

/// RFC 4861, 6.2.6.
#[test]
fn solicitations_are_answered_soon_and_together() {
    let mut router = Router::settled();
    let asked_at = router.now;
    for _ in 0..1000 {
        router.solicited();
        router.pass(Duration::from_millis(20));
    }
    // Twenty seconds of it.
    let answers: Vec<Duration> = router.sent.iter().map(|(at, _)| *at).collect();
    assert!(answers[0] - asked_at <= ANSWER_DELAY);
    let mut waits = answers.windows(2).map(|two| two[1] - two[0]);
    let longest = SHORTEST_INTERVAL + ANSWER_DELAY + Duration::from_millis(20);
    assert!(waits.all(|wait| (SHORTEST_INTERVAL..=longest).contains(&wait)));
    assert_eq!(router.advertiser.counters().solicitations, 1000);
    // One that was to come anyway is not put off.
    let next = router.advertiser.next_timeout().unwrap();
    router.pass(next - router.now - Duration::from_millis(1));
    router.solicited();
    assert!(router.advertiser.next_timeout().unwrap() <= next);
}

/// RFC 7084, L-13: for two hours, or as long as it would have been valid.
#[test]
fn a_network_that_went_away_is_told_as_one_not_to_be_used() {
    let mut router = Router::settled();
    let ends_soon = AdvertisedPrefix {
        preferred_until: Some(router.now + seconds(100)),
        valid_until: Some(router.now + seconds(1000)),
        ..prefix(3)
    };
    let lasting = [prefix(1), ends_soon];
    router.advertiser.set_prefixes(router.now, &lasting);
    router.pass(seconds(60));
    let at = router.sent.last().unwrap().0;
    let left_s = |until: Duration| (until - at).as_secs() as u32;
    let expected = (
        network(3),
        left_s(ends_soon.preferred_until.unwrap()),
        left_s(ends_soon.valid_until.unwrap()),
    );
    assert_eq!(router.told(), [(network(1), 2700, 5400), expected]);
    let gone_at = router.now;
    router.advertiser.set_prefixes(router.now, &[prefix(2)]);
    router.pass(seconds(4));
    let told = router.told();
    assert_eq!(told[0], (network(2), 2700, 5400));
    assert_eq!((told[1].0, told[1].1, told[1].2), (network(1), 0, 5400));
    assert_eq!((told[2].0, told[2].1), (network(3), 0));
    assert!(told[2].2 <= 940);
    router.pass(seconds(1000) + seconds(600));
    assert_eq!(router.told().len(), 2, "it would have ended by now");
    router.pass(gone_at + LEAVE - router.now);
    let told = router.told();
    assert!(told[1].2 <= 600, "{told:?}");
    router.pass(seconds(600));
    assert_eq!(router.told(), [(network(2), 2700, 5400)]);
    // One that comes back is there again.
    router.advertiser.set_prefixes(router.now, &[prefix(1)]);
    router
        .advertiser
        .set_prefixes(router.now, &[prefix(1), prefix(2)]);
    router.pass(seconds(4));
    assert_eq!(
        router.told(),
        [(network(1), 2700, 5400), (network(2), 2700, 5400)]
    );
}

/// Hosts believe two hours of what is left of it (RFC 4862, 5.5.3 e), and no more is said.
#[test]
fn a_network_of_a_day_that_went_away_is_told_for_two_hours() {
    let mut router = Router::settled();
    let of_a_day = AdvertisedPrefix {
        valid_until: Some(router.now + seconds(86_400)),
        ..prefix(3)
    };
    router
        .advertiser
        .set_prefixes(router.now, &[prefix(1), of_a_day]);
    router.pass(seconds(60));
    router.advertiser.set_prefixes(router.now, &[prefix(1)]);
    router.pass(LEAVE - seconds(1));
    assert_eq!(router.told().len(), 2);
    router.pass(seconds(600));
    assert_eq!(router.told(), [(network(1), 2700, 5400)]);
}

/// Hosts refuse it otherwise (RFC 4862, 5.5.3 c).
#[test]
fn nothing_is_preferred_for_longer_than_it_is_valid() {
    let mut router = Router::settled();
    let ends_soon = AdvertisedPrefix {
        valid_until: Some(router.now + seconds(1000)),
        ..prefix(3)
    };
    router.advertiser.set_prefixes(router.now, &[ends_soon]);
    router.pass(seconds(4));
    let (told, preferred_s, valid_s) = router.told()[0];
    assert_eq!(told, network(3));
    assert!((990..=1000).contains(&valid_s), "{valid_s}");
    assert_eq!(preferred_s, valid_s);
}

#[test]
fn changes_are_told_soon_and_lifetimes_in_their_time() {
    let mut router = Router::settled();
    let ends = |at: Duration| AdvertisedPrefix {
        preferred_until: Some(at),
        valid_until: Some(at),
        ..prefix(1)
    };
    let next = router.advertiser.next_timeout();
    router
        .advertiser
        .set_prefixes(router.now, &[ends(router.now + seconds(3000))]);
    router.advertiser.set_router(router.now, true);
    assert_eq!(router.advertiser.next_timeout(), next);
    router.advertiser.set_router(router.now, false);
    router.pass(ANSWER_DELAY);
    assert_eq!((router.sent.len(), router.last().lifetime_s), (1, 0));
    assert_eq!(router.told(), [(network(1), 2700, 2999)]);
}

/// RFC 4861, 6.2.5.
#[test]
fn whoever_ceases_says_so() {
    let mut router = Router::settled();
    router.advertiser.cease(router.now);
    router.poll();
    assert_eq!((router.sent.len(), router.last().lifetime_s), (1, 0));
    assert_eq!(router.last().options, []);
    router.solicited();
    router.pass(seconds(10_000));
    assert_eq!(router.sent.len(), 1);
}

/// RFC 4861, 6.2.7.
#[test]
fn other_routers_are_counted() {
    let mut router = Router::settled();
    let ours = RouterAdvertisement {
        options: vec![RouterOption::Mtu(1480)],
        ..router.advertiser.advertisement(router.now)
    };
    let changed = [
        ours.clone(),
        RouterAdvertisement {
            options: Vec::new(),
            hop_limit: 0,
            lifetime_s: 7,
            ..ours.clone()
        },
        RouterAdvertisement {
            options: vec![RouterOption::Mtu(1500)],
            ..ours.clone()
        },
        RouterAdvertisement {
            managed: true,
            ..ours.clone()
        },
        RouterAdvertisement {
            other: false,
            ..ours.clone()
        },
        RouterAdvertisement {
            hop_limit: 63,
            ..ours
        },
    ];
    for told in changed {
        let frame = advertise([2, 0, 0, 0, 0, 0x20], ALL_NODES, &told);
        router.advertiser.handle_frame(router.now, &frame);
    }
    let counters = router.advertiser.counters();
    assert_eq!((counters.others, counters.inconsistent), (6, 4));
    router.advertiser.handle_frame(router.now, &[0; 60]);
    assert_eq!(router.advertiser.counters().malformed, 1);
    // Our own, come back.
    let frame = advertise(MAC, ALL_NODES, &router.advertiser.advertisement(router.now));
    router.advertiser.handle_frame(router.now, &frame);
    assert_eq!(router.advertiser.counters().ignored, 1);
}

#[test]
fn there_are_never_more_networks_than_fit() {
    let mut router = Router::settled();
    for number in 0..100 {
        let many: Vec<_> = (0..10).map(|it| prefix(number * 10 + it)).collect();
        router.advertiser.set_prefixes(router.now, &many);
    }
    router.pass(seconds(4));
    assert_eq!(router.told().len(), 2 * LIMIT);
    assert!(router.advertiser.counters().table_full >= 200);
}

/// One router and one host, over a line that loses; what the one says the other
/// understands, within the time that a lost message costs.
#[test]
fn the_hosts_side_understands() {
    for seed in seeds(20) {
        println!("HAL2TP_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut router = Router::with_seed(seed);
        let host_rng = StdRng::seed_from_u64(seed + 1);
        let mut host = RouterDiscovery::new(Duration::ZERO, HOST_MAC, host_rng);
        router.advertiser.set_link(router.now, true);
        host.set_link(router.now, true);
        let loss = rng.random_range(0.0..0.3);
        let mut number = 1;
        for _ in 0..12 {
            let is_router = rng.random_bool(0.7);
            if rng.random_bool(0.5) {
                number = rng.random_range(1..5);
            }
            router.advertiser.set_router(router.now, is_router);
            router
                .advertiser
                .set_prefixes(router.now, &[prefix(number)]);
            let end = router.now + seconds(rng.random_range(1..4000));
            run(&mut router, &mut host, end, loss, &mut rng);
            // Nothing more is lost until one of each was heard.
            let end = router.now + seconds(620);
            run(&mut router, &mut host, end, 0.0, &mut rng);
            let assignment = host.assignment();
            assert_eq!(assignment.routers.len(), usize::from(is_router));
            let preferred = assignment.addresses.iter();
            let preferred: Vec<_> = preferred
                .filter(|own| is_ahead(own.preferred_until, router.now))
                .map(|own| Prefix::new(own.address, own.prefix_length))
                .collect();
            assert_eq!(preferred, [prefix(number).prefix]);
            assert_eq!(assignment.name_servers, [std::net::IpAddr::V6(DNS)]);
            assert_eq!(assignment.mtu, is_router.then_some(1480));
            assert_eq!((host.managed(), host.other()), (false, is_router));
        }
        router.advertiser.cease(router.now);
        let end = router.now + seconds(1);
        run(&mut router, &mut host, end, 0.0, &mut rng);
        assert!(host.assignment().routers.is_empty());
    }
}

fn run(
    router: &mut Router,
    host: &mut RouterDiscovery,
    end: Duration,
    loss: f64,
    rng: &mut StdRng,
) {
    loop {
        while let Some(action) = router.advertiser.poll_action() {
            let Action::Frame(frame) = action else {
                panic!("{action:?}");
            };
            if !rng.random_bool(loss) {
                host.handle_frame(router.now, &frame);
            }
        }
        while let Some(action) = host.poll_action() {
            if let Action::Frame(frame) = action
                && !rng.random_bool(loss)
            {
                router.advertiser.handle_frame(router.now, &frame);
            }
        }
        let next = [router.advertiser.next_timeout(), host.next_timeout()];
        let Some(at) = next.into_iter().flatten().min().filter(|at| *at <= end) else {
            router.now = end;
            return;
        };
        router.now = router.now.max(at);
        router.advertiser.handle_timeout(router.now);
        host.handle_timeout(router.now);
    }
}

proptest! {
    #[test]
    fn junk_is_never_answered(junk in prop::collection::vec(any::<u8>(), 0..200), at in 20..70_usize) {
        let mut router = Router::settled();
        let next = router.advertiser.next_timeout();
        let mut damaged = router_message::solicit(HOST_MAC);
        damaged[at] ^= 1;
        router.advertiser.handle_frame(router.now, &junk);
        router.advertiser.handle_frame(router.now, &damaged);
        prop_assert_eq!(router.advertiser.next_timeout(), next);
        prop_assert_eq!(router.advertiser.counters().solicitations, 0);
    }
}
