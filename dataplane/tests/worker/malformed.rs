//! Frames that are wrong in any way end in a counter, never in a panic, and
//! nothing vanishes without a name.

use proptest::prelude::*;

use dataplane::counters::PortCounters;

use crate::rig::*;

/// Something like what a worker gets, to be damaged.
fn seeds() -> Vec<(usize, Vec<u8>)> {
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
}

/// Every frame offered is dropped by name, handed to the control thread or
/// sent: once for the LAN, once for each of the set's three links.
fn accounts_balance(rig: &mut Rig, offered: u64) -> Result<(), TestCaseError> {
    rig.poll();
    let sent_by_uplinks: u64 = (1..PORTS).map(|port| rig.received(port).len() as u64).sum();
    let delivered = rig.received(0).len() as u64;
    let punted = rig.total(|counters: &PortCounters| counters.punted_packets.read());
    prop_assert_eq!(
        rig.total(|counters: &PortCounters| counters.received_packets.read()),
        offered
    );
    prop_assert_eq!(sent_by_uplinks % 3, 0);
    let accounted = rig.all_drops() + punted + delivered + sent_by_uplinks / 3;
    prop_assert_eq!(accounted, offered);
    Ok(())
}

/// The header checksum of the IPv4 header at 14, so that damage gets further.
fn mend(frame: &mut [u8]) {
    if let Some(header) = frame.get_mut(14..34) {
        header[10..12].fill(0);
        let checksum = dataplane::checksum::finish(dataplane::checksum::sum(header));
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    // No UDP checksum.
    if let Some(checksum) = frame.get_mut(40..42) {
        checksum.fill(0);
    }
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
        let mut rig = Rig::new();
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
        let mut rig = Rig::new();
        let offered = messages.len() as u64;
        for (mut message, ours, numbered) in messages {
            // Half of them with a flags word and ids that are taken.
            if ours && message.len() >= 8 {
                let head = if numbered { [0x02, 0x02] } else { [0x00, 0x02] };
                message[..2].copy_from_slice(&head);
                message[2..6].copy_from_slice(&[0x01, 0x01, 0x02, 0x01]);
                message[6] = 0;
            }
            rig.send(1, &l2tp_frame(1, &message));
            rig.events();
        }
        accounts_balance(&mut rig, offered)?;
    }
}
