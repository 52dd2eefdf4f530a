//! A scene as SVG.

use std::fmt::{self, Write};

use super::scene::{Anchor, Item, Place, Scene, Shape, Text};
use super::style::{Class, Colour, Fill, Ink, Stripes, Style};

const FONTS: &str = "Roboto,'Helvetica Neue',Arial,'Liberation Sans',sans-serif";

pub(crate) fn svg(scene: &Scene) -> String {
    let mut text = String::new();
    write(&mut text, scene).expect("a string takes everything");
    text
}

fn write(out: &mut String, scene: &Scene) -> fmt::Result {
    let (width, height) = (Number(scene.width), Number(scene.height));
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-labelledby=\"graph-title graph-description\" \
         viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">"
    )?;
    writeln!(
        out,
        "<title id=\"graph-title\">{}</title>",
        Escaped(&scene.title)
    )?;
    writeln!(
        out,
        "<desc id=\"graph-description\">{}</desc>",
        Escaped(&scene.description)
    )?;
    write_styles(out)?;
    write_patterns(out)?;
    writeln!(
        out,
        "<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>"
    )?;
    for item in &scene.items {
        match item {
            Item::Shape(shape) => write_shape(out, shape)?,
            Item::Text(text) => write_text(out, text)?,
        }
    }
    out.write_str("</svg>\n")
}

fn write_styles(out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "<style>\ntext{{font-family:{FONTS}}}\n.title{{font-weight:bold}}"
    )?;
    write_theme(out, |ink| ink.light)?;
    out.write_str("@media (prefers-color-scheme:dark){\n")?;
    write_theme(out, |ink| ink.dark)?;
    out.write_str("}\n</style>\n")
}

fn write_theme(out: &mut String, colour: fn(Ink) -> Colour) -> fmt::Result {
    for class in Class::ALL {
        write!(out, ".{}{{", class.name())?;
        let Style { fill, stroke } = class.style();
        match fill {
            Some(Fill::Plain { ink, opacity }) => {
                write!(out, "fill:{};fill-opacity:{opacity}", colour(ink))?
            }
            Some(Fill::Striped(Stripes { name, .. })) => write!(out, "fill:url(#stripes-{name})")?,
            None => out.write_str("fill:none")?,
        }
        if let Some(stroke) = stroke {
            let (colour, width, opacity) = (colour(stroke.ink), stroke.width, stroke.opacity);
            write!(
                out,
                ";stroke:{colour};stroke-width:{width};stroke-opacity:{opacity};stroke-linejoin:round"
            )?;
            if let Some([long, gap]) = stroke.dashes {
                write!(out, ";stroke-dasharray:{long} {gap}")?;
            }
        }
        out.write_str("}\n")?;
        if let Some(Fill::Striped(Stripes { name, ink, .. })) = fill {
            writeln!(out, ".stripe-{name}{{fill:{}}}", colour(ink))?;
        }
    }
    Ok(())
}

fn write_patterns(out: &mut String) -> fmt::Result {
    out.write_str("<defs>\n")?;
    for class in Class::ALL {
        let Some(Fill::Striped(Stripes {
            name,
            degrees,
            distance,
            breadth,
            ..
        })) = class.style().fill
        else {
            continue;
        };
        writeln!(
            out,
            "<pattern id=\"stripes-{name}\" width=\"{distance}\" height=\"{distance}\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate({degrees})\"><rect class=\"stripe-{name}\" width=\"{breadth}\" height=\"{distance}\"/></pattern>"
        )?;
    }
    out.write_str("</defs>\n")
}

fn write_shape(out: &mut String, shape: &Shape) -> fmt::Result {
    out.write_str("<path")?;
    if let Some(id) = shape.id {
        write!(out, " id=\"{id}\"")?;
    }
    write!(out, " class=\"{}\" d=\"", shape.class.name())?;
    let closed = shape.class.style().fill.is_some();
    for line in &shape.lines {
        write_line(out, line, closed)?;
    }
    out.write_str("\"/>\n")
}

/// Level and upright lines take one number instead of two.
fn write_line(out: &mut String, line: &[Place], closed: bool) -> fmt::Result {
    let mut last: Option<(i64, i64)> = None;
    for place in line {
        let (x, y) = (tenths(place.x), tenths(place.y));
        let (x_text, y_text) = (Number(place.x), Number(place.y));
        match last {
            None => write!(out, "M{x_text} {y_text}")?,
            Some(last) if last == (x, y) => {}
            Some((_, last_y)) if last_y == y => write!(out, "H{x_text}")?,
            Some((last_x, _)) if last_x == x => write!(out, "V{y_text}")?,
            Some(_) => write!(out, "L{x_text} {y_text}")?,
        }
        last = Some((x, y));
    }
    if closed { out.write_char('Z') } else { Ok(()) }
}

fn write_text(out: &mut String, text: &Text) -> fmt::Result {
    let anchor = match text.anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let (x, y) = (Number(text.at.x), Number(text.at.y));
    write!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">")?;
    for span in &text.spans {
        let (class, size, text) = (span.class.name(), Number(span.size), Escaped(&span.text));
        write!(out, "<tspan class=\"{class}\" font-size=\"{size}\"")?;
        if span.space > 0.0 {
            write!(out, " dx=\"{}\"", Number(span.space))?;
        }
        write!(out, ">{text}</tspan>")?;
    }
    out.write_str("</text>\n")
}

fn tenths(value: f64) -> i64 {
    (value * 10.0).round() as i64
}

/// With one digit after the point, and without where it is 0.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = tenths(self.0);
        let sign = if tenths < 0 { "-" } else { "" };
        let (whole, tenth) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
        match tenth {
            0 => write!(f, "{sign}{whole}"),
            tenth => write!(f, "{sign}{whole}.{tenth}"),
        }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(red, green, blue) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// A text that XML takes for nothing else. What XML 1.0 has no place for, even escaped, becomes U+FFFD.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&apos;")?,
                '\t' | '\n' | '\r' => f.write_char(' ')?,
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}
