//! The picture in characters.

use history::Sample;

use crate::cells::{self, Cells};
use crate::clock::Wall;
use crate::scale;
use crate::summary::{self, Figure};
use crate::{Graph, Kind, measures, numbers};
use page::{Page, Tint};
use panel::{Panel, Reach};

mod page;
mod panel;
mod times;

const COLUMNS: std::ops::RangeInclusive<usize> = 40..=400;
/// Names and numbers stand here, left of the panels.
const LABELS: usize = 13;
const LATENCY_ROWS: usize = 6;
const RATE_ROWS: usize = 3;

pub(crate) fn draw(graph: &Graph<'_>, columns: usize, colour: bool) -> String {
    let columns = columns.clamp(*COLUMNS.start(), *COLUMNS.end());
    let mut page = Page::new(columns);
    write_head(&mut page, graph);
    let cells = Cells::of(graph, columns - LABELS);
    let samples = cells.spread_over(columns - LABELS);
    page.row("loss", loss_row(graph.kind, &samples));
    match graph.kind {
        Kind::Link => latency(&samples).write(&mut page),
        Kind::Set => saved(&samples).write(&mut page),
    }
    rates(
        "received",
        Tint::Received,
        &samples,
        measures::received_bit_s,
    )
    .write(&mut page);
    rates("sent", Tint::Sent, &samples, measures::sent_bit_s).write(&mut page);
    page.row(
        "off-line",
        samples.iter().map(|sample| offline(*sample)).collect(),
    );
    times::write(
        &mut page,
        Wall::new(graph.utc_offset_s),
        cells::window(graph),
    );
    write_legend(&mut page, graph.kind);
    page.render(colour)
}

fn write_head(page: &mut Page, graph: &Graph<'_>) {
    let wall = Wall::new(graph.utc_offset_s);
    let (from_s, to_s) = cells::window(graph);
    let time = format!("{} to {}", wall.write(from_s), wall.write(to_s));
    let title = vec![(Tint::Bold, graph.title)];
    page.phrases([
        title,
        vec![(Tint::Plain, graph.subtitle)],
        vec![(Tint::Faint, &time)],
    ]);
    let figures = summary::figures(graph);
    page.phrases(
        figures.iter().map(|Figure { name, value }| {
            vec![(Tint::Faint, *name), (Tint::Plain, value.as_str())]
        }),
    );
}

fn write_legend(page: &mut Page, kind: Kind) {
    let steps = LOSS_STEPS.iter().zip(&panel::EIGHTHS[1..]);
    let loss = steps.map(|(ratio, block)| format!("{block} {}", numbers::percent(*ratio)));
    let loss = format!(
        "loss {} any {} or more",
        panel::EIGHTHS[0],
        loss.collect::<Vec<_>>().join(" ")
    );
    let entries: &[_] = match kind {
        Kind::Link => &[
            (Tint::Latency, "\u{2588} mean latency"),
            (Tint::Range, "\u{2591} up to the most"),
            (Tint::Range, "\u{25b2} beyond the scale"),
        ],
        Kind::Set => &[(
            Tint::Latency,
            "\u{2588} saved: what the best link would have lost",
        )],
    };
    let others = [
        (Tint::Offline, "\u{2588} off-line"),
        (Tint::Offline, "\u{2584} partly"),
        (Tint::Faint, "\u{b7} unknown"),
    ];
    let all = [(Tint::Loss, loss.as_str())].into_iter();
    page.phrases(
        all.chain(entries.iter().copied())
            .chain(others)
            .map(|entry| vec![entry]),
    );
}

/// From which ratio on a loss is shown as more than an eighth, which any is.
const LOSS_STEPS: [f64; 7] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9];

/// Of a link the worse of packets and echoes.
fn loss_row(kind: Kind, samples: &[Option<&Sample>]) -> Vec<(char, Tint)> {
    let loss = |sample: &Sample| {
        let echoes = Some(sample)
            .filter(|_| kind == Kind::Link)
            .and_then(measures::echo_loss);
        [measures::loss(sample), echoes]
            .into_iter()
            .flatten()
            .fold(0.0, f64::max)
    };
    let column = |sample: &Option<&Sample>| {
        let Some(sample) = sample else { return UNKNOWN };
        let loss = loss(sample);
        let eighths = usize::from(loss > 0.0) + LOSS_STEPS.partition_point(|step| *step <= loss);
        (panel::block(eighths), Tint::Loss)
    };
    samples.iter().map(column).collect()
}

const UNKNOWN: (char, Tint) = ('\u{b7}', Tint::Faint);

fn offline(sample: Option<&Sample>) -> (char, Tint) {
    let Some(sample) = sample else { return UNKNOWN };
    match sample.offline_s {
        0 => (' ', Tint::Plain),
        offline_s if offline_s >= sample.measured_s => ('\u{2588}', Tint::Offline),
        _ => ('\u{2584}', Tint::Offline),
    }
}

fn latency(samples: &[Option<&Sample>]) -> Panel {
    let latencies = || {
        samples
            .iter()
            .map(|sample| sample.and_then(|sample| sample.latency))
    };
    let most = scale::latency_worth_showing_us(samples.iter().copied().flatten());
    let top_us = scale::round_up(most as f64);
    let reach = latencies().map(|spread| {
        let spread = spread?;
        Some(Reach {
            solid: spread.mean_us() as f64,
            light: spread.most_us as f64,
        })
    });
    Panel {
        name: "latency",
        top: numbers::latency(top_us as u64),
        top_value: top_us,
        rows: LATENCY_ROWS,
        solid_tint: Tint::Latency,
        columns: with_unknown(samples, reach),
    }
}

fn saved(samples: &[Option<&Sample>]) -> Panel {
    let ratios = || {
        samples
            .iter()
            .map(|sample| sample.and_then(measures::saved))
    };
    let top = scale::round_up(ratios().flatten().fold(0.0, f64::max)).min(1.0);
    Panel {
        name: "saved",
        top: numbers::percent(top),
        top_value: top,
        rows: RATE_ROWS,
        solid_tint: Tint::Latency,
        columns: with_unknown(samples, ratios().map(|ratio| ratio.map(Reach::solid))),
    }
}

fn rates(
    name: &'static str,
    solid_tint: Tint,
    samples: &[Option<&Sample>],
    of: fn(&Sample) -> Option<u64>,
) -> Panel {
    let rates = || samples.iter().map(|sample| sample.and_then(of));
    let top = scale::round_up(rates().flatten().max().unwrap_or(0) as f64);
    Panel {
        name,
        top: numbers::rate(top as u64),
        top_value: top,
        rows: RATE_ROWS,
        solid_tint,
        columns: with_unknown(
            samples,
            rates().map(|rate| rate.map(|bit_s| Reach::solid(bit_s as f64))),
        ),
    }
}

/// `None` where nobody measured, and nothing high where there was nothing of the kind.
fn with_unknown(
    samples: &[Option<&Sample>],
    reach: impl Iterator<Item = Option<Reach>>,
) -> Vec<Option<Reach>> {
    let columns = samples.iter().zip(reach);
    let known = columns.map(|(sample, reach)| sample.map(|_| reach.unwrap_or_default()));
    known.collect()
}

#[cfg(test)]
mod tests;
