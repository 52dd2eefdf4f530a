//! Numbers as people read them.

/// Between a number and its unit, and between thousands: no line breaks there.
const SPACE: char = '\u{a0}';

/// A number in as few digits as it takes.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.01 => 3,
        _ => 6,
    };
    let text = format!("{value:.digits$}");
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

/// 1 234 567.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(SPACE);
        }
        text.push(digit);
    }
    text
}

/// A ratio of 0 to 1 in per cent. What is not nought is not shown as nought, nor what is not all as all.
pub(crate) fn percent(ratio: f64) -> String {
    let percent = 100.0 * ratio;
    let text = match percent {
        p if p > 0.0 && p < 0.0001 => "< 0.0001".to_owned(),
        p if p < 0.01 => number((p * 1e4).round() / 1e4),
        p if p < 1.0 => number((p * 1e3).round() / 1e3),
        p if p < 99.9 => number((p * 1e2).round() / 1e2),
        p if p < 100.0 => "> 99.9".to_owned(),
        _ => "100".to_owned(),
    };
    format!("{text}{SPACE}%")
}

/// A power of a thousand, and the letter for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prefix {
    pub(crate) factor: f64,
    pub(crate) letter: &'static str,
}

/// The prefix that leaves of a value 1 to 1000.
pub(crate) fn prefix(value: f64) -> Prefix {
    let letters = ["", "k", "M", "G", "T", "P", "E"];
    let prefixes = letters.into_iter().zip(0..).map(|(letter, power)| Prefix {
        factor: 1000_f64.powi(power),
        letter,
    });
    let fitting = prefixes.take_while(|prefix| prefix.factor <= value.max(1.0));
    fitting.last().expect("one is always fitting")
}

/// 93.1 Mbit/s.
pub(crate) fn rate(bit_s: u64) -> String {
    let value = bit_s as f64;
    let prefix = prefix(value);
    format!(
        "{}{SPACE}{}bit/s",
        number(value / prefix.factor),
        prefix.letter
    )
}

/// 8.1 ms; 12 s from ten seconds on.
pub(crate) fn latency(time_us: u64) -> String {
    let (value, unit) = latency_unit(time_us as f64);
    format!("{}{SPACE}{unit}", number(value))
}

fn latency_unit(time_us: f64) -> (f64, &'static str) {
    match time_us {
        us if us < 1e7 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    }
}

/// 3 d 4 h, 12 min 3 s: the two largest units.
pub(crate) fn duration(time_s: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let largest = units.iter().position(|(size_s, _)| time_s >= *size_s);
    let units = &units[largest.unwrap_or(units.len() - 1)..];
    let mut rest_s = time_s;
    let mut parts = Vec::new();
    for (size_s, unit) in units.iter().take(2) {
        let whole = rest_s / size_s;
        rest_s %= size_s;
        if whole > 0 || parts.is_empty() {
            parts.push(format!("{}{SPACE}{unit}", count(whole)));
        }
    }
    parts.join(&SPACE.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: String) -> String {
        text.replace(SPACE, " ")
    }

    #[test]
    fn numbers_take_the_digits_they_need() {
        let numbers = [0.0, 0.001, 0.25, 2.5, 20.0, 33.3, 1000.0, 12345.6].map(number);
        assert_eq!(
            numbers,
            ["0", "0.001", "0.25", "2.5", "20", "33.3", "1000", "12346"]
        );
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count).map(plain),
            ["0", "999", "1 000", "1 234 567"]
        );
    }

    #[test]
    fn a_little_loss_is_not_none() {
        let ratios = [0.0, 1e-7, 0.000_01, 0.000_314, 0.03, 0.1234, 0.999_99, 1.0];
        let expected = [
            "0 %",
            "< 0.0001 %",
            "0.001 %",
            "0.031 %",
            "3 %",
            "12.3 %",
            "> 99.9 %",
            "100 %",
        ];
        assert_eq!(ratios.map(percent).map(plain), expected);
    }

    #[test]
    fn units_fit_the_value() {
        let rates = [0, 999, 1000, 93_100_000, u64::MAX].map(rate).map(plain);
        assert_eq!(
            rates,
            [
                "0 bit/s",
                "999 bit/s",
                "1 kbit/s",
                "93.1 Mbit/s",
                "18.4 Ebit/s"
            ]
        );
        let latencies = [0, 80, 8_100, 1_234_000, 12_000_000]
            .map(latency)
            .map(plain);
        assert_eq!(latencies, ["0 ms", "0.08 ms", "8.1 ms", "1234 ms", "12 s"]);
        let durations = [0, 5, 60, 723, 3_600, 90_000, 31_536_000]
            .map(duration)
            .map(plain);
        assert_eq!(
            durations,
            [
                "0 s",
                "5 s",
                "1 min",
                "12 min 3 s",
                "1 h",
                "1 d 1 h",
                "365 d"
            ]
        );
    }
}
