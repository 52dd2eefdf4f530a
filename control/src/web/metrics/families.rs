//! What is measured, by the names that dashboards and alert rules use. They are a stable interface, like the status.
//!
//! What may go down is a gauge, though it counts: losses are taken back when a packet arrives after all.

use std::collections::{BTreeMap, HashMap};

use super::text::{Family, Kind, Labels, Value, Writer};
use crate::management::status::{LinkState, Ordering, Peer, Port, Session, Set};
use crate::monitor::site::{Site, SiteLink, Verdict};
use crate::monitor::{DropPlace, Moment};

/// A family, and how its value is read from a thing that has it.
type Reading<T> = (Family, fn(&T) -> Option<Value>);

const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family {
        name,
        kind: Kind::Counter,
        unit,
        help,
    }
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family {
        kind: Kind::Gauge,
        ..counter(name, unit, help)
    }
}

fn whole(value: impl Into<u64>) -> Option<Value> {
    Some(Value::Whole(value.into()))
}

fn flag(value: bool) -> Option<Value> {
    Some(value.into())
}

fn seconds_of_us(us: u64) -> Option<Value> {
    Some(Value::Real(us as f64 / 1e6))
}

const VERDICTS: &str = "0 good, 1 degraded, 2 bad, 3 down.";

fn rank(verdict: Verdict) -> Value {
    Value::Whole(verdict as u64)
}

fn each<T>(writer: &mut Writer, readings: &[Reading<T>], things: &[(Labels, &T)]) {
    for (family, read) in readings {
        let samples = things.iter();
        let samples = samples.filter_map(|(labels, thing)| Some((labels, read(thing)?)));
        writer.family(family, samples);
    }
}

pub(super) fn appliance(writer: &mut Writer, moment: &Moment, site: &Site) {
    let status = &moment.status;
    let build = Family {
        kind: Kind::Info,
        ..gauge("hal2tp_build", "", "The running program.")
    };
    let facts = Labels::of(&[
        ("name", &status.name),
        ("version", &status.version),
        ("dpdk", &status.dataplane.dpdk_version),
    ]);
    writer.family(&build, [(&facts, Value::Whole(1))].into_iter());
    let none = Labels::of(&[]);
    let numbers = [
        (
            gauge(
                "hal2tp_uptime_seconds",
                "seconds",
                "Since the appliance started.",
            ),
            Value::Whole(status.uptime_s),
        ),
        (
            gauge(
                "hal2tp_verdict",
                "",
                "The worst of the sets and of the links without a set: 0 good, 1 degraded, 2 bad, 3 down.",
            ),
            rank(site.verdict),
        ),
    ];
    for (family, value) in numbers {
        writer.family(&family, [(&none, value)].into_iter());
    }
    drops(writer, moment);
}

fn drops(writer: &mut Writer, moment: &Moment) {
    let family = counter(
        "hal2tp_dropped_packets",
        "packets",
        "Packets that were not forwarded, by the place where and the reason; reasons with none are left out.",
    );
    let labels: Vec<(Labels, u64)> = moment
        .drops
        .iter()
        .map(|dropped| {
            let place = match dropped.place {
                DropPlace::Port => "port",
                DropPlace::Own => "own",
                DropPlace::L2tp => "l2tp",
            };
            let port = dropped.port.as_deref().unwrap_or_default();
            let labels = [
                ("place", place),
                ("port", port),
                ("reason", &dropped.reason),
            ];
            (Labels::of(&labels), dropped.packets)
        })
        .collect();
    let samples = labels.iter();
    writer.family(
        &family,
        samples.map(|(labels, packets)| (labels, Value::Whole(*packets))),
    );
}

const PORTS: [Reading<Port>; 7] = [
    (
        gauge("hal2tp_port_up", "", "Whether the port has a link."),
        |it| flag(it.link == LinkState::Up),
    ),
    (
        counter(
            "hal2tp_port_received_packets",
            "packets",
            "Packets received.",
        ),
        |it| whole(it.received_packets),
    ),
    (
        counter("hal2tp_port_received_bytes", "bytes", "Octets received."),
        |it| whole(it.received_octets),
    ),
    (
        counter("hal2tp_port_sent_packets", "packets", "Packets sent."),
        |it| whole(it.sent_packets),
    ),
    (
        counter("hal2tp_port_sent_bytes", "bytes", "Octets sent."),
        |it| whole(it.sent_octets),
    ),
    (
        counter(
            "hal2tp_port_punted_packets",
            "packets",
            "Packets handed to the control thread: control messages, PPP, ARP and the like.",
        ),
        |it| whole(it.punted_packets),
    ),
    (
        counter(
            "hal2tp_port_reassembled_packets",
            "packets",
            "Packets to the appliance that were put together of fragments.",
        ),
        |it| whole(it.reassembled_packets),
    ),
];

pub(super) fn ports(writer: &mut Writer, moment: &Moment) {
    let ports = moment.status.ports.iter();
    let ports: Vec<(Labels, &Port)> = ports
        .map(|port| (Labels::of(&[("port", &port.name)]), port))
        .collect();
    each(writer, &PORTS, &ports);
}

/// Many tunnels of an `incoming` have one name: they are counted.
pub(super) fn tunnels(writer: &mut Writer, moment: &Moment) {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for tunnel in &moment.status.tunnels {
        *counts.entry((&tunnel.name, &tunnel.state)).or_default() += 1;
    }
    let counts: Vec<(Labels, u64)> = counts
        .into_iter()
        .map(|((name, state), count)| (Labels::of(&[("tunnel", name), ("state", state)]), count))
        .collect();
    let family = gauge(
        "hal2tp_tunnels",
        "",
        "Tunnels of this name in this state (RFC 2661, 7.2.1).",
    );
    let samples = counts.iter();
    writer.family(
        &family,
        samples.map(|(labels, count)| (labels, Value::Whole(*count))),
    );
}

fn of_peer(session: &Session, read: fn(&Peer) -> u64) -> Option<Value> {
    whole(read(session.peer.as_ref()?))
}

const LINKS: [Reading<Session>; 32] = [
    (
        gauge("hal2tp_link_up", "", "Whether the link is up or stands by."),
        |it| flag(it.is_open()),
    ),
    (
        gauge(
            "hal2tp_link_up_seconds",
            "seconds",
            "For how long it has been up.",
        ),
        |it| whole(it.up_s),
    ),
    (
        gauge(
            "hal2tp_link_alarm",
            "",
            "Whether it is up and delivers nothing.",
        ),
        |it| flag(it.alarm.is_some()),
    ),
    (
        gauge(
            "hal2tp_link_masked",
            "",
            "Whether it is up and masked for a drill: it carries nothing.",
        ),
        |it| flag(it.masked_for_s.is_some()),
    ),
    (
        counter(
            "hal2tp_link_sent_packets",
            "packets",
            "Packets sent over the link.",
        ),
        |it| whole(it.sent_packets),
    ),
    (
        counter(
            "hal2tp_link_sent_bytes",
            "bytes",
            "Octets sent over the link.",
        ),
        |it| whole(it.sent_octets),
    ),
    (
        counter(
            "hal2tp_link_received_packets",
            "packets",
            "Packets received over the link.",
        ),
        |it| whole(it.received_packets),
    ),
    (
        counter(
            "hal2tp_link_received_bytes",
            "bytes",
            "Octets received over the link.",
        ),
        |it| whole(it.received_octets),
    ),
    (
        counter(
            "hal2tp_link_send_dropped_packets",
            "packets",
            "Copies that never left: ring full, port down, neighbour unknown.",
        ),
        |it| whole(it.send_dropped_packets),
    ),
    (
        counter(
            "hal2tp_link_over_speed_packets",
            "packets",
            "Copies that the speed of the link had no room for.",
        ),
        |it| whole(it.over_speed_packets),
    ),
    (
        gauge(
            "hal2tp_link_unique_packets",
            "packets",
            "Numbers of which a copy arrived.",
        ),
        |it| whole(it.unique_packets),
    ),
    (
        gauge(
            "hal2tp_link_lost_packets",
            "packets",
            "Copies that the peer handed over and that did not arrive; taken back when one arrives later.",
        ),
        |it| whole(it.lost_packets),
    ),
    (
        gauge(
            "hal2tp_link_unknown_packets",
            "packets",
            "Copies of which it is not known whether they arrived, or were handed over.",
        ),
        |it| whole(it.unknown_packets),
    ),
    (
        gauge(
            "hal2tp_link_sole_packets",
            "packets",
            "Packets of which the only copy to arrive came over this link.",
        ),
        |it| whole(it.sole_packets),
    ),
    (
        counter(
            "hal2tp_link_duplicated_packets",
            "packets",
            "Copies that the network made.",
        ),
        |it| whole(it.duplicated_packets),
    ),
    (
        counter(
            "hal2tp_link_won_packets",
            "packets",
            "Copies that were the first of their number.",
        ),
        |it| whole(it.wins),
    ),
    (
        counter(
            "hal2tp_link_duplicate_packets",
            "packets",
            "Copies of what another link, or this one, had brought before.",
        ),
        |it| whole(it.duplicates),
    ),
    (
        counter(
            "hal2tp_link_too_late_packets",
            "packets",
            "Copies that came after the window had gone on.",
        ),
        |it| whole(it.too_late),
    ),
    (
        counter(
            "hal2tp_link_unknown_epoch_packets",
            "packets",
            "Copies of a numbering that is not received.",
        ),
        |it| whole(it.unknown_epoch),
    ),
    (
        counter(
            "hal2tp_link_sequence_restarts",
            "",
            "Times that the peer began to count its data messages anew.",
        ),
        |it| whole(it.sequence_restarts),
    ),
    (
        gauge(
            "hal2tp_link_longest_outage_seconds",
            "seconds",
            "The longest time in which nothing of what the set carried arrived.",
        ),
        |it| seconds_of_us(it.longest_outage_ms.saturating_mul(1000)),
    ),
    (
        gauge(
            "hal2tp_link_mtu_bytes",
            "bytes",
            "Largest inner packet that fits.",
        ),
        |it| (it.mtu > 0).then(|| Value::Whole(it.mtu.into())),
    ),
    (
        gauge(
            "hal2tp_link_path_mtu_bytes",
            "bytes",
            "Largest outer packet that has been seen to arrive at the peer whole.",
        ),
        |it| whole(it.path_mtu?),
    ),
    (
        counter("hal2tp_link_echoes_sent", "", "LCP echoes sent."),
        |it| whole(it.echo_sent),
    ),
    (
        counter(
            "hal2tp_link_echoes_lost",
            "",
            "LCP echoes that were not answered.",
        ),
        |it| whole(it.echo_lost),
    ),
    (
        counter(
            "hal2tp_link_echoes_answered",
            "",
            "LCP echoes of the peer that were answered.",
        ),
        |it| whole(it.echo_answered),
    ),
    (
        gauge(
            "hal2tp_link_round_trip_seconds",
            "seconds",
            "Round trip of the last LCP echo that was answered.",
        ),
        |it| seconds_of_us(it.round_trip.last_us?),
    ),
    (
        gauge(
            "hal2tp_link_skew_seconds",
            "seconds",
            "How far copies were behind the first ones in 99 of 100 cases, over the last seconds.",
        ),
        |it| seconds_of_us(it.skew.live_p99_us?),
    ),
    (
        gauge(
            "hal2tp_link_speed_bytes_per_second",
            "bytes_per_second",
            "The configured speed, in octets.",
        ),
        |it| Some(Value::Real(it.speed_bit_s? as f64 / 8.0)),
    ),
    (
        counter(
            "hal2tp_link_peer_sent_packets",
            "packets",
            "Copies that the peer says it handed over, since it joined the set.",
        ),
        |it| of_peer(it, |peer| peer.sent_packets),
    ),
    (
        counter(
            "hal2tp_link_peer_over_speed_packets",
            "packets",
            "Copies that the speed at the far end had no room for.",
        ),
        |it| of_peer(it, |peer| peer.over_speed_packets),
    ),
    (
        counter(
            "hal2tp_link_peer_not_sent_packets",
            "packets",
            "Copies that did not leave the far end for another reason.",
        ),
        |it| of_peer(it, |peer| peer.not_sent_packets),
    ),
];

/// Of the last minute, as far as something was measured.
const MINUTES: [Reading<SiteLink>; 5] = [
    (gauge("hal2tp_link_verdict", "", VERDICTS), |it| {
        Some(rank(it.verdict))
    }),
    (
        gauge(
            "hal2tp_link_minute_loss_ratio",
            "ratio",
            "Of the last minute's copies whose fate became known, the lost ones.",
        ),
        |it| Some(Value::Real(it.minute.loss_ratio?)),
    ),
    (
        gauge(
            "hal2tp_link_minute_win_ratio",
            "ratio",
            "Of the packets that the links of the set brought first in the last minute, those of this link.",
        ),
        |it| Some(Value::Real(it.minute.win_ratio?)),
    ),
    (
        gauge(
            "hal2tp_link_minute_round_trip_seconds",
            "seconds",
            "Mean round trip of the last minute's LCP echoes.",
        ),
        |it| seconds_of_us(it.minute.latency_us?.mean),
    ),
    (
        gauge(
            "hal2tp_link_minute_offline_seconds",
            "seconds",
            "Of the last minute, the time in which the link was down.",
        ),
        |it| whole(it.minute.offline_s),
    ),
];

pub(super) fn links(writer: &mut Writer, moment: &Moment, site: &Site) {
    let sessions = &moment.status.sessions;
    let labels = |session: &Session| {
        let table = session.table.map(|table| table.to_string());
        Labels::of(&[
            ("set", session.set.as_deref().unwrap_or_default()),
            ("remote", session.set_remote.as_deref().unwrap_or_default()),
            ("link", &session.name),
            ("tunnel", &session.tunnel),
            ("table", table.as_deref().unwrap_or_default()),
        ])
    };
    let links: Vec<(Labels, &Session)> = sessions.iter().map(|it| (labels(it), it)).collect();
    each(writer, &LINKS, &links);
    let of_sets = site.sets.iter().flat_map(|set| &set.links);
    let minutes: HashMap<(&str, &str), &SiteLink> = of_sets
        .chain(&site.links)
        .map(|link| ((link.graph.as_str(), link.tunnel.as_str()), link))
        .collect();
    let minutes: Vec<(Labels, &SiteLink)> = links
        .into_iter()
        .filter_map(|(labels, it)| {
            let minute = minutes.get(&(it.name.as_str(), it.tunnel.as_str()));
            Some((labels, *minute?))
        })
        .collect();
    each(writer, &MINUTES, &minutes);
}

fn of_order(set: &Set, read: fn(&Ordering) -> u64) -> Option<Value> {
    whole(read(set.ordering.as_ref()?))
}

const SETS: [Reading<Set>; 27] = [
    (
        gauge("hal2tp_set_up", "", "Whether a link carries the set."),
        |it| flag(it.protection != Set::DOWN),
    ),
    (
        gauge(
            "hal2tp_set_protected",
            "",
            "Whether two links or more carry the set.",
        ),
        |it| flag(it.protection == Set::HA),
    ),
    (gauge("hal2tp_set_members", "", "Live links."), |it| {
        whole(it.members.len() as u64)
    }),
    (
        gauge(
            "hal2tp_set_alarm",
            "",
            "Whether two boxes use the same credentials.",
        ),
        |it| flag(it.alarm.is_some()),
    ),
    (
        counter(
            "hal2tp_set_sent_packets",
            "packets",
            "Packets numbered and sent, each over every live link.",
        ),
        |it| whole(it.sent_packets),
    ),
    (
        counter("hal2tp_set_sent_bytes", "bytes", "Their octets, once."),
        |it| whole(it.sent_octets),
    ),
    (
        counter(
            "hal2tp_set_delivered_packets",
            "packets",
            "First copies, forwarded.",
        ),
        |it| whole(it.delivered_packets),
    ),
    (
        counter("hal2tp_set_delivered_bytes", "bytes", "Their octets."),
        |it| whole(it.delivered_octets),
    ),
    (
        counter(
            "hal2tp_set_split_packets",
            "packets",
            "Packets that were cut to fit the smallest link.",
        ),
        |it| whole(it.split_packets),
    ),
    (
        counter("hal2tp_set_split_pieces", "", "Into how many pieces."),
        |it| whole(it.split_pieces),
    ),
    (
        counter(
            "hal2tp_set_reassembled_packets",
            "packets",
            "Packets that were put together.",
        ),
        |it| whole(it.reassembled_packets),
    ),
    (
        counter("hal2tp_set_reassembled_pieces", "", "Of how many pieces."),
        |it| whole(it.reassembled_pieces),
    ),
    (
        counter(
            "hal2tp_set_duplicate_packets",
            "packets",
            "Copies that were not the first.",
        ),
        |it| whole(it.duplicates),
    ),
    (
        counter(
            "hal2tp_set_too_late_packets",
            "packets",
            "Copies that came after the window had gone on.",
        ),
        |it| whole(it.too_late),
    ),
    (
        counter(
            "hal2tp_set_unknown_epoch_packets",
            "packets",
            "Copies of a numbering that is not received.",
        ),
        |it| whole(it.unknown_epoch),
    ),
    (
        gauge(
            "hal2tp_set_saved_packets",
            "packets",
            "Packets that the best single link alone would not have delivered.",
        ),
        |it| whole(it.saved_packets),
    ),
    (
        gauge(
            "hal2tp_set_lost_packets",
            "packets",
            "Packets that no link delivered; taken back when one arrives later.",
        ),
        |it| whole(it.lost_packets),
    ),
    (
        gauge(
            "hal2tp_set_unknown_packets",
            "packets",
            "Packets of which it is not known whether a link delivered them.",
        ),
        |it| whole(it.unknown_packets),
    ),
    (
        gauge(
            "hal2tp_set_next_best_skew_seconds",
            "seconds",
            "How far the second quickest link is behind the first copies in 99 of 100 cases.",
        ),
        |it| seconds_of_us(it.next_best_skew_us?),
    ),
    (
        gauge("hal2tp_set_mtu_bytes", "bytes", "Largest inner packet."),
        |it| whole(it.mtu),
    ),
    (
        gauge(
            "hal2tp_set_order_hold_seconds",
            "seconds",
            "How long a missing packet is waited for now.",
        ),
        |it| seconds_of_us(it.ordering.as_ref()?.hold_us),
    ),
    (
        gauge(
            "hal2tp_set_order_waiting_packets",
            "packets",
            "Packets that wait now.",
        ),
        |it| of_order(it, |order| order.waiting_packets),
    ),
    (
        counter(
            "hal2tp_set_order_held_packets",
            "packets",
            "Packets that had to wait.",
        ),
        |it| of_order(it, |order| order.held_packets),
    ),
    (
        counter(
            "hal2tp_set_order_timed_out_gaps",
            "",
            "Gaps in the numbers that were not filled in time.",
        ),
        |it| of_order(it, |order| order.timed_out_gaps),
    ),
    (
        counter(
            "hal2tp_set_order_lost_gaps",
            "",
            "Gaps that every link had lost.",
        ),
        |it| of_order(it, |order| order.lost_gaps),
    ),
    (
        counter(
            "hal2tp_set_order_no_room_gaps",
            "",
            "Gaps that were given up because more waited than there was room for.",
        ),
        |it| of_order(it, |order| order.no_room_gaps),
    ),
    (
        counter(
            "hal2tp_set_order_late_packets",
            "packets",
            "Packets that came after their gap was given up, and were forwarded all the same.",
        ),
        |it| of_order(it, |order| order.late_packets),
    ),
];

pub(super) fn sets(writer: &mut Writer, moment: &Moment, site: &Site) {
    let named = |name: &str, remote: &str| Labels::of(&[("set", name), ("remote", remote)]);
    let sets = moment.status.sets.iter();
    let sets: Vec<(Labels, &Set)> = sets
        .map(|set| (named(&set.name, &set.remote), set))
        .collect();
    each(writer, &SETS, &sets);
    let verdicts = site.sets.iter();
    let verdicts: Vec<(Labels, Verdict)> = verdicts
        .map(|set| (named(&set.name, &set.remote), set.verdict))
        .collect();
    writer.family(
        &gauge("hal2tp_set_verdict", "", VERDICTS),
        verdicts
            .iter()
            .map(|(labels, verdict)| (labels, rank(*verdict))),
    );
}
