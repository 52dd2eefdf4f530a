//! From files to a [`Config`] and everything that is wrong with them.

use std::fs;
use std::path::{Path as FilePath, PathBuf};

use super::model::Config;
use super::pair;
use super::problem::{Problem, Problems, Severity, Warning};
use super::sections::decode;
use super::tree::{self, Node};

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the file's order, warnings included.
    pub fn load(path: &FilePath) -> Result<(Self, Vec<Warning>), Vec<Problem>> {
        let text = read_text(path).map_err(|problem| vec![problem])?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads and checks the text of a file; `file` is its name in problems.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(file: &str, text: &str) -> Result<(Self, Vec<Warning>), Vec<Problem>> {
        let source = Source::new(file.to_owned(), text);
        let (config, problems) = source.decode();
        let list = problems.into_sorted();
        let errors = list
            .iter()
            .any(|problem| problem.severity == Severity::Error);
        match config {
            Some(config) if !errors => Ok((config, list)),
            _ => Err(list),
        }
    }
}

/// Checks files, each alone and all against each other. Gives everything that
/// was found, file by file.
#[must_use]
pub fn check_files(files: &[PathBuf]) -> Vec<Problem> {
    let sources: Vec<Result<Source, Problem>> = files
        .iter()
        .map(|path| Ok(Source::new(path.display().to_string(), &read_text(path)?)))
        .collect();
    let mut found = Vec::new();
    let mut readable = Vec::new();
    for source in &sources {
        let source = match source {
            Ok(source) => source,
            Err(problem) => {
                found.push(problem.clone());
                continue;
            }
        };
        let (config, problems) = source.decode();
        match config.zip(source.root.as_ref()) {
            Some((config, root)) => readable.push(pair::File {
                name: &source.file,
                root,
                config,
                problems,
            }),
            None => found.extend(problems.into_sorted()),
        }
    }
    pair::check(&mut readable);
    for file in readable {
        found.extend(file.problems.into_sorted());
    }
    found
}

/// A file's name and tree, which problems and values are read from.
struct Source {
    file: String,
    root: Option<Node>,
    faults: Vec<tree::Fault>,
}

impl Source {
    fn new(file: String, text: &str) -> Self {
        let (root, faults) = tree::read(text);
        Self { file, root, faults }
    }

    /// What the file says and what is wrong with it. With errors, the
    /// configuration is only good for looking at what is sound.
    fn decode(&self) -> (Option<Config>, Problems<'_>) {
        let mut problems = Problems::new(&self.file, self.root.as_ref());
        for fault in &self.faults {
            problems.fault(fault);
        }
        let config = self.root.as_ref().map(|root| decode(root, &mut problems));
        if config.is_none() && self.faults.is_empty() {
            problems.fault(&tree::Fault {
                at: tree::Position::START,
                message: "the file is empty".to_owned(),
                remedy: EXAMPLE.to_owned(),
            });
        }
        (config, problems)
    }
}

const EXAMPLE: &str = "configs/reference.yaml is a file that works, with every key explained";

fn read_text(path: &FilePath) -> Result<String, Problem> {
    let file = path.display().to_string();
    let octets =
        fs::read(path).map_err(|error| unreadable(&file, 0, format!("cannot be read: {error}")))?;
    String::from_utf8(octets).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let lines = error.as_bytes()[..valid]
            .iter()
            .filter(|octet| **octet == b'\n');
        unreadable(
            &file,
            1 + lines.count(),
            "this is not UTF-8 text".to_owned(),
        )
    })
}

fn unreadable(file: &str, line: usize, message: String) -> Problem {
    Problem {
        severity: Severity::Error,
        file: file.to_owned(),
        line,
        column: line.min(1),
        key: String::new(),
        message,
        remedy: EXAMPLE.to_owned(),
    }
}
