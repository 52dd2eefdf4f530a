//! Name servers in IPCP (RFC 1877).
use super::*;

const DNS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 53), Ipv4Addr::new(10, 0, 1, 53)];
const NBNS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 137);

fn option(kind: u8, address: Ipv4Addr) -> Vec<u8> {
    [&[kind, 6][..], &address.octets()].concat()
}

fn unknown(kind: u8) -> Vec<u8> {
    option(kind, Ipv4Addr::UNSPECIFIED)
}

/// A client that asks for all there is, at its first IPCP request.
fn asking() -> (Script, Seen) {
    let mut config = client();
    if let Role::Client { wanted, .. } = &mut config.role {
        *wanted = Wanted {
            dns: true,
            nbns: true,
        };
    }
    let mut script = Script::new(config);
    script.open_lcp(&MAGIC);
    let request = script.frame();
    (script, request)
}

#[test]
fn a_server_tells_what_it_has_to_whoever_asks_and_rejects_the_rest() {
    let mut config = server(&[AuthProtocol::Pap]);
    if let Role::Server { name_servers, .. } = &mut config.role {
        *name_servers = NameServers {
            dns: DNS.to_vec(),
            nbns: vec![NBNS],
        };
    }
    let mut script = Script::new(config);
    script.open_lcp(&MAGIC);
    script.send(protocol::PAP, 1, 1, b"\x02me\x06secret");
    script.outputs();
    let mut answer = |id: u8, options: &[Vec<u8>]| {
        script.send(protocol::IPCP, REQUEST, id, &options.concat());
        let answer = script.frame();
        (answer.code, answer.data)
    };
    let address = option(3, REMOTE);
    let asked = [
        address.clone(),
        unknown(129),
        unknown(130),
        unknown(131),
        unknown(132),
    ];
    assert_eq!(
        answer(1, &asked),
        (REJECT, unknown(132)),
        "there is one NBNS"
    );
    let told = [option(129, DNS[0]), option(130, NBNS), option(131, DNS[1])];
    assert_eq!(answer(2, &asked[..4]), (NAK, told.concat()));
    let wrong = [address.clone(), option(129, NBNS), vec![130, 3, 1]];
    assert_eq!(answer(3, &wrong), (NAK, told[..2].concat()));
    let right = [&[address][..], &told].concat();
    assert_eq!(answer(4, &right), (ACK, right.concat()));
}

#[test]
fn a_client_that_does_not_ask_takes_none() {
    let mut script = Script::new(client());
    script.open_lcp(&MAGIC);
    let request = script.frame();
    assert_eq!(request.data, unknown(3));
    let nak = [option(3, REMOTE), option(129, DNS[0])].concat();
    script.send(protocol::IPCP, NAK, request.id, &nak);
    assert_eq!(script.frame().data, option(3, REMOTE));
    assert_eq!(script.session.name_servers(), NameServers::default());
}

#[test]
fn a_client_takes_the_servers_it_is_told_and_lives_without_the_others() {
    let (mut script, request) = asking();
    let all = [3, 129, 130, 131, 132].map(unknown);
    assert_eq!(request.data, all.concat());
    let rejected = [unknown(130), unknown(132)].concat();
    script.send(protocol::IPCP, REJECT, request.id, &rejected);
    let request = script.frame();
    assert_eq!(request.data, [3, 129, 131].map(unknown).concat());
    let told = [option(3, REMOTE), option(129, DNS[0]), option(131, DNS[1])].concat();
    script.send(protocol::IPCP, NAK, request.id, &told);
    let request = script.frame();
    assert_eq!(request.data, told);
    script.send(protocol::IPCP, ACK, request.id, &request.data);
    script.send(protocol::IPCP, REQUEST, 1, &option(3, LOCAL));
    script.outputs();
    assert_eq!(script.events.last(), Some(&opened(REMOTE, LOCAL)));
    let known = NameServers {
        dns: DNS.to_vec(),
        nbns: Vec::new(),
    };
    assert_eq!(script.session.name_servers(), known);
    assert_eq!(known.to_string(), "DNS [10.0.0.53, 10.0.1.53], NBNS []");
}

/// Who has none and says so by a Nak of 0.0.0.0 is not asked for ever.
#[test]
fn no_server_is_no_end() {
    let (mut script, request) = asking();
    let told = [option(3, REMOTE), unknown(129), vec![130, 2], unknown(131)].concat();
    script.send(protocol::IPCP, NAK, request.id, &told);
    let request = script.frame();
    assert_eq!(request.data, [option(3, REMOTE), unknown(132)].concat());
    script.send(protocol::IPCP, ACK, request.id, &request.data);
    assert_eq!(script.session.name_servers(), NameServers::default());
}
