//! Neighbours of IPv6.

use super::super::super::discovery::{self, ALL_NODES, Advertisement, group_mac, solicited_node};
use super::*;

const OURS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3456);
const HOST_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x10);
const OTHER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x11);
/// Behind the tunnel, in the LAN's own network.
const REMOTE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// Made of `OUR_MAC`.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);

fn lan() -> Interface {
    Interface {
        addresses: vec![(OURS.into(), 64)],
        ..super::lan()
    }
}

/// One interface, its announcements over.
fn neighbours() -> Neighbours {
    let mut neighbours = Neighbours::new();
    neighbours.add_interface(Duration::ZERO, lan());
    neighbours.handle_timeout(ANNOUNCE_INTERVAL);
    assert_eq!(drain(&mut neighbours).len(), 4);
    let tunnel = NextHop::Set(SetId(0));
    neighbours
        .proxy()
        .set_route(MAIN, Prefix::host(REMOTE), tunnel);
    neighbours
}

/// A solicitation by a host, to where it belongs.
fn asked(mac: [u8; 6], source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let group = solicited_node(target);
    let packet = discovery::solicitation(mac, source, target, group);
    discovery::frame(mac, group_mac(group), &packet)
}

fn advertisement(target: Ipv6Addr, mac: [u8; 6]) -> Advertisement {
    Advertisement {
        target,
        mac: Some(mac),
        router: false,
        solicited: true,
        overrides: true,
    }
}

/// What a host at `mac` says to us, or unless `solicited` to all.
fn told(told: &Advertisement, mac: [u8; 6]) -> Vec<u8> {
    let (destination, to) = if told.solicited {
        (LINK_LOCAL, OUR_MAC)
    } else {
        (ALL_NODES, group_mac(ALL_NODES))
    };
    let packet = discovery::advertisement(told, told.target, destination);
    discovery::frame(mac, to, &packet)
}

fn reply(mac: [u8; 6], target: Ipv6Addr) -> Vec<u8> {
    told(&advertisement(target, mac), mac)
}

fn ask_all(target: Ipv6Addr) -> Action {
    send(asked(OUR_MAC, LINK_LOCAL, target))
}

fn ask_one(target: Ipv6Addr, mac: [u8; 6]) -> Action {
    let packet = discovery::solicitation(OUR_MAC, LINK_LOCAL, target, target);
    send(discovery::frame(OUR_MAC, mac, &packet))
}

/// Our answer to a host.
fn answer(target: Ipv6Addr, source: Ipv6Addr, to: Ipv6Addr, mac: [u8; 6], own: bool) -> Action {
    let told = Advertisement {
        router: true,
        overrides: own,
        ..advertisement(target, OUR_MAC)
    };
    let packet = discovery::advertisement(&told, source, to);
    send(discovery::frame(OUR_MAC, mac, &packet))
}

fn make_known(neighbours: &mut Neighbours, now: Duration, address: Ipv6Addr, mac: [u8; 6]) {
    neighbours.handle_discovery(now, PORT, &asked(mac, address, OURS));
    assert_eq!(drain(neighbours)[0], install(address, mac));
}

fn checksum_of(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> [u8; 2] {
    let length = u32::try_from(message.len()).unwrap();
    let pseudo = [
        &source.octets()[..],
        &destination.octets(),
        &length.to_be_bytes(),
        &[0, 0, 0, 58],
        message,
    ]
    .concat();
    let mut sum: u32 = pseudo
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// Octet for octet as RFC 4861, 4.3 and 4.4 draw them, in frames of RFC 2464.
#[test]
fn frames_are_those_of_rfc_4861() {
    let packet = |source: Ipv6Addr, destination: Ipv6Addr, mut message: Vec<u8>| {
        let checksum = checksum_of(source, destination, &message);
        message[2..4].copy_from_slice(&checksum);
        let mut packet = vec![0x60, 0, 0, 0, 0, 32, 58, 255];
        packet.extend(source.octets());
        packet.extend(destination.octets());
        packet.extend(message);
        packet
    };
    let mut neighbours = neighbours();
    neighbours.handle_missing(seconds(5), LAN, HOST.into(), vec![1]);
    let group = "ff02::1:ff12:3456".parse().unwrap();
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(HOST.octets());
    message.extend([1, 1, 2, 0, 0, 0, 0, 1]);
    let mut question = vec![
        0x33, 0x33, 0xff, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1, 0x86, 0xdd,
    ];
    question.extend(packet(LINK_LOCAL, group, message));
    assert_eq!(drain(&mut neighbours), [send(question)]);

    neighbours.handle_discovery(seconds(5), PORT, &asked(OTHER_MAC, OTHER, OURS));
    // Router, solicited and override; the target link-layer address.
    let mut message = vec![136, 0, 0, 0, 0xe0, 0, 0, 0];
    message.extend(OURS.octets());
    message.extend([2, 1, 2, 0, 0, 0, 0, 1]);
    let mut answer = vec![2, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
    answer.extend(packet(OURS, OTHER, message));
    assert_eq!(
        drain(&mut neighbours),
        [install(OTHER, OTHER_MAC), send(answer)]
    );
}

#[test]
fn our_link_local_address_is_made_of_the_hardware_address() {
    assert_eq!(link_local(OUR_MAC), LINK_LOCAL);
    // RFC 4291, appendix A: the universal bit is turned over.
    let expected: Ipv6Addr = "fe80::36:56ff:fe78:9abc".parse().unwrap();
    assert_eq!(link_local([0x02, 0x36, 0x56, 0x78, 0x9a, 0xbc]), expected);
    // Answered for on every interface, also where there is no other IPv6.
    let mut neighbours = super::neighbours();
    neighbours.handle_discovery(
        seconds(5),
        PORT,
        &asked(HOST_MAC, HOST_LINK_LOCAL, LINK_LOCAL),
    );
    let expected = [
        install(HOST_LINK_LOCAL, HOST_MAC),
        answer(LINK_LOCAL, LINK_LOCAL, HOST_LINK_LOCAL, HOST_MAC, true),
    ];
    assert_eq!(drain(&mut neighbours), expected);
}

#[test]
fn packets_wait_for_a_neighbour_or_are_unreachable() {
    let mut neighbours = neighbours();
    neighbours.handle_missing(seconds(5), LAN, HOST.into(), vec![1]);
    neighbours.send(seconds(5), LAN, HOST.into(), vec![2]);
    assert_eq!(drain(&mut neighbours), [ask_all(HOST)]);
    neighbours.handle_discovery(seconds(5), PORT, &reply(HOST_MAC, HOST));
    let expected = [
        install(HOST, HOST_MAC),
        send_packet(HOST_MAC, &[1]),
        send_packet(HOST_MAC, &[2]),
    ];
    assert_eq!(drain(&mut neighbours), expected);
    // A packet of ours says nothing of what the workers know.
    neighbours.send(seconds(9), LAN, HOST.into(), vec![3]);
    assert_eq!(drain(&mut neighbours), [send_packet(HOST_MAC, &[3])]);

    // A gateway by its link-local address, which does not answer.
    neighbours.handle_missing(seconds(10), LAN, HOST_LINK_LOCAL.into(), vec![4]);
    for second in 11..=13 {
        assert_eq!(drain(&mut neighbours), [ask_all(HOST_LINK_LOCAL)]);
        neighbours.handle_timeout(seconds(second));
    }
    assert_eq!(drain(&mut neighbours), [unreachable(&[4])]);
    assert_eq!(neighbours.counters().unanswered, 1);
}

#[test]
fn a_silent_neighbour_is_asked_three_times_and_removed() {
    let mut neighbours = neighbours();
    make_known(&mut neighbours, seconds(5), HOST, HOST_MAC);
    for second in [35, 36] {
        neighbours.handle_timeout(seconds(second));
        assert_eq!(drain(&mut neighbours), [ask_one(HOST, HOST_MAC)]);
    }
    neighbours.handle_timeout(seconds(37));
    assert_eq!(drain(&mut neighbours), [ask_all(HOST)]);
    neighbours.handle_timeout(seconds(38));
    assert_eq!(drain(&mut neighbours), [remove(HOST)]);
}

/// The table of RFC 4861, appendix C, as far as entries with a hardware address go.
#[test]
fn advertisements_count_by_their_flags() {
    let said = |solicited, overrides, mac| Advertisement {
        target: HOST,
        mac,
        router: false,
        solicited,
        overrides,
    };
    let after = |advertisement: &Advertisement| {
        let mut neighbours = neighbours();
        make_known(&mut neighbours, seconds(5), HOST, HOST_MAC);
        neighbours.handle_discovery(seconds(9), PORT, &told(advertisement, OTHER_MAC));
        let actions = drain(&mut neighbours);
        (actions, neighbours.next_timeout())
    };
    // Solicited, and no other address: confirmed.
    for mac in [Some(HOST_MAC), None] {
        for overrides in [true, false] {
            let seen = after(&said(true, overrides, mac));
            assert_eq!(seen, (vec![], Some(seconds(39))));
        }
    }
    // Unsolicited, the same address: nothing new.
    assert_eq!(
        after(&said(false, true, Some(HOST_MAC))),
        (vec![], Some(seconds(35)))
    );
    // Another one, with override.
    let (actions, next) = after(&said(true, true, Some(OTHER_MAC)));
    assert_eq!(
        (actions, next),
        (vec![install(HOST, OTHER_MAC)], Some(seconds(39)))
    );
    let (actions, next) = after(&said(false, true, Some(OTHER_MAC)));
    let expected = vec![install(HOST, OTHER_MAC), ask_one(HOST, OTHER_MAC)];
    assert_eq!((actions, next), (expected, Some(seconds(10))));
    // Another one, without: not believed, but asked for.
    for solicited in [true, false] {
        let (actions, next) = after(&said(solicited, false, Some(OTHER_MAC)));
        assert_eq!(
            (actions, next),
            (vec![ask_one(HOST, HOST_MAC)], Some(seconds(10)))
        );
    }
}

#[test]
fn an_advertisement_that_nobody_asked_for_is_not_learned() {
    let mut neighbours = neighbours();
    neighbours.handle_discovery(seconds(5), PORT, &reply(HOST_MAC, HOST));
    let unasked = Advertisement {
        solicited: false,
        ..advertisement(HOST, HOST_MAC)
    };
    neighbours.handle_discovery(seconds(5), PORT, &told(&unasked, HOST_MAC));
    assert_eq!(drain(&mut neighbours), []);
    assert_eq!(neighbours.neighbours().count(), 0);
    // Without a hardware address it answers nothing.
    neighbours.handle_missing(seconds(5), LAN, HOST.into(), vec![1]);
    drain(&mut neighbours);
    let empty = Advertisement {
        mac: None,
        ..advertisement(HOST, HOST_MAC)
    };
    neighbours.handle_discovery(seconds(5), PORT, &told(&empty, HOST_MAC));
    assert_eq!(drain(&mut neighbours), []);
}

/// RFC 4862, 5.4.3: whoever asks whether it may have our address is told by
/// an advertisement to all.
#[test]
fn duplicate_address_detection_is_answered() {
    let mut neighbours = neighbours();
    for address in [OURS, LINK_LOCAL] {
        let probe = asked(HOST_MAC, Ipv6Addr::UNSPECIFIED, address);
        neighbours.handle_discovery(seconds(5), PORT, &probe);
        let expected = send(super::super::ipv6::announcement(&lan(), address));
        assert_eq!(drain(&mut neighbours), [expected]);
    }
    assert_eq!(neighbours.neighbours().count(), 0);
    // Another's address is not ours to speak for, also behind the tunnel.
    for address in [HOST, REMOTE] {
        let probe = asked(HOST_MAC, Ipv6Addr::UNSPECIFIED, address);
        neighbours.handle_discovery(seconds(5), PORT, &probe);
        assert_eq!(drain(&mut neighbours), []);
    }
}

#[test]
fn a_question_without_a_hardware_address_is_answered_through_the_table() {
    let mut neighbours = neighbours();
    let mut frame = discovery::frame(HOST_MAC, OUR_MAC, &{
        let packet = discovery::solicitation(HOST_MAC, HOST, OURS, OURS);
        packet[..40 + 24].to_vec()
    });
    // Payload length and checksum of the shorter message.
    frame[18..20].copy_from_slice(&[0, 24]);
    frame[56..58].fill(0);
    let checksum = checksum_of(HOST, OURS, &frame[54..]);
    frame[56..58].copy_from_slice(&checksum);
    neighbours.handle_discovery(seconds(5), PORT, &frame);
    assert_eq!(drain(&mut neighbours), [ask_all(HOST)]);
    neighbours.handle_discovery(seconds(5), PORT, &reply(HOST_MAC, HOST));
    let actions = drain(&mut neighbours);
    let told = Advertisement {
        router: true,
        ..advertisement(OURS, OUR_MAC)
    };
    let packet = discovery::advertisement(&told, OURS, HOST);
    assert_eq!(
        actions,
        [install(HOST, HOST_MAC), send_packet(HOST_MAC, &packet)]
    );
}

#[test]
fn addresses_behind_a_tunnel_are_answered_for() {
    let mut neighbours = neighbours();
    neighbours.handle_discovery(seconds(5), PORT, &asked(HOST_MAC, HOST_LINK_LOCAL, REMOTE));
    let expected = [
        install(HOST_LINK_LOCAL, HOST_MAC),
        answer(REMOTE, LINK_LOCAL, HOST_LINK_LOCAL, HOST_MAC, false),
    ];
    assert_eq!(drain(&mut neighbours), expected);
    assert_eq!(neighbours.counters().proxy_replies_sent, 1);
    // Not what only a default route would reach, nor anything link-local.
    let tunnel = NextHop::Set(SetId(0));
    let everything = Prefix::new(Ipv6Addr::UNSPECIFIED, 0);
    neighbours.proxy().set_route(MAIN, everything, tunnel);
    let connected = NextHop::Interface {
        interface: LAN,
        via: None,
    };
    neighbours
        .proxy()
        .set_route(MAIN, Prefix::new(OURS, 64), connected);
    let somewhere = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
    for target in [
        OTHER,
        somewhere,
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77),
    ] {
        neighbours.handle_discovery(seconds(6), PORT, &asked(HOST_MAC, HOST, target));
        assert_eq!(drain(&mut neighbours), [], "{target}");
    }
    let isp = Interface {
        forward: false,
        ..lan()
    };
    neighbours.add_interface(seconds(8), isp);
    drain(&mut neighbours);
    neighbours.handle_discovery(seconds(8), PORT, &asked(HOST_MAC, HOST, REMOTE));
    assert_eq!(drain(&mut neighbours), []);
}

/// Hosts take us off their lists of routers when we say so (RFC 4861, 7.2.5), and put us there.
#[test]
fn all_are_told_whether_we_are_a_router_now() {
    let mut neighbours = neighbours();
    for forward in [false, true] {
        neighbours.set_forward(seconds(9), LAN, forward);
        let spec = Interface { forward, ..lan() };
        let own = lan().addresses.into_iter().map(|(own, _)| own);
        let own = own.chain([LINK_LOCAL.into()]);
        let expected = own.map(|own| Action::SendFrame {
            port: PORT,
            frame: match own {
                IpAddr::V4(own) => ipv4::announcement(&spec, own),
                IpAddr::V6(own) => super::super::ipv6::announcement(&spec, own),
            },
        });
        assert_eq!(drain(&mut neighbours), expected.collect::<Vec<_>>());
    }
}

#[test]
fn a_conflict_is_reported_and_the_address_defended() {
    let mut neighbours = neighbours();
    let thief = Advertisement {
        solicited: false,
        ..advertisement(OURS, HOST_MAC)
    };
    for frame in [told(&thief, HOST_MAC), asked(HOST_MAC, OURS, OTHER)] {
        neighbours.handle_discovery(seconds(5), PORT, &frame);
    }
    let conflict = Action::Conflict {
        interface: LAN,
        address: OURS.into(),
        mac: HOST_MAC,
    };
    let defence = send(super::super::ipv6::announcement(&lan(), OURS));
    assert_eq!(drain(&mut neighbours), [conflict, defence]);
    assert_eq!(neighbours.counters().conflicts, 2);
    assert_eq!(neighbours.neighbours().count(), 0);
}

#[test]
fn strangers_and_foreign_frames_are_ignored() {
    let mut neighbours = neighbours();
    let mut elsewhere = asked(HOST_MAC, HOST, OURS);
    elsewhere[..6].copy_from_slice(&OTHER_MAC);
    let off_link = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 9);
    for frame in [
        elsewhere,
        asked(OUR_MAC, HOST, OURS),
        asked([0x33, 0x33, 0, 0, 0, 1], HOST, OURS),
    ] {
        neighbours.handle_discovery(seconds(5), PORT, &frame);
        assert_eq!(drain(&mut neighbours), [], "{frame:x?}");
    }
    assert_eq!(neighbours.counters().ignored, 3);
    // Answered as ARP would, and not learned: it is on no link of ours.
    neighbours.handle_discovery(seconds(5), PORT, &asked(HOST_MAC, off_link, OURS));
    assert_eq!(drain(&mut neighbours).len(), 1);
    assert_eq!(neighbours.neighbours().count(), 0);
}

#[test]
fn a_link_that_comes_back_is_announced_on_and_its_neighbours_asked() {
    let mut neighbours = neighbours();
    make_known(&mut neighbours, seconds(5), HOST, HOST_MAC);
    neighbours.set_link(seconds(6), PORT, false);
    neighbours.set_link(seconds(3600), PORT, true);
    neighbours.handle_timeout(seconds(3600));
    let announcement = |address| send(super::super::ipv6::announcement(&lan(), address));
    let expected = [
        announcement(OURS),
        announcement(LINK_LOCAL),
        ask_one(HOST, HOST_MAC),
    ];
    assert_eq!(drain(&mut neighbours), expected);
}

#[test]
fn the_two_families_share_an_interface() {
    let both = Interface {
        addresses: vec![(super::OURS.into(), 24), (OURS.into(), 64)],
        ..lan()
    };
    let mut neighbours = Neighbours::new();
    neighbours.add_interface(Duration::ZERO, both);
    drain(&mut neighbours);
    make_known(&mut neighbours, seconds(1), HOST, HOST_MAC);
    super::make_known(&mut neighbours, seconds(1), super::HOST, HOST_MAC);
    assert_eq!(neighbours.neighbours().count(), 2);
    neighbours.remove_interface(LAN);
    assert_eq!(drain(&mut neighbours), [remove(super::HOST), remove(HOST)]);
    assert_eq!(neighbours.next_timeout(), None);
}

proptest! {
    /// Whatever is said: the workers know what the table knows.
    #[test]
    fn workers_and_table_agree(
        inputs in prop::collection::vec((0..6_u8, 0..5_u16, 0..5_u16, 0..8_u8, 0..3000_u64), 1..150),
    ) {
        let address = |number: u16| match number {
            0 => OURS,
            1 => HOST_LINK_LOCAL,
            number => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x20 + number),
        };
        let mut neighbours = neighbours();
        let mut now = seconds(5);
        let mut workers: BTreeMap<IpAddr, [u8; 6]> = BTreeMap::new();
        for (kind, one, two, flags, wait_ms) in inputs {
            let mac = [2, 0, 0, 0, 0, 0x20 + flags];
            match kind {
                0 => neighbours.handle_missing(now, LAN, address(one).into(), vec![0; 40]),
                1 | 2 => neighbours.handle_discovery(now, PORT, &asked(mac, address(one), address(two))),
                3 => neighbours.set_link(now, PORT, flags & 1 == 0),
                _ => {
                    let said = Advertisement {
                        target: address(one),
                        mac: (flags & 4 == 0).then_some(mac),
                        router: true,
                        solicited: flags & 1 == 0,
                        overrides: flags & 2 == 0,
                    };
                    neighbours.handle_discovery(now, PORT, &told(&said, mac));
                }
            }
            now += Duration::from_millis(wait_ms);
            neighbours.handle_timeout(now);
            for action in drain(&mut neighbours) {
                match action {
                    Action::Install { address, mac, .. } => {
                        prop_assert!(address != OURS && address != LINK_LOCAL && is_station(mac));
                        workers.insert(address, mac);
                    }
                    Action::Remove { address, .. } => {
                        prop_assert!(workers.remove(&address).is_some());
                    }
                    _ => {}
                }
            }
            let table: BTreeMap<_, _> = neighbours
                .neighbours()
                .filter_map(|known| Some((known.address, known.mac?)))
                .collect();
            prop_assert_eq!(&workers, &table);
            prop_assert!(neighbours.next_timeout().is_none_or(|next| next > now));
        }
    }
}

/// An address by DHCPv6 is in no network; that routers say which one is on the link is enough.
#[test]
fn hosts_of_a_network_without_an_address_of_ours_are_asked_for_when_it_is_on_the_link() {
    let mut neighbours = neighbours();
    let beside = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 9);
    neighbours.handle_missing(seconds(1), LAN, beside.into(), vec![1]);
    assert_eq!(drain(&mut neighbours), []);
    assert_eq!(neighbours.counters().no_host_dropped, 1);
    let network = Prefix::new(beside, 64);
    neighbours.set_addresses(seconds(1), LAN, vec![(OURS.into(), 128)], vec![network]);
    drain(&mut neighbours);
    neighbours.handle_missing(seconds(2), LAN, beside.into(), vec![1]);
    assert_eq!(drain(&mut neighbours), [ask_all(beside)]);
}
