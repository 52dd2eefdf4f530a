//! Frames that are wrong in any way end in a counter, never in a panic, and
//! nothing vanishes without a name.

use std::sync::Arc;

use proptest::prelude::*;

use dataplane::checksum;
use dataplane::command::Command;
use dataplane::counters::PortCounters;

use crate::ipv6_rig::*;
use crate::rig::*;

/// The uplink whose tunnel goes over IPv6.
pub(crate) const OVER_IPV6: u16 = 3;

pub(crate) fn rig() -> Rig {
    let mut rig = Rig::with_ipv6();
    let spec = rig.session_over_ipv6(OVER_IPV6);
    rig.command(Command::SetSession(Arc::new(spec)));
    rig
}

/// Something like what a worker gets, to be damaged.
pub(crate) fn seeds() -> Vec<(usize, Vec<u8>)> {
    let packet = inner(b"payload");
    let control = [0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0];
    vec![
        (0, frame(0, &udp(LAN_HOST, FAR_HOST, b"payload"))),
        (0, frame(0, &udp(LAN_HOST, own_address(0), b"payload"))),
        (1, copy(1, 3, &packet)),
        (1, l2tp_frame(1, &plain_message(1, &ppp_ipv4(&packet)))),
        (
            1,
            l2tp_frame(1, &plain_message(1, &[0xc0, 0x21, 9, 1, 0, 4])),
        ),
        (1, l2tp_frame(1, &control)),
        (1, copy(1, 4, &syn(FAR_HOST, LAN_HOST, 1460))),
    ]
    .into_iter()
    .chain(
        pieces(1, PEER_EPOCH, 20, &inner(&[1; 100]), 100)
            .iter()
            .map(|message| (1, l2tp_frame(1, message))),
    )
    .chain(ipv6_seeds())
    .collect()
}

fn ipv6_seeds() -> Vec<(usize, Vec<u8>)> {
    let packet = inner_ipv6(b"payload");
    let syn = syn_ipv6(FAR_HOST_IPV6, LAN_HOST_IPV6, 1460);
    let to = |uplink: u16, message: &[u8]| {
        let frame = if uplink == OVER_IPV6 {
            l2tp_frame_ipv6(uplink, message)
        } else {
            l2tp_frame(uplink, message)
        };
        (usize::from(uplink), frame)
    };
    let numbered = |uplink, number, packet: &[u8]| {
        let message = ha_message(uplink, PEER_EPOCH, number, &ppp_ipv6(packet));
        to(uplink, &message)
    };
    // Two extension headers before UDP.
    let long = [
        &[44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 1, 2, 3, 4][..],
        &packet[40..],
    ]
    .concat();
    let mut long_packet = packet[..40].to_vec();
    long_packet[4..7].copy_from_slice(&[0, long.len() as u8, 60]);
    long_packet.extend(long);
    vec![
        (
            0,
            frame(0, &udp_ipv6(LAN_HOST_IPV6, FAR_HOST_IPV6, b"payload")),
        ),
        (
            0,
            frame(0, &udp_ipv6(LAN_HOST_IPV6, own_ipv6(0), b"payload")),
        ),
        (0, frame(0, &discovery(135, LAN_HOST_IPV6, own_ipv6(0)))),
        numbered(1, 11, &packet),
        numbered(OVER_IPV6, 12, &packet),
        numbered(OVER_IPV6, 13, &syn),
        numbered(OVER_IPV6, 14, &long_packet),
        to(
            OVER_IPV6,
            &plain_message(OVER_IPV6, &[0xc0, 0x21, 9, 1, 0, 4]),
        ),
    ]
}

/// Every frame offered is dropped by name, handed to the control thread or
/// sent: once for the LAN, once for each of the set's three links.
pub(crate) fn accounts_balance(rig: &mut Rig, offered: u64) -> Result<(), TestCaseError> {
    rig.poll();
    // What waits for other fragments or pieces is given up.
    rig.now += 3 * TSC_HZ;
    rig.poll();
    let sent_by_uplinks: u64 = (1..PORTS).map(|port| rig.received(port).len() as u64).sum();
    let delivered = rig.received(0).len() as u64;
    let punted = rig.total(|counters: &PortCounters| counters.punted_packets.read());
    let devices = rig.counters[..PORTS].iter().flatten();
    let received: u64 = devices
        .map(|counters| counters.received_packets.read())
        .sum();
    prop_assert_eq!(received, offered);
    prop_assert_eq!(sent_by_uplinks % 3, 0);
    // Of those that made one, all but one.
    let joined = rig.total(|port| port.reassembled_fragments.read())
        - rig.total(|port| port.reassembled_packets.read());
    let pieces = rig.set[0].reassembled_pieces.read() - rig.set[0].reassembled_packets.read();
    let accounted = rig.all_drops() + punted + delivered + sent_by_uplinks / 3 + joined + pieces;
    prop_assert_eq!(accounted, offered);
    Ok(())
}

/// The checksums of the outer headers, so that damage gets further.
pub(crate) fn mend(frame: &mut [u8]) {
    if frame.get(12..14) == Some(&[0x86, 0xdd]) {
        mend_ipv6(&mut frame[14..]);
        return;
    }
    if let Some(header) = frame.get_mut(14..34) {
        header[10..12].fill(0);
        let checksum = checksum::finish(checksum::sum(header));
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    // No UDP checksum.
    if let Some(checksum) = frame.get_mut(40..42) {
        checksum.fill(0);
    }
}

/// UDP right behind the header has a right checksum again, if it is all there.
fn mend_ipv6(packet: &mut [u8]) {
    let Some((header, datagram)) = packet.split_at_mut_checked(40) else {
        return;
    };
    let length = datagram.get(4..6).map_or(0, |octets| {
        usize::from(u16::from_be_bytes([octets[0], octets[1]]))
    });
    if length < 8 || length > datagram.len() {
        return;
    }
    datagram[6..8].fill(0);
    let pseudo_header = checksum::sum(&header[8..]) + 17 + length as u32;
    let sum = pseudo_header + checksum::sum(&datagram[..length]);
    datagram[6..8].copy_from_slice(&checksum::finish(sum).to_be_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_frames_are_accounted_for(
        damages in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..3_u8, any::<prop::sample::Index>(), any::<bool>()),
            1..200,
        ),
    ) {
        let mut rig = rig();
        let seeds = seeds();
        let offered = damages.len() as u64;
        for (which, place, octet, kind, length, mended) in damages {
            let (port, mut frame) = seeds[which.index(seeds.len())].clone();
            match kind {
                0 => frame.truncate(1 + length.index(frame.len())),
                1 => frame.resize(frame.len() + length.index(64), octet),
                _ => {}
            }
            let at = place.index(frame.len());
            frame[at] = octet;
            if mended {
                mend(&mut frame);
            }
            rig.send(port, &frame);
            // The events' buffers go back to the pool.
            rig.events();
        }
        accounts_balance(&mut rig, offered)?;
    }

    #[test]
    fn garbage_behind_good_headers_is_accounted_for(
        messages in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 1..96), any::<bool>(), any::<bool>()),
            1..100,
        ),
    ) {
        let mut rig = rig();
        let offered = messages.len() as u64;
        for (mut message, ours, numbered) in messages {
            // Half of them with a flags word and ids that are taken.
            if ours && message.len() >= 8 {
                let head = if numbered { [0x02, 0x02] } else { [0x00, 0x02] };
                message[..2].copy_from_slice(&head);
                message[2..6].copy_from_slice(&[0x01, 0x01, 0x02, 0x01]);
                message[6] = 0;
            }
            if message.len() % 2 == 0 {
                rig.send(1, &l2tp_frame(1, &message));
            } else {
                if let Some(tunnel) = message.get_mut(3..6) {
                    tunnel.copy_from_slice(&[OVER_IPV6 as u8, 0x02, OVER_IPV6 as u8]);
                }
                rig.send(OVER_IPV6.into(), &l2tp_frame_ipv6(OVER_IPV6, &message));
            }
            rig.events();
        }
        accounts_balance(&mut rig, offered)?;
    }
}
