//! Everything that is counted, by name. Each worker writes counters of its own
//! with plain relaxed stores; readers add the workers up.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number written by one thread and read by any.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it. Only the one writing thread may call this.
    pub fn add(&self, amount: u64) {
        // Relaxed, and not a read-modify-write: there is one writer, and
        // readers want a recent value, not an order.
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    /// Raises it to `least` if it is lower. Only the one writing thread may call this.
    pub fn raise(&self, least: u64) {
        if self.0.load(Ordering::Relaxed) < least {
            self.0.store(least, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! drops {
    ($($(#[doc = $text:literal])+ $name:ident = $word:literal,)*) => {
        /// Why a frame was not forwarded. Every drop of the data plane has one of these names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Drop { $($(#[doc = $text])+ $name,)* }

        impl Drop {
            /// All reasons, in the order of their index.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name used in `status` and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What it means, for people: what is written above each of them.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($text),+).trim_ascii(),)* }
            }
        }
    };
}

drops! {
    /// The frame ends before the headers that it announces.
    Truncated = "truncated",
    /// A frame that the port could not hold whole.
    Oversized = "oversized",
    /// Not to our hardware address, nor broadcast.
    NotForUs = "not-for-us",
    /// An EtherType that is not carried.
    UnknownEtherType = "unknown-ether-type",
    /// A VLAN tag that is no logical port's, or a tag that stands for none behind another.
    UnknownVlan = "unknown-vlan",
    /// A frame of PPPoE's session stage to no session of ours, or not from its access concentrator.
    UnknownPppoeSession = "unknown-pppoe-session",
    /// Wrong version, type, code or length of PPPoE (RFC 2516, 4), or no PPP protocol in it.
    BadPppoe = "bad-pppoe",
    /// A frame for a logical port of PPPoE that is in no session.
    NoPppoeSession = "no-pppoe-session",
    /// Wrong version, header length, total length or header checksum (RFC 1812, 5.2.2).
    BadIpv4 = "bad-ipv4",
    /// Wrong version or lengths, or extension headers that cannot be, or are not
    /// to be taken by a host (RFC 8200, 3 and 4).
    BadIpv6 = "bad-ipv6",
    /// A message of neighbour discovery from beyond the link: its hop limit is not 255 (RFC 4861, 7.1).
    ForeignNeighbourDiscovery = "foreign-neighbour-discovery",
    /// A source or destination address of one link only, on the way to another (RFC 4291, 2.5.6).
    LinkLocal = "link-local",
    /// A source address that no packet may have (RFC 1812, 5.3.7; RFC 4291, 2.5 and 2.7).
    MartianSource = "martian-source",
    /// A destination address that no packet may be forwarded to (RFC 1812, 5.3.7; RFC 4291, 2.5).
    MartianDestination = "martian-destination",
    /// A fragment of a packet to us that can be none, or that does not fit the others.
    BadFragment = "bad-fragment",
    /// A fragment of a packet to us whose others did not come.
    FragmentTimeout = "fragment-timeout",
    /// A fragment of a packet to us, of too many that wait.
    FragmentsFull = "fragments-full",
    /// UDP length or checksum wrong, or no checksum over IPv6 (RFC 8200, 8.1).
    BadUdp = "bad-udp",
    /// The port has no interface.
    NoInterface = "no-interface",
    /// An ISP side does not forward.
    NotForwarding = "not-forwarding",
    /// No route leads to the destination.
    NoRoute = "no-route",
    /// The route to the destination says that nothing goes there.
    Blackhole = "blackhole",
    /// It has passed as many routers as it may (TTL, hop limit); ICMP told the sender.
    TtlExpired = "ttl-expired",
    /// Larger than what fits the way out, with DF set or over IPv6.
    FragmentationNeeded = "fragmentation-needed",
    /// Multicast or broadcast that is not for us.
    Multicast = "multicast",
    /// An L2TP header that cannot be right, or of another version (RFC 2661, 3.1).
    BadL2tp = "bad-l2tp",
    /// No session with these ids.
    UnknownSession = "unknown-session",
    /// A session's ids from somebody else's address.
    WrongPeer = "wrong-peer",
    /// IP before PPP was authenticated.
    NotAuthenticated = "not-authenticated",
    /// A data message with a sequence number that is not above those before it (RFC 2661, 5.4).
    OldSequence = "old-sequence",
    /// A PPP frame without a protocol.
    BadPpp = "bad-ppp",
    /// A numbered PPP frame of a protocol that is not carried in sets.
    UnknownPpp = "unknown-ppp",
    /// An HA header of another version, or of an unknown type or flag.
    BadHaHeader = "bad-ha-header",
    /// An HA header on a session that is in no set, or none on one that is.
    HaMismatch = "ha-mismatch",
    /// An epoch that is neither of the two known.
    UnknownEpoch = "unknown-epoch",
    /// A copy over a link that is masked for a drill.
    Masked = "masked",
    /// A copy of a number that was delivered.
    Duplicate = "duplicate",
    /// A piece that can be no part of a packet that is carried.
    BadPiece = "bad-piece",
    /// Pieces that make no packet together.
    BadReassembly = "bad-reassembly",
    /// Pieces of a packet whose others did not come.
    ReassemblyTimeout = "reassembly-timeout",
    /// Pieces that made room for newer ones.
    ReassemblyFull = "reassembly-full",
    /// The ring to another worker is full.
    HandOverFull = "hand-over-full",
    /// A number older than the window.
    TooLate = "too-late",
    /// No live member in the set.
    NoMember = "no-member",
    /// A copy for a link that carries less than a set needs of its links.
    LinkTooSmall = "link-too-small",
    /// The port's link is down.
    PortDown = "port-down",
    /// More than the link's `speed`: this link's copies only.
    OverSpeed = "over-speed",
    /// The TX ring is full: this uplink's copies only.
    TxRingFull = "tx-ring-full",
    /// No buffer was left to copy into.
    NoBuffer = "no-buffer",
    /// More for the control thread than the port may send it.
    PuntPoliced = "punt-policed",
    /// The ring to the control thread is full.
    PuntRingFull = "punt-ring-full",
}

/// One counter for each [`Drop`].
#[derive(Debug)]
pub struct Drops([Counter; Drop::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Drops {
    pub fn add(&self, reason: Drop, amount: u64) {
        self.0[reason as usize].add(amount);
    }

    pub fn read(&self, reason: Drop) -> u64 {
        self.0[reason as usize].read()
    }
}

/// What one worker did with one session (one link of a set). What each packet counts is in one
/// cache line, which has nothing of other workers.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct SessionCounters {
    /// Data packets handed to the link's TX ring (for a set: copies). Octets,
    /// here and in [`SetCounters`], are those of the inner packets.
    pub sent_packets: Counter,
    pub sent_octets: Counter,
    /// Copies that never left: TX ring full, port down, neighbour unknown, no buffer.
    pub send_dropped_packets: Counter,
    /// Data packets that arrived with everything right but the number not yet looked at.
    pub received_packets: Counter,
    pub received_octets: Counter,
    /// Copies that were the first of their number.
    pub wins: Counter,
    pub duplicates: Counter,
    pub too_late: Counter,
    /// Copies that the link's `speed` had no room for.
    pub over_speed_packets: Counter,
    pub unknown_epoch: Counter,
    /// The peer's LCP Echo-Requests that were answered without the control thread.
    pub echoes_answered: Counter,
    /// Times that the peer began its sequence numbers anew.
    pub sequence_restarts: Counter,
    /// Good data from an address that is not the peer's.
    pub peer_moved_packets: Counter,
}

/// What the owner of a set did to put its packets into order.
#[derive(Debug, Default)]
pub struct OrderingCounters {
    /// Packets that had to wait for those before them, and those of them that left since.
    pub held_packets: Counter,
    pub released_packets: Counter,
    /// The most that waited at a time.
    pub most_held_packets: Counter,
    /// How long those that left had waited, all together, µs.
    pub held_us: Counter,
    /// Gaps that were given up: their time was up; every link had brought a
    /// higher number; more waited than there was room for.
    pub timed_out_gaps: Counter,
    pub passed_gaps: Counter,
    pub no_room_gaps: Counter,
    /// Packets that came when a higher number had left, and left at once.
    pub late_packets: Counter,
}

/// What one worker did with one set. What each packet counts is in one cache line, which has
/// nothing of other workers.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct SetCounters {
    /// Inner packets that were numbered and sent.
    pub sent_packets: Counter,
    pub sent_octets: Counter,
    /// Inner packets delivered (first copies, and what was put together of them).
    pub delivered_packets: Counter,
    pub delivered_octets: Counter,
    /// Copies eliminated here.
    pub duplicates: Counter,
    pub too_late: Counter,
    /// Of those sent, the ones that were cut, and the pieces that they were sent in.
    pub split_packets: Counter,
    pub split_pieces: Counter,
    /// Of those delivered, the ones that were put together, and the pieces that they came in.
    pub reassembled_packets: Counter,
    pub reassembled_pieces: Counter,
    pub ordering: OrderingCounters,
}

/// What one worker did on one port.
#[derive(Debug, Default)]
pub struct PortCounters {
    pub received_packets: Counter,
    pub received_octets: Counter,
    pub sent_packets: Counter,
    pub sent_octets: Counter,
    /// Of what came in by the port, handed to the control thread as an event; not counting the
    /// packets that a drop is explained with (ICMP).
    pub punted_packets: Counter,
    /// Packets to us that were put together, and the fragments that they came in.
    pub reassembled_packets: Counter,
    pub reassembled_fragments: Counter,
    pub drops: Drops,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_word_and_a_meaning_of_its_own() {
        let words: HashSet<_> = Drop::ALL.iter().map(|it| it.name()).collect();
        let meanings: HashSet<_> = Drop::ALL.iter().map(|it| it.meaning()).collect();
        assert_eq!(words.len(), Drop::ALL.len());
        assert_eq!(meanings.len(), Drop::ALL.len());
        for meaning in meanings {
            assert!(meaning.len() > 15 && meaning.ends_with('.'), "{meaning:?}");
            assert!(meaning.starts_with(char::is_uppercase), "{meaning:?}");
            assert!(!meaning.contains("  "), "{meaning:?}");
        }
    }
}
