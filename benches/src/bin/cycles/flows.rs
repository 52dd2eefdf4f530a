//! Packets of the hosts, and the frames in which they reach the worker.

use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;

use dataplane::checksum;
use dataplane::headers::encapsulation::{Fields, Template};
use dataplane::headers::ethernet::{self, Ethernet};
use dataplane::headers::{ipv4, ipv6, ppp, udp, vlan};
use dataplane::reassembly::Place;
use dataplane::transform::split;
use dpdk::Mbuf;

use crate::network::{
    Family, HOSTS, PORTS, Remote, VLAN, lan_host, mac, neighbour_mac, plain_host,
};

/// Frames and octets on each wire.
pub(crate) type Traffic = [(u64, u64); PORTS];

/// What goes between our LAN and the hosts of one remote, in one direction.
pub(crate) struct Party {
    /// Whose numbers the packets have.
    pub(crate) remote: usize,
    /// A packet of each flow.
    pub(crate) packets: Vec<Vec<u8>>,
    /// The wires by which every packet comes.
    pub(crate) arrivals: Vec<Arrival>,
    /// The pieces in which it comes: one, if it is whole.
    pub(crate) cuts: Vec<Cut>,
    /// What leaves for it.
    pub(crate) leaving: Traffic,
}

/// How packets come by a wire.
pub(crate) struct Arrival {
    pub(crate) wire: usize,
    ethernet: Vec<u8>,
    tunnel: Option<(Template, u32)>,
}

/// A part of a packet, with what the HA header says of it.
pub(crate) struct Cut {
    flags: u8,
    range: Range<usize>,
}

impl Cut {
    fn whole(octets: usize) -> Vec<Self> {
        vec![Self {
            flags: 0,
            range: 0..octets,
        }]
    }

    /// As a remote's sender cuts.
    fn all(octets: usize, remote: &Remote) -> Vec<Self> {
        let Some(pieces) = split(octets, remote.kind.whole_mtu()) else {
            return Self::whole(octets);
        };
        let cut = |piece: split::Piece| Self {
            flags: piece.place.flags(),
            range: piece.range,
        };
        pieces.map(cut).collect()
    }

    /// Before a later piece stand its own first octets, where others have PPP's protocol.
    fn is_later(&self) -> bool {
        matches!(
            Place::from_flags(self.flags),
            Some(Place::Middle | Place::Last)
        )
    }
}

impl Party {
    /// The most frames that one packet is on any wire, at least one.
    pub(crate) fn frames_by_one_wire(&self) -> usize {
        let by_wire = |wire| self.arrivals.iter().filter(|by| by.wire == wire).count();
        let arrivals = (0..PORTS).map(by_wire).fold(1, usize::max);
        arrivals * self.cuts.len()
    }

    /// Packets that leave without a tunnel.
    pub(crate) fn plain(family: Family, inner_octets: usize) -> Self {
        let packet = |number| {
            let [near, far] = [lan_host(family, number), plain_host(family, number)];
            udp_packet(near, far, inner_octets)
        };
        let mut leaving = Traffic::default();
        leaving[1] = (1, (ethernet::HEADER_OCTETS + inner_octets) as u64);
        Self {
            remote: 0,
            packets: (0..HOSTS).map(packet).collect(),
            arrivals: vec![Arrival::new(0, family, None)],
            cuts: Cut::whole(inner_octets),
            leaving,
        }
    }

    /// Packets from our LAN to hosts of a remote.
    pub(crate) fn outwards(
        index: usize,
        remote: &Remote,
        family: Family,
        inner_octets: usize,
        flows: u8,
    ) -> Self {
        let packet = |number| {
            let [near, far] = [lan_host(family, number), remote.host(family, number)];
            udp_packet(near, far, inner_octets)
        };
        let headers = remote.kind.ethernet_octets() + remote.kind.headers_octets();
        let frame = |cut: &Cut| {
            let protocol = if cut.is_later() {
                ppp::PROTOCOL_OCTETS
            } else {
                0
            };
            (headers + cut.range.len() - protocol) as u64
        };
        let cuts = Cut::all(inner_octets, remote);
        let copy = (cuts.len() as u64, cuts.iter().map(frame).sum::<u64>());
        let mut leaving = Traffic::default();
        for link in remote.links() {
            let by_wire = &mut leaving[remote.uplink(link) + 1];
            *by_wire = (by_wire.0 + copy.0, by_wire.1 + copy.1);
        }
        Self {
            remote: index,
            packets: (0..flows).map(packet).collect(),
            arrivals: vec![Arrival::new(0, family, None)],
            cuts: Cut::whole(inner_octets),
            leaving,
        }
    }

    /// Packets from hosts of a remote to our LAN.
    pub(crate) fn inwards(
        index: usize,
        remote: &Remote,
        family: Family,
        inner_octets: usize,
        flows: u8,
    ) -> Self {
        let packet = |number| {
            let [near, far] = [lan_host(family, number), remote.host(family, number)];
            udp_packet(far, near, inner_octets)
        };
        let arrival = |link| {
            let tunnel = Some(remote.far_end(link));
            let arrival = Arrival::new(remote.uplink(link) + 1, remote.kind.outer, tunnel);
            if remote.kind.on_vlans {
                arrival.on_vlan()
            } else {
                arrival
            }
        };
        let mut leaving = Traffic::default();
        leaving[0] = (1, (ethernet::HEADER_OCTETS + inner_octets) as u64);
        Self {
            remote: index,
            packets: (0..flows).map(packet).collect(),
            arrivals: remote.links().map(arrival).collect(),
            cuts: Cut::all(inner_octets, remote),
            leaving,
        }
    }
}

impl Arrival {
    fn new(wire: usize, family: Family, tunnel: Option<(Template, u32)>) -> Self {
        let ethernet = Ethernet {
            destination: mac(wire),
            source: neighbour_mac(wire),
            ether_type: family.ether_type(),
        };
        Self {
            wire,
            ethernet: ethernet.octets().to_vec(),
            tunnel,
        }
    }

    fn on_vlan(mut self) -> Self {
        let place = ethernet::ADDRESSES_OCTETS;
        self.ethernet.splice(place..place, vlan::tag(VLAN));
        self
    }

    /// Makes the frame of a packet, or of a piece. `None` when the buffer is too small.
    pub(crate) fn fill(
        &self,
        frame: &mut Mbuf,
        packet: &[u8],
        cut: &Cut,
        number: u64,
    ) -> Option<()> {
        let piece = packet.get(cut.range.clone())?;
        let (protocol, octets) = match piece.split_first_chunk() {
            Some((&first, rest)) if cut.is_later() => (u16::from_be_bytes(first), rest),
            _ => (ppp::protocol_of(packet), piece),
        };
        frame.extend_from_slice(octets).then_some(())?;
        self.wrap(frame, protocol, cut.flags, number)
    }

    fn wrap(&self, frame: &mut Mbuf, protocol: u16, flags: u8, number: u64) -> Option<()> {
        if let Some((template, epoch)) = &self.tunnel {
            let fields = Fields {
                inner_octets: frame.len(),
                inner_sum: checksum::sum(frame),
                protocol,
                flags,
                epoch: *epoch,
                number,
                identification: number as u16,
            };
            let header = frame.prepend(template.octets())?;
            template.write(header, &fields).then_some(())?;
        }
        frame
            .prepend(self.ethernet.len())?
            .copy_from_slice(&self.ethernet);
        Some(())
    }
}

/// A UDP packet of so many octets between two hosts of one family.
fn udp_packet(source: IpAddr, destination: IpAddr, octets: usize) -> Vec<u8> {
    const PORTS: [u16; 2] = [5000, 6000];
    let payload = |header| vec![0x5a; octets - header - udp::HEADER_OCTETS];
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let [source, destination] = [
                SocketAddrV4::new(source, PORTS[0]),
                SocketAddrV4::new(destination, PORTS[1]),
            ];
            ipv4::udp_packet(source, destination, &payload(ipv4::HEADER_OCTETS), 0)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let [source, destination] = [
                SocketAddrV6::new(source, PORTS[0], 0, 0),
                SocketAddrV6::new(destination, PORTS[1], 0, 0),
            ];
            ipv6::udp_packet(source, destination, &payload(ipv6::HEADER_OCTETS))
        }
        _ => Vec::new(),
    }
}
