//! Which time of a graph is wanted, as people write it.

use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;

const DAY_S: u64 = 86_400;
/// No history is longer.
const LONGEST_S: u64 = 366 * DAY_S;

/// The time up to now, of a text like `90s`, `10m`, `1h`, `28h`, `7d`; in seconds since 1970.
///
/// # Errors
/// When it is not such a text, for people.
pub fn last(text: &str, now_s: u64) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is no time: write 10m, 1h, 28h, 7d or 365d");
    let (number, unit_s) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        Some((at, 'd')) => (&text[..at], DAY_S),
        _ => return Err(wrong()),
    };
    let is_number = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    let number: u64 = number
        .parse()
        .ok()
        .filter(|_| is_number)
        .ok_or_else(wrong)?;
    let length_s = number.saturating_mul(unit_s);
    if !(1..=LONGEST_S).contains(&length_s) {
        return Err(format!("{text:?}: choose a time from 1s to 366d"));
    }
    Ok(now_s.saturating_sub(length_s)..now_s)
}

/// A day of UTC, `2026-11-27`, as far as it has passed; in seconds since 1970.
///
/// # Errors
/// When it is no day, or has not begun, for people.
pub fn day(text: &str, now_s: u64) -> Result<Range<u64>, String> {
    let day: Date = text
        .parse()
        .map_err(|_| format!("{text:?} is no day: write 2026-11-27"))?;
    let start = day.to_zoned(TimeZone::UTC);
    let start_s = start.map_or(-1, |start| start.timestamp().as_second());
    let start_s = u64::try_from(start_s).map_err(|_| format!("{text:?} is before 1970"))?;
    if start_s >= now_s {
        return Err(format!("{text:?} has not begun yet"));
    }
    Ok(start_s..now_s.min(start_s + DAY_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_764_215_000;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, length_s) in [
            ("90s", 90),
            ("10m", 600),
            ("28h", 28 * 3600),
            ("7d", 7 * DAY_S),
        ] {
            assert_eq!(last(text, NOW_S), Ok(NOW_S - length_s..NOW_S), "{text}");
        }
        for text in [
            "",
            "h",
            "1",
            "1w",
            "-1h",
            "+1h",
            "1.5h",
            "0s",
            "367d",
            "99999999999999999999d",
            "1 h",
            "1ħ",
        ] {
            let error = last(text, NOW_S).unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn a_day_ends_with_itself_or_now() {
        // 2025-11-27, 03:43:20.
        let midnight_s = 1_764_201_600;
        assert_eq!(day("2025-11-27", NOW_S), Ok(midnight_s..NOW_S));
        assert_eq!(day("2025-11-26", NOW_S), Ok(midnight_s - DAY_S..midnight_s));
        for text in ["2025-11-28", "2025-02-30", "yesterday", "1969-12-31", ""] {
            assert!(day(text, NOW_S).is_err(), "{text}");
        }
    }
}
