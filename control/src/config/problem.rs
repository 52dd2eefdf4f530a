//! What is wrong with a file, where, and what would be right.

use std::fmt;

use super::tree::{Fault, Node, Path, Position};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The appliance does not start with this.
    Error,
    /// It starts, but not as well as it could.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub file: String,
    /// Line in the file, counted from 1; 0 when the file could not be read.
    pub line: usize,
    /// Column in the line, counted from 1; 0 when the file could not be read.
    pub column: usize,
    /// The key, with the way to it: `l2tp.outgoing[head1].server`. Empty for the file as a whole.
    pub key: String,
    pub message: String,
    /// What would be right.
    pub remedy: String,
}

/// A problem that does not keep the appliance from starting.
pub type Warning = Problem;

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if self.line > 0 {
            write!(formatter, ":{}:{}", self.line, self.column)?;
        }
        formatter.write_str(match self.severity {
            Severity::Error => ": error: ",
            Severity::Warning => ": warning: ",
        })?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        write!(formatter, "{}\n    {}", self.message, self.remedy)
    }
}

const MISSING: &str = "this key is missing";

/// Collects problems about one file.
pub(crate) struct Problems<'t> {
    file: &'t str,
    tree: Option<&'t Node>,
    list: Vec<Problem>,
    /// Where errors are, so that no error is reported as the consequence of another.
    spoilt: Vec<Path>,
}

impl<'t> Problems<'t> {
    pub(crate) const fn new(file: &'t str, tree: Option<&'t Node>) -> Self {
        Self {
            file,
            tree,
            list: Vec::new(),
            spoilt: Vec::new(),
        }
    }

    pub(crate) fn fault(&mut self, fault: &Fault) {
        self.push(
            Severity::Error,
            fault.at,
            String::new(),
            fault.message.clone(),
            fault.remedy.clone(),
        );
    }

    pub(crate) fn error(
        &mut self,
        path: &Path,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.spoilt.push(path.clone());
        let (at, key) = self.place(path);
        self.push(Severity::Error, at, key, message.into(), remedy.into());
    }

    /// An error about a key itself, not its value.
    pub(crate) fn error_at(
        &mut self,
        at: Position,
        path: &Path,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (_, key) = self.place(path);
        self.push(Severity::Error, at, key, message.into(), remedy.into());
    }

    pub(crate) fn warning(
        &mut self,
        path: &Path,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (at, key) = self.place(path);
        self.push(Severity::Warning, at, key, message.into(), remedy.into());
    }

    /// Whether nothing at, in or around `path` is wrong so far, so that what
    /// was read from there can be judged.
    pub(crate) fn sound(&self, path: &Path) -> bool {
        !self.spoilt.iter().any(|spoilt| spoilt.touches(path))
    }

    /// Whether nothing at or around `path` is wrong so far, so that what is
    /// inside was at least looked at.
    pub(crate) fn readable(&self, path: &Path) -> bool {
        !self.spoilt.iter().any(|spoilt| path.is_within(spoilt))
    }

    /// A key that must be there is not.
    pub(crate) fn missing(&mut self, path: &Path, remedy: &str) {
        self.error(path, MISSING, remedy);
    }

    /// A key was misspelt: what depends on it cannot be judged, and it is not missing.
    pub(crate) fn misspelt(&mut self, path: &Path) {
        let (_, key) = self.place(path);
        self.list.retain(|p| p.message != MISSING || p.key != key);
        self.spoilt.push(path.clone());
    }

    /// Everything found, in the file's order.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.list
            .sort_by_key(|problem| (problem.line, problem.column, problem.severity));
        self.list
    }

    fn place(&self, path: &Path) -> (Position, String) {
        self.tree.map_or_else(
            || (Position::START, String::new()),
            |tree| (tree.locate(path), tree.describe(path)),
        )
    }

    fn push(
        &mut self,
        severity: Severity,
        at: Position,
        key: String,
        message: String,
        remedy: String,
    ) {
        self.list.push(Problem {
            severity,
            file: self.file.to_owned(),
            line: at.line,
            column: at.column,
            key,
            message,
            remedy,
        });
    }
}

/// How many are this bad.
#[must_use]
pub fn count(problems: &[Problem], severity: Severity) -> usize {
    let severities = problems.iter().map(|problem| problem.severity);
    severities.filter(|it| *it == severity).count()
}

/// All problems and a last line that counts them.
#[must_use]
pub fn report(problems: &[Problem]) -> String {
    let count = |severity| count(problems, severity);
    let mut lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.push(match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => "ok".to_owned(),
        (0, warnings) => format!("ok, with {}", plural(warnings, "warning")),
        (errors, 0) => plural(errors, "error"),
        (errors, warnings) => format!(
            "{}, {}",
            plural(errors, "error"),
            plural(warnings, "warning")
        ),
    });
    lines.join("\n")
}

pub(crate) fn plural(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}
