//! The longest gaps as bars, and one cut over time.

use std::path::Path;

use benches::figure::Figure;
use benches::plot::{Axis, BarPlot, Bars, Legend, LinePlot, PlotError, Series, Span};
use benches::report::Picture;

use super::super::bed::PACKETS_PER_S;
use super::super::ways::Way;
use super::table::{gap_us, measured_faults};
use super::{Fault, Outcome};

const GAPS: &str = "resilience-gaps.svg";
const CUT: &str = "resilience-cut.svg";

pub(crate) fn write(outcomes: &[Outcome], folder: &Path) -> Result<Vec<Picture>, PlotError> {
    let mut pictures = Vec::new();
    gaps(outcomes).write(&folder.join(GAPS))?;
    pictures.push(Picture {
        file: GAPS.to_owned(),
        caption: "The longest time in which nothing new arrived, by fault and way, in the worse direction; the lines on the bars \
                  go from the least to the most of all rounds."
            .to_owned(),
    });
    if let Some(outcome) = outcomes.iter().find(|outcome| outcome.fault == Fault::Cut) {
        cut(outcome).write(&folder.join(CUT))?;
        pictures.push(Picture {
            file: CUT.to_owned(),
            caption: "What arrives of what is sent, from the head to the remote, while the quicker link is cut (first round)."
                .to_owned(),
        });
    }
    Ok(pictures)
}

fn gaps(outcomes: &[Outcome]) -> BarPlot {
    let faults = measured_faults(outcomes);
    let gap = |way: Way, fault: Fault| {
        let runs = outcomes.iter().filter(|outcome| outcome.fault == fault);
        let longest = runs.map(|run| run.reports[way as usize].iter().map(gap_us).max());
        let longest: Vec<f64> = longest.map(|us| us.unwrap_or(0) as f64 / 1e3).collect();
        Figure::new(&longest)
    };
    let series = Way::ALL.map(|way| {
        let figures: Vec<Figure> = faults.iter().map(|fault| gap(way, *fault)).collect();
        Bars {
            name: way.name().to_owned(),
            values: figures.iter().map(|figure| figure.median).collect(),
            spreads: figures
                .iter()
                .map(|figure| figure.least..figure.most)
                .collect(),
        }
    });
    BarPlot {
        title: "Longest gap".to_owned(),
        x_label: "fault".to_owned(),
        y: Axis::logarithmic("longest gap, ms").over(1.0..100_000.0),
        cases: faults.iter().map(|fault| fault.name().to_owned()).collect(),
        series: series.to_vec(),
        legend: Legend::UpperLeft,
    }
}

fn cut(outcome: &Outcome) -> LinePlot {
    let series = Way::ALL.map(|way| {
        let timeline = &outcome.reports[way as usize][0].timeline;
        // All of a step's, but for the last one, which the end of the traffic cuts short.
        let mut steps: Vec<_> = timeline.steps().collect();
        steps.pop();
        let step = steps.get(1).map_or(0.1, |(at, _)| at.as_secs_f64());
        let sent = step * f64::from(PACKETS_PER_S);
        let points = steps.into_iter().map(|(at, of_step)| {
            let share = of_step.packets as f64 / sent * 100.0;
            (at.as_secs_f64(), share)
        });
        Series {
            name: way.name().to_owned(),
            points: points.collect(),
        }
    });
    LinePlot {
        title: "One of two links is cut".to_owned(),
        x: Axis::linear("time of sending, s"),
        y: Axis::linear("delivered in each 100 ms, %").over(0.0..175.0),
        series: series.to_vec(),
        spans: vec![Span {
            name: "while the link is cut".to_owned(),
            range: outcome.lasted.start.as_secs_f64()..outcome.lasted.end.as_secs_f64(),
        }],
        legend: Legend::UpperRight,
    }
}
