//! LCP's keepalives, answered where they arrive: a peer's Echo-Requests come
//! every second or so on each of thousands of sessions, for as long as they live.

use std::net::IpAddr;

use dpdk::Mbuf;

use crate::command::{SessionId, SessionSpec};
use crate::counters::Drop;
use crate::headers::{ipv4, ipv6, l2tp, lcp, ppp, udp};

use super::{Worker, keep};

/// The most that is put before an LCP packet between IP and it: UDP, L2TP with
/// sequence numbers, and PPP.
const MOST_OCTETS: usize = udp::HEADER_OCTETS + 10 + 4;

impl Worker {
    /// Answers the Echo-Request that is in an LCP frame's information field.
    /// The reply leaves as the control thread would send it: without an HA
    /// header, numbered where the session's messages are, and with L2TP's P.
    /// Each request brings one reply of its size at most.
    ///
    /// # Errors
    /// The packet, unchanged, when that is the control thread's: it is no
    /// request, LCP is not open, something is special about it, the neighbour is
    /// not known, or the reply would have to be cut on its way.
    // Apart from the way of packets, and without its functions: they are compiled
    // into those that call them only as long as nobody else does.
    #[cold]
    #[inline(never)]
    pub(super) fn answer_echo(&mut self, id: SessionId, mut packet: Mbuf) -> Result<(), Mbuf> {
        self.tables.session_link(id);
        let found = self.tables.session(id);
        let known = found.and_then(|session| {
            let link = session.link()?;
            Some((session, link, link.ethernet?, session.spec.echo.as_ref()?))
        });
        let Some((session, link, ethernet, answer)) = known else {
            return Err(packet);
        };
        let spec = &session.spec;
        let ip_octets = if spec.peer.is_ipv6() {
            ipv6::HEADER_OCTETS
        } else {
            ipv4::HEADER_OCTETS
        };
        if ip_octets + MOST_OCTETS + packet.len() > usize::from(link.mtu) {
            return Err(packet);
        }
        let Some(octets) = lcp::answer_echo(&mut packet, answer) else {
            return Err(packet);
        };
        keep(&mut packet, 0..octets);
        self.io.witness.sends_over(Some(id));
        let written = encapsulate(&mut packet, spec, self.identification.take())
            .and_then(|()| put(&mut packet, &ethernet));
        if written.is_none() {
            self.io.drop(link.port, Drop::NoBuffer);
        } else if self.io.push(link.port, packet) {
            session.counters.echoes_answered.add(1);
        }
        self.io.witness.sends_over(None);
        Ok(())
    }
}

/// Puts everything from the IP header on before an LCP packet. `None` when there is
/// no room.
fn encapsulate(packet: &mut Mbuf, spec: &SessionSpec, identification: u16) -> Option<()> {
    put(packet, &ppp::PROTOCOL_LCP.to_be_bytes())?;
    if spec.address_control {
        put(packet, &ppp::ADDRESS_CONTROL)?;
    }
    let mut flags = l2tp::VERSION | l2tp::FLAG_PRIORITY;
    if let Some(ns) = spec.sequence.take() {
        flags |= l2tp::FLAG_SEQUENCE;
        let [high, low] = ns.to_be_bytes();
        // Nr is reserved in data messages.
        put(packet, &[high, low, 0, 0])?;
    }
    put(packet, &spec.peer_session.to_be_bytes())?;
    put(packet, &spec.peer_tunnel.to_be_bytes())?;
    put(packet, &flags.to_be_bytes())?;
    let header = udp::header(spec.local, spec.peer, packet);
    put(packet, &header)?;
    // It fits a link's MTU.
    let octets = packet.len() as u16;
    match (spec.local.ip(), spec.peer.ip()) {
        (IpAddr::V4(local), IpAddr::V4(peer)) => {
            let octets = ipv4::HEADER_OCTETS as u16 + octets;
            let header = ipv4::header(local, peer, ipv4::PROTOCOL_UDP, octets, identification);
            put(packet, &header)
        }
        (IpAddr::V6(local), IpAddr::V6(peer)) => {
            put(packet, &ipv6::header(local, peer, ipv6::NEXT_UDP, octets))
        }
        // Such a session has no template, and is none.
        _ => None,
    }
}

/// Puts octets before a packet.
fn put(packet: &mut Mbuf, octets: &[u8]) -> Option<()> {
    packet.prepend(octets.len())?.copy_from_slice(octets);
    Some(())
}
