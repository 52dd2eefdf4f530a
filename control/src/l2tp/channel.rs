//! Reliable delivery of control messages (RFC 2661 section 5.8, appendix A).

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// The window of a peer that names none (RFC 2661 section 4.4.3).
pub const DEFAULT_PEER_WINDOW: u16 = 4;

/// When messages are sent again and acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retransmission {
    /// First interval; doubled each time.
    pub initial: Duration,
    /// The intervals grow no further; RFC 2661 wants at least 8 s.
    pub maximum: Duration,
    /// Retransmissions before the peer counts as dead.
    pub retries: u32,
    /// How long an acknowledgement waits for a message to ride on; under a
    /// quarter of `initial`.
    pub ack_delay: Duration,
}

impl Default for Retransmission {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            maximum: Duration::from_secs(8),
            retries: 5,
            ack_delay: Duration::from_millis(50),
        }
    }
}

impl Retransmission {
    /// Time between transmission number `attempt` (from 0) and the next.
    fn interval(&self, attempt: u32) -> Duration {
        self.initial
            .saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX))
            .min(self.maximum)
    }

    /// From the first transmission to giving up: 31 s with the defaults.
    #[must_use]
    pub fn cycle(&self) -> Duration {
        (0..=self.retries)
            .map(|attempt| self.interval(attempt))
            .sum()
    }
}

/// A message of a tunnel or of one of its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The session id of the header: the peer's, or 0.
    pub session_id: u16,
    pub body: Vec<u8>,
}

/// What to put in a datagram; an empty body is a ZLB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmission {
    pub session_id: u16,
    pub ns: u16,
    pub nr: u16,
    pub body: Vec<u8>,
}

/// The peer did not acknowledge within the retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerDead;

/// What a received control message was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Expected, now or later: what is due comes from [`Channel::deliver`].
    New,
    /// Delivered before; it will be acknowledged again.
    Duplicate,
    /// Further ahead than our window: dropped.
    Outside,
    /// Only an acknowledgement.
    Zlb,
}

/// One side of a reliable channel.
#[derive(Debug)]
pub struct Channel {
    retransmission: Retransmission,
    /// Ns of the front of `outbox`.
    oldest: u16,
    /// Packets not acknowledged, then packets not sent yet.
    outbox: VecDeque<Packet>,
    /// How many of `outbox` were sent at least once: they own their Ns.
    numbered: usize,
    /// How many of `outbox` are on the way since the last timeout.
    in_flight: usize,
    window: Window,
    /// Transmissions of the oldest packet less one.
    attempt: u32,
    retransmit_at: Option<Duration>,
    /// Ns expected next.
    expected: u16,
    /// Packets that came early, by how far ahead of `expected` they were at Ns.
    early: BTreeMap<u16, Packet>,
    due: VecDeque<Packet>,
    receive_window: u16,
    ack_at: Option<Duration>,
    /// Nothing is sent again unless the peer asks for it.
    passive: bool,
}

/// Slow start and congestion avoidance (RFC 2661 appendix A).
#[derive(Debug)]
struct Window {
    congestion: usize,
    threshold: usize,
    /// Acknowledged packets since the window last grew in congestion avoidance.
    acknowledged: usize,
    peer: usize,
}

impl Window {
    const fn new(peer: u16) -> Self {
        Self {
            congestion: 1,
            threshold: peer as usize,
            acknowledged: 0,
            peer: peer as usize,
        }
    }

    fn grow(&mut self, packets: usize) {
        for _ in 0..packets {
            self.acknowledged += 1;
            if self.congestion < self.threshold || self.acknowledged >= self.congestion {
                self.congestion = (self.congestion + 1).min(self.peer);
                self.acknowledged = 0;
            }
        }
    }

    fn collapse(&mut self) {
        self.threshold = (self.congestion / 2).max(1);
        self.congestion = 1;
        self.acknowledged = 0;
    }
}

impl Channel {
    /// A channel that queues up to `receive_window` packets that come early:
    /// the Receive Window Size we advertise.
    #[must_use]
    pub const fn new(retransmission: Retransmission, receive_window: u16) -> Self {
        Self {
            retransmission,
            oldest: 0,
            outbox: VecDeque::new(),
            numbered: 0,
            in_flight: 0,
            window: Window::new(DEFAULT_PEER_WINDOW),
            attempt: 0,
            retransmit_at: None,
            expected: 0,
            early: BTreeMap::new(),
            due: VecDeque::new(),
            receive_window,
            ack_at: None,
            passive: false,
        }
    }

    /// Whether packets are sent again only when [`Self::repeat_oldest`] is called,
    /// and never given up: for a peer that has not proved its address.
    pub const fn set_passive(&mut self, passive: bool) {
        self.passive = passive;
    }

    /// How many packets wait, for the peer's acknowledgement or its window.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.outbox.len()
    }

    /// A whole cycle of retransmissions.
    #[must_use]
    pub fn cycle(&self) -> Duration {
        self.retransmission.cycle()
    }

    /// Takes the peer's Receive Window Size.
    pub fn set_peer_window(&mut self, packets: u16) {
        let packets = usize::from(packets.max(1));
        self.window.peer = packets;
        self.window.threshold = packets;
        self.window.congestion = self.window.congestion.min(packets);
    }

    /// Queues a packet behind all others.
    pub fn send(&mut self, packet: Packet) {
        self.outbox.push_back(packet);
    }

    /// Queues the last packet of the channel: before everything that was not
    /// sent yet, which is dropped, and past the congestion window.
    pub fn send_last(&mut self, packet: Packet) {
        self.outbox.truncate(self.numbered);
        self.outbox.push_back(packet);
        self.window.congestion = self
            .window
            .congestion
            .max(self.in_flight + 1)
            .min(self.window.peer);
    }

    /// Gives up everything that is not acknowledged: the peer has closed.
    pub fn abandon(&mut self) {
        self.oldest = self.next_ns();
        self.outbox.clear();
        self.numbered = 0;
        self.in_flight = 0;
        self.retransmit_at = None;
    }

    /// Whether everything sent was acknowledged and nothing waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Ns of the next packet that was never sent; also that of a ZLB.
    #[must_use]
    pub const fn next_ns(&self) -> u16 {
        self.oldest.wrapping_add(self.numbered as u16)
    }

    /// The number expected next from the peer.
    #[must_use]
    pub const fn nr(&self) -> u16 {
        self.expected
    }

    /// Takes a received message apart from its AVPs.
    pub fn receive(&mut self, now: Duration, ns: u16, nr: u16, packet: Packet) -> Arrival {
        self.acknowledged(now, nr);
        if packet.body.is_empty() {
            return Arrival::Zlb;
        }
        // RFC 2661 section 5.8: the 32768 numbers up to the last received are old.
        let ahead = ns.wrapping_sub(self.expected);
        if ahead >= 0x8000 {
            self.ack_at = Some(now);
            return Arrival::Duplicate;
        }
        if ahead >= self.receive_window {
            return Arrival::Outside;
        }
        self.early.insert(ns, packet);
        while let Some(packet) = self.early.remove(&self.expected) {
            self.due.push_back(packet);
            self.expected = self.expected.wrapping_add(1);
        }
        let ack_at = now + self.retransmission.ack_delay;
        self.ack_at = Some(self.ack_at.map_or(ack_at, |at| at.min(ack_at)));
        Arrival::New
    }

    /// The next packet in order.
    pub fn deliver(&mut self) -> Option<Packet> {
        self.due.pop_front()
    }

    /// An Nr outside (oldest unacknowledged, next to send] says nothing.
    fn acknowledged(&mut self, now: Duration, nr: u16) {
        let packets = usize::from(nr.wrapping_sub(self.oldest));
        if packets == 0 || packets > self.numbered {
            return;
        }
        self.outbox.drain(..packets);
        self.oldest = nr;
        self.numbered -= packets;
        self.in_flight = self.in_flight.saturating_sub(packets);
        self.window.grow(packets);
        self.attempt = 0;
        self.retransmit_at =
            (self.in_flight > 0 && !self.passive).then(|| now + self.retransmission.interval(0));
    }

    /// Sends the acknowledgement that waits at once, with or without a message.
    pub fn hasten_ack(&mut self, now: Duration) {
        if self.ack_at.is_some() {
            self.ack_at = Some(now);
        }
    }

    /// Sends the oldest packet again because the peer evidently lacks it; the
    /// retries are not touched.
    pub fn repeat_oldest(&mut self) -> Option<Transmission> {
        let packet = self.outbox.front().filter(|_| self.numbered > 0)?.clone();
        Some(self.transmission(self.oldest, packet))
    }

    /// What to send now: messages as the windows allow, or a ZLB when an
    /// acknowledgement is due.
    pub fn poll_transmit(&mut self, now: Duration) -> Option<Transmission> {
        if self.in_flight > 0 && !self.passive && self.retransmit_at.is_none() {
            // What was sent while passive is sent again from now on.
            self.retransmit_at = Some(now + self.retransmission.interval(self.attempt));
        }
        let window = self.window.congestion.min(self.window.peer);
        let next = self.outbox.get(self.in_flight);
        if let Some(packet) = next.filter(|_| self.in_flight < window).cloned() {
            let ns = self.oldest.wrapping_add(self.in_flight as u16);
            self.in_flight += 1;
            self.numbered = self.numbered.max(self.in_flight);
            if self.retransmit_at.is_none() && !self.passive {
                self.retransmit_at = Some(now + self.retransmission.interval(self.attempt));
            }
            return Some(self.transmission(ns, packet));
        }
        if self.ack_at.is_some_and(|at| at <= now) {
            let zlb = Packet {
                session_id: 0,
                body: Vec::new(),
            };
            return Some(self.transmission(self.next_ns(), zlb));
        }
        None
    }

    /// Every transmission acknowledges what came so far.
    fn transmission(&mut self, ns: u16, packet: Packet) -> Transmission {
        self.ack_at = None;
        Transmission {
            session_id: packet.session_id,
            ns,
            nr: self.expected,
            body: packet.body,
        }
    }

    /// When [`Self::handle_timeout`] or [`Self::poll_transmit`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        [self.retransmit_at, self.ack_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Prepares the retransmission that is due, if one is.
    ///
    /// # Errors
    /// [`PeerDead`] when the retries are used up.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), PeerDead> {
        if self.retransmit_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        self.retransmit_at = None;
        if self.attempt >= self.retransmission.retries {
            return Err(PeerDead);
        }
        self.attempt += 1;
        self.window.collapse();
        self.in_flight = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
