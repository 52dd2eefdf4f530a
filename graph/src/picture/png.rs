//! A scene as PNG, on white.

use tiny_skia::{
    Color, FillRule, FilterQuality, LineJoin, Paint, PathBuilder, Pattern, Pixmap, Rect, Shader,
    SpreadMode, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use super::font;
use super::scene::{Anchor, Item, Place, Scene, Shape, Span, Text};
use super::style::{Class, Colour, Fill, GROUND, Stripes, Style};

const WIDTHS: std::ops::RangeInclusive<u32> = 200..=4400;
/// Pixels of a pattern for each unit: sharp in the widest picture.
const PATTERN_SCALE: f32 = 4.0;
/// Bold letters have this around them, in parts of their size.
const BOLD: f32 = 0.035;

pub(crate) fn png(scene: &Scene, width: u32) -> Vec<u8> {
    let width = possible(width);
    let scale = f64::from(width) / scene.width;
    let height = (scene.height * scale).ceil() as u32;
    let mut pixels = Pixmap::new(width, height.max(1)).expect("it is a few million pixels");
    pixels.fill(color(GROUND.light, 1.0));
    let mut canvas = Canvas {
        pixels,
        scale: scale as f32,
    };
    for item in &scene.items {
        match item {
            Item::Shape(shape) => canvas.draw(shape),
            Item::Text(text) => canvas.write(text),
        }
    }
    canvas.pixels.encode_png().expect("memory takes it")
}

/// The nearest width that there are pictures of.
pub(super) fn possible(width: u32) -> u32 {
    width.clamp(*WIDTHS.start(), *WIDTHS.end())
}

fn color(colour: Colour, opacity: f32) -> Color {
    let Colour(red, green, blue) = colour;
    let mut color = Color::from_rgba8(red, green, blue, 255);
    color.apply_opacity(opacity);
    color
}

fn plain(color: Color) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(color);
    paint
}

struct Canvas {
    pixels: Pixmap,
    scale: f32,
}

impl Canvas {
    fn transform(&self) -> Transform {
        Transform::from_scale(self.scale, self.scale)
    }

    fn draw(&mut self, shape: &Shape) {
        let Style { fill, stroke } = shape.class.style();
        let mut builder = PathBuilder::new();
        for line in &shape.lines {
            add_line(&mut builder, line, fill.is_some());
        }
        let Some(path) = builder.finish() else { return };
        let transform = self.transform();
        match fill {
            Some(Fill::Plain { ink, opacity }) => {
                let paint = plain(color(ink.light, opacity));
                self.pixels
                    .fill_path(&path, &paint, FillRule::Winding, transform, None);
            }
            Some(Fill::Striped(stripes)) => {
                let tile = tile(&stripes);
                let paint = Paint {
                    shader: pattern(&tile, &stripes),
                    ..Paint::default()
                };
                self.pixels
                    .fill_path(&path, &paint, FillRule::Winding, transform, None);
            }
            None => {}
        }
        if let Some(style) = stroke {
            let stroke = tiny_skia::Stroke {
                // Thinner than a pixel a line is only pale.
                width: style.width.max(style.width.min(1.0) / self.scale),
                line_join: LineJoin::Round,
                dash: style
                    .dashes
                    .and_then(|dashes| StrokeDash::new(dashes.to_vec(), 0.0)),
                ..tiny_skia::Stroke::default()
            };
            let paint = plain(color(style.ink.light, style.opacity));
            self.pixels
                .stroke_path(&path, &paint, &stroke, transform, None);
        }
    }

    fn write(&mut self, text: &Text) {
        let width = |span: &Span| span.space + font::exact_width(&span.text, span.size);
        let whole = text.spans.iter().map(width).sum::<f64>();
        let mut at = text.at;
        at.x -= match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => whole / 2.0,
            Anchor::End => whole,
        };
        for span in &text.spans {
            at.x += span.space;
            at.x = self.write_span(span, at);
        }
    }

    /// Says where it ends.
    fn write_span(&mut self, span: &Span, at: Place) -> f64 {
        let Span { class, size, .. } = *span;
        let mut letters = Letters {
            path: PathBuilder::new(),
            at,
            scale: size as f32 / f32::from(font::face().units_per_em()),
        };
        for letter in span.text.chars() {
            let glyph = font::glyph(letter);
            font::face().outline_glyph(glyph, &mut letters);
            letters.at.x += font::advance(glyph) * size;
        }
        let end = letters.at.x;
        let path = letters.path.finish();
        if let (Some(path), Some(Fill::Plain { ink, opacity })) = (path, class.style().fill) {
            let paint = plain(color(ink.light, opacity));
            let transform = self.transform();
            self.pixels
                .fill_path(&path, &paint, FillRule::Winding, transform, None);
            if class == Class::Title {
                let width = size as f32 * BOLD;
                let stroke = tiny_skia::Stroke {
                    width,
                    ..tiny_skia::Stroke::default()
                };
                self.pixels
                    .stroke_path(&path, &paint, &stroke, transform, None);
            }
        }
        end
    }
}

fn add_line(builder: &mut PathBuilder, line: &[Place], closed: bool) {
    let mut places = line.iter().map(|place| (place.x as f32, place.y as f32));
    let Some((x, y)) = places.next() else { return };
    builder.move_to(x, y);
    for (x, y) in places {
        builder.line_to(x, y);
    }
    if closed {
        builder.close();
    }
}

/// One stripe, and the space to the next.
fn tile(stripes: &Stripes) -> Pixmap {
    let side = (stripes.distance * PATTERN_SCALE) as u32;
    let mut tile = Pixmap::new(side, side).expect("some pixels");
    let stripe = Rect::from_xywh(0.0, 0.0, stripes.breadth * PATTERN_SCALE, side as f32);
    let paint = plain(color(stripes.ink.light, 1.0));
    tile.fill_rect(
        stripe.expect("it has a size"),
        &paint,
        Transform::identity(),
        None,
    );
    tile
}

fn pattern<'a>(tile: &'a Pixmap, stripes: &Stripes) -> Shader<'a> {
    let scale = 1.0 / PATTERN_SCALE;
    let transform = Transform::from_rotate(stripes.degrees).pre_scale(scale, scale);
    Pattern::new(
        tile.as_ref(),
        SpreadMode::Repeat,
        FilterQuality::Bilinear,
        1.0,
        transform,
    )
}

/// Letters on their way into a path.
struct Letters {
    path: PathBuilder,
    /// Where the letter begins, on the baseline.
    at: Place,
    scale: f32,
}

impl Letters {
    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        (
            self.at.x as f32 + x * self.scale,
            self.at.y as f32 - y * self.scale,
        )
    }
}

impl OutlineBuilder for Letters {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.place(x1, y1), self.place(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) =
            (self.place(x1, y1), self.place(x2, y2), self.place(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
