//! Plain text of at most 100 columns; colours only on a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use benches::figure::grouped;

/// Where everything is said.
pub(crate) struct Screen {
    started: Instant,
    has_colours: bool,
}

const PICTURE: [&str; 7] = [
    "    LAN host       appliance            ISPs            appliance       LAN host",
    "                                +-- 1:  5 ms +-  1 --+",
    "    192.168.1.10 --- head ------+-- 2: 20 ms +-  4 --+------ remote --- 192.168.2.10",
    "                                +-- 3: 60 ms +- 10 --+",
    "",
    "    UDP numbers are checked one by one; everything runs on this machine, in network namespaces.",
    "",
];

/// How a cell or a line is to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    Bold,
    Good,
    Bad,
    Faint,
}

/// A table cell.
pub(crate) struct Cell(pub(crate) String, pub(crate) Look);

impl Cell {
    pub(crate) fn plain(text: impl ToString) -> Self {
        Self(text.to_string(), Look::Plain)
    }

    /// A number that should be 0.
    pub(crate) fn fault(count: u64) -> Self {
        let look = if count == 0 { Look::Good } else { Look::Bad };
        Self(grouped(count), look)
    }

    pub(crate) fn count(count: u64) -> Self {
        Self::plain(grouped(count))
    }
}

impl Screen {
    pub(crate) fn new() -> Self {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            started: Instant::now(),
            has_colours: std::io::stdout().is_terminal() && !is_plain,
        }
    }

    pub(crate) fn line(&self, text: &str) {
        // A reader that went away is no reason to leave the sites half taken down.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    pub(crate) fn title(&self, text: &str) {
        self.line("");
        self.line(&self.painted(text, Look::Bold));
        self.line("");
    }

    pub(crate) fn failure(&self, text: &str) {
        self.line(&self.painted(&format!("FAILED: {text}"), Look::Bad));
    }

    pub(crate) fn success(&self, text: &str) {
        self.line(&self.painted(text, Look::Good));
    }

    /// Something that is done to the sites, with the time.
    pub(crate) fn event(&self, text: &str) {
        self.line(&format!(
            "{} {}",
            self.clock(),
            self.painted(text, Look::Bold)
        ));
    }

    /// How things stand, with the time.
    pub(crate) fn progress(&self, text: &str) {
        self.line(&self.painted(&format!("{}   {text}", self.clock()), Look::Faint));
    }

    pub(crate) fn picture(&self) {
        for line in PICTURE {
            self.line(line);
        }
    }

    /// A table: names to the left, numbers to the right.
    pub(crate) fn table(&self, head: &[&str], rows: &[Vec<Cell>]) {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let longest = cells.map(|cell| cell.0.chars().count()).max().unwrap_or(0);
            longest.max(head[column].chars().count())
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let titles: Vec<Cell> = head
            .iter()
            .map(|title| Cell(title.to_string(), Look::Faint))
            .collect();
        self.line(&self.row(&titles, &widths));
        for row in rows {
            self.line(&self.row(row, &widths));
        }
        self.line("");
    }

    fn row(&self, cells: &[Cell], widths: &[usize]) -> String {
        let mut line = String::from(" ");
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let padding = " ".repeat(width.saturating_sub(cell.0.chars().count()));
            let text = self.painted(&cell.0, cell.1);
            line += &match column {
                0 => format!(" {text}{padding}"),
                _ => format!("   {padding}{text}"),
            };
        }
        line
    }

    fn clock(&self) -> String {
        format!("[{:6.1} s]", self.started.elapsed().as_secs_f64())
    }

    fn painted(&self, text: &str, look: Look) -> String {
        let code = match look {
            _ if !self.has_colours => return text.to_owned(),
            Look::Plain => return text.to_owned(),
            Look::Bold => "1",
            Look::Good => "32",
            Look::Bad => "1;31",
            Look::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

pub(crate) fn percent(part: u64, whole: u64) -> String {
    format!("{:.2} %", 100.0 * part as f64 / whole.max(1) as f64)
}
