//! Control messages (RFC 2661 sections 3.2 and 6): which AVPs each needs, and
//! what a bad one is answered with.

use super::avp::{Attribute, AvpError, IETF, RawAvps, Unhiding, VendorAvp, attribute_name};
use super::code::{ErrorCode, StopResult, TunnelClose};

/// The most AVPs a message may carry before it counts as malformed; twice
/// what the largest message of RFC 2661 has.
const MAX_AVPS: usize = 64;

macro_rules! message_types {
    ($($code:literal $variant:ident $name:literal [$($required:literal)*];)*) => {
        /// The type of a control message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum MessageType {
            $(#[doc = $name] $variant,)*
        }

        impl MessageType {
            /// Every message type of RFC 2661.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            #[must_use]
            pub const fn of_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            #[must_use]
            pub const fn code(self) -> u16 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The RFC's abbreviation.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Attribute types the message must carry besides Message Type.
            #[must_use]
            pub const fn required(self) -> &'static [u16] {
                match self {
                    $(Self::$variant => &[$($required),*],)*
                }
            }
        }
    };
}

message_types! {
    1 Sccrq "SCCRQ" [2 7 3 9];
    2 Sccrp "SCCRP" [2 3 7 9];
    3 Scccn "SCCCN" [];
    4 StopCcn "StopCCN" [9 1];
    6 Hello "HELLO" [];
    7 Ocrq "OCRQ" [14 15 16 17 18 19 21];
    8 Ocrp "OCRP" [14];
    9 Occn "OCCN" [24 19];
    10 Icrq "ICRQ" [14 15];
    11 Icrp "ICRP" [14];
    12 Iccn "ICCN" [24 19];
    14 Cdn "CDN" [1 14];
    15 Wen "WEN" [34];
    16 Sli "SLI" [35];
}

impl MessageType {
    /// Whether the message belongs to a session, so that an error in it
    /// clears the session and not the tunnel.
    #[must_use]
    pub const fn is_of_session(self) -> bool {
        self.code() >= Self::Ocrq.code()
    }

    /// Messages whose assigned id the peer is to use from now on: 0 is invalid.
    const fn assigns_id(self) -> bool {
        matches!(
            self,
            Self::Sccrq | Self::Sccrp | Self::Ocrq | Self::Ocrp | Self::Icrq | Self::Icrp
        )
    }
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageError {
    /// The first AVP is no readable Message Type.
    NoMessageType,
    /// An unknown message type; cleared with M, ignored without
    /// (RFC 2661 section 4.4.1).
    UnknownType { code: u16, mandatory: bool },
    /// A broken frame, or a bad AVP with M = 1.
    Avp(AvpError),
    /// An AVP the message needs is missing, or was bad and had M = 0.
    Missing { message: &'static str, kind: u16 },
    /// More AVPs than any message has.
    TooManyAvps,
}

impl core::fmt::Display for MessageError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoMessageType => formatter.write_str("first AVP is not Message Type"),
            Self::UnknownType { code, .. } => write!(formatter, "unknown message type {code}"),
            Self::Avp(error) => error.fmt(formatter),
            Self::Missing { message, kind } => {
                write!(formatter, "{message} without {} AVP", attribute_name(*kind))
            }
            Self::TooManyAvps => formatter.write_str("too many AVPs"),
        }
    }
}

impl core::error::Error for MessageError {}

impl MessageError {
    /// The error code a StopCCN or CDN names this with (RFC 2661 section 4.4.2).
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::UnknownType { .. } => ErrorCode::UNKNOWN_AVP,
            Self::Avp(error) => match error {
                AvpError::Truncated | AvpError::Length { .. } | AvpError::ValueLength { .. } => {
                    ErrorCode::LENGTH
                }
                AvpError::ValueRange { .. } | AvpError::HiddenForbidden { .. } => ErrorCode::VALUE,
                AvpError::Unrecognised { .. } | AvpError::Unreadable { .. } => {
                    ErrorCode::UNKNOWN_AVP
                }
            },
            Self::NoMessageType | Self::Missing { .. } => ErrorCode::VALUE,
            Self::TooManyAvps => ErrorCode::NO_RESOURCES,
        }
    }

    /// The StopCCN that answers this error.
    #[must_use]
    pub fn stop(&self) -> TunnelClose {
        TunnelClose::new(StopResult::ERROR, self.error_code(), &self.to_string())
    }
}

/// A message that could not be used, and what of it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadMessage {
    pub error: MessageError,
    pub kind: Option<MessageType>,
    /// What could be read before and after the bad AVP.
    pub readable: Vec<Attribute>,
}

/// A whole, valid control message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    kind: MessageType,
    /// All but Message Type and Random Vector, in order.
    attributes: Vec<Attribute>,
    vendor_avps: Vec<VendorAvp>,
}

/// The first value of one attribute.
macro_rules! value_of {
    ($attributes:expr, $variant:ident) => {
        $attributes.iter().find_map(|attribute| match attribute {
            $crate::l2tp::avp::Attribute::$variant(value) => Some(value),
            _ => None,
        })
    };
}
pub(super) use value_of;

impl Message {
    /// A message to send.
    #[must_use]
    pub const fn new(
        kind: MessageType,
        attributes: Vec<Attribute>,
        vendor_avps: Vec<VendorAvp>,
    ) -> Self {
        Self {
            kind,
            attributes,
            vendor_avps,
        }
    }

    #[must_use]
    pub const fn kind(&self) -> MessageType {
        self.kind
    }

    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// AVPs of vendors other than the IETF, with M = 0 and not hidden.
    #[must_use]
    pub fn vendor_avps(&self) -> &[VendorAvp] {
        &self.vendor_avps
    }

    /// The AVPs on the wire, Message Type first (RFC 2661 section 4.4.1).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        Attribute::MessageType(self.kind.code()).encode(&mut body);
        for attribute in &self.attributes {
            attribute.encode(&mut body);
        }
        for avp in &self.vendor_avps {
            avp.encode(&mut body);
        }
        body
    }

    /// The same with every AVP hidden that may be (RFC 2661 section 4.3), padded so
    /// that lengths of values tell little.
    #[must_use]
    pub fn encode_hidden(&self, hiding: Unhiding<'_>) -> Vec<u8> {
        let mut body = Vec::new();
        Attribute::MessageType(self.kind.code()).encode(&mut body);
        Attribute::RandomVector(hiding.random_vector.to_vec()).encode(&mut body);
        for attribute in &self.attributes {
            if !attribute.encode_hidden(attribute.block_padding(), hiding, &mut body) {
                attribute.encode(&mut body);
            }
        }
        for avp in &self.vendor_avps {
            avp.encode(&mut body);
        }
        body
    }

    /// Reads the AVPs of a message; `secret` is for hidden ones.
    ///
    /// Bad and unknown AVPs with M = 0 are passed over, known ones that do not
    /// belong in this message are kept (RFC 2661 sections 4.2 and 7.1).
    ///
    /// # Errors
    /// [`BadMessage`], with the error that comes first.
    pub fn decode(body: &[u8], secret: Option<&[u8]>) -> Result<Self, Box<BadMessage>> {
        let mut reader = Reader::default();
        match reader.read(body, secret) {
            Ok(kind) => Ok(Self::new(kind, reader.attributes, reader.vendor_avps)),
            Err(error) => Err(Box::new(BadMessage {
                error,
                kind: reader.kind,
                readable: reader.attributes,
            })),
        }
    }
}

#[derive(Default)]
struct Reader {
    kind: Option<MessageType>,
    attributes: Vec<Attribute>,
    vendor_avps: Vec<VendorAvp>,
}

impl Reader {
    fn read(&mut self, body: &[u8], secret: Option<&[u8]>) -> Result<MessageType, MessageError> {
        let mut avps = RawAvps::new(body);
        let kind = Self::message_type(&mut avps)?;
        self.kind = Some(kind);
        let outcome = self.read_avps(avps, secret);
        outcome?;
        self.check_required(kind)?;
        Ok(kind)
    }

    fn message_type(avps: &mut RawAvps<'_>) -> Result<MessageType, MessageError> {
        let first = avps
            .next()
            .ok_or(MessageError::NoMessageType)?
            .map_err(MessageError::Avp)?;
        let Ok(Attribute::MessageType(code)) = Attribute::decode(&first, None) else {
            return Err(MessageError::NoMessageType);
        };
        MessageType::of_code(code).ok_or(MessageError::UnknownType {
            code,
            mandatory: first.mandatory,
        })
    }

    /// Reads on after a bad AVP, so that an assigned id behind it is known and
    /// the answer can name it; the first error is the one reported.
    fn read_avps(&mut self, avps: RawAvps<'_>, secret: Option<&[u8]>) -> Result<(), MessageError> {
        let mut outcome = Ok(());
        let mut random_vector = None;
        for (index, avp) in avps.enumerate() {
            if index == MAX_AVPS {
                return outcome.and(Err(MessageError::TooManyAvps));
            }
            let avp = match avp {
                Ok(avp) => avp,
                Err(error) => return outcome.and(Err(MessageError::Avp(error))),
            };
            if avp.vendor != IETF && !avp.mandatory && !avp.hidden && !avp.reserved {
                self.vendor_avps.push(VendorAvp {
                    vendor: avp.vendor,
                    kind: avp.kind,
                    value: avp.value.to_vec(),
                });
                continue;
            }
            let unhiding = secret
                .zip(random_vector)
                .map(|(secret, random_vector)| Unhiding {
                    secret,
                    random_vector,
                });
            match Attribute::decode(&avp, unhiding) {
                Ok(Attribute::RandomVector(_)) => random_vector = Some(avp.value),
                Ok(Attribute::MessageType(_)) => {}
                Ok(attribute) => self.attributes.push(attribute),
                Err(error) if avp.mandatory => outcome = outcome.and(Err(MessageError::Avp(error))),
                Err(error) => log::debug!("L2TP: ignored: {error}"),
            }
        }
        outcome
    }

    fn check_required(&self, message: MessageType) -> Result<(), MessageError> {
        for &kind in message.required() {
            if !self
                .attributes
                .iter()
                .any(|attribute| attribute.kind() == kind)
            {
                return Err(MessageError::Missing {
                    message: message.name(),
                    kind,
                });
            }
        }
        let zero = |id: Option<&u16>| message.assigns_id() && id == Some(&0);
        let tunnel_message = !message.is_of_session();
        if tunnel_message && zero(value_of!(self.attributes, AssignedTunnelId)) {
            let attribute = attribute_name(9);
            return Err(MessageError::Avp(AvpError::ValueRange { attribute }));
        }
        if !tunnel_message && zero(value_of!(self.attributes, AssignedSessionId)) {
            let attribute = attribute_name(14);
            return Err(MessageError::Avp(AvpError::ValueRange { attribute }));
        }
        Ok(())
    }
}

/// The Host Name of an SCCRQ, which is never hidden: it chooses the secret the
/// rest of the message is read with. `None` when this is no SCCRQ.
#[must_use]
pub fn host_name_of_sccrq(body: &[u8]) -> Option<&[u8]> {
    let mut avps = RawAvps::new(body).take(MAX_AVPS + 1);
    let first = avps.next()?.ok()?;
    let sccrq = Attribute::MessageType(MessageType::Sccrq.code());
    if Attribute::decode(&first, None) != Ok(sccrq) {
        return None;
    }
    avps.filter_map(Result::ok)
        .find(|avp| matches!(Attribute::decode(avp, None), Ok(Attribute::HostName(_))))
        .map(|avp| avp.value)
}

#[cfg(test)]
pub(in crate::l2tp) mod tests;
