//! Out of the tunnels: packets to own addresses, L2TP, PPP, the HA header.
//!
//! Whatever could make a packet worthless is looked at before its number is
//! marked: a damaged copy that marked the window would kill the good one. And
//! nothing after the mark may differ between copies.

use std::net::SocketAddr;
use std::ops::Range;

use dpdk::{HEADROOM_OCTETS, Mbuf};

use crate::command::{SessionId, SetId};
use crate::counters::Drop;
use crate::event::Event;
use crate::headers::ha::{HaHeader, Kind};
use crate::headers::ipv4::{self, Ipv4};
use crate::headers::ipv6::Ipv6;
use crate::headers::l2tp::{self, Data, L2tp};
use crate::headers::{ppp, udp};
use crate::reassembly::Place;
use crate::sequence::Arrival;
use crate::tables::{Session, TableSlot};
use crate::transform::clamp_mss;

use super::candidates;
use super::family::Header;
use super::forward::Origin;
use super::police::Class;
use super::{Worker, keep};

/// A data message's place in its packet, and who sent it.
struct Message {
    source: SocketAddr,
    from_peer: bool,
    /// Its sequence number.
    ns: Option<u16>,
    /// It has one, or those that are sent have: the sequence wants to know.
    sequenced: bool,
    session: SessionId,
    /// The offset padding.
    padding: Range<usize>,
    /// The PPP frame.
    frame: Range<usize>,
}

impl Worker {
    /// A packet to one of our own addresses.
    pub(super) fn local<H: Header>(
        &mut self,
        packet: Mbuf,
        header: &H,
        table: TableSlot,
        origin: &Origin,
    ) {
        let upper = match header.upper(&packet) {
            Ok(upper) => upper,
            Err(reason) => {
                self.io.drop(origin.source, reason);
                return;
            }
        };
        if let Some(identification) = upper.fragment {
            self.fragment(packet, header, identification, table, origin);
            return;
        }
        // Tunnels inside tunnels are not taken apart.
        if upper.protocol != ipv4::PROTOCOL_UDP || origin.tunnelled {
            self.punt_local(packet, table, origin);
            return;
        }
        let offset = upper.offset;
        if destination_port(offset, &packet) == Some(udp::PORT_L2TP) {
            if let Err(reason) = self.l2tp(packet, header, offset, table, origin.source) {
                self.io.drop(origin.source, reason);
            }
        } else {
            self.punt_local(packet, table, origin);
        }
    }

    fn l2tp<H: Header>(
        &mut self,
        mut packet: Mbuf,
        header: &H,
        offset: usize,
        table: TableSlot,
        port: usize,
    ) -> Result<(), Drop> {
        let udp = header.udp(offset, &packet, packet.l4_checksum_good())?;
        let payload = udp.payload_range;
        let source = SocketAddr::new(header.source().into(), udp.source_port);
        let destination = SocketAddr::new(header.destination().into(), udp.destination_port);
        match l2tp::parse(&packet[payload.clone()])? {
            L2tp::Data(data) => {
                let start = payload.start;
                let message = self.message(&data, start, table, source, destination)?;
                self.data(packet, message, port)
            }
            L2tp::Control => {
                keep(&mut packet, payload);
                let class = self.control_class(&packet, source);
                let event = Event::L2tpControl {
                    table: self.tables.table_id(table),
                    source,
                    destination,
                    payload: packet.into(),
                };
                self.io.punt(port, class, event);
                Ok(())
            }
        }
    }

    /// A flood of calls from anywhere must not starve the tunnels that are up.
    fn control_class(&self, message: &[u8], source: SocketAddr) -> Class {
        // The tunnel id stands behind flags and length (RFC 2661, 3.1), both
        // of which every control message has.
        match message.get(4..6) {
            Some(&[high, low])
                if self
                    .tables
                    .is_peer(u16::from_be_bytes([high, low]), source.ip()) =>
            {
                Class::L2tpTunnel
            }
            Some([0, 0]) => Class::L2tpRequest,
            _ => Class::L2tpControl,
        }
    }

    /// Finds the session of a data message.
    fn message(
        &self,
        data: &Data,
        start: usize,
        table: TableSlot,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Result<Message, Drop> {
        let session = self
            .tables
            .session_by_wire(data.tunnel, data.session)
            .filter(|session| session.table == table)
            .ok_or(Drop::UnknownSession)?;
        if session.spec.local != destination {
            return Err(Drop::WrongPeer);
        }
        Ok(Message {
            source,
            from_peer: session.spec.peer == source,
            ns: data.ns,
            sequenced: data.ns.is_some() || session.spec.sequence.is_sent(),
            session: session.spec.id,
            padding: start + data.padding_range.start..start + data.padding_range.end,
            frame: start + data.payload_offset..start + data.end,
        })
    }

    fn data(&mut self, packet: Mbuf, message: Message, port: usize) -> Result<(), Drop> {
        let padding = &packet[message.padding.clone()];
        let session = self
            .tables
            .session(message.session)
            .ok_or(Drop::UnknownSession)?;
        match session.spec.set {
            Some(set) if !padding.is_empty() => self.ha(packet, message, set, port),
            // Whatever else stands there is the sender's affair (RFC 2661, 3.1).
            None if HaHeader::parse(padding).is_ok() => Err(Drop::HaMismatch),
            // A NAT may have moved a member of a set, whose echoes then say so.
            None if !message.from_peer => Err(Drop::WrongPeer),
            _ => self.plain(packet, message, port),
        }
    }

    /// A data message without an HA header.
    fn plain(&mut self, mut packet: Mbuf, message: Message, port: usize) -> Result<(), Drop> {
        if message.from_peer && message.sequenced {
            self.check_sequence(&message)?;
        }
        let (protocol, octets) =
            ppp::protocol(&packet[message.frame.clone()]).ok_or(Drop::BadPpp)?;
        keep(&mut packet, message.frame.start + octets..message.frame.end);
        match protocol {
            ppp::PROTOCOL_IPV4 => self.plain_packet::<Ipv4>(packet, message.session, port),
            ppp::PROTOCOL_IPV6 => self.plain_packet::<Ipv6>(packet, message.session, port),
            _ => self.ppp_frame(packet, protocol, message, port),
        }
    }

    /// A PPP frame that is not IP, from its information field on.
    #[cold]
    #[inline(never)]
    fn ppp_frame(
        &mut self,
        mut packet: Mbuf,
        protocol: u16,
        message: Message,
        port: usize,
    ) -> Result<(), Drop> {
        if protocol == ppp::PROTOCOL_LCP && message.from_peer {
            match self.answer_echo(message.session, packet) {
                Ok(()) => return Ok(()),
                Err(other) => packet = other,
            }
        }
        let (now, tsc_hz) = (self.io.now, self.io.tsc_hz);
        let session = self.tables.session_mut(message.session);
        let session = session.ok_or(Drop::UnknownSession)?;
        // What comes from elsewhere does not use up the peer's.
        if message.from_peer && !session.allowance.allow(now, tsc_hz) {
            return Err(Drop::PuntPoliced);
        }
        let field = packet.prepend(2).ok_or(Drop::NoBuffer)?;
        field.copy_from_slice(&protocol.to_be_bytes());
        let event = Event::Ppp {
            session: message.session,
            source: message.source,
            frame: packet.into(),
        };
        let class = match message.from_peer {
            true => Class::Ppp,
            false => Class::PppElsewhere,
        };
        self.io.punt(port, class, event);
        Ok(())
    }

    /// Keeps what is overtaken from being delivered, where the peer numbers its
    /// messages (RFC 2661, 5.4).
    fn check_sequence(&mut self, message: &Message) -> Result<(), Drop> {
        let session = self.tables.session_mut(message.session);
        let session = session.ok_or(Drop::UnknownSession)?;
        session.spec.sequence.received(message.ns.is_some());
        let Some(ns) = message.ns else {
            return Ok(());
        };
        match session.received.take(ns) {
            Arrival::New => Ok(()),
            Arrival::Old => Err(Drop::OldSequence),
            Arrival::Restarted => {
                session.counters.sequence_restarts.add(1);
                Ok(())
            }
        }
    }

    /// A packet out of a session without a set.
    fn plain_packet<H: Header>(
        &mut self,
        mut packet: Mbuf,
        id: SessionId,
        port: usize,
    ) -> Result<(), Drop> {
        let session = self.tables.session(id).ok_or(Drop::UnknownSession)?;
        if !session.spec.receive {
            return Err(Drop::NotAuthenticated);
        }
        if session.spec.set.is_some() {
            return Err(Drop::HaMismatch);
        }
        let header = inner_header::<H>(&mut packet)?;
        count_received(session, packet.len());
        let payload_table = session.payload_table;
        if session.spec.tcp_mss_fix {
            clamp_mss(&mut packet, session.spec.mtu);
        }
        self.forward(packet, &header, payload_table, &Origin::tunnel(port));
        Ok(())
    }

    /// A data message with an HA header: a report, or one copy of a packet.
    fn ha(
        &mut self,
        mut packet: Mbuf,
        message: Message,
        set: SetId,
        port: usize,
    ) -> Result<(), Drop> {
        let ha = HaHeader::parse(&packet[message.padding.clone()])?;
        let session = self
            .tables
            .session(message.session)
            .ok_or(Drop::UnknownSession)?;
        if !session.spec.receive {
            return Err(Drop::NotAuthenticated);
        }
        if self
            .tables
            .set(set)
            .and_then(|set| set.epoch(ha.epoch))
            .is_none()
        {
            session.counters.unknown_epoch.add(1);
            return Err(Drop::UnknownEpoch);
        }
        if ha.kind == Kind::Report {
            keep(&mut packet, message.padding);
            let event = Event::Report {
                session: message.session,
                source: message.source,
                frame: packet.into(),
            };
            self.io.punt(port, Class::Report, event);
            return Ok(());
        }
        if session.spec.masked {
            return Err(Drop::Masked);
        }
        let place = Place::from_flags(ha.flags);
        if matches!(place, None | Some(Place::First)) {
            let (protocol, octets) =
                ppp::protocol(&packet[message.frame.clone()]).ok_or(Drop::BadPpp)?;
            keep(&mut packet, message.frame.start + octets..message.frame.end);
            match protocol {
                ppp::PROTOCOL_IPV4 => self.check_start::<Ipv4>(place, &mut packet)?,
                ppp::PROTOCOL_IPV6 => self.check_start::<Ipv6>(place, &mut packet)?,
                _ => return Err(Drop::UnknownPpp),
            }
        } else {
            keep(&mut packet, message.frame.clone());
            if packet.is_empty() {
                return Err(Drop::BadPiece);
            }
        }
        if !message.from_peer {
            session.counters.peer_moved_packets.add(1);
            self.tell_moved(message.session, message.source);
        }
        let origin = candidates::Origin {
            session: message.session,
            set,
            epoch: ha.epoch,
            port: port as u16,
            place,
        };
        self.candidates.push(packet, origin, ha.number);
        Ok(())
    }

    /// Looks at whatever can be wrong with a whole packet, or with the first
    /// piece of one by itself.
    #[inline]
    fn check_start<H: Header>(&self, place: Option<Place>, packet: &mut Mbuf) -> Result<(), Drop> {
        match place {
            None => inner_header::<H>(packet).map(|_| ()),
            Some(_) => self.check_first_piece::<H>(packet),
        }
    }

    fn check_first_piece<H: Header>(&self, piece: &[u8]) -> Result<(), Drop> {
        if piece.is_empty() {
            return Err(Drop::BadPiece);
        }
        let header = H::parse_start(piece)?;
        if header.has_martian_source() {
            return Err(Drop::MartianSource);
        }
        let most = self.copies.data_room().saturating_sub(HEADROOM_OCTETS);
        let octets = header.total_octets();
        if octets <= piece.len() || octets > usize::from(most) {
            return Err(Drop::BadPiece);
        }
        Ok(())
    }

    /// Says once a second that a peer sends from elsewhere.
    fn tell_moved(&mut self, id: SessionId, source: SocketAddr) {
        let (now, second) = (self.io.now, self.io.tsc_hz);
        let Some(session) = self.tables.session_mut(id) else {
            return;
        };
        if now < session.moved_quiet_until {
            return;
        }
        session.moved_quiet_until = now + second;
        let event = Event::PeerMoved {
            session: id,
            source,
        };
        // The packet itself goes on; with the ring full it is said again later.
        let _ = self.io.tell(event);
    }
}

pub(super) fn count_received(session: &Session, octets: usize) {
    session.counters.received_packets.add(1);
    session.counters.received_octets.add(octets as u64);
}

/// Reads the header of an inner packet and cuts what follows the packet.
// Always: see `ipv4::parse`.
#[inline(always)]
fn inner_header<H: Header>(packet: &mut Mbuf) -> Result<H, Drop> {
    let header = H::parse(packet)?;
    keep(packet, 0..header.total_octets());
    if header.has_martian_source() {
        return Err(Drop::MartianSource);
    }
    Ok(header)
}

fn destination_port(offset: usize, packet: &[u8]) -> Option<u16> {
    let octets = packet.get(offset + 2..)?.first_chunk()?;
    Some(u16::from_be_bytes(*octets))
}
