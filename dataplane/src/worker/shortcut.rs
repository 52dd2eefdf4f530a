//! The short way of packets whose destination was decided about before. Whatever
//! is unusual about a packet sends it the long way, `forward`.

use dpdk::{Burst, Mbuf};

use crate::command::{SessionId, SetId};
use crate::counters::Drop;
use crate::tables::{Address, Hop, ShortTarget, Shortcut, TableSlot};

use super::family::Header;
use super::forward::{Target, Way};
use super::{Worker, keep};

/// Where a frame goes that has taken a shortcut.
pub(super) enum ShortWay {
    Port(u16),
    Set(SetId),
    Session(SessionId),
    /// There was no room for the header.
    Nowhere,
}

/// Frames that leave by one port, until they go into its TX ring together.
pub(super) struct Departure {
    port: u16,
    frames: Burst,
    /// Of those.
    octets: u64,
}

impl Departure {
    pub(super) fn new() -> Self {
        Self {
            port: 0,
            frames: Burst::new(),
            octets: 0,
        }
    }
}

impl Worker {
    /// Makes the packet that starts in a frame behind so many octets, and whose
    /// header was checked before, ready to go by the shortcut of its destination.
    /// `None`, and no change, when there is none or the packet has to be looked at.
    #[inline(always)]
    pub(super) fn shorten<H: Header>(
        &self,
        frame: &mut Mbuf,
        headers_octets: usize,
        table: TableSlot,
    ) -> Option<ShortWay> {
        let destination = H::usual_destination(frame.get(headers_octets..)?)?;
        self.shorten_to::<H>(frame, headers_octets, table, destination)
    }

    /// The same for a packet whose destination is known, and which has to be looked
    /// at for nothing but its size and hop limit.
    #[inline(always)]
    pub(super) fn shorten_to<H: Header>(
        &self,
        frame: &mut Mbuf,
        headers_octets: usize,
        table: TableSlot,
        destination: H::Address,
    ) -> Option<ShortWay> {
        let shortcut = self.tables.shortcut(table, destination)?;
        let packet = frame.get_mut(headers_octets..)?;
        if packet.len() > usize::from(shortcut.whole_mtu) || !H::decrement_hop_limit(packet) {
            return None;
        }
        let way = match &shortcut.target {
            ShortTarget::Port { port, ethernet } => {
                let Some(octets) = frame.replace_front(headers_octets) else {
                    return Some(ShortWay::Nowhere);
                };
                *octets = *ethernet;
                return Some(ShortWay::Port(*port));
            }
            &ShortTarget::Set(id) => ShortWay::Set(SetId(id.into())),
            &ShortTarget::Session(id) => ShortWay::Session(SessionId(id.into())),
            // Nothing is short enough for it.
            ShortTarget::Local => return None,
        };
        let octets = frame.len();
        keep(frame, headers_octets..octets);
        Some(way)
    }

    /// Has a frame go where it was made ready for, with others or when they
    /// [`depart`](Self::depart).
    #[inline(always)]
    pub(super) fn take_shortcut(
        &mut self,
        frame: Mbuf,
        way: ShortWay,
        source: usize,
        departure: &mut Departure,
    ) {
        match way {
            ShortWay::Port(port) => {
                if port != departure.port {
                    self.depart(departure);
                    departure.port = port;
                }
                let octets = frame.len() as u64;
                if let Err(frame) = departure.frames.push(frame) {
                    self.depart(departure);
                    let _ = departure.frames.push(frame);
                }
                departure.octets += octets;
            }
            ShortWay::Set(id) => self.stage_whole(id, frame),
            ShortWay::Session(id) => self.send_session(id, frame, source),
            ShortWay::Nowhere => self.io.drop(source, Drop::NoBuffer),
        }
    }

    /// Sends what leaves together.
    #[inline(always)]
    pub(super) fn depart(&mut self, departure: &mut Departure) {
        if departure.frames.is_empty() {
            return;
        }
        let port = usize::from(departure.port);
        let octets = std::mem::take(&mut departure.octets);
        if !self.io.append(port, &mut departure.frames, octets) {
            for frame in departure.frames.drain(..) {
                self.io.push(port, frame);
            }
        }
    }

    /// Sends one packet, whose header was checked before, by the shortcut of its
    /// destination. Gives it back, unchanged, when it has to be looked at.
    pub(super) fn try_shortcut<H: Header>(
        &mut self,
        mut packet: Mbuf,
        table: TableSlot,
        source: usize,
    ) -> Result<(), Mbuf> {
        match self.shorten::<H>(&mut packet, 0, table) {
            None => return Err(packet),
            Some(ShortWay::Port(port)) => {
                self.io.way_out = Some(port);
                self.io.push(port.into(), packet);
            }
            Some(ShortWay::Set(id)) => self.stage_whole(id, packet),
            Some(ShortWay::Session(id)) => self.send_session(id, packet, source),
            Some(ShortWay::Nowhere) => self.io.drop(source, Drop::NoBuffer),
        }
        Ok(())
    }

    /// Has the next packets to a destination take the way that was found, if it
    /// is one without decisions.
    pub(super) fn remember<A: Address>(&mut self, table: TableSlot, destination: A, way: &Way<A>) {
        let (target, whole_mtu) = match way.target {
            Target::Session(id) => (ShortTarget::Session(id.0.into()), way.mtu),
            Target::Set { id, whole_mtu } => (ShortTarget::Set(id.0.into()), whole_mtu),
            Target::Link(place) => match self.tables.hop(place) {
                Hop::Link(link) => {
                    let Some(ethernet) = link.ethernet else {
                        return;
                    };
                    let port = link.port as u16;
                    (ShortTarget::Port { port, ethernet }, way.mtu)
                }
                _ => return,
            },
        };
        let whole_mtu = whole_mtu.min(way.mtu);
        let shortcut = Shortcut { target, whole_mtu };
        self.tables.set_shortcut(table, destination, shortcut);
    }
}
