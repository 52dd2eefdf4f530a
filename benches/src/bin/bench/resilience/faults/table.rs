//! The table of faults and ways, and what to know of it.

use std::time::Duration;

use benches::figure::Figure;
use benches::report::{Column, Table};
use benches::traffic::FlowReport;

use super::super::figures;
use super::super::sites::LCP_WORDS;
use super::super::ways::{Reports, WATCH_INTERVAL, Way};
use super::{AROUND, BURSTS_ON, Fault, Outcome, POWER_OFF};
use crate::run::Effort;

/// A column, and what it has of one run.
type Measured = (&'static str, fn(&Reports) -> u64);

const COLUMNS: [Measured; 8] = [
    ("sent packets, both directions", |reports| {
        reports.iter().map(|report| report.sent).sum()
    }),
    ("lost packets, worse direction", |reports| {
        worse(reports, FlowReport::lost)
    }),
    ("lost packets to the remote", |[out, _]| out.lost()),
    ("lost packets to the head", |[_, back]| back.lost()),
    ("packets delivered twice", |reports| {
        reports.iter().map(|report| report.delivered_twice).sum()
    }),
    ("longest gap, µs", |reports| worse(reports, gap_us)),
    ("longest gap to the remote, µs", |[out, _]| gap_us(out)),
    ("longest gap to the head, µs", |[_, back]| gap_us(back)),
];

/// Those that the run has, in their order.
pub(super) fn measured_faults(outcomes: &[Outcome]) -> Vec<Fault> {
    let is_there = |fault: &Fault| outcomes.iter().any(|outcome| outcome.fault == *fault);
    Fault::ALL.into_iter().filter(is_there).collect()
}

fn worse(reports: &Reports, of: fn(&FlowReport) -> u64) -> u64 {
    reports.iter().map(of).fold(0, u64::max)
}

pub(super) fn gap_us(report: &FlowReport) -> u64 {
    report.longest_gap.as_micros() as u64
}

pub(crate) fn table(outcomes: &[Outcome]) -> Table {
    let columns = COLUMNS.map(|(name, _)| Column::new(name, 0));
    let mut table = Table::new(
        "faults",
        "What a fault costs, by the way of using the same two ISPs",
        "fault, and way",
        columns.to_vec(),
    );
    for fault in measured_faults(outcomes) {
        for way in Way::ALL {
            let runs = || outcomes.iter().filter(|outcome| outcome.fault == fault);
            let cells = COLUMNS.map(|(_, measured)| {
                let values = runs().map(|run| measured(&run.reports[way as usize]));
                figures::counted(&values.collect::<Vec<_>>())
            });
            table.push(&format!("{}, {}", fault.name(), way.name()), cells.to_vec());
        }
    }
    table
}

pub(crate) fn notes(outcomes: &[Outcome], effort: Effort) -> Vec<String> {
    let mut notes = vec![
        format!(
            "`faults`: lost packets and the longest gap are those of the worse direction, and then of each; the packets sent, and \
             those delivered twice, are of both directions together. A gap is the time between two new packets at the \
             receiver, who gets one each millisecond when all is well, or from the last new packet to the end of the sending: the \
             rows of \"{}\" say what the machine adds by itself.",
            Fault::Nothing.name()
        ),
        format!(
            "All links have the words `{LCP_WORDS}`. The standby pair goes to its second link when hal2tp's status says that the \
             session over the first is not up, and back when it is up again; it looks every {} ms. Bursts: `{BURSTS_ON}` of \
             the emulator, in frames.",
            WATCH_INTERVAL.as_millis()
        ),
        "When a set loses its quicker link, nothing new arrives for as long as the slower link's delay is greater: one gap for each \
         loss of the link. What had waited in a stalled link comes in one burst at its end, and the appliance's ring for the port \
         holds only part of it (`device-receive-missed` in `status`): so a plain session loses packets even in a stall that it outlives."
            .to_owned(),
        lengths(effort),
    ];
    notes.extend(restarts(outcomes));
    notes
}

fn lengths(effort: Effort) -> String {
    let lengths = Fault::ALL.into_iter().map(|fault| {
        let name = fault.name();
        match fault.length(effort) {
            None => format!("{name}: not in this run"),
            Some(Duration::ZERO) => format!("{name}: until all is up again"),
            Some(length) => format!("{name}: {} s", length.as_secs()),
        }
    });
    let lengths: Vec<String> = lengths.collect();
    format!(
        "How long a fault lasts: {}. The traffic begins {} ms before it and ends as long after all sessions are up again. \
         What lasts less than the time-out costs the standby pair as much as one link: it stays where it is.",
        lengths.join(", "),
        AROUND.as_millis()
    )
}

/// How long nobody was there.
fn restarts(outcomes: &[Outcome]) -> Option<String> {
    let of_fault = |fault: Fault| {
        let runs = outcomes.iter().filter(|outcome| outcome.fault == fault);
        let times: Vec<f64> = runs
            .filter_map(|outcome| outcome.nobody_there)
            .map(|time| time.as_secs_f64() * 1e3)
            .collect();
        (!times.is_empty()).then(|| {
            let figure = Figure::new(&times);
            format!("{}: {} ms", fault.name(), figure.text())
        })
    };
    let times: Vec<String> = Fault::ALL.into_iter().filter_map(of_fault).collect();
    (!times.is_empty()).then(|| {
        format!(
            "A restart is SIGKILL, {} ms of darkness, and the start of a new process. From the kill until that answered \
             `hal2tp status`: {}. What is sent meanwhile, and until a first link is up again, no way can deliver; it is counted as \
             lost in all of them. A restarted head is found out by the remote's `lcp-timeout`. A restarted remote dials at once, \
             from the addresses that it had: the head lets it in without asking the links of the one before.",
            POWER_OFF.as_millis(),
            times.join("; ")
        )
    })
}
