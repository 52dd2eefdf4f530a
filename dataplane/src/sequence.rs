//! Sequence numbers in the data messages of a session (RFC 2661, 5.4). They
//! say in which order a message was sent, no more: what is lost stays lost.
//! The copies of a set have numbers of their own.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

/// What is sent, by whichever thread. It begins at 0 and goes on where it was
/// when numbers are sent again after a while without.
#[derive(Debug, Default)]
pub struct Sequence {
    next: AtomicU16,
    sends: AtomicBool,
    follows: bool,
}

impl Sequence {
    /// Every message is numbered: either end has asked for it.
    #[must_use]
    pub fn always() -> Self {
        Self {
            sends: AtomicBool::new(true),
            ..Self::default()
        }
    }

    /// As the peer, an LNS, does it: it decides, from one message to the next.
    #[must_use]
    pub fn as_the_peer() -> Self {
        Self {
            follows: true,
            ..Self::default()
        }
    }

    /// Ns for the next message, if it is to have one.
    #[inline]
    pub fn take(&self) -> Option<u16> {
        self.is_sent()
            .then(|| self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether messages are numbered now.
    #[inline]
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.sends.load(Ordering::Relaxed)
    }

    /// The peer sent a message with or without a number.
    #[inline]
    pub fn received(&self, numbered: bool) {
        // Not stored when nothing changes: others read it for every packet.
        if self.follows && self.is_sent() != numbered {
            self.sends.store(numbered, Ordering::Relaxed);
        }
    }
}

/// What becomes of a message that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Newer than all before it.
    New,
    /// Older: to be dropped.
    Old,
    /// Older, but so were those before it, in order: the peer counts anew.
    Restarted,
}

/// What one worker received. A worker that sees only some of a session's
/// messages sees those in order too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    /// Ns behind the newest; `None` before the first.
    next: Option<u16>,
    /// Ns behind the last old one, and how many old ones came in order.
    next_old: u16,
    old_in_order: u8,
}

impl Received {
    /// Old messages in order that make a new beginning: few, since all of them are
    /// dropped, and more than a network repeats in order.
    pub const RESTART_AFTER: u8 = 5;

    /// Takes the Ns of a message.
    pub fn take(&mut self, ns: u16) -> Arrival {
        let behind = ns.wrapping_add(1);
        // RFC 2661, 5.8: the 32768 numbers before the one expected are old.
        let is_old = |next: u16| ns.wrapping_sub(next) >= 0x8000;
        if !self.next.is_some_and(is_old) {
            *self = Self {
                next: Some(behind),
                ..Self::default()
            };
            return Arrival::New;
        }
        let in_order = self.old_in_order > 0 && ns == self.next_old;
        self.old_in_order = if in_order { self.old_in_order + 1 } else { 1 };
        self.next_old = behind;
        if self.old_in_order < Self::RESTART_AFTER {
            return Arrival::Old;
        }
        *self = Self {
            next: Some(behind),
            ..Self::default()
        };
        Arrival::Restarted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(received: &mut Received, numbers: &[u16]) -> Vec<Arrival> {
        numbers.iter().map(|&ns| received.take(ns)).collect()
    }

    #[test]
    fn numbers_are_sent_from_0_and_go_on_where_they_were() {
        let sequence = Sequence::as_the_peer();
        assert_eq!(sequence.take(), None);
        sequence.received(true);
        assert_eq!([sequence.take(), sequence.take()], [Some(0), Some(1)]);
        sequence.received(false);
        assert_eq!(sequence.take(), None);
        sequence.received(true);
        assert_eq!(sequence.take(), Some(2));
    }

    #[test]
    fn who_does_not_follow_is_not_led() {
        let (always, never) = (Sequence::always(), Sequence::default());
        for numbered in [false, true] {
            always.received(numbered);
            never.received(numbered);
            assert!(always.is_sent() && !never.is_sent());
        }
        for ns in (0..=u16::MAX).chain(0..3) {
            assert_eq!(always.take(), Some(ns));
        }
    }

    #[test]
    fn what_is_old_is_dropped_and_a_gap_is_not_waited_for() {
        use Arrival::{New, Old};
        let mut received = Received::default();
        assert_eq!(
            arrivals(&mut received, &[7, 8, 8, 10, 9, 11, 65_000, 12]),
            [New, New, Old, New, Old, New, Old, New]
        );
    }

    #[test]
    fn the_numbers_wrap() {
        let mut received = Received::default();
        for ns in (0..=u16::MAX).chain(0..=u16::MAX) {
            assert_eq!(received.take(ns), Arrival::New);
        }
        assert_eq!(received.take(32_768), Arrival::Old);
        assert_eq!(received.take(32_767), Arrival::New, "the furthest ahead");
    }

    #[test]
    fn a_peer_that_counts_anew_is_followed_after_a_few_messages() {
        use Arrival::{New, Old, Restarted};
        let mut received = Received::default();
        received.take(30_000);
        assert_eq!(
            arrivals(&mut received, &[0, 1, 2, 3, 4, 5]),
            [Old, Old, Old, Old, Restarted, New]
        );
        // Repetitions that are not in order are none of that, nor are those that
        // new messages come between.
        let mut received = Received::default();
        received.take(30_000);
        let repeated = [5, 5, 5, 5, 5, 5, 7, 6, 5, 4, 3];
        assert_eq!(arrivals(&mut received, &repeated), [Old; 11]);
        let between = [20, 21, 22, 30_001, 23, 24, 30_002];
        assert_eq!(
            arrivals(&mut received, &between),
            [Old, Old, Old, New, Old, Old, New]
        );
    }
}
