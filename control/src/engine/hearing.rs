//! Whether a link that is up delivers anything. Its LCP echoes may be answered
//! while what the set sends over it vanishes: a fault that nobody feels as long
//! as the other links carry, and that must be known before they fail.

use std::time::Duration;

use super::happening::Fault;

/// Reports come every second at the latest: for so long a link may lose them.
const SILENT_AFTER: Duration = Duration::from_millis(2500);
/// So many copies in a row do not get lost by chance.
const NO_DATA_AFTER_COPIES: u64 = 16;

/// What was heard over a link, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hearing {
    heard_at: Duration,
    /// Packets that had arrived when last looked at.
    received: u64,
    /// The peer's count of copies, and ours of those that had arrived, at its last report.
    at_report: Option<(u64, u64)>,
    /// Copies that the peer has sent since one arrived.
    in_vain: u64,
    doubt: Option<Doubt>,
    fault: Option<(Fault, Duration)>,
    peer: PeerSays,
}

/// Nobody knows yet whether a link delivers. What ends that:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// A report or a packet.
    AnythingHeard,
    /// A packet: reports came before while packets did not.
    Packet,
}

/// What the peer says of its end of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PeerSays {
    /// It has masked the link for a drill.
    pub(super) is_masked: bool,
    /// Nothing of ours arrives there.
    pub(super) is_deaf: bool,
    /// We have masked the link, and it has no other to rely on.
    pub(super) is_needed: bool,
    /// It sends nothing over the link any more, and not for a drill.
    pub(super) has_left: bool,
}

/// A fault that began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Began(Fault),
    /// It goes on as another.
    Became(Fault),
    Ended {
        lasted: Duration,
    },
}

impl Hearing {
    /// The link is open from now on.
    pub(super) fn begin(&mut self, now: Duration) {
        *self = Self {
            heard_at: now,
            received: self.received,
            doubt: Some(Doubt::AnythingHeard),
            ..Self::default()
        };
    }

    /// We mask the link: its packets are not counted any more, its reports are heard.
    /// How long it had a fault, if it has one.
    pub(super) fn pause(&mut self, now: Duration) -> Option<Duration> {
        if self.in_vain >= NO_DATA_AFTER_COPIES {
            self.doubt = Some(Doubt::Packet);
        }
        self.end(now)
    }

    /// The link carries again after that; so many packets had arrived.
    pub(super) fn resume(&mut self, received: u64) {
        self.received = received;
        self.at_report = None;
        self.in_vain = 0;
    }

    /// The peer's report says how the link is there.
    pub(super) fn told(&mut self, peer: PeerSays) {
        self.peer = peer;
    }

    #[must_use]
    pub(super) fn peer(&self) -> PeerSays {
        self.peer
    }

    /// A report came: so many copies were sent over the link, and so many
    /// packets had arrived before it.
    pub(super) fn report(&mut self, now: Duration, copies: u64, received: u64) {
        self.heard_at = now;
        if self.doubt == Some(Doubt::AnythingHeard) {
            self.doubt = None;
        }
        if let Some((sent_before, received_before)) = self.at_report.replace((copies, received)) {
            self.in_vain = if received == received_before {
                self.in_vain + copies.saturating_sub(sent_before)
            } else {
                0
            };
        }
    }

    /// Looks whether packets came, and whether it has been too long. To be
    /// called some times a second.
    pub(super) fn look(&mut self, now: Duration, received: u64) -> Option<Change> {
        if self.received != received {
            self.received = received;
            self.heard_at = now;
            self.in_vain = 0;
            self.doubt = None;
        }
        let fault = if self.is_silent(now) {
            Some(Fault::Silent)
        } else if self.peer.is_masked {
            Some(Fault::PeerMasked)
        } else if self.in_vain >= NO_DATA_AFTER_COPIES {
            Some(Fault::NoData)
        } else {
            None
        };
        match (self.fault, fault) {
            (None, Some(fault)) => {
                self.fault = Some((fault, now));
                Some(Change::Began(fault))
            }
            (Some((_, since)), None) => {
                self.fault = None;
                let lasted = now.saturating_sub(since);
                Some(Change::Ended { lasted })
            }
            (Some((before, since)), Some(fault)) if before != fault => {
                self.fault = Some((fault, since));
                Some(Change::Became(fault))
            }
            _ => None,
        }
    }

    fn is_silent(&self, now: Duration) -> bool {
        now >= self.heard_at + SILENT_AFTER
    }

    /// Why the link cannot be relied on; as far as is known here and was told by the
    /// other end.
    #[must_use]
    pub(super) fn weakness(&self, now: Duration) -> Option<&'static str> {
        if let Some((fault, _)) = self.fault {
            Some(fault.text())
        } else if self.is_silent(now) {
            Some(Fault::Silent.text())
        } else if self.peer.is_masked {
            Some(Fault::PeerMasked.text())
        } else if self.peer.is_deaf {
            Some("nothing arrives at the other end")
        } else if self.peer.has_left {
            Some("the other end sends nothing over it")
        } else {
            self.doubt.map(|_| "nothing has come over it yet")
        }
    }

    /// The link is open no more; how long it had a fault, if it has one.
    pub(super) fn end(&mut self, now: Duration) -> Option<Duration> {
        let (_, since) = self.fault.take()?;
        Some(now.saturating_sub(since))
    }

    /// Whether nothing arrives of what the peer may be sending.
    #[must_use]
    pub(super) fn is_deaf(&self) -> bool {
        matches!(self.fault, Some((Fault::Silent | Fault::NoData, _)))
    }

    /// What is wrong, and since when.
    #[must_use]
    pub(super) fn fault(&self) -> Option<(Fault, Duration)> {
        self.fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn silence_is_a_fault_until_something_is_heard() {
        let mut hearing = Hearing::default();
        hearing.begin(ms(1000));
        assert_eq!(hearing.look(ms(3400), 0), None);
        assert_eq!(
            hearing.look(ms(3500), 0),
            Some(Change::Began(Fault::Silent))
        );
        assert_eq!(hearing.look(ms(3600), 0), None, "it is said once");
        assert_eq!(hearing.fault(), Some((Fault::Silent, ms(3500))));
        hearing.report(ms(5000), 0, 0);
        let lasted = ms(1600);
        assert_eq!(hearing.look(ms(5100), 0), Some(Change::Ended { lasted }));
        assert_eq!(
            hearing.look(ms(7400), 1),
            None,
            "a packet proves the path too"
        );
        assert_eq!(hearing.look(ms(9800), 1), None);
        assert_eq!(
            hearing.look(ms(9900), 1),
            Some(Change::Began(Fault::Silent))
        );
    }

    #[test]
    fn packets_that_do_not_arrive_while_reports_do_are_a_fault() {
        let mut hearing = Hearing::default();
        hearing.begin(ms(0));
        hearing.report(ms(1000), 1000, 1000);
        // The last packets before it vanished.
        hearing.report(ms(2000), 2000, 1300);
        assert_eq!(hearing.look(ms(2000), 1300), None);
        hearing.report(ms(3000), 3000, 1300);
        assert_eq!(
            hearing.look(ms(3000), 1300),
            Some(Change::Began(Fault::NoData))
        );
        hearing.report(ms(4000), 4000, 1300);
        assert_eq!(hearing.look(ms(4000), 1300), None);
        let lasted = ms(1500);
        assert_eq!(hearing.look(ms(4500), 1310), Some(Change::Ended { lasted }));
    }

    #[test]
    fn a_peer_that_masks_the_link_says_so_until_it_falls_silent() {
        let mut hearing = Hearing::default();
        hearing.begin(ms(0));
        let masked = PeerSays {
            is_masked: true,
            ..PeerSays::default()
        };
        hearing.report(ms(1000), 100, 0);
        hearing.told(masked);
        let began = Some(Change::Began(Fault::PeerMasked));
        assert_eq!(hearing.look(ms(1000), 0), began);
        assert!(!hearing.is_deaf(), "the peer sends nothing");
        hearing.pause(ms(1200));
        hearing.resume(0);
        assert_eq!(hearing.fault(), None);
        assert_eq!(hearing.look(ms(1600), 0), began, "it still is");
        assert_eq!(
            hearing.look(ms(4000), 0),
            Some(Change::Became(Fault::Silent))
        );
        assert!(hearing.is_deaf());
        hearing.report(ms(5000), 100, 0);
        hearing.told(PeerSays::default());
        let lasted = ms(3400);
        assert_eq!(hearing.look(ms(5000), 0), Some(Change::Ended { lasted }));
    }

    #[test]
    fn who_sends_nothing_loses_nothing() {
        let mut hearing = Hearing::default();
        hearing.begin(ms(0));
        for second in 1..100 {
            let now = ms(second * 1000);
            // A packet now and then is lost, but never all of them.
            hearing.report(now, second, second / 10);
            assert_eq!(hearing.look(now, second / 10), None);
        }
    }
}
