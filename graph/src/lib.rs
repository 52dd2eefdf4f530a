//! What a link or a set did, to look at: as SVG, PNG and text for a terminal, and as CSV and JSON.
//!
//! The picture is read like a CQM graph: loss hangs from the top, latency stands on the bottom, throughput runs across as
//! lines. What nobody measured is drawn as unknown, never as nought.
#![forbid(unsafe_code)]

mod cells;
mod clock;
mod measures;
mod numbers;
mod picture;
mod scale;
mod summary;
mod table;
mod text;

use history::Sample;

/// What is drawn, and of which time.
///
/// Nothing in it is refused. Rows outside the time are left out; of those that fall together the sums are shown. A `to_unix_s` that is not
/// after `from_unix_s` counts as the second after it.
#[derive(Clone, Copy, Debug)]
pub struct Graph<'a> {
    /// The name, and the column `graph` of the tables.
    pub title: &'a str,
    /// What else tells whose picture it is; may be empty.
    pub subtitle: &'a str,
    pub kind: Kind,
    pub from_unix_s: u64,
    pub to_unix_s: u64,
    /// How long a row is.
    pub step_s: u32,
    /// When each row began (Unix time in seconds), and what it adds up. Where there is no row, nothing is known.
    pub rows: &'a [(u64, Sample)],
    /// What clocks on the wall show, less UTC, in seconds. Beyond 25 hours it is taken as 0. The tables have UTC alone.
    pub utc_offset_s: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Loss, latency and throughput.
    Link,
    /// Loss and throughput, and instead of latency what the best link by itself would have lost.
    Set,
}

/// The picture, 1100 units wide and some 470 high, with its own style sheet: dark for who prefers it so. It needs nothing from elsewhere.
#[must_use]
pub fn svg(graph: &Graph<'_>) -> String {
    picture::svg(&picture::scene(graph))
}

/// The same picture on white, so many pixels wide; from 200 to 4 400, what is beyond counts as these.
#[must_use]
pub fn png(graph: &Graph<'_>, width: u32) -> Vec<u8> {
    picture::png(&picture::scene(graph), width)
}

/// The rows of the graph's time: RFC 4180, with a header line. Units are the last word of each column's name; cells of what was not measured are
/// empty. A title that a spreadsheet would take for a formula has an apostrophe in front.
#[must_use]
pub fn csv(graph: &Graph<'_>) -> String {
    table::csv(graph)
}

/// The same as an array of objects. What was not measured is `null`.
#[must_use]
pub fn json(graph: &Graph<'_>) -> String {
    table::json(graph)
}

/// The same picture in characters for a terminal, so many columns wide; from 40 to 400, what is beyond counts as these. In `colour` by ANSI's
/// escape sequences.
#[must_use]
pub fn text(graph: &Graph<'_>, columns: usize, colour: bool) -> String {
    text::draw(graph, columns, colour)
}
