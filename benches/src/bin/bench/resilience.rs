//! What faults cost: packets lost, delivered twice, and the longest gap, for a set of hal2tp and for other ways of using the same
//! ISPs; and what a set gains in latency over its best link.

mod bed;
mod fastest;
mod faults;
mod figures;
mod sites;
mod ways;

use std::error::Error;

use benches::report::Section;
use benches::traffic::FlowReport;

use crate::run::Run;
use bed::Bed;

pub(crate) const NAME: &str = "resilience";

pub(crate) fn measure(run: &Run) -> Result<Section, Box<dyn Error>> {
    let rounds = run.effort.pick(1, 1, 3);
    let mut bed = Bed::start(run)?;
    let faults = faults::measure(run, &mut bed, rounds)?;
    let fastest = fastest::measure(run, &mut bed, rounds)?;
    let emulator_drops = bed.emulator_drops()?;
    drop(bed);
    let mut notes = faults::notes(&faults, run.effort);
    notes.extend(fastest::notes(run.effort));
    let reports = faults.iter().flat_map(faults::Outcome::all_reports);
    let reports = reports.chain(fastest.iter().flat_map(fastest::Outcome::all_reports));
    notes.push(own_part(emulator_drops, &reports.collect::<Vec<_>>()));
    let mut pictures = faults::pictures(&faults, run.output())?;
    pictures.extend(fastest::pictures(&fastest, run.output())?);
    Ok(Section {
        name: NAME.to_owned(),
        title: "Resilience".to_owned(),
        introduction: introduction(rounds),
        tables: vec![faults::table(&faults), fastest::table(&fastest)],
        pictures,
        notes,
        seconds: 0.0,
    })
}

/// What makes a figure worthless.
fn own_part(emulator_drops: u64, reports: &[&FlowReport]) -> String {
    let total =
        |of: fn(&FlowReport) -> u64| -> u64 { reports.iter().map(|report| of(report)).sum() };
    format!(
        "The harness's own part: {emulator_drops} frames that the emulators' sockets had no room for, in the whole section; {} \
         packets dropped by the receivers' sockets, {} attempts to send that a kernel refused (and that were repeated), {} packets \
         damaged or foreign.",
        total(|report| report.receiver_drops),
        total(|report| report.send_errors),
        total(|report| report.foreign)
    )
}

fn introduction(rounds: u32) -> String {
    let links: Vec<String> = faults::LINKS
        .iter()
        .map(|words| format!("`{words}`"))
        .collect();
    format!(
        "Two appliances with one worker each (`poll: adaptive`), a kernel host in the LAN of either, and emulated ISPs between \
         them, all in network namespaces of one machine; nothing is pinned, and all processes share all CPUs. Numbered UDP of 200 octets, {} packets a second \
         in each direction for every way of using the ISPs, is counted packet by packet at the other host. Rounds: {rounds}; a \
         figure of several is the median (least-most).\n\n\
         `faults`: the same two ISPs ({}, each way) are used in four ways by the same two appliances at the same time, so that a \
         fault meets all of them at the same moment. \"hal2tp\" is a set over both. \"one link\" is a plain L2TP session over \
         the first ISP, which is the one that has the fault. \"balanced pair\" is a plain session over each, and a \
         splitter in the sending host gives them packets in turn. \"standby pair\" is the same with a splitter that uses the second \
         link only while the first is not up. What the pairs deliver over two links is one account at the receiver.\n\n\
         `fastest-wins`: a set over three ISPs and a plain session over each of them, with the same traffic in each at the same time.",
        bed::PACKETS_PER_S,
        links.join(" and ")
    )
}
