//! What the configuration says of alarms.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::monitor::{Event, EventKind};

/// Who is told of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// In the log and in status.
    pub name: String,
    pub on: Vec<EventKind>,
    /// Only events of this set and its links.
    pub set: Option<String>,
    /// Only events of this link.
    pub link: Option<String>,
    /// What is taken back within this time is not told.
    pub hold: Duration,
    pub deed: Deed,
}

impl Alarm {
    /// Whether it is for events of this link or set.
    #[must_use]
    pub fn is_about(&self, event: &Event) -> bool {
        let fits = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        fits(&self.set, &event.set) && fits(&self.link, &event.link)
    }
}

/// How it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    Webhook(Webhook),
    /// A program and its arguments.
    Command(Vec<String>),
}

/// An HTTP server that gets events by POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub url: Url,
    /// What the file holds is sent as a bearer token (RFC 6750), read for each event.
    pub token_file: Option<PathBuf>,
}

/// An address on the web. Its path may be a secret: it shows as scheme and host.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    const SCHEME: &'static str = "http://";

    /// Takes an address of HTTP without TLS.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn new(url: &str) -> Result<Self, (&'static str, &'static str)> {
        const FORM: &str = "write it as http://127.0.0.1:9000/path";
        if url.starts_with("https://") {
            return Err((
                "webhooks are told by HTTP without TLS",
                "use `command: [curl, -sS, --fail, -m, \"10\", --json, \"@-\", \"https://...\"]`: it is given the same JSON",
            ));
        }
        let Some(rest) = url.strip_prefix(Self::SCHEME) else {
            return Err(("this is no address of HTTP", FORM));
        };
        let place = rest.split(['/', '?']).next().unwrap_or_default();
        if place.is_empty() || place.starts_with(':') {
            return Err(("there is no host in it", FORM));
        }
        if place.contains('@') {
            return Err((
                "there is a name or password in it",
                "use `token-file`, or a secret in the path",
            ));
        }
        let is_plain = |octet: u8| {
            octet.is_ascii_graphic()
                && !matches!(
                    octet,
                    b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#'
                )
        };
        if !url.bytes().all(is_plain) {
            return Err((
                "there are characters in it that no address has",
                "write them as %20 and the like",
            ));
        }
        if !has_good_port(place) {
            return Err(("the port is not a number from 1 to 65535", FORM));
        }
        Ok(Self(url.to_owned()))
    }

    #[must_use]
    pub fn whole(&self) -> &str {
        &self.0
    }

    /// Host and port.
    #[must_use]
    pub fn place(&self) -> &str {
        let rest = self.0.strip_prefix(Self::SCHEME).unwrap_or(&self.0);
        rest.split(['/', '?']).next().unwrap_or_default()
    }
}

fn has_good_port(place: &str) -> bool {
    // An IPv6 address has colons of its own, in brackets.
    let behind_host = place.rsplit(']').next().unwrap_or_default();
    match behind_host.split_once(':') {
        Some((_, port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => true,
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}/***", Self::SCHEME, self.place())
    }
}

/// Events go to the local syslog, with this facility (RFC 5424, 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syslog {
    pub facility: u8,
}

/// The facilities of a program that is no part of the kernel, by the names of syslog.conf(5).
pub const FACILITIES: [(&str, u8); 11] = [
    ("user", 1),
    ("daemon", 3),
    ("auth", 4),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_may_be_about_one_set_or_one_link() {
        let about = |set: Option<&str>, link: Option<&str>| {
            let alarm = Alarm {
                name: "a".to_owned(),
                on: Vec::new(),
                set: set.map(str::to_owned),
                link: link.map(str::to_owned),
                hold: Duration::ZERO,
                deed: Deed::Command(Vec::new()),
            };
            // Of link L1 of set A.
            alarm.is_about(&crate::alarms::tests::event(1))
        };
        assert!(about(None, None) && about(Some("A"), Some("L1")));
        assert!(about(Some("A"), None) && about(None, Some("L1")));
        assert!(!about(Some("B"), None) && !about(None, Some("L2")));
        assert!(!about(Some("B"), Some("L1")) && !about(Some("A"), Some("L2")));
    }

    #[test]
    fn an_address_shows_without_its_secret() {
        let url = Url::new("http://[2001:db8::1]:9000/hook/s3cret?key=s3cret").unwrap();
        assert_eq!(url.place(), "[2001:db8::1]:9000");
        assert_eq!(format!("{url:?}"), "http://[2001:db8::1]:9000/***");
        assert_eq!(Url::new("http://a").unwrap().place(), "a");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "",
            "127.0.0.1:9000",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://:80/",
            "http://a:0/",
            "http://a:99999/",
            "http://[::1]:x/",
            "http://me:hush@a/",
            "http://a/b c",
            "http://a/\n",
            "http://a/#x",
        ] {
            assert!(Url::new(url).is_err(), "{url:?}");
        }
        let (_, remedy) = Url::new("https://a/").unwrap_err();
        assert!(remedy.contains("curl"), "{remedy}");
    }
}
