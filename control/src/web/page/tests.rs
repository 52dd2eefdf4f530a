use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn text(path: &str) -> &'static str {
    let asset = ASSETS.iter().find(|asset| asset.path == path);
    let asset = asset.unwrap_or_else(|| panic!("{path} is no asset"));
    str::from_utf8(asset.body).unwrap()
}

fn scripts() -> impl Iterator<Item = &'static Asset> {
    ASSETS.iter().filter(|it| it.content_type == JAVASCRIPT)
}

/// What stands between `before` and the next quotation mark.
fn quoted<'t>(text: &'t str, before: &str) -> BTreeSet<&'t str> {
    let parts = text.split(before).skip(1);
    parts.map(|part| part.split('"').next().unwrap()).collect()
}

fn files(folder: &Path, found: &mut BTreeSet<String>, below: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found, &path);
        } else {
            found.insert(path);
        }
    }
}

#[test]
fn every_file_of_the_folder_is_served_once() {
    let mut expected = BTreeSet::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/page");
    files(Path::new(folder), &mut expected, "");
    assert!(expected.remove("/tests.rs") && expected.remove("/index.html"));
    expected.insert("/".to_owned());
    let served: BTreeSet<String> = ASSETS.iter().map(|it| it.path.to_owned()).collect();
    assert_eq!(served, expected);
    assert_eq!(served.len(), ASSETS.len(), "a path is there twice");
}

#[test]
fn all_that_the_page_names_is_there() {
    let page = text("/");
    let named = quoted(page, "src=\"/").into_iter();
    let named = named.chain(quoted(page, "href=\"/"));
    for path in named.filter(|path| !path.starts_with("api/")) {
        text(&format!("/{path}"));
    }
    for script in scripts() {
        for module in quoted(text(script.path), "from \"./") {
            text(&format!("/{module}"));
        }
    }
    for verdict in ["good", "degraded", "bad", "down"] {
        text(&format!("/icons/{verdict}.svg"));
        assert!(page.contains(&format!("id=\"symbol-{verdict}\"")));
    }
}

#[test]
fn every_module_is_asked_for_at_once() {
    let page = text("/");
    let mut early = quoted(page, "rel=\"modulepreload\" href=\"");
    early.extend(quoted(page, "src=\""));
    let all: BTreeSet<&str> = scripts().map(|script| script.path).collect();
    assert_eq!(early, all);
}

/// The policy forbids it, and names come from peers.
#[test]
fn nothing_is_inline_and_no_data_becomes_markup() {
    let page = text("/");
    for inline in [" style=", "<style", "<script>", "javascript:", " onclick="] {
        assert!(!page.contains(inline), "{inline}");
    }
    let markup = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "\"style\"",
    ];
    for script in scripts() {
        for way in markup {
            assert!(!text(script.path).contains(way), "{way} in {}", script.path);
        }
    }
}

#[test]
fn nothing_comes_from_elsewhere() {
    for asset in &ASSETS {
        let text = text(asset.path).replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("://"), "{}", asset.path);
    }
}

#[test]
fn bodies_have_tags_of_their_own() {
    let tags: BTreeSet<String> = ASSETS.iter().map(Asset::etag).collect();
    assert_eq!(tags.len(), ASSETS.len());
    let tag = ASSETS[0].etag();
    assert_eq!((tag.len(), tag.matches('"').count()), (18, 2));
    assert_eq!(tag, ASSETS[0].etag());
}
