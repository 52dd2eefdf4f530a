//! The link goes and comes back (RFC 8415, 18.2.3 and 18.2.12).

use dhcproto::v6::Status as Code;

use super::*;

impl Host {
    /// The cable is out for ten seconds.
    fn replug(&mut self) {
        self.set_link(false);
        assert_eq!(self.client.state(), Dhcpv6State::Idle);
        self.pass(seconds(10));
        self.sent.clear();
        self.changes = 0;
        self.set_link(true);
        assert_eq!(self.client.state().to_string(), "confirming");
    }
}

#[test]
fn an_address_is_confirmed() {
    let mut server = Server::new(1);
    let mut host = Host::bound(ADDRESS, &mut server);
    host.replug();
    host.pass_with(seconds(5), &mut server);
    assert_eq!(host.kinds(), [MessageType::Confirm]);
    assert_eq!(
        options_of(host.last()),
        [
            OptionCode::ClientId,
            OptionCode::IANA,
            OptionCode::ElapsedTime,
        ]
    );
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
    assert!(!host.take_changed());
}

#[test]
fn prefixes_are_confirmed_by_rebinding() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    host.replug();
    host.pass_with(seconds(5), &mut server);
    assert_eq!(host.kinds(), [MessageType::Rebind]);
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
    assert!(!host.take_changed());
}

/// The cable is in another network now.
#[test]
fn what_is_not_of_the_link_is_dropped() {
    for settings in [ADDRESS, BOTH] {
        let mut server = Server::new(1);
        let mut host = Host::bound(settings, &mut server);
        let mut other = Server::new(2);
        host.replug();
        host.pass_with(seconds(6), &mut other);
        assert_eq!(host.addresses(), [IpAddr::from(other.address())]);
        let expected: &[Prefix] = match settings.prefix {
            Some(_) => &[other.prefix()],
            None => &[],
        };
        assert_eq!(host.delegated(), expected);
        assert_eq!(host.client.state(), Dhcpv6State::Bound);
        assert!(host.take_changed());
        // Nothing of the old one turns up again.
        host.pass_with(seconds(20_000), &mut other);
        assert!(!host.take_changed());
    }
}

/// A server that says nothing of what it does not know.
#[test]
fn a_network_that_does_not_know_us_is_found_by_soliciting() {
    for settings in [ADDRESS, BOTH] {
        let mut server = Server::new(1);
        let mut host = Host::bound(settings, &mut server);
        let mut other = Server::new(2);
        other.is_silent = true;
        host.replug();
        host.pass_with(seconds(10), &mut other);
        assert!(!host.take_changed());
        other.is_silent = false;
        host.pass_with(seconds(60), &mut other);
        assert_eq!(host.addresses(), [IpAddr::from(other.address())]);
        assert!(host.take_changed());
    }
}

/// CNF_TIMEOUT, CNF_MAX_RT and CNF_MAX_RD; then a server is looked for, and the
/// lease stays in use. A modem that restarts is all that was wrong.
#[test]
fn while_nobody_answers_the_lease_is_kept() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    let before = host.client.assignment().clone();
    host.replug();
    host.pass(seconds(11));
    let confirms = host
        .kinds()
        .iter()
        .filter(|kind| **kind == MessageType::Rebind)
        .count();
    assert_eq!(confirms, 4);
    assert_waits(&host.waits()[..3], 1.0, 4.0);
    host.pass(seconds(60));
    assert_eq!(host.client.state(), Dhcpv6State::Soliciting);
    assert_eq!(host.client.assignment(), &before);
    host.pass_with(seconds(120), &mut server);
    assert_eq!(host.client.state(), Dhcpv6State::Bound);
    assert!(!host.take_changed(), "it lends the same");
    // It does run out.
    host.replug();
    host.pass(seconds(6000));
    assert!(host.addresses().is_empty() && host.take_changed());
    assert_eq!(host.client.state(), Dhcpv6State::Soliciting);
}

#[test]
fn a_lease_that_ends_while_the_link_is_down_ends() {
    let mut server = Server::new(1);
    let mut host = Host::bound(BOTH, &mut server);
    host.set_link(false);
    host.pass(seconds(6000));
    assert!(host.take_changed() && host.addresses().is_empty());
    assert_eq!(host.sent.len(), 0, "nobody is asked");
    host.set_link(true);
    assert_eq!(host.client.state(), Dhcpv6State::Soliciting);
}

#[test]
fn a_failure_is_no_confirmation() {
    let mut server = Server::new(1);
    let mut host = Host::bound(ADDRESS, &mut server);
    server.says = Some((MessageType::Confirm, Code::UnspecFail));
    host.replug();
    host.pass_with(seconds(5), &mut server);
    assert_eq!(host.client.state(), Dhcpv6State::Confirming);
    assert!(host.client.counters().refusals >= 2);
}
