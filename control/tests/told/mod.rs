//! What is said of a good file with one thing changed: this, at this line, and
//! nothing else.

use control::config::{Config, Severity};

use crate::common::changed;

/// One change to a good file, and what must be said of it: severity, the line
/// that holds this text, and words of the message. Nothing else may be said.
struct Change<'a> {
    file: &'a str,
    edits: &'a [(&'a str, &'a str)],
    severity: Severity,
    key: &'a str,
    at: &'a str,
    message: &'a str,
}

fn told(change: &Change<'_>) {
    let text = changed(change.file, change.edits);
    let problems = match Config::parse("f", &text) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let all = all.join("\n");
    assert_eq!(problems.len(), 1, "{:?} gives\n{all}", change.edits);
    let problem = &problems[0];
    assert_eq!(problem.severity, change.severity, "{all}");
    assert_eq!(problem.key, change.key, "{all}");
    assert!(problem.message.contains(change.message), "{all}");
    let line = text.lines().nth(problem.line - 1).unwrap();
    assert!(
        line.contains(change.at),
        "{all}\nis told of the line {line:?}"
    );
}

pub(crate) fn error(file: &str, edits: &[(&str, &str)], key: &str, at: &str, message: &str) {
    told(&Change {
        file,
        edits,
        severity: Severity::Error,
        key,
        at,
        message,
    });
}

pub(crate) fn warning(file: &str, edits: &[(&str, &str)], key: &str, at: &str, message: &str) {
    told(&Change {
        file,
        edits,
        severity: Severity::Warning,
        key,
        at,
        message,
    });
}
