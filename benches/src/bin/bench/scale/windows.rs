//! What a window and the rings beside it take, each by itself.

use std::error::Error;
use std::process;

use benches::report::{Cell, Column, Table};
use benches::usage::Memory;
use dataplane::arrivals::{Arrivals, GROUP_NUMBERS};
use dataplane::skew::FirstTimes;
use dataplane::window::{Group, Window};

use super::sets::DEFAULT_WINDOW;

/// So much of each is made.
const MEASURED_OCTETS: u64 = 64 << 20;
/// What one link's ring and a set's times are for.
const RING_NUMBERS: u64 = Arrivals::GROUPS * GROUP_NUMBERS;

pub(super) fn measure() -> Result<Table, Box<dyn Error>> {
    let columns = vec![
        Column::new("computed, octets", 0),
        Column::new("measured, octets", 0),
        Column::ratio("measured to computed"),
    ];
    let title = "What one window, and each ring of the books, takes of memory";
    let mut table = Table::new("windows", title, "what", columns);
    let mut push = |name: &str, computed: u64, measured: f64| {
        let ratio = measured / computed as f64;
        let cells = vec![
            Cell::Count(computed),
            Cell::Value(measured),
            Cell::Value(ratio),
        ];
        table.push(name, cells);
    };
    for numbers in [
        Window::MIN_NUMBERS,
        DEFAULT_WINDOW.into(),
        Window::MAX_NUMBERS,
    ] {
        let computed = Window::memory_octets(numbers);
        let measured = measured(computed, || {
            let window = Window::new(numbers);
            for number in (0..numbers).step_by(GROUP_NUMBERS as usize) {
                window.observe(number);
            }
            window
        })?;
        push(
            &format!("window of {numbers} numbers, a set"),
            computed,
            measured,
        );
    }
    let first_times = measured(FirstTimes::MEMORY_OCTETS, || {
        let times = FirstTimes::default();
        for number in (0..RING_NUMBERS).step_by(GROUP_NUMBERS as usize) {
            times.note(number, number);
        }
        times
    })?;
    push(
        "times of first copies, a set",
        FirstTimes::MEMORY_OCTETS,
        first_times,
    );
    let arrivals = measured(Arrivals::MEMORY_OCTETS, || {
        let arrivals = Arrivals::new(1);
        for number in (0..RING_NUMBERS).step_by(GROUP_NUMBERS as usize) {
            arrivals.note(Group::of(number));
        }
        arrivals
    })?;
    push(
        "ring of what came, a link",
        Arrivals::MEMORY_OCTETS,
        arrivals,
    );
    Ok(table)
}

/// What this process grows by for one of many, octets.
fn measured<T>(octets: u64, make: impl Fn() -> T) -> Result<f64, Box<dyn Error>> {
    let count = MEASURED_OCTETS / octets;
    let own = || Memory::of(process::id()).map(|memory| memory.own_octets);
    let before = own()?;
    let made: Vec<T> = (0..count).map(|_| make()).collect();
    let grown = own()?.saturating_sub(before);
    drop(made);
    Ok(grown as f64 / count as f64)
}
