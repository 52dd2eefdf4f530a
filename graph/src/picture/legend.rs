//! What means what.

use super::font;
use super::scene::{Anchor, Place, Scene, Span, rectangle};
use super::style::Class;
use super::{MARGIN, WIDTH};
use crate::Kind;

const SIZE: f64 = 12.0;
const SWATCH: f64 = 20.0;
const SWATCH_HEIGHT: f64 = 11.0;
const AFTER_SWATCH: f64 = 6.0;
const BETWEEN: f64 = 12.0;
const LINE: f64 = 20.0;

/// A name, and what stands for it.
type Entry = (&'static [Class], &'static str);

const LOSS: [Entry; 2] = [
    (&[Class::Loss], "lost packets"),
    (&[Class::Echoes], "lost echoes"),
];
const LATENCY: [Entry; 3] = [
    (&[Class::Least], "least latency"),
    (&[Class::Range], "least to most"),
    (&[Class::Mean], "mean"),
];
const THROUGHPUT: [Entry; 2] = [(&[Class::Received], "received"), (&[Class::Sent], "sent")];

/// Draws it in as many lines as it needs, and says where it ends.
pub(super) fn draw(
    scene: &mut Scene,
    kind: Kind,
    partly_offline: bool,
    first_baseline: f64,
) -> f64 {
    let mut at = Place {
        x: MARGIN,
        y: first_baseline,
    };
    for (classes, name) in entries(kind, partly_offline) {
        let width = SWATCH + AFTER_SWATCH + font::width(name, SIZE);
        if at.x > MARGIN && at.x + width > WIDTH - MARGIN {
            at = Place {
                x: MARGIN,
                y: at.y + LINE,
            };
        }
        for class in classes {
            scene.shape(*class, vec![swatch(*class, at)]);
        }
        let text_at = Place {
            x: at.x + SWATCH + AFTER_SWATCH,
            y: at.y,
        };
        let label = Span::new(Class::Label, SIZE, name);
        scene.text(text_at, Anchor::Start, vec![label]);
        at.x += width + BETWEEN;
    }
    at.y
}

fn entries(kind: Kind, partly_offline: bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    match kind {
        Kind::Link => {
            entries.extend(LOSS);
            entries.extend(LATENCY);
        }
        Kind::Set => entries.extend([
            LOSS[0],
            (&[Class::Saved], "saved: what the best link would have lost"),
        ]),
    }
    entries.extend(THROUGHPUT);
    entries.push((&[Class::Offline, Class::OfflineStripes], "off-line"));
    if partly_offline {
        entries.push((&[Class::PartlyOffline], "partly off-line"));
    }
    entries.push((&[Class::Unknown, Class::UnknownStripes], "unknown"));
    entries
}

/// A line where lines are meant, else a rectangle.
fn swatch(class: Class, at: Place) -> Vec<Place> {
    let middle = at.y - SWATCH_HEIGHT / 2.0 + 1.0;
    let (top, bottom) = (middle - SWATCH_HEIGHT / 2.0, middle + SWATCH_HEIGHT / 2.0);
    let right = at.x + SWATCH;
    let place = |x, y| Place { x, y };
    match class {
        Class::Mean | Class::Received | Class::Sent => {
            vec![place(at.x, middle), place(right, middle)]
        }
        _ => rectangle(place(at.x, top), place(right, bottom)),
    }
}
