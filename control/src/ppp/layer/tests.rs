use std::collections::HashSet;
use std::net::Ipv4Addr;

use super::super::Wanted;
use super::super::ipcp::Ipcp;
use super::super::packet::{protocol, split};
use super::*;

const T0: Duration = Duration::from_secs(100);

const STATES: [State; 10] = [
    State::Initial,
    State::Starting,
    State::Closed,
    State::Stopped,
    State::Closing,
    State::Stopping,
    State::ReqSent,
    State::AckRcvd,
    State::AckSent,
    State::Opened,
];

/// A protocol with one option, 7, that is granted when it is empty.
struct Stub;

impl Negotiator for Stub {
    const PROTOCOL: u16 = 0x8099;
    const LAST_CODE: u8 = code::TIME_REMAINING;
    const UP_FIRST: bool = false;

    fn request(&self) -> Vec<u8> {
        vec![7, 2]
    }
    fn judge(&mut self, option: &ConfigOption<'_>) -> Verdict {
        if option.data.is_empty() {
            Verdict::Ack
        } else {
            Verdict::Nak(Vec::new())
        }
    }
    fn missing(&self, _: &[ConfigOption<'_>]) -> Vec<u8> {
        Vec::new()
    }
    fn acknowledged(&mut self, _: &[ConfigOption<'_>]) {}
    fn naked(&mut self, _: &[ConfigOption<'_>]) {}
    fn rejected(&mut self, _: &[ConfigOption<'_>]) {}
    fn restart(&mut self) {}
    fn echo_reply(&self, request: &[u8]) -> Vec<u8> {
        request.to_vec()
    }
}

type Stubbed = Layer<Stub>;

fn receive(layer: &mut Stubbed, code: u8, id: u8, data: &[u8]) {
    layer.receive(T0, Packet { code, id, data });
}

/// A Configure-Ack, or whatever `code` is, to the last request.
fn answer(layer: &mut Stubbed, code: u8) {
    let id = layer.pending.as_ref().map_or(0, |pending| pending.id);
    receive(layer, code, id, &[7, 2]);
}

/// A layer brought into a state by what would bring it there.
fn layer_in(state: State) -> Stubbed {
    let mut layer = Layer::new(Stub, Timers::default(), 40);
    if matches!(state, State::Initial | State::Starting) {
        if state == State::Starting {
            layer.fire(T0, Event::Open, Cause::default());
        }
        layer.effects.clear();
        return layer;
    }
    if state == State::Closed {
        layer.fire(T0, Event::Up, Cause::default());
        return layer;
    }
    layer.open(T0);
    match state {
        State::AckRcvd => answer(&mut layer, code::CONFIGURE_ACK),
        State::AckSent => receive(&mut layer, code::CONFIGURE_REQUEST, 1, &[7, 2]),
        State::Opened | State::Stopping => {
            receive(&mut layer, code::CONFIGURE_REQUEST, 1, &[7, 2]);
            answer(&mut layer, code::CONFIGURE_ACK);
        }
        State::Closing => layer.close(T0, "bye".into()),
        State::Stopped => layer.fire(T0, Event::RxjMinus, Cause::default()),
        _ => {}
    }
    if state == State::Stopping {
        layer.rejected_for_good(T0);
    }
    assert_eq!(layer.state(), state);
    layer.effects.clear();
    layer
}

/// What a layer did, in the notation of RFC 1661 4.1; `irc` and `zrc` are not seen from outside.
fn done(layer: &mut Stubbed) -> String {
    let mut actions = Vec::new();
    while let Some(effect) = layer.next_effect() {
        actions.push(match effect {
            Effect::Up => "tlu",
            Effect::Down => "tld",
            Effect::Finished => "tlf",
            Effect::Frame(frame) => match split(&frame).unwrap().1[0] {
                1 => "scr",
                2 => "sca",
                3 | 4 => "scn",
                5 => "str",
                6 => "sta",
                7 => "scj",
                10 => "ser",
                other => panic!("code {other}"),
            },
        });
    }
    let state = STATES
        .iter()
        .position(|state| *state == layer.state())
        .unwrap();
    format!("{}/{state}", actions.join(","))
}

/// What the table says should be seen.
fn expected(state: State, event: Event) -> String {
    let (actions, next) = transition(state, event).unwrap_or((&[], state));
    let seen = actions
        .iter()
        .filter(|a| !matches!(a, Action::Irc | Action::Zrc | Action::Tls));
    let seen: Vec<_> = seen.map(|a| format!("{a:?}").to_lowercase()).collect();
    let next = STATES.iter().position(|state| *state == next).unwrap();
    format!("{}/{next}", seen.join(","))
}

/// Brings about an event by what brings it about in life.
fn cause(layer: &mut Stubbed, event: Event) {
    match event {
        Event::Up | Event::Open => layer.fire(T0, event, Cause::default()),
        Event::Down => layer.lower_layer_down(T0),
        Event::Close => layer.close(T0, String::new()),
        Event::TimeoutPlus | Event::TimeoutMinus => {
            layer.restart_counter = u32::from(event == Event::TimeoutPlus);
            layer.handle_timeout(T0 + Timers::default().restart);
        }
        Event::RcrPlus => receive(layer, code::CONFIGURE_REQUEST, 9, &[7, 2]),
        Event::RcrMinus => receive(layer, code::CONFIGURE_REQUEST, 9, &[7, 3, 0]),
        Event::Rca => answer(layer, code::CONFIGURE_ACK),
        Event::Rcn => answer(layer, code::CONFIGURE_NAK),
        Event::Rtr => receive(layer, code::TERMINATE_REQUEST, 9, b"bye"),
        Event::Rta => receive(layer, code::TERMINATE_ACK, 9, &[]),
        Event::Ruc => receive(layer, 99, 9, &[1, 2, 3]),
        Event::RxjPlus => receive(layer, code::CODE_REJECT, 9, &[12, 1, 0, 4]),
        Event::RxjMinus => receive(layer, code::CODE_REJECT, 9, &[1, 1, 0, 4]),
        Event::Rxr => receive(layer, code::ECHO_REQUEST, 9, &[0; 4]),
    }
}

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    use Event::*;
    let events = [
        Up,
        Down,
        Open,
        Close,
        TimeoutPlus,
        TimeoutMinus,
        RcrPlus,
        RcrMinus,
        Rca,
        Rcn,
        Rtr,
        Rta,
        Ruc,
        RxjPlus,
        RxjMinus,
        Rxr,
    ];
    let mut taken = HashSet::new();
    for state in STATES {
        for event in events {
            let mut layer = layer_in(state);
            cause(&mut layer, event);
            taken.extend(layer.taken.iter().copied());
            // An Ack or Nak that answers no request of ours does nothing:
            // with the request answered, none is outstanding.
            let spent = matches!((state, event), (State::AckRcvd | State::Opened, Rca | Rcn));
            let expected = if spent {
                format!("/{}", STATES.iter().position(|s| *s == state).unwrap())
            } else {
                expected(state, event)
            };
            assert_eq!(done(&mut layer), expected, "{state:?} {event:?}");
            assert_eq!(
                layer.deadline().is_some(),
                layer.state().has_timer(),
                "{state:?} {event:?}"
            );
            // A request that gets no answer of its own is not judged: RCR+
            // and RCR- are one there.
            let unjudged = matches!(
                (state, event),
                (State::Closed | State::Closing | State::Stopping, RcrMinus)
            );
            if spent || unjudged {
                // What no packet brings about: the table is followed all the same.
                let mut layer = layer_in(state);
                layer.fire(T0, event, Cause::default());
                taken.extend(layer.taken.iter().copied());
                assert_eq!(done(&mut layer), self::expected(state, event));
            }
        }
    }
    let possible = |pair: &(State, Event)| transition(pair.0, pair.1).is_some();
    let pairs = STATES
        .into_iter()
        .flat_map(|state| events.map(|event| (state, event)));
    let possible: HashSet<_> = pairs.filter(possible).collect();
    assert_eq!(
        possible.len(),
        120,
        "the pairs of the table that are no \"-\""
    );
    assert_eq!(taken, possible);
}

#[test]
fn the_counters_are_those_of_the_timers() {
    for (mut layer, code, times) in [
        (layer_in(State::ReqSent), code::CONFIGURE_REQUEST, 10),
        (layer_in(State::Closing), code::TERMINATE_REQUEST, 2),
    ] {
        let mut sent = vec![0]; // when the first was sent, before the helper cleared it
        while let Some(at) = layer.deadline() {
            layer.handle_timeout(at);
            while let Some(effect) = layer.next_effect() {
                match effect {
                    Effect::Frame(frame) => {
                        assert_eq!(
                            frame[2..4],
                            [code, if code == 1 { 40 } else { 41 }],
                            "same content, same id"
                        );
                        sent.push((at - T0).as_secs());
                    }
                    Effect::Finished => assert_eq!((at - T0).as_secs(), 3 * times),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(sent, (0..times).map(|n| 3 * n).collect::<Vec<_>>());
    }
}

#[test]
fn a_terminate_request_leaves_the_peer_one_restart_time() {
    let mut layer = layer_in(State::Opened);
    cause(&mut layer, Event::Rtr);
    assert_eq!(done(&mut layer), "tld,sta/5");
    layer.handle_timeout(T0 + Duration::from_secs(3));
    assert_eq!(done(&mut layer), "tlf/3");
}

#[test]
fn acks_must_fit_the_request_octet_for_octet() {
    for (id, data) in [
        (41, &[7, 2][..]),
        (40, &[7, 3, 0]),
        (40, &[]),
        (40, &[7, 2, 7, 2]),
        (40, &[7]),
    ] {
        let mut layer = layer_in(State::ReqSent);
        receive(&mut layer, code::CONFIGURE_ACK, id, data);
        assert_eq!(done(&mut layer), "/6", "{id} {data:?}");
    }
    for data in [&[][..], &[8, 2], &[7, 3, 0], &[7, 2, 7, 2], &[7, 1]] {
        let mut layer = layer_in(State::ReqSent);
        receive(&mut layer, code::CONFIGURE_REJECT, 40, data);
        assert_eq!(done(&mut layer), "/6", "{data:?}");
    }
}

#[test]
fn malformed_options_are_silently_discarded() {
    for data in [&[7][..], &[7, 0], &[7, 1], &[7, 3], &[7, 2, 7]] {
        for code in [
            code::CONFIGURE_REQUEST,
            code::CONFIGURE_NAK,
            code::CONFIGURE_REJECT,
        ] {
            let mut layer = layer_in(State::ReqSent);
            receive(&mut layer, code, 40, data);
            assert_eq!(done(&mut layer), "/6", "{data:?}");
        }
    }
}

#[test]
fn naks_turn_into_rejects_after_max_failure() {
    let mut layer = layer_in(State::ReqSent);
    let mut codes = Vec::new();
    for id in 0..8 {
        // The retransmission of each is answered alike, and not counted.
        for _ in 0..3 {
            receive(&mut layer, code::CONFIGURE_REQUEST, id, &[7, 3, 0]);
            let Some(Effect::Frame(frame)) = layer.next_effect() else {
                panic!()
            };
            codes.push(frame[2]);
        }
    }
    assert_eq!(
        codes,
        [
            [code::CONFIGURE_NAK; 15].as_slice(),
            &[code::CONFIGURE_REJECT; 9]
        ]
        .concat()
    );
}

#[test]
fn a_peer_that_naks_for_ever_is_noticed() {
    let mut layer = layer_in(State::ReqSent);
    let mut naks = 0;
    while !layer.diverges() {
        answer(&mut layer, code::CONFIGURE_NAK);
        naks += 1;
        assert!(naks < 20);
    }
    assert_eq!(naks, 11);

    // An Ack in between, and the count begins anew.
    let mut layer = layer_in(State::ReqSent);
    for _ in 0..10 {
        answer(&mut layer, code::CONFIGURE_NAK);
    }
    answer(&mut layer, code::CONFIGURE_ACK);
    layer.handle_timeout(T0 + Timers::default().restart);
    answer(&mut layer, code::CONFIGURE_NAK);
    assert!(!layer.diverges());
}

#[test]
fn a_lost_ack_is_repeated_without_leaving_opened_but_not_for_ever() {
    let mut layer = layer_in(State::Opened);
    for _ in 0..MAX_REPEATED_ACKS {
        receive(&mut layer, code::CONFIGURE_REQUEST, 1, &[7, 2]);
        assert_eq!(done(&mut layer), "sca/9");
    }
    receive(&mut layer, code::CONFIGURE_REQUEST, 1, &[7, 2]);
    assert_eq!(done(&mut layer), "tld,scr,sca/8");
}

#[test]
fn rejects_and_echoes_fit_the_peers_mru() {
    let mut layer = layer_in(State::Opened);
    layer.peer_mru = 128;
    let long: Vec<u8> = (0..200).collect();
    receive(&mut layer, 99, 3, &long);
    receive(&mut layer, code::ECHO_REQUEST, 4, &long);
    receive(&mut layer, code::ECHO_REQUEST, 5, &long[..3]);
    let Some(Effect::Frame(reject)) = layer.next_effect() else {
        panic!()
    };
    let (_, reject) = split(&reject)
        .map(|(p, i)| (p, Packet::parse(i).unwrap().data.to_vec()))
        .unwrap();
    assert_eq!(reject, [&[99, 3, 0, 204][..], &long[..120]].concat());
    let Some(Effect::Frame(reply)) = layer.next_effect() else {
        panic!()
    };
    assert_eq!(reply[2..6], [code::ECHO_REPLY, 4, 0, 128]);
    assert_eq!(reply[6..], long[..124]);
    assert_eq!(
        layer.next_effect(),
        None,
        "an echo without a magic number is none"
    );
}

#[test]
fn up_is_told_before_the_ack_where_the_protocol_wants_it() {
    let mut layer = Layer::new(
        Ipcp::client(Ipv4Addr::LOCALHOST, Wanted::default()),
        Timers::default(),
        0,
    );
    layer.open(T0);
    let own = [3, 6, 127, 0, 0, 1];
    layer.receive(
        T0,
        Packet {
            code: code::CONFIGURE_ACK,
            id: 0,
            data: &own,
        },
    );
    layer.receive(
        T0,
        Packet {
            code: code::CONFIGURE_REQUEST,
            id: 8,
            data: &[3, 6, 10, 0, 0, 1],
        },
    );
    let effects: Vec<_> = std::iter::from_fn(|| layer.next_effect()).collect();
    assert_eq!(
        effects,
        [
            Effect::Frame(frame(protocol::IPCP, code::CONFIGURE_REQUEST, 0, &own)),
            Effect::Up,
            Effect::Frame(frame(
                protocol::IPCP,
                code::CONFIGURE_ACK,
                8,
                &[3, 6, 10, 0, 0, 1]
            )),
        ]
    );
}
