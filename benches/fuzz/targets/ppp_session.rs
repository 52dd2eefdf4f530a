//! A whole PPP session, with the fuzzer on the wire: it loses, repeats,
//! damages and invents frames, and turns the clock.
#![no_main]

use control::ppp::CloseReason;
use fuzz::Input;
use fuzz::ppp::{Link, run};
use libfuzzer_sys::fuzz_target;

const MOST_STEPS: usize = 200;

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let mut link = Link::new(input.octet());
    for _ in 0..MOST_STEPS {
        run(&mut link, &mut input, 100);
        if input.is_empty() {
            break;
        }
        let choice = input.octet();
        let end = usize::from(choice & 1);
        match choice >> 1 & 7 {
            0 | 1 => {
                let passed = input.time();
                link.pass(passed);
            }
            2 | 3 => link.pass_to_timeout(end),
            4 => link.ends[end].close(link.now, CloseReason::Administrative),
            5 => link.ends[end].send_echo(link.now),
            6 => link.tell(&mut input),
            _ => link.arrive(end, input.short()),
        }
    }
});
