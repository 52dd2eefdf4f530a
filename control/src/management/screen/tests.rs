//! The screen as a terminal shows it, of a made-up appliance.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};

use super::*;
use crate::management::status::{Alarm, RoundTrip, Session, Set, Tunnel};

pub(super) const PLAIN: Look = Look {
    colours: false,
    unicode: true,
};

/// After so many seconds of 1000 packets each: one link is good, one loses 3 %, one takes 100 ms and then goes down.
pub(super) fn status(at_s: u64) -> Status {
    let link = |name: &str, lost: u64, latency_us: u64| Session {
        name: name.to_owned(),
        tunnel: format!("to-{name}"),
        set: Some("A".to_owned()),
        set_remote: Some("192.0.2.1".to_owned()),
        state: "up".into(),
        ha: true,
        sent_packets: 1000 * at_s,
        sent_octets: 1_000_000 * at_s,
        received_octets: 125_000 * at_s,
        unique_packets: (1000 - lost) * at_s,
        lost_packets: lost * at_s,
        wins: (1000 - lost) * at_s / 2,
        echo_sent: at_s,
        round_trip: RoundTrip {
            last_us: Some(latency_us),
            answered: at_s,
            total_us: latency_us * at_s,
            ..RoundTrip::default()
        },
        up_s: at_s,
        ..Session::default()
    };
    let mut late = link("late", 0, 100_000);
    if at_s > 15 {
        late.state = "dialling".into();
    }
    Status {
        name: "van".to_owned(),
        version: "0.1.0".to_owned(),
        uptime_s: at_s,
        sessions: vec![link("fine", 0, 20_000), link("lossy", 30, 30_000), late],
        sets: vec![Set {
            name: "A".to_owned(),
            remote: "192.0.2.1".to_owned(),
            protection: Set::HA.to_owned(),
            delivered_packets: 1000 * at_s,
            saved_packets: 77 * at_s,
            ..Set::default()
        }],
        tunnels: vec![Tunnel {
            name: "to-late".to_owned(),
            last_result: Some("the peer does not answer".to_owned()),
            ..Tunnel::default()
        }],
        ..Status::default()
    }
}

/// The screen when it has looked at each of these.
pub(super) fn screen(look: Look, statuses: impl IntoIterator<Item = Status>) -> Screen {
    let asker = Asker::new(PathBuf::new());
    let mut screen = Screen::new(look);
    for status in statuses {
        screen.heard(asker.seen(status));
    }
    screen
}

fn drawn(screen: &mut Screen, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(screen, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The lines, without what is empty at their ends.
fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width).max(1);
    let symbols: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
    let lines = symbols.chunks(width);
    lines
        .map(|line| line.concat().trim_end().to_owned())
        .collect()
}

fn press(screen: &mut Screen, code: KeyCode) -> Wish {
    let key = KeyEvent::new(code, KeyModifiers::NONE);
    screen.react(Happening::Event(Event::Key(key)))
}

fn type_in(screen: &mut Screen, text: &str) {
    for letter in text.chars() {
        press(screen, KeyCode::Char(letter));
    }
}

#[test]
fn the_worst_stands_first_and_the_chosen_is_shown_whole() {
    let mut screen = screen(PLAIN, (0..=24).map(status));
    press(&mut screen, KeyCode::Down);
    press(&mut screen, KeyCode::Down);
    let expected = "\
van  hal2tp 0.1.0  up 00:00:24
▲ degraded; 3 links: 1 down, 1 bad, 1 good
  ○ link late: is dialling, the peer does not answer
  ✗ link lossy: loses 3.0 % of its packets
VERDICT    NAME             STATE      LOSS 1 min    RTT ms 1 min       IN   OUT
▲ degraded A 192.0.2.1      ha          0 %     ▁▁▁▁  saved 1.8k         0     0
○ down       late           dialling    0 %     ▁▁××  100.0     ██××  1.0M  8.0M
✗ bad        lossy          up        3.0 %     ▄▄▄▄   30.0     ▄▄▄▄  1.0M  8.0M
● good       fine           up          0 %     ▁▁▁▁   20.0     ▃▃▃▃  1.0M  8.0M





── lossy ───────────────────────────────────────────────────────────────────────
✗ bad: loses 3.0 % of its packets

of set A 192.0.2.1, tunnel to-lossy, up for 00:00:24
loss  3.0 %  720/24k echo 0/24                          ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄
rtt   30.0 / 30.0 / 30.0 ms                             ████████████████████████
in    1.0Mbit/s  0 packets/s                            ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂
out   8.0Mbit/s  1.0k packets/s                         ████████████████████████
skew  -, p99 -; wins 32.7 %, alone 0, lost 720 in all
3/4  q leave  ? help  / find  s by verdict  Enter detail";
    let text = lines(&drawn(&mut screen, 80, 24)).join("\n");
    assert_eq!(text, expected);
}

#[test]
fn no_size_is_too_small() {
    let mut screen = screen(PLAIN, (0..=5).map(status));
    for mode in [KeyCode::Null, KeyCode::Char('?'), KeyCode::Char('/')] {
        press(&mut screen, mode);
        for width in [1, 2, 3, 7, 23, 24, 47, 48, 76, 112, 200] {
            for height in [1, 2, 3, 4, 5, 12, 18, 40] {
                drawn(&mut screen, width, height);
            }
        }
        press(&mut screen, KeyCode::Esc);
    }
    assert_eq!(lines(&drawn(&mut screen, 3, 1)), ["van"]);
    let small = lines(&drawn(&mut screen, 20, 5));
    assert!(small[0].starts_with("van  hal2tp"), "{small:?}");
    assert_eq!(small[1], "▲ degraded; 3 links:", "{small:?}");
}

#[test]
fn an_appliance_that_is_silent_leaves_its_last_picture_in_grey() {
    let look = Look {
        colours: true,
        unicode: true,
    };
    let mut screen = screen(look, (0..=5).map(status));
    let before = drawn(&mut screen, 80, 24);
    screen.heard(Heard::Silence(
        "no appliance answers\n    start it".to_owned(),
    ));
    let silent = drawn(&mut screen, 80, 24);
    let (text, shown) = (lines(&silent), lines(&before));
    assert_eq!(text[0], "van silent for 00:00:00: no appliance answers");
    assert_eq!(text[1..], shown[1..]);
    let colours = |buffer: &Buffer| {
        let cells = buffer.content[80..].iter();
        cells.map(|cell| cell.fg).collect::<Vec<_>>()
    };
    assert!(colours(&before).contains(&Color::Red));
    assert!(colours(&silent).iter().all(|&it| it == Color::DarkGray));
    // Since when, not since the last time that it was asked.
    let since = screen.silent.as_ref().unwrap().0;
    screen.heard(Heard::Silence("still not".to_owned()));
    assert_eq!(screen.silent.as_ref().unwrap().0, since);
    let asker = Asker::new(PathBuf::new());
    screen.heard(asker.seen(status(6)));
    let again = lines(&drawn(&mut screen, 80, 24));
    assert_eq!(again[0], "van  hal2tp 0.1.0  up 00:00:06");
}

#[test]
fn without_colours_nothing_is_coloured() {
    let mut screen = screen(PLAIN, (0..=20).map(status));
    let drawn = drawn(&mut screen, 120, 40);
    let coloured = |cell: &&ratatui::buffer::Cell| cell.fg != Color::Reset;
    assert_eq!(drawn.content.iter().find(coloured), None);
    let reversed = drawn.content.iter();
    let reversed = reversed.filter(|cell| cell.modifier.contains(Modifier::REVERSED));
    assert_eq!(reversed.count(), 120, "one line is chosen");
}

#[test]
fn without_unicode_all_is_ascii() {
    let look = Look {
        colours: true,
        unicode: false,
    };
    let mut screen = screen(look, (0..=20).map(status));
    let text = lines(&drawn(&mut screen, 120, 40)).join("\n");
    assert!(text.is_ascii(), "{text}");
    assert!(text.contains("! bad"), "{text}");
}

#[test]
fn an_alarm_is_told_with_its_time() {
    let mut faulty = status(6);
    faulty.sessions[0].alarm = Some(Alarm {
        text: "nothing arrives, not even reports".to_owned(),
        for_s: 62,
    });
    let mut screen = screen(PLAIN, (0..6).map(status).chain([faulty]));
    type_in(&mut screen, "/fine");
    press(&mut screen, KeyCode::Enter);
    press(&mut screen, KeyCode::End);
    let text = lines(&drawn(&mut screen, 80, 24)).join("\n");
    let alarm = "✗ bad: ALARM for 00:01:02: nothing arrives, not even reports";
    assert!(text.contains(alarm), "{text}");
    assert!(
        text.contains("  ✗ link fine: nothing arrives, not even reports"),
        "{text}"
    );
}

#[test]
fn ten_thousand_links_are_found_and_scrolled() {
    let many = |at_s| {
        let mut status = status(at_s);
        status.sets.clear();
        let link = status.sessions[0].clone();
        status.sessions = (0..10_000)
            .map(|number| Session {
                name: format!("customer-{number:05}"),
                set: None,
                set_remote: None,
                ..link.clone()
            })
            .collect();
        status
    };
    let mut screen = screen(PLAIN, (0..3).map(many));
    press(&mut screen, KeyCode::End);
    let text = lines(&drawn(&mut screen, 80, 24)).join("\n");
    assert!(text.contains("\n● good     customer-09999"), "{text}");
    assert!(text.contains("10000/10000"), "{text}");
    press(&mut screen, KeyCode::PageUp);
    let text = lines(&drawn(&mut screen, 80, 24)).join("\n");
    assert!(!text.contains("customer-09999"), "{text}");
    type_in(&mut screen, "/R-0123");
    let text = lines(&drawn(&mut screen, 80, 24)).join("\n");
    assert!(text.contains("customer-01230"), "{text}");
    assert!(text.contains("/R-0123_  10/10"), "{text}");
    type_in(&mut screen, "x");
    let text = lines(&drawn(&mut screen, 80, 24)).join("\n");
    assert!(text.contains("nothing is called so"), "{text}");
}

#[test]
fn q_escape_and_control_c_leave() {
    let mut screen = screen(PLAIN, [status(1)]);
    assert_eq!(press(&mut screen, KeyCode::Char('q')), Wish::Leave);
    assert_eq!(press(&mut screen, KeyCode::Esc), Wish::Leave);
    let control = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
    let mut pressed = |letter| screen.react(Happening::Event(Event::Key(control(letter))));
    assert_eq!(pressed('c'), Wish::Leave);
    assert_eq!(pressed('z'), Wish::Suspend);
    assert_eq!(pressed('x'), Wish::Stay);
    // While something is looked for, q is a letter and Esc shows all again.
    type_in(&mut screen, "/q");
    assert_eq!(screen.view.find, "q");
    assert_eq!(press(&mut screen, KeyCode::Esc), Wish::Stay);
    assert_eq!(screen.view.find, "");
    assert_eq!(screen.react(Happening::Closed), Wish::Leave);
}

#[test]
fn a_terminal_that_is_gone_is_known() {
    assert!(is_gone(&io::Error::from_raw_os_error(5)));
    assert!(is_gone(&io::ErrorKind::BrokenPipe.into()));
    assert!(!is_gone(&io::ErrorKind::NotFound.into()));
}
