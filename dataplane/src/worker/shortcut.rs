//! The short way of packets whose destination was decided about before. Whatever
//! is unusual about a packet sends it the long way, `forward`.

use std::net::Ipv4Addr;

use dpdk::Mbuf;

use crate::counters::Drop;
use crate::headers::ipv4;
use crate::tables::{Address, Hop, ShortTarget, Shortcut, TableSlot};
use crate::transform::may_be_syn;

use super::Worker;
use super::forward::{Target, Way};

impl Worker {
    /// Sends an IPv4 packet, whose header was checked before, by the shortcut
    /// of its destination. Gives it back, unchanged, when there is none or the
    /// packet has to be looked at.
    #[inline(always)]
    pub(super) fn try_shortcut(
        &mut self,
        mut packet: Mbuf,
        table: TableSlot,
        source: usize,
    ) -> Result<(), Mbuf> {
        let (first, destination) = match packet.first_chunk::<{ ipv4::HEADER_OCTETS }>() {
            Some(&[first, .., d0, d1, d2, d3]) => (first, Ipv4Addr::new(d0, d1, d2, d3)),
            None => return Err(packet),
        };
        let Some(shortcut) = self.tables.shortcut(table, destination) else {
            return Err(packet);
        };
        if first != ipv4::FIRST_OCTET
            || packet.len() > usize::from(shortcut.whole_mtu)
            || may_be_syn(&packet)
            || !ipv4::decrement_ttl(&mut packet)
        {
            return Err(packet);
        }
        match &shortcut.target {
            ShortTarget::Port { port, ethernet } => match packet.prepend_array() {
                None => self.io.drop(source, Drop::NoBuffer),
                Some(octets) => {
                    *octets = *ethernet;
                    self.io.way_out = Some(*port);
                    self.io.push(usize::from(*port), packet);
                }
            },
            &ShortTarget::Set(id) => self.stage(id.into(), packet, shortcut.whole_mtu, source),
        }
        Ok(())
    }

    /// Has the next packets to a destination take the way that was found, if it
    /// is one without decisions.
    pub(super) fn remember<A: Address>(&mut self, table: TableSlot, destination: A, way: &Way<A>) {
        let (target, whole_mtu) = match way.target {
            Target::Session(_) => return,
            Target::Set { id, whole_mtu } => (ShortTarget::Set(id.into()), whole_mtu),
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
