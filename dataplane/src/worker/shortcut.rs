//! The short way of packets whose destination was decided about before. Whatever
//! is unusual about a packet sends it the long way, `forward`.

use dpdk::Mbuf;

use crate::counters::Drop;
use crate::tables::{Address, Hop, LineNumber, ShortTarget, Shortcut, TableSlot};

use super::family::Header;
use super::forward::{Target, Way};
use super::{Worker, keep};

impl Worker {
    /// Sends the packet that starts in a frame behind so many octets, and whose
    /// header was checked before, by the shortcut of its destination, whose line
    /// may be at hand. Gives the frame back, unchanged, when there is none or the
    /// packet has to be looked at.
    #[inline(always)]
    pub(super) fn try_shortcut<H: Header>(
        &mut self,
        mut frame: Mbuf,
        headers_octets: usize,
        table: TableSlot,
        line: Option<LineNumber>,
        source: usize,
    ) -> Result<(), Mbuf> {
        let Some(packet) = frame.get_mut(headers_octets..) else {
            return Err(frame);
        };
        let Some(destination) = H::usual_destination(packet) else {
            return Err(frame);
        };
        let line = match line {
            Some(line) => line,
            None => self.tables.shortcut_line(table, destination),
        };
        let Some(shortcut) = self.tables.shortcut(line, table, destination) else {
            return Err(frame);
        };
        if packet.len() > usize::from(shortcut.whole_mtu) || !H::decrement_hop_limit(packet) {
            return Err(frame);
        }
        match &shortcut.target {
            ShortTarget::Port { port, ethernet } => match frame.replace_front(headers_octets) {
                None => self.io.drop(source, Drop::NoBuffer),
                Some(octets) => {
                    *octets = *ethernet;
                    self.io.way_out = Some(*port);
                    self.io.push(usize::from(*port), frame);
                }
            },
            &ShortTarget::Set(id) => {
                let octets = frame.len();
                keep(&mut frame, headers_octets..octets);
                self.stage_whole(id.into(), frame);
            }
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
