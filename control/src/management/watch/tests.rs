use super::*;
use crate::management::status::{Alarm, Ordering, Port, RoundTrip, Session};

fn status() -> Status {
    Status {
        name: "head".to_owned(),
        version: "0.1.0".to_owned(),
        uptime_s: 90_061,
        sets: vec![Set {
            name: "A".to_owned(),
            remote: "192.168.1.2".to_owned(),
            protection: Set::HA.to_owned(),
            members: vec!["remote.1".to_owned(), "remote.2".to_owned()],
            sent_packets: 1_234_567,
            ..Set::default()
        }],
        sessions: vec![
            Session {
                name: "remote.1".to_owned(),
                state: "up".into(),
                sent_packets: 7,
                round_trip: RoundTrip {
                    last_us: Some(20_450),
                    ..RoundTrip::default()
                },
                ..Session::default()
            },
            Session {
                name: "a-longer-name".to_owned(),
                state: "lcp".into(),
                sent_packets: 123_456,
                ..Session::default()
            },
        ],
        ports: vec![Port {
            name: "isp1".to_owned(),
            drops: [("no-route".to_owned(), 1500)].into(),
            ..Port::default()
        }],
        ..Status::default()
    }
}

#[test]
fn columns_line_up_and_numbers_are_grouped() {
    let text = render(&status(), None, false);
    assert!(
        text.starts_with("head  hal2tp 0.1.0  up 1d 01:01:01"),
        "{text}"
    );
    let rows: Vec<&str> = text.lines().collect();
    let links = rows
        .iter()
        .position(|row| row.starts_with("LINKS"))
        .unwrap();
    let end = |row: &str, what: &str| row.find(what).unwrap() + what.len();
    let sent = end(rows[links + 1], "sent");
    assert_eq!(end(rows[links + 2], " 7"), sent, "{text}");
    assert_eq!(end(rows[links + 3], "123 456"), sent, "{text}");
    assert!(rows[links + 2].contains("20.4"), "{text}");
    assert!(text.contains("1 234 567"), "{text}");
    assert!(text.contains("isp1: no-route 1 500"), "{text}");
    assert!(!text.contains('\x1b'), "no colours without a terminal");
}

#[test]
fn rates_come_from_two_looks() {
    let earlier = status();
    let mut now = status();
    now.sets[0].sent_packets += 10_000;
    let text = render(&now, Some((&earlier, Duration::from_secs(2))), false);
    let row = text
        .lines()
        .find(|row| row.contains("192.168.1.2"))
        .unwrap();
    assert!(row.contains("1 244 567  5 000"), "{row}");
    // A restarted appliance counts from zero again.
    now.sets[0].sent_packets = 5;
    let text = render(&now, Some((&earlier, Duration::from_secs(2))), false);
    assert!(
        text.lines().any(|row| row.contains("    5   -  ")),
        "{text}"
    );
}

#[test]
fn colours_do_not_move_the_columns() {
    let plain = render(&status(), None, false);
    let coloured = render(&status(), None, true);
    assert_ne!(plain, coloured);
    let mut stripped = coloured;
    for code in ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"] {
        stripped = stripped.replace(code, "");
    }
    assert_eq!(plain, stripped);
}

#[test]
fn an_alarm_stands_above_everything() {
    let mut status = status();
    status.sessions[0].ha = true;
    status.sessions[0].alarm = Some(Alarm {
        text: "nothing arrives, not even reports".to_owned(),
        for_s: 62,
    });
    let text = render(&status, None, false);
    let alarm = "ALARM  link remote.1: nothing arrives, not even reports, for 00:01:02";
    assert_eq!(text.lines().nth(2), Some(alarm), "{text}");
    assert!(text.contains("WHAT ARRIVED"), "{text}");
}

#[test]
fn a_drill_is_told_with_the_time_that_is_left() {
    let mut status = status();
    status.sessions[0].masked_for_s = Some(42);
    let text = render(&status, None, false);
    let drill = "DRILL  link remote.1: masked, 42 s left";
    assert_eq!(text.lines().nth(2), Some(drill), "{text}");
    let is_said = |text: &str| {
        let mut rows = text.lines().filter(|row| row.contains("remote.1 "));
        rows.any(|row| row.contains(" masked "))
    };
    assert!(is_said(&text), "{text}");
    let sessions = sessions(&status, false);
    assert!(is_said(&sessions), "{sessions}");
}

#[test]
fn an_alarm_that_tells_nobody_is_an_alarm() {
    let mut status = status();
    let notifier = Notifier {
        name: "pager".to_owned(),
        sent: 1200,
        failed: 1,
        last_error: Some("page-me: exit status: 3".to_owned()),
        ..Notifier::default()
    };
    status.alarms = vec![notifier];
    assert!(
        !render(&status, None, false).contains("pager"),
        "it has worked since"
    );
    status.alarms[0].failing = true;
    let text = render(&status, None, false);
    let alarm = "ALARM  alarm pager: page-me: exit status: 3 (1 200 told, 1 attempts failed, 0 events dropped, 0 wait)";
    assert_eq!(text.lines().nth(2), Some(alarm), "{text}");
    status.events.lost = 5;
    let text = render(&status, None, false);
    assert_eq!(
        text.lines().nth(2),
        Some("ALARM  5 events were lost"),
        "{text}"
    );
}

#[test]
fn sets_in_order_have_a_table() {
    let mut status = status();
    assert!(!render(&status, None, false).contains("ORDER"));
    status.sets[0].ordering = Some(Ordering {
        hold_us: 23_500,
        held_packets: 1234,
        late_packets: 5,
        ..Ordering::default()
    });
    let text = render(&status, None, false);
    let mut rows = text.lines().skip_while(|row| !row.starts_with("ORDER"));
    let row = rows.nth(2).unwrap();
    for cell in ["A", "192.168.1.2", "23.5", "1 234", "5"] {
        assert!(row.contains(cell), "{text}");
    }
}
