//! The way out of a worker: TX rings, the ring to the control thread, and the
//! counters of what was refused there.

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use dpdk::{Burst, Mbuf};

use crate::Frame;
use crate::capture::{CaptureSpec, Note};
use crate::command::{PortId, PppoeSession};
use crate::counters::{Drop, PortCounters};
use crate::event::Event;
use crate::tx_ring::TxRing;

use super::Channel;
use super::capture::Witness;
use super::logical::{LogicalPort, WayOut};
use super::police::{Class, Policers};

/// Where packets come from: a port, or the control thread.
struct Source {
    counters: Arc<PortCounters>,
    policers: Policers,
}

/// Everything by which packets leave a worker.
pub(super) struct Io {
    /// One for each port of a device. Indices beyond are logical ports.
    rings: Vec<TxRing>,
    logical: Vec<WayOut>,
    /// One for each port, then the control thread.
    sources: Vec<Source>,
    events: Arc<ArrayQueue<Event<Frame>>>,
    pub(super) tsc_hz: u64,
    /// Nanoseconds in a tick of the time stamp counter, times 2^32.
    tick_ns_32: u64,
    /// The time stamp counter at the start of this round.
    pub(super) now: u64,
    /// The port by which the packet that was routed last left.
    pub(super) way_out: Option<u16>,
    pub(super) witness: Witness,
}

impl Io {
    pub(super) fn new(
        outlets: Vec<(TxRing, Arc<PortCounters>)>,
        logical_ports: &[LogicalPort],
        channel: &Channel,
        tsc_hz: u64,
    ) -> Self {
        let mut rings = Vec::with_capacity(outlets.len());
        let mut sources = Vec::with_capacity(outlets.len() + logical_ports.len() + 1);
        let source = |counters| Source {
            counters,
            policers: Policers::new(tsc_hz),
        };
        for (ring, counters) in outlets {
            rings.push(ring);
            sources.push(source(counters));
        }
        let of_logical = logical_ports.iter().map(|port| Arc::clone(&port.counters));
        sources.extend(of_logical.map(source));
        sources.push(source(Arc::clone(&channel.injected)));
        Self {
            logical: WayOut::of_all(rings.len(), logical_ports),
            rings,
            sources,
            events: Arc::clone(&channel.events),
            tsc_hz,
            tick_ns_32: (1_000_000_000 << 32) / tsc_hz.max(1),
            now: 0,
            way_out: None,
            witness: Witness::new(),
        }
    }

    /// So many ticks, in microseconds.
    pub(super) fn us(&self, ticks: u64) -> u64 {
        (u128::from(ticks) * 1_000_000 / u128::from(self.tsc_hz.max(1))) as u64
    }

    /// So many microseconds, in ticks.
    pub(super) fn ticks(&self, us: u64) -> u64 {
        (u128::from(us) * u128::from(self.tsc_hz) / 1_000_000) as u64
    }

    /// The start of this round on a clock that all workers share, in nanoseconds.
    pub(super) fn now_ns(&self) -> u64 {
        ((u128::from(self.now) * u128::from(self.tick_ns_32)) >> 32) as u64
    }

    /// The control thread as a source.
    pub(super) fn control(&self) -> usize {
        self.rings.len() + self.logical.len()
    }

    pub(super) fn received(&self, source: usize, octets: usize) {
        self.received_burst(source, 1, octets as u64);
    }

    pub(super) fn received_burst(&self, source: usize, packets: u64, octets: u64) {
        let counters = &self.sources[source].counters;
        counters.received_packets.add(packets);
        counters.received_octets.add(octets);
    }

    /// A packet was put together of fragments.
    pub(super) fn reassembled(&self, source: usize, fragments: u64) {
        let counters = &self.sources[source].counters;
        counters.reassembled_packets.add(1);
        counters.reassembled_fragments.add(fragments);
    }

    // A call of its own: what it may do for a witness takes no register of the usual ways.
    #[cold]
    #[inline(never)]
    pub(super) fn drop(&self, source: usize, reason: Drop) {
        self.drop_many(source, reason, 1);
    }

    #[inline]
    pub(super) fn drop_many(&self, source: usize, reason: Drop, packets: u64) {
        self.sources[source].counters.drops.add(reason, packets);
        if self.witness.is_on() && packets > 0 {
            self.note_drop(source, reason);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_drop(&self, source: usize, reason: Drop) {
        self.witness.note(|session| Note::Dropped {
            port: PortId(source as u16),
            session,
            reason,
        });
    }

    /// How many frames the port's ring takes now.
    #[inline]
    pub(super) fn room(&self, port: usize) -> usize {
        match self.rings.get(port) {
            Some(ring) => ring.room(),
            None => self.room_of_logical(port),
        }
    }

    #[inline(never)]
    fn room_of_logical(&self, port: usize) -> usize {
        let way = self.logical.get(port - self.rings.len());
        way.map_or(0, |way| self.rings[way.device].room())
    }

    /// Puts a frame into the port's ring. False when it was dropped, which is counted.
    #[inline(always)]
    pub(super) fn push(&mut self, port: usize, frame: Mbuf) -> bool {
        let Some(ring) = self.rings.get_mut(port) else {
            return self.push_logical(port, frame);
        };
        match ring.push(frame) {
            Ok(()) => true,
            Err(frame) => self.push_behind(port, frame),
        }
    }

    /// Puts all frames of a burst, which have so many octets, into the port's ring
    /// if none of them need wait there. False, and no change, otherwise.
    #[inline(always)]
    pub(super) fn append(&mut self, port: usize, frames: &mut Burst, octets: u64) -> bool {
        match self.rings.get_mut(port) {
            Some(ring) => ring.append(frames, octets, &self.sources[port].counters),
            None => self.append_logical(port, frames, octets),
        }
    }

    /// Puts a frame of a logical port into its device's ring. False when it was
    /// dropped, which is counted.
    #[inline(never)]
    fn push_logical(&mut self, port: usize, frame: Mbuf) -> bool {
        let octets = frame.len() as u64;
        match self.try_push_logical(port, frame) {
            Ok(()) => {
                self.count_logical(port, 1, octets);
                true
            }
            Err(reason) => {
                self.drop(port, reason);
                false
            }
        }
    }

    fn try_push_logical(&mut self, port: usize, mut frame: Mbuf) -> Result<(), Drop> {
        let way = self.logical.get(port - self.rings.len());
        let way = way.ok_or(Drop::NoInterface)?;
        way.wrap(&mut frame)?;
        let device = way.device;
        match self.rings[device].push(frame) {
            Ok(()) => Ok(()),
            Err(frame) => self.push_to_device((device, port), frame),
        }
    }

    /// Puts a frame of a port, which is on the device or the device itself, where it may have to wait.
    fn push_to_device(&mut self, ports: (usize, usize), frame: Mbuf) -> Result<(), Drop> {
        let (ring, device) = (&mut self.rings[ports.0], &self.sources[ports.0]);
        let mut push = |frame| ring.push_behind(frame, &device.counters);
        if self.witness.is_on() {
            self.witness.leave(self.now, ports, frame, push)
        } else {
            push(frame)
        }
    }

    /// As [`Self::append`], for a logical port.
    #[inline(never)]
    fn append_logical(&mut self, port: usize, frames: &mut Burst, octets: u64) -> bool {
        let count = frames.len();
        let Some(way) = self.logical.get(port - self.rings.len()) else {
            return false;
        };
        let (ring, device) = (&mut self.rings[way.device], &self.sources[way.device]);
        let Some(more_octets) = way.added_octets(frames) else {
            return false;
        };
        if !ring.make_room(count, &device.counters) {
            return false;
        }
        for frame in frames.iter_mut() {
            // It takes all, as just seen.
            let _ = way.wrap(frame);
        }
        let all_octets = octets + (more_octets * count) as u64;
        let added = ring.append(frames, all_octets, &device.counters);
        self.count_logical(port, count as u64, octets);
        added
    }

    /// Counts frames that a logical port sent, where its carriers that are logical
    /// count them, too.
    fn count_logical(&self, port: usize, packets: u64, octets: u64) {
        let mut next = self.logical.get(port - self.rings.len());
        let (mut source, mut octets) = (port, octets);
        while let Some(way) = next {
            let counters = &self.sources[source].counters;
            counters.sent_packets.add(packets);
            counters.sent_octets.add(octets);
            octets += packets * way.own_octets;
            source = way.carrier;
            next = source
                .checked_sub(self.rings.len())
                .and_then(|place| self.logical.get(place));
        }
    }

    /// Puts a frame where it may have to wait.
    #[cold]
    #[inline(never)]
    fn push_behind(&mut self, port: usize, frame: Mbuf) -> bool {
        match self.push_to_device((port, port), frame) {
            Ok(()) => true,
            Err(reason) => {
                self.drop(port, reason);
                false
            }
        }
    }

    /// Begins a capture, or ends the one that is on. What leaves while it is on is seen
    /// on its way through [`Self::push_behind`]. Says whether one is on.
    pub(super) fn set_capture(&mut self, spec: Option<Arc<CaptureSpec>>, worker: usize) -> bool {
        let watched = self.witness.set(spec, worker);
        for ring in &mut self.rings {
            ring.set_watched(watched);
        }
        watched
    }

    /// Takes what other workers handed over and gives all rings to their queues.
    pub(super) fn send_all(&mut self) -> usize {
        let rings = self.rings.iter_mut().zip(&self.sources);
        rings
            .map(|(ring, source)| ring.send(&source.counters))
            .sum()
    }

    /// Follows a port's link.
    pub(super) fn set_port_up(&mut self, port: usize, up: bool) {
        match self.rings.get_mut(port) {
            Some(ring) => ring.set_up(up, &self.sources[port].counters),
            None => WayOut::set_up(&mut self.logical, self.rings.len(), port, up),
        }
    }

    /// Follows the session of a logical port of PPPoE.
    pub(super) fn set_pppoe(&mut self, port: usize, session: Option<PppoeSession>) {
        let place = port.checked_sub(self.rings.len());
        if let Some(way) = place.and_then(|place| self.logical.get_mut(place)) {
            way.set_session(session);
        }
    }

    /// Hands a packet to the control thread, or drops it with a name. `source`
    /// is whose allowance it uses and whose counters say what became of it.
    pub(super) fn punt(&mut self, source: usize, class: Class, event: Event<Frame>) -> bool {
        let reason = match self.offer(source, class, event) {
            Ok(()) => {
                self.sources[source].counters.punted_packets.add(1);
                self.note_punted(class);
                return true;
            }
            Err(reason) => reason,
        };
        self.drop(source, reason);
        false
    }

    pub(super) fn note_punted(&self, class: Class) {
        if self.witness.is_on() {
            self.witness.note(|_| Note::Punted(class.name()));
        }
    }

    /// The same without counting: for events about packets whose fate is
    /// counted elsewhere.
    pub(super) fn offer(
        &mut self,
        source: usize,
        class: Class,
        event: Event<Frame>,
    ) -> Result<(), Drop> {
        if !self.sources[source].policers.allow(class, self.now) {
            return Err(Drop::PuntPoliced);
        }
        if class.is_for_anybody() && self.events.len() >= self.events.capacity() / 2 {
            // The other half is for the peers of what is up, however late the
            // control thread is.
            return Err(Drop::PuntRingFull);
        }
        self.tell(event)
    }

    /// An event that is limited by who makes it.
    pub(super) fn tell(&self, event: Event<Frame>) -> Result<(), Drop> {
        self.events.push(event).map_err(|_| Drop::PuntRingFull)
    }
}
