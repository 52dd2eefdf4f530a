use dataplane::headers::l2tp::{self, L2tp};
use dataplane::headers::{ipv4 as header, udp};

use super::*;

const SEEDS: u64 = 20;

fn target() -> Target {
    let mac = [2, 0, 0, 0, 0, 1];
    let (address, peer) = (Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(10, 1, 0, 2));
    let ends = (
        SocketAddrV4::new(peer, L2TP),
        SocketAddrV4::new(address, L2TP),
    );
    let mut request = CONTROL.to_be_bytes().to_vec();
    request.extend([0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 1]);
    request.extend(ASSIGNED_TUNNEL_ID);
    let mut copy = vec![
        2, 2, 1, 2, 3, 4, 0, 12, 0x10, 0, 9, 9, 9, 9, 0, 0, 0, 0, 0, 5,
    ];
    copy.extend([0, 0x21, 0x45, 0, 0, 20]);
    let echo = vec![
        1, 2, 1, 2, 3, 4, 0xff, 3, 0xc0, 0x21, 9, 1, 0, 8, 0, 0, 0, 0,
    ];
    let overheard = [request, copy, echo].map(|payload| {
        ethernet(
            mac,
            0x0800,
            &header::udp_packet(ends.0, ends.1, &payload, 1),
        )
    });
    Target {
        mac,
        address,
        peer,
        overheard: overheard.to_vec(),
    }
}

#[test]
fn junk_follows_from_the_seed() {
    let frames = |seed| Junk::new(seed, target()).frames(500);
    assert_eq!(frames(1), frames(1));
    assert_ne!(frames(1), frames(2));
}

#[test]
fn what_is_to_be_whole_is_whole() {
    for seed in 0..SEEDS {
        let mut junk = Junk::new(seed, target());
        for &kind in Kind::ALL {
            let frame = junk.frame(kind);
            assert!(
                (60..=1514).contains(&frame.len()),
                "{kind:?}: {} octets",
                frame.len()
            );
            let may_be_broken = [Kind::Arp, Kind::Discovery, Kind::Broken].contains(&kind);
            if !may_be_broken {
                let ip = header::parse(&frame[14..]).expect("a whole header");
                assert!(ip.source != target().address && ip.destination == target().address);
            }
            let Some(payload) = l2tp_payload(&frame).filter(|_| !may_be_broken) else {
                continue;
            };
            if kind != Kind::Fragments {
                let ip = header::parse(&frame[14..]).expect("a whole header");
                let packet = &frame[14..14 + ip.total_octets];
                assert!(udp::parse(&ip, packet).is_ok(), "{kind:?}");
            }
            if [Kind::ForgedCopies, Kind::ReplayedCopies].contains(&kind) {
                assert!(
                    matches!(l2tp::parse(payload), Ok(L2tp::Data(_))),
                    "{kind:?}"
                );
                let is_live = payload[10..14] == [9, 9, 9, 9];
                assert_eq!(is_live, kind == Kind::ReplayedCopies);
            }
        }
    }
}

#[test]
fn requests_differ_in_their_ids() {
    let mut junk = Junk::new(3, target());
    let mut id = || {
        let frame = junk.frame(Kind::Requests);
        let payload = l2tp_payload(&frame).expect("L2TP").to_vec();
        assert_eq!(message_type(&payload), Some(1));
        payload[26..28].to_vec()
    };
    assert_ne!(id(), id());
}
