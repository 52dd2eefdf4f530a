//! `run`: the appliance itself.

use std::path::Path;
use std::process::ExitCode;

use super::complain;
use crate::appliance;
use crate::config::{Config, report};
use crate::logging;

pub(super) fn run(file: &Path) -> ExitCode {
    if let Err(error) = logging::start() {
        complain(&format!("no log: {error}"));
    }
    let config = match Config::load(file) {
        Ok((config, warnings)) => {
            for warning in &warnings {
                log::warn!("{warning}");
            }
            config
        }
        Err(problems) => {
            complain(&report(&problems));
            return ExitCode::FAILURE;
        }
    };
    match appliance::run(config, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
