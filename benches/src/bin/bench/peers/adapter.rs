//! What a tunnel program needs to run between the emulated ISPs: one small YAML file for each, in `benches/peers`.
//!
//! ```yaml
//! name: kernel                    # its row in the tables
//! what: plain kernel forwarding   # one line of Markdown for the report
//! traffic: ip                     # `ip`: routed between the LANs' hosts; `udp`: sent to {entry}, received at {exit}
//! links: one                      # `one` or `all`: which it uses
//! least-effort: smoke             # `smoke`, `quick` or `full`: the smallest run that it is part of
//! tables: [skew]                  # optional: those that it is part of; all, when there is no such line
//! needs: { ping: iputils-ping }   # programs, and the Debian packages that have them
//! programs:                       # or `appliance: { window: 262144 }`: hal2tp itself
//!   far:                          # first the receiving site, then the sending one; lines for `sh`, in order:
//!     - do: ip route ...          # must succeed
//!     - wait: wg show wg0         # is repeated until it succeeds
//!     - run: exec wireguard-go    # stays; `exec`, so that signals reach it; prints into {folder}/far.log
//!   near: []
//!   ready: ping -c 1 {far_lan}    # at the sending site, repeated until it succeeds
//!   stop: SIGTERM                 # the signal that ends what stays
//! ```
//!
//! What stands in braces is replaced: see [`PLACEHOLDERS`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::run::Effort;

/// One program, or several that are one tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Adapter {
    pub(super) name: String,
    pub(super) what: String,
    pub(super) traffic: Traffic,
    pub(super) links: Links,
    pub(super) least_effort: Effort,
    pub(super) tables: Option<Vec<String>>,
    /// Programs, and the Debian packages that have them.
    #[serde(default)]
    pub(super) needs: BTreeMap<String, String>,
    pub(super) appliance: Option<Appliance>,
    pub(super) programs: Option<Programs>,
}

/// How traffic enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Traffic {
    /// Routed between the LANs' hosts.
    Ip,
    /// As datagrams to the program itself.
    Udp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Links {
    /// Link 1.
    One,
    All,
}

/// hal2tp at both sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Appliance {
    /// Numbers that its elimination window spans.
    pub(super) window: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Programs {
    pub(super) far: Vec<Step>,
    pub(super) near: Vec<Step>,
    pub(super) ready: String,
    pub(super) stop: Stop,
}

/// A line for `sh` in a site's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    /// Must succeed.
    Do(String),
    /// Is repeated until it succeeds.
    Wait(String),
    /// Stays.
    Run(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Stop {
    #[serde(rename = "SIGTERM")]
    Terminate,
    #[serde(rename = "SIGINT")]
    Interrupt,
    #[serde(rename = "SIGKILL")]
    Kill,
}

impl Stop {
    pub(super) fn signal(self) -> Signal {
        match self {
            Self::Terminate => Signal::SIGTERM,
            Self::Interrupt => Signal::SIGINT,
            Self::Kill => Signal::SIGKILL,
        }
    }
}

/// What may stand in braces in a line.
pub(super) const PLACEHOLDERS: [&str; 15] = [
    // A folder for files of this run, the same for both sites.
    "folder",
    // The benchmark program itself, for its duplicator.
    "bench",
    // Where `udp` traffic is sent, and where it is to come out: ADDRESS:PORT.
    "entry",
    "exit",
    // What a program with a buffer may hold packets back for, milliseconds.
    "buffer_ms",
    // The sites' addresses on the links, and in their LANs.
    "near_link_1",
    "near_link_2",
    "far_link_1",
    "far_link_2",
    "near_lan",
    "far_lan",
    // The LANs, with length, and the hosts in them.
    "near_network",
    "far_network",
    "near_host",
    "far_host",
];

/// Why a file is no adapter.
#[derive(Debug)]
pub(super) struct AdapterError {
    file: String,
    problem: String,
}

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.problem)
    }
}

impl std::error::Error for AdapterError {}

impl Adapter {
    /// All adapters of a folder, by the names of their files.
    ///
    /// # Errors
    /// When one of them is none, and when two have the same name.
    pub(super) fn read_all(folder: &Path) -> Result<Vec<Self>, AdapterError> {
        let of_folder = |problem: &dyn fmt::Display| AdapterError {
            file: folder.display().to_string(),
            problem: problem.to_string(),
        };
        let entries = std::fs::read_dir(folder).map_err(|problem| of_folder(&problem))?;
        let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let is_adapter = |path: &std::path::PathBuf| path.extension() == Some("yaml".as_ref());
        let mut paths: Vec<_> = paths.filter(is_adapter).collect();
        paths.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
        let mut adapters: Vec<Self> = Vec::new();
        for path in paths {
            let text = std::fs::read_to_string(&path).map_err(|problem| of_folder(&problem))?;
            let adapter = Self::parse(&path.display().to_string(), &text)?;
            if adapters.iter().any(|other| other.name == adapter.name) {
                return Err(of_folder(&format!("two adapters named {:?}", adapter.name)));
            }
            adapters.push(adapter);
        }
        Ok(adapters)
    }

    fn parse(file: &str, text: &str) -> Result<Self, AdapterError> {
        let of_file = |problem| AdapterError {
            file: file.to_owned(),
            problem,
        };
        let adapter: Self =
            serde_yaml::from_str(text).map_err(|problem| of_file(problem.to_string()))?;
        adapter.check().map_err(of_file)?;
        Ok(adapter)
    }

    fn check(&self) -> Result<(), String> {
        let programs = match (&self.appliance, &self.programs) {
            (None, Some(programs)) => programs,
            (Some(_), None) if self.traffic == Traffic::Udp => {
                return Err("an appliance has no socket for `traffic: udp`".to_owned());
            }
            (Some(_), None) => return Ok(()),
            _ => return Err("expected either `appliance` or `programs`".to_owned()),
        };
        let lines = |steps: &[Step]| -> Vec<String> {
            steps.iter().map(|step| step.line().to_owned()).collect()
        };
        let parts = [
            ("far", lines(&programs.far)),
            ("near", lines(&programs.near)),
            ("ready", vec![programs.ready.clone()]),
        ];
        for (part, lines) in &parts {
            for (number, line) in (1..).zip(lines) {
                fill(line, |name| PLACEHOLDERS.contains(&name).then(String::new))
                    .map_err(|problem| format!("{part}, line {number}: {problem}"))?;
            }
        }
        if self.traffic == Traffic::Udp {
            for ((part, lines), wanted) in parts.iter().zip(["{exit}", "{entry}"]) {
                if !lines.iter().any(|line| line.contains(wanted)) {
                    return Err(format!(
                        "`traffic: udp`, but no line of `{part}` has {wanted}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The packages of the programs that `is_there` does not find; empty when it can run.
    pub(super) fn missing_packages(&self, is_there: impl Fn(&str) -> bool) -> Vec<&str> {
        let missing = self.needs.iter().filter(|(program, _)| !is_there(program));
        let mut packages: Vec<&str> = missing.map(|(_, package)| package.as_str()).collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    /// Whether its programs are told what they may hold packets back for.
    pub(super) fn has_buffer(&self) -> bool {
        let programs = self.programs.iter();
        let mut steps = programs.flat_map(|programs| programs.far.iter().chain(&programs.near));
        steps.any(|step| step.line().contains("{buffer_ms}"))
    }

    pub(super) fn is_in_table(&self, table: &str) -> bool {
        let tables = self.tables.as_ref();
        tables.is_none_or(|tables| tables.iter().any(|name| name == table))
    }
}

impl Step {
    pub(super) fn line(&self) -> &str {
        match self {
            Self::Do(line) | Self::Wait(line) | Self::Run(line) => line,
        }
    }
}

/// A line with its placeholders replaced. Braces around anything but a name of small letters, digits and `_` are the
/// shell's.
///
/// # Errors
/// When `value` knows a name not.
pub(super) fn fill(line: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        match after.split_once('}') {
            Some((name, behind)) if is_name(name) => {
                let value = value(name).ok_or_else(|| {
                    let known = PLACEHOLDERS.join("}, {");
                    format!("no placeholder {{{name}}}; there are: {{{known}}}")
                })?;
                filled.push_str(&value);
                rest = behind;
            }
            _ => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_name(text: &str) -> bool {
    let is_part = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_';
    !text.is_empty() && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests;
