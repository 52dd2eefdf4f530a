//! testpmd in an appliance's place.

use std::process::Command;

use super::Plan;
use super::site::PortLine;

/// Forwards between two ports on the CPU that the appliance's worker would have.
pub(super) fn command(plan: &Plan, mode: &str, ports: &[PortLine]) -> Command {
    let memory: &[&str] = if plan.hugepages {
        &["--in-memory", "--single-file-segments"]
    } else {
        &["--no-huge", "--no-shconf"]
    };
    let cpu = plan.workers.first().copied().unwrap_or(0);
    // To a file testpmd would write by the block.
    let mut command = Command::new("stdbuf");
    command
        .args(["-oL", "dpdk-testpmd"])
        .args(memory)
        .args(["--no-pci", "--no-telemetry", "-m", "256"])
        // The main lcore only reads commands.
        .args(["--lcores", &format!("(0,1)@{cpu}")]);
    for port in ports {
        command.args(["--vdev", &port.device]);
    }
    command
        .args(["--", "-i", "--auto-start", "--total-num-mbufs=32768"])
        .arg(format!("--forward-mode={mode}"));
    command
}

/// Whether its ports are open, by what it has printed.
pub(super) fn is_started(output: &str) -> bool {
    output.contains("Checking link statuses")
}
