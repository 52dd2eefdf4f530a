//! How much processor time the programs in a namespace have used.

use std::collections::BTreeMap;
use std::io;
use std::process::Command;
use std::time::Duration;

use benches::netns::{Namespace, checked};

/// Processor time by the program's name.
pub(super) type Used = BTreeMap<String, Duration>;

/// Of everything that runs in these namespaces, all threads, until now.
pub(super) fn used(namespaces: &[&Namespace]) -> io::Result<Used> {
    let mut used = Used::new();
    for namespace in namespaces {
        let output = checked(Command::new("ip").args(["netns", "pids", namespace.name()]))?;
        for pid in String::from_utf8_lossy(&output.stdout).split_whitespace() {
            // One that has ended meanwhile has no more to tell.
            if let (Ok(name), Ok(time)) = (name(pid), time(pid)) {
                *used.entry(name).or_default() += time;
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

fn name(pid: &str) -> io::Result<String> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"))?;
    Ok(name.trim_end().to_owned())
}

/// The threads' times on a processor, which the kernel counts in nanoseconds.
fn time(pid: &str) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may have ended meanwhile.
        let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let first = text.split_whitespace().next();
        sum += Duration::from_nanos(first.and_then(|word| word.parse().ok()).unwrap_or(0));
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_process_that_computes_uses_time() {
        let pid = std::process::id().to_string();
        let before = time(&pid).unwrap();
        let begin = Instant::now();
        // The machine may be busy: until the time is there, not for a time.
        while time(&pid).unwrap() < before + Duration::from_millis(20) {
            assert!(begin.elapsed() < Duration::from_secs(60));
        }
        assert!(!name(&pid).unwrap().is_empty());
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
