use super::*;

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

/// The table of RFC 1661 4.1, row by row and column by column, with the marks
/// r, p and x as printed there.
const RFC_1661_4_1: &str = "
 Up    2      irc,scr/6  -      -               -      -      -          -          -          -
 Down  -      -          0      tls/1           0      1      1          1          1          tld/1
 Open  tls/1  1          irc,scr/6  3r          5r     5r     6          7          8          9r
 Close 0      tlf/0      2      2               4      4      irc,str/4  irc,str/4  irc,str/4  tld,irc,str/4
 TO+   -      -          -      -               str/4  str/5  scr/6      scr/6      scr/8      -
 TO-   -      -          -      -               tlf/2  tlf/3  tlf/3p     tlf/3p     tlf/3p     -
 RCR+  -      -          sta/2  irc,scr,sca/8   4      5      sca/8      sca,tlu/9  sca/8      tld,scr,sca/8
 RCR-  -      -          sta/2  irc,scr,scn/6   4      5      scn/6      scn/7      scn/6      tld,scr,scn/6
 RCA   -      -          sta/2  sta/3           4      5      irc/7      scr/6x     irc,tlu/9  tld,scr/6x
 RCN   -      -          sta/2  sta/3           4      5      irc,scr/6  scr/6x     irc,scr/8  tld,scr/6x
 RTR   -      -          sta/2  sta/3           sta/4  sta/5  sta/6      sta/6      sta/6      tld,zrc,sta/5
 RTA   -      -          2      3               tlf/2  tlf/3  6          6          8          tld,scr/6
 RUC   -      -          scj/2  scj/3           scj/4  scj/5  scj/6      scj/7      scj/8      scj/9
 RXJ+  -      -          2      3               4      5      6          6          8          9
 RXJ-  -      -          tlf/2  tlf/3           tlf/2  tlf/3  tlf/3      tlf/3      tlf/3      tld,irc,str/5
 RXR   -      -          2      3               4      5      6          7          8          ser/9
";

fn event(name: &str) -> Event {
    match name {
        "Up" => Event::Up,
        "Down" => Event::Down,
        "Open" => Event::Open,
        "Close" => Event::Close,
        "TO+" => Event::TimeoutPlus,
        "TO-" => Event::TimeoutMinus,
        "RCR+" => Event::RcrPlus,
        "RCR-" => Event::RcrMinus,
        "RCA" => Event::Rca,
        "RCN" => Event::Rcn,
        "RTR" => Event::Rtr,
        "RTA" => Event::Rta,
        "RUC" => Event::Ruc,
        "RXJ+" => Event::RxjPlus,
        "RXJ-" => Event::RxjMinus,
        "RXR" => Event::Rxr,
        other => panic!("no such event: {other}"),
    }
}

/// An entry in the table's notation.
fn entry(transition: Option<Transition>) -> String {
    let Some((actions, next)) = transition else {
        return "-".to_owned();
    };
    let actions: Vec<_> = actions
        .iter()
        .map(|a| format!("{a:?}").to_lowercase())
        .collect();
    let next = STATES.iter().position(|s| *s == next).unwrap();
    if actions.is_empty() {
        next.to_string()
    } else {
        format!("{}/{next}", actions.join(","))
    }
}

#[test]
fn every_entry_is_that_of_the_rfc() {
    let mut checked = 0;
    for row in RFC_1661_4_1.lines().filter(|row| !row.trim().is_empty()) {
        let mut columns = row.split_whitespace();
        let name = columns.next().unwrap();
        let columns: Vec<_> = columns.collect();
        assert_eq!(columns.len(), STATES.len(), "{name}");
        for (state, expected) in STATES.into_iter().zip(columns) {
            let expected = expected.trim_end_matches(['r', 'p', 'x']);
            assert_eq!(
                entry(transition(state, event(name))),
                expected,
                "{state:?} {name}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 160);
}

#[test]
fn the_timer_runs_where_the_rfc_says() {
    let running: Vec<_> = STATES.into_iter().filter(|s| s.has_timer()).collect();
    assert_eq!(
        running,
        [
            State::Closing,
            State::Stopping,
            State::ReqSent,
            State::AckRcvd,
            State::AckSent
        ]
    );
}
