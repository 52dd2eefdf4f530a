//! Section `cycles`: what a packet takes of one core, and how many instructions are kept for each way through a worker.
//!
//! The program `cycles` counts: DPDK starts once in a process, and on the CPU that is measured.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use benches::plot::{Axis, BarPlot, Bars, Legend};
use benches::report::{Cell, Column, Picture, Row, Section, Table};
use serde::Deserialize;

use crate::run::Run;

/// What `scripts/instructions` compares with.
const INSTRUCTIONS: &str = "benches/instructions.json";
const PICTURE: &str = "cycles.svg";

#[derive(Deserialize)]
struct Instructions {
    compiler: String,
    dpdk: String,
    instructions_per_packet: BTreeMap<String, f64>,
}

pub(crate) fn measure(run: &Run) -> Result<Section, Box<dyn Error>> {
    let (rounds, bursts) = run.effort.pick(("7", "10"), ("7", "50"), ("21", "100"));
    run.say("cycles", &format!("{rounds} rounds"));
    let output = Command::new(run.program("cycles"))
        .args(["--json", "--rounds", rounds, "--bursts", bursts])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the counting failed: {}", output.status).into());
    }
    let mut section: Section = serde_json::from_slice(&output.stdout)?;
    let text = fs::read_to_string(Path::new(INSTRUCTIONS))
        .map_err(|problem| format!("{INSTRUCTIONS}: {problem}"))?;
    section.tables.push(instructions_table(&text)?);
    draw(&section, &run.output().join(PICTURE))?;
    section.pictures.push(Picture {
        file: PICTURE.to_owned(),
        caption: "Cycles of one core for an inner IP packet of 64 octets, beside testpmd's for forwarding a frame as long as \
                  the one that holds it in the tunnel."
            .to_owned(),
    });
    Ok(section)
}

/// The smallest packets beside testpmd.
fn draw(section: &Section, file: &Path) -> Result<(), Box<dyn Error>> {
    let table = section.tables.iter().find(|table| table.name == "testpmd");
    let table = table.ok_or("no table beside testpmd")?;
    let small = |row: &&Row| row.name.ends_with(", 64 octets") && !row.name.contains("checksum");
    let rows: Vec<&Row> = table.rows.iter().filter(small).collect();
    let series = ["hal2tp", "testpmd net_ring", "testpmd net_null"].map(|name| {
        let wanted = format!("{name}, cycles");
        let column = table
            .columns
            .iter()
            .position(|column| column.name == wanted);
        let values = rows.iter().map(|row| {
            let cell = column.and_then(|column| row.cells.get(column));
            cell.and_then(Cell::number).unwrap_or(f64::NAN)
        });
        Bars {
            name: name.to_owned(),
            values: values.collect(),
            spreads: Vec::new(),
        }
    });
    let case = |row: &&Row| row.name.trim_end_matches(", 64 octets").to_owned();
    let plot = BarPlot {
        title: "Cycles of one core for an inner IP packet of 64 octets, and for a frame with it"
            .to_owned(),
        x_label: "hal2tp, without UDP checksum; a packet that is sent, or a copy that is received"
            .to_owned(),
        y: Axis::linear("TSC cycles"),
        cases: rows.iter().map(case).collect(),
        series: series.to_vec(),
        legend: Legend::UpperLeft,
    };
    Ok(plot.write(file)?)
}

fn instructions_table(text: &str) -> Result<Table, Box<dyn Error>> {
    let Instructions {
        compiler,
        dpdk,
        instructions_per_packet,
    } = serde_json::from_str(text).map_err(|problem| format!("{INSTRUCTIONS}: {problem}"))?;
    let title = format!(
        "Instructions for a packet, kept by `scripts/instructions` ({compiler}, {dpdk}): a change that takes 2 % more fails the tests"
    );
    let mut table = Table::new(
        "instructions",
        &title,
        "hal2tp, inner packet",
        vec![Column::new("instructions", 1)],
    );
    for (name, count) in &instructions_per_packet {
        table.push(name, vec![Cell::Value(*count)]);
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_instructions_are_told_by_name() {
        let text = include_str!("../../../instructions.json");
        let table = instructions_table(text).unwrap();
        let forward = table
            .rows
            .iter()
            .find(|row| row.name == "forward, no tunnel, 64 octets");
        assert!(forward.unwrap().cells[0].number().unwrap() > 50.0);
        let problem = instructions_table("{}").err().unwrap();
        assert!(problem.to_string().contains(INSTRUCTIONS), "{problem}");
    }
}
