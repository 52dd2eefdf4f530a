//! Who may ask, and who may act.

use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{StatusCode, Uri};

use super::answer::Refusal;
use crate::secret::Secret;

/// Knows the names of this host and the token.
#[derive(Debug)]
pub(super) struct Guard {
    names: Vec<String>,
    token: Option<Secret>,
}

impl Guard {
    pub(super) fn new(names: &[String], token: Option<Secret>) -> Self {
        Self {
            names: names.to_vec(),
            token,
        }
    }

    /// Whether a request is meant for this host. A page from elsewhere can have its own name lead here (DNS rebinding), and
    /// would then read what it may not; it cannot do that with an address, or with a name that is ours.
    pub(super) fn host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let named = uri.host().map(str::to_owned);
        let named = named.or_else(|| Some(host_of(single(headers, &HOST)?)?.to_owned()));
        let Some(named) = named else {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "the request needs one `Host` header",
            ));
        };
        if self.is_ours(&named) {
            return Ok(());
        }
        let text = format!(
            "this host is not known by the name {named:?}; list it in `management: {{ http: {{ names: [...] }} }}`"
        );
        Err(Refusal::new(StatusCode::FORBIDDEN, text))
    }

    fn is_ours(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        bare.parse::<IpAddr>().is_ok() || name == "localhost" || self.names.contains(&name)
    }

    /// Whether a request may do something: it brings the token, and no other site's page sent it.
    pub(super) fn action(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "there are no actions without a token; write `management: { http: { token-file: PATH, ... } }`",
            ));
        };
        let given = single(headers, &AUTHORIZATION).and_then(bearer);
        if !given.is_some_and(|given| Secret::from(given) == *token) {
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "this needs `Authorization: Bearer TOKEN` with the token of the `token-file`",
            ));
        }
        if headers.contains_key(ORIGIN) && !same_origin(headers) {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "a page of another origin asked for this",
            ));
        }
        Ok(())
    }
}

/// The value of a header that stands there once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Of `name:port`, `[::1]:port` and the like without a port.
fn host_of(authority: &str) -> Option<&str> {
    let end = match authority.find(']') {
        Some(bracket) if authority.starts_with('[') => bracket + 1,
        _ => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let is_port = |port: &str| port.bytes().all(|octet| octet.is_ascii_digit());
    let is_whole = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    (is_whole && !host.is_empty()).then_some(host)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn same_origin(headers: &HeaderMap) -> bool {
    let origin = single(headers, &ORIGIN).and_then(|origin| origin.split_once("://"));
    let host = single(headers, &HOST);
    origin.is_some_and(|(_, authority)| Some(authority) == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn guard(token: Option<&str>) -> Guard {
        Guard::new(&["box.example".to_owned()], token.map(Secret::from))
    }

    #[test]
    fn a_request_names_this_host() {
        let host = |list: &[&'static str]| {
            let list: Vec<_> = list.iter().map(|&value| (HOST, value)).collect();
            let checked = guard(None).host(&Uri::from_static("/"), &headers(&list));
            checked.map_err(|refusal| refusal.status.as_u16())
        };
        for good in [
            "127.0.0.1:8080",
            "192.0.2.1",
            "[::1]:8080",
            "[2001:db8::1]",
            "localhost",
            "LOCALHOST:80",
            "Box.Example.:8080",
        ] {
            assert_eq!(host(&[good]), Ok(()), "{good}");
        }
        for bad in [
            "evil.example",
            "127.0.0.1.evil.example",
            "box.example.evil",
            "localhost.evil:80",
            "[evil]:80",
        ] {
            assert_eq!(host(&[bad]), Err(403), "{bad}");
        }
        for bad in [
            "localhost:80@evil.example",
            "[::1]evil.example",
            "localhost:80:80",
        ] {
            assert_eq!(host(&[bad]), Err(400), "{bad}");
        }
        assert_eq!(host(&[]), Err(400));
        assert_eq!(host(&[""]), Err(400));
        assert_eq!(host(&["localhost", "evil.example"]), Err(400));
        let absolute = Uri::from_static("http://evil.example/");
        let checked = guard(None).host(&absolute, &headers(&[(HOST, "localhost")]));
        assert_eq!(checked.unwrap_err().status, StatusCode::FORBIDDEN);
    }

    #[test]
    fn an_action_needs_the_token_and_our_own_page() {
        const TOKEN: &str = "0123456789abcdef";
        let act = |token, list: &[_]| {
            let checked = guard(token).action(&headers(list));
            checked.map_err(|refusal| refusal.status.as_u16())
        };
        let good = (AUTHORIZATION, "Bearer 0123456789abcdef");
        let host = (HOST, "localhost:8080");
        assert_eq!(act(Some(TOKEN), std::slice::from_ref(&good)), Ok(()));
        assert_eq!(
            act(Some(TOKEN), &[(AUTHORIZATION, "bearer 0123456789abcdef")]),
            Ok(())
        );
        assert_eq!(act(None, std::slice::from_ref(&good)), Err(403));
        for bad in [
            "Bearer 0123456789abcdeX",
            "Bearer 0123456789abcde",
            "Basic 0123456789abcdef",
            "Bearer",
            "Bearer ",
        ] {
            assert_eq!(act(Some(TOKEN), &[(AUTHORIZATION, bad)]), Err(401), "{bad}");
        }
        assert_eq!(act(Some(TOKEN), &[]), Err(401));
        assert_eq!(act(Some(TOKEN), &[good.clone(), good.clone()]), Err(401));
        let from = |origin| [good.clone(), host.clone(), (ORIGIN, origin)];
        assert_eq!(act(Some(TOKEN), &from("http://localhost:8080")), Ok(()));
        for origin in ["http://evil.example", "null", "http://localhost:8081"] {
            assert_eq!(act(Some(TOKEN), &from(origin)), Err(403), "{origin}");
        }
    }
}
