//! What PPP takes from the configuration, and from a LAC's ICCN.

use crate::config::{Incoming, Outgoing};
use crate::l2tp::avp::Attribute;
use crate::ppp::{Logins, Proxy, ProxyAuthentication, Role};

/// Proxy Authen Type (RFC 2661, 4.4.5).
const PPP_CHAP: u16 = 2;
const PPP_PAP: u16 = 3;

pub(super) fn client(config: &Outgoing) -> Role {
    Role::Client {
        username: config.username.clone(),
        password: config.password.clone(),
        local_ip: config.local_ip,
        protocols: config.ppp.link.authentication.clone(),
        wanted: config.ppp.wanted,
    }
}

/// `logins` are those of the incoming's matches, in their order.
pub(super) fn server(config: &Incoming, logins: Logins) -> Role {
    Role::Server {
        name: config.local_hostname.clone(),
        logins,
        local_ip: config.local_ip,
        protocols: config.ppp.link.authentication.clone(),
        rechallenge: config.ppp.rechallenge,
        name_servers: config.ppp.name_servers.clone(),
        proxy: config.ppp.proxy,
    }
}

/// What an ICCN tells of a negotiation that the LAC had (RFC 2661, 4.4.5).
///
/// Without all its parts an authentication is none, nor is one by a login at a
/// prompt or by the old MS-CHAP, which we do not have: the peer is asked again.
pub(super) fn proxy(attributes: &[Attribute]) -> Proxy {
    let mut proxy = Proxy::default();
    let (mut kind, mut id) = (None, None);
    let (mut name, mut challenge, mut response) = (None, None, None);
    for attribute in attributes {
        match attribute {
            Attribute::LastSentLcpConfReq(options) => proxy.last_sent = Some(options.clone()),
            Attribute::LastReceivedLcpConfReq(options) => {
                proxy.last_received = Some(options.clone());
            }
            Attribute::ProxyAuthenType(value) => kind = Some(*value),
            Attribute::ProxyAuthenName(value) => name = Some(value.clone()),
            Attribute::ProxyAuthenChallenge(value) => challenge = Some(value.clone()),
            // The upper octet is reserved.
            Attribute::ProxyAuthenId(value) => id = Some(value.to_be_bytes()[1]),
            Attribute::ProxyAuthenResponse(value) => response = Some(value.clone()),
            _ => {}
        }
    }
    proxy.authentication = match (kind, name, id, response, challenge) {
        (Some(PPP_CHAP), Some(name), Some(id), Some(response), Some(challenge)) => {
            Some(ProxyAuthentication::Chap {
                name,
                challenge,
                id,
                response,
            })
        }
        (Some(PPP_PAP), Some(name), Some(id), Some(password), _) => {
            Some(ProxyAuthentication::Pap { name, id, password })
        }
        _ => None,
    };
    proxy
}
