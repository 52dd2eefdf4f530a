//! A picture as a list of shapes.

use super::style::Class;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// The sides of the plot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Frame {
    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// Where a text's place is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// On the baseline.
    pub(crate) at: Place,
    pub(crate) anchor: Anchor,
    /// One after the other, so that none covers another in whatever font.
    pub(crate) spans: Vec<Span>,
}

/// A part of a line of text.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) class: Class,
    pub(crate) size: f64,
    /// Left free before it.
    pub(crate) space: f64,
    pub(crate) text: String,
}

impl Span {
    pub(super) fn new(class: Class, size: f64, text: impl Into<String>) -> Self {
        Self {
            class,
            size,
            space: 0.0,
            text: text.into(),
        }
    }

    pub(super) fn after(self, space: f64) -> Self {
        Self { space, ..self }
    }
}

/// Lines, or the areas that they enclose.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) class: Class,
    /// In the SVG, for whoever wants to find what is drawn of the data.
    pub(crate) id: Option<&'static str>,
    pub(crate) lines: Vec<Vec<Place>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Item {
    Shape(Shape),
    Text(Text),
}

/// What is drawn, from the ground up.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) items: Vec<Item>,
}

impl Scene {
    pub(super) fn new(width: f64, title: &str, description: String) -> Self {
        Self {
            width,
            height: 0.0,
            title: title.to_owned(),
            description,
            items: Vec::new(),
        }
    }

    pub(super) fn text(&mut self, at: Place, anchor: Anchor, spans: Vec<Span>) {
        self.items.push(Item::Text(Text { at, anchor, spans }));
    }

    pub(super) fn shape(&mut self, class: Class, lines: Vec<Vec<Place>>) {
        self.push_shape(class, None, lines);
    }

    /// Of the data: can be found by its class as id.
    pub(super) fn data(&mut self, class: Class, lines: Vec<Vec<Place>>) {
        self.push_shape(class, Some(class.name()), lines);
    }

    fn push_shape(&mut self, class: Class, id: Option<&'static str>, lines: Vec<Vec<Place>>) {
        if !lines.is_empty() {
            self.items.push(Item::Shape(Shape { class, id, lines }));
        }
    }
}

/// The four corners.
pub(super) fn rectangle(from: Place, to: Place) -> Vec<Place> {
    let corner = |x, y| Place { x, y };
    vec![from, corner(to.x, from.y), to, corner(from.x, to.y)]
}
