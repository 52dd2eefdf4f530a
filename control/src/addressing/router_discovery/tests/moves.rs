//! The link goes and comes back, to the same network or to another one.

use super::*;

impl Host {
    /// The cable is out for ten seconds.
    fn replug(&mut self) {
        self.set_link(false);
        self.pass(seconds(10));
        self.solicited.clear();
        self.changes = 0;
        self.set_link(true);
    }
}

#[test]
fn the_same_network_goes_on_without_a_word() {
    let mut host = Host::settled();
    host.replug();
    assert_eq!(host.solicited, [host.now], "asked at once");
    assert_eq!(
        host.addresses(),
        [own(1)],
        "kept until somebody says otherwise"
    );
    host.pass(Duration::from_millis(100));
    host.hear(1, &advertisement(&[prefix(1)]));
    host.pass(seconds(1000));
    assert!(!host.take_changed());
    assert_eq!(host.solicited.len(), 1);
    assert_eq!(host.discovery.counters().unconfirmed, 0);
}

#[test]
fn of_another_network_nothing_old_stays() {
    let mut host = Host::settled();
    host.replug();
    host.pass(Duration::from_millis(100));
    host.hear(2, &advertisement(&[prefix(2)]));
    assert!(host.take_changed());
    assert_eq!(host.addresses(), [own(1), own(2)]);
    host.pass(CONFIRM - Duration::from_millis(1));
    assert!(!host.take_changed());
    host.pass(Duration::from_millis(1));
    assert!(host.take_changed());
    assert_eq!(host.addresses(), [own(2)]);
    assert_eq!(host.routers(), [router(2)]);
    assert!(host.assignment().on_link.is_empty());
    // A router, a network and an address.
    assert_eq!(host.discovery.counters().unconfirmed, 3);
}

/// Two routers of one link need not answer together.
#[test]
fn the_second_router_has_time_to_answer() {
    let mut host = Host::settled();
    host.hear(2, &advertisement(&[prefix(2)]));
    host.replug();
    host.hear(1, &advertisement(&[prefix(1)]));
    host.pass(seconds(3));
    host.hear(2, &advertisement(&[prefix(2)]));
    host.pass(seconds(1000));
    assert!(!host.take_changed());
    assert_eq!(host.routers(), [router(1), router(2)]);
}

/// A modem that restarts brings the link up long before it answers.
#[test]
fn everything_is_kept_while_nobody_answers() {
    let mut host = Host::settled();
    host.replug();
    host.pass(seconds(300));
    assert!(!host.take_changed());
    assert_eq!(host.addresses(), [own(1)]);
    assert_eq!(host.routers(), [router(1)]);
    assert!(host.solicited.len() >= 5, "{:?}", host.solicited);
    host.hear(1, &advertisement(&[prefix(1)]));
    host.pass(seconds(100));
    assert!(!host.take_changed());
}

/// For want of room, what was not confirmed goes before what was.
#[test]
fn old_entries_make_room_for_new_ones() {
    let mut host = Host::new();
    for number in 0..LIMIT as u8 {
        host.hear(number, &advertisement(&[prefix(number.into())]));
    }
    host.replug();
    for number in 100..100 + LIMIT as u8 {
        host.hear(number, &advertisement(&[prefix(number.into())]));
    }
    assert_eq!(host.discovery.counters().table_full, 0);
    assert_eq!(host.addresses().len(), LIMIT);
    assert!(host.addresses().contains(&own(100)));
    assert!(!host.addresses().contains(&own(0)));
}

#[test]
fn a_lifetime_that_ends_while_the_link_is_down_ends() {
    let mut host = Host::settled();
    host.set_link(false);
    host.pass(seconds(1800));
    assert!(host.take_changed() && host.routers().is_empty());
    host.pass(seconds(100));
    assert_eq!(host.solicited, [], "nobody is asked");
}
