//! The running appliance.

use std::fmt;

use crate::config::Config;

/// Why the appliance did not start, or ended.
#[derive(Debug)]
pub enum RunError {
    /// The parts that would run are not there.
    NotBuilt,
}

impl fmt::Display for RunError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("this build has no data plane")
    }
}

impl std::error::Error for RunError {}

/// Runs the appliance until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(_config: Config) -> Result<(), RunError> {
    Err(RunError::NotBuilt)
}
