use dataplane::checksum;
use dataplane::headers::{ipv4 as header, udp};

use super::*;

const SEEDS: u64 = 50;

fn customer() -> Customer {
    Customer {
        mac: [2, 0, 0, 0, 0, 1],
        address: Ipv4Addr::new(10, 1, 0, 104),
        server: Ipv4Addr::new(10, 1, 0, 254),
        line: Line {
            access_concentrator: [2, 0, 0, 0, 0, 9],
            session: 7,
        },
    }
}

fn is_dhcp(kind: Kind) -> bool {
    kind < Kind::Advertisements
}

/// The UDP payload of a frame whose headers and checksums are right.
fn dhcp(frame: &[u8]) -> Vec<u8> {
    let packet = &frame[14..];
    let ip = header::parse(packet).expect("a whole IPv4 header");
    let packet = &packet[..ip.total_octets];
    let udp = udp::parse(&ip, packet).expect("whole UDP");
    assert_eq!(udp.destination_port, DHCP_CLIENT);
    packet[udp.payload_range].to_vec()
}

#[test]
fn junk_follows_from_the_seed() {
    let frames = |seed| ProviderJunk::new(seed, customer()).frames(500);
    assert_eq!(frames(1), frames(1));
    assert_ne!(frames(1), frames(2));
}

#[test]
fn frames_fit_and_reach_the_customer_whole() {
    for seed in 0..SEEDS {
        let mut junk = ProviderJunk::new(seed, customer());
        for &kind in Kind::ALL {
            let frame = junk.frame(kind);
            let octets = frame.len();
            assert!((60..=1514).contains(&octets), "{kind:?}: {octets}");
            let to_group = frame[0] & 1 != 0;
            assert!(to_group || frame[..6] == customer().mac, "{kind:?}");
            if is_dhcp(kind) {
                dhcp(&frame);
            } else if kind <= Kind::Neighbours {
                let payload_octets = u16::from_be_bytes([frame[18], frame[19]]);
                let message = &frame[54..54 + usize::from(payload_octets)];
                let (source, to) = (&frame[22..38], &frame[38..54]);
                let pseudo = checksum::pseudo_header_sum_ipv6(
                    source.try_into().unwrap(),
                    to.try_into().unwrap(),
                    58,
                    payload_octets,
                );
                assert_eq!(checksum::finish(pseudo + checksum::sum(message)), 0);
            }
        }
    }
}

#[test]
fn a_stranger_never_names_both_ends_of_the_session() {
    let line = customer().line;
    let mut named = [false; 2];
    for seed in 0..SEEDS {
        let mut junk = ProviderJunk::new(seed, customer());
        for kind in [Kind::Terminations, Kind::DamagedDiscovery, Kind::Sessions] {
            let frame = junk.frame(kind);
            let by_it = frame[6..12] == line.access_concentrator;
            let of_it = frame[16..18] == line.session.to_be_bytes();
            assert!(by_it != of_it, "{kind:?}: {frame:?}");
            named[usize::from(by_it)] = true;
        }
    }
    assert_eq!(named, [true; 2]);
}

#[test]
fn answers_are_good_but_for_what_is_wrong_with_them() {
    let mut kinds_seen = [false; 7];
    for seed in 0..SEEDS {
        let mut junk = ProviderJunk::new(seed, customer());
        let good = dhcp(&junk.frame(Kind::OtherTransactions));
        assert_eq!(good[28..34], customer().mac);
        assert_eq!(good[236..243], [99, 130, 83, 99, 53, 1, good[242]]);
        kinds_seen[usize::from(good[242])] = true;
        assert_ne!(
            dhcp(&junk.frame(Kind::OtherCustomers))[28..34],
            customer().mac
        );
        assert!(dhcp(&junk.frame(Kind::HugeOptions)).len() > 1000);
        assert!(dhcp(&junk.frame(Kind::TruncatedAnswers)).len() < good.len());
    }
    assert_eq!([2, 5, 6].map(|kind| kinds_seen[kind]), [true; 3]);
}
