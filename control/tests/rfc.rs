//! RFC.md says which test shows what: the tests and files that it names are there,
//! and so are the configuration's words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const SOURCES: [&str; 3] = ["control", "dataplane", "benches"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn collect(directory: &Path, sources: &mut BTreeMap<PathBuf, Source>) {
    for entry in std::fs::read_dir(directory).expect("a directory of ours") {
        let path = entry.expect("a directory of ours").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = Source::new(read(&path));
            sources.insert(path, source);
        }
    }
}

fn sources() -> BTreeMap<PathBuf, Source> {
    let mut sources = BTreeMap::new();
    for place in SOURCES {
        collect(&root().join(place), &mut sources);
    }
    sources
}

/// What stands between backquotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    text.contains('_') && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// A test's name, or the beginning of one: sentences in which words are many.
fn is_test(name: &str) -> bool {
    name.matches('_').count() >= 4
}

/// A source file, and which functions it has: whether each is a test.
struct Source {
    text: String,
    functions: BTreeMap<String, bool>,
}

impl Source {
    fn new(text: String) -> Self {
        // Some tests are made by macros.
        let made = text.contains("macro_rules!");
        let (mut functions, mut test) = (BTreeMap::new(), 0);
        for line in text.lines() {
            test = if line.contains("#[test]") {
                4
            } else {
                test - i32::from(test > 0)
            };
            let Some((_, after)) = line.split_once("fn ") else {
                continue;
            };
            let name = after.split(['(', '<']).next().unwrap_or_default();
            functions.insert(name.to_owned(), test > 0 || made);
        }
        Self { text, functions }
    }

    /// Whether it has the function, as a test if it has a test's name.
    fn has(&self, name: &str) -> bool {
        let beginning = name.strip_suffix("...");
        let from = beginning.unwrap_or(name);
        let mut functions = self.functions.range(from.to_owned()..);
        functions.next().is_some_and(|(function, &test)| {
            let is_it = function == name || beginning.is_some_and(|it| function.starts_with(it));
            is_it && (test || !is_test(name))
        })
    }
}

fn file_of<'s>(sources: &'s BTreeMap<PathBuf, Source>, name: &str) -> Vec<&'s Source> {
    let is_it = |path: &&PathBuf| path.ends_with(name);
    sources
        .keys()
        .filter(is_it)
        .map(|path| &sources[path])
        .collect()
}

#[test]
fn what_the_table_names_is_there() {
    let (table, sources) = (read(&root().join("control/RFC.md")), sources());
    let mut missing = Vec::new();
    let (mut tests, mut files) = (0, 0);
    for named in quoted(&table) {
        let (file, name) = match named.split_once("::") {
            Some((file, name)) if file.ends_with(".rs") => (Some(file), Some(name)),
            _ if named.ends_with(".rs") => (Some(named), None),
            _ => (None, Some(named)),
        };
        let texts = match file {
            Some(file) => {
                files += 1;
                file_of(&sources, file)
            }
            None => sources.values().collect(),
        };
        if texts.is_empty() {
            missing.push(named);
            continue;
        }
        let Some(name) = name.filter(|name| is_name(name.trim_end_matches("..."))) else {
            continue;
        };
        tests += usize::from(is_test(name));
        // A fuzz target is a file.
        let is_target = !file_of(&sources, &format!("{name}.rs")).is_empty();
        let is_named =
            |source: &&Source| source.has(name) || (!is_test(name) && source.text.contains(name));
        let found = is_target || texts.iter().any(is_named);
        if !found {
            missing.push(named);
        }
    }
    assert!(
        missing.is_empty(),
        "RFC.md names what is not there: {missing:#?}"
    );
    assert!(
        tests > 150 && files > 60,
        "{tests} tests and {files} files are named"
    );
}

/// "word `x`" and "words `x`, `y`" are the configuration's.
#[test]
fn the_words_that_the_table_names_are_the_configurations() {
    let table = read(&root().join("control/RFC.md"));
    let reference = read(&root().join("configs/reference.yaml"));
    let mut words = BTreeSet::new();
    for place in table.match_indices("word").map(|(place, _)| place) {
        // Not a part of another.
        if !table[..place].ends_with([' ', ',']) {
            continue;
        }
        let after = table[place..]
            .trim_start_matches("words")
            .trim_start_matches("word");
        let mut rest = after
            .trim_start()
            .strip_prefix("of `limits`")
            .map_or(after, |_| "");
        while let Some(quoted) = rest.trim_start_matches([' ', ',']).strip_prefix('`') {
            let Some((word, behind)) = quoted.split_once('`') else {
                break;
            };
            words.insert(word);
            rest = behind;
        }
    }
    let is_known = |word: &&&str| reference.contains(&format!("{word}:"));
    let unknown: Vec<_> = words.iter().filter(|word| !is_known(word)).collect();
    assert!(unknown.is_empty(), "not in reference.yaml: {unknown:?}");
    assert!(words.len() > 20, "{words:?}");
}
