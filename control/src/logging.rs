//! The log: lines on standard error, with a limit for each place in the program
//! that writes them. What strangers can make us say must not fill a disk.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};

/// Lines of one place in [`WINDOW`]; how many more there were is said when it is over.
const LINES: u64 = 100;
const WINDOW: Duration = Duration::from_secs(10);

/// Starts it. `HAL2TP_LOG` says what is written, `info` if it does not.
///
/// # Errors
/// When there is a log already.
pub(crate) fn start() -> Result<(), SetLoggerError> {
    let environment = env_logger::Env::new().filter_or("HAL2TP_LOG", "info");
    let lines = env_logger::Builder::from_env(environment)
        // They would show what in a webhook's address may be a secret.
        .filter_module("ureq", LevelFilter::Off)
        .filter_module("ureq_proto", LevelFilter::Off)
        .format_timestamp_millis()
        .build();
    log::set_max_level(lines.filter());
    log::set_boxed_logger(Box::new(Limited {
        lines,
        started: Instant::now(),
        places: Mutex::default(),
    }))
}

struct Limited<L> {
    lines: L,
    started: Instant,
    places: Mutex<Places>,
}

impl<L: Log> Log for Limited<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.lines.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now = self.started.elapsed();
        self.say_withheld(now);
        let (Some(file), Some(line)) = (record.file_static(), record.line()) else {
            self.lines.log(record);
            return;
        };
        let verdict = self.with_places(|places| places.admit((file, line), now));
        if verdict == Verdict::Withhold {
            return;
        }
        self.lines.log(record);
        if verdict == Verdict::SayTheLast {
            let example = Withheld {
                level: record.level(),
                target: record.target().to_owned(),
                like: record.args().to_string(),
                count: 0,
            };
            self.with_places(|places| places.remember((file, line), example));
        }
    }

    /// Says what was withheld until now and is due, too.
    fn flush(&self) {
        self.say_withheld(self.started.elapsed());
        self.lines.flush();
    }
}

impl<L: Log> Limited<L> {
    /// The lock is free while a line is written.
    fn with_places<T>(&self, work: impl FnOnce(&mut Places) -> T) -> T {
        // A panic elsewhere leaves counts that are right or one off.
        work(&mut self.places.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn say_withheld(&self, now: Duration) {
        for withheld in self.with_places(|places| places.due(now)) {
            let Withheld { count, like, .. } = &withheld;
            self.lines.log(
                &Record::builder()
                    .level(withheld.level)
                    .target(&withheld.target)
                    .args(format_args!("{count} more like: {like}"))
                    .build(),
            );
        }
    }
}

/// File and line.
type Place = (&'static str, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Say,
    /// Those that follow are withheld.
    SayTheLast,
    Withhold,
}

/// Lines that were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Withheld {
    level: Level,
    target: String,
    /// The last that was.
    like: String,
    count: u64,
}

/// What was said where lately. As large as the program has places.
#[derive(Default)]
struct Places {
    windows: HashMap<Place, Window>,
    /// When the first window ends that withholds something.
    next_due: Option<Duration>,
}

#[derive(Default)]
struct Window {
    ends: Duration,
    lines: u64,
    example: Option<Withheld>,
}

impl Places {
    fn admit(&mut self, place: Place, now: Duration) -> Verdict {
        let window = self.windows.entry(place).or_default();
        if now >= window.ends {
            *window = Window {
                ends: now + WINDOW,
                ..Window::default()
            };
        }
        window.lines += 1;
        match window.lines.cmp(&LINES) {
            Ordering::Less => Verdict::Say,
            Ordering::Equal => Verdict::SayTheLast,
            Ordering::Greater => {
                let ends = window.ends;
                self.next_due = Some(self.next_due.map_or(ends, |due| due.min(ends)));
                Verdict::Withhold
            }
        }
    }

    fn remember(&mut self, place: Place, example: Withheld) {
        if let Some(window) = self.windows.get_mut(&place) {
            window.example = Some(example);
        }
    }

    /// What was withheld in windows that are over.
    fn due(&mut self, now: Duration) -> Vec<Withheld> {
        if self.next_due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let withholding = |window: &&mut Window| window.lines > LINES;
        let (mut due, mut later) = (Vec::new(), None::<Duration>);
        for window in self.windows.values_mut().filter(withholding) {
            if window.ends > now {
                later = Some(later.map_or(window.ends, |at| at.min(window.ends)));
                continue;
            }
            let count = window.lines - LINES;
            // Of two threads at one place the other may not have left its example yet.
            let example = window.example.take();
            due.extend(example.map(|example| Withheld { count, ..example }));
            window.lines = 0;
        }
        self.next_due = later;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = ("a.rs", 1);

    fn example() -> Withheld {
        Withheld {
            level: Level::Info,
            target: "control".to_owned(),
            like: "tunnel 7 is established".to_owned(),
            count: 0,
        }
    }

    /// How many of so many lines are said, as the log does it.
    fn said(places: &mut Places, place: Place, lines: u64, now: Duration) -> u64 {
        let mut said = 0;
        for _ in 0..lines {
            let verdict = places.admit(place, now);
            said += u64::from(verdict != Verdict::Withhold);
            if verdict == Verdict::SayTheLast {
                places.remember(place, example());
            }
        }
        said
    }

    #[test]
    fn a_place_has_its_lines_and_then_a_number() {
        let mut places = Places::default();
        let start = Duration::from_secs(5);
        assert_eq!(said(&mut places, PLACE, LINES + 900, start), LINES);
        // Another place is not held back by it.
        assert_eq!(said(&mut places, ("a.rs", 2), 10, start), 10);
        assert_eq!(places.due(start + WINDOW - Duration::from_millis(1)), []);
        let expected = Withheld {
            count: 900,
            ..example()
        };
        assert_eq!(places.due(start + WINDOW), [expected]);
        assert_eq!(places.due(start + 2 * WINDOW), []);
        assert_eq!(said(&mut places, PLACE, 3, start + WINDOW), 3);
    }

    #[test]
    fn what_fits_is_never_withheld() {
        let mut places = Places::default();
        for second in 0..1000 {
            let now = Duration::from_secs(second);
            assert_eq!(said(&mut places, PLACE, LINES / 11, now), LINES / 11);
            assert_eq!(places.due(now), []);
        }
    }

    #[test]
    fn a_flood_of_lines_costs_a_fixed_number() {
        let mut places = Places::default();
        let mut lines = 0;
        for ms in 0..60_000 {
            let now = Duration::from_millis(ms);
            lines += places.due(now).len() as u64;
            lines += said(&mut places, PLACE, 5, now);
        }
        // Six windows and the numbers of five.
        assert_eq!(lines, 6 * LINES + 5);
    }

    /// What reaches the lines behind the limit.
    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Log for Heard {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.level() <= Level::Info
        }

        fn log(&self, record: &Record<'_>) {
            self.0.lock().unwrap().push(record.args().to_string());
        }

        fn flush(&self) {}
    }

    #[test]
    fn the_number_is_said_as_soon_as_the_window_is_over() {
        let mut log = Limited {
            lines: Heard::default(),
            started: Instant::now(),
            places: Mutex::default(),
        };
        let say = |log: &Limited<Heard>, level: Level, text: &str| {
            log.log(
                &Record::builder()
                    .level(level)
                    .file_static(Some(PLACE.0))
                    .line(Some(PLACE.1))
                    .args(format_args!("{text}"))
                    .build(),
            );
        };
        for number in 0..LINES + 5 {
            say(&log, Level::Info, &format!("line {number}"));
            say(&log, Level::Debug, "not written, and not counted");
        }
        log.flush();
        assert_eq!(log.lines.0.lock().unwrap().len() as u64, LINES);
        let Some(earlier) = log.started.checked_sub(WINDOW) else {
            // The machine was started less than a window ago.
            return;
        };
        log.started = earlier;
        log.flush();
        let heard = log.lines.0.lock().unwrap();
        let last = heard.last().map(String::as_str);
        assert_eq!(last, Some("5 more like: line 99"));
    }
}
