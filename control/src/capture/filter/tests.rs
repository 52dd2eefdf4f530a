use proptest::prelude::*;

use super::super::packet::tests::{copy, on_lan};
use super::*;

fn wants(filter: &str, frame: &[u8]) -> bool {
    let filter = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    filter.wants(&Packet::read(frame, frame.len()), Some(Outcome::First))
}

#[test]
fn a_copy_is_found_by_what_is_inside_and_outside() {
    // 203.0.113.1 to 10.0.1.2 carries 192.168.1.20:5004 to 192.168.2.10:5000.
    let frame = copy(1);
    for filter in [
        "",
        "host 203.0.113.1",
        "host 192.168.1.20",
        "inner host 192.168.2.10",
        "outer host 10.0.1.2",
        "inner src host 192.168.1.20 and dst port 5000",
        "net 192.168.0.0/16",
        "outer net 203.0.113.0/24",
        "udp",
        "udp port 5004",
        "udp src port 5004",
        "port 1701",
        "l2tp and not arp",
        "tcp or (udp and port 5000)",
        "not(tcp)",
        "not not l2tp",
        "first",
        "duplicate or first and l2tp",
    ] {
        assert!(wants(filter, &frame), "{filter}");
    }
    for filter in [
        "host 203.0.113.2",
        "inner host 203.0.113.1",
        "outer host 192.168.1.20",
        "src port 5000",
        "udp port 1701",
        "net 192.168.0.0/24",
        "tcp port 5004",
        "icmp",
        "arp",
        "duplicate",
        "late",
        "dropped",
        "(duplicate or first) and not l2tp",
        "host ::1",
    ] {
        assert!(!wants(filter, &frame), "{filter}");
    }
}

#[test]
fn on_a_lan_the_packet_is_the_inner_one() {
    assert!(wants(
        "inner host 192.168.2.10 and udp port 5004",
        &on_lan()
    ));
    assert!(!wants("outer host 192.168.2.10", &on_lan()));
    assert!(!wants("l2tp", &on_lan()));
}

#[test]
fn what_is_wrong_is_said() {
    for (filter, text) in [
        (
            "hots 10.0.0.1",
            "\"hots\" is no word of a filter; known: host, net",
        ),
        ("host", "the filter ends where an address should follow"),
        ("host example.com", "\"example.com\" is no address"),
        ("net 10.0.0.0", "\"10.0.0.0\" is no network"),
        ("net 10.0.0.0/33", "\"10.0.0.0/33\" is no network"),
        ("port 70000", "\"70000\" is no port"),
        ("(udp", "a `(` has no `)`"),
        ("udp)", "\")\" follows what is whole"),
        ("udp tcp", "\"tcp\" follows what is whole; `and` or `or`"),
        ("udp and", "the filter ends where a condition"),
        (
            "inner udp",
            "\"udp\" stands where `host`, `net` or `port` should",
        ),
        (
            "src",
            "the filter ends where `host`, `net` or `port` should",
        ),
        ("not", "the filter ends where a condition"),
        (&"( ".repeat(40), "more than 32"),
        (&"udp or ".repeat(400), "more than 500 words"),
    ] {
        let error = Filter::parse(filter).expect_err(filter).to_string();
        assert!(error.starts_with(text), "{filter}: {error}");
    }
}

proptest! {
    #[test]
    fn any_words_are_read_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "host", "net", "port", "inner", "outer", "src", "dst", "udp", "tcp", "l2tp", "and", "or",
                "not", "(", ")", "10.0.0.1", "10.0.0.0/8", "5004", "::1", "first", "é",
            ]),
            0..30,
        ),
    ) {
        let text = words.join(" ");
        if let Ok(filter) = Filter::parse(&text) {
            let frame = copy(1);
            let packet = Packet::read(&frame, frame.len());
            let wants = filter.wants(&packet, None);
            if !words.is_empty() {
                let not = Filter::parse(&format!("not ({text})")).expect("a filter");
                prop_assert_eq!(not.wants(&packet, None), !wants);
            }
        }
    }
}
