//! From the routing decision to the way out: what RFC 1812, 5 and RFC 8200 ask
//! of a router.

use dpdk::Mbuf;

use crate::command::{InterfaceId, SessionId, SetId};
use crate::counters::Drop;
use crate::event::{Event, IcmpCause};
use crate::headers::ethernet;
use crate::headers::{ipv4, ipv6};
use crate::tables::{Address, Hop, HopPlace, Shortcut, TableSlot};
use crate::transform::{clamp_mss, fragment};

use super::Worker;
use super::family::Header;
use super::police::Class;

/// Where a packet came from, and what may be done with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// Whose counters and allowance it uses.
    pub(super) source: usize,
    /// It may be routed onwards.
    forward: bool,
    /// It is our own: its TTL stays, and no error is sent about it.
    own: bool,
    /// It came out of a tunnel.
    pub(super) tunnelled: bool,
    /// Where it came in, when that was an interface.
    interface: Option<InterfaceId>,
}

impl Origin {
    pub(super) fn port(port: usize, interface: InterfaceId, forward: bool) -> Self {
        Self {
            source: port,
            forward,
            own: false,
            tunnelled: false,
            interface: Some(interface),
        }
    }

    /// Whether the packet came in by a port, outside of tunnels.
    pub(super) fn came_in(&self) -> bool {
        self.interface.is_some()
    }

    pub(super) fn tunnel(port: usize) -> Self {
        Self {
            source: port,
            forward: true,
            own: false,
            tunnelled: true,
            interface: None,
        }
    }

    pub(super) fn control(source: usize) -> Self {
        Self {
            source,
            forward: true,
            own: true,
            tunnelled: false,
            interface: None,
        }
    }
}

/// A way out that was found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<A> {
    Link(HopPlace<A>),
    Session(SessionId),
    /// `whole_mtu` is what its members carry without cutting.
    Set {
        id: SetId,
        whole_mtu: u16,
    },
}

/// A way out, and what fits it.
pub(super) struct Way<A> {
    pub(super) target: Target<A>,
    /// Largest packet, octets.
    pub(super) mtu: u16,
    /// The MTU that TCP is held to, if it is.
    tcp_mtu: Option<u16>,
}

impl Worker {
    /// Routes a packet of either version, whose header was checked before.
    #[inline]
    pub(super) fn forward_checked(&mut self, packet: Mbuf, table: TableSlot, origin: &Origin) {
        if packet.first().is_some_and(|octet| octet >> 4 == 6) {
            match ipv6::known(&packet) {
                Some(header) => self.forward(packet, &header, table, origin),
                None => self.io.drop(origin.source, Drop::BadIpv6),
            }
            return;
        }
        match ipv4::known(&packet) {
            Some(header) => self.forward(packet, &header, table, origin),
            None => self.io.drop(origin.source, Drop::BadIpv4),
        }
    }

    /// Routes a packet, which starts at its IP header and ends with it.
    pub(super) fn forward<H: Header>(
        &mut self,
        packet: Mbuf,
        header: &H,
        table: TableSlot,
        origin: &Origin,
    ) {
        if let Some(reason) = header.bad_destination() {
            self.refuse_group(packet, header, origin, reason);
            return;
        }
        if header.has_link_local_destination() {
            self.on_link(packet, header, table, origin);
            return;
        }
        let place = self.tables.resolve(table, header.destination());
        match self.tables.hop(place) {
            Hop::Local if origin.own => self.io.drop(origin.source, Drop::NoRoute),
            Hop::Local => {
                if H::IS_RECOGNISED && origin.interface.is_some() {
                    let destination = header.destination();
                    self.tables
                        .set_shortcut(table, destination, Shortcut::LOCAL);
                }
                self.local(packet, header, table, origin);
            }
            _ if !origin.forward => self.refuse_forwarding(packet, header, origin),
            _ => match self.way(place) {
                Ok(way) => {
                    self.remember(table, header.destination(), &way);
                    self.route(packet, header, table, origin, &way);
                }
                Err(Drop::NoRoute) => {
                    let cause = IcmpCause::NetUnreachable;
                    self.refuse(packet, table, origin, Drop::NoRoute, cause);
                }
                Err(reason) => self.io.drop(origin.source, reason),
            },
        }
    }

    /// A packet to an address that means something on its own link alone: it is
    /// for us or for nobody that we reach, whatever the table says (RFC 4291, 2.5.6).
    fn on_link<H: Header>(&mut self, packet: Mbuf, header: &H, table: TableSlot, origin: &Origin) {
        let arrival = origin.interface.and_then(|id| self.tables.interface(id));
        if arrival.is_some_and(|interface| interface.owns(header.destination().into())) {
            self.local(packet, header, table, origin);
        } else {
            self.io.drop(origin.source, Drop::LinkLocal);
        }
    }

    fn way<A: Address>(&mut self, place: HopPlace<A>) -> Result<Way<A>, Drop> {
        match *self.tables.hop(place) {
            Hop::NoRoute | Hop::Local => Err(Drop::NoRoute),
            Hop::Blackhole => Err(Drop::Blackhole),
            Hop::Broadcast => Err(Drop::Multicast),
            Hop::Link(ref link) => Ok(Way {
                target: Target::Link(place),
                mtu: link.mtu,
                tcp_mtu: None,
            }),
            Hop::Session(id) => {
                self.tables.session_link(id).ok_or(Drop::NoRoute)?;
                let session = self.tables.session(id).ok_or(Drop::NoRoute)?;
                let link = session.link().ok_or(Drop::NoRoute)?;
                let mtu = session.inner_mtu(link);
                Ok(Way {
                    target: Target::Session(id),
                    // No sender goes below the least: what does not fit is cut
                    // on the outside (RFC 2473, 7.1).
                    mtu: mtu.max(A::LEAST_MTU),
                    tcp_mtu: session.spec.tcp_mss_fix.then_some(mtu),
                })
            }
            Hop::Set(id) => {
                let set = self.tables.live_set(id).ok_or(Drop::NoRoute)?;
                if set.members.is_empty() {
                    let too_small = !set.too_small.is_empty();
                    return Err(if too_small {
                        Drop::LinkTooSmall
                    } else {
                        Drop::NoMember
                    });
                }
                let whole_mtu = set.mtu;
                Ok(Way {
                    target: Target::Set { id, whole_mtu },
                    mtu: set.spec.mtu.max(A::LEAST_MTU),
                    tcp_mtu: set.spec.tcp_mss_fix.then_some(whole_mtu),
                })
            }
        }
    }

    fn route<H: Header>(
        &mut self,
        mut packet: Mbuf,
        header: &H,
        table: TableSlot,
        origin: &Origin,
        way: &Way<H::Address>,
    ) {
        if header.has_link_local_source() {
            let cause = IcmpCause::BeyondScope;
            self.refuse(packet, table, origin, Drop::LinkLocal, cause);
            return;
        }
        if !origin.own && header.hop_limit() <= 1 {
            let cause = IcmpCause::TimeExceeded;
            self.refuse(packet, table, origin, Drop::TtlExpired, cause);
            return;
        }
        let fits = packet.len() <= usize::from(way.mtu);
        if !fits && !header.may_be_fragmented() {
            let cause = IcmpCause::FragmentationNeeded { mtu: way.mtu };
            self.refuse(packet, table, origin, Drop::FragmentationNeeded, cause);
            return;
        }
        if !origin.own {
            H::decrement_hop_limit(&mut packet);
        }
        if let Some(mtu) = way.tcp_mtu {
            clamp_mss(&mut packet, mtu);
        }
        if fits {
            self.send(way.target, packet, origin);
        } else {
            self.send_fragments(way, &packet, origin);
        }
    }

    /// Each fragment of an IPv4 packet in a buffer of its own (RFC 791, 2.3).
    fn send_fragments<A: Address>(&mut self, way: &Way<A>, packet: &[u8], origin: &Origin) {
        let Ok(fragments) = fragment(packet, way.mtu) else {
            self.io.drop(origin.source, Drop::FragmentationNeeded);
            return;
        };
        for part in fragments {
            let whole = self.copies.alloc().and_then(|mut copy| {
                let payload = packet.get(part.payload_range.clone())?;
                let room = copy.extend_from_slice(part.header()) && copy.extend_from_slice(payload);
                room.then_some(copy)
            });
            match whole {
                Some(copy) => self.send(way.target, copy, origin),
                None => self.io.drop(origin.source, Drop::NoBuffer),
            }
        }
    }

    fn send<A: Address>(&mut self, target: Target<A>, packet: Mbuf, origin: &Origin) {
        match target {
            Target::Link(place) => self.send_link(place, packet, origin.source),
            Target::Session(id) => self.send_session(id, packet, origin.source),
            Target::Set { id, whole_mtu } => self.stage(id, packet, whole_mtu, origin.source),
        }
    }

    fn send_link<A: Address>(&mut self, place: HopPlace<A>, mut packet: Mbuf, source: usize) {
        let Hop::Link(link) = self.tables.hop(place) else {
            self.io.drop(source, Drop::NoRoute);
            return;
        };
        let Some(ethernet) = &link.ethernet else {
            let event = Event::NeighbourMissing {
                interface: link.interface,
                next_hop: link.next_hop,
                packet: packet.into(),
            };
            self.io.punt(source, Class::Neighbour, event);
            return;
        };
        let Some(octets) = packet.prepend(ethernet::HEADER_OCTETS) else {
            self.io.drop(source, Drop::NoBuffer);
            return;
        };
        octets.copy_from_slice(ethernet);
        self.io.way_out = Some(link.port as u16);
        self.io.push(link.port, packet);
    }

    /// Drops a packet and has its sender told why.
    fn refuse(
        &mut self,
        packet: Mbuf,
        table: TableSlot,
        origin: &Origin,
        reason: Drop,
        cause: IcmpCause,
    ) {
        self.io.drop(origin.source, reason);
        if origin.own {
            return;
        }
        let event = Event::Icmp {
            cause,
            table: self.tables.table_id(table),
            interface: origin.interface,
            packet: packet.into(),
        };
        // Its fate is counted; that its sender is not told when there are too
        // many such packets is what RFC 1812, 4.3.2.8 asks for.
        let _ = self.io.offer(origin.source, Class::Icmp, event);
    }

    /// A packet to an own address that is not L2TP.
    pub(super) fn punt_local(&mut self, packet: Mbuf, table: TableSlot, origin: &Origin) {
        let event = Event::Local {
            table: self.tables.table_id(table),
            interface: origin.interface,
            packet: packet.into(),
        };
        self.io.punt(origin.source, Class::Local, event);
    }
}
