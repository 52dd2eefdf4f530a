//! `run`: the appliance itself.

use std::path::Path;
use std::process::ExitCode;

use super::check::report;
use super::complain;
use crate::appliance;
use crate::config::Config;
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
    match appliance::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
