//! What was found, as a section of the report.

use std::path::Path;

use benches::figure::Figure;
use benches::plot::{Axis, Legend, LinePlot, Series};
use benches::report::{Cell, Column, Picture, Section, Table};

use super::orders::{Outcome, Pacing, SHARES, Spread};
use super::{
    DRAIN, Findings, Kind, LINKS, Measured, NAME, Point, SEARCH_MS, SHARED_DRAIN, TESTER_CPU,
    WORKER_CPU,
};
use crate::bed::Poll;

/// Above it a median is that of a queue.
const MOST_COMPARED_PERCENT: u32 = 50;
const PICTURE: &str = "latency.svg";
const NO_RATE: &str = "no rate without loss";
const NOTHING: &str = "nothing came";

impl Kind {
    /// Name of its table.
    fn name(self) -> &'static str {
        match self {
            Self::Testpmd => "5tswap",
            Self::Alone(Poll::Busy) => "one appliance",
            Self::Alone(Poll::Adaptive) => "one appliance, adaptive",
            Self::Pair(Poll::Adaptive) => "pair",
            Self::Pair(Poll::Busy) => "pair, busy",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Testpmd => "testpmd 5tswap in the appliance's place",
            Self::Alone(Poll::Busy) => "one appliance, LAN to links, `poll: busy`",
            Self::Alone(Poll::Adaptive) => "one appliance, LAN to links, `poll: adaptive`",
            Self::Pair(Poll::Adaptive) => {
                "a pair, LAN to LAN, `poll: adaptive`, both workers on one CPU"
            }
            Self::Pair(Poll::Busy) => "a pair, LAN to LAN, `poll: busy`, both workers on one CPU",
        }
    }
}

impl Point {
    fn row(self) -> String {
        let pacing = match self.pacing {
            Pacing::Singles => "singles",
            Pacing::Bursts => "bursts of 32",
        };
        format!(
            "{} octets, {pacing}, {} %",
            self.frame_octets, self.load_percent
        )
    }
}

impl Findings {
    pub(super) fn section(&self, folder: &Path) -> Section {
        let mut kinds: Vec<Kind> = self.measured.iter().map(|of| of.point.kind).collect();
        kinds.dedup();
        let mut tables = vec![self.rates(), self.gaps()];
        tables.extend(kinds.into_iter().map(|kind| self.table(kind)));
        let mut notes = fixed_notes();
        let mut pictures = Vec::new();
        // There is nothing to draw when nothing came; the tables say so then.
        match self.plot().write(&folder.join(PICTURE)) {
            Ok(()) => pictures.push(Picture {
                file: PICTURE.to_owned(),
                caption: "How large a share of the frames took longer than so many microseconds, 64 octets, single \
                          frames; both axes are logarithmic."
                    .to_owned(),
            }),
            Err(problem) => notes.push(format!("No picture: {problem}.")),
        }
        Section {
            name: NAME.to_owned(),
            title: "Latency".to_owned(),
            introduction: self.introduction(),
            tables,
            pictures,
            notes,
            seconds: 0.0,
        }
    }

    fn introduction(&self) -> String {
        let [tester, worker] = self.gaps_us;
        let exactness_percent = (self.exactness - 1.0) * 100.0;
        format!(
            "A tester on CPU {TESTER_CPU} sends UDP frames with a number and its time stamp counter in them into a LAN \
             port and looks for them without a pause where they come out; what is measured has its worker on CPU \
             {WORKER_CPU}. A pair has both of its workers there, in turns, and so shows what two appliances on half a \
             core each do. Wires are net_memif with rings of 16384 frames, buffers are in ordinary pages, sets have \
             {LINKS} links. One appliance is measured from its LAN to its links: figures are of the first copy, those of \
             the last copy stand beside them. Each point was measured in {} rounds, {} times for {} ms in each, what is compared in turns; \
             figures are the median (least-most) of all of these. Singles are evenly spaced; bursts are 32 frames at once, with \
             the pauses that make the same rate. Maxima are the machine's more than anybody's: in the same run a loop \
             that only looks at the clock was interrupted for {} µs at most on CPU {TESTER_CPU} and {} µs on CPU \
             {WORKER_CPU}.\n\n\
             Loads are shares of the highest rate without a loss, which is found first: by bisection to {exactness_percent:.0} %, in trials of \
             {SEARCH_MS} ms with single frames. Of {} trials at a rate one has to lose nothing, with the tester keeping its pace, and what is \
             under way at its end has to come within {} ms, through a pair within {} ms.",
            self.rounds,
            self.pieces,
            self.milliseconds,
            tester.text(),
            worker.text(),
            self.tries,
            DRAIN.as_millis(),
            SHARED_DRAIN.as_millis(),
        )
    }

    fn rates(&self) -> Table {
        let mut table = Table::new(
            "rates",
            "Highest rates without a loss, single frames",
            "what, and frames",
            vec![Column::new("kpps", 0), Column::ratio("of 5tswap's")],
        );
        for of in &self.highest {
            let same = |other: &&super::Highest| {
                other.kind == Kind::Testpmd && other.frame_octets == of.frame_octets
            };
            let testpmd = self.highest.iter().find(same).and_then(|it| it.rate);
            let ratio = of.rate.zip(testpmd).map(|(rate, other)| rate / other);
            let name = format!("{}, {} octets", of.kind.name(), of.frame_octets);
            let number = |value: Option<f64>, none: &str| {
                value.map_or_else(|| Cell::Text(none.to_owned()), Cell::Value)
            };
            let kpps = number(of.rate.map(|rate| rate / 1e3), NO_RATE);
            table.push(&name, vec![kpps, number(ratio, "-")]);
        }
        table
    }

    fn gaps(&self) -> Table {
        let mut table = Table::new(
            "gaps",
            "How long a loop that only looks at the clock was interrupted",
            "CPU",
            vec![Column::new("longest, µs", 0)],
        );
        for (cpu, gap) in [TESTER_CPU, WORKER_CPU].into_iter().zip(self.gaps_us) {
            table.push(&format!("CPU {cpu}"), vec![Cell::Figure(gap)]);
        }
        table
    }

    fn table(&self, kind: Kind) -> Table {
        let mut columns = vec![
            Column::new("load, kpps", 0),
            Column::new("p50, µs", 1),
            Column::new("p99, µs", 1),
            Column::new("p99.9, µs", 1),
            Column::new("max, µs", 0),
        ];
        let has_copies = matches!(kind, Kind::Alone(_));
        if has_copies {
            columns.push(Column::new("last copy p50, µs", 1));
            columns.push(Column::new("last copy p99.9, µs", 1));
            columns.push(Column::ratio("p50 to 5tswap's"));
        }
        let counts = [
            "sent",
            "refused",
            "received",
            "lost",
            "twice",
            "late pieces",
        ];
        columns.extend(counts.map(|name| Column::new(name, 0)));
        columns.push(Column::new("tester's longest gap, µs", 0));
        let mut table = Table::new(kind.name(), kind.title(), "frames, pacing, load", columns);
        for of in self.measured.iter().filter(|of| of.point.kind == kind) {
            let mut cells = vec![Cell::Value(of.point.rate / 1e3)];
            let first = |share| of.figure(|outcome| outcome.first.quantile_us(share));
            cells.extend([0.5, 0.99, 0.999, 1.0].map(first));
            if has_copies {
                let last = |share| of.figure(|outcome| outcome.last.quantile_us(share));
                cells.extend([0.5, 0.999].map(last));
                cells.push(self.ratio(of));
            }
            let sum = |count: &dyn Fn(&Outcome) -> u64| of.outcomes.iter().map(count).sum::<u64>();
            let counts: [&dyn Fn(&Outcome) -> u64; 6] = [
                &|it| it.sent,
                &|it| it.refused,
                &|it| it.received_copies,
                &|it| it.lost_copies,
                &|it| it.twice,
                &|it| u64::from(it.is_late),
            ];
            cells.extend(counts.map(|count| Cell::Count(sum(count))));
            cells.push(of.figure(|outcome| Some(outcome.longest_gap_ns as f64 / 1e3)));
            table.push(&of.point.row(), cells);
        }
        table
    }

    /// Piece by piece, at the same share of the highest rate.
    fn ratio(&self, of: &Measured) -> Cell {
        let same = |other: &&Measured| {
            other.point.kind == Kind::Testpmd && other.point.row() == of.point.row()
        };
        let testpmd = self.measured.iter().find(same);
        let Some(testpmd) = testpmd.filter(|_| of.point.load_percent <= MOST_COMPARED_PERCENT)
        else {
            return Cell::Text("-".to_owned());
        };
        let median = |outcome: &Outcome| outcome.first.quantile_us(0.5);
        let rounds = of.outcomes.iter().zip(&testpmd.outcomes);
        let ratios: Vec<f64> = rounds
            .filter_map(|(it, other)| Some(median(it)? / median(other)?))
            .collect();
        figure(&ratios)
    }

    fn plot(&self) -> LinePlot {
        let wanted = |of: &&Measured| {
            let Point {
                frame_octets,
                pacing,
                load_percent,
                kind,
                ..
            } = of.point;
            let is_telling = load_percent == 50 || !kind.is_searched() || self.has_one_load();
            frame_octets == 64 && pacing == Pacing::Singles && is_telling
        };
        let series = self.measured.iter().filter(wanted).map(|of| Series {
            name: format!("{}, {} %", of.point.kind.name(), of.point.load_percent),
            points: of.tail(),
        });
        LinePlot {
            title: "Frames of 64 octets that took longer".to_owned(),
            x: Axis::logarithmic("µs"),
            y: Axis::logarithmic("share of the frames"),
            series: series.collect(),
            spans: Vec::new(),
            legend: Legend::LowerLeft,
        }
    }

    fn has_one_load(&self) -> bool {
        let mut loads = self.measured.iter().map(|of| of.point.load_percent);
        let first = loads.next();
        loads.all(|load| Some(load) == first)
    }
}

fn fixed_notes() -> Vec<String> {
    [
        "A frame's time goes from just before it is put into the first wire to the look at the last wire that finds it: \
         two wires' rings and the tester's own loop are in it, with 5tswap as with hal2tp.",
        "`refused` counts frames that the first wire had no room for, in `lost` too; `lost` copies that did not come out \
         of their wire, of all that were to come; `twice` frames that came out of one wire again; `late pieces` \
         measurements in which the tester did not keep its pace. The figures beside them are of those frames that came.",
        "Loads are shares of what the same thing carried without a loss, so 5tswap's and hal2tp's are different rates; \
         the ratio is of the medians at the same share. Where queues build up it would say nothing: it stands at no more \
         than half of the load, and not beside a pair on one CPU.",
        "A worker with `poll: adaptive` sleeps when there is nothing to do for a while: bursts, with the pauses between \
         them, show it. Maxima stand as median (least-most) too: the last is the longest of all.",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Of the measurements in which something came.
fn figure(values: &[f64]) -> Cell {
    if values.is_empty() {
        return Cell::Text(NOTHING.to_owned());
    }
    Cell::Figure(Figure::new(values))
}

impl Measured {
    fn figure(&self, of: impl Fn(&Outcome) -> Option<f64>) -> Cell {
        let values: Vec<f64> = self.outcomes.iter().filter_map(of).collect();
        figure(&values)
    }

    /// Times in microseconds, and what share took longer; medians of the rounds in which something came.
    fn tail(&self) -> Vec<(f64, f64)> {
        let shares = SHARES.iter().filter(|&&share| share < 1.0);
        let points = shares.filter_map(|&share| {
            let times: Vec<f64> = self
                .outcomes
                .iter()
                .filter_map(|outcome| Spread::quantile_us(&outcome.first, share))
                .collect();
            (!times.is_empty()).then(|| (Figure::new(&times).median, 1.0 - share))
        });
        points.collect()
    }
}
