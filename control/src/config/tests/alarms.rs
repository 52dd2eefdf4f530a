//! Alarms of the file, and what may be wrong with them.

use std::path::Path;
use std::time::Duration;

use super::REFERENCE;
use crate::alarms::{Deed, Syslog};
use crate::config::Config;
use crate::monitor::EventKind;

fn without_alarms() -> &'static str {
    let (before, _) = REFERENCE.split_once("\nalarms:").expect("it has alarms");
    before
}

/// What is wrong with a file that has this besides the reference.
fn wrong(more: &str) -> Vec<String> {
    let text = format!("{}\n{more}\n", without_alarms());
    match Config::parse("x.yaml", &text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_reference_says_what_it_explains() {
    let (config, _) = Config::parse("reference.yaml", REFERENCE).unwrap();
    let [pager, webhook] = &config.alarms[..] else {
        panic!("{:?}", config.alarms);
    };
    assert_eq!(
        (pager.name.as_str(), pager.hold),
        ("pager", Duration::from_secs(10))
    );
    assert_eq!(
        (pager.set.as_deref(), pager.link.as_deref()),
        (Some("A"), None)
    );
    assert_eq!(pager.on.len(), 3);
    assert_eq!(webhook.name, "127.0.0.1:9000");
    assert_eq!(webhook.on.len(), EventKind::WORDS.len(), "all of them");
    assert_eq!(
        (webhook.link.as_deref(), webhook.hold),
        (Some("L2TP-remote-1"), Duration::ZERO)
    );
    let Deed::Webhook(hook) = &webhook.deed else {
        panic!("{webhook:?}");
    };
    assert_eq!(hook.url.whole(), "http://127.0.0.1:9000/events");
    assert_eq!(
        hook.token_file.as_deref(),
        Some(Path::new("/etc/hal2tp/token"))
    );
    assert_eq!(config.syslog, Some(Syslog { facility: 3 }));
    for word in EventKind::WORDS.map(|(word, _)| word) {
        assert!(REFERENCE.contains(word), "{word} is not explained");
    }
}

#[test]
fn what_is_left_out_has_defaults() {
    let text = format!(
        "{}\nalarms: [{{ command: [/bin/a/b, c] }}]\nsyslog: true\n",
        without_alarms()
    );
    let (config, _) = Config::parse("x.yaml", &text).unwrap();
    assert_eq!(config.alarms[0].name, "b");
    assert_eq!(config.syslog, Some(Syslog { facility: 3 }));
    let (config, _) = Config::parse("x.yaml", without_alarms()).unwrap();
    assert!(config.alarms.is_empty() && config.syslog.is_none());
}

#[test]
fn each_mistake_has_an_error_that_says_what_would_be_right() {
    let command = "command: [/bin/true]";
    let cases = [
        (
            "on: [link-donw], command: [/bin/true]",
            ".on",
            "did you mean `link-down`?",
        ),
        (
            "on: [xyzzyxyzzyx], command: [/bin/true]",
            ".on",
            "link-up, link-down, fault-began",
        ),
        (
            "on: [link-up]",
            "alarms",
            "add `webhook: http://...` or `command:",
        ),
        (
            "webhook: \"http://a/\", command: [/bin/true]",
            ".command",
            "an alarm for each",
        ),
        ("webhook: \"https://a/hush\"", ".webhook", "curl"),
        ("webhook: \"http://me:hush@a/\"", ".webhook", "token-file"),
        ("command: []", ".command", "write [/usr/local/bin/program"),
        (
            "command: [/bin/true], token-file: /x",
            ".token-file",
            "take the key away",
        ),
        (
            "webhook: \"http://a/\", token-file: x",
            ".token-file",
            "from / on",
        ),
        (
            "command: [/bin/true], set: AA",
            ".set",
            "the file has: A, B, C",
        ),
        (
            "command: [/bin/true], link: L2TP-remoet-1",
            ".link",
            "did you mean `L2TP-remote-1`?",
        ),
        (
            "command: [/bin/true], link: north.1, set: C",
            ".link",
            "take one of the two away",
        ),
        (
            "command: [/bin/true], hold: 5",
            ".hold",
            "a time with its unit",
        ),
        (
            "command: [/bin/true], hodl: 5s",
            ".hodl",
            "did you mean `hold`?",
        ),
    ];
    for (alarm, key, remedy) in cases {
        let said = wrong(&format!("alarms: [{{ {alarm} }}]"));
        assert_eq!(said.len(), 1, "{alarm}: {said:?}");
        assert!(
            said[0].contains(key) && said[0].contains(remedy),
            "{alarm}: {said:?}"
        );
        assert!(!said[0].contains("hush"), "{said:?}");
    }
    assert_eq!(wrong(&format!("alarms: [{{ {command} }}]")), [""; 0]);
    let said = wrong("syslog: { facility: deamon }");
    assert!(
        said.len() == 1 && said[0].contains("did you mean `daemon`?"),
        "{said:?}"
    );
    assert_eq!(wrong("syslog: yes").len(), 1);
}
