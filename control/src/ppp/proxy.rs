//! What a LAC tells of the negotiation that it had with the peer before the
//! session was (RFC 2661 4.4.5), and how far it is believed.

/// What a LAC tells. Any of it may be missing, or be wrong. It holds passwords:
/// there is no way to print it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    /// The options of the LAC's last Configure-Request, which the peer acknowledged.
    pub last_sent: Option<Vec<u8>>,
    /// Those of the peer's, which the LAC acknowledged.
    pub last_received: Option<Vec<u8>>,
    /// How the peer authenticated itself to the LAC.
    pub authentication: Option<ProxyAuthentication>,
}

/// The exchange that the LAC had, as far as it knows: it cannot judge it.
#[derive(Clone, PartialEq, Eq)]
pub enum ProxyAuthentication {
    /// By CHAP.
    Chap {
        /// The peer's name.
        name: Vec<u8>,
        /// What the LAC asked.
        challenge: Vec<u8>,
        /// The identifier of that Challenge.
        id: u8,
        /// What the peer answered.
        response: Vec<u8>,
    },
    /// By PAP.
    Pap {
        /// The peer's name.
        name: Vec<u8>,
        /// The identifier of the Authenticate-Request.
        id: u8,
        /// The peer's password.
        password: Vec<u8>,
    },
}

/// How far a LAC is believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyPolicy {
    /// Whether its LCP stands.
    pub lcp: ProxyLcp,
    /// Whether what it tells of the authentication is judged; else the peer is
    /// asked again.
    pub authentication: bool,
}

/// Whether a LAC's LCP stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyLcp {
    /// Never: LCP begins anew.
    #[default]
    Renegotiate,
    /// When it is what we would have agreed to ourselves.
    OnMismatch,
    /// Whenever it can be made use of.
    Accept,
}
