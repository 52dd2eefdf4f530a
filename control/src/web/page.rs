//! The status page. Its files are in the program: the page always fits the appliance that it is of.

use std::hash::{DefaultHasher, Hasher};

/// One file of the page.
#[derive(Debug)]
pub(super) struct Asset {
    /// Path of the address.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: &'static [u8],
}

impl Asset {
    /// Another one when the body is another (RFC 9110, 8.8.3).
    #[must_use]
    pub(super) fn etag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.body);
        format!("\"{:016x}\"", hasher.finish())
    }
}

const CSS: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file has its name as its path.
macro_rules! asset {
    ($file:literal, $content_type:expr) => {
        asset!($file, $content_type, concat!("/", $file))
    };
    ($file:literal, $content_type:expr, $path:expr) => {
        Asset {
            path: $path,
            content_type: $content_type,
            body: include_bytes!(concat!("page/", $file)),
        }
    };
}

/// The whole page.
pub(super) static ASSETS: [Asset; 23] = [
    asset!("index.html", HTML, "/"),
    asset!("style.css", CSS),
    asset!("theme.js", JAVASCRIPT),
    asset!("app.js", JAVASCRIPT),
    asset!("detail.js", JAVASCRIPT),
    asset!("dom.js", JAVASCRIPT),
    asset!("events.js", JAVASCRIPT),
    asset!("links.js", JAVASCRIPT),
    asset!("listing.js", JAVASCRIPT),
    asset!("news.js", JAVASCRIPT),
    asset!("parts.js", JAVASCRIPT),
    asset!("past.js", JAVASCRIPT),
    asset!("ports.js", JAVASCRIPT),
    asset!("set.js", JAVASCRIPT),
    asset!("spark.js", JAVASCRIPT),
    asset!("tunnels.js", JAVASCRIPT),
    asset!("verdict.js", JAVASCRIPT),
    asset!("words.js", JAVASCRIPT),
    asset!("icon.svg", SVG),
    asset!("icons/good.svg", SVG),
    asset!("icons/degraded.svg", SVG),
    asset!("icons/bad.svg", SVG),
    asset!("icons/down.svg", SVG),
];

#[cfg(test)]
mod tests;
