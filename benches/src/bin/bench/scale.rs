//! How far it goes: memory, set-ups and cycles against the number of sessions, sets and links.

mod cycles;
mod sessions;
mod sets;
mod windows;

use std::error::Error;
use std::process::{Command, Stdio};

use benches::figure::Figure;
use benches::report::{Cell, Section};
use serde::de::DeserializeOwned;

use crate::run::Run;

pub(crate) const NAME: &str = "scale";

pub(crate) fn measure(run: &Run) -> Result<Section, Box<dyn Error>> {
    let windows = windows::measure()?;
    let sessions = sessions::measure(run)?;
    let sets = sets::measure(run)?;
    let cycles = cycles::measure(run)?;
    let pictures = vec![
        cycles.picture(run)?,
        sets::memory_picture(run, &sessions, &sets)?,
    ];
    let mut notes = cycles.notes();
    notes.extend(sets::notes().map(str::to_owned));
    Ok(Section {
        name: NAME.to_owned(),
        title: "Scale: sessions, sets and links".to_owned(),
        introduction: INTRODUCTION.to_owned(),
        tables: vec![
            sessions::table(&sessions),
            sets::table(&sets),
            windows,
            cycles.table()?,
        ],
        pictures,
        notes,
        seconds: 0.0,
    })
}

const INTRODUCTION: &str = "\
`sessions`: LACs, all in one process (`lacs`), log in to one running appliance over a veth between two network namespaces: a tunnel each with a secret, a session or \
several, LCP, CHAP and IPCP, 100 LACs at a time. Then all stay, with LCP echoes from the LACs as often as the table says and from the appliance every second. The appliance has one worker with \
`poll: adaptive`; neither it nor the LACs are pinned, and they share the CPUs. CPU time is the kernel's count for all threads of the appliance, or for its control thread alone.\n\n\
`sets`: the same LACs are the links of sets, with reports every second both ways and LCP echoes of theirs every three, and each far end's set is one of the appliance's. Memory is first that with all links up, before \
a packet came, and then once packets have written to every page of every link's ring.\n\n\
Memory of the appliance is `RssAnon`, that is heap and stacks, of `/proc/PID/status`: windows, books, sessions and the configuration. The packet buffers that DPDK has in \
hugepages or shared memory are a column of their own; program and libraries (`RssFile`) are left out. \"Before\" is the same appliance with the same file, and nobody there.\n\n\
`windows`: as many as take 64 MiB are made in the harness's process and written; what it grew by, for each of them, beside what the code computes. Measured once.\n\n\
`cycles`: as in the section `cycles`, one worker is polled by hand over in-process wires, on the last CPU: packets of 64 octets for sets of two links (and plain sessions), drawn at random for each packet. \
Each crowd has a worker of its own; one set alone and three crowds take turns round by round in one process, and the ratio is to the one set of the same round. A packet that is sent goes to \
both links, or to the one of a plain session; what is received are both links' copies, one link's after the other's, and the figure is for one of them.";

/// One measurement, or several.
fn cell(values: &[f64]) -> Cell {
    match values {
        [only] => Cell::Value(*only),
        _ => Cell::Figure(Figure::new(values)),
    }
}

/// `1 set`, `4000 sets`.
fn so_many(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn mebibytes(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

/// Runs a program that prints JSON when it has measured; it shows its progress itself. Some say by their exit code that they
/// do not like what they found, and print it all the same.
fn json_of<T: DeserializeOwned>(command: &mut Command) -> Result<T, Box<dyn Error>> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|problem| format!("{}: {problem}", command.get_program().display()))?;
    serde_json::from_slice(&output.stdout).map_err(|problem| {
        let program = command.get_program().display();
        format!("{program}: {}, no result: {problem}", output.status).into()
    })
}
