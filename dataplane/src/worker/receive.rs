//! From the queue to the routing decision: Ethernet, ARP and neighbour
//! discovery, the IP header.

use std::net::Ipv4Addr;

use dpdk::{Burst, Mbuf};

use crate::command::PortId;
use crate::counters::Drop;
use crate::event::Event;
use crate::headers::decapsulation::{self, Expected};
use crate::headers::ipv4::Ipv4;
use crate::headers::ipv6::{self, Ipv6};
use crate::headers::routable::{self, FrameStart};
use crate::headers::{decapsulation_ipv6, ethernet, icmpv6, ipv4};
use crate::tables::{Inbound, TableSlot, Tables};
use crate::transform::may_be_syn;

use super::candidates::Origin;
use super::family::Header;
use super::forward;
use super::police::Class;
use super::receive_mixed::{FEW_CHANGES, Mixed, Mixture};
use super::shortcut::Departure;
use super::{Worker, keep};

impl Worker {
    /// Takes one burst from each of the worker's queues of a port.
    #[inline(always)]
    pub(super) fn receive_port(&mut self, port: usize) -> usize {
        let mut work = 0;
        for queue in 0..self.receive[port].queues.len() {
            let mut burst = Burst::new();
            let queue = &mut self.receive[port].queues[queue];
            let received = queue.rx_burst(&mut burst);
            let oversized = queue.take_oversized();
            if oversized > 0 {
                self.drop_oversized(port, oversized);
            }
            if received == 0 {
                continue;
            }
            work += received;
            let mut source = port;
            loop {
                if self.receive[source].inspected {
                    self.inspect(source, &mut burst);
                }
                self.take_apart(source, &mut burst);
                self.eliminate(source);
                self.number_all();
                // What was in it for logical ports, or waits since somebody looks on.
                match self.way_in.next(&mut burst) {
                    Some(next) => source = next,
                    None => break,
                }
            }
            // Of the whole burst: what waits for other workers has places by the burst.
            self.send_mail();
        }
        work
    }

    /// Frames that a queue could not put into one buffer count as received and dropped.
    #[cold]
    #[inline(never)]
    fn drop_oversized(&mut self, port: usize, frames: u64) {
        self.io.received_burst(port, frames, 0);
        self.io.drop_many(port, Drop::Oversized, frames);
    }

    /// Finds out what each frame of a burst is. Copies wait to be eliminated;
    /// all others go on.
    #[inline(always)]
    fn take_apart(&mut self, port: usize, burst: &mut Burst) {
        let count = burst.len() as u64;
        let (copies, mut octets) = self.recognise_all(port, burst);
        self.candidates.take(burst, copies);
        if !burst.is_empty() {
            octets += simd::run(Others {
                worker: self,
                port,
                burst,
            });
        }
        self.io.received_burst(port, count, octets);
    }

    /// Recognises the copies at the start of a burst, as long as there is
    /// nothing but copies in the form that our far end writes, and notes their
    /// numbers and runs. Says how many they are, and how many octets the frames
    /// had. Those of a burst of many sessions are carried all the way.
    #[inline(always)]
    fn recognise_all(&mut self, port: usize, burst: &mut Burst) -> (usize, u64) {
        if self.receive[port].mixture.is_for(burst) {
            self.take_mixed(port, burst)
        } else {
            self.recognise_few(port, burst)
        }
    }

    // Cold, so that the usual burst takes the straight way.
    #[cold]
    #[inline(never)]
    fn take_mixed(&mut self, port: usize, burst: &mut Burst) -> (usize, u64) {
        let mixed = Mixed {
            worker: self,
            port,
            burst,
        };
        match simd::run(mixed) {
            Some(octets) => (0, octets),
            None => self.recognise_few(port, burst),
        }
    }

    /// The copies at the start of a burst as it came.
    #[inline(always)]
    fn recognise_few(&mut self, port: usize, burst: &Burst) -> (usize, u64) {
        let frames = burst.as_slice();
        let (mut count, mut changes) = (0, 0);
        while let Some(frame) = frames.get(count) {
            let Some((expected, origin)) = expected(&self.tables, frame, port) else {
                break;
            };
            changes += 1;
            let (places, candidates) = (count..frames.len(), &mut self.candidates);
            let recognised = candidates.recognise(expected, origin, frames, places);
            if recognised == 0 {
                break;
            }
            count += recognised;
        }
        if changes > FEW_CHANGES {
            self.receive[port].mixture = Mixture::Expected;
        }
        (count, self.candidates.frame_octets())
    }

    /// Takes frames of which the first is no copy, and says how many octets they had.
    #[inline(always)]
    fn take_others(&mut self, port: usize, burst: &mut Burst) -> u64 {
        let octets = burst.iter().map(|frame| frame.len() as u64).sum();
        let Some((table, forwards)) = self.tables.only_table(port) else {
            for frame in burst.drain(..) {
                self.take_frame(port, frame);
            }
            return octets;
        };
        let start = self.receive[port].routable_start;
        self.prefetch_shortcuts(table, burst);
        let mut departure = Departure::new();
        for mut frame in burst.drain(..) {
            let Some(destination) = recognise_routable(&mut frame, &start) else {
                self.depart(&mut departure);
                self.take_frame(port, frame);
                continue;
            };
            const HEADER_OCTETS: usize = ethernet::HEADER_OCTETS;
            let way = if forwards {
                self.shorten_to::<Ipv4>(&mut frame, HEADER_OCTETS, table, destination)
            } else {
                None
            };
            match way {
                Some(way) => self.take_shortcut(frame, way, port, &mut departure),
                None if self.tables.leads_here(table, destination) => {
                    self.take_local(port, table, frame, &mut departure);
                }
                None => {
                    self.depart(&mut departure);
                    self.take_routable(port, frame);
                }
            }
        }
        self.depart(&mut departure);
        octets
    }

    /// The frame of an IPv4 packet of the usual form to an own address: a copy among
    /// other frames, a plain data message, or anything else.
    #[inline(never)]
    fn take_local(
        &mut self,
        port: usize,
        table: TableSlot,
        frame: Mbuf,
        departure: &mut Departure,
    ) {
        if let Some((origin, number)) = self.recognise(port, &frame) {
            self.take_copy(frame, origin, number, decapsulation::HEADERS_OCTETS);
            return;
        }
        if let Err(frame) = self.take_plain(port, table, frame, departure) {
            self.depart(departure);
            self.take_routable(port, frame);
        }
    }

    /// The frame of an IPv4 packet of the usual form that no shortcut is for.
    #[inline(never)]
    fn take_routable(&mut self, port: usize, mut frame: Mbuf) {
        let octets = frame.len();
        keep(&mut frame, ethernet::HEADER_OCTETS..octets);
        match ipv4::known(&frame) {
            Some(header) => self.forward_arrived(port, frame, &header),
            None => self.io.drop(port, Drop::BadIpv4),
        }
    }

    /// A frame among others, of any kind.
    #[inline(never)]
    pub(super) fn take_frame(&mut self, port: usize, frame: Mbuf) {
        if let Some((origin, number)) = self.recognise(port, &frame) {
            self.take_copy(frame, origin, number, decapsulation::HEADERS_OCTETS);
        } else if let Some((origin, number)) = self.recognise_ipv6(port, &frame) {
            self.take_copy(frame, origin, number, decapsulation_ipv6::HEADERS_OCTETS);
        } else {
            self.receive_frame(port, frame);
        }
    }

    /// Recognises one copy that came over IPv6.
    #[inline]
    fn recognise_ipv6(&self, port: usize, frame: &Mbuf) -> Option<(Origin, u64)> {
        let ids = decapsulation_ipv6::ids(frame)?;
        let (inbound, origin) = awaited(&self.tables, ids, port)?;
        let expected = &inbound.expected_ipv6;
        let number = expected.recognise(frame, || frame.l4_checksum_good())?;
        Some((origin, number))
    }

    /// Recognises one copy among other frames.
    #[inline(always)]
    fn recognise(&self, port: usize, frame: &Mbuf) -> Option<(Origin, u64)> {
        let (expected, origin) = expected(&self.tables, frame, port)?;
        let number = expected.recognise(frame, || frame.l4_checksum_good())?;
        Some((origin, number))
    }

    /// `headers_octets` stand before the inner packet.
    fn take_copy(&mut self, mut packet: Mbuf, origin: Origin, number: u64, headers_octets: usize) {
        let frame_octets = packet.len();
        keep(&mut packet, headers_octets..frame_octets);
        self.candidates.push(packet, origin, number);
    }

    fn receive_frame(&mut self, port: usize, frame: Mbuf) {
        let Some(ethernet) = ethernet::parse(&frame) else {
            self.io.drop(port, Drop::Truncated);
            return;
        };
        let to_us = ethernet.destination == self.receive[port].mac;
        let group = ethernet.destination[0] & 1 != 0;
        match ethernet.ether_type {
            _ if !to_us && !group => self.io.drop(port, Drop::NotForUs),
            ethernet::ETHER_TYPE_IPV4 if to_us => self.receive_ip::<Ipv4>(port, frame),
            ethernet::ETHER_TYPE_IPV6 => self.receive_ipv6(port, frame, to_us),
            ethernet::ETHER_TYPE_IPV4 => self.receive_group::<Ipv4>(port, frame),
            ethernet::ETHER_TYPE_ARP if to_us || ethernet.destination == ethernet::BROADCAST => {
                let event = Event::Arp {
                    port: PortId(port as u16),
                    frame: frame.into(),
                };
                self.io.punt(port, Class::Arp, event);
            }
            ethernet::ETHER_TYPE_VLAN => self.receive_tagged(port, frame),
            ethernet::ETHER_TYPE_PPPOE_SESSION if to_us => self.receive_pppoe(port, frame),
            ethernet::ETHER_TYPE_PPPOE_DISCOVERY if to_us => {
                self.receive_pppoe_discovery(port, frame);
            }
            // Only access concentrators hear what is for all (RFC 2516, 5.1).
            ethernet::ETHER_TYPE_PPPOE_SESSION | ethernet::ETHER_TYPE_PPPOE_DISCOVERY => {
                self.io.drop(port, Drop::Multicast);
            }
            _ => self.io.drop(port, Drop::UnknownEtherType),
        }
    }

    /// Of what comes by multicast, neighbour discovery is for us, and may be DHCP.
    fn receive_ipv6(&mut self, port: usize, frame: Mbuf, to_us: bool) {
        let packet = &frame[ethernet::HEADER_OCTETS..];
        match ipv6::known(packet) {
            Some(header) if icmpv6::is_neighbour_discovery(&header, packet) => {
                self.neighbour_discovery(port, frame, &header, to_us);
            }
            _ if to_us => self.receive_ip::<Ipv6>(port, frame),
            _ => self.receive_group::<Ipv6>(port, frame),
        }
    }

    fn neighbour_discovery(&mut self, port: usize, frame: Mbuf, header: &Ipv6, to_us: bool) {
        if !self.tables.hears_discovery(port, header.destination) {
            // On its way to somebody else.
            if to_us {
                self.receive_ip::<Ipv6>(port, frame);
            } else {
                self.io.drop(port, Drop::Multicast);
            }
            return;
        }
        if header.hop_limit != icmpv6::NEIGHBOUR_DISCOVERY_HOP_LIMIT {
            self.io.drop(port, Drop::ForeignNeighbourDiscovery);
            return;
        }
        if let Err(reason) = ipv6::parse(&frame[ethernet::HEADER_OCTETS..]) {
            self.io.drop(port, reason);
            return;
        }
        let event = Event::NeighbourDiscovery {
            port: PortId(port as u16),
            frame: frame.into(),
        };
        self.io.punt(port, Class::NeighbourDiscovery, event);
    }

    fn receive_ip<H: Header>(&mut self, port: usize, mut frame: Mbuf) {
        let frame_octets = frame.len();
        keep(&mut frame, ethernet::HEADER_OCTETS..frame_octets);
        self.receive_packet::<H>(port, frame, frame_octets);
    }

    /// A packet from its IP header on, and the length of its frame.
    fn receive_packet<H: Header>(&mut self, port: usize, mut packet: Mbuf, frame_octets: usize) {
        let header = match H::parse(&packet) {
            Ok(header) => header,
            Err(Drop::Truncated) if self.may_be_cut(port, frame_octets) => {
                self.io.drop(port, Drop::Oversized);
                return;
            }
            Err(reason) => {
                self.io.drop(port, reason);
                return;
            }
        };
        // What follows is Ethernet's padding.
        keep(&mut packet, 0..header.total_octets());
        if header.has_martian_source() {
            self.io.drop(port, Drop::MartianSource);
            return;
        }
        let left = match self.tables.forwarding_table(port) {
            Some(table) => self.try_shortcut::<H>(packet, table, port),
            None => Err(packet),
        };
        if let Err(packet) = left {
            self.forward_arrived(port, packet, &header);
        }
    }

    /// A packet that was checked, and that no shortcut is for.
    fn forward_arrived<H: Header>(&mut self, port: usize, packet: Mbuf, header: &H) {
        let arrival = self
            .tables
            .arrival(port, header.source(), header.destination())
            .map(|interface| (interface.table, interface.spec.id, interface.spec.forward));
        let Some((table, interface, forward)) = arrival else {
            self.io.drop(port, Drop::NoInterface);
            return;
        };
        let origin = forward::Origin::port(port, interface, forward);
        self.forward(packet, header, table, &origin);
    }

    pub(super) fn may_be_cut(&self, port: usize, frame_octets: usize) -> bool {
        self.receive[port]
            .cut_octets
            .is_some_and(|cut| frame_octets >= usize::from(cut))
    }
}

/// What is done with frames of which the first is no copy, for the processor at hand: a function by itself.
struct Others<'a> {
    worker: &'a mut Worker,
    port: usize,
    burst: &'a mut Burst,
}

impl simd::Work for Others<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        self.worker.take_others(self.port, self.burst)
    }
}

/// Recognises a frame with an IPv4 packet of the usual form in which nothing has to
/// be looked at on its way, cuts off what follows that, and gives its destination.
#[inline(always)]
fn recognise_routable(frame: &mut Mbuf, start: &FrameStart) -> Option<Ipv4Addr> {
    let (destination, end) = routable::recognise(frame, start)?;
    if may_be_syn(frame.get(ethernet::HEADER_OCTETS..)?) {
        return None;
    }
    if end < frame.len() {
        // Ethernet's padding.
        keep(frame, 0..end);
    }
    Some(destination)
}

/// What a frame at this port must look like to be a copy, going by its ids, and
/// where it comes from.
// Not inlined: once for most bursts, and all that it needs stays out of their loops.
#[inline(never)]
fn expected<'a>(tables: &'a Tables, frame: &[u8], port: usize) -> Option<(&'a Expected, Origin)> {
    let ids = decapsulation::ids(frame)?;
    let (inbound, origin) = awaited(tables, ids, port)?;
    Some((&inbound.expected, origin))
}

/// The session with these ids, if its copies come by this port, and where such a
/// copy comes from.
#[inline]
fn awaited(tables: &Tables, ids: u32, port: usize) -> Option<(&Inbound, Origin)> {
    let inbound = tables.inbound_by_wire(ids)?;
    (usize::from(inbound.port) == port).then(|| (inbound, origin(inbound)))
}

/// Where the copies of a session come from.
#[inline(always)]
pub(super) fn origin(inbound: &Inbound) -> Origin {
    Origin {
        session: inbound.session,
        set: inbound.set,
        epoch: inbound.epoch,
        port: inbound.port,
        place: None,
    }
}
