use std::process::Command;

use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;

use super::super::explain::tests::{names, received};
use super::super::packet::tests::{copy, on_lan};
use super::*;

/// 26 November 2025.
const THEN_NS: u64 = 1_764_150_000_123_456_789;

fn file(frames: &[(Frame, u64, String)]) -> Vec<u8> {
    let mut file = File::new(&names().ports, 256).expect("a file");
    for (frame, unix_ns, comment) in frames {
        file.add(frame, *unix_ns, comment)
            .expect("its port is there");
    }
    file.take()
}

/// Port, time, whole length, octets and comment of each frame in a file.
fn read(octets: &[u8]) -> Vec<(u32, u64, u32, Vec<u8>, String)> {
    let mut reader = PcapNgReader::new(octets).expect("a file");
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.expect("a block") {
            let comment = packet.options.iter().find_map(|option| match option {
                EnhancedPacketOption::Comment(text) => Some(text.to_string()),
                _ => None,
            });
            frames.push((
                packet.interface_id,
                packet.timestamp.as_nanos() as u64,
                packet.original_len,
                packet.data.to_vec(),
                comment.expect("a comment"),
            ));
        }
    }
    frames
}

#[test]
fn a_port_that_the_file_does_not_have_is_refused() {
    let mut file = File::new(&names().ports, 256).expect("a file");
    assert!(file.add(&received(9, 0, on_lan(), &[]), 0, "").is_err());
}

#[test]
fn tshark_shows_names_times_and_comments() {
    let mut sent = received(1, 0, copy(5), &[]);
    sent.record.way = Way::Sent;
    let mut cut = received(0, 0, on_lan(), &[]);
    cut.octets.truncate(40);
    let comment = "duplicate, 312 µs behind the first copy".to_owned();
    let octets = file(&[
        (received(1, 0, copy(5), &[]), THEN_NS, comment.clone()),
        (sent, THEN_NS + 1, "sent over link graph1".to_owned()),
        (cut, THEN_NS + 2, "forwarded".to_owned()),
    ]);
    let path = std::env::temp_dir().join(format!("hal2tp-capture-{}.pcapng", std::process::id()));
    std::fs::write(&path, octets).expect("a file");
    let shown = Command::new("tshark")
        .args(["-r".as_ref(), path.as_os_str()])
        .args(["-T", "fields", "-E", "separator=|"])
        .args(["-e", "frame.interface_name", "-e", "frame.time_epoch"])
        .args(["-e", "frame.len", "-e", "frame.cap_len"])
        .args(["-e", "frame.comment", "-e", "l2tp.tunnel"])
        .output();
    std::fs::remove_file(&path).expect("it is there");
    let Ok(shown) = shown else {
        eprintln!("not looked at: there is no tshark");
        return;
    };
    let text = String::from_utf8(shown.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let octets = copy(5).len();
    let lan = on_lan().len();
    let expected = [
        format!("isp1|1764150000.123456789|{octets}|{octets}|{comment}|257"),
        format!("isp1|1764150000.123456790|{octets}|{octets}|sent over link graph1|257"),
        format!("lan|1764150000.123456791|{lan}|40|forwarded|"),
    ];
    assert_eq!(
        lines,
        expected,
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        frames in prop::collection::vec(
            (0_u16..3, any::<u64>(), prop::collection::vec(any::<u8>(), 0..300), 0_usize..2000, "\\PC{0,80}"),
            0..20,
        ),
    ) {
        let frames: Vec<_> = frames
            .into_iter()
            .map(|(port, unix_ns, octets, more, comment)| {
                let mut frame = received(port, 0, octets, &[]);
                frame.record.octets += more;
                (frame, unix_ns, comment)
            })
            .collect();
        let expected: Vec<_> = frames
            .iter()
            .map(|(frame, unix_ns, comment)| {
                let record = &frame.record;
                let port = record.device.0.into();
                (port, *unix_ns, record.octets as u32, frame.octets.clone(), comment.clone())
            })
            .collect();
        prop_assert_eq!(read(&file(&frames)), expected);
    }
}
