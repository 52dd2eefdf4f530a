//! The words of the file: every one is known, read and documented; and no text makes a panic.

mod alarms;
mod ppp;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::problem::Problems;
use super::tree::{self, Node, Path, Position, Value};
use super::{Config, Severity};

const REFERENCE: &str = include_str!("../../../configs/reference.yaml");
const FILES: [&str; 5] = [
    REFERENCE,
    include_str!("../../../configs/head.yaml"),
    include_str!("../../../configs/remote.yaml"),
    include_str!("../../tests/files/broken.yaml"),
    include_str!("../../tests/files/maker-head.yaml"),
];

fn reference() -> Node {
    let (root, faults) = tree::read(REFERENCE);
    assert!(faults.is_empty(), "{faults:?}");
    root.unwrap()
}

/// `l2tp.incoming[].match[]` for every mapping, with its keys.
fn sections(node: &Node, name: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    match &node.value {
        Value::Mapping(entries) => {
            let keys = found.entry(name.to_owned()).or_default();
            keys.extend(entries.iter().map(|entry| entry.key.clone()));
            for entry in entries {
                sections(&entry.value, &format!("{name}.{}", entry.key), found);
            }
        }
        Value::Sequence(items) => {
            for item in items {
                sections(item, &format!("{name}[]"), found);
            }
        }
        _ => {}
    }
}

/// The keys that the model knows in each section, as it says itself when it
/// refuses one that cannot be meant.
fn known_keys() -> BTreeMap<String, BTreeSet<String>> {
    const STRANGE: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzz";
    let with_strange = |indent: &str| format!("{indent}{STRANGE}: 1\n");
    let texts = [
        ("", with_strange("")),
        (".dataplane", format!("dataplane:\n{}", with_strange(" "))),
        (".management", format!("management:\n{}", with_strange(" "))),
        (
            ".management.history",
            format!("management:\n history:\n{}", with_strange("  ")),
        ),
        (
            ".management.http",
            format!("management:\n http:\n{}", with_strange("  ")),
        ),
        (".ports[]", format!("ports:\n{}", with_strange(" - "))),
        (
            ".interfaces[]",
            format!("interfaces:\n{}", with_strange(" - ")),
        ),
        (
            ".interfaces[].dhcp",
            format!("interfaces:\n - dhcp:\n{}", with_strange("    ")),
        ),
        (
            ".interfaces[].pppoe",
            format!("interfaces:\n - pppoe:\n{}", with_strange("    ")),
        ),
        (
            ".interfaces[].pppoe.ppp",
            format!(
                "interfaces:\n - pppoe:\n    ppp:\n{}",
                with_strange("     ")
            ),
        ),
        (
            ".interfaces[].delegated",
            format!("interfaces:\n - delegated:\n{}", with_strange("    ")),
        ),
        (
            ".interfaces[].router-advertisements",
            format!(
                "interfaces:\n - router-advertisements:\n{}",
                with_strange("    ")
            ),
        ),
        (".l2tp", format!("l2tp:\n{}", with_strange(" "))),
        (
            ".l2tp.limits",
            format!("l2tp:\n limits:\n{}", with_strange("  ")),
        ),
        (
            ".l2tp.outgoing[]",
            format!("l2tp:\n outgoing:\n{}", with_strange("  - ")),
        ),
        (
            ".l2tp.incoming[]",
            format!("l2tp:\n incoming:\n{}", with_strange("  - ")),
        ),
        (
            ".l2tp.outgoing[].ppp",
            format!("l2tp:\n outgoing:\n  - ppp:\n{}", with_strange("     ")),
        ),
        (
            ".l2tp.incoming[].ppp",
            format!("l2tp:\n incoming:\n  - ppp:\n{}", with_strange("     ")),
        ),
        (
            ".l2tp.incoming[].match[]",
            format!("l2tp:\n incoming:\n  - match:\n{}", with_strange("     - ")),
        ),
        (".ha-sets[]", format!("ha-sets:\n{}", with_strange(" - "))),
        (
            ".ha-sets[].ordering",
            format!("ha-sets:\n - ordering:\n{}", with_strange("    ")),
        ),
        (".routes[]", format!("routes:\n{}", with_strange(" - "))),
        (
            ".neighbours[]",
            format!("neighbours:\n{}", with_strange(" - ")),
        ),
        (".alarms[]", format!("alarms:\n{}", with_strange(" - "))),
        (".syslog", format!("syslog:\n{}", with_strange(" "))),
    ];
    let keys = |text: &str| -> BTreeSet<String> {
        let problems = Config::parse("strange", text).unwrap_err();
        let refused = problems.iter().find(|p| p.key.ends_with(STRANGE)).unwrap();
        let list = refused.remedy.strip_prefix("the keys here are: ").unwrap();
        list.split(", ").map(str::to_owned).collect()
    };
    texts
        .iter()
        .map(|(name, text)| ((*name).to_owned(), keys(text)))
        .collect()
}

#[test]
fn the_reference_and_the_model_have_the_same_keys() {
    let mut documented = BTreeMap::new();
    sections(&reference(), "", &mut documented);
    assert_eq!(documented, known_keys());
}

#[test]
fn the_reference_is_valid() {
    let (config, warnings) = Config::parse("reference.yaml", REFERENCE).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.l2tp.incoming[0].matches[2].ha_set, Some(2));
    assert_eq!(
        config.l2tp.incoming[0].matches[2].routes,
        config.ha_sets[2].routes.clone().unwrap()
    );
}

/// Every value of the reference file, by its path.
fn values(node: &Node, path: &Path, found: &mut Vec<Path>) {
    if *path != Path::default() {
        found.push(path.clone());
    }
    for entry in node.entries() {
        values(&entry.value, &path.key(&entry.key), found);
    }
    for (index, item) in node.items().iter().enumerate() {
        values(item, &path.index(index), found);
    }
}

#[test]
fn every_key_of_the_reference_is_read() {
    let mut paths = Vec::new();
    values(&reference(), &Path::default(), &mut paths);
    assert!(paths.len() > 150, "only {} values", paths.len());
    for path in paths {
        // A value that nothing accepts: a mapping with a key that nothing has.
        let mut root = reference();
        let place = root.find_mut(&path).unwrap();
        place.value = Value::Mapping(vec![tree::Entry {
            key: "nonsense".to_owned(),
            key_at: Position::START,
            value: Node {
                at: Position::START,
                value: Value::Sequence(Vec::new()),
            },
        }]);
        let key = root.describe(&path);
        let mut problems = Problems::new("reference.yaml", Some(&root));
        super::sections::decode(&root, &mut problems);
        let list = problems.into_sorted();
        let told = list
            .iter()
            .any(|problem| problem.severity == Severity::Error && problem.key.starts_with(&key));
        assert!(told, "nothing wrong with {key}: {list:?}");
    }
}

/// Parses, and checks that whatever is said is said of a place in the text.
fn survives(text: &str) {
    let lines = text.lines().count().max(1);
    if let Err(problems) = Config::parse("any.yaml", text) {
        assert!(
            problems
                .iter()
                .any(|problem| problem.severity == Severity::Error)
        );
        for problem in problems {
            assert!(problem.line >= 1 && problem.line <= lines + 1, "{problem}");
            assert!(
                !problem.message.is_empty() && !problem.remedy.is_empty(),
                "{problem:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}") {
        survives(&text);
    }

    #[test]
    fn any_yaml_like_text_is_survived(
        text in "([ \\-:{}\\[\\],&*!|>'\"#%\n\ta-z0-9./~?<]|l2tp:\n|outgoing:\n|  - |name: |ports:\n){0,60}"
    ) {
        survives(&text);
    }

    /// Real files with pieces cut out, moved and replaced.
    #[test]
    fn mutations_of_real_files_are_survived(
        file in 0..FILES.len(),
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0usize..40, "([a-z0-9:/.\\- ,{}\\[\\]\"'\n]|[0-9]{1,20}|: |null|~|!x |&a |\\*a ){0,6}"),
            1..6,
        ),
    ) {
        let mut text: Vec<char> = FILES[file].chars().collect();
        for (place, removed, inserted) in edits {
            let start = place.index(text.len() + 1);
            let end = (start + removed).min(text.len());
            text.splice(start..end, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        survives(&text);
    }

    /// One line taken away, doubled, or swapped with another: structure survives more often.
    #[test]
    fn shuffled_lines_are_survived(
        file in 0..FILES.len(),
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..3), 1..5),
    ) {
        let mut lines: Vec<&str> = FILES[file].lines().collect();
        for (one, two, what) in moves {
            if lines.is_empty() {
                break;
            }
            let (one, two) = (one.index(lines.len()), two.index(lines.len()));
            match what {
                0 => { lines.remove(one); }
                1 => lines.insert(two, lines[one]),
                _ => lines.swap(one, two),
            }
        }
        survives(&lines.join("\n"));
    }
}

#[test]
fn deep_nesting_is_survived() {
    survives(&"[".repeat(10_000));
    survives(&"{a: ".repeat(10_000));
    survives(&"- ".repeat(5_000));
    survives(&"a:\n ".repeat(300));
}
