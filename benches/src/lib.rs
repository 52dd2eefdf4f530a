//! Test equipment of hal2tp: what stands around two appliances when they are shown or tested on one machine.
//!
//! - [`frame_socket`], [`wan`]: the emulator (binary `wan`), which carries Ethernet frames between two Linux interfaces.
//!   What it does to them is the crate `wan-model`.
//! - [`lab`]: two sites with their LAN hosts and uplinks in network namespaces, and everything that can be done to them.
//! - [`guest`]: a kernel with PPP; [`concentrator`]: an access concentrator of others' making in it.
//! - [`dhcp_server`]: a DHCP server of others' making; [`ipv6_isp`]: an ISP's IPv6.
//! - [`traffic`], [`transfer`], [`ping`], [`iperf`]: what the LAN hosts send each other, and what arrived; [`snmp`]: what
//!   their kernels counted.
//! - [`junk`], [`flood`]: what strangers send, and how much of it they get answered.
//! - [`mod@line`]: an appliance and its peers at two ends of one veth; [`usage`]: what memory and CPU time a process takes;
//!   [`scale`]: what programs print that measure an appliance with thousands of peers.
//! - [`figure`], [`histogram`], [`plot`], [`report`], [`marks`]: what was measured, in numbers, pictures and documents;
//!   [`machine`]: on what.
//! - [`testpmd`]: DPDK's own, as a yardstick and as source and sink.
//!
//! It knows nothing of how an appliance works inside: it starts one, reads its status and looks at frames.

#![forbid(unsafe_code)]

pub mod concentrator;
pub mod dhcp_server;
pub mod emulator;
pub mod figure;
pub mod flood;
pub mod frame_socket;
pub mod guest;
pub mod histogram;
pub mod iperf;
pub mod ipv6_isp;
pub mod junk;
pub mod lab;
pub mod line;
pub mod machine;
pub mod marks;
pub mod netns;
pub mod ping;
pub mod plot;
pub mod process;
pub mod report;
pub mod scale;
pub mod snmp;
pub mod status;
pub mod testpmd;
pub mod traffic;
pub mod transfer;
pub mod usage;
pub mod wan;
