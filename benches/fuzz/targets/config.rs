//! The configuration file.
#![no_main]

use control::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let problems = match Config::parse("file.yaml", text) {
        Ok((_, warnings)) => warnings,
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            problems
        }
    };
    for problem in problems {
        assert!(!problem.to_string().is_empty());
    }
});
