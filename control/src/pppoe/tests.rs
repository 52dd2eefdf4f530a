//! The client by golden frames, and what strangers may send it.

use std::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::model::{CLIENT_MAC, from, settings};
use super::packet::{Code, Packet, tag};
use super::*;

const AC: [u8; 6] = [2, 0, 0, 0, 1, 1];
const OTHER_AC: [u8; 6] = [2, 0, 0, 0, 1, 2];
const NOW: Duration = Duration::from_secs(50);

fn actions(client: &mut PppoeClient) -> Vec<PppoeAction> {
    std::iter::from_fn(|| client.poll_action()).collect()
}

fn frames(client: &mut PppoeClient) -> Vec<Vec<u8>> {
    let frame = |action| match action {
        PppoeAction::Frame(frame) => Some(frame),
        _ => None,
    };
    actions(client).into_iter().filter_map(frame).collect()
}

/// One that has sent its PADI, and its Host-Uniq.
fn discovering(settings: PppoeSettings) -> (PppoeClient, Vec<u8>) {
    let mut client = PppoeClient::new(NOW, CLIENT_MAC, settings, StdRng::seed_from_u64(1));
    assert_eq!(
        frames(&mut client),
        [] as [Vec<u8>; 0],
        "the carrier is down"
    );
    client.set_link(NOW, true);
    let padi = frames(&mut client).pop().unwrap();
    let host_uniq = Packet::parse(&padi).unwrap().tag(tag::HOST_UNIQ).unwrap();
    (client, host_uniq.to_vec())
}

fn offer(host_uniq: &[u8]) -> Vec<u8> {
    let tags: [(u16, &[u8]); 4] = [
        (tag::SERVICE_NAME, b""),
        (tag::AC_NAME, b"ac"),
        (tag::AC_COOKIE, b"biscuit"),
        (tag::HOST_UNIQ, host_uniq),
    ];
    from(AC, Code::Offer, 0, &tags)
}

fn confirmation(mac: [u8; 6], session: u16, host_uniq: &[u8]) -> Vec<u8> {
    let tags: [(u16, &[u8]); 2] = [(tag::SERVICE_NAME, b""), (tag::HOST_UNIQ, host_uniq)];
    from(mac, Code::Confirmation, session, &tags)
}

/// One that has asked AC for a session.
fn requesting() -> (PppoeClient, Vec<u8>) {
    let (mut client, host_uniq) = discovering(settings());
    client.handle_discovery(NOW, &offer(&host_uniq));
    assert_eq!(client.state(), PppoeState::Requesting);
    assert_eq!(frames(&mut client).len(), 1);
    (client, host_uniq)
}

/// One that negotiates in session 0x77.
fn negotiating() -> (PppoeClient, Vec<u8>) {
    let (mut client, host_uniq) = requesting();
    client.handle_discovery(NOW, &confirmation(AC, 0x77, &host_uniq));
    assert_eq!(client.state(), PppoeState::Negotiating);
    (client, host_uniq)
}

#[test]
fn the_frames_as_they_stand_on_the_wire() {
    let wanted = PppoeSettings {
        service_name: Some("isp".to_owned()),
        mtu: 1500,
        ..settings()
    };
    let mut client = PppoeClient::new(NOW, CLIENT_MAC, wanted, StdRng::seed_from_u64(1));
    client.set_link(NOW, true);
    let padi = frames(&mut client).pop().unwrap();
    let uniq: [u8; 8] = padi[31..39].try_into().unwrap();
    assert_ne!(uniq, [0; 8]);
    let tags = [&[0x01, 0x01, 0, 3][..], b"isp", &[0x01, 0x03, 0, 8], &uniq].concat();
    let payload = [0x01, 0x20, 0, 2, 0x05, 0xdc];
    let header = |to: [u8; 6], code, octets| {
        let pppoe = [0x88, 0x63, 0x11, code, 0, 0, 0, octets];
        [&to[..], &CLIENT_MAC, &pppoe].concat()
    };
    let expected = [&header([0xff; 6], 0x09, 25)[..], &tags, &payload].concat();
    assert_eq!(padi, expected);

    let named = [
        &header(CLIENT_MAC, 0x07, 0)[..12],
        &[0x88, 0x63, 0x11, 0x07, 0, 0, 0, 38],
        &tags,
        &[0x01, 0x02, 0, 2],
        b"ac",
        &[0x01, 0x04, 0, 5],
        b"crumb",
        &[0x01, 0x10, 0, 0],
        &[0, 0, 0, 0],
    ]
    .concat();
    let mut pado = named;
    pado[6..12].copy_from_slice(&AC);
    client.handle_discovery(NOW, &pado);
    let padr = frames(&mut client).pop().unwrap();
    let returned = [&[0x01, 0x04, 0, 5][..], b"crumb", &[0x01, 0x10, 0, 0]].concat();
    let expected = [&header(AC, 0x19, 38)[..], &tags, &returned, &payload].concat();
    assert_eq!(padr, expected);

    client.handle_discovery(NOW, &confirmation(AC, 0x1234, &uniq));
    let mut actions = actions(&mut client).into_iter();
    let up = PppoeAction::SessionUp {
        id: 0x1234,
        access_concentrator: AC,
    };
    assert_eq!(actions.next(), Some(up));
    let Some(PppoeAction::Frame(lcp)) = actions.next() else {
        panic!()
    };
    // LCP's Configure-Request: the MRU, not more than 1492 without the tag, and a magic number.
    let header = [0x88, 0x64, 0x11, 0, 0x12, 0x34, 0, 16, 0xc0, 0x21, 1];
    assert_eq!(lcp[..23], [&AC[..], &CLIENT_MAC, &header].concat());
    assert_eq!(
        lcp[24..34],
        [0, 14, 1, 4, 0x05, 0xd4, 5, 6, lcp[32], lcp[33]]
    );
    assert_eq!(actions.next(), None);

    client.close(NOW);
    let frames = frames(&mut client);
    let padt = [
        &AC[..],
        &CLIENT_MAC,
        &[0x88, 0x63, 0x11, 0xa7, 0x12, 0x34, 0, 0],
    ];
    assert_eq!(frames.last(), Some(&padt.concat()));
    assert_eq!(frames[0][20..23], [0xc0, 0x21, 5], "Terminate-Request");
}

#[test]
fn only_the_answer_to_this_attempt_counts() {
    let (mut client, host_uniq) = discovering(settings());
    client.handle_discovery(NOW, &offer(b"another"));
    client.handle_discovery(NOW, &from(AC, Code::Offer, 0, &[(tag::AC_NAME, b"ac")]));
    assert_eq!(client.counters().wrong_host_uniq, 2);
    let without_name: [(u16, &[u8]); 2] = [(tag::SERVICE_NAME, b""), (tag::HOST_UNIQ, &host_uniq)];
    client.handle_discovery(NOW, &from(AC, Code::Offer, 0, &without_name));
    assert_eq!(client.counters().offers_refused, 1);
    client.handle_discovery(NOW, &confirmation(AC, 0x77, &host_uniq));
    client.handle_discovery(NOW, &from(AC, Code::Termination, 0x77, &[]));
    client.handle_discovery(NOW, &from(AC, Code::Initiation, 0, &[]));
    assert_eq!(client.counters().unexpected, 3);
    let mut to_another = offer(&host_uniq);
    to_another[5] = 9;
    let mut from_a_group = offer(&host_uniq);
    from_a_group[6] |= 1;
    let mut from_ourselves = offer(&host_uniq);
    from_ourselves[6..12].copy_from_slice(&CLIENT_MAC);
    for frame in [to_another, from_a_group, from_ourselves] {
        client.handle_discovery(NOW, &frame);
    }
    assert_eq!(client.counters().not_for_us, 3);
    assert_eq!(client.state(), PppoeState::Discovering);
    assert_eq!(actions(&mut client), []);
}

#[test]
fn only_the_chosen_concentrator_counts() {
    let (mut client, host_uniq) = requesting();
    client.handle_discovery(NOW, &confirmation(OTHER_AC, 0x77, &host_uniq));
    assert_eq!(client.counters().wrong_source, 1);
    assert_eq!(client.state(), PppoeState::Requesting);

    let (mut client, _) = negotiating();
    actions(&mut client);
    client.handle_discovery(NOW, &from(OTHER_AC, Code::Termination, 0x77, &[]));
    client.handle_discovery(NOW, &from(AC, Code::Termination, 0x78, &[]));
    let lcp = [0xc0, 0x21, 9, 1, 0, 8, 0, 0, 0, 0];
    let foreign = [
        packet::session_frame(OTHER_AC, CLIENT_MAC, 0x77, &lcp),
        packet::session_frame(AC, CLIENT_MAC, 0x78, &lcp),
        packet::session_frame(AC, OTHER_AC, 0x77, &lcp),
    ];
    for frame in foreign {
        client.handle_session(NOW, &frame);
    }
    let counters = client.counters();
    assert_eq!((counters.wrong_source, counters.unexpected), (1, 1));
    assert_eq!(counters.unknown_session, 3);
    assert_eq!(client.state(), PppoeState::Negotiating);
    assert_eq!(actions(&mut client), []);
    client.handle_discovery(NOW, &from(AC, Code::Termination, 0x77, &[]));
    assert_eq!(client.state(), PppoeState::Idle);
    assert_eq!(actions(&mut client), [PppoeAction::SessionDown]);
}

#[test]
fn ids_that_are_none_are_no_session() {
    for id in [0, 0xffff] {
        let (mut client, host_uniq) = requesting();
        client.handle_discovery(NOW, &confirmation(AC, id, &host_uniq));
        assert_eq!(client.state(), PppoeState::Idle);
        let named = "access concentrator \"ac\": no session id";
        assert_eq!(client.last_error(), Some(named));
        assert!(client.next_timeout().unwrap() > NOW);
    }
}

#[test]
fn a_cookie_that_does_not_fit_our_answer_is_refused() {
    let (mut client, host_uniq) = discovering(PppoeSettings {
        service_name: Some("a".repeat(80)),
        ..settings()
    });
    let service = "a".repeat(80);
    let cookie = [7; 1400];
    let tags: [(u16, &[u8]); 4] = [
        (tag::SERVICE_NAME, service.as_bytes()),
        (tag::AC_NAME, b""),
        (tag::AC_COOKIE, &cookie[..1390]),
        (tag::HOST_UNIQ, &host_uniq),
    ];
    let mut pado = from(AC, Code::Offer, 0, &tags);
    // One tag more than fits: the frame is a jumbo frame.
    pado.extend([0x01, 0x10, 0, 40]);
    pado.extend([7; 40]);
    let octets = u16::try_from(pado.len() - 20).unwrap();
    pado[18..20].copy_from_slice(&octets.to_be_bytes());
    client.handle_discovery(NOW, &pado);
    assert_eq!(client.counters().offers_refused, 1);
    assert_eq!(client.state(), PppoeState::Discovering);
}

/// Without an address of its own a concentrator is reached by one that stands for it.
#[test]
fn a_concentrator_that_tells_no_address_is_a_router_all_the_same() {
    let (mut client, _) = negotiating();
    let say = |client: &mut PppoeClient, ppp: &[u8]| {
        client.handle_session(NOW, &packet::session_frame(AC, CLIENT_MAC, 0x77, ppp));
        frames(client).pop().map(|frame| frame[20..].to_vec())
    };
    let mut request = frames(&mut client).pop().unwrap()[20..].to_vec();
    request[2] = 2;
    assert_eq!(say(&mut client, &request), None, "LCP is half open");
    let ipcp = say(&mut client, &[0xc0, 0x21, 1, 1, 0, 4]).unwrap();
    assert_eq!(ipcp[..3], [0x80, 0x21, 1]);
    let address = [0x80, 0x21, 3, ipcp[3], 0, 10, 3, 6, 10, 0, 0, 9];
    let mut request = say(&mut client, &address).unwrap();
    request[2] = 2;
    say(&mut client, &request);
    say(&mut client, &[0x80, 0x21, 1, 1, 0, 4]).unwrap();
    assert_eq!(client.state(), PppoeState::Open);
    let assignment = client.assignment();
    let own = assignment.addresses[0].address;
    assert_eq!(own, std::net::IpAddr::from([10, 0, 0, 9]));
    let router = assignment.routers[0].address;
    assert_eq!(router, std::net::IpAddr::from([192, 0, 0, 8]));
    assert_eq!(assignment.server, None);
}

#[test]
fn states_have_names() {
    let names = [
        PppoeState::Idle,
        PppoeState::Discovering,
        PppoeState::Requesting,
        PppoeState::Negotiating,
        PppoeState::Open,
    ]
    .map(|state| state.to_string());
    assert_eq!(
        names,
        ["idle", "discovering", "requesting", "negotiating", "open"]
    );
}

/// A frame of a stranger's: any octets, behind headers that lead somewhere.
fn junk() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let heads = prop_oneof![
        Just(vec![0x11, 0x07, 0, 0]),
        Just(vec![0x11, 0x65, 0, 0x77]),
        Just(vec![0x11, 0x00, 0, 0x77]),
        prop::collection::vec(any::<u8>(), 0..5),
    ];
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        (
            prop::sample::select(vec![0xc021_u16, 0xc023, 0xc223, 0x8021, 0x8057]),
            0..12_u8,
            prop::collection::vec(any::<u8>(), 0..40)
        )
            .prop_map(|(protocol, code, data)| {
                let [high, low] = protocol.to_be_bytes();
                let octets = u8::try_from(data.len() + 4).unwrap();
                [&[high, low, code, 1, 0, octets][..], &data].concat()
            }),
    ];
    (any::<bool>(), heads, body).prop_map(|(is_discovery, head, body)| {
        let low = if is_discovery { 0x63 } else { 0x64 };
        let mut frame = [&CLIENT_MAC[..], &AC, &[0x88, low], &head].concat();
        let octets = u16::try_from(body.len()).unwrap();
        frame.extend(octets.to_be_bytes());
        frame.extend(body);
        (is_discovery, frame)
    })
}

proptest! {
    /// Whoever does not know the password, or that there is none, opens nothing: IP is
    /// never allowed by octets that happen to come.
    #[test]
    fn junk_neither_panics_nor_opens(
        stage in 0..3,
        frames in prop::collection::vec(junk(), 0..60),
    ) {
        let (mut client, _) = match stage {
            0 => discovering(settings()),
            1 => requesting(),
            _ => negotiating(),
        };
        let mut now = NOW;
        for (is_discovery, frame) in frames {
            if is_discovery {
                client.handle_discovery(now, &frame);
            } else {
                client.handle_session(now, &frame);
            }
            now += Duration::from_millis(50);
            client.handle_timeout(now);
            prop_assert_ne!(client.state(), PppoeState::Open);
            prop_assert!(client.next_timeout().is_none_or(|next| next > now));
            actions(&mut client);
        }
    }
}
