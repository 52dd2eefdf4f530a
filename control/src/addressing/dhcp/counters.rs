//! What a client has sent and received, and what it made nothing of.

use serde::Serialize;

/// Why a packet has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    OtherHardware,
    OtherClientId,
    NoServerId,
    OtherTransaction,
    Unexpected,
    OtherServer,
    OtherAddress,
    BadAddress,
    BadMask,
    NoLeaseTime,
    Late,
}

/// What a client has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DhcpCounters {
    pub sent_discover: u64,
    pub sent_request: u64,
    pub sent_decline: u64,
    pub sent_release: u64,

    /// Of our transaction, with effect or without.
    pub received_offer: u64,
    pub received_ack: u64,
    pub received_nak: u64,

    /// Naks that took our address, or the one that was asked for.
    pub naks: u64,
    /// Addresses that somebody else had.
    pub declined: u64,
    /// Leases that ran out.
    pub expired: u64,

    /// No whole UDP packet to port 68 with right checksums, or no DHCP of a server in it.
    pub malformed: u64,
    /// For another hardware address.
    pub other_hardware: u64,
    /// For another client identifier (RFC 6842).
    pub other_client_id: u64,
    /// Without a server identifier, or with one that no server can have.
    pub no_server_id: u64,
    /// For another transaction: old, or forged.
    pub other_transaction: u64,
    /// Not what this state waits for: copies, and offers besides the first.
    pub unexpected: u64,
    /// Not from the server that was asked.
    pub other_server: u64,
    /// Acks of an address that was not asked for.
    pub other_address: u64,
    /// No station can have the address.
    pub bad_address: u64,
    /// Without a subnet mask, or with one that is none.
    pub bad_mask: u64,
    /// Without a lease time, or with none of it.
    pub no_lease_time: u64,
    /// Acks of a lease that is over already, counted from when it was asked for.
    pub late: u64,

    /// Interface MTUs below 576, not used; the rest of the message is.
    pub bad_mtu: u64,
    /// Classless routes that cannot be read, not used; the rest of the message is.
    pub bad_routes: u64,
}

impl DhcpCounters {
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::Malformed => &mut self.malformed,
            Refusal::OtherHardware => &mut self.other_hardware,
            Refusal::OtherClientId => &mut self.other_client_id,
            Refusal::NoServerId => &mut self.no_server_id,
            Refusal::OtherTransaction => &mut self.other_transaction,
            Refusal::Unexpected => &mut self.unexpected,
            Refusal::OtherServer => &mut self.other_server,
            Refusal::OtherAddress => &mut self.other_address,
            Refusal::BadAddress => &mut self.bad_address,
            Refusal::BadMask => &mut self.bad_mask,
            Refusal::NoLeaseTime => &mut self.no_lease_time,
            Refusal::Late => &mut self.late,
        };
        *counter += 1;
    }
}
