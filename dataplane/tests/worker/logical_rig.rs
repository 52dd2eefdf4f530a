//! A rig whose links are on logical ports.

use std::sync::Arc;

use dataplane::Encapsulation::{self, Pppoe, Vlan};
use dataplane::command::{Command, InterfaceSpec, PortId, PppoeSession};
use dataplane::worker::Order;

use crate::ipv6_rig::*;
use crate::rig::*;

/// The first logical port.
pub(crate) const FIRST: u16 = PORTS as u16;

/// Links 1 to 3 on port 1: without a tag, and on these two logical ports, which
/// are the last.
pub(crate) fn rig(logical: &[(usize, Encapsulation)], places: [u16; 2]) -> Rig {
    let mut rig = Rig::with_logical(logical);
    for (uplink, port) in [2, 3].into_iter().zip(places) {
        place(&mut rig, uplink, port);
    }
    rig.poll();
    rig
}

/// Puts an uplink's interface on a port.
pub(crate) fn place(rig: &mut Rig, uplink: u16, port: u16) {
    let spec = InterfaceSpec {
        port: PortId(port),
        ..interface(uplink)
    };
    rig.command(Command::SetInterface(Arc::new(spec)));
}

/// The same with its IPv6 addresses.
pub(crate) fn place_ipv6(rig: &mut Rig, uplink: u16, port: u16) {
    let spec = InterfaceSpec {
        port: PortId(port),
        ..interface_ipv6(uplink)
    };
    rig.command(Command::SetInterface(Arc::new(spec)));
}

pub(crate) fn on_vlans() -> Rig {
    rig(&[(1, Vlan(7)), (1, Vlan(8))], [FIRST, FIRST + 1])
}

/// A frame as it arrives on port 1.
pub(crate) fn to_port_1(mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&port_mac(1));
    frame
}

pub(crate) fn tagged(identifier: u16, frame: &[u8]) -> Vec<u8> {
    // Priority 5, which does not matter.
    let control = 0xa000 | identifier;
    [
        &frame[..12],
        &[0x81, 0],
        &control.to_be_bytes(),
        &frame[12..],
    ]
    .concat()
}

/// What leaves by port 1 of 40 packets of the LAN: each by all three links.
pub(crate) fn forty_packets(rig: &mut Rig) -> Vec<Vec<u8>> {
    for octet in 0..40 {
        rig.offer(0, 0, &frame(0, &udp(LAN_HOST, FAR_HOST, &[octet; 40])));
    }
    rig.poll();
    let frames = rig.received(1);
    assert_eq!(frames.len(), 3 * 40);
    frames
}

/// Has the control thread send a frame.
pub(crate) fn send_frame(rig: &mut Rig, port: u16, octets: &[u8]) {
    let (port, frame) = (PortId(port), rig.buffer(octets));
    rig.order(Order::SendFrame { port, frame });
}

/// Packets that a port counts as received and sent.
pub(crate) fn counted(rig: &Rig, port: u16) -> [u64; 2] {
    let counters = &rig.counters[usize::from(port)][0];
    [
        counters.received_packets.read(),
        counters.sent_packets.read(),
    ]
}

/// The logical ports: a session on port 1, VLAN 8 of it, and a session on that.
pub(crate) const SESSION_PORT: u16 = FIRST;
pub(crate) const VLAN_PORT: u16 = FIRST + 1;
pub(crate) const NESTED_PORT: u16 = FIRST + 2;

pub(crate) const SESSION: PppoeSession = PppoeSession {
    id: 0x1234,
    access_concentrator: [2, 0, 0, 0, 0xac, 1],
};
/// The same id of another concentrator.
pub(crate) const NESTED: PppoeSession = PppoeSession {
    access_concentrator: [2, 0, 0, 0, 0xac, 2],
    ..SESSION
};

/// Link 1 on port 1, link 2 in the session on it, link 3 in the one on the VLAN.
pub(crate) fn connected() -> Rig {
    let mut rig = not_connected();
    connect(&mut rig, SESSION_PORT, Some(SESSION));
    connect(&mut rig, NESTED_PORT, Some(NESTED));
    rig
}

pub(crate) fn not_connected() -> Rig {
    let ports = [(1, Pppoe), (1, Vlan(8)), (VLAN_PORT.into(), Pppoe)];
    rig(&ports, [SESSION_PORT, NESTED_PORT])
}

/// An IP frame in PPPoE, with padding behind.
pub(crate) fn in_pppoe(session: PppoeSession, frame: &[u8]) -> Vec<u8> {
    let protocol = match frame[12..14] {
        [0x86, 0xdd] => [0x00, 0x57],
        _ => [0x00, 0x21],
    };
    let mut pppoe = pppoe_frame(session, &[&protocol, &frame[14..]].concat());
    pppoe.extend([0; 5]);
    pppoe
}

pub(crate) fn pppoe_frame(session: PppoeSession, ppp: &[u8]) -> Vec<u8> {
    let mut frame = port_mac(1).to_vec();
    frame.extend(session.access_concentrator);
    frame.extend([0x88, 0x64, 0x11, 0]);
    frame.extend(session.id.to_be_bytes());
    frame.extend((ppp.len() as u16).to_be_bytes());
    frame.extend(ppp);
    frame
}

pub(crate) fn connect(rig: &mut Rig, port: u16, session: Option<PppoeSession>) {
    let port = PortId(port);
    rig.command(Command::SetPppoe { port, session });
    rig.poll();
}
