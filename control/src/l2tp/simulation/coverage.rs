//! Every row of the state tables of RFC 2661 sections 7.2.1, 7.4.1, 7.4.2,
//! 7.5.1 and 7.5.2 that an appliance without outgoing calls can come to, taken
//! once: the state before is looked at, the event is caused, and what is sent
//! and the state after are compared. What was taken is counted against the
//! tables of the RFC.
//!
//! In idle we differ from them twice. An SCCRP for no tunnel gets no StopCCN. And
//! ICRP, ICCN, OCRP and OCCN for no session get a CDN where the RFC has us clean up
//! and say nothing: the tunnel's peer takes a session for open that is not.

use std::collections::BTreeSet;

use super::fsm::{in_call_state, in_tunnel_state};
use super::script::{PEER_SESSION, Script, iccn, icrp, icrq, message, start};
use super::*;
use crate::l2tp::avp::{Attribute, ProtocolVersion};
use crate::l2tp::message::tests::whole_message;
use crate::l2tp::message::{Message, MessageType};

/// State and event, in the words of the RFC; rows with several of either stand
/// here once for each.
type Pair = (&'static str, &'static str);

/// RFC 2661 section 7.2.1.
const CONTROL_CONNECTION: &[Pair] = &[
    ("idle", "local open request"),
    ("idle", "SCCRQ, acceptable"),
    ("idle", "SCCRQ, not acceptable"),
    ("idle", "SCCRP"),
    ("idle", "SCCCN"),
    ("idle", "StopCCN"),
    ("wait-ctl-reply", "SCCRP, acceptable"),
    ("wait-ctl-reply", "SCCRP, not acceptable"),
    ("wait-ctl-reply", "SCCRQ, lose tie-breaker"),
    ("wait-ctl-reply", "SCCCN"),
    ("wait-ctl-reply", "StopCCN"),
    ("wait-ctl-conn", "SCCCN, acceptable"),
    ("wait-ctl-conn", "SCCCN, not acceptable"),
    ("wait-ctl-conn", "SCCRP"),
    ("wait-ctl-conn", "SCCRQ"),
    ("wait-ctl-conn", "StopCCN"),
    ("established", "local open request"),
    ("established", "administrative tunnel close"),
    ("established", "SCCRQ"),
    ("established", "SCCRP"),
    ("established", "SCCCN"),
    ("established", "StopCCN"),
];

/// RFC 2661 section 7.4.1.
const INCOMING_CALL_LAC: &[Pair] = &[
    ("idle", "ready to indicate incoming call"),
    ("idle", "ICCN"),
    ("idle", "ICRP"),
    ("idle", "CDN"),
    ("wait-tunnel", "local close request"),
    ("wait-tunnel", "tunnel-open"),
    ("wait-reply", "ICRP, acceptable"),
    ("wait-reply", "ICRP, not acceptable"),
    ("wait-reply", "ICRQ"),
    ("wait-reply", "CDN"),
    ("wait-reply", "ICCN"),
    ("wait-reply", "local close request"),
    ("established", "CDN"),
    ("established", "ICRQ"),
    ("established", "ICRP"),
    ("established", "ICCN"),
    ("established", "local close request"),
];

/// RFC 2661 section 7.4.2.
const INCOMING_CALL_LNS: &[Pair] = &[
    ("idle", "ICRQ, acceptable"),
    ("idle", "ICRQ, not acceptable"),
    ("idle", "ICRP"),
    ("idle", "ICCN"),
    ("idle", "CDN"),
    ("wait-connect", "ICCN, acceptable"),
    ("wait-connect", "ICCN, not acceptable"),
    ("wait-connect", "ICRQ"),
    ("wait-connect", "ICRP"),
    ("wait-connect", "CDN"),
    ("wait-connect", "local close request"),
    ("established", "CDN"),
    ("established", "ICRQ"),
    ("established", "ICRP"),
    ("established", "ICCN"),
    ("established", "local close request"),
];

/// RFC 2661 section 7.5.1, of which nothing but idle is ever reached: there is
/// no bearer to place a call on, so no OCRQ is acceptable.
const OUTGOING_CALL_LAC: &[Pair] = &[
    ("idle", "OCRQ, not acceptable"),
    ("idle", "OCRP"),
    ("idle", "OCCN"),
    ("idle", "CDN"),
];

/// RFC 2661 section 7.5.2, of which nothing but idle is ever reached: we ask
/// for no such call.
const OUTGOING_CALL_LNS: &[Pair] = &[("idle", "OCRP"), ("idle", "OCCN"), ("idle", "CDN")];

/// A row: what is sent, and the state after.
struct Row {
    pair: Pair,
    make: Box<dyn Fn() -> Script>,
    act: Box<dyn Fn(&mut Script)>,
    sent: Vec<MessageType>,
    next: &'static str,
}

fn row(
    pair: Pair,
    make: impl Fn() -> Script + 'static,
    act: impl Fn(&mut Script) + 'static,
    sent: &[MessageType],
    next: &'static str,
) -> Row {
    Row {
        pair,
        make: Box::new(make),
        act: Box::new(act),
        sent: sent.to_vec(),
        next,
    }
}

/// Of the control connection: a closed one that lingers is idle to the RFC.
fn tunnel_state(script: &Script) -> &'static str {
    let states = script.endpoint.tunnels();
    let mut states = states.filter_map(|tunnel| Some(script.endpoint.tunnel(tunnel)?.state));
    match states.find(|&state| state != TunnelState::Closed) {
        None | Some(TunnelState::Closed) => "idle",
        Some(TunnelState::WaitReply) => "wait-ctl-reply",
        Some(TunnelState::WaitConnect) => "wait-ctl-conn",
        Some(TunnelState::Established) => "established",
    }
}

fn only_call(script: &Script) -> Option<CallId> {
    (1..10)
        .map(CallId)
        .find(|&call| script.endpoint.call(call).is_some())
}

/// Of the only call. The RFC's wait-reply ends when ICCN is sent, and its idle
/// of an LNS when ICRP is.
fn call_state(script: &Script) -> &'static str {
    let state = only_call(script).and_then(|call| script.endpoint.call(call));
    match state.map(|call| call.state) {
        None | Some(CallState::Offered) => "idle",
        Some(CallState::WaitTunnel) => "wait-tunnel",
        Some(CallState::WaitReply | CallState::Answered) => "wait-reply",
        Some(CallState::WaitConnect) => "wait-connect",
        Some(CallState::Established) => "established",
    }
}

/// Takes every row, and counts what was taken against the RFC's table.
fn take(name: &str, table: &[Pair], rows: Vec<Row>, state: fn(&Script) -> &'static str) {
    let mut taken = BTreeSet::new();
    for row in rows {
        let mut script = (row.make)();
        script.messages();
        assert_eq!(state(&script), row.pair.0, "{name}: before {:?}", row.pair);
        (row.act)(&mut script);
        let sent: Vec<_> = script.messages().iter().map(Message::kind).collect();
        assert_eq!(sent, row.sent, "{name}: {:?}", row.pair);
        assert_eq!(state(&script), row.next, "{name}: after {:?}", row.pair);
        assert!(taken.insert(row.pair), "{name}: {:?} twice", row.pair);
    }
    let wanted: BTreeSet<Pair> = table.iter().copied().collect();
    let missed: Vec<_> = wanted.symmetric_difference(&taken).collect();
    assert!(missed.is_empty(), "{name}: not the RFC's rows: {missed:?}");
    println!("{name}: {} of {} pairs taken", taken.len(), table.len());
}

fn listening() -> Script {
    Script::new(vec![incoming("")])
}

fn other_version(kind: MessageType) -> Message {
    let version = ProtocolVersion {
        version: 2,
        revision: 0,
    };
    let name = "remote";
    let attributes = start(kind, name, Vec::new()).attributes().to_vec();
    let other = attributes.into_iter().map(|attribute| match attribute {
        Attribute::ProtocolVersion(_) => Attribute::ProtocolVersion(version),
        other => other,
    });
    message(kind, other.collect())
}

fn says(kind: MessageType) -> impl Fn(&mut Script) {
    move |script| script.say(0, &whole_message(kind))
}

#[test]
fn the_control_connection_takes_every_row_of_section_7_2_1() {
    use MessageType::{Icrq, Scccn, Sccrp, Sccrq, StopCcn};
    let (reply, conn, up) = ("wait-ctl-reply", "wait-ctl-conn", "established");
    let wait_reply = || in_tunnel_state(TunnelState::WaitReply);
    let wait_conn = || in_tunnel_state(TunnelState::WaitConnect);
    let established = || in_tunnel_state(TunnelState::Established);
    let in_tie = || {
        let at_home = Incoming {
            listen: Vec::new(),
            ..incoming("")
        };
        let mut script = Script::new(vec![at_home]);
        (script.local, script.peer) = (LAC, LNS);
        let dial = Dial {
            tie_breaker: true,
            ..dial("")
        };
        script.endpoint.dial(script.now, dial);
        script
    };
    let wait_conn_with_secret = || {
        let mut script = Script::new(vec![incoming("test")]);
        script.request(Vec::new());
        script
    };
    let mut rows = vec![
        row(
            ("idle", "local open request"),
            listening,
            |script| {
                script.endpoint.dial(script.now, dial(""));
            },
            &[Sccrq],
            reply,
        ),
        row(
            ("idle", "SCCRQ, acceptable"),
            listening,
            |script| script.say(0, &start(Sccrq, "remote", Vec::new())),
            &[Sccrp],
            conn,
        ),
        row(
            ("idle", "SCCRQ, not acceptable"),
            listening,
            |script| script.say(0, &other_version(Sccrq)),
            &[StopCcn],
            "idle",
        ),
        // The RFC has us send StopCCN, which would answer whoever invents
        // addresses: what is for no tunnel gets no answer.
        row(("idle", "SCCRP"), listening, says(Sccrp), &[], "idle"),
        row(("idle", "SCCCN"), listening, says(Scccn), &[], "idle"),
        row(("idle", "StopCCN"), listening, says(StopCcn), &[], "idle"),
        row(
            (reply, "SCCRP, acceptable"),
            wait_reply,
            |script| script.say(0, &start(Sccrp, "head", Vec::new())),
            &[Scccn],
            up,
        ),
        row(
            (reply, "SCCRP, not acceptable"),
            wait_reply,
            |script| script.say(0, &other_version(Sccrp)),
            &[StopCcn],
            "idle",
        ),
        // Clean up and take the SCCRQ as if idle.
        row(
            (reply, "SCCRQ, lose tie-breaker"),
            in_tie,
            |script| {
                let wins = vec![Attribute::TieBreaker(0)];
                script.say(0, &start(Sccrq, "remote", wins));
            },
            &[Sccrp],
            conn,
        ),
        row(
            (reply, "SCCCN"),
            wait_reply,
            says(Scccn),
            &[StopCcn],
            "idle",
        ),
        row((reply, "StopCCN"), wait_reply, says(StopCcn), &[], "idle"),
        row((conn, "SCCCN, acceptable"), wait_conn, says(Scccn), &[], up),
        row(
            (conn, "SCCCN, not acceptable"),
            wait_conn_with_secret,
            |script| script.say(0, &message(Scccn, Vec::new())),
            &[StopCcn],
            "idle",
        ),
        row((conn, "SCCRP"), wait_conn, says(Sccrp), &[StopCcn], "idle"),
        row((conn, "SCCRQ"), wait_conn, says(Sccrq), &[StopCcn], "idle"),
        row((conn, "StopCCN"), wait_conn, says(StopCcn), &[], "idle"),
        row(
            (up, "local open request"),
            established,
            |script| {
                let tunnel = script.endpoint.tunnels().next().unwrap();
                let call = script.endpoint.place_call(script.now, tunnel, Vec::new());
                let state = script.endpoint.call(call).map(|call| call.state);
                assert_eq!(
                    state,
                    Some(CallState::WaitReply),
                    "the tunnel is open to it"
                );
            },
            &[Icrq],
            up,
        ),
        row(
            (up, "administrative tunnel close"),
            established,
            |script| {
                let tunnel = script.endpoint.tunnels().next().unwrap();
                script.endpoint.close_tunnel(script.now, tunnel, shutdown());
            },
            &[StopCcn],
            "idle",
        ),
    ];
    for (event, kind) in [("SCCRQ", Sccrq), ("SCCRP", Sccrp), ("SCCCN", Scccn)] {
        rows.push(row(
            (up, event),
            established,
            says(kind),
            &[StopCcn],
            "idle",
        ));
    }
    rows.push(row(
        (up, "StopCCN"),
        established,
        says(StopCcn),
        &[],
        "idle",
    ));
    take("7.2.1", CONTROL_CONNECTION, rows, tunnel_state);
}

/// The only call's id on the wire.
fn session_of(script: &Script) -> u16 {
    let call = only_call(script).and_then(|call| script.endpoint.call(call));
    call.map_or(0x7777, |call| call.local_id)
}

/// The peer says something of the only call, or of none.
fn says_of_call(kind: MessageType) -> impl Fn(&mut Script) {
    move |script| {
        let session = session_of(script);
        script.say(session, &whole_message(kind));
    }
}

/// The same with an AVP that must be understood and is not.
fn says_badly(good: Message) -> impl Fn(&mut Script) {
    move |script| {
        let session = match good.kind() {
            MessageType::Icrq => 0,
            _ => session_of(script),
        };
        let unknown = [0x80, 6, 0, 0, 0x77, 0x77];
        script.say_body(session, &[&good.encode()[..], &unknown].concat());
    }
}

fn hangs_up(script: &mut Script) {
    let call = only_call(script).unwrap();
    script.endpoint.close_call(script.now, call, hang_up());
}

/// The rows that both ends have in common.
fn of_an_established_call(established: fn() -> Script) -> Vec<Row> {
    use MessageType::{Cdn, Iccn, Icrp, Icrq};
    let up = |event| ("established", event);
    vec![
        row(up("CDN"), established, says_of_call(Cdn), &[], "idle"),
        row(up("ICRQ"), established, says_of_call(Icrq), &[Cdn], "idle"),
        row(up("ICRP"), established, says_of_call(Icrp), &[Cdn], "idle"),
        row(up("ICCN"), established, says_of_call(Iccn), &[Cdn], "idle"),
        row(
            up("local close request"),
            established,
            hangs_up,
            &[Cdn],
            "idle",
        ),
    ]
}

#[test]
fn an_incoming_call_at_the_lac_takes_every_row_of_section_7_4_1() {
    use MessageType::{Cdn, Iccn, Icrp, Icrq, Scccn};
    let (tunnel, reply, up) = ("wait-tunnel", "wait-reply", "established");
    let idle = || Script::established_by_dialling().0;
    let wait_tunnel = || {
        let (mut script, tunnel, _) = Script::dialling(dial(""));
        script.endpoint.place_call(script.now, tunnel, Vec::new());
        script
    };
    let wait_reply = || {
        let (mut script, _) = in_call_state(CallState::WaitReply);
        // The ICRQ is acknowledged, so that what follows may leave.
        script.say(0, &message(MessageType::Hello, Vec::new()));
        script
    };
    let established = || {
        let (mut script, _) = in_call_state(CallState::Answered);
        let call = only_call(&script).unwrap();
        script.endpoint.connect_call(script.now, call);
        script
    };
    let accept = |script: &mut Script| {
        let session = session_of(script);
        script.say(session, &icrp());
        let call = only_call(script).unwrap();
        script.endpoint.connect_call(script.now, call);
    };
    let mut rows = vec![
        row(
            ("idle", "ready to indicate incoming call"),
            || Script::dialling(dial("")).0,
            |script| {
                let tunnel = script.endpoint.tunnels().next().unwrap();
                script.endpoint.place_call(script.now, tunnel, Vec::new());
            },
            &[],
            tunnel,
        ),
        // There is no call to clean up: the peer is told so.
        row(("idle", "ICCN"), idle, says_of_call(Iccn), &[Cdn], "idle"),
        row(("idle", "ICRP"), idle, says_of_call(Icrp), &[Cdn], "idle"),
        row(("idle", "CDN"), idle, says_of_call(Cdn), &[], "idle"),
        row(
            (tunnel, "local close request"),
            wait_tunnel,
            hangs_up,
            &[],
            "idle",
        ),
        row(
            (tunnel, "tunnel-open"),
            wait_tunnel,
            |script| script.say(0, &start(MessageType::Sccrp, "head", Vec::new())),
            &[Scccn, Icrq],
            reply,
        ),
        row((reply, "ICRP, acceptable"), wait_reply, accept, &[Iccn], up),
        row(
            (reply, "ICRP, not acceptable"),
            wait_reply,
            says_badly(icrp()),
            &[Cdn],
            "idle",
        ),
        row(
            (reply, "ICRQ"),
            wait_reply,
            says_of_call(Icrq),
            &[Cdn],
            "idle",
        ),
        row((reply, "CDN"), wait_reply, says_of_call(Cdn), &[], "idle"),
        row((reply, "ICCN"), wait_reply, says_of_call(Iccn), &[], "idle"),
        row(
            (reply, "local close request"),
            wait_reply,
            hangs_up,
            &[Cdn],
            "idle",
        ),
    ];
    rows.extend(of_an_established_call(established));
    take("7.4.1", INCOMING_CALL_LAC, rows, call_state);
}

#[test]
fn an_incoming_call_at_the_lns_takes_every_row_of_section_7_4_2() {
    use MessageType::{Cdn, Iccn, Icrp, Icrq};
    let (connect, up) = ("wait-connect", "established");
    let wait_connect = || in_call_state(CallState::WaitConnect).0;
    let established = || in_call_state(CallState::Established).0;
    let accept = |script: &mut Script| {
        script.say(0, &icrq(PEER_SESSION));
        script.messages();
        let call = only_call(script).unwrap();
        script.endpoint.accept_call(script.now, call, Vec::new());
    };
    let mut rows = vec![
        row(
            ("idle", "ICRQ, acceptable"),
            Script::established,
            accept,
            &[Icrp],
            connect,
        ),
        row(
            ("idle", "ICRQ, not acceptable"),
            Script::established,
            says_badly(icrq(PEER_SESSION)),
            &[Cdn],
            "idle",
        ),
        row(
            ("idle", "ICRP"),
            Script::established,
            says_of_call(Icrp),
            &[Cdn],
            "idle",
        ),
        row(
            ("idle", "ICCN"),
            Script::established,
            says_of_call(Iccn),
            &[Cdn],
            "idle",
        ),
        row(
            ("idle", "CDN"),
            Script::established,
            says_of_call(Cdn),
            &[],
            "idle",
        ),
        row(
            (connect, "ICCN, acceptable"),
            wait_connect,
            says_of_call(Iccn),
            &[],
            up,
        ),
        row(
            (connect, "ICCN, not acceptable"),
            wait_connect,
            says_badly(iccn()),
            &[Cdn],
            "idle",
        ),
        row(
            (connect, "ICRQ"),
            wait_connect,
            says_of_call(Icrq),
            &[Cdn],
            "idle",
        ),
        row(
            (connect, "ICRP"),
            wait_connect,
            says_of_call(Icrp),
            &[Cdn],
            "idle",
        ),
        row(
            (connect, "CDN"),
            wait_connect,
            says_of_call(Cdn),
            &[],
            "idle",
        ),
        row(
            (connect, "local close request"),
            wait_connect,
            hangs_up,
            &[Cdn],
            "idle",
        ),
    ];
    rows.extend(of_an_established_call(established));
    take("7.4.2", INCOMING_CALL_LNS, rows, call_state);
}

#[test]
fn outgoing_calls_are_refused_in_the_rows_of_section_7_5_that_there_are() {
    use MessageType::{Cdn, Occn, Ocrp, Ocrq};
    let rows_of_both = |idle: fn() -> Script| {
        vec![
            row(("idle", "OCRP"), idle, says_of_call(Ocrp), &[Cdn], "idle"),
            row(("idle", "OCCN"), idle, says_of_call(Occn), &[Cdn], "idle"),
            row(("idle", "CDN"), idle, says_of_call(Cdn), &[], "idle"),
        ]
    };
    let as_lac: fn() -> Script = || Script::established_by_dialling().0;
    let mut rows = rows_of_both(as_lac);
    let refused = ("idle", "OCRQ, not acceptable");
    rows.push(row(refused, as_lac, says(Ocrq), &[Cdn], "idle"));
    take("7.5.1", OUTGOING_CALL_LAC, rows, call_state);
    let as_lns: fn() -> Script = Script::established;
    take("7.5.2", OUTGOING_CALL_LNS, rows_of_both(as_lns), call_state);
}
