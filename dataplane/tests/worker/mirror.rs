//! Two workers, the one at the far end of the other's tunnels: what the one
//! encapsulates the other takes apart, whichever family is inside or outside.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;

use dataplane::command::{
    Command, Epoch, InterfaceId, InterfaceSpec, NextHop, SessionId, SessionSpec,
};

use crate::ipv6_rig::*;
use crate::rig::*;

/// How the two talk.
#[derive(Clone, Copy, Debug)]
struct Way {
    over_ipv6: bool,
    in_set: bool,
    address_control: bool,
    udp_checksum: bool,
}

fn ways() -> impl Strategy<Value = Way> {
    any::<(bool, bool, bool, bool)>().prop_map(
        |(over_ipv6, in_set, address_control, udp_checksum)| Way {
            over_ipv6,
            in_set,
            address_control,
            udp_checksum,
        },
    )
}

fn near_session(rig: &Rig, uplink: u16, way: Way) -> SessionSpec {
    let mut spec = if way.over_ipv6 {
        rig.session_over_ipv6(uplink)
    } else {
        rig.session_spec(uplink)
    };
    spec.address_control = way.address_control;
    spec.udp_checksum = way.udp_checksum;
    if !way.in_set {
        spec.set = None;
    }
    spec
}

fn route_to_far(rig: &mut Rig, next_hop: NextHop) {
    rig.route(0, FAR_NETWORK_IPV6, 48, next_hop);
    rig.route(0, FAR_HOST, 24, next_hop);
}

fn near(way: Way) -> Rig {
    let mut rig = Rig::with_ipv6();
    for uplink in 1..PORTS as u16 {
        let spec = near_session(&rig, uplink, way);
        rig.command(Command::SetSession(Arc::new(spec)));
    }
    if !way.in_set {
        route_to_far(&mut rig, NextHop::Session(SessionId(2)));
    }
    rig.poll();
    rig
}

/// The peer: its addresses on every uplink, and on its LAN the far hosts.
fn far(way: Way) -> Rig {
    let mut rig = Rig::with_ipv6();
    let addresses: [IpAddr; 2] = [(*PEER.ip()).into(), (*PEER_IPV6.ip()).into()];
    for uplink in 1..PORTS as u16 {
        let spec = InterfaceSpec {
            addresses: addresses.map(|address| (address, 32)).to_vec(),
            ..interface(uplink)
        };
        rig.command(Command::SetInterface(Arc::new(spec)));
        for address in addresses {
            rig.route(uplink.into(), address, 255, NextHop::Local);
        }
        let spec = mirrored(near_session(&rig, uplink, way));
        rig.command(Command::SetSession(Arc::new(spec)));
    }
    let mut set = rig.set_spec();
    set.epochs = vec![Epoch {
        epoch: SEND_EPOCH,
        ..set.epochs[0].clone()
    }];
    rig.command(Command::SetSet(Arc::new(set)));
    let lan = NextHop::Interface {
        interface: InterfaceId(0),
        via: None,
    };
    route_to_far(&mut rig, lan);
    rig.neighbour(0, FAR_HOST, LAN_HOST_MAC);
    rig.neighbour(0, FAR_HOST_IPV6, LAN_HOST_MAC);
    rig.poll();
    rig
}

fn mirrored(near: SessionSpec) -> SessionSpec {
    SessionSpec {
        local: near.peer,
        peer: near.local,
        local_tunnel: near.peer_tunnel,
        local_session: near.peer_session,
        peer_tunnel: near.local_tunnel,
        peer_session: near.local_session,
        ..near
    }
}

/// Carries everything that the one sent on an uplink to the other.
fn carry(from: &mut Rig, to: &mut Rig) {
    for uplink in 1..PORTS {
        for mut frame in from.received(uplink) {
            frame[..6].copy_from_slice(&port_mac(uplink as u16));
            to.offer(uplink, 0, &frame);
        }
        to.poll();
    }
}

fn packet(ipv6: bool, payload: &[u8]) -> Vec<u8> {
    if ipv6 {
        udp_ipv6(LAN_HOST_IPV6, FAR_HOST_IPV6, payload)
    } else {
        udp(LAN_HOST, FAR_HOST, payload)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_one_encapsulates_the_other_takes_apart(
        way in ways(),
        packets in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..=1402)),
            1..40,
        ),
    ) {
        let (mut near, mut far) = (near(way), far(way));
        let packets: Vec<Vec<u8>> = packets
            .iter()
            .map(|(ipv6, payload)| {
                // A set takes what its links do not take whole.
                let most = if way.in_set { 1402 } else { 1380 };
                packet(*ipv6, &payload[..payload.len().min(most)])
            })
            .collect();
        for packet in &packets {
            near.offer(0, 0, &frame(0, packet));
        }
        near.poll();
        carry(&mut near, &mut far);
        let expected: Vec<Vec<u8>> = packets
            .iter()
            // One hop at each end.
            .map(|packet| delivered(&delivered(packet)[14..]))
            .collect();
        prop_assert_eq!(far.received(0), expected, "{:?}", way);
        prop_assert_eq!(near.all_drops(), 0);
        let sent = near.sessions[0][0].sent_packets.read();
        let copies = if way.in_set { 2 * sent } else { 0 };
        prop_assert_eq!(far.all_drops(), copies);
        prop_assert!(far.events().is_empty() && near.events().is_empty());
    }
}
