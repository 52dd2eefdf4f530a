use dataplane::headers::{ethernet, udp};
use dhcproto::v4::{DhcpOption, Encodable, Flags, Message as Written, MessageType};
use proptest::prelude::*;

use super::*;

const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(192, 168, 2, 1)];
const SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
const GIVEN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 50);
const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn relay() -> Relay {
    Relay::new(SERVERS.to_vec())
}

fn packet(source: Ipv4Addr, destination: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    ipv4::udp_packet(SocketAddrV4::new(source, 68), destination, payload, 1)
}

/// A client's message, of any contents behind the fixed fields.
fn request(giaddr: Ipv4Addr, hops: u8) -> Vec<u8> {
    let mut message = Written::new_with_id(7, NONE, NONE, NONE, giaddr, &CLIENT_MAC);
    message.set_hops(hops);
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(MessageType::Discover));
    let mut payload = message.to_vec().unwrap();
    // Behind the end stands what nobody knows.
    payload.extend([1, 2, 3]);
    payload
}

fn from_client(payload: &[u8]) -> Vec<u8> {
    packet(NONE, SocketAddrV4::new(Ipv4Addr::BROADCAST, 67), payload)
}

/// A server's message for a client of `giaddr`.
fn reply(giaddr: Ipv4Addr, yiaddr: Ipv4Addr, broadcast: bool) -> Written {
    let mut message = Written::new_with_id(7, NONE, yiaddr, NONE, giaddr, &CLIENT_MAC);
    message.set_opcode(Opcode::BootReply);
    if broadcast {
        message.set_flags(Flags::default().set_broadcast());
    }
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(MessageType::Offer));
    message
}

fn from_server(server: Ipv4Addr, message: &Written) -> Vec<u8> {
    let payload = message.to_vec().unwrap();
    packet(server, SocketAddrV4::new(ADDRESSES[0], 67), &payload)
}

/// Addresses with ports, and the payload, of a packet with right checksums.
fn read_packet(packet: &[u8]) -> (SocketAddrV4, SocketAddrV4, &[u8]) {
    let header = ipv4::parse(packet).unwrap();
    let udp = udp::parse(&header, packet).unwrap();
    (
        SocketAddrV4::new(header.source, udp.source_port),
        SocketAddrV4::new(header.destination, udp.destination_port),
        &packet[udp.payload_range],
    )
}

#[test]
fn a_request_goes_to_every_server() {
    let mut relay = relay();
    let payload = request(NONE, 0);
    let actions = relay.handle_client(&ADDRESSES, &from_client(&payload));
    assert_eq!(actions.len(), 2);
    let mut expected = payload;
    expected[3] = 1;
    expected[24..28].copy_from_slice(&[192, 168, 1, 1]);
    for (action, server) in actions.iter().zip(SERVERS) {
        let Action::Packet(packet) = action else {
            panic!("{action:?}");
        };
        let us = SocketAddrV4::new(ADDRESSES[0], 67);
        let there = SocketAddrV4::new(server, 67);
        assert_eq!(read_packet(packet), (us, there, &expected[..]));
    }
    assert_eq!(relay.counters().requests_relayed, 1);
}

#[test]
fn the_first_relay_is_the_one_that_servers_answer() {
    let mut relay = relay();
    let other = Ipv4Addr::new(172, 16, 0, 1);
    let mut payload = request(other, 16);
    let actions = relay.handle_client(&ADDRESSES, &from_client(&payload));
    let Action::Packet(packet) = &actions[0] else {
        panic!("{actions:?}");
    };
    payload[3] = 17;
    assert_eq!(read_packet(packet).2, payload);
}

#[test]
fn what_has_come_too_far_or_round_is_not_passed_on() {
    let mut relay = relay();
    for (addresses, giaddr, hops) in [
        (&ADDRESSES[..], NONE, 17),
        (&ADDRESSES, NONE, 255),
        (&ADDRESSES, ADDRESSES[0], 1),
        (&ADDRESSES, ADDRESSES[1], 1),
        (&[], NONE, 0),
    ] {
        let packet = from_client(&request(giaddr, hops));
        assert_eq!(relay.handle_client(addresses, &packet), []);
    }
    let counters = RelayCounters {
        too_many_hops: 2,
        own_giaddr: 2,
        no_address: 1,
        ..RelayCounters::default()
    };
    assert_eq!(*relay.counters(), counters);
}

#[test]
fn a_reply_goes_to_the_client_or_to_all() {
    let mut without_hardware = reply(ADDRESSES[1], GIVEN, false);
    without_hardware.set_chaddr(&[1; 16]);
    let mut of_a_group = reply(ADDRESSES[1], GIVEN, false);
    of_a_group.set_chaddr(&[1, 0, 0x5e, 0, 0, 1]);
    let all = (Ipv4Addr::BROADCAST, BROADCAST);
    for (message, (destination, hardware)) in [
        (reply(ADDRESSES[1], GIVEN, false), (GIVEN, CLIENT_MAC)),
        (reply(ADDRESSES[1], GIVEN, true), all),
        (reply(ADDRESSES[1], NONE, false), all),
        (reply(ADDRESSES[1], Ipv4Addr::BROADCAST, false), all),
        (without_hardware, all),
        (of_a_group, all),
    ] {
        let mut relay = relay();
        let packet = from_server(SERVERS[1], &message);
        let action = relay.handle_server(&ADDRESSES, MAC, &packet);
        let Some(Action::Frame(frame)) = action else {
            panic!("{action:?}");
        };
        let header = ethernet::parse(&frame).unwrap();
        assert_eq!((header.destination, header.source), (hardware, MAC));
        assert_eq!(header.ether_type, ethernet::ETHER_TYPE_IPV4);
        let us = SocketAddrV4::new(ADDRESSES[1], 67);
        let there = SocketAddrV4::new(destination, 68);
        let payload = message.to_vec().unwrap();
        assert_eq!(read_packet(&frame[14..]), (us, there, &payload[..]));
        assert_eq!(relay.counters().replies_relayed, 1);
    }
}

#[test]
fn replies_of_others_and_for_others_are_not_passed_on() {
    let mut relay = relay();
    let stranger = Ipv4Addr::new(10, 0, 0, 3);
    for (server, giaddr) in [
        (stranger, ADDRESSES[0]),
        (SERVERS[0], NONE),
        (SERVERS[0], Ipv4Addr::new(192, 168, 3, 1)),
    ] {
        let packet = from_server(server, &reply(giaddr, GIVEN, false));
        assert_eq!(relay.handle_server(&ADDRESSES, MAC, &packet), None);
    }
    let counters = RelayCounters {
        other_server: 1,
        other_giaddr: 2,
        ..RelayCounters::default()
    };
    assert_eq!(*relay.counters(), counters);
}

#[test]
fn each_side_is_heard_on_its_own_way_only() {
    let mut relay = relay();
    let of_client = from_client(&request(NONE, 0));
    let of_server = from_server(SERVERS[0], &reply(ADDRESSES[0], GIVEN, false));
    assert_eq!(relay.handle_client(&ADDRESSES, &of_server), []);
    assert_eq!(relay.handle_server(&ADDRESSES, MAC, &of_client), None);
    let elsewhere = SocketAddrV4::new(Ipv4Addr::BROADCAST, 68);
    let packet = packet(NONE, elsewhere, &request(NONE, 0));
    assert_eq!(relay.handle_client(&ADDRESSES, &packet), []);
    assert_eq!(relay.counters().malformed, 3);
}

/// What is cut off anywhere is counted: in the packet, and in the message of a whole packet.
#[test]
fn what_is_not_whole_is_malformed() {
    let mut relay = relay();
    let mut cut = 0;
    let payload = request(NONE, 0);
    let whole = from_client(&payload);
    let packets = (0..whole.len()).map(|octets| whole[..octets].to_vec());
    let messages = (0..240).map(|octets| from_client(&payload[..octets]));
    for packet in packets.chain(messages) {
        assert_eq!(relay.handle_client(&ADDRESSES, &packet), []);
        cut += 1;
    }
    let message = reply(ADDRESSES[0], GIVEN, false);
    let whole = from_server(SERVERS[0], &message);
    for octets in 0..whole.len() {
        let packet = &whole[..octets];
        assert_eq!(relay.handle_server(&ADDRESSES, MAC, packet), None);
        cut += 1;
    }
    assert_eq!(relay.counters().malformed, cut);
}

proptest! {
    #[test]
    fn any_message_is_passed_on_as_it_is_or_counted(
        payload in proptest::collection::vec(any::<u8>(), 200..700),
        opcode in 1_u8..3,
        to_us in any::<bool>(),
    ) {
        let mut relay = relay();
        let mut payload = payload;
        payload[0] = opcode;
        if to_us {
            payload[GIADDR].copy_from_slice(&ADDRESSES[0].octets());
        }
        let actions = relay.handle_client(&ADDRESSES, &from_client(&payload));
        for action in &actions {
            let Action::Packet(packet) = action else {
                panic!("{action:?}");
            };
            let (_, _, relayed) = read_packet(packet);
            prop_assert_eq!(relayed[3], payload[3] + 1);
            prop_assert_eq!(&relayed[..3], &payload[..3]);
            prop_assert_eq!(&relayed[4..24], &payload[4..24]);
            prop_assert_eq!(&relayed[28..], &payload[28..]);
        }
        let us = SocketAddrV4::new(ADDRESSES[0], 67);
        let action = relay.handle_server(&ADDRESSES, MAC, &packet(SERVERS[0], us, &payload));
        if let Some(Action::Frame(frame)) = &action {
            prop_assert_eq!(read_packet(&frame[14..]).2, &payload[..]);
        }
        let RelayCounters {
            requests_relayed,
            replies_relayed,
            malformed,
            too_many_hops,
            own_giaddr,
            no_address,
            other_server,
            other_giaddr,
        } = *relay.counters();
        prop_assert_eq!(requests_relayed > 0, !actions.is_empty());
        prop_assert_eq!(replies_relayed > 0, action.is_some());
        let refused = malformed + too_many_hops + own_giaddr + no_address + other_server + other_giaddr;
        prop_assert_eq!(requests_relayed + replies_relayed + refused, 2);
    }
}
