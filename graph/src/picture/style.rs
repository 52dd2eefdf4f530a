//! What each kind of thing looks like. Told apart by colour, by form and by lightness: one of the three is enough.
//!
//! The colours are those of Okabe and Ito, darker or lighter where they are lines on a ground.

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour(pub(crate) u8, pub(crate) u8, pub(crate) u8);

/// What a colour is on a light page and on a dark one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ink {
    pub(crate) light: Colour,
    pub(crate) dark: Colour,
}

const fn ink(light: u32, dark: u32) -> Ink {
    const fn colour(rgb: u32) -> Colour {
        let [_, r, g, b] = rgb.to_be_bytes();
        Colour(r, g, b)
    }
    Ink {
        light: colour(light),
        dark: colour(dark),
    }
}

pub(crate) const GROUND: Ink = ink(0xffffff, 0x15181c);
const INK: Ink = ink(0x1c1c1c, 0xececec);
const FAINT_INK: Ink = ink(0x606060, 0xa6abb2);
const GRID: Ink = ink(0xd9d9d9, 0x353a41);
const EDGE: Ink = ink(0x8a8a8a, 0x70767e);
const VERMILION: Ink = ink(0xd55e00, 0xe8690b);
const VERMILION_TEXT: Ink = ink(0xb34d00, 0xff8f3f);
const GREY: Ink = ink(0xc2c2c2, 0x4a5058);
const PALE_GREY: Ink = ink(0xf3f3f3, 0x1d2126);
const DEEP_BLUE: Ink = ink(0x005a8c, 0x7cc7ef);
const SKY_BLUE: Ink = ink(0x56b4e9, 0x3d8fc0);
const GREEN: Ink = ink(0x009e73, 0x00a87a);
const DEEP_GREEN: Ink = ink(0x005c43, 0x7fe3c3);
const PURPLE: Ink = ink(0xb8609a, 0xcc79a7);
const PALE_PURPLE: Ink = ink(0xeed3e2, 0x5a3049);
const AMBER: Ink = ink(0x9a5b00, 0xf0b429);

/// Stripes: their direction in degrees from upright, how far apart, how broad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stripes {
    pub(crate) name: &'static str,
    pub(crate) ink: Ink,
    pub(crate) degrees: f32,
    pub(crate) distance: f32,
    pub(crate) breadth: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fill {
    Plain { ink: Ink, opacity: f32 },
    Striped(Stripes),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) ink: Ink,
    pub(crate) width: f32,
    pub(crate) opacity: f32,
    pub(crate) dashes: Option<[f32; 2]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Style {
    pub(crate) fill: Option<Fill>,
    pub(crate) stroke: Option<Stroke>,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Ground,
    Title,
    Label,
    Faint,
    LossLabel,
    LeftLabel,
    BeyondLabel,
    Grid,
    DayChange,
    Edge,
    Unknown,
    UnknownStripes,
    Offline,
    OfflineStripes,
    PartlyOffline,
    Least,
    Range,
    Mean,
    Beyond,
    Saved,
    Echoes,
    Loss,
    Halo,
    Received,
    Sent,
}

impl Class {
    pub(crate) const ALL: [Self; 25] = [
        Self::Ground,
        Self::Title,
        Self::Label,
        Self::Faint,
        Self::LossLabel,
        Self::LeftLabel,
        Self::BeyondLabel,
        Self::Grid,
        Self::DayChange,
        Self::Edge,
        Self::Unknown,
        Self::UnknownStripes,
        Self::Offline,
        Self::OfflineStripes,
        Self::PartlyOffline,
        Self::Least,
        Self::Range,
        Self::Mean,
        Self::Beyond,
        Self::Saved,
        Self::Echoes,
        Self::Loss,
        Self::Halo,
        Self::Received,
        Self::Sent,
    ];

    /// As class, and as id, in the SVG.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ground => "ground",
            Self::Title => "title",
            Self::Label => "label",
            Self::Faint => "faint",
            Self::LossLabel => "loss-label",
            Self::LeftLabel => "left-label",
            Self::BeyondLabel => "beyond-label",
            Self::Grid => "grid",
            Self::DayChange => "day-change",
            Self::Edge => "edge",
            Self::Unknown => "unknown",
            Self::UnknownStripes => "unknown-stripes",
            Self::Offline => "offline",
            Self::OfflineStripes => "offline-stripes",
            Self::PartlyOffline => "partly-offline",
            Self::Least => "latency-least",
            Self::Range => "latency-range",
            Self::Mean => "latency-mean",
            Self::Beyond => "latency-beyond",
            Self::Saved => "saved",
            Self::Echoes => "lost-echoes",
            Self::Loss => "lost-packets",
            Self::Halo => "halo",
            Self::Received => "received",
            Self::Sent => "sent",
        }
    }

    pub(crate) const fn style(self) -> Style {
        match self {
            Self::Ground => filled(GROUND, 1.0),
            Self::Title | Self::Label => filled(INK, 1.0),
            Self::Faint => filled(FAINT_INK, 1.0),
            Self::LossLabel => filled(VERMILION_TEXT, 1.0),
            Self::LeftLabel => filled(DEEP_BLUE, 1.0),
            Self::BeyondLabel => filled(DEEP_GREEN, 1.0),
            Self::Grid => line(GRID, 1.0),
            Self::DayChange | Self::Edge => line(EDGE, 1.0),
            Self::Unknown => filled(PALE_GREY, 1.0),
            Self::UnknownStripes => striped("unknown", GREY, -45.0, 9.0, 1.4),
            Self::Offline => filled(PALE_PURPLE, 1.0),
            Self::OfflineStripes => striped("offline", PURPLE, 45.0, 8.0, 4.0),
            Self::PartlyOffline => filled(PURPLE, 1.0),
            Self::Least => filled(SKY_BLUE, 0.5),
            Self::Range => filled(GREEN, 0.5),
            Self::Mean => line(DEEP_GREEN, 1.2),
            Self::Beyond => filled(DEEP_GREEN, 1.0),
            Self::Saved => filled(SKY_BLUE, 0.75),
            Self::Echoes => striped("echoes", VERMILION, 45.0, 4.0, 2.0),
            Self::Loss => filled(VERMILION, 1.0),
            Self::Halo => Style {
                fill: None,
                stroke: Some(Stroke {
                    opacity: 0.7,
                    ..stroke(GROUND, 3.3)
                }),
            },
            Self::Received => line(INK, 1.3),
            Self::Sent => Style {
                fill: None,
                stroke: Some(Stroke {
                    dashes: Some([5.0, 2.5]),
                    ..stroke(AMBER, 1.7)
                }),
            },
        }
    }
}

const fn filled(ink: Ink, opacity: f32) -> Style {
    Style {
        fill: Some(Fill::Plain { ink, opacity }),
        stroke: None,
    }
}

const fn striped(name: &'static str, ink: Ink, degrees: f32, distance: f32, breadth: f32) -> Style {
    let stripes = Stripes {
        name,
        ink,
        degrees,
        distance,
        breadth,
    };
    Style {
        fill: Some(Fill::Striped(stripes)),
        stroke: None,
    }
}

const fn line(ink: Ink, width: f32) -> Style {
    Style {
        fill: None,
        stroke: Some(stroke(ink, width)),
    }
}

const fn stroke(ink: Ink, width: f32) -> Stroke {
    Stroke {
        ink,
        width,
        opacity: 1.0,
        dashes: None,
    }
}
