//! What is asked of the history, and its answers: names of graphs, and rows of one.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use history::{Sample, Spread, Tier};
use serde::{Deserialize, Serialize};

use crate::monitor::History;

/// As many rows as a graph is answered with at most, if the history has it in steps that are large enough: an hour of seconds.
const MOST_ROWS: u64 = 3600;
/// A range that ends so short a time ago, in seconds, was meant to end now. Its oldest second may be gone; it is not shown in larger steps for that.
const LATELY_S: u64 = 5;

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryQuestion {
    /// The names of the graphs.
    Graphs,
    /// One graph, from one time to another, in seconds since 1970.
    Graph { name: String, range_s: Range<u64> },
}

/// The names of the graphs, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Graphs {
    pub graphs: Vec<String>,
}

/// A part of one graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Graph {
    pub name: String,
    /// The time that each row is of: 1, 100 or 3600 seconds.
    pub step_s: u64,
    /// Oldest first. A step of which nothing is known has none.
    pub rows: Vec<HistoryRow>,
}

/// What one graph shows of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryRow {
    /// Beginning of the step.
    pub at_unix_s: u64,
    /// Seconds of it in which somebody measured, and of those the ones in which the link, or the whole set, was down.
    pub measured_s: u32,
    pub offline_s: u32,
    pub echoes_sent: u64,
    pub echoes_lost: u64,
    /// Round trips of LCP echoes; absent when none came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<Times>,
    pub sent_packets: u64,
    pub sent_octets: u64,
    pub received_packets: u64,
    pub received_octets: u64,
    /// Packets, or a link's copies, whose fate became known.
    pub settled_packets: u64,
    /// Of those, the lost ones. Less than nothing when more arrived after all than were lost.
    pub lost_packets: i64,
    /// Copies of a link that were the first of their number.
    pub wins: u64,
    /// Packets of a set that its best single link would not have delivered.
    pub saved_packets: u64,
    /// How far the copies of a link were behind the first ones, in 99 of 100 cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew_us: Option<Times>,
    /// 0 to 100, best last; absent when nobody measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
}

/// Of several times, so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Times {
    pub count: u64,
    pub least: u64,
    pub mean: u64,
    pub most: u64,
}

impl HistoryQuestion {
    /// Reads a request line: `graphs`, or `graph NAME FROM TO`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        if line == "graphs" {
            return Some(Self::Graphs);
        }
        let mut words = line.strip_prefix("graph ")?.rsplitn(3, ' ');
        let to_s = words.next()?.parse().ok()?;
        let from_s = words.next()?.parse().ok()?;
        let name = words.next()?.trim().to_owned();
        let range_s = from_s..to_s;
        Some(Self::Graph { name, range_s })
    }

    pub(super) fn line(&self) -> String {
        match self {
            Self::Graphs => "graphs".to_owned(),
            Self::Graph { name, range_s } => {
                format!("graph {name} {} {}", range_s.start, range_s.end)
            }
        }
    }

    /// One JSON document without a line end.
    ///
    /// # Errors
    /// Why it cannot be answered, for people.
    pub(super) fn answer(&self, history: &History) -> Result<String, String> {
        let answer = match self {
            Self::Graphs => {
                let graphs = names(history).map_err(|error| error.to_string())?;
                serde_json::to_string(&Graphs { graphs })
            }
            Self::Graph { name, range_s } => {
                let part = Part::read(history, name, range_s).map_err(|error| error.to_string())?;
                let rows = part.rows.iter();
                serde_json::to_string(&Graph {
                    name: name.clone(),
                    step_s: u64::from(part.step_s),
                    rows: rows.map(|(at_s, it)| HistoryRow::of(*at_s, it)).collect(),
                })
            }
        };
        answer.map_err(|error| error.to_string())
    }
}

/// Why the history does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryError {
    /// Nothing has this name.
    NoGraph(String),
    /// The range ends before it begins.
    NoRange(Range<u64>),
    /// The file is being checked.
    NotReady,
    /// The disk fails, and says how.
    Store(String),
}

impl std::fmt::Display for HistoryError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoGraph(name) => write!(
                formatter,
                "no graph has the name {name}; `hal2tp graph`, and /api/v1/graphs, list those that there are"
            ),
            Self::NoRange(range_s) => write!(
                formatter,
                "the graph is to end at {}, and to begin at {}: the end must be later",
                range_s.end, range_s.start
            ),
            Self::NotReady => {
                formatter.write_str("the history is being checked; ask again in a while")
            }
            Self::Store(error) => write!(formatter, "the history cannot be read: {error}"),
        }
    }
}

impl std::error::Error for HistoryError {}

/// The names of the graphs, sorted.
///
/// # Errors
/// When the history is not ready.
pub fn names(history: &History) -> Result<Vec<String>, HistoryError> {
    Ok(reader(history)?.names())
}

/// What the history has of one graph and time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The time that each row is of.
    pub step_s: u32,
    /// When each began, since 1970; oldest first.
    pub rows: Vec<(u64, Sample)>,
}

impl Part {
    /// Reads a part of one graph, as fine as there is for all of it in a bearable number of rows.
    ///
    /// # Errors
    /// When there is no such graph, the range is none, or the history is not ready or cannot be read.
    pub fn read(history: &History, name: &str, range_s: &Range<u64>) -> Result<Self, HistoryError> {
        if range_s.is_empty() {
            return Err(HistoryError::NoRange(range_s.clone()));
        }
        let tier = tier(range_s, unix_time_s());
        let reader = reader(history)?;
        let rows = reader.rows(name, tier, range_s.clone());
        let rows = rows.map_err(|error| HistoryError::Store(error.to_string()))?;
        if rows.is_empty() && !reader.names().iter().any(|known| known == name) {
            return Err(HistoryError::NoGraph(name.to_owned()));
        }
        Ok(Self {
            step_s: u32::try_from(tier.step_s()).unwrap_or(u32::MAX),
            rows,
        })
    }
}

fn tier(range_s: &Range<u64>, now_s: u64) -> Tier {
    let is_meant = (range_s.end..=range_s.end.saturating_add(LATELY_S)).contains(&now_s);
    let now_s = if is_meant { range_s.end } else { now_s };
    Tier::for_range(range_s, now_s, MOST_ROWS)
}

/// Seconds since 1970, by the system's clock.
#[must_use]
pub fn unix_time_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

fn reader(history: &History) -> Result<history::Reader, HistoryError> {
    history.reader().ok_or(HistoryError::NotReady)
}

impl HistoryRow {
    /// What a sample says of the step that begins then.
    #[must_use]
    pub fn of(at_unix_s: u64, sample: &Sample) -> Self {
        Self {
            at_unix_s,
            measured_s: sample.measured_s,
            offline_s: sample.offline_s,
            echoes_sent: sample.echoes_sent,
            echoes_lost: sample.echoes_lost,
            latency_us: sample.latency.as_ref().map(Times::of),
            sent_packets: sample.sent_packets,
            sent_octets: sample.sent_octets,
            received_packets: sample.received_packets,
            received_octets: sample.received_octets,
            settled_packets: sample.settled_packets,
            lost_packets: sample.lost_packets,
            wins: sample.wins,
            saved_packets: sample.saved_packets,
            skew_us: sample.skew.as_ref().map(Times::of),
            score: sample.score(),
        }
    }

    /// The sample that it was made of, means being rounded.
    #[must_use]
    pub fn sample(&self) -> Sample {
        Sample {
            measured_s: self.measured_s,
            offline_s: self.offline_s,
            echoes_sent: self.echoes_sent,
            echoes_lost: self.echoes_lost,
            latency: self.latency_us.as_ref().map(Times::spread),
            sent_packets: self.sent_packets,
            sent_octets: self.sent_octets,
            received_packets: self.received_packets,
            received_octets: self.received_octets,
            settled_packets: self.settled_packets,
            lost_packets: self.lost_packets,
            wins: self.wins,
            saved_packets: self.saved_packets,
            skew: self.skew_us.as_ref().map(Times::spread),
        }
    }
}

impl Times {
    const fn of(spread: &Spread) -> Self {
        Self {
            count: spread.count,
            least: spread.least_us,
            mean: spread.mean_us(),
            most: spread.most_us,
        }
    }

    const fn spread(&self) -> Spread {
        Spread {
            count: self.count,
            total_us: self.mean.saturating_mul(self.count),
            least_us: self.least,
            most_us: self.most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last hour is one of seconds, though a second passes between question and answer.
    #[test]
    fn the_last_hour_has_seconds_and_the_last_28_have_hundreds() {
        const NOW_S: u64 = 1_764_215_000;
        let tier = |hours: u64, ended_s: u64| {
            let end_s = NOW_S - ended_s;
            tier(&(end_s - hours * 3600..end_s), NOW_S)
        };
        for ended_s in 0..=LATELY_S {
            assert_eq!(tier(1, ended_s), Tier::Seconds, "{ended_s}");
            assert_eq!(tier(28, ended_s), Tier::Hundreds, "{ended_s}");
        }
        assert_eq!(tier(1, LATELY_S + 1), Tier::Hundreds);
        assert_eq!(tier(28, LATELY_S + 1), Tier::Hours);
        assert_eq!(super::tier(&(NOW_S - 3601..NOW_S), NOW_S), Tier::Hundreds);
        assert_eq!(
            super::tier(&(NOW_S - 3599..NOW_S + 9), NOW_S),
            Tier::Hundreds
        );
        assert_eq!(
            super::tier(&(NOW_S - 3500..NOW_S + 9), NOW_S),
            Tier::Seconds
        );
    }

    #[test]
    fn a_question_is_read_as_it_is_written() {
        for name in ["head1", "set/A/192.0.2.1", "two words"] {
            let question = HistoryQuestion::Graph {
                name: name.to_owned(),
                range_s: 5..70,
            };
            assert_eq!(HistoryQuestion::parse(&question.line()), Some(question));
        }
        let graphs = HistoryQuestion::Graphs;
        assert_eq!(HistoryQuestion::parse(&graphs.line()), Some(graphs));
        for line in [
            "graph",
            "graph a",
            "graph a 1",
            "graph a 1 -2",
            "graph a x 2",
            "graphs a",
        ] {
            assert_eq!(HistoryQuestion::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_row_is_written_in_the_words_of_the_interface() {
        let mut sample = Sample {
            measured_s: 2,
            settled_packets: 100,
            lost_packets: 1,
            latency: Some(Spread::of(3000)),
            ..Sample::default()
        };
        sample.add(&Sample {
            latency: Some(Spread::of(5000)),
            ..Sample::default()
        });
        let row = HistoryRow::of(1_764_215_000, &sample);
        let json = serde_json::to_string(&row).unwrap();
        let expected = concat!(
            r#"{"at_unix_s":1764215000,"measured_s":2,"offline_s":0,"echoes_sent":0,"echoes_lost":0,"#,
            r#""latency_us":{"count":2,"least":3000,"mean":4000,"most":5000},"sent_packets":0,"sent_octets":0,"#,
            r#""received_packets":0,"received_octets":0,"settled_packets":100,"lost_packets":1,"#,
            r#""wins":0,"saved_packets":0,"score":81}"#
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<HistoryRow>(&json).unwrap(), row);
        assert_eq!(row.sample(), sample);
    }
}
