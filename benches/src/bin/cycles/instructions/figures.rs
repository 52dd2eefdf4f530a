//! Figures that are kept, and what may become of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Instructions per packet, by the names of the cases.
pub(super) type Counts = BTreeMap<String, f64>;

/// How far a figure may be off with the same compiler and the same DPDK, percent: what is laid out otherwise in memory
/// takes another branch now and then.
const TOLERANCE_PERCENT: f64 = 2.0;
/// The same with others: they arrange the same code in other ways.
const OTHER_TOOLS_TOLERANCE_PERCENT: f64 = 10.0;

/// What was counted, and with which tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figures {
    compiler: String,
    /// Its poll-mode drivers and buffer pools are counted too.
    dpdk: String,
    instructions_per_packet: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Same,
    /// Less, by so much that the file should be told: else as much could come back unseen.
    Better,
    /// More, or there is nothing to compare with.
    Bad,
}

impl Figures {
    /// Figures to a tenth of an instruction.
    pub(super) fn new(compiler: String, dpdk: String, counts: Counts) -> Self {
        let round = |(name, count): (String, f64)| (name, (count * 10.0).round() / 10.0);
        Self {
            compiler,
            dpdk,
            instructions_per_packet: counts.into_iter().map(round).collect(),
        }
    }

    pub(super) fn compare<'a>(&'a self, now: &'a Self) -> Comparison<'a> {
        let same_tools = (&self.compiler, &self.dpdk) == (&now.compiler, &now.dpdk);
        let tolerance_percent = if same_tools {
            TOLERANCE_PERCENT
        } else {
            OTHER_TOOLS_TOLERANCE_PERCENT
        };
        let mut names: Vec<&str> = Vec::new();
        for counts in [&self.instructions_per_packet, &now.instructions_per_packet] {
            names.extend(counts.keys().map(String::as_str));
        }
        names.sort_unstable();
        names.dedup();
        let line = |name| Line {
            name,
            kept: self.instructions_per_packet.get(name).copied(),
            now: now.instructions_per_packet.get(name).copied(),
        };
        Comparison {
            kept: self,
            now,
            tolerance_percent,
            lines: names.into_iter().map(line).collect(),
        }
    }
}

/// All figures beside those that were kept.
pub(super) struct Comparison<'a> {
    kept: &'a Figures,
    now: &'a Figures,
    tolerance_percent: f64,
    lines: Vec<Line<'a>>,
}

struct Line<'a> {
    name: &'a str,
    kept: Option<f64>,
    now: Option<f64>,
}

impl Line<'_> {
    /// How much more it is now; `None` when there is only one of the two.
    fn more_percent(&self) -> Option<f64> {
        Some((self.now? / self.kept? - 1.0) * 100.0)
    }

    fn verdict(&self, tolerance_percent: f64) -> Verdict {
        let (Some(kept), Some(now)) = (self.kept, self.now) else {
            return Verdict::Bad;
        };
        let part = tolerance_percent / 100.0;
        if now > kept * (1.0 + part) {
            Verdict::Bad
        } else if now < kept * (1.0 - part) {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }
}

impl Comparison<'_> {
    /// The worst of all lines.
    pub(super) fn verdict(&self) -> Verdict {
        let verdicts = self.lines.iter();
        let verdicts = verdicts.map(|line| line.verdict(self.tolerance_percent));
        // No lines at all say nothing good.
        verdicts.max().unwrap_or(Verdict::Bad)
    }

    /// A table for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("instructions per packet\n    kept      now  change\n");
        let figure = |count: Option<f64>| {
            count.map_or_else(|| "-".to_owned(), |count| format!("{count:.1}"))
        };
        let mut better = false;
        for line in &self.lines {
            let verdict = line.verdict(self.tolerance_percent);
            better |= verdict == Verdict::Better;
            let remark = match (verdict, line.kept, line.now) {
                (Verdict::Same, ..) => "",
                (Verdict::Better, ..) => "  fewer",
                (Verdict::Bad, Some(_), Some(_)) => "  MORE",
                (Verdict::Bad, None, _) => "  NEW: not in the file",
                (Verdict::Bad, _, None) => "  GONE: in the file only",
            };
            let change = line.more_percent();
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "{:>8} {:>8} {:>7}  {}{remark}",
                figure(line.kept),
                figure(line.now),
                change.map_or(String::new(), |more| format!("{more:+.1} %")),
                line.name,
            );
        }
        let _ = writeln!(
            text,
            "at most {} % may be between them",
            self.tolerance_percent
        );
        for (kept, now) in [
            (&self.kept.compiler, &self.now.compiler),
            (&self.kept.dpdk, &self.now.dpdk),
        ] {
            if kept != now {
                let _ = writeln!(text, "the file is of {kept}, this is {now}");
            }
        }
        if self.verdict() == Verdict::Bad || better {
            text += "scripts/instructions --write keeps the figures as they are now\n";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(compiler: &str, counts: &[(&str, f64)]) -> Figures {
        let counts = counts.iter().map(|&(name, count)| (name.to_owned(), count));
        Figures::new(compiler.to_owned(), "DPDK 1".to_owned(), counts.collect())
    }

    fn verdict(kept: &[(&str, f64)], now: &[(&str, f64)]) -> Verdict {
        figures("a", kept).compare(&figures("a", now)).verdict()
    }

    #[test]
    fn more_than_the_tolerance_is_bad_and_fewer_is_told() {
        let of = |now| {
            verdict(
                &[("send", 100.0), ("receive", 50.0)],
                &[("send", now), ("receive", 50.0)],
            )
        };
        assert_eq!(of(100.0), Verdict::Same);
        assert_eq!(of(102.0), Verdict::Same);
        assert_eq!(of(102.1), Verdict::Bad);
        assert_eq!(of(98.0), Verdict::Same);
        assert_eq!(of(97.9), Verdict::Better);
    }

    #[test]
    fn one_bad_figure_is_not_made_good_by_others() {
        let kept = [("send", 100.0), ("receive", 50.0)];
        assert_eq!(
            verdict(&kept, &[("send", 50.0), ("receive", 60.0)]),
            Verdict::Bad
        );
    }

    #[test]
    fn other_cases_than_in_the_file_are_bad() {
        let one = [("send", 100.0)];
        let two = [("send", 100.0), ("receive", 50.0)];
        assert_eq!(verdict(&one, &two), Verdict::Bad);
        assert_eq!(verdict(&two, &one), Verdict::Bad);
        assert_eq!(verdict(&[], &[]), Verdict::Bad);
    }

    #[test]
    fn other_tools_have_more_room() {
        let kept = figures("a", &[("send", 100.0)]);
        let now = |count| figures("b", &[("send", count)]);
        assert_eq!(kept.compare(&now(110.0)).verdict(), Verdict::Same);
        assert_eq!(kept.compare(&now(110.2)).verdict(), Verdict::Bad);
    }

    #[test]
    fn the_text_names_what_is_bad() {
        let kept = figures("a", &[("send", 100.0), ("receive", 50.0)]);
        let now = figures("a", &[("send", 110.0), ("receive", 50.0)]);
        let text = kept.compare(&now).text();
        assert!(
            text.contains("   100.0    110.0 +10.0 %  send  MORE\n"),
            "{text}"
        );
        assert!(
            text.contains("    50.0     50.0  +0.0 %  receive\n"),
            "{text}"
        );
        assert!(text.contains("--write"), "{text}");
    }

    #[test]
    fn a_file_that_was_written_is_read() {
        let kept = figures("a", &[("send, 2 links", 100.04)]);
        let text = serde_json::to_string_pretty(&kept).expect("figures as text");
        assert!(text.contains("100.0") && !text.contains("100.04"), "{text}");
        assert_eq!(
            serde_json::from_str::<Figures>(&text).expect("figures"),
            kept
        );
    }
}
