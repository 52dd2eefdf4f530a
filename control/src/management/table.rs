//! Aligned tables for people, and how numbers and times are written in them.

/// What a cell means, for its colour on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Plain,
    Good,
    Uneasy,
    Bad,
}

impl Mood {
    /// SGR parameter (ECMA-48, 8.3.117).
    const fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Good => Some(32),
            Self::Uneasy => Some(33),
            Self::Bad => Some(31),
        }
    }
}

pub(super) struct Cell {
    text: String,
    mood: Mood,
    right: bool,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            mood: Mood::Plain,
            right: false,
        }
    }

    pub(super) fn number(number: u64) -> Self {
        Self {
            right: true,
            ..Self::text(grouped(number))
        }
    }

    pub(super) fn right(text: impl Into<String>) -> Self {
        Self {
            right: true,
            ..Self::text(text)
        }
    }

    pub(super) const fn mood(mut self, mood: Mood) -> Self {
        self.mood = mood;
        self
    }

    /// Marks a number that should be zero.
    pub(super) const fn bad_unless_zero(mut self, number: u64) -> Self {
        if number > 0 {
            self.mood = Mood::Bad;
        }
        self
    }

    /// Marks what is worth a look.
    pub(super) const fn uneasy_if(mut self, uneasy: bool) -> Self {
        if uneasy {
            self.mood = Mood::Uneasy;
        }
        self
    }
}

/// `12345678` as `12 345 678`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `3d 04:05:06`, without the days when there are none.
pub(super) fn duration(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 {
        format!("{days}d {clock}")
    } else {
        clock
    }
}

/// A time in microseconds, as milliseconds.
pub(super) fn milliseconds(us: Option<u64>) -> String {
    us.map_or_else(
        || "-".to_owned(),
        |us| format!("{}.{:01}", us / 1000, us % 1000 / 100),
    )
}

pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) head: &'static [&'static str],
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn write(&self, out: &mut String, colours: bool) {
        if self.rows.is_empty() {
            return;
        }
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.text.chars().count()).max();
            widest.unwrap_or(0).max(self.head[column].len())
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        out.push('\n');
        out.push_str(self.title);
        out.push('\n');
        let head = self.head.iter().enumerate();
        let right = |column: usize| self.rows[0].get(column).is_some_and(|cell| cell.right);
        let titles: Vec<Cell> = head
            .map(|(column, title)| Cell {
                right: right(column),
                ..Cell::text(*title)
            })
            .collect();
        line(out, &titles, &widths, false);
        for row in &self.rows {
            line(out, row, &widths, colours);
        }
    }

    /// The table as all there is to say, or that it is empty.
    pub(super) fn alone(&self, colours: bool) -> String {
        let mut out = String::new();
        self.write(&mut out, colours);
        if out.is_empty() {
            return format!("{}: none\n", self.title);
        }
        out.trim_start().to_owned()
    }
}

fn line(out: &mut String, cells: &[Cell], widths: &[usize], colours: bool) {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let space = " ".repeat(width.saturating_sub(cell.text.chars().count()));
        let code = cell.mood.code().filter(|_| colours);
        let shown = code.map_or_else(
            || cell.text.clone(),
            |code| format!("\x1b[{code}m{}\x1b[0m", cell.text),
        );
        text.push_str("  ");
        if cell.right {
            text.push_str(&space);
            text.push_str(&shown);
        } else {
            text.push_str(&shown);
            text.push_str(&space);
        }
    }
    out.push_str(text.trim_end());
    out.push('\n');
}
