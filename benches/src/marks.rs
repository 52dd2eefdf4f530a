//! Results in a Markdown file, between two marks: `<!-- begin NAME -->` and `<!-- end NAME -->`.

use std::fs;
use std::io;
use std::path::Path;

/// Puts the text between the marks of this name.
///
/// # Errors
/// When the file cannot be read or written, and when it has no such marks.
pub fn write(file: &Path, name: &str, text: &str) -> io::Result<()> {
    let of_file = |problem: &dyn std::fmt::Display| {
        io::Error::other(format!("{}: {problem}", file.display()))
    };
    let before = fs::read_to_string(file).map_err(|problem| of_file(&problem))?;
    let after = replaced(&before, name, text)
        .ok_or_else(|| of_file(&format!("no marks {} and {}", begin(name), end(name))))?;
    fs::write(file, after).map_err(|problem| of_file(&problem))
}

fn begin(name: &str) -> String {
    format!("<!-- begin {name} -->")
}

fn end(name: &str) -> String {
    format!("<!-- end {name} -->")
}

/// The file's text with another one between the marks; `None` when they are not there, in this order.
fn replaced(file: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (begin(name), end(name));
    let (before, rest) = file.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!(
        "{before}{begin}\n{}\n{end}{after}",
        text.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_marks_is_replaced_and_nothing_else() {
        let file = "a\n<!-- begin one -->\nold\n<!-- end one -->\nb\n<!-- begin two -->\n<!-- end two -->\n";
        let once = "a\n<!-- begin one -->\nnew\n<!-- end one -->\nb\n<!-- begin two -->\n<!-- end two -->\n";
        assert_eq!(replaced(file, "one", "new\n\n").as_deref(), Some(once));
        assert_eq!(replaced(once, "one", "new").as_deref(), Some(once));
        assert_eq!(replaced(file, "three", "new"), None);
        assert_eq!(
            replaced("<!-- end one --><!-- begin one -->", "one", "new"),
            None
        );
    }
}
