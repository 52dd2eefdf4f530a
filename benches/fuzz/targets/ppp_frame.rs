//! Single PPP frames, to a client and to a server in each phase of a session.
#![no_main]

use fuzz::Input;
use fuzz::ppp::{Link, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let choices = input.octet();
    let mut link = Link::new(choices);
    // As far as a clean wire takes it, or only some frames of it.
    let frames = usize::from(choices >> 4);
    run(&mut link, &mut Input::new(&[]), frames);
    let end = usize::from(input.octet() & 1);
    link.arrive(end, input.octets(usize::MAX));
    run(&mut link, &mut Input::new(&[]), 50);
});
