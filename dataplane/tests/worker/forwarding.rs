//! What RFC 1812 asks of a router, and who may reach what.

use std::net::Ipv4Addr;
use std::sync::Arc;

use dataplane::command::{InterfaceId, NextHop, PortId, TableId};
use dataplane::counters::Drop;
use dataplane::event::{Event, IcmpCause};
use dataplane::headers::ipv4;
use dataplane::worker::{
    Channel, HandOver, Inbox, Order, Outlet, Parts, Worker, WorkerPort, fragment_table,
};
use dpdk::Burst;

use crate::rig::*;

fn set_ttl(packet: &mut [u8], ttl: u8) {
    packet[8] = ttl;
    mend(packet);
}

/// Writes the header checksum of a packet without options.
fn mend(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let checksum = dataplane::checksum::finish(dataplane::checksum::sum(&packet[..20]));
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// A packet of this many octets from the LAN host to the far one.
fn sized(octets: usize, dont_fragment: bool) -> Vec<u8> {
    let mut packet = udp(LAN_HOST, FAR_HOST, &vec![0x5a; octets - 28]);
    packet[6] = if dont_fragment { 0x40 } else { 0 };
    mend(&mut packet);
    packet
}

fn icmp(rig: &mut Rig) -> (IcmpCause, TableId, Vec<u8>) {
    match rig.one_event() {
        Event::Icmp {
            cause,
            table,
            packet,
            ..
        } => (cause, table, packet.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_packet_whose_time_is_up_is_answered_for() {
    let mut rig = Rig::new();
    for ttl in [0, 1] {
        let mut packet = udp(LAN_HOST, FAR_HOST, b"x");
        set_ttl(&mut packet, ttl);
        rig.send(0, &frame(0, &packet));
        let expected = (IcmpCause::TimeExceeded, TableId(0), packet);
        assert_eq!(icmp(&mut rig), expected);
    }
    assert_eq!(rig.drops(0, Drop::TtlExpired), 2);
    let mut packet = udp(LAN_HOST, FAR_HOST, b"x");
    set_ttl(&mut packet, 2);
    rig.send(0, &frame(0, &packet));
    let sent = rig.one(1);
    let header = ipv4::parse(&sent[64..]).expect("a right header");
    assert_eq!(header.ttl, 1);
}

#[test]
fn time_exceeded_out_of_a_tunnel_too() {
    let mut rig = Rig::new();
    let mut packet = inner(b"x");
    set_ttl(&mut packet, 1);
    rig.send(1, &copy(1, 5, &packet));
    assert_eq!(icmp(&mut rig).0, IcmpCause::TimeExceeded);
    assert_eq!(rig.drops(1, Drop::TtlExpired), 1);
}

#[test]
fn a_packet_without_a_route_is_answered_for_and_a_black_hole_is_silent() {
    let mut rig = Rig::new();
    let nowhere = Ipv4Addr::new(172, 16, 0, 1);
    let packet = udp(LAN_HOST, nowhere, b"x");
    rig.send(0, &frame(0, &packet));
    let expected = (IcmpCause::NetUnreachable, TableId(0), packet.clone());
    assert_eq!(icmp(&mut rig), expected);
    rig.route(0, nowhere, 12, NextHop::Blackhole);
    rig.send(0, &frame(0, &packet));
    assert_eq!(rig.drops(0, Drop::Blackhole), 1);
    assert!(rig.events().is_empty());
}

#[test]
fn icmp_errors_are_policed() {
    let mut rig = Rig::new();
    let packet = frame(0, &udp(LAN_HOST, Ipv4Addr::new(172, 16, 0, 1), b"x"));
    for _ in 0..1000 {
        rig.send(0, &packet);
    }
    assert_eq!(rig.drops(0, Drop::NoRoute), 1000);
    assert_eq!(rig.events().len(), 256);
    rig.now += TSC_HZ / 10;
    rig.send(0, &packet);
    assert_eq!(rig.events().len(), 1);
}

#[test]
fn a_packet_too_large_for_the_set_is_answered_for_or_fragmented() {
    let mut rig = Rig::new();
    rig.send(0, &frame(0, &sized(1450, true)));
    assert_eq!(rig.one(1).len(), 1514, "the largest that fits");
    rig.received(2);
    rig.received(3);
    let large = sized(1451, true);
    rig.send(0, &frame(0, &large));
    let cause = IcmpCause::FragmentationNeeded { mtu: 1450 };
    assert_eq!(icmp(&mut rig), (cause, TableId(0), large));
    assert_eq!(rig.drops(0, Drop::FragmentationNeeded), 1);

    rig.send(0, &frame(0, &sized(1500, false)));
    for link in 1..PORTS {
        let frames = rig.received(link);
        assert_eq!(frames.len(), 2, "link {link}");
        let numbers = [number_of(&frames[0]), number_of(&frames[1])];
        assert_eq!(numbers, [FIRST_NUMBER + 1, FIRST_NUMBER + 2]);
        let headers = [0, 1].map(|index| ipv4::parse(&frames[index][64..]).expect("a header"));
        assert!(headers[0].more_fragments && !headers[1].more_fragments);
        assert_eq!(headers.each_ref().map(|header| header.ttl), [63, 63]);
        let first_octets = headers[0].total_octets - 20;
        assert_eq!(headers[1].fragment_offset_octets, first_octets);
        assert_eq!(first_octets + headers[1].total_octets - 20, 1480);
    }
}

#[test]
fn an_unknown_neighbour_is_asked_for_with_the_packet_ready() {
    let mut rig = Rig::new();
    let other = Ipv4Addr::new(192, 168, 2, 99);
    let mut packet = udp(FAR_HOST, other, b"x");
    rig.send(1, &copy(1, 1, &packet));
    let Event::NeighbourMissing {
        interface: on,
        next_hop,
        packet: waiting,
    } = rig.one_event()
    else {
        panic!("another event");
    };
    set_ttl(&mut packet, 63);
    assert_eq!((on, next_hop), (InterfaceId(0), other.into()));
    assert_eq!(waiting[..], packet);
    let mac = [2, 9, 9, 9, 9, 9];
    let order = Order::SendOnInterface {
        interface: on,
        mac,
        packet: rig.buffer(&waiting),
    };
    rig.order(order);
    let sent = rig.one(0);
    assert_eq!(sent[..6], mac);
    assert_eq!(sent[6..12], port_mac(0));
    assert_eq!(sent[14..], packet, "its TTL was taken from once");
}

/// What our own packets have taught a worker about an ISP's table is no way for others'.
#[test]
fn an_isp_side_forwards_nothing_to_where_we_send_ourselves() {
    let mut rig = Rig::new();
    let destination = *PEER.ip();
    inject(&mut rig, 1, &udp(own_address(1), destination, b"ours"));
    assert_eq!(rig.received(1).len(), 1);
    let stranger = Ipv4Addr::new(198, 51, 100, 1);
    rig.send(1, &frame(1, &udp(stranger, destination, b"x")));
    assert_eq!(rig.drops(1, Drop::NotForwarding), 1);
    assert!((0..PORTS).all(|port| rig.received(port).is_empty()));
}

#[test]
fn an_isp_side_forwards_nothing() {
    let mut rig = Rig::new();
    let stranger = Ipv4Addr::new(198, 51, 100, 1);
    for destination in [LAN_HOST, FAR_HOST, gateway(2), Ipv4Addr::new(8, 8, 8, 8)] {
        rig.send(1, &frame(1, &udp(stranger, destination, b"x")));
    }
    assert_eq!(rig.drops(1, Drop::NotForwarding), 4);
    assert!((0..PORTS).all(|port| rig.received(port).is_empty()));
    assert!(rig.events().is_empty());
    // Its own address answers.
    let packet = udp(stranger, own_address(1), b"x");
    rig.send(1, &frame(1, &packet));
    let Event::Local {
        table,
        packet: local,
        interface,
    } = rig.one_event()
    else {
        panic!("another event");
    };
    assert_eq!((table, interface), (TableId(1), Some(InterfaceId(1))));
    assert_eq!(&local[..], &packet[..]);
}

#[test]
fn who_is_addressed_matters() {
    let mut rig = Rig::new();
    let packet = udp(LAN_HOST, FAR_HOST, b"x");
    let with_destination = |mac: [u8; 6], packet: &[u8]| {
        let mut frame = frame(0, packet);
        frame[..6].copy_from_slice(&mac);
        frame
    };
    // Its way is known from then on.
    rig.send(0, &frame(0, &packet));
    for link in 1..PORTS {
        rig.one(link);
    }
    for octet in 0..6 {
        let mut other = port_mac(0);
        other[octet] ^= 2;
        rig.send(0, &with_destination(other, &packet));
        assert_eq!(rig.drops(0, Drop::NotForUs), octet as u64 + 1);
    }
    assert!(rig.received(1).is_empty());
    rig.send(0, &with_destination([0xff; 6], &packet));
    rig.send(0, &with_destination([1, 0, 0x5e, 0, 0, 1], &packet));
    assert_eq!(rig.drops(0, Drop::Multicast), 2);
    for destination in [
        [224, 0, 0, 5],
        [255, 255, 255, 255],
        [192, 168, 2, 255],
        [192, 168, 2, 0],
    ] {
        rig.send(0, &frame(0, &udp(LAN_HOST, destination.into(), b"x")));
    }
    assert_eq!(rig.drops(0, Drop::Multicast), 6);
    for source in [
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [0, 0, 0, 0],
        [255, 255, 255, 255],
    ] {
        rig.send(0, &frame(0, &udp(source.into(), FAR_HOST, b"x")));
    }
    assert_eq!(rig.drops(0, Drop::MartianSource), 4);
    rig.send(0, &frame(0, &udp(LAN_HOST, Ipv4Addr::LOCALHOST, b"x")));
    assert_eq!(rig.drops(0, Drop::MartianDestination), 1);
    let mut lldp = frame(0, &packet);
    lldp[12..14].copy_from_slice(&[0x88, 0xcc]);
    rig.send(0, &lldp);
    assert_eq!(rig.drops(0, Drop::UnknownEtherType), 1);
    assert!((1..PORTS).all(|port| rig.received(port).is_empty()));
    assert!(rig.events().is_empty());
}

#[test]
fn arp_reaches_the_control_thread_whole() {
    let mut rig = Rig::new();
    let mut arp = vec![0xff; 6];
    arp.extend(LAN_HOST_MAC);
    arp.extend([0x08, 0x06]);
    arp.extend([0; 46]);
    rig.send(0, &arp);
    let Event::Arp { port, frame } = rig.one_event() else {
        panic!("another event");
    };
    assert_eq!((port, &frame[..]), (PortId(0), &arp[..]));
}

#[test]
fn cut_frames_have_a_name() {
    let mut rig = Rig::new();
    // The rig's ports cut at 1800 octets.
    let mut large = udp(LAN_HOST, FAR_HOST, &[0; 1900]);
    large.truncate(1800 - 14);
    rig.send(0, &frame(0, &large));
    assert_eq!(rig.drops(0, Drop::Oversized), 1);
    large.truncate(1700);
    rig.send(0, &frame(0, &large));
    assert_eq!(rig.drops(0, Drop::Truncated), 1);
}

fn inject(rig: &mut Rig, table: u32, packet: &[u8]) {
    let order = Order::SendIp {
        table: TableId(table),
        packet: rig.buffer(packet),
    };
    rig.order(order);
}

#[test]
fn our_own_packets_are_routed_without_losing_a_hop() {
    let mut rig = Rig::new();
    let packet = udp(own_address(1), *PEER.ip(), b"SCCRQ");
    inject(&mut rig, 1, &packet);
    let sent = rig.one(1);
    assert_eq!(sent[..6], gateway_mac(1));
    assert_eq!(sent[14..], packet);
    // Into the tunnels too, to answer a host at the far site.
    let answer = udp(own_address(0), FAR_HOST, b"pong");
    inject(&mut rig, 0, &answer);
    assert_eq!(rig.one(2)[64..], answer);
    // Nobody is told about our own mistakes.
    inject(
        &mut rig,
        3,
        &udp(own_address(3), Ipv4Addr::new(127, 1, 1, 1), b"x"),
    );
    inject(&mut rig, 77, &packet);
    inject(&mut rig, 1, b"no packet");
    assert!(rig.events().is_empty());
    let injected = &rig.channels[0].injected;
    assert_eq!(injected.received_packets.read(), 5);
    assert_eq!(injected.drops.read(Drop::NoRoute), 1);
}

#[test]
fn commands_are_counted_as_they_are_carried_out() {
    let mut rig = Rig::new();
    let before = rig.channels[0]
        .applied
        .load(std::sync::atomic::Ordering::Acquire);
    rig.neighbour(0, LAN_HOST, [2, 1, 1, 1, 1, 1]);
    let applied = |rig: &Rig| {
        rig.channels[0]
            .applied
            .load(std::sync::atomic::Ordering::Acquire)
    };
    assert_eq!(applied(&rig), before);
    inject(&mut rig, 0, &udp(own_address(0), LAN_HOST, b"x"));
    assert_eq!(applied(&rig), before + 1, "packets are not changes");
    assert_eq!(rig.one(0)[..6], [2, 1, 1, 1, 1, 1], "the change came first");
}

/// Two workers over one queue pair: the second has none of its own.
#[test]
fn a_worker_without_a_queue_hands_over() {
    let mut rig = Rig::new();
    let ring = Arc::new(HandOver::new(2));
    let (near, far) = eal().ring_pair("handover", 1, 256).expect("a ring pair");
    let config = dpdk::PortConfig {
        rx_queues: 1,
        tx_queues: 1,
        rx_descriptors: 256,
        tx_descriptors: 256,
        mempool: rig.pool.clone(),
        mtu: None,
        promiscuous: false,
        rss: false,
    };
    let (_near, receive, mut send) = dpdk::Port::open(eal(), near, &config).expect("near");
    let (_far, mut far_receive, _) = dpdk::Port::open(eal(), far, &config).expect("far");
    let mut outlets = vec![
        Outlet::Own {
            queue: send.remove(0),
            handed_over: Arc::clone(&ring),
        },
        Outlet::HandOver(ring),
    ];
    let mut receive = Some(receive);
    let mut make = |index: usize| {
        let channel = Channel::new(64, 64);
        let worker = Worker::new(Parts {
            index,
            workers: 2,
            ports: vec![WorkerPort {
                mac: port_mac(0),
                up: true,
                receive: receive.take().unwrap_or_default(),
                send: outlets.remove(0),
                counters: Arc::default(),
                cut_octets: None,
                fills_in_checksums: false,
            }],
            logical_ports: Vec::new(),
            copies: rig.pool.clone(),
            inboxes: Inbox::for_workers(2),
            fragments: fragment_table(eal(), TSC_HZ).expect("memory"),
            reassembly_pieces: REASSEMBLY_PIECES,
            ordered_packets: ORDERED_PACKETS,
            tsc_hz: TSC_HZ,
            channel: channel.clone(),
        });
        (worker, channel)
    };
    let (mut owner, _) = make(0);
    let (mut other, channel) = make(1);
    for octet in 0..70_u8 {
        let order = Order::SendFrame {
            port: PortId(0),
            frame: rig.buffer(&[octet; 60]),
        };
        if channel.orders.push(order).is_err() {
            break;
        }
    }
    other.poll_once(1);
    owner.poll_once(1);
    let mut octets = Vec::new();
    let mut burst = Burst::new();
    while far_receive[0].rx_burst(&mut burst) > 0 {
        octets.extend(burst.iter().map(|frame| frame[0]));
        burst.clear();
    }
    assert_eq!(octets, (0..64).collect::<Vec<u8>>());
    rig.poll();
}
