//! What the tests of `check` share: the two good files, and changes to them.

pub(crate) const HEAD: &str = include_str!("../../../configs/head.yaml");
pub(crate) const REMOTE: &str = include_str!("../../../configs/remote.yaml");

/// A file with pieces replaced, each once; a piece that is not there fails the test.
pub(crate) fn changed(file: &str, edits: &[(&str, &str)]) -> String {
    let mut text = file.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from:?} is not in the file");
        text = text.replacen(from, to, 1);
    }
    text
}
