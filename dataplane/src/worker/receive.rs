//! From the queue to the routing decision: Ethernet, ARP and neighbour
//! discovery, the IP header.

use std::ops::Range;

use dpdk::{Burst, Mbuf};

use crate::command::{PortId, SessionId, SetId};
use crate::counters::Drop;
use crate::event::Event;
use crate::headers::ipv4::Ipv4;
use crate::headers::ipv6::{self, Ipv6};
use crate::headers::{decapsulation, ethernet, icmpv6, routable};
use crate::tables::TableSlot;

use super::elimination::Candidate;
use super::family::Header;
use super::forward::Origin;
use super::police::Class;
use super::{Worker, keep};

/// Whose copy was recognised, and which.
struct Recognised {
    session: SessionId,
    set: SetId,
    epoch: u32,
    number: u64,
}

impl Worker {
    /// Takes one burst from each of the worker's queues of a port.
    pub(super) fn receive_port(&mut self, port: usize) -> usize {
        let mut work = 0;
        for queue in 0..self.receive[port].queues.len() {
            let mut burst = Burst::new();
            let queue = &mut self.receive[port].queues[queue];
            work += queue.rx_burst(&mut burst);
            if burst.is_empty() {
                continue;
            }
            let octets = burst.iter().map(|frame| frame.len() as u64).sum();
            self.io.received_burst(port, burst.len() as u64, octets);
            for frame in burst.drain(..) {
                if let Some(copy) = self.recognise(port, &frame) {
                    self.take_copy(port, frame, copy);
                } else if let Some((table, range)) = self.routable(port, &frame) {
                    self.take_routable(port, frame, table, range);
                } else {
                    self.receive_frame(port, frame);
                }
            }
            self.eliminate(port);
            self.send_mail();
            self.number_all();
        }
        self.count_oversized(port);
        work
    }

    /// Frames that the queues could not put into one buffer count as received
    /// and dropped.
    fn count_oversized(&mut self, port: usize) {
        let receive = &mut self.receive[port];
        let oversized = receive.queues.iter().map(dpdk::RxQueue::oversized).sum();
        let new = oversized - receive.oversized;
        if new > 0 {
            receive.oversized = oversized;
            self.io.received_burst(port, new, 0);
            self.io.drop_many(port, Drop::Oversized, new);
        }
    }

    /// Recognises a copy in the form that our far end writes. Whatever is not
    /// one, or not quite right, goes the way of all frames.
    #[inline]
    fn recognise(&mut self, port: usize, frame: &Mbuf) -> Option<Recognised> {
        let ids = decapsulation::ids(frame)?;
        let (session, inbound) = self.tables.inbound_by_wire(ids)?;
        if usize::from(inbound.port) != port {
            return None;
        }
        let number = inbound
            .expected
            .recognise(frame, frame.l4_checksum_good())?;
        Some(Recognised {
            session,
            set: inbound.set,
            epoch: inbound.epoch,
            number,
        })
    }

    #[inline]
    fn take_copy(&mut self, port: usize, mut packet: Mbuf, copy: Recognised) {
        let octets = packet.len();
        keep(&mut packet, decapsulation::HEADERS_OCTETS..octets);
        self.candidates.push(Candidate {
            packet,
            place: None,
            port: port as u16,
            session: copy.session,
            set: copy.set,
            epoch: copy.epoch,
            number: copy.number,
        });
    }

    /// Recognises a packet of the usual form on a port that forwards. Gives the
    /// table that it is routed in, and its place in the frame.
    #[inline]
    fn routable(&self, port: usize, frame: &Mbuf) -> Option<(TableSlot, Range<usize>)> {
        let table = self.tables.forwarding_table(port)?;
        let range = routable::recognise(frame, self.receive[port].mac)?;
        Some((table, range))
    }

    #[inline]
    fn take_routable(
        &mut self,
        port: usize,
        mut packet: Mbuf,
        table: TableSlot,
        range: Range<usize>,
    ) {
        let frame_octets = packet.len();
        keep(&mut packet, range);
        if let Err(packet) = self.try_shortcut(packet, table, port) {
            self.receive_packet::<Ipv4>(port, packet, frame_octets);
        }
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
            // Neither multicast nor broadcast is forwarded (RFC 1812, 5.3.4 and
            // 5.3.5), and nothing over IPv4 that we answer comes by it.
            ethernet::ETHER_TYPE_IPV4 => self.io.drop(port, Drop::Multicast),
            ethernet::ETHER_TYPE_ARP if to_us || ethernet.destination == ethernet::BROADCAST => {
                let event = Event::Arp {
                    port: PortId(port as u16),
                    frame: frame.into(),
                };
                self.io.punt(port, Class::Arp, event);
            }
            _ => self.io.drop(port, Drop::UnknownEtherType),
        }
    }

    /// Of what comes by multicast, neighbour discovery is for us.
    fn receive_ipv6(&mut self, port: usize, frame: Mbuf, to_us: bool) {
        let packet = &frame[ethernet::HEADER_OCTETS..];
        match ipv6::known(packet) {
            Some(header) if icmpv6::is_neighbour_discovery(&header, packet) => {
                self.neighbour_discovery(port, frame, &header, to_us);
            }
            _ if to_us => self.receive_ip::<Ipv6>(port, frame),
            _ => self.io.drop(port, Drop::Multicast),
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
        let arrival = self
            .tables
            .arrival(port, header.source(), header.destination())
            .map(|interface| (interface.table, interface.spec.id, interface.spec.forward));
        let Some((table, interface, forward)) = arrival else {
            self.io.drop(port, Drop::NoInterface);
            return;
        };
        let origin = Origin::port(port, interface, forward);
        self.forward(packet, &header, table, &origin);
    }

    fn may_be_cut(&self, port: usize, frame_octets: usize) -> bool {
        self.receive[port]
            .cut_octets
            .is_some_and(|cut| frame_octets >= usize::from(cut))
    }
}
