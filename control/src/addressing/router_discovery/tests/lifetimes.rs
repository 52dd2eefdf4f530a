//! What is advertised ends, is advertised anew, or shortened.

use super::*;

#[test]
fn lifetimes_advertised_anew_change_times_alone() {
    let mut host = Host::settled();
    for _ in 0..100 {
        host.pass(seconds(600));
        host.hear(1, &advertisement(&[prefix(1)]));
    }
    assert!(!host.take_changed());
    let [address] = host.assignment().addresses[..] else {
        panic!("{:?}", host.assignment());
    };
    assert_eq!(address.valid_until, Some(host.now + seconds(86_400)));
    assert_eq!(address.preferred_until, Some(host.now + seconds(14_400)));
    let router = host.assignment().routers[0];
    assert_eq!(router.valid_until, Some(host.now + seconds(1800)));
}

#[test]
fn everything_ends_with_its_lifetime() {
    let mut host = Host::settled();
    host.pass(seconds(1799));
    assert!(!host.take_changed());
    host.pass(seconds(1));
    assert!(host.take_changed() && host.routers().is_empty());
    assert_eq!(host.preferred(), [own(1)]);
    host.pass(seconds(u64::from(PREFERRED_S) - 1800));
    assert!(host.take_changed() && host.preferred().is_empty());
    assert_eq!(host.addresses(), [own(1)]);
    host.pass(seconds(u64::from(VALID_S - PREFERRED_S)));
    assert!(host.take_changed());
    assert_eq!(host.assignment(), &Assignment::default());
}

#[test]
fn infinite_lifetimes_do_not_end() {
    let mut host = Host::new();
    host.hear(1, &advertisement(&[lasting(1, FOR_EVER_S, FOR_EVER_S)]));
    host.discovery.set_link(host.now, false);
    host.pass(seconds(1_000_000_000));
    host.set_link(true);
    let address = host.assignment().addresses[0];
    assert_eq!((address.preferred_until, address.valid_until), (None, None));
    // RFC 4862, 5.5.3 e: what was for ever is two hours for whoever says less.
    host.hear(1, &advertisement(&[lasting(1, 10, 10)]));
    let valid_until = host.assignment().addresses[0].valid_until;
    assert_eq!(valid_until, Some(host.now + TWO_HOURS));
    host.hear(1, &advertisement(&[lasting(1, 10, FOR_EVER_S)]));
    assert_eq!(host.assignment().addresses[0].valid_until, None);
}

/// RFC 4862, 5.5.3 e, 1 to 3.
#[test]
fn nobody_takes_an_address_away_in_less_than_two_hours() {
    // Valid so long, told so long: valid so long then.
    let cases = [
        ("more than two hours", 86_400, 7201, 7201),
        ("more than is left", 100, 101, 101),
        ("less than is left, which is little", 100, 99, 100),
        ("nothing of little", 100, 0, 100),
        ("less than two hours of more", 86_400, 7199, 7200),
        ("nothing of much", 86_400, 0, 7200),
        ("two hours of more", 86_400, 7200, 7200),
        ("the same", 7200, 7200, 7200),
    ];
    for (what, known_s, told_s, expected_s) in cases {
        let mut host = Host::new();
        host.hear(1, &advertisement(&[lasting(1, 0, known_s)]));
        host.hear(1, &advertisement(&[lasting(1, 0, told_s)]));
        let valid_until = host.assignment().addresses[0].valid_until;
        assert_eq!(valid_until, Some(seconds(expected_s)), "{what}");
    }
}

/// The preferred lifetime is always that of the last advertisement.
#[test]
fn a_deprecated_network_stands_behind_the_others() {
    let mut host = Host::settled();
    host.hear(1, &advertisement(&[prefix(1), prefix(2)]));
    assert_eq!(host.addresses(), [own(1), own(2)]);
    host.changes = 0;
    host.hear(1, &advertisement(&[lasting(1, 0, VALID_S), prefix(2)]));
    assert!(host.take_changed());
    assert_eq!(host.addresses(), [own(2), own(1)]);
    assert_eq!(host.preferred(), [own(2)]);
    host.hear(1, &advertisement(&[prefix(1), prefix(2)]));
    assert!(host.take_changed());
    assert_eq!(host.preferred(), [own(1), own(2)]);
}

/// A router that came back without its old network says nothing of it (RFC 9096, 1).
#[test]
fn a_network_that_its_router_leaves_out_is_no_longer_preferred() {
    let mut host = Host::settled();
    host.pass(seconds(100));
    host.hear(1, &advertisement(&[prefix(2)]));
    assert!(host.take_changed());
    assert_eq!(host.addresses(), [own(1), own(2)]);
    host.pass(CONFIRM);
    assert!(host.take_changed());
    assert_eq!(host.addresses(), [own(2), own(1)]);
    assert_eq!(host.preferred(), [own(2)]);
    assert_eq!(host.discovery.counters().left_out, 1);
    host.hear(1, &advertisement(&[prefix(2), prefix(1)]));
    assert_eq!(host.preferred(), [own(1), own(2)]);
}

/// RFC 4861, 6.2.3: what does not fit one message goes in several.
#[test]
fn networks_may_come_in_several_messages() {
    let mut host = Host::settled();
    host.hear(1, &advertisement(&[prefix(2)]));
    host.changes = 0;
    for _ in 0..1000 {
        host.hear(1, &advertisement(&[prefix(1)]));
        host.pass(seconds(1));
        host.hear(1, &advertisement(&[prefix(2)]));
        host.pass(seconds(1));
    }
    assert!(!host.take_changed());
    assert_eq!(host.preferred(), [own(1), own(2)]);
}

#[test]
fn another_routers_networks_say_nothing_of_the_first() {
    let mut host = Host::settled();
    host.hear(2, &advertisement(&[prefix(2)]));
    host.pass(seconds(1000));
    assert_eq!(host.preferred(), [own(1), own(2)]);
    // Nor does a message without networks.
    host.hear(1, &advertisement(&[]));
    host.pass(seconds(100));
    assert_eq!(host.preferred(), [own(1), own(2)]);
}
