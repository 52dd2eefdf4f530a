//! Data messages of sessions without a set in their usual forms, straight from the
//! frame to where the packet inside goes. Whatever is unusual about one sends it
//! through `l2tp`.

use dpdk::Mbuf;

use crate::headers::ipv4::Ipv4;
use crate::headers::plain;
use crate::tables::{Session, TableSlot};
use crate::transform::may_be_syn;

use super::Worker;
use super::l2tp::count_received;
use super::shortcut::Departure;

impl Worker {
    /// Takes a frame whose IPv4 header was found right and is to an own address.
    /// Gives it back, unchanged, when it has to be looked at.
    #[inline(always)]
    pub(super) fn take_plain(
        &mut self,
        port: usize,
        table: TableSlot,
        mut frame: Mbuf,
        departure: &mut Departure,
    ) -> Result<(), Mbuf> {
        let Some(plain) = plain::recognise(&frame, || frame.l4_checksum_good()) else {
            return Err(frame);
        };
        let session = self.tables.session_by_ids(plain.ids);
        let usual = |session: &&Session| {
            let spec = &session.spec;
            session.table == table
                && spec.peer == plain.source
                && spec.local == plain.destination
                && spec.set.is_none()
                && spec.receive
                && !spec.sequence.is_sent()
        };
        let Some(session) = session.filter(usual) else {
            return Err(frame);
        };
        let headers_octets = plain.headers_octets;
        if may_be_syn(&frame[headers_octets..]) {
            return Err(frame);
        }
        let octets = frame.len() - headers_octets;
        let (payload_table, destination) = (session.payload_table, plain.inner_destination);
        match self.shorten_to::<Ipv4>(&mut frame, headers_octets, payload_table, destination) {
            Some(way) => {
                count_received(session, octets);
                self.take_shortcut(frame, way, port, departure);
                Ok(())
            }
            None => Err(frame),
        }
    }
}
