use super::*;
use crate::management::screen::Screen;
use crate::management::screen::tests::{PLAIN, screen, status};

fn names(screen: &mut Screen, lines: usize) -> Vec<String> {
    let (_, rows) = screen.view.page(&screen.picture, lines);
    rows.iter().map(|row| row.graph().to_owned()).collect()
}

fn press(screen: &mut Screen, code: KeyCode) {
    let key = KeyEvent::new(code, KeyModifiers::NONE);
    screen.view.press(key, &screen.picture);
}

fn chosen(screen: &Screen) -> &str {
    screen.view.chosen(&screen.picture).unwrap().graph()
}

const SET: &str = "set/A/192.0.2.1";

#[test]
fn the_worst_comes_first_or_the_first_by_name() {
    let mut screen = screen(PLAIN, (0..=24).map(status));
    assert_eq!(names(&mut screen, 9), [SET, "late", "lossy", "fine"]);
    press(&mut screen, KeyCode::Char('s'));
    assert_eq!(names(&mut screen, 9), [SET, "fine", "late", "lossy"]);
    press(&mut screen, KeyCode::Char('s'));
    assert_eq!(names(&mut screen, 9)[1], "late");
}

#[test]
fn what_is_chosen_stays_chosen_wherever_it_goes() {
    let mut screen = screen(PLAIN, (0..=10).map(status));
    press(&mut screen, KeyCode::Down);
    assert_eq!(chosen(&screen), "lossy");
    press(&mut screen, KeyCode::Char('s'));
    assert_eq!((chosen(&screen), screen.view.at()), ("lossy", 3));
    // Found among few, it is still the one when all are back.
    for code in ['/', 'l'].map(KeyCode::Char) {
        press(&mut screen, code);
    }
    assert_eq!((chosen(&screen), screen.view.len()), ("lossy", 3));
    press(&mut screen, KeyCode::Esc);
    assert_eq!((chosen(&screen), screen.view.len()), ("lossy", 4));
}

#[test]
fn the_page_follows_what_is_chosen() {
    let mut screen = screen(PLAIN, (0..=24).map(status));
    assert_eq!(names(&mut screen, 2), [SET, "late"]);
    press(&mut screen, KeyCode::Down);
    assert_eq!(names(&mut screen, 2), [SET, "late"]);
    press(&mut screen, KeyCode::Down);
    assert_eq!(names(&mut screen, 2), ["late", "lossy"]);
    press(&mut screen, KeyCode::PageDown);
    assert_eq!(names(&mut screen, 2), ["lossy", "fine"]);
    press(&mut screen, KeyCode::PageDown);
    assert_eq!(chosen(&screen), "fine");
    // A taller window shows more of what is above.
    assert_eq!(names(&mut screen, 3), ["late", "lossy", "fine"]);
    press(&mut screen, KeyCode::Home);
    assert_eq!(names(&mut screen, 2), [SET, "late"]);
    press(&mut screen, KeyCode::Up);
    assert_eq!(chosen(&screen), SET);
    press(&mut screen, KeyCode::End);
    assert_eq!(chosen(&screen), "fine");
    assert_eq!(names(&mut screen, 0), Vec::<String>::new());
}

#[test]
fn a_set_is_found_by_its_name_and_by_those_of_its_links() {
    let mut screen = screen(PLAIN, (0..=10).map(status));
    let mut found = |text: &str| {
        press(&mut screen, KeyCode::Char('/'));
        text.chars()
            .for_each(|it| press(&mut screen, KeyCode::Char(it)));
        let names = names(&mut screen, 9);
        press(&mut screen, KeyCode::Esc);
        names
    };
    assert_eq!(found("FINE"), [SET, "fine"]);
    assert_eq!(found("to-lossy"), [SET, "lossy"]);
    assert_eq!(found("192.0").len(), 4);
    assert_eq!(found("nowhere"), Vec::<String>::new());
}

#[test]
fn links_that_go_away_are_chosen_no_longer() {
    let mut screen = screen(PLAIN, (0..=10).map(status));
    press(&mut screen, KeyCode::End);
    let mut fewer = status(11);
    fewer.sessions.truncate(1);
    let asker = crate::management::screen::Asker::new(std::path::PathBuf::new());
    screen.heard(asker.seen(fewer));
    assert_eq!((screen.view.len(), screen.view.at()), (2, 1));
    assert_eq!(chosen(&screen), "fine");
}
