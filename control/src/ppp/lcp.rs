//! LCP's options (RFC 1661 6, RFC 1662 7.1).
use rand::Rng;
use rand::rngs::StdRng;

use super::layer::{DEFAULT_MRU, Negotiator, Verdict};
use super::option::{self, ConfigOption};
use super::packet::{code, protocol};
use super::{AuthProtocol, CloseReason, LowerLayer};

const MRU: u8 = 1;
const ASYNC_CONTROL_CHARACTER_MAP: u8 = 2;
const AUTHENTICATION_PROTOCOL: u8 = 3;
const MAGIC_NUMBER: u8 = 5;
const PROTOCOL_FIELD_COMPRESSION: u8 = 7;
const ADDRESS_AND_CONTROL_FIELD_COMPRESSION: u8 = 8;

/// The options that we know what to do with, whoever asked for them.
const KNOWN: [u8; 6] = [
    MRU,
    ASYNC_CONTROL_CHARACTER_MAP,
    AUTHENTICATION_PROTOCOL,
    MAGIC_NUMBER,
    PROTOCOL_FIELD_COMPRESSION,
    ADDRESS_AND_CONTROL_FIELD_COMPRESSION,
];

/// A smaller MRU than this is not asked for by anything in its right mind.
const MIN_MRU: u16 = 128;

/// So many requests in a row with our own magic number are our own: by chance
/// it happens once in 2^96.
const LOOPED_REQUESTS: u32 = 3;

/// The Authentication-Protocol option's data (RFC 1334 2.1, RFC 1994 3, RFC 2759 3).
const fn authentication_data(protocol: AuthProtocol) -> &'static [u8] {
    match protocol {
        AuthProtocol::Chap => &[0xc2, 0x23, 5],
        AuthProtocol::MsChapV2 => &[0xc2, 0x23, 0x81],
        AuthProtocol::Pap => &[0xc0, 0x23],
    }
}

fn authentication_protocol(data: &[u8]) -> Option<AuthProtocol> {
    AuthProtocol::ALL
        .into_iter()
        .find(|p| authentication_data(*p) == data)
}

/// What the peer asked for and we acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PeerOptions {
    pub(super) mru: u16,
    /// The peer's magic number, 0 without one.
    pub(super) magic: u32,
    /// How the peer wants us to authenticate ourselves.
    pub(super) authentication: Option<AuthProtocol>,
}

const PEER_DEFAULTS: PeerOptions = PeerOptions {
    mru: DEFAULT_MRU,
    magic: 0,
    authentication: None,
};

/// What a LAC asked for in our name.
struct Told {
    mru: Option<u16>,
    /// 0 without one.
    magic: u32,
    authentication: Option<AuthProtocol>,
}

impl Told {
    fn read(sent: &[ConfigOption<'_>]) -> Result<Self, &'static str> {
        let mut told = Self {
            mru: None,
            magic: 0,
            authentication: None,
        };
        for option in sent {
            match (option.kind, option.data) {
                (MRU, [high, low]) => told.mru = Some(u16::from_be_bytes([*high, *low])),
                (MRU, _) => return Err("its MRU has not two octets"),
                (MAGIC_NUMBER, data) => {
                    let octets = <[u8; 4]>::try_from(data);
                    let octets = octets.map_err(|_| "its magic number has not four octets")?;
                    told.magic = u32::from_be_bytes(octets);
                }
                (AUTHENTICATION_PROTOCOL, data) => {
                    told.authentication = authentication_protocol(data);
                }
                _ => {}
            }
        }
        Ok(told)
    }
}

/// Whether this is an MRU that something fits into.
fn is_mru(data: &[u8]) -> bool {
    matches!(data, [high, low] if u16::from_be_bytes([*high, *low]) >= MIN_MRU)
}

/// LCP's side of the negotiation.
pub(super) struct Lcp {
    lower_layer: LowerLayer,
    configured_mru: u16,
    /// What we demand of the peer, best first; empty when we demand nothing.
    demanded: Vec<AuthProtocol>,
    /// How we authenticate ourselves to whoever asks, best first; empty when
    /// we do not.
    offered: Vec<AuthProtocol>,
    /// Magic numbers are not looked at.
    ignore_magic: bool,
    rng: StdRng,
    mru: Option<u16>,
    /// Our magic number, 0 once the peer rejected the option.
    magic: u32,
    /// Which of `demanded` we ask for.
    offer: usize,
    looped: u32,
    peer: PeerOptions,
    failure: Option<CloseReason>,
}

impl Lcp {
    pub(super) fn new(
        lower_layer: LowerLayer,
        mru: u16,
        demanded: Vec<AuthProtocol>,
        offered: Vec<AuthProtocol>,
        ignore_magic: bool,
        rng: StdRng,
    ) -> Self {
        let mut lcp = Self {
            lower_layer,
            configured_mru: mru.max(MIN_MRU),
            demanded,
            offered,
            ignore_magic,
            rng,
            mru: None,
            magic: 0,
            offer: 0,
            looped: 0,
            peer: PEER_DEFAULTS,
            failure: None,
        };
        lcp.restart();
        lcp
    }

    pub(super) fn peer(&self) -> PeerOptions {
        self.peer
    }

    pub(super) fn magic(&self) -> u32 {
        self.magic
    }

    /// How the peer is to authenticate itself.
    pub(super) fn demanded(&self) -> Option<AuthProtocol> {
        self.demanded.get(self.offer).copied()
    }

    /// Whether a packet that begins with this magic number is one of our own
    /// that came back (RFC 1661 6.4).
    pub(super) fn is_ours(&self, data: &[u8]) -> bool {
        let known = self.magic != 0 && !self.ignore_magic;
        known && data.starts_with(&self.magic.to_be_bytes())
    }

    /// Takes over what another has negotiated with the peer for us (RFC 2661
    /// 4.4.5): `sent` is its last request, `received` the peer's. Says what is
    /// wrong with them, and then has taken nothing.
    ///
    /// What is not there, the MRU or the magic number, is no fault; nor is
    /// compression, which costs us nothing. Only who is `strict` finds fault
    /// with another MRU than ours and with options that we do not know.
    pub(super) fn adopt(
        &mut self,
        sent: &[ConfigOption<'_>],
        received: &[ConfigOption<'_>],
        strict: bool,
    ) -> Result<(), &'static str> {
        let told = Told::read(sent)?;
        let offer = told
            .authentication
            .and_then(|told| self.demanded.iter().position(|ours| *ours == told))
            .ok_or("it asked for no authentication that is ours to ask for")?;
        for option in received {
            match (option.kind, option.data) {
                (MRU, data) if !is_mru(data) => {
                    return Err("it granted an MRU that nothing fits into");
                }
                (MAGIC_NUMBER, data)
                    if !self.ignore_magic
                        && told.magic != 0
                        && data == told.magic.to_be_bytes() =>
                {
                    return Err("both ends have one magic number");
                }
                _ => {}
            }
        }
        if strict {
            self.check_agreement(&told, sent, received)?;
        }
        (self.mru, self.magic, self.offer) = (told.mru, told.magic, offer);
        self.acknowledged(received);
        Ok(())
    }

    fn check_agreement(
        &mut self,
        told: &Told,
        sent: &[ConfigOption<'_>],
        received: &[ConfigOption<'_>],
    ) -> Result<(), &'static str> {
        if told.mru.is_some_and(|mru| mru != self.configured_mru) {
            return Err("its MRU is not ours");
        }
        if !sent.iter().all(|option| KNOWN.contains(&option.kind)) {
            return Err("it asked for what we do not know");
        }
        let granted = |option: &ConfigOption<'_>| match option.kind {
            MAGIC_NUMBER => option.data.len() == 4,
            _ => self.judge(option) == Verdict::Ack,
        };
        if !received.iter().all(granted) {
            return Err("it granted what we would not");
        }
        Ok(())
    }

    /// Why the link cannot be opened, if it turned out so.
    pub(super) fn take_failure(&mut self) -> Option<CloseReason> {
        self.failure.take()
    }

    /// A number that is neither 0 nor `other`.
    fn new_magic(&mut self, other: u32) -> u32 {
        loop {
            let magic = self.rng.random();
            if magic != 0 && magic != other {
                return magic;
            }
        }
    }

    fn judge_magic(&mut self, data: &[u8]) -> Verdict {
        let Ok(theirs) = <[u8; 4]>::try_from(data).map(u32::from_be_bytes) else {
            return Verdict::Nak(self.new_magic(self.magic).to_be_bytes().to_vec());
        };
        if self.ignore_magic || ![0, self.magic].contains(&theirs) {
            self.looped = 0;
            return Verdict::Ack;
        }
        if theirs == 0 {
            return Verdict::Nak(self.new_magic(self.magic).to_be_bytes().to_vec());
        }
        // RFC 1661 6.4: perhaps our own request came back.
        self.looped += 1;
        if self.looped >= LOOPED_REQUESTS {
            self.failure = Some(CloseReason::LoopedBack);
        }
        Verdict::Nak(self.new_magic(self.magic).to_be_bytes().to_vec())
    }

    fn judge_authentication(&self, data: &[u8]) -> Verdict {
        let Some(best) = self.offered.first() else {
            return Verdict::Reject;
        };
        match authentication_protocol(data) {
            Some(asked) if self.offered.contains(&asked) => Verdict::Ack,
            _ => Verdict::Nak(authentication_data(*best).to_vec()),
        }
    }

    /// The peer will not do what we ask for: the next of our list, or the one
    /// it names if it comes later. Never none at all.
    fn offer_another(&mut self, named: Option<AuthProtocol>) {
        let next = self.offer + 1;
        let left = self.demanded.get(next..).unwrap_or_default();
        let wanted = left
            .iter()
            .position(|protocol| Some(*protocol) == named)
            .unwrap_or(0);
        match Some(next + wanted).filter(|offer| *offer < self.demanded.len()) {
            Some(offer) => self.offer = offer,
            None => self.failure = Some(CloseReason::AuthenticationRefused),
        }
    }
}

impl Negotiator for Lcp {
    const PROTOCOL: u16 = protocol::LCP;
    const LAST_CODE: u8 = code::TIME_REMAINING;
    // Authentication begins after the last Configure-Ack.
    const UP_FIRST: bool = false;

    fn request(&self) -> Vec<u8> {
        let mut options = Vec::new();
        if let Some(mru) = self.mru {
            option::push(&mut options, MRU, &mru.to_be_bytes());
        }
        if let Some(protocol) = self.demanded() {
            option::push(
                &mut options,
                AUTHENTICATION_PROTOCOL,
                authentication_data(protocol),
            );
        }
        if self.magic != 0 {
            option::push(&mut options, MAGIC_NUMBER, &self.magic.to_be_bytes());
        }
        options
    }

    fn judge(&mut self, option: &ConfigOption<'_>) -> Verdict {
        match (option.kind, option.data) {
            (MRU, data) if is_mru(data) => Verdict::Ack,
            (MRU, _) => Verdict::Nak(DEFAULT_MRU.to_be_bytes().to_vec()),
            (AUTHENTICATION_PROTOCOL, data) => self.judge_authentication(data),
            (MAGIC_NUMBER, data) => self.judge_magic(data),
            // RFC 2516 7: must be rejected; compressed protocols are not recommended.
            (
                ASYNC_CONTROL_CHARACTER_MAP
                | PROTOCOL_FIELD_COMPRESSION
                | ADDRESS_AND_CONTROL_FIELD_COMPRESSION,
                _,
            ) if self.lower_layer == LowerLayer::Pppoe => Verdict::Reject,
            // Nothing is escaped on this link, and both forms of the fields
            // are received: whatever the peer wishes is granted.
            (ASYNC_CONTROL_CHARACTER_MAP, [_, _, _, _]) => Verdict::Ack,
            (ASYNC_CONTROL_CHARACTER_MAP, _) => Verdict::Nak(vec![0; 4]),
            (PROTOCOL_FIELD_COMPRESSION | ADDRESS_AND_CONTROL_FIELD_COMPRESSION, []) => {
                Verdict::Ack
            }
            // A Nak of a boolean is a Reject (RFC 1661 5.3), as is anything unknown.
            _ => Verdict::Reject,
        }
    }

    fn missing(&self, _: &[ConfigOption<'_>]) -> Vec<u8> {
        Vec::new()
    }

    fn acknowledged(&mut self, options: &[ConfigOption<'_>]) {
        self.peer = PEER_DEFAULTS;
        for option in options {
            match (option.kind, option.data) {
                (MRU, [high, low]) => self.peer.mru = u16::from_be_bytes([*high, *low]),
                (MAGIC_NUMBER, data) => {
                    self.peer.magic = data.try_into().map_or(0, u32::from_be_bytes);
                }
                (AUTHENTICATION_PROTOCOL, data) => {
                    self.peer.authentication = authentication_protocol(data);
                }
                _ => {}
            }
        }
    }

    fn naked(&mut self, options: &[ConfigOption<'_>]) {
        for option in options {
            match (option.kind, option.data) {
                (MRU, [high, low]) if self.mru.is_some() => {
                    let asked = u16::from_be_bytes([*high, *low]);
                    self.mru = Some(asked.clamp(MIN_MRU, self.configured_mru));
                }
                (AUTHENTICATION_PROTOCOL, data) if !self.demanded.is_empty() => {
                    self.offer_another(authentication_protocol(data));
                }
                (MAGIC_NUMBER, _) if self.magic != 0 => self.magic = self.new_magic(self.magic),
                _ => {}
            }
        }
    }

    fn rejected(&mut self, options: &[ConfigOption<'_>]) {
        for option in options {
            match option.kind {
                MRU => self.mru = None,
                AUTHENTICATION_PROTOCOL => self.offer_another(None),
                MAGIC_NUMBER => self.magic = 0,
                _ => {}
            }
        }
    }

    fn restart(&mut self) {
        let goes_without_saying =
            self.configured_mru == DEFAULT_MRU && self.lower_layer == LowerLayer::L2tp;
        self.mru = (!goes_without_saying).then_some(self.configured_mru);
        self.magic = self.new_magic(self.magic);
        self.offer = 0;
        self.looped = 0;
        self.peer = PEER_DEFAULTS;
    }

    fn echo_reply(&self, request: &[u8]) -> Vec<u8> {
        let mut data = self.magic.to_be_bytes().to_vec();
        data.extend_from_slice(request.get(4..).unwrap_or_default());
        data
    }
}
