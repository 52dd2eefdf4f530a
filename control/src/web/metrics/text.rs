//! The text formats of Prometheus: OpenMetrics 1.0, and the one before it.

use std::fmt::Write as _;

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Format {
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl Format {
    const OPEN_METRICS: &'static str = "application/openmetrics-text";

    /// What an `Accept` header asks for.
    pub(in super::super) fn accepted(header: &str) -> Self {
        let kinds = header.split(',').map(|range| range.split(';').next());
        let mut kinds = kinds.flatten().map(str::trim);
        if kinds.any(|kind| kind.eq_ignore_ascii_case(Self::OPEN_METRICS)) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub(in super::super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What kind of thing a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, until it begins anew.
    Counter,
    Gauge,
    /// Facts, which stand in the labels.
    Info,
}

/// What is measured, of many things.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// Without the `_total` of counters and the `_info` of facts.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The end of the name, when it is a unit.
    pub(super) unit: &'static str,
    /// Without line ends, quotes and backslashes, which would have to be escaped.
    pub(super) help: &'static str,
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(u64::from(value))
    }
}

/// Labels as they stand in a sample, braces included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labels(String);

impl Labels {
    /// Those that have a value.
    pub(super) fn of(labels: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(name);
            text.push_str("=\"");
            for letter in value.chars() {
                match letter {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    letter => text.push(letter),
                }
            }
            text.push('"');
        }
        if !text.is_empty() {
            text.push('}');
        }
        Self(text)
    }
}

/// Writes families one after the other.
pub(super) struct Writer {
    format: Format,
    text: String,
}

impl Writer {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            text: String::new(),
        }
    }

    /// A family with its samples; one without a sample is left out.
    pub(super) fn family<'l>(
        &mut self,
        family: &Family,
        samples: impl Iterator<Item = (&'l Labels, Value)>,
    ) {
        let name = family.name;
        let suffix = match family.kind {
            Kind::Counter => "_total",
            Kind::Gauge => "",
            Kind::Info => "_info",
        };
        let mut samples = samples.peekable();
        if samples.peek().is_some() {
            self.head(family, suffix);
        }
        for (Labels(labels), value) in samples {
            // Writing to a text does not fail.
            let _ = match value {
                Value::Whole(value) => writeln!(self.text, "{name}{suffix}{labels} {value}"),
                Value::Real(value) => writeln!(self.text, "{name}{suffix}{labels} {value}"),
            };
        }
    }

    fn head(&mut self, family: &Family, suffix: &str) {
        let Family { unit, help, .. } = family;
        let open_metrics = self.format == Format::OpenMetrics;
        let mut name = family.name.to_owned();
        if !open_metrics {
            name.push_str(suffix);
        }
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Info if open_metrics => "info",
            Kind::Gauge | Kind::Info => "gauge",
        };
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        if open_metrics && !unit.is_empty() {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {name} {help}");
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_chosen_by_what_is_accepted() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        for other in [
            "",
            "*/*",
            "text/html, text/plain",
            "application/openmetrics-textile",
        ] {
            assert_eq!(Format::accepted(other), Format::Prometheus, "{other}");
        }
    }

    #[test]
    fn labels_are_escaped_and_empty_ones_left_out() {
        let labels = Labels::of(&[("link", "a\"b\\c\nd"), ("set", ""), ("table", "1")]);
        assert_eq!(labels.0, r#"{link="a\"b\\c\nd",table="1"}"#);
        assert_eq!(Labels::of(&[("set", "")]).0, "");
    }

    #[test]
    fn the_two_formats_differ_in_names_and_ends() {
        let family = Family {
            name: "hal2tp_link_sent_bytes",
            kind: Kind::Counter,
            unit: "bytes",
            help: "Octets.",
        };
        let labels = Labels::of(&[("link", "a")]);
        let written = |format| {
            let mut writer = Writer::new(format);
            writer.family(&family, [(&labels, Value::Whole(7))].into_iter());
            writer.family(&family, std::iter::empty());
            writer.finish()
        };
        let sample = "hal2tp_link_sent_bytes_total{link=\"a\"} 7\n";
        assert_eq!(
            written(Format::OpenMetrics),
            format!(
                "# TYPE hal2tp_link_sent_bytes counter\n# UNIT hal2tp_link_sent_bytes bytes\n# HELP hal2tp_link_sent_bytes Octets.\n{sample}# EOF\n"
            )
        );
        assert_eq!(
            written(Format::Prometheus),
            format!(
                "# TYPE hal2tp_link_sent_bytes_total counter\n# HELP hal2tp_link_sent_bytes_total Octets.\n{sample}"
            )
        );
    }
}
