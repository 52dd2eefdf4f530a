//! An interface: its addresses, who gave each, and until when.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::RoundTrip;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Interface {
    pub name: String,
    pub port: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    pub table: u32,
    /// Own addresses with prefix length, the link-local one of IPv6 last.
    pub addresses: Vec<String>,
    /// Where the default routes lead, one of each family at most.
    pub gateways: Vec<IpAddr>,
    pub mtu: u16,
    pub forward: bool,
    /// The own addresses without the link-local one, and who gave each.
    pub given: Vec<Given>,
    /// The same of the gateways.
    pub routers: Vec<Router>,
    /// Networks that were delegated to this interface, for others.
    pub delegated: Vec<Given>,
    /// The clients that ask for addresses here, by the word in the file: `dhcp`,
    /// `ra`, `dhcpv6`.
    pub clients: BTreeMap<String, Client>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pppoe: Option<Line>,
    /// Packets of DHCP that nobody here waits for: of a LAN's hosts where there is no
    /// `dhcp-relay`, of servers where there is no client.
    pub unasked_packets: u64,
    /// What was passed on between hosts here and DHCP servers, and what was not.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dhcp_relay: BTreeMap<String, u64>,
    /// What was said to the hosts here by router advertisements.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub router_advertisements: BTreeMap<String, u64>,
}

/// An address or a network, and who gave it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Given {
    /// With its prefix length.
    pub address: String,
    /// `configuration`, `dhcp`, `ra`, `dhcpv6`, `delegated` or `pppoe`.
    pub from: String,
    /// New tunnels are set up from it for so long; for ever when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_s: Option<u64>,
    /// It is ours for so long; for ever when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_s: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Router {
    pub address: String,
    /// As in [`Given::from`].
    pub from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_s: Option<u64>,
    /// Whether it answered when its hardware address was last asked for; not known
    /// before anything was to be sent to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<bool>,
}

/// Who asks for addresses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Client {
    /// Of DHCP and DHCPv6 that of their RFCs, as `bound`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Who gave what there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<IpAddr>,
    /// What was given is renewed in so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewal_s: Option<u64>,
    pub name_servers: Vec<IpAddr>,
    /// Of `ra`: whether a default router says that addresses are to be had by DHCPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<bool>,
    /// Of `ra`: whether one says that other information is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<bool>,
    /// What was sent and received, and why it had no effect; what is 0 is left out.
    pub counters: BTreeMap<String, u64>,
}

/// A PPPoE line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Line {
    /// `idle`, `discovering`, `requesting`, `negotiating` or `open`.
    pub state: String,
    /// What the concentrator calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_concentrator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u16>,
    /// Why it was down last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    pub name_servers: Vec<IpAddr>,
    /// Of this session's LCP echoes.
    pub echo_sent: u64,
    pub echo_lost: u64,
    pub round_trip: RoundTrip,
    /// As in [`Client::counters`].
    pub counters: BTreeMap<String, u64>,
}
