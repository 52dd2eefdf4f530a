//! The figures under the title: of the whole time, not of what the picture has places for.

use history::Sample;

use crate::{Graph, Kind, cells, measures, numbers};

/// A figure and what it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

impl Figure {
    fn new(name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        Self { name, value }
    }
}

pub(crate) fn figures(graph: &Graph<'_>) -> Vec<Figure> {
    let mut whole = Sample::default();
    let (mut most_sent, mut most_received) = (None, None);
    for (_, sample) in cells::rows(graph).filter(|(_, sample)| sample.measured_s > 0) {
        whole.add(sample);
        most_sent = most_sent.max(measures::sent_bit_s(sample));
        most_received = most_received.max(measures::received_bit_s(sample));
    }
    let mut figures = vec![Figure::new("lost packets", lost_packets(&whole))];
    match graph.kind {
        Kind::Link => {
            figures.push(Figure::new("lost echoes", lost_echoes(&whole)));
            figures.push(Figure::new("latency", latency(&whole)));
        }
        Kind::Set => figures.push(Figure::new("saved packets", saved_packets(&whole))),
    }
    figures.push(Figure::new("off-line", offline(&whole)));
    figures.push(Figure::new(
        "most received",
        most_received.map_or_else(nothing, numbers::rate),
    ));
    figures.push(Figure::new(
        "most sent",
        most_sent.map_or_else(nothing, numbers::rate),
    ));
    let (from_s, to_s) = cells::window(graph);
    let unknown_s = (to_s - from_s).saturating_sub(u64::from(whole.measured_s));
    if unknown_s > 0 {
        figures.push(Figure::new("unknown", numbers::duration(unknown_s)));
    }
    figures
}

fn nothing() -> String {
    "\u{2013}".to_owned()
}

fn offline(whole: &Sample) -> String {
    match whole.offline_s {
        _ if whole.measured_s == 0 => nothing(),
        0 => "never".to_owned(),
        time_s => numbers::duration(time_s.into()),
    }
}

fn lost_packets(whole: &Sample) -> String {
    let lost = whole.lost_packets.max(0) as u64;
    part(measures::loss(whole), lost, whole.settled_packets)
}

fn lost_echoes(whole: &Sample) -> String {
    part(
        measures::echo_loss(whole),
        whole.echoes_lost,
        whole.echoes_sent,
    )
}

fn saved_packets(whole: &Sample) -> String {
    part(
        measures::saved(whole),
        whole.saved_packets,
        whole.settled_packets,
    )
}

fn part(ratio: Option<f64>, part: u64, whole: u64) -> String {
    let Some(ratio) = ratio else { return nothing() };
    let (percent, part, whole) = (
        numbers::percent(ratio),
        numbers::count(part),
        numbers::count(whole),
    );
    format!("{percent} ({part} of {whole})")
}

fn latency(whole: &Sample) -> String {
    let Some(latency) = whole.latency else {
        return nothing();
    };
    let times = [latency.least_us, latency.mean_us(), latency.most_us].map(numbers::latency);
    let [least, mean, most] = times;
    format!("{least} least, {mean} mean, {most} most")
}

#[cfg(test)]
mod tests {
    use history::Spread;

    use super::*;

    fn shown(kind: Kind, rows: &[(u64, Sample)]) -> Vec<(&'static str, String)> {
        let graph = Graph {
            title: "",
            subtitle: "",
            kind,
            from_unix_s: 1000,
            to_unix_s: 1300,
            step_s: 100,
            rows,
            utc_offset_s: 0,
        };
        let figures = figures(&graph).into_iter();
        figures
            .map(|figure| (figure.name, figure.value.replace('\u{a0}', " ")))
            .collect()
    }

    #[test]
    fn a_link_is_told_in_figures() {
        let sample = Sample {
            measured_s: 100,
            offline_s: 3,
            echoes_sent: 100,
            echoes_lost: 2,
            latency: Some(Spread {
                count: 98,
                total_us: 980_000,
                least_us: 8_100,
                most_us: 120_000,
            }),
            received_octets: 125_000_000,
            settled_packets: 10_000,
            lost_packets: 31,
            ..Sample::default()
        };
        let more = Sample {
            sent_octets: 12_500,
            ..sample
        };
        let expected = [
            ("lost packets", "0.31 % (62 of 20 000)"),
            ("lost echoes", "2 % (4 of 200)"),
            ("latency", "8.1 ms least, 10 ms mean, 120 ms most"),
            ("off-line", "6 s"),
            ("most received", "10 Mbit/s"),
            ("most sent", "1 kbit/s"),
            ("unknown", "1 min 40 s"),
        ];
        let outside = (2000, more);
        let shown = shown(Kind::Link, &[(1000, sample), (1100, more), outside]);
        assert_eq!(
            shown,
            expected.map(|(name, value)| (name, value.to_owned()))
        );
    }

    #[test]
    fn a_set_is_told_by_what_it_saved() {
        let sample = Sample {
            measured_s: 300,
            settled_packets: 1_000_000,
            lost_packets: -5,
            saved_packets: 30_000,
            ..Sample::default()
        };
        let expected = [
            ("lost packets", "0 % (0 of 1 000 000)"),
            ("saved packets", "3 % (30 000 of 1 000 000)"),
            ("off-line", "never"),
            ("most received", "0 bit/s"),
            ("most sent", "0 bit/s"),
        ];
        let shown = shown(Kind::Set, &[(1000, sample)]);
        assert_eq!(
            shown,
            expected.map(|(name, value)| (name, value.to_owned()))
        );
    }

    #[test]
    fn what_is_not_known_is_not_nought() {
        let shown = shown(Kind::Link, &[]);
        let (last, others) = shown.split_last().unwrap();
        assert!(
            others.iter().all(|(_, value)| value == "\u{2013}"),
            "{others:?}"
        );
        assert_eq!(*last, ("unknown", "5 min".to_owned()));
    }
}
