use std::sync::mpsc;
use std::thread;

use super::*;
use crate::lcore;
use crate::testing::{eal, pool};

#[test]
fn it_gives_as_many_buffers_as_it_has() {
    let pool = pool("pool_count", 3);
    assert_eq!((pool.available(), pool.data_room()), (3, 2176));
    let taken: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!((taken.len(), pool.available()), (3, 0));
    drop(taken);
    assert_eq!(pool.available(), 3);
}

#[test]
fn bulk_is_all_or_nothing() {
    let pool = pool("pool_bulk", 40);
    let mut burst = Burst::new();
    assert!(pool.alloc_bulk(&mut burst, 30));
    assert_eq!((burst.len(), pool.available()), (30, 10));
    // No room in the burst, then too little in the pool.
    assert!(!pool.alloc_bulk(&mut burst, 3));
    let mut second = Burst::new();
    assert!(!pool.alloc_bulk(&mut second, 11));
    assert!(pool.alloc_bulk(&mut burst, 2));
    assert!(burst.iter().all(|mbuf| mbuf.is_empty()));
    assert_eq!((burst.len(), second.len(), pool.available()), (32, 0, 8));
    assert!(!pool.alloc_bulk(&mut second, usize::MAX));
}

#[test]
fn impossible_pools_are_errors() {
    let first = pool("pool_twice", 7);
    let second = Mempool::new(eal(), "pool_twice", 7, 0, 2176).unwrap_err();
    let Error::Call {
        function, errno, ..
    } = second
    else {
        panic!("{second:?}");
    };
    assert_eq!((function, errno), ("rte_pktmbuf_pool_create", libc::EEXIST));
    drop(first);
    for (name, count, cache) in [
        ("pool_cache", 1023, 513),
        ("pool_large", u32::MAX / 2, 0),
        ("a_name_that_is_longer_than_the_names_of_pools_may_be", 7, 0),
        ("nul\0", 7, 0),
    ] {
        assert!(
            Mempool::new(eal(), name, count, cache, 2176).is_err(),
            "{name}"
        );
    }
}

/// The name of a pool is free again once its memory is.
fn is_gone(name: &str) -> bool {
    Mempool::new(eal(), name, 7, 0, 2176).is_ok()
}

#[test]
fn the_last_handle_frees_it() {
    let first = pool("pool_last", 7);
    let second = first.clone();
    drop(first);
    assert!(second.alloc().is_some());
    assert!(!is_gone("pool_last"));
    drop(second);
    assert!(is_gone("pool_last"));
}

#[test]
fn a_buffer_outlives_the_handles() {
    let pool = pool("pool_outlived", 7);
    let mut mbuf = pool.alloc().unwrap();
    drop(pool);
    assert!(!is_gone("pool_outlived"));
    assert!(mbuf.extend_from_slice(b"still here"));
    assert_eq!(&mbuf[..], b"still here");
    drop(mbuf);
    assert!(is_gone("pool_outlived"));
}

#[test]
fn buffers_in_the_cache_of_an_lcore_are_at_home_when_it_goes() {
    let pool = Mempool::new(eal(), "pool_cached", 255, 32, 2176).unwrap();
    let (proceed, wait) = mpsc::channel::<()>();
    let (report, cached) = mpsc::channel();
    let mbuf = pool.alloc().unwrap();
    let worker = thread::spawn(move || {
        let lcore = lcore::register(None).unwrap();
        // Into this lcore's cache.
        drop(mbuf);
        report.send(()).unwrap();
        wait.recv().unwrap();
        drop(lcore);
    });
    cached.recv().unwrap();
    assert_eq!(pool.available(), 255);
    drop(pool);
    assert!(!is_gone("pool_cached"));
    proceed.send(()).unwrap();
    worker.join().unwrap();
    assert!(is_gone("pool_cached"));
}

#[test]
fn what_the_last_user_left_does_not_show() {
    let pool = pool("mempool_left", 1);
    let mut burst = Burst::new();
    let mut used = pool.alloc().unwrap();
    assert!(used.extend_from_slice(&[1; 100]) && used.trim_front(50));
    assert!(used.request_checksums(14, 20));
    drop(used);
    assert!(pool.alloc_bulk(&mut burst, 1));
    let fresh = &burst[0];
    assert!(fresh.is_empty());
    assert_eq!(fresh.headroom(), usize::from(HEADROOM_OCTETS));
    assert_eq!(fresh.ip_checksum(), crate::Checksum::Unknown);
    assert_eq!((fresh.port(), fresh.rss_hash()), (u16::MAX, None));
}
