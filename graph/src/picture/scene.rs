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
    pub(crate) size: f64,
    /// One after the other.
    pub(crate) spans: Vec<(Class, String)>,
}

impl Text {
    pub(super) fn new(at: Place, anchor: Anchor, size: f64, spans: Vec<(Class, String)>) -> Self {
        Self {
            at,
            anchor,
            size,
            spans,
        }
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

    pub(super) fn text(&mut self, text: Text) {
        if text.spans.iter().any(|(_, text)| !text.is_empty()) {
            self.items.push(Item::Text(text));
        }
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
