//! What the tester sends. That the tunnels come up is seen by the sections' own tests, in `benches/tests/bench`.

use super::*;

#[test]
fn a_frame_is_what_it_says() {
    let frame = Site::A.flow(3).frame(64);
    assert_eq!(frame.len(), 64);
    assert_eq!(frame[..6], Site::A.lan_mac());
    assert_eq!(frame[26..34], [10, 64, 3, 2, 10, 128, 3, 2]);
    let header = &frame[14..34];
    let sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    assert_eq!(
        (sum & 0xffff) + (sum >> 16),
        0xffff,
        "an IPv4 header adds up to ones"
    );
}
