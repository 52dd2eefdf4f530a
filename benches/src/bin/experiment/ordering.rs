//! What `ordering` does to TCP when the quick link loses packets whose copies come later over another.
//!
//! Every run has a laboratory of its own, so that no run knows what the one before had learnt.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use benches::figure::Figure;
use benches::iperf::{Iperf, IperfConfig, IperfReport, Protocol, Tcp};
use benches::lab::{Lab, LabConfig, Site};
use benches::plot::{Axis, BarPlot, Bars, Legend};
use benches::snmp::{TcpSegments, tcp_segments};
use clap::Args;

use crate::setting;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each case is run
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Length of each transfer, seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

const SET_UP_LIMIT: Duration = Duration::from_secs(20);
/// The sender's pace. The lines carry more, so that nothing is lost but what the first one is told to lose.
const PACE_BIT_S: u64 = 60_000_000;
/// One way.
const QUICK_MS: u32 = 5;
const SLOW_MS: u32 = 25;
const LOSS_PERCENT: u32 = 1;
/// What most hosts use.
const CONGESTION_CONTROL: &str = "cubic";
const ORDERING: &str = "ordering: { max-delay: 100ms }";

/// Which links there are, and whether the set orders.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    QuickWithoutLoss,
    QuickAlone,
    SlowAlone,
    AsTheyCome,
    InOrder,
}

impl Case {
    const ALL: [Self; 5] = [
        Self::QuickWithoutLoss,
        Self::QuickAlone,
        Self::SlowAlone,
        Self::AsTheyCome,
        Self::InOrder,
    ];

    fn name(self) -> String {
        match self {
            Self::QuickWithoutLoss => format!("{QUICK_MS} ms link, no loss"),
            Self::QuickAlone => format!("{QUICK_MS} ms link, {LOSS_PERCENT} % lost"),
            Self::SlowAlone => format!("{SLOW_MS} ms link, no loss"),
            Self::AsTheyCome => "both, as they come".to_owned(),
            Self::InOrder => "both, in order".to_owned(),
        }
    }

    /// Links of the laboratory that are there at all, from 1.
    fn links(self) -> &'static [usize] {
        match self {
            Self::QuickWithoutLoss | Self::QuickAlone => &[1],
            Self::SlowAlone => &[2],
            Self::AsTheyCome | Self::InOrder => &[1, 2],
        }
    }

    fn lab(self, seed: u64) -> Result<LabConfig, Box<dyn Error>> {
        let loss = match self {
            Self::QuickWithoutLoss => 0,
            _ => LOSS_PERCENT,
        };
        let mut words = [
            format!("delay={QUICK_MS}ms loss={loss}%"),
            format!("delay={SLOW_MS}ms"),
            String::new(),
        ];
        for (link, words) in (1..).zip(&mut words) {
            if !self.links().contains(&link) {
                *words += " outage=on";
            }
        }
        let links = words.iter().map(|words| words.parse());
        Ok(LabConfig {
            links: links.collect::<Result<_, _>>()?,
            set_words: (self == Self::InOrder).then(|| ORDERING.to_owned()),
            seed,
            ..LabConfig::demo()?
        })
    }
}

/// How one run went.
struct Run {
    case: Case,
    iperf: IperfReport,
    sender: TcpSegments,
    receiver: TcpSegments,
}

impl Run {
    fn mbit_s(&self) -> f64 {
        self.iperf.bits_per_s / 1e6
    }

    fn out_of_order_per_1000(&self) -> f64 {
        per_1000(self.receiver.received_out_of_order, self.sender.sent)
    }

    fn retransmitted_per_1000(&self) -> f64 {
        per_1000(self.sender.retransmitted, self.sender.sent)
    }

    fn in_vain_per_1000(&self) -> f64 {
        per_1000(self.sender.retransmitted_in_vain, self.sender.sent)
    }

    fn recoveries(&self) -> f64 {
        self.sender.recoveries as f64
    }
}

fn per_1000(part: u64, whole: u64) -> f64 {
    part as f64 * 1000.0 / whole.max(1) as f64
}

/// Of all runs of a case.
fn measured_in(runs: &[Run], case: Case, measured: fn(&Run) -> f64) -> Figure {
    let of_case = runs.iter().filter(|run| run.case == case);
    Figure::new(&of_case.map(measured).collect::<Vec<_>>())
}

pub(crate) fn run(arguments: &Arguments, output: &Path) -> Result<(), Box<dyn Error>> {
    let mut runs = Vec::new();
    for round in 1..=arguments.rounds {
        for case in Case::ALL {
            let run = measure(case, u64::from(round) * 10, arguments.seconds)?;
            eprintln!(
                "round {round} of {}, {}: {:.1} Mbit/s, {:?} {:?}",
                arguments.rounds,
                case.name(),
                run.mbit_s(),
                run.sender,
                run.receiver
            );
            runs.push(run);
        }
    }
    let command = format!(
        "scripts/experiment ordering --rounds {} --seconds {}",
        arguments.rounds, arguments.seconds
    );
    let mut text = table(&runs, arguments);
    text += &setting::text(&LabConfig::demo()?.programs.hal2tp, &command);
    std::fs::write(output.join("ordering.md"), text)?;
    plot(&runs).write(&output.join("ordering.svg"))?;
    Ok(())
}

fn measure(case: Case, seed: u64, seconds: u32) -> Result<Run, Box<dyn Error>> {
    let mut lab = Lab::build(case.lab(seed)?)?;
    for site in Site::BOTH {
        lab.start(site)?;
    }
    lab.wait_for_links(case.links(), SET_UP_LIMIT)?;
    let iperf = transfer(&lab, seconds)?;
    Ok(Run {
        case,
        iperf,
        sender: tcp_segments(lab.host(Site::Head))?,
        receiver: tcp_segments(lab.host(Site::Remote))?,
    })
}

fn transfer(lab: &Lab, seconds: u32) -> io::Result<IperfReport> {
    let config = IperfConfig {
        client: lab.host(Site::Head).clone(),
        server: lab.host(Site::Remote).clone(),
        port: 5201,
        seconds,
        is_reversed: false,
        protocol: Protocol::Tcp,
        tcp: Tcp {
            congestion_control: Some(CONGESTION_CONTROL),
            bits_per_s: Some(PACE_BIT_S),
        },
    };
    Iperf::start(&config)?.finish()
}

fn table(runs: &[Run], arguments: &Arguments) -> String {
    let mut text = format!(
        "# TCP over a quick link that loses packets\n\n\
         One TCP transfer (iperf3, {CONGESTION_CONTROL}, paced at {} Mbit/s, {} s) over a link of {QUICK_MS} ms that loses \
         {LOSS_PERCENT} % each way, over one of {SLOW_MS} ms, and over a set of both: as packets come, and with \
         `{ORDERING}` at both ends. Median of {} runs (least-most).\n\n\
         What the quick link loses comes {} ms later over the slow one. A sender whose round trip is {} ms takes that for a loss: it \
         sends again *in vain* what will come, and slows down (a *recovery*). *Out of order*: segments that reached the receiver \
         before one that was sent earlier.\n\n\
         | links | Mbit/s | out of order, per 1000 segments | sent again, per 1000 | in vain, per 1000 | recoveries |\n\
         |---|---|---|---|---|---|\n",
        PACE_BIT_S / 1_000_000,
        arguments.seconds,
        arguments.rounds,
        SLOW_MS - QUICK_MS,
        2 * QUICK_MS,
    );
    for case in Case::ALL {
        let figure = |figure| measured_in(runs, case, figure).text();
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            case.name(),
            figure(Run::mbit_s),
            figure(Run::out_of_order_per_1000),
            figure(Run::retransmitted_per_1000),
            figure(Run::in_vain_per_1000),
            figure(Run::recoveries),
        );
    }
    text += "\n![Throughput](ordering.svg)\n\n";
    text
}

fn plot(runs: &[Run]) -> BarPlot {
    let spreads = Case::ALL.map(|case| measured_in(runs, case, Run::mbit_s));
    let bars = Bars {
        name: "median and spread of all runs".to_owned(),
        values: spreads.iter().map(|spread| spread.median).collect(),
        spreads: spreads.iter().map(|it| it.least..it.most).collect(),
    };
    BarPlot {
        title: format!(
            "TCP over links of {QUICK_MS} and {SLOW_MS} ms, the quicker of which loses {LOSS_PERCENT} %"
        ),
        x_label: "links in the set".to_owned(),
        y: Axis::linear("throughput, Mbit/s"),
        cases: Case::ALL.map(Case::name).to_vec(),
        series: vec![bars],
        legend: Legend::default(),
    }
}
