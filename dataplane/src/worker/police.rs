//! How much each port may hand to the control thread, by kind. Junk of one
//! kind cannot starve another, nor junk of one port the keepalives of another.

/// What a packet to the control thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Arp,
    NeighbourDiscovery,
    /// DHCP and DHCPv6 to nobody's address.
    Dhcp,
    /// PPPoE's discovery stage.
    PppoeDiscovery,
    /// PPP frames of the session that a logical port of PPPoE is in.
    PppoeSession,
    /// Packets to own addresses.
    Local,
    /// L2TP control messages to no tunnel: requests for one.
    L2tpRequest,
    /// Those of tunnels that have no session yet, or that are not known: thousands
    /// of peers go on for a while when they do not know that we began anew.
    L2tpControl,
    /// L2TP control messages of tunnels with a session, from its peer.
    L2tpTunnel,
    /// PPP frames of known sessions, from their peers.
    Ppp,
    /// The same from elsewhere: a NAT's new address, or somebody else's.
    PppElsewhere,
    Report,
    /// Packets whose neighbour is unknown.
    Neighbour,
    /// Packets to be answered with an ICMP error.
    Icmp,
}

impl Class {
    const COUNT: usize = Self::Icmp as usize + 1;
    const ALL: [Self; Self::COUNT] = [
        Self::Arp,
        Self::NeighbourDiscovery,
        Self::Dhcp,
        Self::PppoeDiscovery,
        Self::PppoeSession,
        Self::Local,
        Self::L2tpRequest,
        Self::L2tpControl,
        Self::L2tpTunnel,
        Self::Ppp,
        Self::PppElsewhere,
        Self::Report,
        Self::Neighbour,
        Self::Icmp,
    ];

    /// What it is, for people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Arp => "ARP",
            Self::NeighbourDiscovery => "neighbour discovery",
            Self::Dhcp => "DHCP",
            Self::PppoeDiscovery => "PPPoE discovery",
            Self::PppoeSession | Self::Ppp => "PPP",
            Self::Local => "for an address of our own",
            Self::L2tpRequest | Self::L2tpControl | Self::L2tpTunnel => "an L2TP control message",
            Self::PppElsewhere => "PPP that is not from the peer's address",
            Self::Report => "an HA report",
            Self::Neighbour => "its neighbour is not known yet",
            Self::Icmp => "to be answered by ICMP",
        }
    }

    /// Whether strangers can cause it: not only the peers of tunnels and sessions that are up.
    pub(super) const fn is_for_anybody(self) -> bool {
        !matches!(
            self,
            Self::L2tpTunnel | Self::Ppp | Self::PppoeSession | Self::Report
        )
    }

    /// Packets per second, and how many at once, for each worker and port. Those
    /// of established peers are the keepalives of tens of thousands of sessions.
    /// A request costs the control thread most; what names no tunnel that it
    /// knows, next to nothing.
    const fn limits(self) -> (u64, u64) {
        match self {
            Self::Dhcp | Self::PppoeDiscovery => (200, 64),
            Self::Arp
            | Self::NeighbourDiscovery
            | Self::PppoeSession
            | Self::Local
            | Self::PppElsewhere
            | Self::Neighbour
            | Self::Icmp => (1000, 256),
            Self::L2tpRequest => (5000, 1024),
            Self::L2tpControl => (40_000, 2048),
            Self::L2tpTunnel | Self::Report => (20_000, 2048),
            Self::Ppp => (100_000, 3072),
        }
    }
}

/// One leaky bucket, by its virtual schedule: a packet conforms when it is not
/// more than `tolerance` ahead of it. Times are of the time stamp counter.
#[derive(Clone, Copy, Debug)]
struct Policer {
    interval: u64,
    tolerance: u64,
    next: u64,
}

impl Policer {
    fn allow(&mut self, now: u64) -> bool {
        let next = self.next.max(now);
        if next - now > self.tolerance {
            return false;
        }
        self.next = next + self.interval;
        true
    }
}

/// PPP frames of one session: no session takes the place of another's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OfSession(u64);

impl OfSession {
    /// More than a negotiation takes, and keepalives.
    const PER_SECOND: u64 = 100;
    const AT_ONCE: u64 = 100;

    pub(crate) fn allow(&mut self, now: u64, tsc_hz: u64) -> bool {
        let interval = tsc_hz / Self::PER_SECOND;
        let mut policer = Policer {
            interval,
            tolerance: interval * (Self::AT_ONCE - 1),
            next: self.0,
        };
        let allowed = policer.allow(now);
        self.0 = policer.next;
        allowed
    }
}

/// The policers of one port.
#[derive(Debug)]
pub(super) struct Policers([Policer; Class::COUNT]);

impl Policers {
    pub(super) fn new(tsc_hz: u64) -> Self {
        Self(Class::ALL.map(|class| {
            let (rate, burst) = class.limits();
            let interval = tsc_hz / rate;
            Policer {
                interval,
                tolerance: interval * (burst - 1),
                next: 0,
            }
        }))
    }

    pub(super) fn allow(&mut self, class: Class, now: u64) -> bool {
        self.0[class as usize].allow(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let hz = 1_000_000;
        let mut policers = Policers::new(hz);
        let passed = (0..1000).filter(|_| policers.allow(Class::Arp, 5)).count();
        assert_eq!(passed, 256);
        let passed = (0..hz)
            .step_by(100)
            .filter(|now| policers.allow(Class::Arp, 5 + now))
            .count();
        assert!((990..=1010).contains(&passed), "{passed} in a second");
    }

    #[test]
    fn a_session_has_an_allowance_of_its_own() {
        let hz = 1_000_000;
        let mut of_session = OfSession::default();
        let passed = (0..1000).filter(|_| of_session.allow(5, hz)).count();
        assert_eq!(passed, 100);
        let passed = (0..hz)
            .step_by(100)
            .filter(|now| of_session.allow(5 + now, hz))
            .count();
        assert!((99..=101).contains(&passed), "{passed} in a second");
    }

    #[test]
    fn one_class_does_not_starve_another() {
        let mut policers = Policers::new(1_000_000);
        while policers.allow(Class::L2tpRequest, 1) {}
        assert!(policers.allow(Class::L2tpControl, 1));
        assert!(policers.allow(Class::L2tpTunnel, 1));
        assert!(policers.allow(Class::Ppp, 1));
    }
}
