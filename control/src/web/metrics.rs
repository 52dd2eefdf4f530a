//! The counters as metrics, for Prometheus and whoever else reads its formats.

mod families;
mod text;

pub(super) use text::Format;

use self::text::Writer;
use crate::monitor::Moment;
use crate::monitor::site::Site;

/// Everything there is to measure of a moment.
pub(super) fn write(moment: &Moment, site: &Site, format: Format) -> String {
    let mut writer = Writer::new(format);
    families::appliance(&mut writer, moment, site);
    families::ports(&mut writer, moment);
    families::tunnels(&mut writer, moment);
    families::links(&mut writer, moment, site);
    families::sets(&mut writer, moment, site);
    writer.finish()
}

#[cfg(test)]
pub(super) mod tests;
