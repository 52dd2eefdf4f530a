//! The short ways give what the long ones give: a worker that has seen it all
//! before sends, drops and hands over the same as one that decides anew.

use proptest::prelude::*;

use dataplane::command::{Command, InterfaceId};
use dataplane::counters::Drop;

use crate::rig::*;

/// A change that changes nothing but makes the worker forget what it had found.
fn forget(rig: &mut Rig) {
    rig.command(Command::RemoveNeighbour {
        interface: InterfaceId(77),
        address: FAR_HOST.into(),
    });
    rig.poll();
}

fn mend_ipv4(packet: &mut [u8]) {
    if packet.len() >= 20 {
        packet[10..12].fill(0);
        let checksum = dataplane::checksum::finish(dataplane::checksum::sum(&packet[..20]));
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// A frame from the LAN, or a copy from the far site: a SYN or a UDP packet.
#[derive(Clone, Copy, Debug)]
struct Kind {
    inwards: bool,
    syn: bool,
}

impl Kind {
    /// With some octets of the packet changed and the header's checksum mended,
    /// so that the damage is carried on.
    fn frame(self, number: u64, octets: usize, damage: &[(u8, u8)]) -> (usize, Vec<u8>) {
        let (source, destination) = if self.inwards {
            (FAR_HOST, LAN_HOST)
        } else {
            (LAN_HOST, FAR_HOST)
        };
        let mut packet = if self.syn {
            syn(source, destination, 1460)
        } else {
            udp(source, destination, &vec![7; octets])
        };
        for &(at, octet) in damage {
            let at = usize::from(at) % packet.len();
            packet[at] = octet;
        }
        mend_ipv4(&mut packet);
        if self.inwards {
            (1, copy(1, number, &packet))
        } else {
            (0, frame(0, &packet))
        }
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    any::<(bool, bool)>().prop_map(|(inwards, syn)| Kind { inwards, syn })
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
            (kind(), prop::collection::vec((0..48_u8, prop_oneof![any::<u8>(), 0..3_u8]), 0..3), 0..1450_usize),
            1..60,
        ),
    ) {
        let (mut quick, mut thorough) = (Rig::new(), Rig::new());
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
