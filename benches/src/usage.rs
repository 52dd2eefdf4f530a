//! What a running process takes of the machine, as the kernel counts it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Memory that a process has, octets (proc_pid_status(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Heap and stacks, `RssAnon`.
    pub own_octets: u64,
    /// Program and libraries, `RssFile`.
    pub program_octets: u64,
    /// Hugepages and shared memory, `HugetlbPages` and `RssShmem`: where DPDK has its packet buffers.
    pub buffers_octets: u64,
}

/// CPU time of the threads of an appliance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuTime {
    /// All of them together.
    pub all: Duration,
    /// The first one, which is the control thread.
    pub control: Duration,
}

impl Memory {
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        Self::parse(&status).ok_or_else(|| io::Error::other(format!("no memory in {status:?}")))
    }

    fn parse(status: &str) -> Option<Self> {
        let octets = |name: &str| {
            let mut lines = status.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let kibibytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kibibytes << 10)
        };
        Some(Self {
            own_octets: octets("RssAnon")?,
            program_octets: octets("RssFile")?,
            buffers_octets: octets("RssShmem")? + octets("HugetlbPages")?,
        })
    }
}

impl CpuTime {
    /// Exact to a scheduler's switch (`schedstat`), where `stat` counts ticks.
    ///
    /// # Errors
    /// When there is no such process, or no such file in this kernel.
    pub fn of(pid: u32) -> io::Result<Self> {
        let tasks = PathBuf::from(format!("/proc/{pid}/task"));
        let mut time = Self::default();
        for task in std::fs::read_dir(&tasks)? {
            let task = task?.file_name();
            let spent = match spent_by(&tasks.join(&task)) {
                // A thread that has just ended.
                Err(_) if !tasks.join(&task).exists() => continue,
                spent => spent?,
            };
            time.all += spent;
            if *task == *pid.to_string() {
                time.control = spent;
            }
        }
        Ok(time)
    }

    /// What was spent since an earlier look.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            all: self.all.saturating_sub(earlier.all),
            control: self.control.saturating_sub(earlier.control),
        }
    }
}

/// CPU time of one thread of a process.
///
/// # Errors
/// As [`CpuTime::of`].
pub fn thread_cpu_time(pid: u32, thread: u32) -> io::Result<Duration> {
    spent_by(Path::new(&format!("/proc/{pid}/task/{thread}")))
}

fn spent_by(task: &Path) -> io::Result<Duration> {
    let file = task.join("schedstat");
    let schedstat = std::fs::read_to_string(&file)?;
    let first = schedstat.split_whitespace().next();
    let nanoseconds = first.and_then(|first| first.parse().ok());
    nanoseconds
        .map(Duration::from_nanos)
        .ok_or_else(|| io::Error::other(format!("{}: {schedstat:?}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_apart() {
        let status = "Name:\thal2tp\nVmRSS:\t  999 kB\nRssAnon:\t    120 kB\nRssFile:\t     30 kB\n\
            RssShmem:\t      4 kB\nHugetlbPages:\t   2048 kB\n";
        let memory = Memory::parse(status).unwrap();
        assert_eq!(memory.own_octets, 120 << 10);
        assert_eq!(memory.program_octets, 30 << 10);
        assert_eq!(memory.buffers_octets, 2052 << 10);
        assert_eq!(Memory::parse("Name:\tzombie\n"), None);
    }

    #[test]
    fn a_process_that_works_takes_more_of_both() {
        let pid = std::process::id();
        let before = (Memory::of(pid).unwrap(), CpuTime::of(pid).unwrap());
        let octets: Vec<u8> = (0..64 << 20_u32).map(|index| index as u8).collect();
        std::hint::black_box(&octets);
        let after = (Memory::of(pid).unwrap(), CpuTime::of(pid).unwrap());
        assert_eq!(octets.len(), 64 << 20);
        assert!(after.0.own_octets >= before.0.own_octets + (60 << 20));
        assert!(after.1.since(before.1).all > Duration::ZERO);
    }
}
