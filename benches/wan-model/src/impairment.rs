//! What one direction of an emulated link does to frames, and the words that set it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::ha_frame::HaFrame;

/// The settings of one direction. `Default` is a perfect wire.
///
/// The words of [`Impairments::apply`], with their units:
///
/// | word | value | meaning |
/// |---|---|---|
/// | `delay` | `20ms`, `500us`, `1s` | time every frame spends on the way |
/// | `jitter` | as `delay` | the delay wanders between `delay - jitter` and `delay + jitter`; the order of frames stays |
/// | `loss` | `2%`, `0.02` | each frame is lost with this probability, independently (no further correlation) |
/// | `burst-loss` | as `loss` | mean loss of a Gilbert-Elliott channel, on top of `loss` |
/// | `burst-length` | frames, `8` | how many frames the bad state of that channel lasts on average |
/// | `burst-density` | as `loss` | probability that a frame in the bad state is lost (1: the Gilbert channel) |
/// | `reorder` | as `loss` | a frame is held back with this probability, so that later ones overtake it |
/// | `reorder-by` | as `delay` | how long it is held back at most (uniform) |
/// | `duplicate` | as `loss` | a frame arrives twice with this probability |
/// | `corrupt` | as `loss` | one random bit of the frame is flipped with this probability |
/// | `corrupt-from` | octets | bits before this octet stay whole (default 14: the Ethernet header) |
/// | `rate` | `10mbit`, `512kbit`, `none` | frames leave no faster than this |
/// | `queue` | octets, `64k`, `1m` | what may wait for `rate`; a frame that does not fit is dropped |
/// | `mtu` | octets, `none` | frames with a larger IP packet are dropped without a word |
/// | `stall` | `on`, `off` | nothing comes out; what is on the way and what still enters waits for the end of it |
/// | `outage` | `on`, `off` | nothing comes out, frames on the way are lost too |
/// | `ha-outage` | `off`, `on`, `data`, `others` | frames with an HA header are lost (`data`: but not reports), all others pass: a link that is up and carries nothing; `others`: the opposite |
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Impairments {
    #[serde(rename = "delay_us", serialize_with = "as_micros")]
    pub delay: Duration,
    #[serde(rename = "jitter_us", serialize_with = "as_micros")]
    pub jitter: Duration,
    /// Probability, 0 to 1, as all of those below without a unit.
    pub loss: f64,
    pub burst_loss: f64,
    /// Mean length of the bad state in frames, at least 1.
    pub burst_length: f64,
    pub burst_density: f64,
    pub reorder: f64,
    #[serde(rename = "reorder_by_us", serialize_with = "as_micros")]
    pub reorder_by: Duration,
    pub duplicate: f64,
    pub corrupt: f64,
    pub corrupt_from_octets: usize,
    /// `None`: no limit.
    pub rate_bit_s: Option<u64>,
    pub queue_octets: u64,
    /// The largest IP packet, without the Ethernet header. `None`: no limit.
    pub mtu_octets: Option<u16>,
    pub stall: bool,
    pub outage: bool,
    pub ha_outage: HaOutage,
}

/// Which frames a link loses for their HA header, or for having none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HaOutage {
    #[default]
    Off,
    /// Copies of packets, and reports.
    On,
    /// Copies of packets alone.
    Data,
    /// All but the two: what keeps the session up, and ARP.
    Others,
}

impl HaOutage {
    const WORDS: [(Self, &str); 4] = [
        (Self::Off, "off"),
        (Self::On, "on"),
        (Self::Data, "data"),
        (Self::Others, "others"),
    ];

    /// Whether a frame is lost by it.
    pub fn takes(self, frame: Option<HaFrame>) -> bool {
        match self {
            Self::Off => false,
            Self::On => frame.is_some(),
            Self::Data => frame == Some(HaFrame::Data),
            Self::Others => frame.is_none(),
        }
    }
}

impl fmt::Display for HaOutage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(outage, _)| outage == self);
        f.write_str(word.map_or("", |(_, word)| word))
    }
}

impl Default for Impairments {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            burst_loss: 0.0,
            burst_length: 8.0,
            burst_density: 1.0,
            reorder: 0.0,
            reorder_by: Duration::from_millis(5),
            duplicate: 0.0,
            corrupt: 0.0,
            corrupt_from_octets: 14,
            rate_bit_s: None,
            queue_octets: 256 * 1024,
            mtu_octets: None,
            stall: false,
            outage: false,
            ha_outage: HaOutage::Off,
        }
    }
}

/// Why a setting was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingError {
    /// The word is not `key=value`.
    NoValue(String),
    /// The key is none of those in [`Impairments`].
    UnknownKey(String),
    /// The value does not fit its key; `expected` says what would.
    BadValue {
        key: String,
        value: String,
        expected: &'static str,
    },
    /// The burst settings ask for more loss than the bad state can give.
    BurstTooDense,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoValue(word) => write!(f, "{word}: expected key=value"),
            Self::UnknownKey(key) => write!(f, "{key}: no such setting"),
            Self::BadValue {
                key,
                value,
                expected,
            } => write!(f, "{key}={value}: expected {expected}"),
            Self::BurstTooDense => write!(f, "burst-loss must be below burst-density"),
        }
    }
}

impl std::error::Error for SettingError {}

impl Impairments {
    /// Changes the settings named in `words` (`key=value`, separated by blanks) and leaves the others. All or nothing.
    pub fn apply(&mut self, words: &str) -> Result<(), SettingError> {
        let mut changed = self.clone();
        for word in words.split_whitespace() {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| SettingError::NoValue(word.to_owned()))?;
            changed.set(key, value)?;
        }
        if changed.burst_loss > 0.0 && changed.burst_loss >= changed.burst_density {
            return Err(SettingError::BurstTooDense);
        }
        *self = changed;
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), SettingError> {
        let bad = |expected| SettingError::BadValue {
            key: key.to_owned(),
            value: value.to_owned(),
            expected,
        };
        let time = || parse_time(value).ok_or_else(|| bad("a time, e.g. 20ms, 500us or 1s"));
        let share = || parse_share(value).ok_or_else(|| bad("a share, e.g. 2% or 0.02"));
        let switch = || match value {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        match key {
            "delay" => self.delay = time()?,
            "jitter" => self.jitter = time()?,
            "loss" => self.loss = share()?,
            "burst-loss" => self.burst_loss = share()?,
            "burst-length" => {
                self.burst_length = f64::from_str(value)
                    .ok()
                    .filter(|frames| (1.0..=1e6).contains(frames))
                    .ok_or_else(|| bad("a number of frames from 1 to 1000000"))?;
            }
            "burst-density" => self.burst_density = share()?,
            "reorder" => self.reorder = share()?,
            "reorder-by" => self.reorder_by = time()?,
            "duplicate" => self.duplicate = share()?,
            "corrupt" => self.corrupt = share()?,
            "corrupt-from" => {
                self.corrupt_from_octets = value.parse().map_err(|_| bad("a number of octets"))?;
            }
            "rate" if value == "none" => self.rate_bit_s = None,
            "rate" => {
                let rate = parse_rate(value).filter(|rate| *rate > 0);
                self.rate_bit_s =
                    Some(rate.ok_or_else(|| bad("none or a rate, e.g. 10mbit or 512kbit"))?);
            }
            "queue" => {
                self.queue_octets =
                    parse_octets(value).ok_or_else(|| bad("octets, e.g. 65536, 64k or 1m"))?;
            }
            "mtu" if value == "none" => self.mtu_octets = None,
            "mtu" => {
                let octets = value
                    .parse()
                    .map_err(|_| bad("none or a number of octets"))?;
                self.mtu_octets = Some(octets);
            }
            "stall" => self.stall = switch().ok_or_else(|| bad("on or off"))?,
            "outage" => self.outage = switch().ok_or_else(|| bad("on or off"))?,
            "ha-outage" => {
                let known = HaOutage::WORDS.iter().find(|(_, word)| *word == value);
                let (outage, _) = known.ok_or_else(|| bad("off, on, data or others"))?;
                self.ha_outage = *outage;
            }
            _ => return Err(SettingError::UnknownKey(key.to_owned())),
        }
        Ok(())
    }
}

impl FromStr for Impairments {
    type Err = SettingError;

    fn from_str(words: &str) -> Result<Self, SettingError> {
        let mut settings = Self::default();
        settings.apply(words)?;
        Ok(settings)
    }
}

/// Writes every setting in the words that [`Impairments::apply`] reads.
impl fmt::Display for Impairments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delay={}us ", self.delay.as_micros())?;
        write!(f, "jitter={}us ", self.jitter.as_micros())?;
        write!(f, "loss={} burst-loss={} ", self.loss, self.burst_loss)?;
        write!(f, "burst-length={} ", self.burst_length)?;
        write!(f, "burst-density={} ", self.burst_density)?;
        write!(f, "reorder={} ", self.reorder)?;
        write!(f, "reorder-by={}us ", self.reorder_by.as_micros())?;
        write!(f, "duplicate={} ", self.duplicate)?;
        write!(f, "corrupt={} ", self.corrupt)?;
        write!(f, "corrupt-from={} ", self.corrupt_from_octets)?;
        match self.rate_bit_s {
            Some(rate) => write!(f, "rate={rate}bit ")?,
            None => write!(f, "rate=none ")?,
        }
        write!(f, "queue={} ", self.queue_octets)?;
        match self.mtu_octets {
            Some(octets) => write!(f, "mtu={octets} ")?,
            None => write!(f, "mtu=none ")?,
        }
        let switch = |is_on| if is_on { "on" } else { "off" };
        write!(f, "stall={} ", switch(self.stall))?;
        write!(f, "outage={} ", switch(self.outage))?;
        write!(f, "ha-outage={}", self.ha_outage)
    }
}

fn as_micros<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// A longer delay than this is a typing error, and keeps all sums far from overflow.
const LONGEST_TIME: Duration = Duration::from_secs(60);

fn parse_time(value: &str) -> Option<Duration> {
    let (number, unit_s) = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((value.strip_suffix(unit)?, seconds)))?;
    let time = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit_s).ok()?;
    (time <= LONGEST_TIME).then_some(time)
}

fn parse_share(value: &str) -> Option<f64> {
    let share = match value.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => value.parse::<f64>().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

fn parse_rate(value: &str) -> Option<u64> {
    parse_scaled(value.strip_suffix("bit")?, 1000)
}

fn parse_octets(value: &str) -> Option<u64> {
    parse_scaled(value, 1024)
}

fn parse_scaled(value: &str, thousand: u64) -> Option<u64> {
    let scales = [
        ("g", thousand.pow(3)),
        ("m", thousand.pow(2)),
        ("k", thousand),
    ];
    let (number, scale) = scales
        .into_iter()
        .find_map(|(unit, scale)| Some((value.strip_suffix(unit)?, scale)))
        .unwrap_or((value, 1));
    number.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_set_what_they_name_and_leave_the_rest() {
        let mut settings = Impairments::default();
        settings
            .apply("delay=20ms jitter=1.5ms loss=2% rate=10mbit queue=64k outage=on")
            .unwrap();
        let expected = Impairments {
            delay: Duration::from_millis(20),
            jitter: Duration::from_micros(1500),
            loss: 0.02,
            rate_bit_s: Some(10_000_000),
            queue_octets: 65_536,
            outage: true,
            ..Impairments::default()
        };
        assert_eq!(settings, expected);
        settings.apply("loss=0.5 rate=none").unwrap();
        assert_eq!(settings.loss, 0.5);
        assert_eq!(settings.rate_bit_s, None);
        assert_eq!(settings.delay, Duration::from_millis(20));
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let words = "delay=61ms jitter=3ms loss=1% burst-loss=2% burst-length=5 burst-density=0.5 \
                     reorder=3% reorder-by=7ms duplicate=4% corrupt=5% corrupt-from=42 rate=3mbit queue=9k mtu=1400 stall=on outage=on ha-outage=others";
        let settings: Impairments = words.parse().unwrap();
        assert_eq!(settings.to_string().parse(), Ok(settings));
    }

    #[test]
    fn a_bad_word_changes_nothing() {
        let bad = [
            "delay",
            "delay=20",
            "delay=-1ms",
            "delay=61s",
            "loss=101%",
            "loss=NaN",
            "speed=1",
            "rate=0bit",
            "rate=10",
            "queue=x",
            "outage=maybe",
            "stall=maybe",
            "mtu=65536",
            "ha-outage=maybe",
            "burst-length=0",
            "burst-loss=50% burst-density=40%",
            "corrupt-from=-1",
            "queue=99999999999999999g",
        ];
        for words in bad {
            let mut settings = Impairments::default();
            assert!(
                settings.apply(&format!("jitter=1ms {words}")).is_err(),
                "{words}"
            );
            assert_eq!(settings, Impairments::default(), "{words}");
        }
    }
}
