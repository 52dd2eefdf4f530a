use super::*;
use crate::mempool::Mempool;
use crate::testing::pool;

/// A packet of one octet, by which the tests know it.
fn numbered(pool: &Mempool, number: u8) -> Mbuf {
    let mut mbuf = pool.alloc().unwrap();
    assert!(mbuf.extend_from_slice(&[number]));
    mbuf
}

fn filled(pool: &Mempool, count: u8) -> Burst {
    let mut burst = Burst::new();
    for number in 0..count {
        burst.push(numbered(pool, number)).unwrap();
    }
    burst
}

fn numbers(burst: &Burst) -> Vec<u8> {
    burst.iter().map(|mbuf| mbuf[0]).collect()
}

#[test]
fn it_holds_up_to_its_size_in_order() {
    let pool = pool("burst_order", 63);
    let mut burst = filled(&pool, 32);
    assert!(burst.is_full());
    let refused = burst.push(numbered(&pool, 99)).unwrap_err();
    assert_eq!(refused[0], 99);
    drop(refused);
    assert_eq!(numbers(&burst), (0..32).collect::<Vec<_>>());
    assert_eq!(burst.pop().unwrap()[0], 31);
    assert_eq!(burst.swap_remove(0).unwrap()[0], 0);
    assert!(burst.swap_remove(30).is_none());
    assert_eq!(burst[0][0], 30);
    for mbuf in &mut burst {
        mbuf[0] += 100;
    }
    assert_eq!(burst.as_slice()[1][0], 101);
    assert_eq!(pool.available(), 63 - 30);
    burst.clear();
    assert_eq!((burst.len(), pool.available()), (0, 63));
    assert!(burst.pop().is_none());
}

#[test]
fn one_takes_over_all_of_another_or_nothing() {
    let pool = pool("burst_append", 63);
    let (mut first, mut second) = (filled(&pool, 20), filled(&pool, 13));
    assert!(!first.append(&mut second));
    assert_eq!((first.len(), second.len()), (20, 13));
    assert!(second.pop().is_some());
    assert!(first.append(&mut second));
    assert_eq!(numbers(&first), (0..20).chain(0..12).collect::<Vec<_>>());
    assert!(second.is_empty());
    drop(second);
    assert_eq!(pool.available(), 63 - 32);
}

#[test]
fn dropping_it_frees_what_is_in_it() {
    let pool = pool("burst_drop", 63);
    let burst = filled(&pool, 20);
    assert_eq!(pool.available(), 43);
    drop(burst);
    assert_eq!(pool.available(), 63);
}

#[test]
fn draining_takes_a_range_and_closes_the_gap() {
    let pool = pool("burst_drain", 63);
    let mut burst = filled(&pool, 10);
    let taken: Vec<Mbuf> = burst.drain(2..=4).collect();
    assert_eq!(
        taken.iter().map(|mbuf| mbuf[0]).collect::<Vec<_>>(),
        [2, 3, 4]
    );
    assert_eq!(numbers(&burst), [0, 1, 5, 6, 7, 8, 9]);
    drop(taken);
    assert_eq!(pool.available(), 63 - 7);
    // Not taken from the iterator: freed.
    assert_eq!(burst.drain(..3).next().unwrap()[0], 0);
    assert_eq!(numbers(&burst), [6, 7, 8, 9]);
    assert_eq!(pool.available(), 63 - 4);
    assert_eq!(burst.drain(..).len(), 4);
    assert!(burst.is_empty());
    assert_eq!(pool.available(), 63);
}

#[test]
fn a_forgotten_drain_leaks_and_frees_nothing_twice() {
    let pool = pool("burst_forget", 63);
    let mut burst = filled(&pool, 10);
    std::mem::forget(burst.drain(4..6));
    assert_eq!(numbers(&burst), [0, 1, 2, 3]);
    drop(burst);
    assert_eq!(pool.available(), 63 - 6);
}

#[test]
#[should_panic(expected = "range outside the burst")]
fn draining_beyond_the_end_panics() {
    filled(&pool("burst_beyond", 7), 3).drain(..4);
}

#[test]
fn buffers_go_back_to_their_own_pools() {
    let pools = ["burst_one", "burst_other"].map(|name| pool(name, 15));
    let mut burst = Burst::new();
    for number in 0..20 {
        burst
            .push(numbered(&pools[number / 3 % 2], number as u8))
            .unwrap();
    }
    assert_eq!(pools.each_ref().map(Mempool::available), [15 - 11, 15 - 9]);
    burst.clear();
    assert_eq!(pools.each_ref().map(Mempool::available), [15, 15]);
}

#[test]
fn a_burst_is_arranged_in_any_order_and_no_other_way() {
    let pool = pool("burst_arrange", 63);
    let mut burst = filled(&pool, 5);
    let mut order = [0; BURST];
    order[..5].copy_from_slice(&[4, 0, 3, 1, 2]);
    assert!(burst.arrange(&order));
    assert_eq!(numbers(&burst), [4, 0, 3, 1, 2]);
    for wrong in [
        [0, 1, 2, 3, 3],
        [0, 1, 2, 3, 5],
        [0, 1, 2, 3, 255],
        [1, 2, 3, 4, 64],
    ] {
        order[..5].copy_from_slice(&wrong);
        assert!(!burst.arrange(&order), "{wrong:?}");
        assert_eq!(numbers(&burst), [4, 0, 3, 1, 2]);
    }
    assert_eq!(pool.available(), 63 - 5);
    drop(burst);
    assert_eq!(pool.available(), 63);
    let mut burst = filled(&pool, BURST as u8);
    assert!(burst.arrange(&std::array::from_fn(|place| (BURST - 1 - place) as u8)));
    let reversed: Vec<u8> = (0..BURST as u8).rev().collect();
    assert_eq!(numbers(&burst), reversed);
    assert!(
        Burst::new().arrange(&[7; BURST]),
        "of none there is nothing to say"
    );
}
