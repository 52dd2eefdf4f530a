//! What all sections of a run share.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use benches::lab::Programs;
use serde::Deserialize;

/// How much to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Effort {
    /// One point of everything, in seconds: whether it works at all.
    Smoke,
    /// The most telling points: all sections in 3 minutes.
    Quick,
    /// What is published.
    Full,
}

impl Effort {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    pub(crate) fn pick<T>(self, smoke: T, quick: T, full: T) -> T {
        match self {
            Self::Smoke => smoke,
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

/// One run.
pub(crate) struct Run {
    pub(crate) effort: Effort,
    /// Where `hal2tp` and the equipment's programs are.
    pub(crate) programs: Programs,
    /// Adapters of the user's for the section `peers`.
    pub(crate) peers: Option<PathBuf>,
    output: PathBuf,
    start: Instant,
}

impl Run {
    pub(crate) fn new(
        effort: Effort,
        output: PathBuf,
        peers: Option<PathBuf>,
    ) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            effort,
            programs: Programs::find()?,
            peers,
            output,
            start: Instant::now(),
        })
    }

    /// One of the equipment's programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.wan.with_file_name(name)
    }

    /// Where pictures go.
    pub(crate) fn output(&self) -> &Path {
        &self.output
    }

    /// Tells how far a section is.
    pub(crate) fn say(&self, section: &str, text: &str) {
        let seconds = self.start.elapsed().as_secs();
        eprintln!("[{:2}:{:02}] {section}: {text}", seconds / 60, seconds % 60);
    }
}
