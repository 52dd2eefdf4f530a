//! A DHCPv6 client, with the fuzzer as its servers: they answer what was asked,
//! with options of the fuzzer's, or say anything at all.
#![no_main]

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use control::addressing::{Action, Dhcpv6Client, Dhcpv6Settings};
use control::host::link_local;
use dataplane::headers::ipv6::udp_packet;
use fuzz::Input;
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Addresses, networks and name servers that are kept at most.
const LIMIT: usize = 8;
/// Where a message starts in our frames.
const MESSAGE: usize = 14 + 40 + 8;

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let mut now = Duration::ZERO;
    let wanted = input.octet();
    let settings = Dhcpv6Settings {
        address: wanted & 1 == 0,
        prefix: (wanted & 2 == 0).then_some(wanted >> 1),
    };
    let mut client = Dhcpv6Client::new(now, MAC, settings, StdRng::seed_from_u64(1));
    client.set_link(now, true);
    let mut transaction = [0; 3];
    while !input.is_empty() {
        let choice = input.octet();
        match choice % 8 {
            0 => client.handle_packet(now, input.short()),
            1..=3 => client.handle_packet(now, &answer(&mut input, transaction)),
            4 => client.set_link(now, choice & 8 == 0),
            5 => {
                let own = client.assignment().addresses.first().map(|own| own.address);
                if let Some(IpAddr::V6(own)) = own {
                    client.handle_conflict(now, own);
                }
            }
            6 if choice & 0xf8 == 0 => client.release(now),
            6 => now = client.next_timeout().map_or(now, |next| next.max(now)),
            _ => now += input.time(),
        }
        client.handle_timeout(now);
        assert!(client.next_timeout().is_none_or(|next| next > now));
        while let Some(action) = client.poll_action() {
            if let Action::Frame(frame) = action {
                transaction.copy_from_slice(&frame[MESSAGE + 1..MESSAGE + 4]);
            }
        }
        check(&client, settings, now);
    }
});

/// What must be true of every assignment.
fn check(client: &Dhcpv6Client, settings: Dhcpv6Settings, now: Duration) {
    let assignment = client.assignment();
    assert!(settings.address || assignment.addresses.is_empty());
    assert!(settings.prefix.is_some() || assignment.delegated.is_empty());
    let counts = [
        assignment.addresses.len(),
        assignment.delegated.len(),
        assignment.name_servers.len(),
    ];
    assert!(counts.iter().all(|count| *count <= LIMIT));
    let addresses = assignment.addresses.iter().map(|own| own.valid_until);
    let delegated = assignment.delegated.iter().map(|it| it.valid_until);
    let mut ends = addresses.chain(delegated);
    assert!(ends.all(|until| until.is_none_or(|until| until > now)));
    assert!(!client.state().to_string().is_empty());
}

/// A message to our client with the transaction of its last one, and options.
fn answer(input: &mut Input<'_>, transaction: [u8; 3]) -> Vec<u8> {
    let kind = input.octet();
    // Advertise or Reply, but for the odd one.
    let kind = [2, 7, 7, kind][usize::from(kind & 3)];
    let mut message = vec![kind];
    message.extend(transaction);
    message.extend(option(1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1]));
    message.extend(option(2, &[0, 3, 0, 1, input.octet() & 3]));
    for _ in 0..input.octet() % 5 {
        message.extend(any_option(input));
    }
    let source = link_local([2, 0, 0, 0, 1, 1]);
    let source = SocketAddrV6::new(source, 547, 0, 0);
    let destination = SocketAddrV6::new(link_local(MAC), 546, 0, 0);
    udp_packet(source, destination, &message)
}

fn option(code: u8, data: &[u8]) -> Vec<u8> {
    let mut option = vec![0, code];
    option.extend((data.len() as u16).to_be_bytes());
    option.extend(data);
    option
}

fn any_option(input: &mut Input<'_>) -> Vec<u8> {
    let choice = input.octet();
    match choice % 6 {
        0 => option(choice >> 3, input.short()),
        1 | 2 => option(3, &association(input, 5)),
        3 => option(25, &association(input, 26)),
        4 => option(13, &[0, choice >> 4]),
        _ => option(7, &[input.octet()]),
    }
}

fn association(input: &mut Input<'_>, inner: u8) -> Vec<u8> {
    let mut association = vec![0, 0, 0, 1];
    association.extend(lifetime(input).to_be_bytes());
    association.extend(lifetime(input).to_be_bytes());
    for _ in 0..input.octet() % 4 {
        let (number, preferred, valid) = (input.octet(), lifetime(input), lifetime(input));
        let address = Ipv6Addr::new(0x2001, 0xdb8, (number & 15).into(), 0, 0, 0, 0, 1).octets();
        let lifetimes = [preferred.to_be_bytes(), valid.to_be_bytes()].concat();
        let data = match inner {
            5 => [&address[..], &lifetimes].concat(),
            _ => [&lifetimes[..], &[number], &address].concat(),
        };
        association.extend(option(inner, &data));
    }
    if input.octet() & 7 == 0 {
        association.extend(option(13, &[0, input.octet() & 7]));
    }
    association
}

fn lifetime(input: &mut Input<'_>) -> u32 {
    match input.octet() {
        0xff => u32::MAX,
        octet => u32::from(octet) << (octet % 12),
    }
}
