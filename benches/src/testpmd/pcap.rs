//! Frames in a file, from which testpmd's `net_pcap` sends them over and over.

use std::io;
use std::path::Path;

const MAGIC: u32 = 0xa1b2_c3d4;
const VERSION: [u16; 2] = [2, 4];
const MAX_FRAME_OCTETS: u32 = 65_535;
const ETHERNET: u32 = 1;

/// Writes whole frames, without the checksum at their end.
///
/// # Errors
/// When the file cannot be written.
pub fn write(file: &Path, frames: &[Vec<u8>]) -> io::Result<()> {
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    for number in VERSION {
        bytes.extend(number.to_le_bytes());
    }
    for word in [0, 0, MAX_FRAME_OCTETS, ETHERNET] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames {
        let octets = frame.len() as u32;
        // When it was sent does not matter.
        for word in [0, 0, octets, octets] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    std::fs::write(file, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_each_frame_with_its_length() {
        let file = std::env::temp_dir().join(format!("frames-{}.pcap", std::process::id()));
        write(&file, &[vec![1; 64], vec![2; 128]]).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(bytes.len(), 24 + 16 + 64 + 16 + 128);
        let second = &bytes[24 + 16 + 64..];
        assert_eq!(second[8..16], [128, 0, 0, 0, 128, 0, 0, 0]);
        assert_eq!(second[16..], [2; 128]);
    }
}
