//! How things look on this terminal: in colours or not, with Unicode's signs or ASCII's.

use ratatui::style::{Color, Modifier, Style};

use crate::monitor::site::Verdict;

/// From nothing to all there can be.
const BLOCKS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_BLOCKS: [&str; 8] = ["_", ".", ":", "-", "=", "+", "*", "#"];

#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) colours: bool,
    /// Whether the terminal shows more than ASCII.
    pub(super) unicode: bool,
}

impl Look {
    /// As the locale of the environment has it (POSIX: the first of these that is set and not empty counts).
    pub(super) fn of_environment(colours: bool) -> Self {
        let named = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
        let locale = named
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty());
        Self {
            colours,
            unicode: locale.is_some_and(|it| is_unicode(&it)),
        }
    }

    /// Text in a colour, or as it is.
    pub(super) fn in_colour(self, colour: Color) -> Style {
        match self.colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    pub(super) fn of_verdict(self, verdict: Verdict) -> Style {
        match verdict {
            Verdict::Good => self.in_colour(Color::Green),
            Verdict::Degraded => self.in_colour(Color::Yellow),
            Verdict::Bad | Verdict::Down => self.in_colour(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    /// What is less important.
    pub(super) fn faint(self) -> Style {
        match self.colours {
            true => Style::new().fg(Color::DarkGray),
            false => Style::new().add_modifier(Modifier::DIM),
        }
    }

    /// A sign for who does not tell colours apart.
    pub(super) const fn sign(self, verdict: Verdict) -> &'static str {
        match (verdict, self.unicode) {
            (Verdict::Good, true) => "●",
            (Verdict::Degraded, true) => "▲",
            (Verdict::Bad, true) => "✗",
            (Verdict::Down, true) => "○",
            (Verdict::Good, false) => "+",
            (Verdict::Degraded, false) => "~",
            (Verdict::Bad, false) => "!",
            (Verdict::Down, false) => "x",
        }
    }

    /// A column of a sparkline: a part of the height, from 0 to 1.
    pub(super) fn block(self, part: f32) -> &'static str {
        let blocks = if self.unicode { BLOCKS } else { ASCII_BLOCKS };
        let highest = (blocks.len() - 1) as f32;
        // What is there is seen: only nothing at all is the lowest one.
        let level = (part.clamp(0.0, 1.0) * highest).ceil();
        blocks[level as usize]
    }

    /// A column of a sparkline in which the link was down.
    pub(super) const fn offline(self) -> &'static str {
        if self.unicode { "×" } else { "x" }
    }

    pub(super) const fn rule(self) -> &'static str {
        if self.unicode { "─" } else { "-" }
    }
}

/// The word of a verdict.
pub(super) const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Degraded => "degraded",
        Verdict::Bad => "bad",
        Verdict::Down => "down",
    }
}

fn is_unicode(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_there_is_can_be_seen() {
        let look = Look {
            colours: false,
            unicode: true,
        };
        let drawn: String = [0.0, 0.001, 0.5, 1.0, 7.0, f32::NAN]
            .map(|part| look.block(part))
            .concat();
        assert_eq!(drawn, "▁▂▅██▁");
    }

    #[test]
    fn locales_are_told_apart() {
        assert!(is_unicode("de_DE.UTF-8"));
        assert!(is_unicode("C.utf8"));
        assert!(!is_unicode("C"));
        assert!(!is_unicode("de_DE.ISO-8859-1"));
    }
}
