//! Who is to be told is told everything once and in order, whoever else is dead.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use benches::lab::{Lab, LabConfig, Site};
use serde_json::Value;

use super::{SET_UP_LIMIT, config, output, sleep, wait_for_all};

/// Of the webhook, in the appliance's own namespace.
const HOOK: &str = "127.0.0.1:9000";
/// A latent fault is known (DESIGN: within 3 s), and told.
const FAULT_LIMIT: Duration = Duration::from_secs(4);
/// `lcp-timeout` is 5 s.
const DOWN_LIMIT: Duration = Duration::from_secs(9);
const BACK: Duration = Duration::from_secs(15);
/// What waits is told for 3 s at most when an appliance stops.
const STOP_LIMIT: Duration = Duration::from_secs(6);

/// Where the program of an alarm writes. It goes with this.
struct Told(PathBuf);

impl Told {
    fn new() -> Self {
        let name = format!("hal2tp-{}-told", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, "").expect("room for a file");
        Self(path)
    }

    /// One event in each line that is whole.
    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).expect("the file is there");
        let whole = text.split_inclusive('\n');
        let whole = whole.filter_map(|line| line.strip_suffix('\n'));
        whole.map(|line| document(line.as_bytes())).collect()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn document(octets: &[u8]) -> Value {
    let text = String::from_utf8_lossy(octets);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The remote tells a program and a webhook, behind one at which nobody listens.
fn telling(file: &Path) -> LabConfig {
    let file = file.display();
    let alarms = format!(
        "alarms:
  - {{ name: dead, webhook: \"http://127.0.0.1:9/x\" }}
  - {{ name: program, command: [/bin/sh, -c, \"cat >> {file}\"] }}
  - {{ name: hook, webhook: \"http://{HOOK}/events\" }}

ports:
"
    );
    LabConfig {
        remote_edits: vec![("ports:\n".to_owned(), alarms)],
        ..config()
    }
}

/// Takes what is posted, in the appliance's namespace, and hands it on.
fn hook(lab: &Lab) -> Receiver<Value> {
    let (events, posted) = mpsc::channel();
    let (ready, listening) = mpsc::channel();
    let thread = lab.namespace(Site::Remote).spawn(move || {
        let listener = TcpListener::bind(HOOK)?;
        let _ = ready.send(());
        // Until the test is over: then nobody takes what is sent.
        for stream in listener.incoming() {
            if events.send(take_post(&stream?)?).is_err() {
                break;
            }
        }
        Ok(())
    });
    listening.recv().expect("the webhook listens");
    drop(thread);
    posted
}

fn take_post(stream: &TcpStream) -> std::io::Result<Value> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut octets) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.to_lowercase().strip_prefix("content-length:") {
            Some(length) => octets = length.trim().parse().expect("a length"),
            None if line.trim().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; octets];
    reader.read_exact(&mut body)?;
    let mut writer = stream;
    writer.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    Ok(document(&body))
}

/// What `hal2tp events` has.
fn events(lab: &Lab) -> Vec<Value> {
    let mut command = Command::new(&lab.config().programs.hal2tp);
    command.args(["events", "--json", "-n", "1000", "--socket"]);
    let text = output(command.arg(lab.socket(Site::Remote)));
    text.lines().map(|line| document(line.as_bytes())).collect()
}

fn is(event: &Value, kind: &str, link: &str) -> bool {
    event["event"] == kind && (link.is_empty() || event["link"] == link)
}

/// Waits for one that comes after the first `seen`, and says how many there are then.
fn wait_for(told: &Told, seen: usize, kind: &str, link: &str, limit: Duration) -> usize {
    let started = Instant::now();
    loop {
        let events = told.events();
        if events[seen..].iter().any(|event| is(event, kind, link)) {
            println!("{kind} {link} after {:?}", started.elapsed());
            return events.len();
        }
        assert!(
            started.elapsed() < limit,
            "no {kind} of {link}: {:?}",
            &events[seen..]
        );
        sleep(0.02);
    }
}

/// How often each thing was said of each link, or of the set.
fn counts(events: &[Value]) -> BTreeMap<(&str, &str), usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        *counts.entry((text("event"), text("link"))).or_default() += 1;
    }
    counts
}

fn without_appliance(mut event: Value) -> Value {
    let fields = event.as_object_mut().expect("an object");
    assert_eq!(fields.remove("appliance"), Some("remote".into()));
    event
}

#[test]
fn what_happens_is_told_once_and_in_order_whoever_else_is_dead() {
    let told = Told::new();
    let mut lab = Lab::build(telling(&told.0)).expect("the lab needs root");
    let posted = hook(&lab);
    for site in Site::BOTH {
        lab.start(site).expect("the appliance starts");
    }
    lab.wait_until_set_up(SET_UP_LIMIT)
        .expect("all links come up");
    wait_for(&told, 0, "set-protected", "", BACK);
    sleep(1.5);

    let seen = told.events().len();
    lab.set_outage(2, true).unwrap();
    wait_for(&told, seen, "fault-began", "L2TP-remote-2", FAULT_LIMIT);
    let after = wait_for(&told, seen, "link-down", "L2TP-remote-2", DOWN_LIMIT);
    lab.set_outage(2, false).unwrap();
    wait_for(&told, after, "link-up", "L2TP-remote-2", BACK);
    wait_for_all(&mut lab, BACK);
    let one = told.events();
    assert!(
        !one[seen..].iter().any(|event| is(event, "set-down", "")),
        "the others carried on: {one:?}"
    );

    let seen = one.len();
    for link in lab.links() {
        lab.set_outage(link, true).unwrap();
    }
    wait_for(&told, seen, "set-down", "", DOWN_LIMIT);
    sleep(0.5);
    let all = told.events();
    let said = counts(&all[seen..]);
    assert_eq!(said[&("set-down", "")], 1, "{said:?}");
    for link in ["L2TP-remote-1", "L2TP-remote-2", "L2TP-remote-3"] {
        assert_eq!(said[&("link-down", link)], 1, "{said:?}");
    }
    for link in lab.links() {
        lab.set_outage(link, false).unwrap();
    }
    wait_for_all(&mut lab, BACK);
    sleep(1.0);

    let status = lab.status_json(Site::Remote).expect("it answers");
    println!("{:#}", status["alarms"]);
    let kept = events(&lab);
    let seen = told.events().len();
    let stopping = Instant::now();
    let exit = lab.stop(Site::Remote).expect("it stops");
    println!("stopped after {:?}", stopping.elapsed());
    assert!(exit.success(), "{exit}");
    assert!(stopping.elapsed() < STOP_LIMIT, "{:?}", stopping.elapsed());

    let program = told.events();
    let posted: Vec<Value> = posted.try_iter().collect();
    let said = counts(&program[seen..]);
    for link in ["L2TP-remote-1", "L2TP-remote-2", "L2TP-remote-3"] {
        assert_eq!(said[&("link-down", link)], 1, "{said:?}");
    }
    let farewell = program[seen..].iter();
    let mut farewell = farewell.filter(|event| is(event, "link-down", ""));
    assert!(farewell.all(|event| event["reason"] == "shutdown"));
    assert_eq!(program, posted, "both were told the same");
    let program: Vec<Value> = program.into_iter().map(without_appliance).collect();
    assert!(program.starts_with(&kept), "{kept:#?}\n{program:#?}");
}
