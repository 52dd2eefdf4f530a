//! Who is told what happens.

use std::path::PathBuf;
use std::time::Duration;

use super::super::decode::{
    Read, Section, Wrong, boolean, choice, duration, name, reference, text,
};
use super::super::problem::Problems;
use super::super::tree::{Node, Path, Value};
use super::Names;
use crate::alarms::{Alarm, Deed, FACILITIES, Syslog, Url, Webhook};
use crate::monitor::EventKind;

/// The facility when the file does not say.
const DEFAULT_FACILITY: u8 = 3;

pub(super) fn alarm(
    section: &mut Section<'_>,
    problems: &mut Problems<'_>,
    names: &Names,
) -> Alarm {
    let set = section.optional(problems, "set", reference("set", &names.ha_sets));
    let all = || EventKind::WORDS.map(|(_, kind)| kind).to_vec();
    let deed = deed(section, problems);
    Alarm {
        name: section.or(problems, "name", name, default_name(&deed)),
        on: section
            .list(problems, "on", choice(&EventKind::WORDS))
            .unwrap_or_else(all),
        set: set.and_then(|set| names.ha_sets[set].clone()),
        link: section.optional(problems, "link", text),
        hold: section.or(problems, "hold", duration("0s", "3600s"), Duration::ZERO),
        deed,
    }
}

/// A webhook or a command.
fn deed(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Deed {
    let has_both = section.has("webhook") && section.has("command");
    let token_file = section.optional(problems, "token-file", whole_path);
    let url = section.optional(problems, "webhook", url);
    let command = section.list(problems, "command", text);
    let path = |key: &str| section.path.key(key);
    if has_both {
        problems.error(
            &path("command"),
            "this alarm has a `webhook`, too",
            "write an alarm for each",
        );
    }
    if command.as_ref().is_some_and(Vec::is_empty) && problems.sound(&path("command")) {
        problems.error(
            &path("command"),
            "there is no program",
            "write [/usr/local/bin/program, argument]",
        );
    }
    if !section.has("webhook") && section.has("token-file") {
        problems.error(
            &path("token-file"),
            "a token is for a `webhook`, and there is none",
            "take the key away",
        );
    }
    if !section.has("webhook") && !section.has("command") {
        problems.error(
            &section.path,
            "nobody is told",
            "add `webhook: http://...` or `command: [program, argument]`",
        );
    }
    match url {
        Some(url) => Deed::Webhook(Webhook { url, token_file }),
        None => Deed::Command(command.unwrap_or_default()),
    }
}

fn default_name(deed: &Deed) -> String {
    match deed {
        Deed::Webhook(webhook) => webhook.url.place().to_owned(),
        Deed::Command(words) => {
            let program = words.first().map(String::as_str).unwrap_or_default();
            let last = program.rsplit('/').next();
            last.unwrap_or_default().to_owned()
        }
    }
}

fn url(node: &Node) -> Read<Url> {
    let given = text(node)?;
    // What stands there may be a secret: it is never quoted.
    Url::new(&given).map_err(|(message, remedy)| Wrong::new(message, remedy))
}

fn whole_path(node: &Node) -> Read<PathBuf> {
    let path = PathBuf::from(text(node)?);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Wrong::new(
            "a relative path depends on where the appliance is started",
            "write it from / on",
        ))
    }
}

/// `true` is all of it with the defaults.
pub(super) fn syslog(top: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<Syslog> {
    let default = Syslog {
        facility: DEFAULT_FACILITY,
    };
    let node = top.node("syslog")?;
    if matches!(node.value, Value::Scalar { .. }) {
        let wanted = top.optional(problems, "syslog", boolean)?;
        return wanted.then_some(default);
    }
    let mut section = Section::open(problems, Path::default().key("syslog"), Some(node));
    let facility = section.or(problems, "facility", choice(&FACILITIES), default.facility);
    section.close(problems);
    Some(Syslog { facility })
}
