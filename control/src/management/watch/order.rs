//! The sets whose packets are put into order.

use crate::management::status::Status;
use crate::management::table::{Cell, Table, milliseconds};

pub(super) fn order(status: &Status) -> Table {
    let sets = status.sets.iter();
    let rows = sets.filter_map(|set| {
        let order = set.ordering.as_ref()?;
        let bad = |count: u64| Cell::number(count).bad_unless_zero(count);
        Some(vec![
            Cell::text(&set.name),
            Cell::text(&set.remote),
            Cell::right(milliseconds(Some(order.hold_us))),
            Cell::number(order.waiting_packets),
            Cell::number(order.most_waiting_packets),
            Cell::number(order.held_packets),
            Cell::right(milliseconds(Some(order.mean_held_us))),
            Cell::right(milliseconds(Some(order.mean_delay_us))),
            bad(order.timed_out_gaps),
            Cell::number(order.lost_gaps),
            bad(order.no_room_gaps),
            bad(order.late_packets),
        ])
    });
    Table {
        title: "ORDER (times in ms)",
        head: &[
            "set",
            "remote",
            "longest wait",
            "waiting",
            "most",
            "held",
            "mean wait",
            "mean delay",
            "timed out",
            "lost",
            "no room",
            "late",
        ],
        rows: rows.collect(),
    }
}
