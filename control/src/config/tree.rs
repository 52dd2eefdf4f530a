//! The YAML file as a tree in which every value knows its line, and paths into it.
//!
//! serde would stop at the first thing it does not like; from a tree all
//! problems can be found in one go.

use std::fmt::Write as _;

use serde_yaml::granit_parser::{Event, Parser, Span};

/// A place in the file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    fn of(span: &Span) -> Self {
        Self {
            line: span.start.line().max(1),
            column: span.start.col() + 1,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    /// `plain` means written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
    /// Something YAML allows and we do not; a [`Fault`] tells of it.
    Refused,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Position,
    pub(crate) value: Node,
}

/// Something that cannot be read at all.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: Position,
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl Node {
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The value of a key, if this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The place of the thing at the end of `path`, or of the nearest thing around it.
    pub(crate) fn locate(&self, path: &Path) -> Position {
        let mut node = self;
        let mut at = self.at;
        for step in &path.0 {
            let next = match step {
                Step::Key(key) => node.entry(key).map(|entry| {
                    let inside = matches!(entry.value.value, Value::Scalar { .. });
                    let place = if inside { entry.value.at } else { entry.key_at };
                    (place, &entry.value)
                }),
                Step::Index(index) => node.items().get(*index).map(|item| (item.at, item)),
            };
            let Some((place, inner)) = next else { break };
            (at, node) = (place, inner);
        }
        at
    }

    /// The thing at the end of `path`.
    pub(crate) fn find(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Index(index) => node.items().get(*index),
        })
    }

    /// As [`Node::find`], to change it.
    #[cfg(test)]
    pub(crate) fn find_mut(&mut self, path: &Path) -> Option<&mut Self> {
        path.0
            .iter()
            .try_fold(self, |node, step| match (step, &mut node.value) {
                (Step::Key(key), Value::Mapping(entries)) => entries
                    .iter_mut()
                    .find(|entry| entry.key == *key)
                    .map(|entry| &mut entry.value),
                (Step::Index(index), Value::Sequence(items)) => items.get_mut(*index),
                _ => None,
            })
    }

    /// `l2tp.outgoing[head2].server`: list items by their name where they have one.
    pub(crate) fn describe(&self, path: &Path) -> String {
        let mut node = Some(self);
        let mut text = String::new();
        for step in &path.0 {
            match step {
                Step::Key(key) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(key);
                    node = node.and_then(|node| node.get(key));
                }
                Step::Index(index) => {
                    node = node.and_then(|node| node.items().get(*index));
                    let name = node.and_then(|node| {
                        let name = node.get("name").or_else(|| node.get("graph"))?;
                        name.text().filter(|name| !name.is_empty())
                    });
                    // Writing to a String cannot fail.
                    let _ = match name {
                        Some(name) => write!(text, "[{}]", printable(name)),
                        None => write!(text, "[{}]", index + 1),
                    };
                }
            }
        }
        text
    }
}

/// Text from the file, made safe for a terminal and not too long.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

/// The way from the top of the file to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Whether this is inside the other, or the same.
    pub(crate) fn is_within(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }

    /// Whether one of the two is inside the other, or they are the same.
    pub(crate) fn touches(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(one, two)| one == two)
    }
}

/// Reads the text. There is no tree when YAML itself could not be read.
pub(crate) fn read(text: &str) -> (Option<Node>, Vec<Fault>) {
    let mut builder = Builder::default();
    for step in Parser::new_from_str(text) {
        match step {
            Ok((event, span)) => builder.take(event, Position::of(&span)),
            Err(error) => {
                let marker = error.marker();
                builder.fault(
                    Position {
                        line: marker.line().max(1),
                        column: marker.col() + 1,
                    },
                    format!("this is not YAML: {}", error.info()),
                    "look at the indentation, brackets, quotes and colons around here",
                );
                return (None, builder.faults);
            }
        }
    }
    (builder.root, builder.faults)
}

/// A list or mapping whose end has not been seen.
enum Open {
    Sequence(Position, Vec<Node>),
    Mapping(Position, Vec<Entry>, Option<(String, Position)>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    faults: Vec<Fault>,
}

impl Builder {
    fn fault(&mut self, at: Position, message: impl Into<String>, remedy: &str) {
        self.faults.push(Fault {
            at,
            message: message.into(),
            remedy: remedy.to_owned(),
        });
    }

    fn take(&mut self, event: Event<'_>, at: Position) {
        self.refuse_extras(&event, at);
        match event {
            Event::Scalar(text, style, ..) => {
                let plain = style == serde_yaml::granit_parser::ScalarStyle::Plain;
                let text = text.into_owned();
                self.value(Node {
                    at,
                    value: Value::Scalar { text, plain },
                });
            }
            Event::SequenceStart(..) => self.open.push(Open::Sequence(at, Vec::new())),
            Event::MappingStart(..) => self.open.push(Open::Mapping(at, Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.fault(
                    at,
                    "aliases (*name) are not read",
                    "write the value out where it is used",
                );
                self.value(Node {
                    at,
                    value: Value::Refused,
                });
            }
            Event::DocumentStart(..) if self.root.is_some() => self.fault(
                at,
                "a second document begins here",
                "keep one appliance in one file, without a further ---",
            ),
            _ => {}
        }
    }

    fn refuse_extras(&mut self, event: &Event<'_>, at: Position) {
        if event.tag().is_some() {
            self.fault(at, "tags (!name) are not read", "take the tag away");
        }
    }

    fn close(&mut self) {
        let node = match self.open.pop() {
            Some(Open::Sequence(at, items)) => Node {
                at,
                value: Value::Sequence(items),
            },
            Some(Open::Mapping(at, entries, _)) => Node {
                at,
                value: Value::Mapping(entries),
            },
            None => return,
        };
        self.value(node);
    }

    /// Puts a finished value where it belongs: key, value, item or root.
    fn value(&mut self, node: Node) {
        match self.open.last_mut() {
            None if self.root.is_none() => self.root = Some(node),
            None => {}
            Some(Open::Sequence(_, items)) => items.push(node),
            Some(Open::Mapping(_, entries, key)) => match key.take() {
                Some((key, key_at)) => entries.push(Entry {
                    key,
                    key_at,
                    value: node,
                }),
                None => {
                    let text = node.text().map(str::to_owned);
                    *key = Some((text.clone().unwrap_or_default(), node.at));
                    if text.is_none() {
                        self.fault(node.at, "a key must be a word", "write `key: value`");
                    }
                }
            },
        }
    }
}
