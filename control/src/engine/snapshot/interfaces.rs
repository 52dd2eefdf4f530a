//! The interfaces in `status`: what each has, who gave it, and until when.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::addressing::Assignment;
use crate::engine::interfaces::{Gateway, InterfaceState, OwnAddress, interface_id};
use crate::engine::snapshot::round_trip;
use crate::engine::uplink::{GivenBy, Uplink};
use crate::engine::{Engine, display_mac};
use crate::host::NeighbourState;
use crate::management::status::{Client, Given, Interface, Line, Router};

impl Engine {
    pub(super) fn interface_lines(&self, now: Duration) -> Vec<Interface> {
        let places = 0..self.interfaces.len();
        places
            .map(|place| self.interface_line(now, place))
            .collect()
    }

    fn interface_line(&self, now: Duration, place: usize) -> Interface {
        let config = &self.config.interfaces[place];
        let state = &self.interfaces[place];
        let uplink = &state.uplink;
        Interface {
            name: config.name.clone(),
            port: self.config.ports[config.port].name.clone(),
            vlan: config.vlan,
            table: config.table,
            addresses: self
                .interface_addresses(place)
                .iter()
                .map(|(own, length)| format!("{own}/{length}"))
                .collect(),
            gateways: state.gateways.iter().map(|it| it.address).collect(),
            mtu: state.mtu,
            forward: config.forward,
            given: state.addresses.iter().map(|own| given(now, own)).collect(),
            routers: state
                .gateways
                .iter()
                .map(|gateway| self.router(now, place, gateway))
                .collect(),
            delegated: delegated(now, state),
            clients: clients(now, uplink),
            pppoe: line(uplink),
            unasked_packets: state.unasked,
            dhcp_relay: uplink
                .relay
                .as_ref()
                .map(|relay| counters(relay.counters()))
                .unwrap_or_default(),
            router_advertisements: uplink
                .advertiser
                .as_ref()
                .map(|advertiser| counters(advertiser.counters()))
                .unwrap_or_default(),
        }
    }

    fn router(&self, now: Duration, place: usize, gateway: &Gateway) -> Router {
        let state = self.neighbours.state(interface_id(place), gateway.address);
        Router {
            address: gateway.address.to_string(),
            from: gateway.given_by.word().to_owned(),
            valid_s: left_s(now, gateway.valid_until),
            answers: state.map(|state| state != NeighbourState::Incomplete),
        }
    }
}

fn left_s(now: Duration, until: Option<Duration>) -> Option<u64> {
    until.map(|until| until.saturating_sub(now).as_secs())
}

fn given(now: Duration, own: &OwnAddress) -> Given {
    Given {
        address: format!("{}/{}", own.address, own.prefix_length),
        from: own.given_by.word().to_owned(),
        preferred_s: left_s(now, own.preferred_until),
        valid_s: left_s(now, own.valid_until),
    }
}

fn delegated(now: Duration, state: &InterfaceState) -> Vec<Given> {
    let networks = state.uplink.delegated();
    networks
        .map(|network| Given {
            address: network.prefix.to_string(),
            from: GivenBy::Dhcpv6.word().to_owned(),
            preferred_s: left_s(now, network.preferred_until),
            valid_s: left_s(now, network.valid_until),
        })
        .collect()
}

fn clients(now: Duration, uplink: &Uplink) -> BTreeMap<String, Client> {
    let of = |assignment: &Assignment| Client {
        server: assignment.server,
        name_servers: assignment.name_servers.clone(),
        ..Client::default()
    };
    let dhcp = uplink.dhcp.as_ref().map(|client| Client {
        state: Some(client.state().to_string()),
        renewal_s: left_s(now, client.renewal()),
        counters: counters(client.counters()),
        ..of(client.assignment())
    });
    let routers = uplink.routers.as_ref().map(|client| Client {
        managed: Some(client.managed()),
        other: Some(client.other()),
        counters: counters(client.counters()),
        ..of(client.assignment())
    });
    let dhcpv6 = uplink.dhcpv6.as_ref().map(|client| Client {
        state: Some(client.state().to_string()),
        renewal_s: left_s(now, client.renewal()),
        counters: counters(client.counters()),
        ..of(client.assignment())
    });
    let named = |given_by: GivenBy| move |client| (given_by.word().to_owned(), client);
    [
        dhcp.map(named(GivenBy::Dhcp)),
        routers.map(named(GivenBy::RouterAdvertisement)),
        dhcpv6.map(named(GivenBy::Dhcpv6)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn line(uplink: &Uplink) -> Option<Line> {
    let client = uplink.pppoe.as_ref()?;
    let concentrator = client.concentrator();
    let echo = client.echo_statistics().unwrap_or_default();
    Some(Line {
        state: client.state().to_string(),
        access_concentrator: concentrator.map(|it| it.name.clone()),
        mac: concentrator.map(|it| display_mac(it.mac)),
        session_id: concentrator.map(|it| it.session),
        last_error: client.last_error().map(str::to_owned),
        name_servers: client.assignment().name_servers.clone(),
        echo_sent: echo.sent,
        echo_lost: echo.lost,
        round_trip: round_trip(&echo),
        counters: counters(client.counters()),
    })
}

/// The fields of a struct of counters by name, without those that are 0.
pub(super) fn counters(of: &impl Serialize) -> BTreeMap<String, u64> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(of) else {
        return BTreeMap::new();
    };
    let counts = fields.into_iter();
    counts
        .filter_map(|(name, count)| Some((name, count.as_u64()?)))
        .filter(|&(_, count)| count > 0)
        .collect()
}
