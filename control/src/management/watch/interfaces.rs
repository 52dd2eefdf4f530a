//! The interfaces: addresses, who gave them, and whether the gateway answers.

use crate::management::status::{Interface, Router, Status};
use crate::management::table::{Cell, Table};

pub(super) fn interfaces(status: &Status) -> Table {
    let rows = status.interfaces.iter().map(|interface| {
        vec![
            Cell::text(&interface.name),
            Cell::text(port(interface)),
            Cell::right(interface.table.to_string()),
            Cell::text(interface.addresses.join(" ")),
            Cell::text(or_none(interface.routers.iter().map(router))),
            Cell::text(or_none(asked(interface))),
            Cell::right(interface.mtu.to_string()),
            Cell::text(if interface.forward { "yes" } else { "no" }),
        ]
    });
    Table {
        title: "INTERFACES",
        head: &[
            "interface",
            "port",
            "table",
            "addresses",
            "gateway",
            "given by",
            "mtu",
            "forward",
        ],
        rows: rows.collect(),
    }
}

fn or_none(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(" "),
    }
}

fn port(interface: &Interface) -> String {
    match interface.vlan {
        Some(vlan) => format!("{}.{vlan}", interface.port),
        None => interface.port.clone(),
    }
}

fn router(router: &Router) -> String {
    match router.answers {
        Some(false) => format!("{} (silent)", router.address),
        _ => router.address.clone(),
    }
}

/// Who is asked for addresses, how far that is, and how long what was given holds.
fn asked(interface: &Interface) -> impl Iterator<Item = String> {
    let clients = interface.clients.iter().map(|(word, client)| {
        let state = client.state.as_deref();
        let left = interface.given.iter().filter(|given| given.from == *word);
        let left = left.filter_map(|given| given.valid_s).min();
        let left = left.map(|seconds| format!("{seconds} s"));
        let about: Vec<String> = state.map(str::to_owned).into_iter().chain(left).collect();
        match about.is_empty() {
            true => word.clone(),
            false => format!("{word} ({})", about.join(", ")),
        }
    });
    let line = interface.pppoe.iter();
    clients.chain(line.map(|line| format!("pppoe ({})", line.state)))
}
