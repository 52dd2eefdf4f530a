//! What the words of `ppp` in a configuration change on the wire.

use dataplane::command::EchoAnswer;
use md5::{Digest, Md5};

use super::lac::{Lac, head};
use super::world::{HEAD, REMOTE, World, config, seconds};
use crate::l2tp::avp::{Attribute, ResultCode};
use crate::l2tp::message::MessageType;
use crate::ppp::{AuthProtocol, NameServers, ProxyLcp, ProxyPolicy, Wanted};

const LCP: [u8; 2] = [0xc0, 0x21];
const CHAP: [u8; 2] = [0xc2, 0x23];
const IPCP: [u8; 2] = [0x80, 0x21];
const REQUEST: u8 = 1;
const ACK: u8 = 2;
const NAK: u8 = 3;
const SUCCESS: u8 = 3;
const CHALLENGE: u8 = 1;

/// A frame with the protocol and code that it begins with.
fn of(protocol: [u8; 2], code: u8) -> impl Fn(&Vec<u8>) -> bool {
    move |frame| is_of(frame, protocol, code)
}

fn is_of(frame: &[u8], protocol: [u8; 2], code: u8) -> bool {
    frame[..2] == protocol && frame[2] == code
}

/// The LCP and the CHAP that a LAC had with `remote.1` of the demo.
fn negotiated(password: &str) -> Vec<Attribute> {
    let challenge = b"what the LAC had asked";
    let response = Md5::digest([&[77], password.as_bytes(), challenge].concat());
    vec![
        Attribute::InitialReceivedLcpConfReq(vec![5, 6, 1, 2, 3, 4]),
        Attribute::LastSentLcpConfReq(vec![3, 5, 0xc2, 0x23, 5, 5, 6, 9, 9, 9, 9]),
        Attribute::LastReceivedLcpConfReq(vec![1, 4, 5, 0x78, 5, 6, 1, 2, 3, 4]),
        Attribute::ProxyAuthenType(2),
        Attribute::ProxyAuthenName(b"remote.1".to_vec()),
        Attribute::ProxyAuthenChallenge(challenge.to_vec()),
        Attribute::ProxyAuthenId(77),
        Attribute::ProxyAuthenResponse(response.to_vec()),
    ]
}

fn lac(lcp: ProxyLcp, authentication: bool) -> Lac {
    Lac::calling(head(|incoming| {
        incoming.ppp.proxy = ProxyPolicy {
            lcp,
            authentication,
        };
        incoming.ppp.rechallenge = Some(seconds(30));
    }))
}

#[test]
fn a_lac_is_believed_as_far_as_the_configuration_says() {
    for mode in [ProxyLcp::OnMismatch, ProxyLcp::Accept] {
        let mut lac = lac(mode, true);
        lac.connect(negotiated("demo-one"));
        let frames = lac.frames();
        assert!(is_of(&frames[0], CHAP, SUCCESS), "{frames:?}");
        assert_eq!(frames[0][3], 77);
        assert!(is_of(&frames[1], IPCP, REQUEST), "{frames:?}");
        assert!(lac.receives());
    }
    // Not at all; without its authentication; a wrong one.
    for (mode, judged, password, protocol) in [
        (ProxyLcp::Renegotiate, true, "demo-one", LCP),
        (ProxyLcp::Accept, false, "demo-one", CHAP),
        (ProxyLcp::Accept, true, "demo-two", LCP),
    ] {
        let mut lac = lac(mode, judged);
        lac.connect(negotiated(password));
        let frames = lac.frames();
        assert_eq!(frames.len(), 1, "{frames:?}");
        assert!(is_of(&frames[0], protocol, REQUEST), "{frames:?}");
        assert!(!lac.receives());
    }
}

#[test]
fn what_overtakes_iccn_waits_for_what_the_lac_tells() {
    let ipcp = [0x80, 0x21, REQUEST, 9, 0, 10, 3, 6, 192, 168, 1, 2];
    let mut lac = lac(ProxyLcp::OnMismatch, true);
    lac.say_ppp(&ipcp);
    assert!(lac.frames().is_empty());
    lac.connect(negotiated("demo-one"));
    let frames = lac.frames();
    assert!(frames.iter().any(of(IPCP, ACK)), "{frames:?}");
}

/// Who does not wait for a LAC to tell begins with what comes first.
#[test]
fn what_overtakes_iccn_is_answered_where_no_lac_tells_anything() {
    let mut lac = lac(ProxyLcp::Renegotiate, true);
    lac.say_ppp(&[0xc0, 0x21, REQUEST, 1, 0, 4]);
    let frames = lac.frames();
    assert!(frames.iter().any(of(LCP, ACK)), "{frames:?}");
}

#[test]
fn a_link_that_is_up_is_challenged_again() {
    let mut lac = lac(ProxyLcp::OnMismatch, true);
    lac.connect(negotiated("demo-one"));
    let ours = lac.frames().into_iter().find(of(IPCP, REQUEST)).unwrap();
    lac.say_ppp(&[&IPCP[..], &[ACK], &ours[3..]].concat());
    lac.say_ppp(&[0x80, 0x21, REQUEST, 9, 0, 10, 3, 6, 192, 168, 1, 2]);
    lac.frames();
    lac.wait(seconds(29));
    assert!(!lac.frames().iter().any(of(CHAP, CHALLENGE)));
    lac.wait(seconds(2));
    assert!(lac.frames().iter().any(of(CHAP, CHALLENGE)));
}

#[test]
fn ff_03_is_sent_or_not() {
    for address_control in [true, false] {
        let mut lac = Lac::calling(head(|incoming| {
            incoming.ppp.link.address_control = address_control;
        }));
        lac.connect(vec![]);
        let frames = lac.raw_frames();
        let begins = if address_control { [0xff, 3] } else { LCP };
        assert_eq!(frames[0][..2], begins);
        let specs: Vec<_> = lac.workers.sessions.values().collect();
        assert_eq!(specs[0].address_control, address_control, "the workers'");
    }
}

#[test]
fn magic_numbers_are_looked_at_or_not() {
    for (ignore_magic, code) in [(false, NAK), (true, ACK)] {
        let mut lac = Lac::calling(head(|incoming| {
            incoming.ppp.link.ignore_magic = ignore_magic;
        }));
        lac.connect(vec![]);
        lac.frames();
        lac.say_ppp(&[0xc0, 0x21, REQUEST, 1, 0, 10, 5, 6, 0, 0, 0, 0]);
        let frames = lac.frames();
        assert!(is_of(&frames[0], LCP, code), "{frames:?}");
    }
}

#[test]
fn the_timers_are_those_of_the_configuration() {
    let mut lac = Lac::calling(head(|incoming| {
        incoming.ppp.link.timers.restart = seconds(7);
        incoming.ppp.link.timers.max_configure = 2;
    }));
    lac.connect(vec![]);
    assert_eq!(lac.frames().len(), 1);
    lac.wait(seconds(6));
    assert_eq!(lac.frames().len(), 0);
    lac.wait(seconds(1));
    assert_eq!(lac.frames().len(), 1);
    lac.wait(seconds(8));
    assert_eq!(lac.frames().len(), 0);
    assert_eq!(
        lac.engine
            .links
            .values()
            .filter(|it| !it.is_leaving())
            .count(),
        0
    );
}

/// Which ways of logging in there are at both ends, and how many links come up.
#[test]
fn both_ends_log_in_as_the_configuration_says() {
    use AuthProtocol::{Chap, MsChapV2, Pap};
    for (head_takes, remote_offers, up) in [
        (&[Chap][..], &[Chap][..], 3),
        (&[MsChapV2], &[MsChapV2], 3),
        (&[Pap], &[Pap], 3),
        (&[Chap, MsChapV2, Pap], &[Pap], 3),
        (&[Pap, MsChapV2], &[Chap, MsChapV2], 3),
        (&[Chap], &[MsChapV2, Pap], 0),
        (&[Pap], &[Chap], 0),
    ] {
        let (mut head, mut remote) = (config("head"), config("remote"));
        head.l2tp.incoming[0].ppp.link.authentication = head_takes.to_vec();
        for outgoing in &mut remote.l2tp.outgoing {
            outgoing.ppp.link.authentication = remote_offers.to_vec();
        }
        let mut world = World::of(5, vec![head, remote]);
        world.run_for(seconds(5));
        let members = (world.members(HEAD), world.members(REMOTE));
        assert_eq!(members, (up, up), "{head_takes:?} {remote_offers:?}");
    }
}

#[test]
fn name_servers_are_told_to_whoever_asks() {
    let (mut head, mut remote) = (config("head"), config("remote"));
    let known = NameServers {
        dns: vec![[192, 168, 1, 53].into(), [192, 168, 1, 54].into()],
        nbns: vec![[192, 168, 1, 55].into()],
    };
    head.l2tp.incoming[0].ppp.name_servers = known.clone();
    remote.l2tp.outgoing[0].ppp.wanted = Wanted {
        dns: true,
        nbns: true,
    };
    remote.l2tp.outgoing[1].ppp.wanted.dns = true;
    let mut world = World::of(6, vec![head, remote]);
    world.run_for(seconds(5));
    assert_eq!(world.members(HEAD), 3);
    let mut told: Vec<_> = world.engine(REMOTE).links.values().collect();
    told.sort_by_key(|link| link.username.clone());
    let told: Vec<_> = told.iter().map(|link| link.ppp.name_servers()).collect();
    let only_dns = NameServers {
        nbns: vec![],
        ..known.clone()
    };
    assert_eq!(told, [known, only_dns, NameServers::default()]);
}

/// What the workers need to answer echoes is theirs while LCP is open and the
/// link is not about to go.
#[test]
fn the_workers_answer_echoes_while_lcp_is_open() {
    let expected = EchoAnswer {
        magic: 0x0909_0909,
        mru: 1400,
    };
    let open = || {
        let mut lac = lac(ProxyLcp::OnMismatch, true);
        assert_eq!(lac.spec().echo, None);
        lac.connect(negotiated("demo-one"));
        assert_eq!(lac.spec().echo, Some(expected));
        lac.frames();
        lac
    };
    // The peer begins anew: another magic number, and no MRU.
    let mut lac = open();
    lac.say_ppp(&[0xc0, 0x21, REQUEST, 9, 0, 10, 5, 6, 7, 7, 7, 7]);
    assert_eq!(lac.spec().echo, None);
    let ours = lac.frames().into_iter().find(of(LCP, REQUEST)).unwrap();
    lac.say_ppp(&[&LCP[..], &[ACK], &ours[3..]].concat());
    assert_eq!(lac.spec().echo, None, "until it has logged in");
    let challenge = lac.frames().into_iter().find(of(CHAP, CHALLENGE)).unwrap();
    let id = challenge[3];
    let value = &challenge[7..7 + usize::from(challenge[6])];
    let response = Md5::digest([&[id], &b"demo-one"[..], value].concat());
    let name = b"remote.1";
    let length = (4 + 1 + response.len() + name.len()) as u8;
    let answer = [&CHAP[..], &[2, id, 0, length, 16], &response, name].concat();
    lac.say_ppp(&answer);
    let magic = ours.windows(2).position(|octets| octets == [5, 6]).unwrap() + 2;
    let renewed = EchoAnswer {
        magic: u32::from_be_bytes(ours[magic..magic + 4].try_into().unwrap()),
        mru: 1500,
    };
    assert_eq!(lac.spec().echo, Some(renewed));
    // The peer ends PPP, or its call.
    let mut lac = open();
    lac.say_ppp(&[0xc0, 0x21, 5, 9, 0, 4]);
    assert_eq!(lac.spec().echo, None);
    let carrier_lost = ResultCode {
        result: 1,
        error: 0,
        message: Vec::new(),
    };
    let mut lac = open();
    lac.say(
        MessageType::Cdn,
        vec![
            Attribute::ResultCode(carrier_lost),
            Attribute::AssignedSessionId(0x2222),
        ],
    );
    assert_eq!(lac.spec().echo, None);
}

/// A HELLO is for a peer of whom nothing came: who sends echoes that the workers
/// answer, or packets, is there.
#[test]
fn what_only_the_workers_hear_counts_as_heard() {
    let mut lac = Lac::calling(head(|incoming| {
        incoming.ppp.proxy = ProxyPolicy {
            lcp: ProxyLcp::OnMismatch,
            authentication: true,
        };
    }));
    lac.connect(negotiated("demo-one"));
    let ours = lac.frames().into_iter().find(of(IPCP, REQUEST)).unwrap();
    lac.say_ppp(&[&IPCP[..], &[ACK], &ours[3..]].concat());
    lac.say_ppp(&[0x80, 0x21, REQUEST, 9, 0, 10, 3, 6, 192, 168, 1, 2]);
    let spec = lac.spec();
    for _ in 0..15 {
        spec.counters[0].echoes_answered.add(1);
        lac.wait(seconds(10));
    }
    for _ in 0..15 {
        spec.counters[0].received_packets.add(1);
        lac.wait(seconds(10));
    }
    assert_eq!(lac.hellos, 0);
    lac.wait(seconds(59));
    assert_eq!(lac.hellos, 0, "it was there within the last minute");
    lac.wait(seconds(62));
    assert!(lac.hellos > 0, "nothing for two minutes");
}
