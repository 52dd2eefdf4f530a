//! One L2TP control message: header, AVPs, hidden AVPs.
#![no_main]

use control::l2tp::header::ControlHeader;
use control::l2tp::message::{Message, host_name_of_sccrq};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let body = match ControlHeader::parse(octets) {
        Ok((header, body)) => {
            let again = header.datagram(body);
            assert_eq!(ControlHeader::parse(&again), Ok((header, body)));
            body
        }
        Err(_) => octets,
    };
    let _ = host_name_of_sccrq(body);
    for secret in [None, Some(&b"secret"[..])] {
        match Message::decode(body, secret) {
            Ok(message) => {
                let encoded = message.encode();
                let again = Message::decode(&encoded, None).expect("what we write we can read");
                assert_eq!(again, message);
            }
            Err(bad) => {
                let _ = format!("{} {}", bad.error, bad.error.stop());
            }
        }
    }
});
