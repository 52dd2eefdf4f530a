//! The program `bench`, section by section, in its shortest form. Needs root; build the workspace first, with the same profile.

mod latency;
mod peers;
mod resilience;
mod scale;
mod throughput;

use std::path::{Path, PathBuf};
use std::process::Command;

use benches::report::{Name, Report};

/// A folder of this test's own, removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bench-{name}-{}", std::process::id()));
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing was written when the program could not be started.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What measures one section.
fn command(section: &str, output: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(["--smoke", "--only", section, "--output"]);
    command.arg(output);
    command
}

/// One section's report.
fn measured(section: &str, output: &Path) -> Report {
    let status = command(section, output)
        .status()
        .expect("the program starts");
    assert!(status.success(), "{section}: {status}");
    Report::read(&output.join("report.json")).expect("a report")
}

/// A figure of the report.
fn number(report: &Report, section: &str, table: &str, row: &str, column: &str) -> f64 {
    let name = Name {
        section,
        table,
        row,
        column,
    };
    let cell = report.cell(name).unwrap_or_else(|| panic!("no {name}"));
    cell.number()
        .unwrap_or_else(|| panic!("{name} is no number"))
}
