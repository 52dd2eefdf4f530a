//! testpmd in an appliance's place.

use std::process::Command;

use benches::testpmd::Settings;

use super::Plan;
use super::site::PortLine;

const MEMORY_MIB: u32 = 256;
const BUFFERS: u32 = 32_768;

/// Forwards between two ports on the CPU that the appliance's worker would have.
///
/// # Errors
/// When it is not installed.
pub(super) fn command(plan: &Plan, mode: &str, ports: &[PortLine]) -> Result<Command, String> {
    let cpu = plan.workers.first().copied().unwrap_or(0);
    let eal_arguments = plan.hugepages.then(|| "--single-file-segments".to_owned());
    let settings = Settings {
        // The main lcore only reads commands.
        lcores: format!("(0,1)@{cpu}"),
        hugepages: plan.hugepages,
        memory_mib: MEMORY_MIB,
        vdevs: ports.iter().map(|port| port.device.clone()).collect(),
        eal_arguments: eal_arguments.into_iter().collect(),
        arguments: vec![
            "--auto-start".to_owned(),
            format!("--total-num-mbufs={BUFFERS}"),
            format!("--forward-mode={mode}"),
        ],
    };
    settings.command()
}

/// Whether its ports are open, by what it has printed.
pub(super) fn is_started(output: &str) -> bool {
    output.contains("Checking link statuses")
}
