//! Reading one mapping of the file: its keys by name, each value by its kind.
//! What is wrong is noted and reading goes on with a stand-in, which nobody
//! sees because a file with errors gives no configuration.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::problem::Problems;
use super::tree::{Entry, Node, Path, Value, printable};
use crate::secret::Secret;

/// Why a value cannot be taken, and what would be right.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

pub(crate) type Read<T> = Result<T, Wrong>;

/// A mapping whose keys are being read.
pub(crate) struct Section<'t> {
    pub(crate) path: Path,
    node: Option<&'t Node>,
    asked: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// Opens the mapping at `path`. A missing node is an empty mapping.
    pub(crate) fn open(problems: &mut Problems<'_>, path: Path, node: Option<&'t Node>) -> Self {
        let is_mapping = |node: &&Node| matches!(node.value, Value::Mapping(_));
        if let Some(node) = node.filter(|node| !is_mapping(node))
            && !matches!(node.value, Value::Refused)
        {
            problems.error(
                &path,
                format!("{} stands where keys with values belong", kind_of(node)),
                "write `key: value` lines below it, or { key: value, ... }",
            );
        }
        Self {
            path,
            node: node.filter(is_mapping),
            asked: Vec::new(),
        }
    }

    /// The value of a key as it stands in the file.
    pub(crate) fn node(&mut self, key: &'static str) -> Option<&'t Node> {
        self.asked.push(key);
        self.node?.get(key)
    }

    /// Whether the file says something about this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.node.is_some_and(|node| node.get(key).is_some())
    }

    pub(crate) fn optional<T>(
        &mut self,
        problems: &mut Problems<'_>,
        key: &'static str,
        read: impl Fn(&Node) -> Read<T>,
    ) -> Option<T> {
        let node = self.node(key)?;
        let path = self.path.key(key);
        take(problems, &path, node, read)
    }

    pub(crate) fn or<T>(
        &mut self,
        problems: &mut Problems<'_>,
        key: &'static str,
        read: impl Fn(&Node) -> Read<T>,
        default: T,
    ) -> T {
        self.optional(problems, key, read).unwrap_or(default)
    }

    /// A key that must be there; `remedy` says what to add.
    pub(crate) fn required<T>(
        &mut self,
        problems: &mut Problems<'_>,
        key: &'static str,
        read: impl Fn(&Node) -> Read<T>,
        remedy: &str,
        stand_in: T,
    ) -> T {
        let path = self.path.key(key);
        match self.node(key) {
            None if self.node.is_some() => problems.missing(&path, remedy),
            Some(node) if node.text() == Some("") => {
                problems.error(&path, "there is no value", remedy);
            }
            Some(node) => return take(problems, &path, node, read).unwrap_or(stand_in),
            // That there is no mapping at all was reported when it was opened.
            None => {}
        }
        stand_in
    }

    /// A list of simple values; `None` when the key is not there.
    pub(crate) fn list<T>(
        &mut self,
        problems: &mut Problems<'_>,
        key: &'static str,
        read: impl Fn(&Node) -> Read<T>,
    ) -> Option<Vec<T>> {
        let node = self.node(key)?;
        let path = self.path.key(key);
        let items = self.items(problems, &path, node);
        let values = items.iter().enumerate();
        Some(
            values
                .filter_map(|(index, item)| take(problems, &path.index(index), item, &read))
                .collect(),
        )
    }

    /// A list of mappings, each read by `read`, which is given the section
    /// and its place in the list. Every item gives a value, also a broken one.
    pub(crate) fn each<T>(
        &mut self,
        problems: &mut Problems<'_>,
        key: &'static str,
        mut read: impl FnMut(&mut Self, &mut Problems<'_>) -> T,
    ) -> Vec<T> {
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let path = self.path.key(key);
        let items = self.items(problems, &path, node);
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let mut section = Section::open(problems, path.index(index), Some(item));
            values.push(read(&mut section, problems));
            section.close(problems);
        }
        values
    }

    fn items(&self, problems: &mut Problems<'_>, path: &Path, node: &'t Node) -> &'t [Node] {
        match &node.value {
            Value::Sequence(items) => items,
            Value::Refused => &[],
            _ => {
                problems.error(
                    path,
                    format!("{} stands where a list belongs", kind_of(node)),
                    "write [one, two] or lines that begin with `- `",
                );
                &[]
            }
        }
    }

    /// Reports keys that nobody asked for, and keys that stand twice.
    pub(crate) fn close(&mut self, problems: &mut Problems<'_>) {
        let Some(node) = self.node else { return };
        self.asked.sort_unstable();
        self.asked.dedup();
        let mut seen: Vec<&Entry> = Vec::new();
        for entry in node.entries() {
            // A key that is not a word was reported when the tree was built.
            if entry.key.is_empty() {
                continue;
            }
            let path = self.path.key(&printable(&entry.key));
            if let Some(first) = seen.iter().find(|first| first.key == entry.key) {
                problems.error_at(
                    entry.key_at,
                    &path,
                    format!(
                        "this key stands here a second time, first in line {}",
                        first.key_at.line
                    ),
                    "keep one of the two",
                );
            } else if !self.asked.contains(&entry.key.as_str()) {
                problems.error_at(
                    entry.key_at,
                    &path,
                    "this key is unknown",
                    suggest(&entry.key, &self.asked, "the keys here are"),
                );
                if let Some(meant) = nearest(&entry.key, &self.asked).filter(|key| !self.has(key)) {
                    problems.misspelt(&self.path.key(meant));
                }
            }
            seen.push(entry);
        }
    }
}

fn take<T>(
    problems: &mut Problems<'_>,
    path: &Path,
    node: &Node,
    read: impl Fn(&Node) -> Read<T>,
) -> Option<T> {
    // What a Refused value is was reported when the tree was built.
    if matches!(node.value, Value::Refused) {
        return None;
    }
    match read(node) {
        Ok(value) => Some(value),
        Err(wrong) => {
            problems.error(path, wrong.message, wrong.remedy);
            None
        }
    }
}

fn kind_of(node: &Node) -> &'static str {
    match &node.value {
        Value::Scalar { text, plain: true } if text.is_empty() => "nothing",
        Value::Scalar { .. } => "a single value",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Refused => "something that is not read",
    }
}

/// `did you mean ...?` when one of the candidates is near, else the candidates.
pub(crate) fn suggest(given: &str, candidates: &[&str], introduction: &str) -> String {
    match nearest(given, candidates) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if candidates.is_empty() => format!("{introduction}: none"),
        None => format!("{introduction}: {}", candidates.join(", ")),
    }
}

/// The candidate that was probably meant.
fn nearest<'c>(given: &str, candidates: &[&'c str]) -> Option<&'c str> {
    candidates
        .iter()
        .map(|candidate| (distance(given, candidate), *candidate))
        .min()
        .filter(|(distance, candidate)| {
            *distance <= 1 + candidate.len() / 4 && *distance < candidate.len()
        })
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's edit distance, with `_` as good as `-` and case ignored.
fn distance(one: &str, two: &str) -> usize {
    // Longer words are no typing mistake, and would only cost time.
    const LONGEST: usize = 64;
    let letters = |text: &str| -> Vec<char> {
        let same = |c: char| {
            if c == '_' {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        };
        text.chars().map(same).take(LONGEST).collect()
    };
    let (one, two) = (letters(one), letters(two));
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in two.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[two.len()]
}

/// The text of a scalar, quoted or not, exactly as it stands.
pub(crate) fn scalar<'n>(node: &'n Node, wanted: &str) -> Read<(&'n str, bool)> {
    match &node.value {
        Value::Scalar { text, plain } if *plain && text.is_empty() => {
            Err(Wrong::new("there is no value", format!("write {wanted}")))
        }
        Value::Scalar { text, plain } => Ok((text, *plain)),
        _ => Err(Wrong::new(
            format!("{} stands where a single value belongs", kind_of(node)),
            format!("write {wanted}"),
        )),
    }
}

/// Text that is not empty.
pub(crate) fn text(node: &Node) -> Read<String> {
    let (text, _) = scalar(node, "some text")?;
    if text.is_empty() {
        return Err(Wrong::new("the text is empty", "write some text"));
    }
    Ok(text.to_owned())
}

/// Text for people; may be empty.
pub(crate) fn comment(node: &Node) -> Read<String> {
    scalar(node, "some text, or take the key away").map(|(text, _)| text.to_owned())
}

/// A secret: whatever stands there, verbatim. It is never quoted in a message.
pub(crate) fn secret(node: &Node) -> Read<Secret> {
    let (text, _) = scalar(node, "the secret")?;
    if text.is_empty() {
        return Err(Wrong::new("the secret is empty", "write the secret"));
    }
    Ok(Secret::new(text.to_owned()))
}

/// A name that can stand in logs, status lines and file names.
pub(crate) fn name(node: &Node) -> Read<String> {
    const LONGEST: usize = 48;
    let text = text(node)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@:#".contains(c);
    if text.len() > LONGEST || !text.chars().all(allowed) {
        return Err(Wrong::new(
            format!("\"{}\" is not a name", printable(&text)),
            format!("use up to {LONGEST} letters, digits and - _ . @ : #"),
        ));
    }
    Ok(text)
}

pub(crate) fn boolean(node: &Node) -> Read<bool> {
    let wanted = "true or false";
    match scalar(node, wanted)? {
        ("true", true) => Ok(true),
        ("false", true) => Ok(false),
        (other, _) => Err(not_this(other, wanted)),
    }
}

fn not_this(given: &str, wanted: &str) -> Wrong {
    Wrong::new(
        format!("\"{}\" is not {wanted}", printable(given)),
        format!("write {wanted}, without quotes"),
    )
}

/// A whole number, written in decimal and without quotes.
pub(crate) fn number<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> impl Fn(&Node) -> Read<T> {
    move |node| {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let (text, plain) = scalar(node, &wanted)?;
        let digits = plain && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits
            .then(|| text.parse::<u64>().ok())
            .flatten()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| not_this(text, &wanted))
    }
}

pub(crate) fn seconds(range: RangeInclusive<u64>) -> impl Fn(&Node) -> Read<Duration> {
    let read = number::<u64>(range);
    move |node| {
        let whole = read(node).map_err(|wrong| Wrong {
            message: wrong.message,
            remedy: format!("{} (seconds)", wrong.remedy),
        })?;
        Ok(Duration::from_secs(whole))
    }
}

/// A time with its unit: `500us`, `30ms` or `1s`.
pub(crate) fn duration(
    least: &'static str,
    most: &'static str,
) -> impl Fn(&Node) -> Read<Duration> {
    move |node| {
        let wanted = format!("a time with its unit, from {least} to {most}");
        let (text, _) = scalar(node, &wanted)?;
        let range = parse_duration(least).zip(parse_duration(most));
        parse_duration(text)
            .filter(|time| range.is_some_and(|(least, most)| (least..=most).contains(time)))
            .ok_or_else(|| {
                let message = format!("\"{}\" is not {wanted}", printable(text));
                Wrong::new(message, format!("write {wanted}, as 30ms"))
            })
    }
}

/// Reads a number and `us`, `ms` or `s`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let units = [("us", 1), ("ms", 1000), ("s", 1_000_000)];
    let (number, unit_us) = units
        .into_iter()
        .find_map(|(unit, us)| Some((text.strip_suffix(unit)?, us)))?;
    if number.is_empty() || !number.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let us = number.parse::<u64>().ok()?.checked_mul(unit_us)?;
    Some(Duration::from_micros(us))
}

pub(crate) fn milliseconds(range: RangeInclusive<u64>) -> impl Fn(&Node) -> Read<Duration> {
    let read = number::<u64>(range);
    move |node| Ok(Duration::from_millis(read(node)?))
}

/// Bits per second: a whole number, with k, M or G behind it for thousands,
/// millions and thousands of millions.
pub(crate) fn speed(node: &Node) -> Read<u64> {
    const SLOWEST_BIT_S: u64 = 8_000;
    const FASTEST_BIT_S: u64 = 1_000_000_000_000;
    let wanted = "a speed in bits per second, as 512k, 20M or 1G";
    let (text, _) = scalar(node, wanted)?;
    let scales = [("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];
    let (digits, scale) = scales
        .iter()
        .find_map(|&(unit, scale)| Some((text.strip_suffix(unit)?, scale)))
        .unwrap_or((text, 1));
    let is_whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_whole
        .then(|| digits.parse::<u64>().ok()?.checked_mul(scale))
        .flatten()
        .filter(|speed| (SLOWEST_BIT_S..=FASTEST_BIT_S).contains(speed))
        .ok_or_else(|| {
            Wrong::new(
                format!("\"{}\" is not a speed", printable(text)),
                format!("write {wanted}, from 8k to 1000G"),
            )
        })
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&Node) -> Read<T> {
    move |node| {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let (text, _) = scalar(node, &format!("one of {}", all.join(", ")))?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            Wrong::new(
                format!(
                    "\"{}\" is not one of the words that can stand here",
                    printable(text)
                ),
                suggest(text, &all, "write one of"),
            )
        })
    }
}

/// The place of a name in a list of things.
pub(crate) fn reference<'n>(
    thing: &'static str,
    names: &'n [Option<String>],
) -> impl Fn(&Node) -> Read<usize> + 'n {
    move |node| {
        let given = text(node)?;
        let place = names
            .iter()
            .position(|name| name.as_deref() == Some(&given));
        place.ok_or_else(|| {
            let all: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
            Wrong::new(
                format!("there is no {thing} \"{}\"", printable(&given)),
                suggest(&given, &all, "the file has"),
            )
        })
    }
}

pub(crate) fn mac(node: &Node) -> Read<[u8; 6]> {
    let (text, _) = scalar(node, "a hardware address, as in 02:00:00:00:00:01")?;
    let wrong = || {
        Wrong::new(
            format!(
                "\"{}\" is not the hardware address of one host",
                printable(text)
            ),
            "write six pairs of hexadecimal digits, as in 02:00:00:00:00:01",
        )
    };
    let mut mac = [0; 6];
    let mut pairs = text.split(':');
    for octet in &mut mac {
        let pair = pairs.next().ok_or_else(wrong)?;
        let hexadecimal = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
        *octet = u8::from_str_radix(pair, 16)
            .ok()
            .filter(|_| hexadecimal)
            .ok_or_else(wrong)?;
    }
    // The lowest bit of the first octet marks a group (IEEE 802).
    if pairs.next().is_some() || mac[0] & 1 == 1 || mac == [0; 6] {
        return Err(wrong());
    }
    Ok(mac)
}
