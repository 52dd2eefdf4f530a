//! The short ways give what the long ones give: a worker that has seen it all
//! before sends, drops and hands over the same as one that decides anew.

use std::net::SocketAddrV4;
use std::sync::Arc;

use proptest::prelude::*;

use dataplane::command::{Command, InterfaceId, NextHop, SessionId};
use dataplane::counters::Drop;

use crate::ipv6_rig::*;
use crate::rig::*;

/// A change that changes nothing but makes the worker forget what it had found.
fn forget(rig: &mut Rig) {
    rig.command(Command::RemoveNeighbour {
        interface: InterfaceId(77),
        address: FAR_HOST.into(),
    });
    rig.poll();
}

/// The far site is behind a set, or behind one session outside it.
fn rig(is_plain: bool) -> Rig {
    let mut rig = Rig::with_ipv6();
    if is_plain {
        let mut spec = rig.session_spec(1);
        spec.set = None;
        spec.tcp_mss_fix = true;
        rig.command(Command::SetSession(Arc::new(spec)));
        rig.route(0, FAR_NETWORK_IPV6, 48, NextHop::Session(SessionId(1)));
        rig.route(0, FAR_HOST, 24, NextHop::Session(SessionId(1)));
        rig.poll();
    }
    rig
}

fn mend_ipv4(packet: &mut [u8]) {
    if packet.len() >= 20 {
        packet[10..12].fill(0);
        let checksum = dataplane::checksum::finish(dataplane::checksum::sum(&packet[..20]));
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// What a packet from the far site comes in.
#[derive(Clone, Copy, Debug)]
enum Carrier {
    Copy,
    /// A plain data message of any of the usual forms, with an octet before the
    /// packet changed.
    Plain {
        length: bool,
        address_control: bool,
        damage: Option<(u8, u8)>,
        from_elsewhere: bool,
    },
}

impl Carrier {
    fn frame(self, number: u64, ppp: &[u8]) -> Vec<u8> {
        let Self::Plain {
            length,
            address_control,
            damage,
            from_elsewhere,
        } = self
        else {
            return l2tp_frame(1, &ha_message(1, PEER_EPOCH, number, ppp));
        };
        let before: &[u8] = if address_control { &[0xff, 0x03] } else { &[] };
        let mut message = plain_message(1, &[before, ppp].concat());
        if length {
            let octets = message.len() as u16 + 2;
            message[0] |= 0x40;
            message.splice(2..2, octets.to_be_bytes());
        }
        if let Some((at, octet)) = damage {
            message[usize::from(at)] = octet;
        }
        let port = if from_elsewhere { 1702 } else { PEER.port() };
        l2tp_frame_from(SocketAddrV4::new(*PEER.ip(), port), 1, &message)
    }
}

fn carrier() -> impl Strategy<Value = Carrier> {
    let damage = prop::option::weighted(0.3, (0..12_u8, prop_oneof![any::<u8>(), 0..3_u8]));
    let plain = (
        any::<bool>(),
        any::<bool>(),
        damage,
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(length, address_control, damage, from_elsewhere)| Carrier::Plain {
                length,
                address_control,
                damage,
                from_elsewhere,
            },
        );
    prop_oneof![Just(Carrier::Copy), plain]
}

/// A frame from the LAN, or one from the far site: a SYN or a UDP packet of
/// either family.
#[derive(Clone, Copy, Debug)]
struct Kind {
    inwards: bool,
    syn: bool,
    ipv6: bool,
    carrier: Carrier,
}

impl Kind {
    /// With some octets of the packet changed and the header's checksum mended,
    /// so that the damage is carried on.
    fn frame(self, number: u64, octets: usize, damage: &[(u8, u8)]) -> (usize, Vec<u8>) {
        let payload = vec![7; octets];
        let mut packet = if self.ipv6 {
            let (source, destination) = self.between(LAN_HOST_IPV6, FAR_HOST_IPV6);
            if self.syn {
                syn_ipv6(source, destination, 1440)
            } else {
                udp_ipv6(source, destination, &payload)
            }
        } else {
            let (source, destination) = self.between(LAN_HOST, FAR_HOST);
            if self.syn {
                syn(source, destination, 1460)
            } else {
                udp(source, destination, &payload)
            }
        };
        for &(at, octet) in damage {
            let at = usize::from(at) % packet.len();
            packet[at] = octet;
        }
        if !self.ipv6 {
            mend_ipv4(&mut packet);
        }
        match (self.inwards, self.ipv6) {
            (false, _) => (0, frame(0, &packet)),
            (true, false) => (1, self.carrier.frame(number, &ppp_ipv4(&packet))),
            (true, true) => (1, self.carrier.frame(number, &ppp_ipv6(&packet))),
        }
    }

    fn between<A>(self, near: A, far: A) -> (A, A) {
        if self.inwards {
            (far, near)
        } else {
            (near, far)
        }
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    let kind = (any::<bool>(), any::<bool>(), any::<bool>(), carrier());
    kind.prop_map(|(inwards, syn, ipv6, carrier)| Kind {
        inwards,
        syn,
        ipv6,
        carrier,
    })
}

/// Everything that a worker did: frames out of each port, events, drops.
fn outcome(rig: &mut Rig) -> (Vec<Vec<Vec<u8>>>, Vec<String>, Vec<u64>) {
    let frames = (0..PORTS).map(|port| rig.received(port)).collect();
    let events = rig.events().into_iter().map(|event| format!("{event:?}"));
    let events = events.collect();
    let drops = (0..PORTS).flat_map(|port| Drop::ALL.iter().map(move |&reason| (port, reason)));
    let drops: Vec<_> = drops
        .map(|(port, reason)| rig.drops(port, reason))
        .collect();
    (frames, events, drops)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_short_way_ends_where_the_long_one_does(
        packets in prop::collection::vec(
            (kind(), prop::collection::vec((0..48_u8, prop_oneof![any::<u8>(), 0..3_u8]), 0..3), 0..1430_usize),
            1..60,
        ),
        is_plain in any::<bool>(),
    ) {
        let (mut quick, mut thorough) = (rig(is_plain), rig(is_plain));
        for (number, (kind, damage, octets)) in (0..).zip(packets) {
            let (port, frame) = kind.frame(2 * number + 1, octets, &damage);
            // What the quick one knows, it knows from a packet like this.
            let (_, before) = Kind { syn: false, ..kind }.frame(2 * number, 5, &[]);
            for rig in [&mut quick, &mut thorough] {
                rig.send(port, &before);
            }
            forget(&mut thorough);
            for rig in [&mut quick, &mut thorough] {
                rig.send(port, &frame);
            }
            prop_assert_eq!(outcome(&mut quick), outcome(&mut thorough));
        }
    }
}
