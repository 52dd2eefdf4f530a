//! What waits for one TX queue. Bounded: a port that takes nothing costs its
//! own frames and delays no other.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use dpdk::{BURST, Burst, Mbuf, TxQueue};

use crate::counters::{Drop, PortCounters};
use crate::ring;

/// Frames that may wait. Some milliseconds of a slow link; more would only
/// make late copies.
pub(crate) const TX_RING_FRAMES: usize = 1024;

/// Bursts taken from other workers between two looks at the ports: the owner
/// has packets of its own to receive.
const BURSTS_PER_ROUND: usize = 4;

/// What workers without a TX queue of a port hand to the owner of one, a burst
/// at a time.
pub type HandOver = ArrayQueue<Burst>;

/// Where a ring's frames go.
pub enum Outlet {
    /// Into a TX queue of its own, as do those that other workers hand over.
    Own {
        queue: TxQueue,
        handed_over: Arc<HandOver>,
    },
    /// To the owner of a queue.
    HandOver(Arc<HandOver>),
}

/// Frames on their way out of a port, in order.
pub(crate) struct TxRing {
    /// The next frames to go.
    next: Burst,
    /// Of those.
    octets: u64,
    /// The port is up, no frame waits behind `next`, and nobody looks on.
    open: bool,
    up: bool,
    /// Nothing goes in directly: [`Self::push_behind`] is called for each frame.
    watched: bool,
    outlet: Outlet,
    /// Room in a full ring was for other workers last.
    others_turn: bool,
    /// Those behind `next`; in use only when the queue does not keep up.
    backlog: VecDeque<Mbuf>,
}

impl TxRing {
    pub(crate) fn new(outlet: Outlet, up: bool) -> Self {
        let backlog = match outlet {
            // Nearly all may wait here: a queue can take most of `next` and then stop.
            Outlet::Own { .. } => VecDeque::with_capacity(TX_RING_FRAMES),
            Outlet::HandOver(_) => VecDeque::new(),
        };
        Self {
            next: Burst::new(),
            octets: 0,
            open: up,
            up,
            watched: false,
            outlet,
            others_turn: false,
            backlog,
        }
    }

    /// How many frames it takes. Those of other workers may come first.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        match &self.outlet {
            Outlet::Own { .. } => TX_RING_FRAMES - self.next.len() - self.backlog.len(),
            Outlet::HandOver(ring) => {
                let free = ring.capacity().saturating_sub(ring.len());
                (free * BURST).saturating_sub(self.next.len())
            }
        }
    }

    /// Adds a frame that need not wait, or gives it back.
    #[inline(always)]
    pub(crate) fn push(&mut self, frame: Mbuf) -> Result<(), Mbuf> {
        if !self.open {
            return Err(frame);
        }
        let octets = frame.len() as u64;
        self.next.push(frame)?;
        self.octets += octets;
        Ok(())
    }

    /// Adds all frames of a burst, which have so many octets, if none of them need
    /// wait. False, and no frame is added, otherwise.
    #[inline(always)]
    pub(crate) fn append(
        &mut self,
        frames: &mut Burst,
        octets: u64,
        counters: &PortCounters,
    ) -> bool {
        debug_assert_eq!(octets, self::octets(frames), "what they have together");
        if !self.open {
            return false;
        }
        if frames.len() > BURST - self.next.len() {
            self.flush(counters);
        }
        let added = self.open && self.next.append(frames);
        if added {
            self.octets += octets;
        }
        added
    }

    /// Sees to it that so many frames need not wait, at most a burst. False when they would.
    pub(crate) fn make_room(&mut self, frames: usize, counters: &PortCounters) -> bool {
        if self.open && frames > BURST - self.next.len() {
            self.flush(counters);
        }
        self.open && frames <= BURST - self.next.len()
    }

    /// Adds a frame at the end, where it may have to wait, or drops it and says why.
    pub(crate) fn push_behind(&mut self, frame: Mbuf, counters: &PortCounters) -> Result<(), Drop> {
        if !self.up {
            return Err(Drop::PortDown);
        }
        let mut clear = self.backlog.is_empty();
        if clear && (self.next.is_full() || !self.watched) {
            self.flush(counters);
            clear = self.backlog.is_empty();
        }
        let octets = frame.len() as u64;
        let frame = match if clear {
            self.next.push(frame)
        } else {
            Err(frame)
        } {
            Ok(()) => {
                self.octets += octets;
                return Ok(());
            }
            Err(frame) => frame,
        };
        if self.room() == 0 || matches!(self.outlet, Outlet::HandOver(_)) {
            return Err(Drop::TxRingFull);
        }
        self.backlog.push_back(frame);
        self.open = false;
        Ok(())
    }

    /// Takes what other workers handed over, and hands to the queue what it
    /// takes; the others keep their places. Says how much there was to do.
    #[inline(always)]
    pub(crate) fn send(&mut self, counters: &PortCounters) -> usize {
        let mut work = 0;
        if let Outlet::Own { handed_over, .. } = &self.outlet
            && !handed_over.is_empty()
        {
            work = self.take_handed_over(counters);
        }
        if self.next.is_empty() {
            return work;
        }
        work + self.flush(counters)
    }

    /// Says how many frames other workers had handed over that were taken.
    #[inline(never)]
    fn take_handed_over(&mut self, counters: &PortCounters) -> usize {
        let (mut taken, mut bursts) = (0, BURSTS_PER_ROUND);
        if self.room() < BURST {
            // What the queue takes makes room, which the owner's own frames, if there are as many
            // as ever fit, are not to have all of.
            self.flush(counters);
            self.others_turn = !self.others_turn && self.room() > 0;
            bursts = self.others_turn.into();
        }
        while let Outlet::Own { handed_over, .. } = &self.outlet
            && bursts > 0
            && let Some(mut burst) = ring::pop(handed_over)
        {
            taken += burst.len();
            for frame in burst.drain(..) {
                if let Err(reason) = self.push_behind(frame, counters) {
                    counters.drops.add(reason, 1);
                }
            }
            bursts = if self.room() < BURST { 0 } else { bursts - 1 };
        }
        taken
    }

    #[inline(never)]
    fn flush(&mut self, counters: &PortCounters) -> usize {
        match &self.outlet {
            Outlet::Own { .. } => self.flush_to_queue(counters),
            Outlet::HandOver(ring) => {
                let frames = self.next.len();
                self.octets = 0;
                if let Err(refused) = ring.push(std::mem::take(&mut self.next)) {
                    // Other workers were quicker than `room` could see.
                    counters.drops.add(Drop::TxRingFull, refused.len() as u64);
                }
                frames
            }
        }
    }

    fn flush_to_queue(&mut self, counters: &PortCounters) -> usize {
        let mut sent = 0;
        while let Outlet::Own { queue, .. } = &mut self.outlet {
            let taken = queue.tx_burst(&mut self.next);
            let all = self.next.is_empty();
            let left = if all { 0 } else { octets(&self.next) };
            counters.sent_packets.add(taken as u64);
            counters.sent_octets.add(self.octets - left);
            self.octets = left;
            sent += taken;
            self.fill();
            if !all || self.next.is_empty() {
                break;
            }
        }
        sent
    }

    /// Moves waiting frames up.
    fn fill(&mut self) {
        while !self.next.is_full() {
            let Some(frame) = self.backlog.pop_front() else {
                break;
            };
            self.octets += frame.len() as u64;
            // There is room, as just seen.
            let _ = self.next.push(frame);
        }
        self.reopen();
    }

    fn reopen(&mut self) {
        self.open = self.up && !self.watched && self.backlog.is_empty();
    }

    /// Has every frame take the way by [`Self::push_behind`], or no longer.
    pub(crate) fn set_watched(&mut self, watched: bool) {
        self.watched = watched;
        self.reopen();
    }

    /// Follows the port's link. What waits for one that goes down is freed: it
    /// would be stale when the link comes back.
    pub(crate) fn set_up(&mut self, up: bool, counters: &PortCounters) {
        self.up = up;
        self.reopen();
        if up {
            return;
        }
        let mut waiting = self.next.len() + self.backlog.len();
        self.next.clear();
        self.octets = 0;
        self.backlog.clear();
        if let Outlet::Own { handed_over, .. } = &self.outlet {
            while let Some(burst) = handed_over.pop() {
                waiting += burst.len();
            }
        }
        counters.drops.add(Drop::PortDown, waiting as u64);
    }
}

fn octets(burst: &Burst) -> u64 {
    burst.iter().map(|frame| frame.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use dpdk::{Eal, EalConfig, HugePages, Mempool, Port, PortConfig, RxQueue};

    use super::*;

    /// A port whose queue takes frames as long as its wire, which has room for 63, is emptied.
    struct Wire {
        pool: Mempool,
        _ports: [Port; 2],
        far: RxQueue,
    }

    impl Wire {
        /// With the outlet of the worker that has the queue.
        fn new(handed_over: &Arc<HandOver>) -> (Self, Outlet) {
            let eal = Eal::init(&EalConfig {
                hugepages: HugePages::No,
                ..EalConfig::default()
            })
            .expect("the EAL starts without hugepages");
            let pool = Mempool::new(&eal, "tx-ring", 4096, 0, 2048).expect("memory");
            let (near, far) = eal.ring_pair("tx-ring", 1, 63).expect("a ring pair");
            let config = PortConfig {
                rx_queues: 1,
                tx_queues: 1,
                rx_descriptors: 64,
                tx_descriptors: 64,
                mempool: pool.clone(),
                mtu: None,
                promiscuous: false,
                rss: false,
            };
            let (near, _receive, mut send) = Port::open(&eal, near, &config).expect("near");
            let (far, mut receive, _send) = Port::open(&eal, far, &config).expect("far");
            let outlet = Outlet::Own {
                queue: send.remove(0),
                handed_over: Arc::clone(handed_over),
            };
            let wire = Self {
                pool,
                _ports: [near, far],
                far: receive.remove(0),
            };
            (wire, outlet)
        }

        fn frame(&self, number: u32) -> Mbuf {
            let mut frame = self.pool.alloc().expect("a buffer");
            assert!(frame.extend_from_slice(&number.to_be_bytes()));
            frame
        }

        /// The numbers of a burst of frames that came.
        fn take(&mut self) -> Vec<u32> {
            let mut burst = Burst::new();
            self.far.rx_burst(&mut burst);
            let number = |frame: Mbuf| u32::from_be_bytes(*frame.first_chunk().expect("a number"));
            burst.drain(..).map(number).collect()
        }
    }

    /// The owner of a queue has more frames of its own than the port takes, and so has another worker.
    #[test]
    fn a_port_that_is_too_slow_sends_what_other_workers_hand_over_too() {
        const ROUNDS: usize = 400;
        const OF_OTHER: u32 = 1 << 31;
        let handed_over = Arc::new(HandOver::new(8));
        let (mut wire, outlet) = Wire::new(&handed_over);
        let counters = PortCounters::default();
        let mut own = TxRing::new(outlet, true);
        let mut other = TxRing::new(Outlet::HandOver(handed_over), true);
        let mut sent: [Vec<u32>; 2] = Default::default();
        let mut refused = 0;
        for round in 0..ROUNDS as u32 {
            for number in 64 * round..64 * (round + 1) {
                for (ring, number) in [(&mut own, number), (&mut other, OF_OTHER | number)] {
                    if let Err(frame) = ring.push(wire.frame(number)) {
                        refused += u64::from(ring.push_behind(frame, &counters).is_err());
                    }
                }
            }
            other.send(&counters);
            own.send(&counters);
            for number in wire.take() {
                sent[usize::from(number >= OF_OTHER)].push(number);
            }
        }
        for sent in &sent {
            assert!(sent.is_sorted(), "each worker's in order");
            // The port takes a burst a round.
            assert!(sent.len() > BURST * ROUNDS / 5, "{} frames", sent.len());
        }
        // On the wire, in both rings, or dropped with a reason.
        while let [_, ..] = &wire.take()[..] {
            own.send(&counters);
        }
        let sent = counters.sent_packets.read();
        let dropped = refused + counters.drops.read(Drop::TxRingFull);
        assert_eq!(sent + dropped, 2 * 64 * ROUNDS as u64);
    }

    #[test]
    fn what_other_workers_hand_over_keeps_its_place_as_long_as_there_may_be_room_for_it() {
        let handed_over = Arc::new(HandOver::new(8));
        let (wire, outlet) = Wire::new(&handed_over);
        let counters = PortCounters::default();
        let mut own = TxRing::new(outlet, true);
        let mut other = TxRing::new(Outlet::HandOver(Arc::clone(&handed_over)), true);
        // The wire is full, and the ring but for 40 places.
        for number in 0..63 + TX_RING_FRAMES as u32 - 40 {
            assert!(own.push_behind(wire.frame(number), &counters).is_ok());
        }
        own.send(&counters);
        assert_eq!(own.room(), 40);
        for _ in 0..3 {
            let mut burst = Burst::new();
            assert!(wire.pool.alloc_bulk(&mut burst, BURST));
            assert!(other.append(&mut burst, 0, &counters));
            other.send(&counters);
        }
        let mut send = || {
            own.send(&counters);
            let dropped = counters.drops.read(Drop::TxRingFull);
            (own.room(), handed_over.len(), dropped)
        };
        assert_eq!(send(), (8, 2, 0));
        assert_eq!(send(), (0, 1, BURST as u64 - 8));
        // Without any room nothing is taken, however often.
        for _ in 0..2 {
            assert_eq!(send(), (0, 1, BURST as u64 - 8));
        }
    }

    #[test]
    fn a_queue_that_takes_part_of_a_burst_makes_the_ring_neither_grow_nor_lose_order() {
        let (mut wire, outlet) = Wire::new(&Arc::new(HandOver::new(1)));
        let counters = PortCounters::default();
        let mut ring = TxRing::new(outlet, true);
        let capacity = ring.backlog.capacity();
        let mut number = 0_u32;
        let mut fill = |wire: &Wire, ring: &mut TxRing| loop {
            if ring.push_behind(wire.frame(number), &counters).is_err() {
                return number;
            }
            number += 1;
        };
        fill(&wire, &mut ring);
        let mut numbers = Vec::new();
        let mut take_all = |wire: &mut Wire| {
            let before = numbers.len();
            loop {
                match wire.take() {
                    none if none.is_empty() => break,
                    some => numbers.extend(some),
                }
            }
            (numbers.len() > before, numbers.clone())
        };
        // The wire is empty and has room for 63: the ring gives it a whole
        // burst and all but one of the next.
        take_all(&mut wire);
        ring.send(&counters);
        let offered = fill(&wire, &mut ring);
        assert_eq!(ring.room(), 0);
        assert_eq!(
            ring.backlog.capacity(),
            capacity,
            "it was made large enough"
        );
        loop {
            take_all(&mut wire);
            ring.send(&counters);
            let (some, numbers) = take_all(&mut wire);
            if !some && ring.next.is_empty() {
                assert_eq!(numbers, (0..offered).collect::<Vec<_>>());
                break;
            }
        }
        assert_eq!(counters.sent_packets.read(), u64::from(offered));
        assert_eq!(counters.sent_octets.read(), 4 * u64::from(offered));
    }
}
