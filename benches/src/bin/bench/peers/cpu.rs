//! How much processor time the programs in a namespace have used.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use benches::netns::{Namespace, checked};
use benches::usage::CpuTime;

/// Processor time by the program's name.
pub(super) type Used = BTreeMap<String, Duration>;

/// Of everything that runs in these namespaces, all threads, until now.
pub(super) fn used(namespaces: &[&Namespace]) -> io::Result<Used> {
    let mut used = Used::new();
    for namespace in namespaces {
        let output = checked(Command::new("ip").args(["netns", "pids", namespace.name()]))?;
        for pid in String::from_utf8_lossy(&output.stdout).split_whitespace() {
            match of_process(pid) {
                Ok((name, time)) => *used.entry(name).or_default() += time,
                // One that has ended meanwhile has no more to tell.
                Err(_) if !Path::new("/proc").join(pid).exists() => (),
                Err(problem) => return Err(problem),
            }
        }
    }
    Ok(used)
}

/// What was used between two looks.
pub(super) fn between(before: &Used, after: &Used) -> Used {
    let since = |(name, time): (&String, &Duration)| {
        let before = before.get(name).copied().unwrap_or_default();
        (name.clone(), time.saturating_sub(before))
    };
    after.iter().map(since).collect()
}

/// Its name, and the time of all its threads.
fn of_process(pid: &str) -> io::Result<(String, Duration)> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"))?;
    let time = CpuTime::of(pid.parse().map_err(io::Error::other)?)?;
    Ok((name.trim_end().to_owned(), time.all))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_process_that_computes_uses_time() {
        let pid = std::process::id().to_string();
        let time = || of_process(&pid).unwrap().1;
        let before = time();
        let begin = Instant::now();
        // The machine may be busy: until the time is there, not for a time.
        while time() < before + Duration::from_millis(20) {
            assert!(begin.elapsed() < Duration::from_secs(60));
        }
        assert!(!of_process(&pid).unwrap().0.is_empty());
        assert!(of_process("0").is_err());
    }

    #[test]
    fn programs_that_came_meanwhile_count_whole() {
        let ms = Duration::from_millis;
        let before = Used::from([("a".to_owned(), ms(5))]);
        let after = Used::from([("a".to_owned(), ms(7)), ("b".to_owned(), ms(3))]);
        let expected = Used::from([("a".to_owned(), ms(2)), ("b".to_owned(), ms(3))]);
        assert_eq!(between(&before, &after), expected);
    }
}
