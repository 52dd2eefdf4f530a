//! Ticks along a time axis, at times that are round where the clock hangs.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;
const DAY_S: i64 = 24 * HOUR_S;
const WEEK_S: i64 = 7 * DAY_S;
/// From the epoch, a Thursday, to a Monday.
const MONDAY_S: i64 = 4 * DAY_S;

/// A place on the axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) at_unix_s: u64,
    pub(crate) label: String,
    /// Where the day, with wider steps the month or the year, is another than before: its name.
    pub(crate) period: Option<String>,
}

/// What stands under an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticks {
    pub(crate) ticks: Vec<Tick>,
    /// The day, month or year in which the axis begins; empty when ticks say so.
    pub(crate) first_period: String,
    pub(crate) zone: String,
}

/// How far ticks are apart, and so what is written at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Seconds(i64),
    Months(i32),
}

const STEPS: [Step; 23] = [
    Step::Seconds(1),
    Step::Seconds(5),
    Step::Seconds(10),
    Step::Seconds(30),
    Step::Seconds(MINUTE_S),
    Step::Seconds(2 * MINUTE_S),
    Step::Seconds(5 * MINUTE_S),
    Step::Seconds(10 * MINUTE_S),
    Step::Seconds(30 * MINUTE_S),
    Step::Seconds(HOUR_S),
    Step::Seconds(2 * HOUR_S),
    Step::Seconds(3 * HOUR_S),
    Step::Seconds(6 * HOUR_S),
    Step::Seconds(DAY_S),
    Step::Seconds(2 * DAY_S),
    Step::Seconds(WEEK_S),
    Step::Months(1),
    Step::Months(3),
    Step::Months(6),
    Step::Months(12),
    Step::Months(60),
    Step::Months(240),
    Step::Months(1200),
];

impl Step {
    /// Roughly: months differ.
    fn length_s(self) -> i64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Months(months) => i64::from(months) * 30 * DAY_S,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Seconds(seconds) if seconds < MINUTE_S => "%H:%M:%S",
            Self::Seconds(seconds) if seconds < DAY_S => "%H:%M",
            Self::Seconds(_) => "%a %-d",
            Self::Months(months) if months < 12 => "%b",
            Self::Months(_) => "%Y",
        }
    }

    fn period(self) -> &'static str {
        match self {
            Self::Seconds(seconds) if seconds < DAY_S => "%a %-d %b %Y",
            Self::Seconds(_) => "%b %Y",
            Self::Months(months) if months < 12 => "%Y",
            Self::Months(_) => "",
        }
    }
}

/// What a clock on the wall shows.
#[derive(Clone, Copy)]
pub(crate) struct Wall(Offset);

impl Wall {
    pub(crate) fn new(utc_offset_s: i32) -> Self {
        let offset = Offset::from_seconds(utc_offset_s);
        Self(offset.unwrap_or(Offset::UTC))
    }

    /// `None` where there is no calendar: from the year 10000 on.
    fn show(self, unix_s: u64) -> Option<DateTime> {
        let unix_s = i64::try_from(unix_s).ok()?;
        let time = Timestamp::from_second(unix_s).ok()?;
        Some(self.0.to_datetime(time))
    }

    fn unix_s(self, shown: DateTime) -> Option<u64> {
        let time = self.0.to_timestamp(shown).ok()?;
        u64::try_from(time.as_second()).ok()
    }

    /// Seconds from midnight in UTC to the next one here.
    pub(crate) fn midnight_s(self) -> u64 {
        i64::from(-self.0.seconds()).rem_euclid(DAY_S) as u64
    }

    pub(crate) fn zone(self) -> String {
        match self.0.seconds() {
            0 => "UTC".to_owned(),
            _ => format!("UTC{}", self.0),
        }
    }

    /// `2026-11-27 04:10 UTC`; the seconds since the epoch where there is no calendar.
    pub(crate) fn write(self, unix_s: u64) -> String {
        let shown = self.show(unix_s);
        let text = shown.map(|time| format!("{} {}", time.strftime("%Y-%m-%d %H:%M"), self.zone()));
        text.unwrap_or_else(|| format!("{unix_s} s of Unix time"))
    }

    /// At most so many ticks, in their order, from one time to before the other.
    pub(crate) fn ticks(self, from_s: u64, to_s: u64, most: usize) -> Ticks {
        let span_s = i64::try_from(to_s - from_s).unwrap_or(i64::MAX);
        let fitting = |step: &&Step| span_s / step.length_s() < most as i64;
        let step = STEPS.iter().find(fitting);
        let shown = self.show(from_s).zip(self.show(to_s - 1));
        let (Some(step), Some((first, last))) = (step, shown) else {
            return Ticks {
                ticks: Vec::new(),
                first_period: String::new(),
                zone: self.zone(),
            };
        };
        let times = times(*step, first, last);
        let named = |time: DateTime| time.strftime(step.period()).to_string();
        let first_period = named(first);
        let mut period = first_period.clone();
        let mut ticks = Vec::new();
        for time in times {
            let Some(at_unix_s) = self.unix_s(time) else {
                continue;
            };
            let now = named(time);
            let changed = now != period;
            period.clone_from(&now);
            ticks.push(Tick {
                at_unix_s,
                label: time.strftime(step.label()).to_string(),
                period: changed.then_some(now),
            });
        }
        Ticks {
            ticks,
            first_period,
            zone: self.zone(),
        }
    }
}

/// The round times from one to the other, both included.
fn times(step: Step, first: DateTime, last: DateTime) -> Vec<DateTime> {
    match step {
        Step::Seconds(step_s) => {
            let anchor_s = if step_s == WEEK_S { MONDAY_S } else { 0 };
            let [first_s, last_s] = [first, last].map(seconds);
            let before = (first_s - anchor_s - 1).div_euclid(step_s);
            let after = (last_s - anchor_s).div_euclid(step_s);
            let places = (before + 1..=after).map(|index| anchor_s + index * step_s);
            places.filter_map(at).collect()
        }
        Step::Months(step) => {
            let [first_month, last_month] = [first.date(), last.date()].map(month);
            let indices = first_month.div_euclid(step)..=last_month.div_euclid(step);
            let starts = indices.filter_map(|index| start_of(index * step));
            starts
                .filter(|start| *start >= first && *start <= last)
                .collect()
        }
    }
}

/// Seconds since the epoch, as if the wall were in Greenwich.
fn seconds(shown: DateTime) -> i64 {
    let time = Offset::UTC.to_timestamp(shown);
    time.map_or(0, Timestamp::as_second)
}

fn at(seconds: i64) -> Option<DateTime> {
    DateTime::new(1970, 1, 1, 0, 0, 0, 0)
        .ok()?
        .checked_add(seconds.seconds())
        .ok()
}

/// Months since the year 0.
fn month(date: Date) -> i32 {
    i32::from(date.year()) * 12 + i32::from(date.month()) - 1
}

fn start_of(month: i32) -> Option<DateTime> {
    let year = i16::try_from(month.div_euclid(12)).ok()?;
    let of_year = i8::try_from(month.rem_euclid(12)).ok()?;
    DateTime::new(year, of_year + 1, 1, 0, 0, 0, 0).ok()
}

/// ISO 8601, in UTC. `None` from the year 10000 on.
pub(crate) fn iso_8601(unix_s: u64) -> Option<String> {
    let unix_s = i64::try_from(unix_s).ok()?;
    let time = Timestamp::from_second(unix_s).ok()?;
    Some(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Friday, 27 November 2026, 04:10 in UTC.
    const NOW_S: u64 = 1_795_752_600;
    const HOUR: u64 = HOUR_S as u64;
    const DAY: u64 = DAY_S as u64;

    fn labels(length_s: u64, utc_offset_s: i32) -> (String, Vec<(String, Option<String>)>) {
        let ticks = Wall::new(utc_offset_s).ticks(NOW_S, NOW_S + length_s, 16);
        let labels = ticks
            .ticks
            .into_iter()
            .map(|tick| (tick.label, tick.period));
        (ticks.first_period, labels.collect())
    }

    #[test]
    fn ten_minutes_have_a_tick_each_minute() {
        let (first, labels) = labels(600, 0);
        assert_eq!(first, "Fri 27 Nov 2026");
        assert_eq!(labels.len(), 10);
        assert_eq!(labels[3], ("04:13".to_owned(), None));
        assert_eq!(
            labels_of(&self::labels(60, 0).1)[..3],
            ["04:10:00", "04:10:05", "04:10:10"]
        );
    }

    fn labels_of(labels: &[(String, Option<String>)]) -> Vec<&str> {
        labels.iter().map(|(label, _)| label.as_str()).collect()
    }

    #[test]
    fn twenty_eight_hours_say_where_the_day_changes() {
        let (_, labels) = labels(28 * HOUR, 0);
        assert_eq!(labels_of(&labels)[..3], ["06:00", "08:00", "10:00"]);
        let changes: Vec<_> = labels
            .iter()
            .filter(|(_, period)| period.is_some())
            .collect();
        assert_eq!(
            changes,
            [&("00:00".to_owned(), Some("Sat 28 Nov 2026".to_owned()))]
        );
    }

    #[test]
    fn midnight_is_where_the_clock_hangs() {
        let ticks = Wall::new(2 * 3600 + 1800).ticks(NOW_S, NOW_S + DAY, 16);
        assert_eq!(ticks.zone, "UTC+02:30");
        let midnight = ticks.ticks.iter().find(|tick| tick.period.is_some());
        let at_unix_s = midnight.map(|tick| tick.at_unix_s);
        assert_eq!(at_unix_s, Some((NOW_S / DAY + 1) * DAY - 9000));
    }

    #[test]
    fn a_week_a_year_and_a_century_have_ticks_of_their_own() {
        let (first, week) = labels(7 * DAY, 0);
        assert_eq!(first, "Nov 2026");
        assert_eq!(
            labels_of(&week),
            [
                "Sat 28", "Sun 29", "Mon 30", "Tue 1", "Wed 2", "Thu 3", "Fri 4"
            ]
        );
        assert_eq!(week[3].1.as_deref(), Some("Dec 2026"));
        let (first, year) = labels(366 * DAY, 0);
        assert_eq!(first, "2026");
        assert_eq!(labels_of(&year)[..3], ["Dec", "Jan", "Feb"]);
        assert_eq!(year[1].1.as_deref(), Some("2027"));
        let (_, quarter) = labels(90 * DAY, 0);
        assert!(
            labels_of(&quarter)
                .iter()
                .all(|label| label.starts_with("Mon "))
        );
        let (_, century) = labels(36_525 * DAY, 0);
        assert_eq!(
            labels_of(&century),
            ["2040", "2060", "2080", "2100", "2120"]
        );
    }

    #[test]
    fn beyond_the_calendar_there_are_no_ticks() {
        for (from_s, to_s) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 60, 1 << 61)] {
            assert!(Wall::new(i32::MAX).ticks(from_s, to_s, 16).ticks.is_empty());
        }
        assert_eq!(iso_8601(u64::MAX), None);
        assert_eq!(iso_8601(NOW_S).as_deref(), Some("2026-11-27T04:10:00Z"));
        assert_eq!(
            Wall::new(0).write(u64::MAX),
            "18446744073709551615 s of Unix time"
        );
        assert_eq!(Wall::new(-3600).write(NOW_S), "2026-11-27 03:10 UTC-01");
    }
}
