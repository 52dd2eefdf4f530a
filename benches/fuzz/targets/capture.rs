//! What a capture reads of a frame, and its filter.
#![no_main]

use control::capture::filter::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &str, &[u8])| {
    let (more, text, kept) = input;
    let octets = kept.len() + usize::from(more);
    match Filter::parse(text) {
        Ok(filter) => {
            let wanted = filter.wants_octets(kept, octets);
            // Nothing at all is no expression, and may be too long already.
            if let Ok(opposite) = Filter::parse(&format!("not ({text})")) {
                assert_eq!(opposite.wants_octets(kept, octets), !wanted);
            }
        }
        Err(problem) => assert!(!problem.to_string().is_empty()),
    }
});
