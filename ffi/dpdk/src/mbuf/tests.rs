use super::*;
use crate::testing::{eal, pool};
use crate::{Burst, HEADROOM_OCTETS, Mempool};

const HEADROOM: usize = HEADROOM_OCTETS as usize;

#[test]
fn a_fresh_buffer_is_empty_between_its_rooms() {
    let mbuf = pool("mbuf_fresh", 7).alloc().unwrap();
    assert!(mbuf.is_empty());
    assert_eq!((mbuf.len(), &mbuf[..]), (0, &[][..]));
    assert_eq!((mbuf.headroom(), mbuf.tailroom()), (HEADROOM, 2048));
    assert_eq!(mbuf.rss_hash(), None);
    assert_eq!(mbuf.l4_checksum(), Checksum::Unknown);
    assert_eq!(mbuf.ip_checksum(), Checksum::Unknown);
}

#[test]
fn octets_come_and_go_at_both_ends() {
    let mut mbuf = pool("mbuf_ends", 7).alloc().unwrap();
    assert!(mbuf.extend_from_slice(b"payload"));
    mbuf.prepend(4).unwrap().copy_from_slice(b"head");
    mbuf.append(4).unwrap().copy_from_slice(b"tail");
    assert_eq!(&mbuf[..], b"headpayloadtail");
    assert_eq!(
        (mbuf.headroom(), mbuf.tailroom()),
        (HEADROOM - 4, 2048 - 11)
    );
    assert!(mbuf.trim_front(2));
    assert!(mbuf.trim_end(3));
    assert_eq!(&mbuf[..], b"adpayloadt");
    assert_eq!(mbuf.header().pkt_len, 10);
    mbuf[0] = b'o';
    assert_eq!(mbuf.as_ref(), b"odpayloadt");
    mbuf.reset();
    assert_eq!((mbuf.len(), mbuf.headroom()), (0, HEADROOM));
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let mut mbuf = pool("mbuf_fit", 7).alloc().unwrap();
    assert!(mbuf.extend_from_slice(b"abc"));
    assert!(mbuf.prepend(HEADROOM + 1).is_none());
    assert!(mbuf.prepend(usize::MAX).is_none());
    assert!(mbuf.append(2046).is_none());
    assert!(mbuf.append(usize::MAX).is_none());
    assert!(!mbuf.extend_from_slice(&[0; 2046]));
    assert!(!mbuf.trim_front(4));
    assert!(!mbuf.trim_end(4));
    // The same low 16 bits as 1.
    assert!(!mbuf.trim_end(65537));
    assert!(!mbuf.trim_front(65537));
    assert!(mbuf.append(65537).is_none());
    assert_eq!(&mbuf[..], b"abc");
    assert_eq!(
        mbuf.prepend(HEADROOM).map(|room| room.len()),
        Some(HEADROOM)
    );
    assert_eq!(mbuf.append(2045).map(|room| room.len()), Some(2045));
    assert_eq!((mbuf.headroom(), mbuf.tailroom()), (0, 0));
    assert_eq!(mbuf.len(), HEADROOM + 2048);
}

#[test]
fn dropping_gives_the_buffer_back_in_any_thread() {
    let pool = pool("mbuf_drop", 7);
    let mbuf = pool.alloc().unwrap();
    assert_eq!(pool.available(), 6);
    std::thread::spawn(move || drop(mbuf)).join().unwrap();
    assert_eq!(pool.available(), 7);
}

#[test]
fn what_the_port_found_out_is_readable() {
    let mut mbuf = pool("mbuf_flags", 7).alloc().unwrap();
    mbuf.header_mut().hash_rss = 7;
    for (flags, ip, l4) in [
        (
            dpdk_sys::SHIM_MBUF_RX_IP_CKSUM_GOOD | dpdk_sys::SHIM_MBUF_RX_L4_CKSUM_BAD,
            Checksum::Good,
            Checksum::Bad,
        ),
        (
            dpdk_sys::SHIM_MBUF_RX_IP_CKSUM_BAD | dpdk_sys::SHIM_MBUF_RX_L4_CKSUM_GOOD,
            Checksum::Bad,
            Checksum::Good,
        ),
        (
            dpdk_sys::SHIM_MBUF_RX_IP_CKSUM_NONE | dpdk_sys::SHIM_MBUF_RX_L4_CKSUM_NONE,
            Checksum::Absent,
            Checksum::Absent,
        ),
    ] {
        mbuf.header_mut().ol_flags = flags;
        assert_eq!((mbuf.ip_checksum(), mbuf.l4_checksum()), (ip, l4));
        assert_eq!(mbuf.ip_checksum_good(), ip == Checksum::Good);
        assert_eq!(mbuf.ip_checksum_bad(), ip == Checksum::Bad);
        assert_eq!(mbuf.l4_checksum_good(), l4 == Checksum::Good);
        assert_eq!(mbuf.l4_checksum_bad(), l4 == Checksum::Bad);
        assert_eq!(mbuf.rss_hash(), None);
    }
    mbuf.header_mut().ol_flags = dpdk_sys::SHIM_MBUF_RX_RSS_HASH;
    assert_eq!(mbuf.rss_hash(), Some(7));
}

#[test]
fn checksums_are_asked_for_only_where_the_headers_are() {
    let mut mbuf = pool("mbuf_tx", 7).alloc().unwrap();
    assert!(mbuf.extend_from_slice(&[0; 41]));
    assert!(!mbuf.request_checksums(14, 20));
    assert!(mbuf.extend_from_slice(&[0; 1]));
    assert!(!mbuf.request_checksums(14, 512));
    assert!(!mbuf.request_checksums(128, 20));
    assert_eq!(mbuf.header().ol_flags, 0);
    assert!(mbuf.request_checksums(14, 20));
    assert_eq!(mbuf.header().ol_flags, TX_CHECKSUMS_IPV4);
    assert_eq!(mbuf.header().tx_offload, 14 | 20 << 7);
    assert!(!mbuf.request_checksum_ipv6(14, 40));
    assert!(mbuf.extend_from_slice(&[0; 20]));
    assert!(mbuf.request_checksum_ipv6(14, 40));
    assert_eq!(mbuf.header().ol_flags, TX_CHECKSUMS_IPV6);
    assert_eq!(mbuf.header().tx_offload, 14 | 40 << 7);
    assert!(mbuf.trim_end(1));
    assert_eq!(mbuf.header().ol_flags, 0);
}

#[test]
fn a_range_is_kept() {
    let mut mbuf = pool("mbuf_keep", 7).alloc().unwrap();
    assert!(mbuf.extend_from_slice(b"headpayloadtail"));
    assert!(mbuf.keep(4..11));
    assert_eq!(&mbuf[..], b"payload");
    assert_eq!(mbuf.header().pkt_len, 7);
    assert_eq!(mbuf.headroom(), HEADROOM + 4);
    assert!(!mbuf.keep(0..8));
    assert!(!mbuf.keep(65536..65537));
    #[expect(clippy::reversed_empty_ranges, reason = "what a wrong length makes")]
    let reversed = 2..1;
    assert!(!mbuf.keep(reversed));
    assert_eq!(&mbuf[..], b"payload");
    assert!(mbuf.keep(7..7));
    assert!(mbuf.is_empty());
    assert_eq!(
        mbuf.prepend_array::<2>().map(|octets| octets.len()),
        Some(2)
    );
    assert!(mbuf.prepend_array::<256>().is_none());
}

#[test]
fn copies_have_the_packets_octets_whatever_its_length() {
    let pool = pool("mbuf_copy", 7);
    for octets in (0..=260).chain([1400, 2048]) {
        let contents: Vec<u8> = (0..octets).map(|octet| octet as u8).collect();
        let mut packets = Burst::new();
        assert!(pool.alloc_bulk(&mut packets, 2));
        for packet in &mut packets {
            assert!(packet.extend_from_slice(&contents));
        }
        // Behind one that is there already, in buffers that held something else.
        let mut copies = Burst::new();
        assert!(pool.alloc_bulk(&mut copies, 3));
        for mut used in copies.drain(1..) {
            assert!(used.extend_from_slice(&[0xee; 1000]));
            used.header_mut().ol_flags |= TX_CHECKSUMS;
            used.header_mut().vlan_tci = 7;
        }
        let write_header = |place, header: &mut [u8; 5]| *header = [place as u8; 5];
        assert!(pool.copy_bulk(packets.as_slice(), &mut copies, write_header));
        assert_eq!((copies.len(), copies[0].len()), (3, 0));
        for (place, copy) in copies.as_slice()[1..].iter().enumerate() {
            assert_eq!(copy[..5], [place as u8; 5], "{octets} octets");
            assert_eq!(copy[5..], contents, "{octets} octets");
            assert_eq!(copy.header().pkt_len, 5 + octets as u32);
            assert_eq!(copy.headroom(), HEADROOM - 5);
            assert_eq!((copy.header().ol_flags, copy.header().vlan_tci), (0, 0));
        }
    }
}

#[test]
fn a_packet_that_no_buffer_holds_is_not_copied() {
    let large = pool("mbuf_copy_large", 7);
    let small = Mempool::new(eal(), "mbuf_copy_small", 7, 0, 128 + 100).unwrap();
    let mut packets = Burst::new();
    assert!(large.alloc_bulk(&mut packets, 2));
    for packet in &mut packets {
        assert!(packet.extend_from_slice(&[7; 100]));
    }
    let mut copies = Burst::new();
    assert!(small.copy_bulk::<64>(packets.as_slice(), &mut copies, |_, _| ()));
    assert_eq!((copies.len(), small.available()), (2, 5));
    assert!(packets[1].extend_from_slice(&[8]));
    assert!(!small.copy_bulk::<64>(packets.as_slice(), &mut copies, |_, _| ()));
    assert_eq!((copies.len(), small.available()), (2, 5));
    copies.clear();
    // Neither is one for which there are too few buffers.
    assert!(packets[1].trim_end(1));
    let taken: Vec<_> = (0..6).map(|_| small.alloc()).collect();
    assert!(!small.copy_bulk::<64>(packets.as_slice(), &mut copies, |_, _| ()));
    assert_eq!((copies.len(), taken.len()), (0, 6));
}

#[test]
fn a_header_takes_the_place_of_another() {
    let mut mbuf = pool("mbuf_front", 7).alloc().unwrap();
    assert!(mbuf.extend_from_slice(b"outer-innerpayload"));
    *mbuf.replace_front(6).unwrap() = *b"new";
    assert_eq!(&mbuf[..], b"newinnerpayload");
    assert_eq!(mbuf.header().pkt_len, 15);
    *mbuf.replace_front(3).unwrap() = *b"larger";
    assert_eq!(&mbuf[..], b"largerinnerpayload");
    assert_eq!(mbuf.headroom(), HEADROOM);
    assert!(mbuf.replace_front::<1>(19).is_none());
    assert!(mbuf.replace_front::<136>(7).is_none());
    assert_eq!(&mbuf[..], b"largerinnerpayload");
    mbuf.replace_front::<134>(6).unwrap();
    assert_eq!((mbuf.headroom(), mbuf.len()), (0, 12 + 134));
}
