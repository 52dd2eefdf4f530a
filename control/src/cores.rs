//! The cores of workers are theirs alone.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Keeps the calling thread off the cores that workers are pinned to, and with it the threads and programs that it will start: a graph that
/// is drawn there would hold packets up. Where no other core is left nothing changes. Says whether something did.
///
/// # Errors
/// When the system does not allow it.
pub(crate) fn leave_to(workers: &[Option<u32>]) -> io::Result<bool> {
    let mut cores = sched_getaffinity(None)?;
    let before = cores.count();
    let pinned = workers.iter().flatten();
    let pinned = pinned.map(|&core| core as usize);
    pinned
        .filter(|&core| core < CpuSet::MAX_CPU)
        .for_each(|core| cores.unset(core));
    if cores.count() == 0 || cores.count() == before {
        return Ok(false);
    }
    sched_setaffinity(None, &cores)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cores of a thread that was started by one that leaves these to workers.
    fn left(workers: Vec<Option<u32>>) -> (bool, Vec<u32>) {
        let thread = std::thread::spawn(move || {
            let changed = leave_to(&workers).unwrap();
            (changed, std::thread::spawn(cores).join().unwrap())
        });
        thread.join().unwrap()
    }

    fn cores() -> Vec<u32> {
        let cores = sched_getaffinity(None).unwrap();
        let all = 0..CpuSet::MAX_CPU as u32;
        all.filter(|&core| cores.is_set(core as usize)).collect()
    }

    #[test]
    fn a_thread_that_is_started_later_keeps_off_the_workers_too() {
        let all = cores();
        let [first, others @ ..] = all.as_slice() else {
            panic!("there is no core");
        };
        if !others.is_empty() {
            assert_eq!(left(vec![Some(*first), None]), (true, others.to_vec()));
        }
        // Workers that go where they like, one that cannot be pinned, and all cores for workers.
        assert_eq!(left(vec![None, None]), (false, all.clone()));
        assert_eq!(left(vec![Some(u32::MAX)]), (false, all.clone()));
        let every = all.iter().copied().map(Some).collect();
        assert_eq!(left(every), (false, all));
    }
}
