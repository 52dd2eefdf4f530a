//! Attribute-value pairs (RFC 2661 section 4): the frame of an AVP, and one
//! table of all attributes the RFC defines.

use core::num::NonZeroU16;

use super::hiding;

/// Octets before an AVP's value: M, H, reserved bits and length; vendor; type.
pub const AVP_HEADER_OCTETS: usize = 6;
/// The most octets the 10-bit length leaves for a value.
pub const MAX_VALUE_OCTETS: usize = 1023 - AVP_HEADER_OCTETS;
/// The vendor id of the attributes of RFC 2661.
pub const IETF: u16 = 0;

const MANDATORY: u16 = 0x8000;
const HIDDEN: u16 = 0x4000;
const RESERVED: u16 = 0x3c00;
const LENGTH: u16 = 0x03ff;

/// An AVP as it stands in a message; nothing of its value is known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawAvp<'a> {
    /// M: whoever does not recognise the AVP must clear the session or tunnel.
    pub mandatory: bool,
    /// H: the value is hidden (RFC 2661 section 4.3).
    pub hidden: bool,
    /// Any of the four reserved bits is set: to be treated as unrecognised.
    pub reserved: bool,
    pub vendor: u16,
    pub kind: u16,
    pub value: &'a [u8],
}

/// What is wrong with an AVP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AvpError {
    /// Fewer octets are left than an AVP header has.
    Truncated,
    /// The length is below 6 or runs past the message.
    Length { octets: usize, remaining: usize },
    /// Not an attribute we know, or one with reserved bits set.
    Unrecognised { vendor: u16, kind: u16 },
    /// The value has a length this attribute never has.
    ValueLength {
        attribute: &'static str,
        octets: usize,
    },
    /// The value is not one this attribute may have.
    ValueRange { attribute: &'static str },
    /// The attribute must not be hidden (RFC 2661 section 4.4).
    HiddenForbidden { attribute: &'static str },
    /// Hidden, with no Random Vector before it, without a secret on this side,
    /// or with another secret.
    Unreadable { kind: u16 },
}

impl core::fmt::Display for AvpError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated => formatter.write_str("truncated AVP"),
            Self::Length { octets, remaining } => {
                write!(
                    formatter,
                    "AVP length {octets} with {remaining} octets left"
                )
            }
            Self::Unrecognised { vendor, kind } => {
                write!(formatter, "unknown AVP vendor {vendor} type {kind}")
            }
            Self::ValueLength { attribute, octets } => {
                write!(formatter, "{attribute} AVP with {octets} octets")
            }
            Self::ValueRange { attribute } => write!(formatter, "{attribute} AVP out of range"),
            Self::HiddenForbidden { attribute } => {
                write!(formatter, "{attribute} AVP must not be hidden")
            }
            Self::Unreadable { kind } => write!(formatter, "hidden AVP type {kind} is unreadable"),
        }
    }
}

impl core::error::Error for AvpError {}

/// The AVPs of a message body, in order. Ends after the first one whose frame
/// is broken, since nothing after it can be found.
#[derive(Debug, Clone)]
pub struct RawAvps<'a> {
    rest: &'a [u8],
}

impl<'a> RawAvps<'a> {
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    fn split(rest: &'a [u8]) -> Result<(RawAvp<'a>, &'a [u8]), AvpError> {
        let (header, _) = rest
            .split_first_chunk::<AVP_HEADER_OCTETS>()
            .ok_or(AvpError::Truncated)?;
        let [first, second, vendor_high, vendor_low, kind_high, kind_low] = *header;
        let flags = u16::from_be_bytes([first, second]);
        let octets = usize::from(flags & LENGTH);
        let value = rest
            .get(AVP_HEADER_OCTETS..octets)
            .ok_or(AvpError::Length {
                octets,
                remaining: rest.len(),
            })?;
        let avp = RawAvp {
            mandatory: flags & MANDATORY != 0,
            hidden: flags & HIDDEN != 0,
            reserved: flags & RESERVED != 0,
            vendor: u16::from_be_bytes([vendor_high, vendor_low]),
            kind: u16::from_be_bytes([kind_high, kind_low]),
            value,
        };
        Ok((avp, &rest[octets..]))
    }
}

impl<'a> Iterator for RawAvps<'a> {
    type Item = Result<RawAvp<'a>, AvpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match Self::split(self.rest) {
            Ok((avp, rest)) => {
                self.rest = rest;
                Some(Ok(avp))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

fn put_avp(out: &mut Vec<u8>, flags: u16, vendor: u16, kind: u16, value: &[u8]) {
    let value = &value[..value.len().min(MAX_VALUE_OCTETS)];
    let length = (AVP_HEADER_OCTETS + value.len()) as u16;
    for field in [flags | length, vendor, kind] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(value);
}

/// An AVP of a vendor other than the IETF, always sent with M = 0. A value
/// over [`MAX_VALUE_OCTETS`] is cut when sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorAvp {
    /// SMI network management private enterprise code; not 0.
    pub vendor: u16,
    pub kind: u16,
    pub value: Vec<u8>,
}

impl VendorAvp {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_avp(out, 0, self.vendor, self.kind, &self.value);
    }
}

/// Why a value is not one of its attribute's.
enum ValueError {
    Length,
    Range,
}

/// A format an attribute's value may have.
trait Value: Sized {
    fn decode(value: &[u8]) -> Result<Self, ValueError>;
    fn encode(&self, out: &mut Vec<u8>);
}

macro_rules! integer_values {
    ($($integer:ty),*) => {$(
        impl Value for $integer {
            fn decode(value: &[u8]) -> Result<Self, ValueError> {
                value.try_into().map(Self::from_be_bytes).map_err(|_| ValueError::Length)
            }

            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
    )*};
}

integer_values!(u16, u32, u64);

impl Value for NonZeroU16 {
    fn decode(value: &[u8]) -> Result<Self, ValueError> {
        Self::new(u16::decode(value)?).ok_or(ValueError::Range)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.get().encode(out);
    }
}

impl Value for () {
    fn decode(value: &[u8]) -> Result<Self, ValueError> {
        value.is_empty().then_some(()).ok_or(ValueError::Length)
    }

    fn encode(&self, _out: &mut Vec<u8>) {}
}

impl Value for Vec<u8> {
    fn decode(value: &[u8]) -> Result<Self, ValueError> {
        Ok(value.to_vec())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const OCTETS: usize> Value for [u8; OCTETS] {
    fn decode(value: &[u8]) -> Result<Self, ValueError> {
        value.try_into().map_err(|_| ValueError::Length)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// At least one octet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NonEmpty(Vec<u8>);

impl NonEmpty {
    /// `None` when `octets` is empty.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Option<Self> {
        (!octets.is_empty()).then_some(Self(octets))
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Value for NonEmpty {
    fn decode(value: &[u8]) -> Result<Self, ValueError> {
        Self::new(value.to_vec()).ok_or(ValueError::Length)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// Protocol Version: 1, revision 0, in RFC 2661.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolVersion {
    pub version: u8,
    pub revision: u8,
}

impl Value for ProtocolVersion {
    fn decode(value: &[u8]) -> Result<Self, ValueError> {
        let [version, revision] = <[u8; 2]>::decode(value)?;
        Ok(Self { version, revision })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.version, self.revision]);
    }
}

/// Result Code: error code and message are optional on the wire; absent ones
/// read as 0 and empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultCode {
    pub result: u16,
    pub error: u16,
    pub message: Vec<u8>,
}

impl Value for ResultCode {
    fn decode(value: &[u8]) -> Result<Self, ValueError> {
        let (result, rest) = value.split_first_chunk::<2>().ok_or(ValueError::Length)?;
        let (error, message) = match rest.split_first_chunk::<2>() {
            Some((error, message)) => (u16::from_be_bytes(*error), message),
            None if rest.is_empty() => (0, rest),
            None => return Err(ValueError::Length),
        };
        Ok(Self {
            result: u16::from_be_bytes(*result),
            error,
            message: message.to_vec(),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.result.encode(out);
        if self.error != 0 || !self.message.is_empty() {
            self.error.encode(out);
            out.extend_from_slice(&self.message);
        }
    }
}

/// Q.931 Cause Code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Q931Cause {
    pub cause: u16,
    pub message_type: u8,
    pub advisory: Vec<u8>,
}

impl Value for Q931Cause {
    fn decode(value: &[u8]) -> Result<Self, ValueError> {
        let ([high, low, message_type], advisory) =
            value.split_first_chunk::<3>().ok_or(ValueError::Length)?;
        Ok(Self {
            cause: u16::from_be_bytes([*high, *low]),
            message_type: *message_type,
            advisory: advisory.to_vec(),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.cause.encode(out);
        out.push(self.message_type);
        out.extend_from_slice(&self.advisory);
    }
}

/// `COUNT` 32-bit numbers after two reserved octets: Call Errors and ACCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved2<const COUNT: usize>(pub [u32; COUNT]);

impl<const COUNT: usize> Value for Reserved2<COUNT> {
    fn decode(value: &[u8]) -> Result<Self, ValueError> {
        if value.len() != 2 + 4 * COUNT {
            return Err(ValueError::Length);
        }
        let mut numbers = [0; COUNT];
        for (number, octets) in numbers.iter_mut().zip(value[2..].chunks_exact(4)) {
            *number = u32::decode(octets)?;
        }
        Ok(Self(numbers))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0]);
        for number in self.0 {
            number.encode(out);
        }
    }
}

/// The columns of the table: whether it is sent with M, whether it may be hidden.
const M: bool = true;
const OPTIONAL: bool = false;
const CLEAR: bool = false;
const HIDEABLE: bool = true;

macro_rules! attributes {
    ($($kind:literal $variant:ident($value:ty) $name:literal $mandatory:ident $hideable:ident;)*) => {
        /// An attribute of RFC 2661 section 4.4 and its value.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Attribute {
            $(#[doc = $name] $variant($value),)*
        }

        impl Attribute {
            /// The attribute type.
            #[must_use]
            pub const fn kind(&self) -> u16 {
                match self {
                    $(Self::$variant(_) => $kind,)*
                }
            }

            const fn mandatory(&self) -> bool {
                match self {
                    $(Self::$variant(_) => $mandatory,)*
                }
            }

            fn put_value(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(value) => Value::encode(value, out),)*
                }
            }

            fn of_value(kind: u16, value: &[u8]) -> Result<Self, AvpError> {
                let (decoded, attribute) = match kind {
                    $($kind => (Value::decode(value).map(Self::$variant), $name),)*
                    _ => return Err(AvpError::Unrecognised { vendor: IETF, kind }),
                };
                decoded.map_err(|error: ValueError| match error {
                    ValueError::Length => AvpError::ValueLength { attribute, octets: value.len() },
                    ValueError::Range => AvpError::ValueRange { attribute },
                })
            }
        }

        /// Name of an attribute type and whether it may be hidden.
        const fn attribute_row(kind: u16) -> Option<(&'static str, bool)> {
            match kind {
                $($kind => Some(($name, $hideable)),)*
                _ => None,
            }
        }
    };
}

attributes! {
    0 MessageType(u16) "Message Type" M CLEAR;
    1 ResultCode(ResultCode) "Result Code" M CLEAR;
    2 ProtocolVersion(ProtocolVersion) "Protocol Version" M CLEAR;
    3 FramingCapabilities(u32) "Framing Capabilities" M HIDEABLE;
    4 BearerCapabilities(u32) "Bearer Capabilities" M HIDEABLE;
    5 TieBreaker(u64) "Tie Breaker" OPTIONAL CLEAR;
    6 FirmwareRevision(u16) "Firmware Revision" OPTIONAL HIDEABLE;
    7 HostName(NonEmpty) "Host Name" M CLEAR;
    8 VendorName(Vec<u8>) "Vendor Name" OPTIONAL HIDEABLE;
    9 AssignedTunnelId(u16) "Assigned Tunnel ID" M HIDEABLE;
    10 ReceiveWindowSize(NonZeroU16) "Receive Window Size" M CLEAR;
    11 Challenge(NonEmpty) "Challenge" M HIDEABLE;
    12 Q931Cause(Q931Cause) "Q.931 Cause Code" M CLEAR;
    13 ChallengeResponse([u8; hiding::DIGEST_OCTETS]) "Challenge Response" M HIDEABLE;
    14 AssignedSessionId(u16) "Assigned Session ID" M HIDEABLE;
    15 CallSerialNumber(u32) "Call Serial Number" M HIDEABLE;
    16 MinimumBps(u32) "Minimum BPS" M HIDEABLE;
    17 MaximumBps(u32) "Maximum BPS" M HIDEABLE;
    18 BearerType(u32) "Bearer Type" M HIDEABLE;
    19 FramingType(u32) "Framing Type" M HIDEABLE;
    21 CalledNumber(Vec<u8>) "Called Number" M HIDEABLE;
    22 CallingNumber(Vec<u8>) "Calling Number" M HIDEABLE;
    23 SubAddress(Vec<u8>) "Sub-Address" M HIDEABLE;
    24 TxConnectSpeed(u32) "(Tx) Connect Speed" M HIDEABLE;
    25 PhysicalChannelId(u32) "Physical Channel ID" OPTIONAL HIDEABLE;
    26 InitialReceivedLcpConfReq(Vec<u8>) "Initial Received LCP CONFREQ" OPTIONAL HIDEABLE;
    27 LastSentLcpConfReq(Vec<u8>) "Last Sent LCP CONFREQ" OPTIONAL HIDEABLE;
    28 LastReceivedLcpConfReq(Vec<u8>) "Last Received LCP CONFREQ" OPTIONAL HIDEABLE;
    29 ProxyAuthenType(u16) "Proxy Authen Type" OPTIONAL HIDEABLE;
    30 ProxyAuthenName(Vec<u8>) "Proxy Authen Name" OPTIONAL HIDEABLE;
    31 ProxyAuthenChallenge(Vec<u8>) "Proxy Authen Challenge" OPTIONAL HIDEABLE;
    32 ProxyAuthenId(u16) "Proxy Authen ID" OPTIONAL HIDEABLE;
    33 ProxyAuthenResponse(Vec<u8>) "Proxy Authen Response" OPTIONAL HIDEABLE;
    34 CallErrors(Reserved2<6>) "Call Errors" M HIDEABLE;
    35 Accm(Reserved2<2>) "ACCM" M HIDEABLE;
    36 RandomVector(Vec<u8>) "Random Vector" M CLEAR;
    37 PrivateGroupId(Vec<u8>) "Private Group ID" OPTIONAL HIDEABLE;
    38 RxConnectSpeed(u32) "Rx Connect Speed" OPTIONAL HIDEABLE;
    39 SequencingRequired(()) "Sequencing Required" M CLEAR;
}

/// Name of an attribute type, for messages.
pub(super) fn attribute_name(kind: u16) -> &'static str {
    attribute_row(kind).map_or("unknown", |(name, _)| name)
}

/// What is needed to read hidden AVPs.
#[derive(Debug, Clone, Copy)]
pub struct Unhiding<'a> {
    pub secret: &'a [u8],
    pub random_vector: &'a [u8],
}

impl Attribute {
    /// Reads an AVP of the IETF's.
    ///
    /// # Errors
    /// [`AvpError`]; what follows from it depends on the AVP's M bit.
    pub fn decode(avp: &RawAvp<'_>, unhiding: Option<Unhiding<'_>>) -> Result<Self, AvpError> {
        let unrecognised = AvpError::Unrecognised {
            vendor: avp.vendor,
            kind: avp.kind,
        };
        if avp.vendor != IETF || avp.reserved {
            return Err(unrecognised);
        }
        let (attribute, hideable) = attribute_row(avp.kind).ok_or(unrecognised)?;
        if !avp.hidden {
            return Self::of_value(avp.kind, avp.value);
        }
        if !hideable {
            return Err(AvpError::HiddenForbidden { attribute });
        }
        let unreadable = AvpError::Unreadable { kind: avp.kind };
        let Unhiding {
            secret,
            random_vector,
        } = unhiding.ok_or(unreadable)?;
        let value =
            hiding::unhide(avp.kind, avp.value, secret, random_vector).map_err(|_| unreadable)?;
        Self::of_value(avp.kind, &value)
    }

    /// Appends the AVP. A value over [`MAX_VALUE_OCTETS`] is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut value = Vec::new();
        self.put_value(&mut value);
        let flags = if self.mandatory() { MANDATORY } else { 0 };
        put_avp(out, flags, IETF, self.kind(), &value);
    }

    /// The padding with which the hidden value fills whole blocks of the stream.
    pub(super) fn block_padding(&self) -> usize {
        let mut value = Vec::new();
        self.put_value(&mut value);
        let octets = 2 + value.len();
        octets.next_multiple_of(hiding::DIGEST_OCTETS) - octets
    }

    /// Appends the AVP hidden, with `padding` octets; `false`, and nothing
    /// appended, when this attribute must not be hidden or does not fit.
    pub fn encode_hidden(&self, padding: usize, unhiding: Unhiding<'_>, out: &mut Vec<u8>) -> bool {
        let mut value = Vec::new();
        self.put_value(&mut value);
        let hideable = attribute_row(self.kind()).is_some_and(|(_, hideable)| hideable);
        if !hideable || value.len() + 2 + padding > MAX_VALUE_OCTETS {
            return false;
        }
        let hidden = hiding::hide(
            self.kind(),
            &value,
            padding,
            unhiding.secret,
            unhiding.random_vector,
        );
        let flags = HIDDEN | if self.mandatory() { MANDATORY } else { 0 };
        put_avp(out, flags, IETF, self.kind(), &hidden);
        true
    }
}

#[cfg(test)]
pub(in crate::l2tp) mod tests;
