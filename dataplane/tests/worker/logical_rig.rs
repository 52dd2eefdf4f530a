//! A rig whose links are on logical ports.

use std::sync::Arc;

use dataplane::Encapsulation::{self, Vlan};
use dataplane::command::{Command, InterfaceSpec, PortId};

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

/// Packets that a port counts as received and sent.
pub(crate) fn counted(rig: &Rig, port: u16) -> [u64; 2] {
    let counters = &rig.counters[usize::from(port)][0];
    [
        counters.received_packets.read(),
        counters.sent_packets.read(),
    ]
}
