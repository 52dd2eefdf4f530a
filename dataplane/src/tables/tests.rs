use std::net::SocketAddr;

use super::*;
use crate::command::{Epoch, InterfaceSpec, Prefix};
use crate::headers::decapsulation::Expected;

const TABLE: TableId = TableId(9);

fn address(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

fn tables() -> Tables {
    let port = |port| PortState {
        mac: [2, 0, 0, 0, 0, port],
        up: true,
        fills_in_checksums: false,
        carrier: None,
        needs_session: false,
        in_session: false,
    };
    let mut tables = Tables::new(0, (0..2).map(port).collect());
    for port in 0..2 {
        interface(&mut tables, port, port, 1500);
    }
    tables
}

fn interface(tables: &mut Tables, id: u16, port: u16, mtu: u16) {
    tables.apply(Command::SetInterface(Arc::new(InterfaceSpec {
        id: InterfaceId(id),
        port: PortId(port),
        table: TABLE,
        addresses: vec![(Ipv4Addr::new(10, 0, id as u8, 1).into(), 24)],
        mtu,
        forward: true,
    })));
}

fn route(tables: &mut Tables, network: &str, length: u8, next_hop: NextHop) {
    tables.apply(Command::SetRoute {
        table: TABLE,
        prefix: Prefix {
            address: address(network).into(),
            length,
        },
        next_hop,
    });
}

fn session(tables: &mut Tables, id: u32, tunnel: u16, peer: &str) {
    tables.apply(Command::SetSession(Arc::new(SessionSpec {
        id: SessionId(id),
        table: TABLE,
        local: SocketAddr::new(address("10.0.0.1").into(), 1701),
        peer: SocketAddr::new(address(peer).into(), 1701),
        local_tunnel: tunnel,
        local_session: 5,
        peer_tunnel: 1,
        peer_session: 1,
        payload_table: TableId(0),
        receive: true,
        tcp_mss_fix: false,
        mtu: 1450,
        udp_checksum: true,
        address_control: false,
        set: Some(SetId(1)),
        masked: false,
        sequence: Arc::default(),
        echo: None,
        speed: None,
        counters: Vec::new(),
        arrivals: Vec::new(),
    })));
}

fn connected(id: u16) -> NextHop {
    NextHop::Interface {
        interface: InterfaceId(id),
        via: None,
    }
}

fn resolve(tables: &mut Tables, destination: &str) -> Hop {
    let slot = tables.table_slot(TABLE);
    let place = tables.resolve(slot, address(destination));
    *tables.hop(place)
}

#[test]
fn the_longest_prefix_wins_and_what_is_remembered_goes_with_a_change() {
    let mut tables = tables();
    assert_eq!(resolve(&mut tables, "10.1.2.3"), Hop::NoRoute);
    route(&mut tables, "0.0.0.0", 0, NextHop::Set(SetId(3)));
    assert_eq!(resolve(&mut tables, "10.1.2.3"), Hop::Set(SetId(3)));
    // Host bits are as good as none.
    route(&mut tables, "10.1.2.9", 24, NextHop::Blackhole);
    assert_eq!(resolve(&mut tables, "10.1.2.3"), Hop::Blackhole);
    route(&mut tables, "10.1.2.3", 32, NextHop::Local);
    assert_eq!(resolve(&mut tables, "10.1.2.3"), Hop::Local);
    assert_eq!(resolve(&mut tables, "10.1.2.4"), Hop::Blackhole);
    let prefix = Prefix::new(address("10.1.2.0"), 24);
    let table = TABLE;
    tables.apply(Command::RemoveRoute { table, prefix });
    assert_eq!(resolve(&mut tables, "10.1.2.4"), Hop::Set(SetId(3)));
    let slot = tables.table_slot(TableId(10));
    let place = tables.resolve(slot, address("10.1.2.3"));
    assert_eq!(*tables.hop(place), Hop::NoRoute);
}

fn address_ipv6(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

fn route_ipv6(tables: &mut Tables, network: &str, length: u8, next_hop: NextHop) {
    tables.apply(Command::SetRoute {
        table: TABLE,
        prefix: Prefix {
            address: address_ipv6(network).into(),
            length,
        },
        next_hop,
    });
}

fn resolve_ipv6(tables: &mut Tables, destination: &str) -> Hop {
    let slot = tables.table_slot(TABLE);
    let place = tables.resolve(slot, address_ipv6(destination));
    *tables.hop(place)
}

#[test]
fn the_longest_prefix_of_ipv6_wins_beside_those_of_ipv4() {
    let mut tables = tables();
    route(&mut tables, "0.0.0.0", 0, NextHop::Blackhole);
    assert_eq!(resolve_ipv6(&mut tables, "2001:db8::1"), Hop::NoRoute);
    route_ipv6(&mut tables, "::", 0, NextHop::Set(SetId(3)));
    route_ipv6(
        &mut tables,
        "2001:db8:1::",
        48,
        NextHop::Session(SessionId(4)),
    );
    route_ipv6(&mut tables, "2001:db8:1::5", 128, NextHop::Local);
    assert_eq!(resolve_ipv6(&mut tables, "2001:db8::1"), Hop::Set(SetId(3)));
    let session = Hop::Session(SessionId(4));
    assert_eq!(resolve_ipv6(&mut tables, "2001:db8:1:ffff::9"), session);
    assert_eq!(resolve_ipv6(&mut tables, "2001:db8:1::5"), Hop::Local);
    // Two that share a place are told apart: their bits are mixed to the same key.
    assert_eq!(resolve_ipv6(&mut tables, "2001:db8:1:5::"), session);
    route_ipv6(&mut tables, "2001:db8:1::", 129, NextHop::Blackhole);
    tables.apply(Command::RemoveRoute {
        table: TABLE,
        prefix: Prefix::host(address_ipv6("2001:db8:1::5")),
    });
    assert_eq!(resolve_ipv6(&mut tables, "2001:db8:1::5"), session);
    assert_eq!(resolve(&mut tables, "10.9.9.9"), Hop::Blackhole);
}

#[test]
fn one_link_local_gateway_on_two_interfaces_is_two_neighbours() {
    let mut tables = tables();
    let gateway = address_ipv6("fe80::1");
    for id in 0..2 {
        let via = NextHop::Interface {
            interface: InterfaceId(id),
            via: Some(gateway.into()),
        };
        route_ipv6(&mut tables, &format!("2001:db8:{id}::"), 48, via);
        tables.apply(Command::SetNeighbour {
            interface: InterfaceId(id),
            address: gateway.into(),
            mac: [2, 7, 7, 7, 7, id as u8],
        });
    }
    for id in 0..2 {
        let Hop::Link(link) = resolve_ipv6(&mut tables, &format!("2001:db8:{id}::5")) else {
            panic!("no link");
        };
        let header = [2, 7, 7, 7, 7, id, 2, 0, 0, 0, 0, id, 0x86, 0xdd];
        assert_eq!((link.port, link.ethernet), (usize::from(id), Some(header)));
        assert_eq!(link.next_hop, gateway);
    }
}

#[test]
fn the_last_address_of_an_ipv6_network_is_a_host() {
    let mut tables = tables();
    tables.apply(Command::SetInterface(Arc::new(InterfaceSpec {
        addresses: vec![(address_ipv6("2001:db8::1").into(), 120)],
        ..InterfaceSpec::clone(&tables.interface(InterfaceId(1)).expect("it is there").spec)
    })));
    route_ipv6(&mut tables, "2001:db8::", 120, connected(1));
    let last = resolve_ipv6(&mut tables, "2001:db8::ff");
    assert!(matches!(last, Hop::Link(_)));
}

#[test]
fn prefixes_longer_than_addresses_are_ignored() {
    let mut tables = tables();
    route(&mut tables, "10.1.2.3", 33, NextHop::Local);
    route(&mut tables, "10.1.2.3", 255, NextHop::Local);
    assert_eq!(resolve(&mut tables, "10.1.2.3"), Hop::NoRoute);
}

#[test]
fn a_link_knows_its_header_once_the_neighbour_is_known() {
    let mut tables = tables();
    route(&mut tables, "10.0.1.0", 24, connected(1));
    let Hop::Link(link) = resolve(&mut tables, "10.0.1.7") else {
        panic!("no link");
    };
    assert_eq!((link.port, link.ethernet), (1, None));
    tables.apply(Command::SetNeighbour {
        interface: InterfaceId(1),
        address: address("10.0.1.7").into(),
        mac: [2, 7, 7, 7, 7, 7],
    });
    let Hop::Link(link) = resolve(&mut tables, "10.0.1.7") else {
        panic!("no link");
    };
    let header = [2, 7, 7, 7, 7, 7, 2, 0, 0, 0, 0, 1, 8, 0];
    assert_eq!(link.ethernet, Some(header));
    tables.apply(Command::RemoveNeighbour {
        interface: InterfaceId(1),
        address: address("10.0.1.7").into(),
    });
    let Hop::Link(link) = resolve(&mut tables, "10.0.1.7") else {
        panic!("no link");
    };
    assert_eq!(link.ethernet, None);
    tables.apply(Command::RemoveInterface(InterfaceId(1)));
    assert_eq!(resolve(&mut tables, "10.0.1.7"), Hop::NoRoute);
}

#[test]
fn broadcast_addresses_of_connected_networks_are_no_hosts() {
    let mut tables = tables();
    route(&mut tables, "10.0.1.0", 24, connected(1));
    for destination in ["10.0.1.255", "10.0.1.0"] {
        assert_eq!(resolve(&mut tables, destination), Hop::Broadcast);
    }
    assert!(matches!(resolve(&mut tables, "10.0.1.254"), Hop::Link(_)));
}

#[test]
fn of_several_interfaces_on_a_port_the_right_one_received() {
    let mut tables = tables();
    interface(&mut tables, 2, 0, 1500);
    let arrival = |tables: &Tables, source: &str, destination: &str| {
        let arrival = tables.arrival(0, address(source), address(destination));
        arrival.map(|interface| interface.spec.id)
    };
    let by_destination = arrival(&tables, "10.0.0.5", "10.0.2.1");
    assert_eq!(by_destination, Some(InterfaceId(2)));
    let by_source = arrival(&tables, "10.0.2.5", "8.8.8.8");
    assert_eq!(by_source, Some(InterfaceId(2)));
    let first = arrival(&tables, "1.2.3.4", "8.8.8.8");
    assert_eq!(first, Some(InterfaceId(0)));
    tables.apply(Command::RemoveInterface(InterfaceId(0)));
    tables.apply(Command::RemoveInterface(InterfaceId(2)));
    assert_eq!(arrival(&tables, "10.0.2.5", "8.8.8.8"), None);
}

#[test]
fn sessions_are_found_by_their_ids_until_removed() {
    let mut tables = tables();
    session(&mut tables, 3, 100, "192.0.2.1");
    session(&mut tables, 4, 101, "192.0.2.2");
    let found = |tables: &Tables, tunnel| {
        let session = tables.session_by_wire(tunnel, 5);
        session.map(|session| session.spec.id)
    };
    assert_eq!(found(&tables, 100), Some(SessionId(3)));
    assert!(tables.is_peer(100, address("192.0.2.1").into()));
    assert!(!tables.is_peer(100, address("192.0.2.2").into()));
    // The slot is used again, with other ids.
    session(&mut tables, 3, 102, "192.0.2.3");
    assert_eq!(found(&tables, 100), None);
    assert!(!tables.is_peer(100, address("192.0.2.1").into()));
    assert_eq!(found(&tables, 102), Some(SessionId(3)));
    // Another slot takes the ids over; removing the first does not take them away.
    session(&mut tables, 8, 102, "192.0.2.3");
    tables.apply(Command::RemoveSession(SessionId(3)));
    assert_eq!(found(&tables, 102), Some(SessionId(8)));
    assert!(tables.is_peer(102, address("192.0.2.3").into()));
    session(&mut tables, u32::MAX, 103, "192.0.2.4");
    assert_eq!(found(&tables, 103), None, "an id beyond the tables");
}

#[test]
fn a_set_is_as_large_as_its_smallest_live_member() {
    let mut tables = tables();
    interface(&mut tables, 1, 1, 1000);
    route(&mut tables, "10.0.0.0", 24, connected(0));
    route(&mut tables, "10.0.1.0", 24, connected(1));
    session(&mut tables, 3, 100, "10.0.0.7");
    session(&mut tables, 4, 101, "10.0.1.7");
    session(&mut tables, 5, 102, "172.16.0.1");
    tables.apply(Command::SetSet(Arc::new(SetSpec {
        members: [3, 4, 5, 6].map(SessionId).to_vec(),
        ..set(SetId(1), &[])
    })));
    let live = |tables: &mut Tables| {
        let set = tables.live_set(SetId(1)).expect("a set");
        let members: Vec<u32> = set.members.iter().map(|member| member.session.0).collect();
        (members, set.mtu)
    };
    assert_eq!(live(&mut tables), (vec![3, 4], 950));
    let port = PortId(1);
    tables.apply(Command::SetPortLink { port, up: false });
    assert_eq!(live(&mut tables), (vec![3], 1450));
    // A tunnel's own packets never travel in a tunnel.
    route(&mut tables, "10.0.0.7", 32, NextHop::Set(SetId(1)));
    assert_eq!(live(&mut tables), (vec![], 1450));
    tables.apply(Command::RemoveSet(SetId(1)));
    assert!(tables.live_set(SetId(1)).is_none());
}

fn set(id: SetId, epochs: &[&Epoch]) -> SetSpec {
    SetSpec {
        id,
        send_epoch: 1,
        next_number: Arc::default(),
        owner: 0,
        payload_table: TableId(0),
        ordering: None,
        members: Vec::new(),
        epochs: epochs.iter().copied().cloned().collect(),
        mtu: 1450,
        tcp_mss_fix: false,
        next_best_skew_us: Arc::default(),
        counters: Vec::new(),
    }
}

/// The control thread frees windows, never a worker: none keeps one that it was told to forget.
#[test]
fn what_copies_were_judged_by_is_let_go_with_the_command() {
    let mut tables = tables();
    session(&mut tables, 3, 7, "10.0.1.9");
    let epochs = [1, 2, 3].map(|epoch| Epoch::new(epoch, 0));
    let [first, second, third] = &epochs;
    let judged_by = |tables: &mut Tables, epoch: u32| {
        let (_, judge) = tables.of_copy(SessionId(3), SetId(1), epoch)?;
        let is_it = |known: &&Epoch| judge.window.is_same(&known.window);
        epochs.iter().find(is_it).map(|known| known.epoch)
    };
    assert_eq!(judged_by(&mut tables, 1), None, "no set yet");
    for (known, judged) in [
        (&[first][..], [Some(1), None, None]),
        (&[second, first], [Some(1), Some(2), None]),
        (&[third, second], [None, Some(2), Some(3)]),
        (&[second], [None, Some(2), None]),
        (&[], [None, None, None]),
    ] {
        tables.apply(Command::SetSet(Arc::new(set(SetId(1), known))));
        for epoch in &epochs {
            let is_known = known.iter().any(|known| known.epoch == epoch.epoch);
            let holders = epoch.window.holders() - 1;
            assert_eq!(holders > 0, is_known, "epoch {}", epoch.epoch);
        }
        assert_eq!([1, 2, 3].map(|epoch| judged_by(&mut tables, epoch)), judged);
    }
    tables.apply(Command::SetSet(Arc::new(set(SetId(1), &[second]))));
    assert_eq!(judged_by(&mut tables, 2), Some(2));
    tables.apply(Command::RemoveSet(SetId(1)));
    assert_eq!(second.window.holders(), 1);
    assert_eq!(judged_by(&mut tables, 2), None);
}

#[test]
fn a_copy_is_expected_where_its_session_may_receive_it() {
    let mut tables = tables();
    let inbound = |tables: &mut Tables| {
        let ids = 7 << 16 | 5;
        assert!(
            tables.inbound_by_wire(ids).is_none(),
            "it was not found again"
        );
        tables.inbound(SessionId(3));
        let inbound = tables.inbound_by_wire(ids)?;
        let expects = inbound.expected != Expected::NOTHING;
        Some((inbound.session, inbound.port, inbound.epoch, expects))
    };
    assert_eq!(inbound(&mut tables), None);
    session(&mut tables, 3, 7, "10.9.9.9");
    let nothing_yet = Some((SessionId(3), 0, 0, false));
    assert_eq!(inbound(&mut tables), nothing_yet, "no way to the peer");
    let via = NextHop::Interface {
        interface: InterfaceId(1),
        via: Some(address("10.0.1.9").into()),
    };
    route(&mut tables, "10.9.9.0", 24, via);
    assert_eq!(inbound(&mut tables), nothing_yet, "no set");
    let set = |epochs: &[u32]| {
        Command::SetSet(Arc::new(SetSpec {
            epochs: epochs.iter().map(|&epoch| Epoch::new(epoch, 0)).collect(),
            ..set(SetId(1), &[])
        }))
    };
    tables.apply(set(&[77, 76]));
    assert_eq!(inbound(&mut tables), nothing_yet, "our end is not local");
    route(&mut tables, "10.0.0.1", 32, NextHop::Local);
    assert_eq!(inbound(&mut tables), Some((SessionId(3), 1, 77, true)));
    tables.apply(set(&[78, 77]));
    assert_eq!(inbound(&mut tables), Some((SessionId(3), 1, 78, true)));
    // Another table on that port: what comes in there is not for the session.
    tables.apply(Command::SetInterface(Arc::new(InterfaceSpec {
        id: InterfaceId(1),
        port: PortId(1),
        table: TableId(10),
        addresses: Vec::new(),
        mtu: 1500,
        forward: true,
    })));
    assert_eq!(inbound(&mut tables), nothing_yet);
    tables.apply(Command::RemoveSession(SessionId(3)));
    assert_eq!(inbound(&mut tables), None);
}
