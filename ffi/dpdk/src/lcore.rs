//! A worker thread's membership in the EAL, which gives it a cache of every pool.

use std::marker::PhantomData;
use std::mem;

use crate::control;
use crate::error::Error;

/// The calling thread's lcore, given back when dropped.
#[derive(Debug)]
pub struct Lcore {
    id: u32,
    /// It belongs to the thread that made it.
    not_send: PhantomData<*const ()>,
}

/// Pins the calling thread to a CPU if one is given, and makes it an lcore.
///
/// # Errors
/// When the CPU is not ours to use, when the thread is an lcore already, or
/// when no lcore is left.
pub fn register(core: Option<u32>) -> Result<Lcore, Error> {
    let _control = control::lock();
    if current().is_some() {
        return Err(Error::AlreadyRegistered);
    }
    if let Some(core) = core {
        pin(core)?;
    }
    // SAFETY: the thread is not registered yet; without an EAL the call fails.
    if unsafe { dpdk_sys::rte_thread_register() } != 0 {
        return Err(Error::last("rte_thread_register", "worker"));
    }
    let id = current().ok_or_else(|| Error::last("rte_thread_register", "worker"))?;
    Ok(Lcore {
        id,
        not_send: PhantomData,
    })
}

impl Lcore {
    /// DPDK's number of it, which is not a CPU's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for Lcore {
    fn drop(&mut self) {
        let mut control = control::lock();
        // Buffers in the cache of an lcore that is gone could keep a pool from being freed.
        control.flush_caches();
        control.reclaim();
        // SAFETY: registered by this thread, as the type cannot leave it.
        unsafe { dpdk_sys::rte_thread_unregister() }
    }
}

fn current() -> Option<u32> {
    // SAFETY: reads a thread-local variable.
    let id = unsafe { dpdk_sys::shim_lcore_id() };
    (id != dpdk_sys::SHIM_LCORE_ID_ANY).then_some(id)
}

fn pin(core: u32) -> Result<(), Error> {
    let cpu = core as usize;
    let failed = |errno| Error::Call {
        function: "sched_setaffinity",
        subject: format!("core {core}"),
        errno,
    };
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(failed(libc::EINVAL));
    }
    // SAFETY: a CPU set is an array of integers, for which zeros are a value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the index is below the set's size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set is as large as said.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
    if result == 0 {
        return Ok(());
    }
    let problem = std::io::Error::last_os_error();
    Err(failed(problem.raw_os_error().unwrap_or(libc::EINVAL)))
}

#[cfg(test)]
mod tests;
