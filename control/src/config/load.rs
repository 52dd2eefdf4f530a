//! From files to a [`Config`] and everything that is wrong with them.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
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

/// A link on a line of its own has some 120 octets: room for a hundred thousand.
const LARGEST_FILE_OCTETS: u64 = 16 << 20;

fn read_text(path: &FilePath) -> Result<String, Problem> {
    let file = path.display().to_string();
    let octets = read_octets(path)
        .map_err(|error| unreadable(&file, 0, format!("cannot be read: {error}")))?;
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

/// A running appliance reads its file again: what never ends, or has no end yet, is not waited
/// for.
fn read_octets(path: &FilePath) -> io::Result<Vec<u8>> {
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(no_wait)
        .open(path)?;
    if !file.metadata()?.is_file() {
        let why = "it is no regular file, but a directory, a pipe or a device";
        return Err(io::Error::other(why));
    }
    let mut octets = Vec::new();
    let limit = LARGEST_FILE_OCTETS + 1;
    file.take(limit).read_to_end(&mut octets)?;
    if octets.len() as u64 == limit {
        return Err(io::Error::other("it has more than 16 MiB"));
    }
    Ok(octets)
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{self, Command};

    use super::*;

    fn said(path: &FilePath) -> String {
        let problems = Config::load(path).unwrap_err();
        assert_eq!(problems, check_files(&[path.to_owned()]));
        let [problem] = &problems[..] else {
            panic!("{problems:?}");
        };
        problem.message.clone()
    }

    #[test]
    fn what_is_no_file_of_a_sane_size_is_not_read() {
        let place = std::env::temp_dir().join(format!("hal2tp-load-{}", process::id()));
        fs::create_dir_all(&place).unwrap();
        let no_file = "cannot be read: it is no regular file, but a directory, a pipe or a device";
        assert_eq!(said(&place), no_file);
        // Nobody ever writes to it.
        let pipe = place.join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(said(&pipe), no_file);
        assert_eq!(said(FilePath::new("/dev/zero")), no_file);
        let why = said(&place.join("none"));
        assert!(why.starts_with("cannot be read: No such file"), "{why}");
        let large = place.join("large");
        let file = fs::File::create(&large).unwrap();
        file.set_len(LARGEST_FILE_OCTETS + 1).unwrap();
        assert_eq!(said(&large), "cannot be read: it has more than 16 MiB");
        let yaml = include_str!("../../../configs/demo/head.yaml");
        let padding = usize::try_from(LARGEST_FILE_OCTETS).unwrap() - yaml.len() - 1;
        fs::write(&large, format!("{yaml}#{}", "x".repeat(padding))).unwrap();
        assert!(Config::load(&large).is_ok());
        fs::remove_dir_all(&place).unwrap();
    }

    /// In a thread with the stack that those have who read it again.
    #[test]
    fn brackets_in_brackets_have_an_end() {
        for (one, count) in [("[", 1_000_000), ("a: {", 300_000), ("- ", 10_000)] {
            let text = one.repeat(count);
            let read = std::thread::spawn(move || Config::parse("x.yaml", &text).is_err());
            assert!(read.join().unwrap(), "{one}");
        }
    }
}
