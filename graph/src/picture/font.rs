//! The letters of the PNG, which are in the program; the SVG asks the viewer's system for some as wide.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId};

/// Roboto, cut down to letters that names are made of: `assets/README.md`.
static FACE: LazyLock<Face<'static>> = LazyLock::new(|| {
    let octets = include_bytes!("../../assets/Roboto-Regular.subset.ttf");
    Face::parse(octets, 0).expect("the font in the program is whole")
});

/// Letters of other systems may be wider.
const WIDER: f64 = 1.14;

pub(super) fn face() -> &'static Face<'static> {
    &FACE
}

/// The letter, or the box that stands for a missing one.
pub(super) fn glyph(letter: char) -> GlyphId {
    FACE.glyph_index(letter).unwrap_or(GlyphId(0))
}

/// In parts of the size of the text.
pub(super) fn advance(glyph: GlyphId) -> f64 {
    let advance = FACE.glyph_hor_advance(glyph).unwrap_or(0);
    f64::from(advance) / f64::from(FACE.units_per_em())
}

/// How wide a text is with this font.
pub(super) fn exact_width(text: &str, size: f64) -> f64 {
    text.chars()
        .map(|letter| advance(glyph(letter)))
        .sum::<f64>()
        * size
}

/// What a text needs, with whatever font.
pub(super) fn width(text: &str, size: f64) -> f64 {
    exact_width(text, size) * WIDER
}

/// As much of a text as fits, with an ellipsis where some is missing.
pub(super) fn shortened(text: &str, size: f64, most: f64) -> String {
    let mut room = most / WIDER / size;
    let ellipsis = advance(glyph('…'));
    let mut whole_until = 0;
    for (place, letter) in text.char_indices() {
        room -= advance(glyph(letter));
        if room < 0.0 {
            return match whole_until {
                0 => String::new(),
                until => format!("{}…", &text[..until]),
            };
        }
        if room >= ellipsis {
            whole_until = place + letter.len_utf8();
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_does_not_fit_is_shortened() {
        let long = "straße ".repeat(100);
        let short = shortened(&long, 13.0, 200.0);
        assert!(
            short.ends_with('…') && width(&short, 13.0) <= 200.0,
            "{short}"
        );
        assert!(width(&short, 13.0) > 180.0, "{short}");
        assert_eq!(shortened("head1", 13.0, 200.0), "head1");
        assert_eq!(shortened("head1", 13.0, -5.0), "");
    }
}
