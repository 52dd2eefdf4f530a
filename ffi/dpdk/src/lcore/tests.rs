use std::thread;

use super::*;
use crate::testing::{affinity, eal};

#[test]
fn a_thread_is_an_lcore_while_registered() {
    eal();
    thread::spawn(|| {
        assert_eq!(current(), None);
        let lcore = register(None).unwrap();
        assert_eq!(current(), Some(lcore.id()));
        assert_eq!(register(None).unwrap_err(), Error::AlreadyRegistered);
        assert_eq!(current(), Some(lcore.id()));
        drop(lcore);
        assert_eq!(current(), None);
        drop(register(None).unwrap());
    })
    .join()
    .unwrap();
}

#[test]
fn lcores_of_two_threads_differ() {
    eal();
    let here = register(None).unwrap();
    let there = thread::spawn(|| register(None).unwrap().id())
        .join()
        .unwrap();
    assert_ne!(here.id(), there);
}

#[test]
fn a_worker_is_pinned_when_asked() {
    eal();
    thread::spawn(|| {
        let list = affinity();
        let first: String = list
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        let _lcore = register(first.parse().ok()).unwrap();
        assert_eq!(affinity().split_whitespace().last(), Some(first.as_str()));
    })
    .join()
    .unwrap();
}

#[test]
fn a_cpu_that_does_not_exist_is_an_error() {
    eal();
    for core in [1023, 1024, u32::MAX] {
        let error = register(Some(core)).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Call {
                    errno: libc::EINVAL,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(current(), None);
    }
}
