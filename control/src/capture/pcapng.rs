//! The file: pcapng (draft-ietf-opsawg-pcapng), which Wireshark shows with comments.

use std::borrow::Cow;
use std::mem;
use std::time::Duration;

use dataplane::capture::Way;
use pcap_file::DataLink;
use pcap_file::PcapError;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};

use super::explain::Frame;
use super::names::Port;

/// Timestamps are in units of 10^-9 s.
const NANOSECONDS: u8 = 9;
/// Direction in `epb_flags`.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// A file that is being made, as far as nobody has taken it yet.
pub(super) struct File(PcapNgWriter<Vec<u8>>);

impl File {
    /// A file of the frames of these ports, with an interface for each.
    ///
    /// # Errors
    /// None that a file in memory has.
    pub(super) fn new(ports: &[Port], snap_octets: u16) -> Result<Self, PcapError> {
        let program = format!("hal2tp {}", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            options: vec![SectionHeaderOption::UserApplication(Cow::Owned(program))],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(Vec::new(), section)?;
        for port in ports {
            writer.write_pcapng_block(InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: snap_octets.into(),
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Borrowed(&port.name)),
                    InterfaceDescriptionOption::IfDescription(Cow::Borrowed(&port.description)),
                    InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                ],
            })?;
        }
        Ok(Self(writer))
    }

    /// Adds a frame, with the time of day.
    ///
    /// # Errors
    /// When its port is none of the file's.
    pub(super) fn add(
        &mut self,
        frame: &Frame,
        unix_ns: u64,
        comment: &str,
    ) -> Result<(), PcapError> {
        let direction = match frame.record.way {
            Way::Received => INBOUND,
            Way::Sent => OUTBOUND,
        };
        self.0.write_pcapng_block(EnhancedPacketBlock {
            interface_id: frame.record.device.0.into(),
            timestamp: Duration::from_nanos(unix_ns),
            original_len: u32::try_from(frame.record.octets).unwrap_or(u32::MAX),
            data: Cow::Borrowed(&frame.octets),
            options: vec![
                EnhancedPacketOption::Comment(Cow::Borrowed(comment)),
                EnhancedPacketOption::Flags(direction),
            ],
        })?;
        Ok(())
    }

    /// How much was added since it was taken last, octets.
    pub(super) fn len(&self) -> usize {
        self.0.get_ref().len()
    }

    /// What was added since it was taken last.
    pub(super) fn take(&mut self) -> Vec<u8> {
        mem::take(self.0.get_mut())
    }
}

#[cfg(test)]
mod tests;
