//! Result and error codes of StopCCN and CDN (RFC 2661 section 4.4.2).

use super::avp::ResultCode;

/// The most octets of a peer's error message that are kept.
const MAX_MESSAGE_OCTETS: usize = 255;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($code:literal $constant:ident $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub u16);

        impl $name {
            $(#[doc = $text] pub const $constant: Self = Self($code);)*
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let text = match self.0 {
                    $($code => $text,)*
                    _ => "unknown",
                };
                write!(formatter, "{} ({text})", self.0)
            }
        }
    };
}

codes! {
    /// Result code of a StopCCN.
    StopResult {
        1 GENERAL "general request to clear the control connection";
        2 ERROR "general error, see the error code";
        3 EXISTS "control channel already exists";
        4 NOT_AUTHORISED "requester is not authorised to establish a control channel";
        5 VERSION "protocol version not supported";
        6 SHUTTING_DOWN "requester is being shut down";
        7 FSM "finite state machine error";
    }
}

codes! {
    /// Result code of a CDN.
    CallResult {
        1 CARRIER_LOST "loss of carrier";
        2 ERROR "general error, see the error code";
        3 ADMINISTRATIVE "disconnected for administrative reasons";
        4 NO_FACILITIES_NOW "appropriate facilities lack for now";
        5 NO_FACILITIES "appropriate facilities lack permanently";
        6 BAD_DESTINATION "invalid destination";
        7 NO_CARRIER "no carrier detected";
        8 BUSY "busy signal detected";
        9 NO_DIAL_TONE "no dial tone";
        10 TIMEOUT "not established within the time allotted";
        11 NO_FRAMING "no appropriate framing detected";
    }
}

codes! {
    /// General error code of a StopCCN or CDN.
    ErrorCode {
        0 NONE "no general error";
        1 NO_CONTROL_CONNECTION "no control connection exists yet";
        2 LENGTH "length is wrong";
        3 VALUE "a field is out of range";
        4 NO_RESOURCES "insufficient resources now";
        5 BAD_SESSION_ID "the session id is invalid in this context";
        6 VENDOR "vendor-specific error";
        7 TRY_ANOTHER "try another";
        8 UNKNOWN_AVP "unknown AVP with the M bit set";
    }
}

macro_rules! closes {
    ($(#[$doc:meta])* $name:ident $result:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            pub result: $result,
            pub error: ErrorCode,
            /// Text for people; at most 255 octets of a peer's are kept.
            pub message: String,
        }

        impl $name {
            #[must_use]
            pub fn new(result: $result, error: ErrorCode, message: &str) -> Self {
                Self { result, error, message: message.to_owned() }
            }

            pub(super) fn to_avp(&self) -> ResultCode {
                ResultCode {
                    result: self.result.0,
                    error: self.error.0,
                    message: self.message.as_bytes().to_vec(),
                }
            }
        }

        impl From<&ResultCode> for $name {
            fn from(code: &ResultCode) -> Self {
                let message = &code.message[..code.message.len().min(MAX_MESSAGE_OCTETS)];
                Self {
                    result: $result(code.result),
                    error: ErrorCode(code.error),
                    message: String::from_utf8_lossy(message).into_owned(),
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(formatter, "result {}, error {}, {:?}", self.result, self.error, self.message)
            }
        }
    };
}

closes! {
    /// Why a tunnel is cleared: the Result Code of its StopCCN.
    TunnelClose StopResult
}

closes! {
    /// Why a call is cleared: the Result Code of its CDN.
    CallClose CallResult
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let stop = [
            StopResult::GENERAL,
            StopResult::ERROR,
            StopResult::EXISTS,
            StopResult::NOT_AUTHORISED,
            StopResult::VERSION,
            StopResult::SHUTTING_DOWN,
            StopResult::FSM,
        ];
        assert_eq!(stop.map(|code| code.0), [1, 2, 3, 4, 5, 6, 7]);
        let call = [
            CallResult::CARRIER_LOST,
            CallResult::ERROR,
            CallResult::ADMINISTRATIVE,
            CallResult::NO_FACILITIES_NOW,
            CallResult::NO_FACILITIES,
            CallResult::BAD_DESTINATION,
            CallResult::NO_CARRIER,
            CallResult::BUSY,
            CallResult::NO_DIAL_TONE,
            CallResult::TIMEOUT,
            CallResult::NO_FRAMING,
        ];
        assert_eq!(call.map(|code| code.0), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        let error = [
            ErrorCode::NONE,
            ErrorCode::NO_CONTROL_CONNECTION,
            ErrorCode::LENGTH,
            ErrorCode::VALUE,
            ErrorCode::NO_RESOURCES,
            ErrorCode::BAD_SESSION_ID,
            ErrorCode::VENDOR,
            ErrorCode::TRY_ANOTHER,
            ErrorCode::UNKNOWN_AVP,
        ];
        assert_eq!(error.map(|code| code.0), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(CallResult::BUSY.to_string(), "8 (busy signal detected)");
        assert_eq!(StopResult(99).to_string(), "99 (unknown)");
    }

    #[test]
    fn a_peer_s_text_is_bounded_and_shown_without_control_characters() {
        let code = ResultCode {
            result: 2,
            error: 6,
            message: b"\x1b[2J".repeat(100),
        };
        let close = TunnelClose::from(&code);
        assert_eq!(close.message.len(), 255);
        assert!(!close.to_string().contains('\x1b'));
    }
}
