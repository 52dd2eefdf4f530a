//! A worker's thread: how it waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dpdk::{lcore, tsc};
use log::error;

use crate::config::Poll;

use super::Worker;

/// How long there may be nothing to do before a worker sleeps.
const AWAKE_US: u64 = 50;
const FIRST_SLEEP: Duration = Duration::from_micros(50);
const LONGEST_SLEEP: Duration = Duration::from_micros(500);

/// What a worker's thread does.
pub(crate) struct Task {
    pub(crate) worker: Worker,
    pub(crate) poll: Poll,
    pub(crate) core: Option<u32>,
    pub(crate) tsc_hz: u64,
}

impl Task {
    /// Becomes an lcore, says so, and polls until told to stop.
    pub(crate) fn run(mut self, stop: &AtomicBool, report: &Sender<Result<(), String>>) {
        // Outlives the worker, whose buffers go back to this lcore's caches.
        let lcore = match lcore::register(self.core) {
            Ok(lcore) => lcore,
            Err(problem) => {
                let _ = report.send(Err(problem.to_string()));
                return;
            }
        };
        if report.send(Ok(())).is_err() {
            return;
        }
        let mut idle = Idle::new(self.poll, self.tsc_hz);
        while !stop.load(Ordering::Relaxed) {
            let now = tsc();
            let work = self.worker.poll_once(now);
            if let Some(sleep) = idle.after(work, now) {
                thread::sleep(sleep);
            }
        }
        drop(self.worker);
        drop(lcore);
    }
}

/// When to sleep, and for how long.
struct Idle {
    poll: Poll,
    awake_ticks: u64,
    since: Option<u64>,
    sleep: Duration,
}

impl Idle {
    fn new(poll: Poll, tsc_hz: u64) -> Self {
        Self {
            poll,
            awake_ticks: tsc_hz * AWAKE_US / 1_000_000,
            since: None,
            sleep: FIRST_SLEEP,
        }
    }

    fn after(&mut self, work: usize, now: u64) -> Option<Duration> {
        if work > 0 || self.poll == Poll::Busy {
            self.since = None;
            self.sleep = FIRST_SLEEP;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        if now.wrapping_sub(since) < self.awake_ticks {
            return None;
        }
        let sleep = self.sleep;
        self.sleep = (sleep * 2).min(LONGEST_SLEEP);
        Some(sleep)
    }
}

/// A running worker; it stops when this is dropped.
pub(crate) struct Thread {
    handle: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Thread {
    pub(crate) fn new(handle: JoinHandle<()>, stop: Arc<AtomicBool>) -> Self {
        Self {
            handle: Some(handle),
            stop,
        }
    }

    /// Whether it still runs, as it should.
    pub(crate) fn is_running(&self) -> bool {
        self.handle
            .as_ref()
            .is_some_and(|handle| !handle.is_finished())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Err(_)) = self.handle.take().map(JoinHandle::join) {
            error!("a worker has panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_after_a_while_and_longer_each_time() {
        let mut idle = Idle::new(Poll::Adaptive, 1_000_000);
        assert_eq!(idle.after(0, 0), None);
        assert_eq!(idle.after(0, 49), None);
        let sleeps: Vec<_> = (50..56).map(|now| idle.after(0, now)).collect();
        let expected = [50, 100, 200, 400, 500, 500];
        assert_eq!(sleeps, expected.map(|us| Some(Duration::from_micros(us))));
        assert_eq!(idle.after(1, 56), None);
        assert_eq!(idle.after(0, 57), None, "awake again after work");
    }

    #[test]
    fn a_worker_that_panics_does_not_run_any_more() {
        let stop = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&stop);
        let die = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&die);
        let handle = thread::spawn(move || {
            while !of_thread.load(Ordering::Relaxed) {
                assert!(!told.load(Ordering::Relaxed), "as a worker would panic");
                thread::yield_now();
            }
        });
        let worker = Thread::new(handle, stop);
        assert!(worker.is_running());
        die.store(true, Ordering::Relaxed);
        for _ in 0..10_000 {
            if !worker.is_running() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("its end was not noticed");
    }

    #[test]
    fn a_busy_worker_never_sleeps() {
        let mut idle = Idle::new(Poll::Busy, 1_000_000);
        assert!((0..1000).all(|now| idle.after(0, now).is_none()));
    }
}
