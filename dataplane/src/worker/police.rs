//! How much each port may hand to the control thread, by kind. Junk of one
//! kind cannot starve another, nor junk of one port the keepalives of another.

/// What a packet to the control thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Arp,
    NeighbourDiscovery,
    /// Packets to own addresses.
    Local,
    /// L2TP control messages of tunnels that have no session yet.
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
        Self::Local,
        Self::L2tpControl,
        Self::L2tpTunnel,
        Self::Ppp,
        Self::PppElsewhere,
        Self::Report,
        Self::Neighbour,
        Self::Icmp,
    ];

    /// Whether strangers can cause it: not only the peers of tunnels that are up.
    pub(super) const fn is_for_anybody(self) -> bool {
        !matches!(self, Self::L2tpTunnel | Self::Ppp | Self::Report)
    }

    /// Packets per second, and how many at once, for each worker and port.
    /// Those of established peers are the keepalives of some thousand sessions.
    const fn limits(self) -> (u64, u64) {
        match self {
            Self::Arp
            | Self::NeighbourDiscovery
            | Self::Local
            | Self::PppElsewhere
            | Self::Neighbour
            | Self::Icmp => (1000, 256),
            Self::L2tpControl => (2000, 512),
            Self::L2tpTunnel | Self::Ppp | Self::Report => (20_000, 2048),
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
    fn one_class_does_not_starve_another() {
        let mut policers = Policers::new(1_000_000);
        while policers.allow(Class::L2tpControl, 1) {}
        assert!(policers.allow(Class::L2tpTunnel, 1));
        assert!(policers.allow(Class::Ppp, 1));
    }
}
