//! What commands print with `--json`: stable interfaces, as [`crate::management::status`] says it of its own.
//!
//! | command | prints |
//! |---|---|
//! | `status` | [`Status`](crate::management::status::Status); with `--watch` one in each line, once a second, and [`Failed`](crate::management::watch::Failed) for a second without an answer |
//! | `tunnels`, `sessions` | a list of [`Tunnel`](crate::management::status::Tunnel) or [`Session`](crate::management::status::Session) |
//! | `drops` | [`Drops`](crate::management::drops::Drops) |
//! | `kick` | a list of [`Kicked`](crate::management::status::Kicked) or [`Named::Refused`], in the order of the names |
//! | `mask` | the same of [`Drill`] |
//! | `reload` | [`Reloaded`](crate::config::Reloaded) |
//! | `check` | [`Checked`] |
//! | `version` | [`Version`] |
//!
//! A command that fails before it has a document says why on standard error, and prints none.

use serde::Serialize;

use super::{complain, say};
use crate::config::{Problem, Severity, count};
use crate::management::status::{Masked, Unmasked};

/// Prints a document in a line of its own.
pub(super) fn print(document: &impl Serialize) {
    match serde_json::to_string(document) {
        Ok(json) => say(&format!("{json}\n")),
        Err(error) => complain(&format!("no JSON: {error}")),
    }
}

/// What is wrong with configuration files.
#[derive(Debug, Serialize)]
pub(super) struct Checked<'p> {
    errors: usize,
    warnings: usize,
    problems: Vec<Told<'p>>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
struct Told<'p> {
    /// `error` or `warning`.
    severity: &'static str,
    file: &'p str,
    /// Counted from 1, as the column; both absent when the file could not be read.
    #[serde(skip_serializing_if = "is_zero")]
    line: usize,
    #[serde(skip_serializing_if = "is_zero")]
    column: usize,
    /// The way to it, as `l2tp.outgoing[head1].server`; empty for the file as a whole.
    key: &'p str,
    message: &'p str,
    /// What would be right.
    remedy: &'p str,
}

const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl<'p> Checked<'p> {
    pub(super) fn new(problems: &'p [Problem]) -> Self {
        let told = |problem: &'p Problem| Told {
            severity: match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            file: &problem.file,
            line: problem.line,
            column: problem.column,
            key: &problem.key,
            message: &problem.message,
            remedy: &problem.remedy,
        };
        Self {
            errors: count(problems, Severity::Error),
            warnings: count(problems, Severity::Warning),
            problems: problems.iter().map(told).collect(),
        }
    }
}

/// What became of one name: what was done, or why nothing.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Named<T> {
    Done(T),
    Refused { name: String, error: String },
}

impl<T> Named<T> {
    pub(super) fn refused(name: &str, error: String) -> Self {
        Self::Refused {
            name: name.to_owned(),
            error,
        }
    }
}

/// What is masked for a name's sake, or no longer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Drill {
    Masked(Masked),
    Unmasked(Unmasked),
}

#[derive(Debug, Serialize)]
pub(super) struct Version {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

impl Default for Version {
    fn default() -> Self {
        Self {
            name: "hal2tp",
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::status::Kicked;

    fn json(document: &impl Serialize) -> String {
        serde_json::to_string(document).unwrap()
    }

    fn problem(severity: Severity, line: usize) -> Problem {
        Problem {
            severity,
            file: "f.yaml".to_owned(),
            line,
            column: line * 4,
            key: "l2tp".to_owned(),
            message: "this is odd".to_owned(),
            remedy: "write another".to_owned(),
        }
    }

    #[test]
    fn problems_have_their_place_if_they_have_one() {
        let problems = [problem(Severity::Warning, 3), problem(Severity::Error, 0)];
        assert_eq!(
            json(&Checked::new(&problems)),
            concat!(
                r#"{"errors":1,"warnings":1,"problems":["#,
                r#"{"severity":"warning","file":"f.yaml","line":3,"column":12,"key":"l2tp","message":"this is odd","remedy":"write another"},"#,
                r#"{"severity":"error","file":"f.yaml","key":"l2tp","message":"this is odd","remedy":"write another"}]}"#
            )
        );
        assert_eq!(
            json(&Checked::new(&[])),
            r#"{"errors":0,"warnings":0,"problems":[]}"#
        );
    }

    #[test]
    fn a_drill_is_told_with_its_links() {
        let links = vec!["isp2".to_owned()];
        let masked = Masked {
            name: "head2".to_owned(),
            links: links.clone(),
            for_s: 60,
        };
        let unmasked = Unmasked {
            name: "isp2".to_owned(),
            links,
        };
        let masks = [
            Named::Done(Drill::Masked(masked)),
            Named::Done(Drill::Unmasked(unmasked)),
            Named::refused("head1", "it is the only one".to_owned()),
        ];
        assert_eq!(
            json(&masks),
            concat!(
                r#"[{"name":"head2","links":["isp2"],"for_s":60},"#,
                r#"{"name":"isp2","links":["isp2"]},{"name":"head1","error":"it is the only one"}]"#
            )
        );
    }

    #[test]
    fn what_was_refused_stands_among_what_was_ended() {
        let ended = Kicked {
            name: "head1".to_owned(),
            tunnels: 1,
            sessions: 0,
        };
        let kicks = [
            Named::Done(ended),
            Named::refused("haed2", "nothing is called so".to_owned()),
        ];
        assert_eq!(
            json(&kicks),
            r#"[{"name":"head1","tunnels":1,"sessions":0},{"name":"haed2","error":"nothing is called so"}]"#
        );
    }
}
