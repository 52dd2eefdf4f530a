//! What the README shows of a report: a few of its figures, found by their names, and one picture.

use std::path::Path;

use benches::marks;
use benches::report::{Name, Report};

/// Where reports are committed, below the repository.
pub(crate) const FOLDER: &str = "benches/report";
const PICTURE: &str = "resilience-gaps.svg";
const PICTURE_SHOWS: &str = "The longest time in which nothing new arrived, by fault and by the way of using the same two ISPs; a balanced pair goes on, without every second packet";
/// The marks in the README.
const MARKS: &str = "scripts/bench";

/// A row: what was measured, a text with a `{}` for each figure, and their names.
struct Line {
    what: &'static str,
    text: &'static str,
    names: &'static [Name<'static>],
}

const fn name(
    section: &'static str,
    table: &'static str,
    row: &'static str,
    column: &'static str,
) -> Name<'static> {
    Name {
        section,
        table,
        row,
        column,
    }
}

const LINES: &[Line] = &[
    Line {
        what: "One appliance, a set of two links, 64 octets, net_memif: rate without loss, beside testpmd 5tswap in its place",
        text: "{} Mpps, {} times testpmd's",
        names: &[
            name("throughput", "memif", "64 octets, 2 links", "Mpps"),
            name("throughput", "memif", "64 octets, 2 links", "of 5tswap"),
        ],
    },
    Line {
        what: "The same with 1400 octets",
        text: "{} Gb/s, {} times testpmd's",
        names: &[
            name(
                "throughput",
                "memif",
                "1400 octets, 2 links",
                "Gb/s (inner, layer 2)",
            ),
            name("throughput", "memif", "1400 octets, 2 links", "of 5tswap"),
        ],
    },
    Line {
        what: "Cycles of one core: a packet of 64 octets sent to two links; a copy received",
        text: "{}; {}",
        names: &[
            name(
                "cycles",
                "testpmd",
                "send, 2 links, 64 octets",
                "hal2tp, cycles",
            ),
            name(
                "cycles",
                "testpmd",
                "receive, 2 links, 64 octets",
                "hal2tp, cycles",
            ),
        ],
    },
    Line {
        what: "Latency through one appliance at half of its rate, 64 octets, µs: half of all packets; 99 of 100; 999 of 1000",
        text: "{}; {}; {}",
        names: &[
            name(
                "latency",
                "one appliance",
                "64 octets, singles, 50 %",
                "p50, µs",
            ),
            name(
                "latency",
                "one appliance",
                "64 octets, singles, 50 %",
                "p99, µs",
            ),
            name(
                "latency",
                "one appliance",
                "64 octets, singles, 50 %",
                "p99.9, µs",
            ),
        ],
    },
    Line {
        what: "Of two ISPs one is cut for longer than the time-out, 1000 packets a second: packets lost by hal2tp, by active and standby links, by one link",
        text: "**{}**; {}; {}",
        names: &[
            name(
                "resilience",
                "faults",
                "cut, hal2tp",
                "lost packets, worse direction",
            ),
            name(
                "resilience",
                "faults",
                "cut, standby pair",
                "lost packets, worse direction",
            ),
            name(
                "resilience",
                "faults",
                "cut, one link",
                "lost packets, worse direction",
            ),
        ],
    },
    Line {
        what: "The longest time without a packet meanwhile, µs: hal2tp; active and standby",
        text: "{}; {}",
        names: &[
            name("resilience", "faults", "cut, hal2tp", "longest gap, µs"),
            name(
                "resilience",
                "faults",
                "cut, standby pair",
                "longest gap, µs",
            ),
        ],
    },
    Line {
        what: "Latency while three links jitter and stall by turns, ms, 99 of 100 packets: the set; its best single link",
        text: "{}; {}",
        names: &[
            name(
                "resilience",
                "fastest-wins",
                "jitter and stalls, set",
                "p99, ms",
            ),
            name(
                "resilience",
                "fastest-wins",
                "jitter and stalls, link 1, 20 ms",
                "p99, ms",
            ),
        ],
    },
    Line {
        what: "Packets lost while the quicker of two links loses 10 % and the other is 450 ms behind, 20 000 a second: hal2tp; WireGuard behind a duplicator; RIST with a buffer of 300 ms",
        text: "**{}**; {}; {}",
        names: &[
            name("peers", "skew", "hal2tp", "lost at 450 ms"),
            name("peers", "skew", "wireguard", "lost at 450 ms"),
            name("peers", "skew", "rist", "lost at 450 ms"),
        ],
    },
    Line {
        what: "Median latency over links of 10 and 25 ms, ms: hal2tp; WireGuard behind a duplicator; RIST; SRT over one link",
        text: "{}; {}; {}; {}",
        names: &[
            name("peers", "clean-10000", "hal2tp", "p50, ms"),
            name("peers", "clean-10000", "wireguard", "p50, ms"),
            name("peers", "clean-10000", "rist", "p50, ms"),
            name("peers", "clean-10000", "srt", "p50, ms"),
        ],
    },
    Line {
        what: "CPU seconds of both ends for a million packets, 10 000 a second, 1316 octets: hal2tp; RIST; WireGuard behind a duplicator",
        text: "{}; {}; {}",
        names: &[
            name(
                "peers",
                "clean-10000",
                "hal2tp",
                "CPU s per million packets",
            ),
            name("peers", "clean-10000", "rist", "CPU s per million packets"),
            name(
                "peers",
                "clean-10000",
                "wireguard",
                "CPU s per million packets",
            ),
        ],
    },
    Line {
        what: "64 000 sessions in 20 000 tunnels: set-ups a second; memory, MiB",
        text: "{}; {}",
        names: &[
            name(
                "scale",
                "sessions",
                "20000 tunnels, 64000 sessions",
                "set-ups a second",
            ),
            name(
                "scale",
                "sessions",
                "20000 tunnels, 64000 sessions",
                "memory with all, MiB",
            ),
        ],
    },
];

/// Puts the headline of the report in a repository into its README.
///
/// # Errors
/// When the report has not all of its figures, and when the README cannot be written.
pub(crate) fn write(repository: &Path, report: &Report) -> std::io::Result<()> {
    let text = text(report).map_err(std::io::Error::other)?;
    marks::write(&repository.join("README.md"), MARKS, &text)
}

/// As it stands in the README.
fn text(report: &Report) -> Result<String, String> {
    let mut text = String::from("| measured | | in the report |\n|---|---|---|\n");
    for line in LINES {
        let figures = line.figures(report)?;
        text.push_str(&format!(
            "| {} | {figures} | `{}` |\n",
            line.what,
            line.trace()
        ));
    }
    text.push_str(&format!("\n![{PICTURE_SHOWS}]({FOLDER}/{PICTURE})\n"));
    Ok(text)
}

impl Line {
    /// All names in one: `peers/cut/{hal2tp, rist}/lost packets`.
    fn trace(&self) -> String {
        let parts: [fn(&Name<'static>) -> &'static str; 4] = [
            |name| name.section,
            |name| name.table,
            |name| name.row,
            |name| name.column,
        ];
        let parts = parts.map(|part| {
            let mut texts: Vec<&str> = self.names.iter().map(part).collect();
            texts.dedup();
            match texts.as_slice() {
                [text] => (*text).to_owned(),
                texts => format!("{{{}}}", texts.join("; ")),
            }
        });
        parts.join("/")
    }

    fn figures(&self, report: &Report) -> Result<String, String> {
        let mut parts = self.text.split("{}");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for (name, part) in self.names.iter().zip(parts) {
            let figure = report
                .text(*name)
                .ok_or_else(|| format!("the report has no {name}"))?;
            text.push_str(&figure);
            text.push_str(part);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn repository() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the crate is in a folder of the repository")
    }

    fn committed() -> Report {
        Report::read(&repository().join(FOLDER).join("report.json")).expect("a committed report")
    }

    /// Whatever the README says was measured stands in the committed report, as it says.
    #[test]
    fn the_readme_has_the_committed_reports_headline() {
        let readme = fs::read_to_string(repository().join("README.md")).unwrap();
        let headline = text(&committed()).unwrap();
        assert!(
            readme.contains(headline.trim_end()),
            "`scripts/bench --write` would write:\n{headline}"
        );
        assert!(repository().join(FOLDER).join(PICTURE).is_file());
    }

    #[test]
    fn the_committed_report_reads_as_its_figures_say() {
        let folder = repository().join(FOLDER);
        let markdown = fs::read_to_string(folder.join("report.md")).unwrap();
        assert_eq!(committed().markdown(), markdown);
        for picture in committed()
            .sections
            .iter()
            .flat_map(|section| &section.pictures)
        {
            assert!(folder.join(&picture.file).is_file(), "{}", picture.file);
        }
    }

    #[test]
    fn a_report_without_a_figure_of_the_headline_is_refused_by_name() {
        let mut report = committed();
        report.sections.retain(|section| section.name != "cycles");
        let problem = text(&report).unwrap_err();
        assert_eq!(
            problem,
            "the report has no cycles/testpmd/send, 2 links, 64 octets/hal2tp, cycles"
        );
    }
}
