//! Under what circumstances something was measured.

use std::path::Path;
use std::process::Command;

/// Lines of Markdown for the foot of a result: machine, versions, and how to repeat it.
pub(crate) fn text(hal2tp: &Path, command: &str) -> String {
    let cpu = line_with("/proc/cpuinfo", "model name");
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    let version = first_line(Command::new(hal2tp).arg("version"));
    format!(
        "Measured on {cpu}, {cpus} CPUs, Linux {kernel}, with {version}, on {date}: \
         both sites, the ISPs' emulators and the hosts on this one machine. Again:\n\n\
         ```sh\n{command}\n```\n",
        date = first_line(Command::new("date").arg("--iso-8601")),
    )
}

fn read(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}

/// The value of `name : value`.
fn line_with(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value
        .map_or("an unknown CPU", |(_, value)| value.trim())
        .to_owned()
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout);
    let text = String::from_utf8(output.unwrap_or_default()).unwrap_or_default();
    text.lines()
        .next()
        .unwrap_or("an unknown version")
        .to_owned()
}
