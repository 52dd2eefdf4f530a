//! The `hal2tp` command as a user meets it: exit codes, and what goes where.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

use control::config::{Config, Difference, Reloaded, WithoutIpv6};
use control::management::request::{Answer, Asker, Question, Request, channel};
use control::management::socket::{Known, Server};
use control::management::status::{Kicked, Masked, Port, Session, Set, Status, Tunnel, Unmasked};
use control::monitor::{Event, EventKind, Historian, Monitor};

fn hal2tp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hal2tp"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap()
}

/// Whoever has nothing but the control thread to ask.
fn known(asker: Asker) -> Known {
    let (_historian, history) = Historian::start(None, Arc::default()).unwrap();
    Known {
        asker,
        events: Arc::default(),
        history,
    }
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

/// `status --watch` into a pipe; ends when dropped.
struct Watch {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_hal2tp"))
            .arg("status")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_good_file_is_ok() {
    let output = hal2tp(&["check", "configs/head.yaml", "configs/remote.yaml"]);
    assert_eq!(text(&output.stdout), "ok\n");
    assert!(output.status.success());
}

#[test]
fn a_broken_file_fails_and_its_errors_are_counted() {
    let output = hal2tp(&["check", "control/tests/files/broken.yaml"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.ends_with("\n12 errors\n"), "{said}");
    assert!(
        said.starts_with("control/tests/files/broken.yaml:3:12: error: "),
        "{said}"
    );
}

#[test]
fn run_refuses_a_broken_file_before_it_touches_anything() {
    let output = hal2tp(&["run", "-c", "control/tests/files/broken.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("broken.yaml:3:12: error: "));
}

#[test]
fn the_version_is_the_packages() {
    let output = hal2tp(&["version"]);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(text(&output.stdout), format!("hal2tp {version}\n"));
    let output = hal2tp(&["version", "--json"]);
    let wanted = format!("{{\"name\":\"hal2tp\",\"version\":\"{version}\"}}\n");
    assert_eq!(text(&output.stdout), wanted);
}

#[test]
fn the_problems_of_a_file_are_a_document_too() {
    let output = hal2tp(&["check", "control/tests/files/broken.yaml", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let checked: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(checked["errors"], 12);
    assert_eq!(checked["problems"].as_array().unwrap().len(), 12);
    let first = &checked["problems"][0];
    assert_eq!(first["file"], "control/tests/files/broken.yaml");
    assert_eq!((&first["line"], &first["column"]), (&3.into(), &12.into()));
    assert!(!first["remedy"].as_str().unwrap().is_empty());
}

#[test]
fn the_manual_and_the_completions_are_printed() {
    let manual = hal2tp(&["man"]);
    assert!(text(&manual.stdout).contains(".TH hal2tp 1"), "{manual:?}");
    let script = hal2tp(&["completions", "bash"]);
    assert!(text(&script.stdout).contains("complete -F _hal2tp"));
}

#[test]
fn status_asks_the_socket_that_the_file_names() {
    let place = std::env::temp_dir().join(format!("hal2tp-cli-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let path: PathBuf = place.join("x.sock");
    let file = place.join("x.yaml");
    let yaml = include_str!("../../configs/head.yaml");
    let yaml = yaml.replace("/run/hal2tp/head.sock", &path.display().to_string());
    std::fs::write(&file, yaml).unwrap();
    let status = Status {
        name: "head".to_owned(),
        sets: vec![Set {
            name: "A".to_owned(),
            protection: Set::HA.to_owned(),
            ..Set::default()
        }],
        ..Status::default()
    };
    let (asker, questions) = channel();
    let server = Server::start(&path, known(asker)).unwrap();
    let answer = Answer::Status(Arc::new(status.clone()));
    let control = thread::spawn(move || {
        for question in questions {
            question.answer(answer.clone());
        }
    });
    let file = file.display().to_string();
    let json = hal2tp(&["status", "-c", &file, "--json"]);
    assert!(json.status.success());
    assert_eq!(
        serde_json::from_slice::<Status>(&json.stdout).unwrap(),
        status
    );
    let shown = hal2tp(&["status", "--socket", &path.display().to_string()]);
    assert!(text(&shown.stdout).contains("HA SETS"), "{shown:?}");
    assert!(
        !text(&shown.stdout).contains('\x1b'),
        "colours although no terminal"
    );
    let socket = path.display().to_string();
    let forced = hal2tp(&["status", "--socket", &socket, "--color", "always"]);
    assert!(text(&forced.stdout).contains("\x1b[32mha\x1b[0m"));

    let mut documents = Watch::start(&["--watch", "--json", "--socket", &socket]);
    for _ in 0..2 {
        let line = documents.line();
        assert_eq!(serde_json::from_str::<Status>(&line).unwrap(), status);
    }
    let mut tables = Watch::start(&["--watch", "--socket", &socket]);
    let shown = (0..20).map(|_| tables.line());
    let shown: Vec<String> = shown.collect();
    let sets = shown.iter().filter(|it| it.as_str() == "HA SETS\n");
    assert!(sets.count() >= 2, "{shown:?}");
    drop(server);
    control.join().unwrap();
    let gone = "{\"error\":\"no appliance answers on ";
    assert!((0..20).any(|_| documents.line().starts_with(gone)));

    let output = hal2tp(&["status", "-c", &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("no appliance answers on"),
        "{output:?}"
    );
    std::fs::remove_dir_all(&place).unwrap();
}

#[test]
fn run_says_that_the_address_for_http_is_taken() {
    let place = std::env::temp_dir().join(format!("hal2tp-http-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let socket = format!("{}/x.sock", place.display());
    let yaml = include_str!("../../configs/head.yaml");
    let with_http = format!("{socket}, http: \"{address}\"");
    let yaml = yaml.replace("/run/hal2tp/head.sock", &with_http);
    let file = place.join("x.yaml");
    std::fs::write(&file, yaml).unwrap();
    let output = hal2tp(&["run", "-c", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let said = format!("{address}: another program listens there");
    assert!(text(&output.stderr).contains(&said), "{output:?}");
    std::fs::remove_dir_all(&place).unwrap();
}

/// Answers as an appliance with one tunnel that is refused, and one session.
fn appliance(questions: impl Iterator<Item = Request>) {
    let status = Status {
        tunnels: vec![Tunnel {
            name: "head1".to_owned(),
            state: "waiting".into(),
            last_result: Some("the peer: not authorised (4): wrong secret".to_owned()),
            next_attempt_s: Some(3),
            ..Tunnel::default()
        }],
        sessions: vec![Session {
            name: "L2TP-remote-1".to_owned(),
            tunnel: "head1".to_owned(),
            state: "dialling".into(),
            ..Session::default()
        }],
        ports: vec![Port {
            name: "isp1".to_owned(),
            drops: [("no-route".to_owned(), 3)].into(),
            ..Port::default()
        }],
        ..Status::default()
    };
    for question in questions {
        let answer = match &question.command {
            Question::Status => Answer::Status(Arc::new(status.clone())),
            Question::Kick(name) if name == "head1" => Answer::Kicked(Kicked {
                name: name.clone(),
                tunnels: 1,
                sessions: 0,
            }),
            Question::Mask { name, for_s } if name == "head2" => Answer::Masked(Masked {
                name: name.clone(),
                links: vec!["L2TP-remote-2".to_owned()],
                for_s: *for_s,
            }),
            Question::Mask { name, .. } if name == "head1" => {
                Answer::NotNow("L2TP-remote-1 is the only link that carries set A".to_owned())
            }
            Question::Unmask(name) => Answer::Unmasked(Unmasked {
                name: name.clone(),
                links: match name.as_str() {
                    "head2" => vec!["L2TP-remote-2".to_owned()],
                    _ => Vec::new(),
                },
            }),
            _ => Answer::Refused("no tunnel or session is called so".to_owned()),
        };
        question.answer(answer);
    }
}

#[test]
fn tunnels_and_sessions_are_shown_and_kicked_by_name() {
    let place = std::env::temp_dir().join(format!("hal2tp-views-{}", std::process::id()));
    let path = place.join("x.sock");
    let (asker, questions) = channel();
    let server = Server::start(&path, known(asker)).unwrap();
    let control = thread::spawn(move || appliance(questions.into_iter()));
    let socket = path.display().to_string();
    let ask = |arguments: &[&str]| hal2tp(&[arguments, &["--socket", &socket]].concat());

    let shown = ask(&["tunnels"]);
    let said = text(&shown.stdout);
    assert!(said.starts_with("TUNNELS\n"), "{said}");
    assert!(
        said.contains("again in 3 s  the peer: not authorised (4): wrong secret"),
        "{said}"
    );
    assert!(!said.contains("SESSIONS"), "{said}");
    let json = ask(&["tunnels", "--json"]);
    let tunnels: Vec<Tunnel> = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(tunnels[0].next_attempt_s, Some(3));

    let shown = ask(&["sessions"]);
    assert!(text(&shown.stdout).contains("dialling"), "{shown:?}");
    let json = ask(&["sessions", "--json"]);
    let sessions: Vec<Session> = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(sessions[0].tunnel, "head1");

    let dropped = ask(&["drops", "--for", "10ms"]);
    let said = text(&dropped.stdout);
    assert!(said.starts_with("DROPS\n"), "{dropped:?}");
    assert!(
        said.contains("port isp1  no-route      3   0  No route"),
        "{said}"
    );
    let json = ask(&["drops", "--for", "10ms", "--json"]);
    let dropped: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(dropped["measured_ms"].as_u64().unwrap() >= 10);
    assert_eq!(dropped["drops"][0]["port"], "isp1");

    let kicked = ask(&["kick", "head1"]);
    assert_eq!(text(&kicked.stdout), "head1: 1 tunnel, 0 sessions\n");
    let wrong = ask(&["kick", "head1", "haed2"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        text(&wrong.stderr).contains("haed2: no tunnel or session is called so"),
        "{wrong:?}"
    );
    let json = ask(&["kick", "haed2", "head1", "--json"]);
    assert_eq!(json.status.code(), Some(1));
    assert_eq!(
        text(&json.stdout),
        concat!(
            r#"[{"name":"haed2","error":"no tunnel or session is called so"},"#,
            r#"{"name":"head1","tunnels":1,"sessions":0}]"#,
            "\n"
        )
    );

    let masked = ask(&["mask", "head2"]);
    assert_eq!(text(&masked.stdout), "L2TP-remote-2: masked for 60 s\n");
    let refused = ask(&["mask", "head1", "head2", "--for", "5s"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(text(&refused.stdout), "L2TP-remote-2: masked for 5 s\n");
    assert_eq!(
        text(&refused.stderr),
        "head1: L2TP-remote-1 is the only link that carries set A\n"
    );
    let undone = ask(&["mask", "head2", "head1", "--undo"]);
    assert_eq!(
        text(&undone.stdout),
        "L2TP-remote-2: carries again\nhead1: nothing was masked\n"
    );
    let json = ask(&["mask", "head2", "--json"]);
    assert_eq!(
        text(&json.stdout),
        "[{\"name\":\"head2\",\"links\":[\"L2TP-remote-2\"],\"for_s\":60}]\n"
    );
    drop(server);
    control.join().unwrap();
    std::fs::remove_dir_all(&place).unwrap();
}

/// The control thread of an appliance that follows a file.
fn follower(questions: impl Iterator<Item = Request>, mut config: Config) {
    for question in questions {
        let Question::Reload(wanted) = &question.command else {
            panic!("{question:?}");
        };
        question.answer(match &wanted.read {
            Ok(read) => {
                let difference =
                    Difference::between(&config, &read.config, &WithoutIpv6::default());
                if !wanted.dry_run {
                    config = Config::clone(&read.config);
                }
                Answer::Reloaded(Box::new(Reloaded {
                    dry_run: wanted.dry_run,
                    ..difference.reloaded
                }))
            }
            Err(why) => Answer::Refused(why.clone()),
        });
    }
}

#[test]
fn a_reload_says_what_it_does_and_what_is_wrong_as_check_does() {
    let place = std::env::temp_dir().join(format!("hal2tp-reload-cli-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let (path, file) = (place.join("x.sock"), place.join("x.yaml"));
    let yaml = include_str!("../../configs/demo/remote.yaml");
    std::fs::write(&file, yaml).unwrap();
    let (config, _) = Config::load(&file).unwrap();
    let (asker, questions) = channel();
    let server = Server::start(&path, known(asker.of_file(file.clone()))).unwrap();
    let control = thread::spawn(move || follower(questions.into_iter(), config));
    let socket = path.display().to_string();
    let ask = |arguments: &[&str]| hal2tp(&[&["reload", "--socket", &socket], arguments].concat());
    let write = |from: &str, to: &str| {
        assert!(yaml.contains(from));
        std::fs::write(&file, yaml.replacen(from, to, 1)).unwrap();
    };
    let said = |output: &Output| {
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout).to_owned()
    };
    assert_eq!(said(&ask(&[])), "nothing has changed\n");
    write("name: head2", "name: head9");
    let lines = "outgoing: head9 added; head2 removed\n";
    let dry = format!("nothing was done; it would be:\n{lines}");
    assert_eq!(said(&ask(&["--dry-run"])), dry);
    assert_eq!(said(&ask(&["--dry-run"])), dry, "it was not done");
    let json: serde_json::Value =
        serde_json::from_str(&said(&ask(&["--dry-run", "--json"]))).unwrap();
    assert_eq!(json["outgoing"]["added"], serde_json::json!(["head9"]));
    assert_eq!(
        (&json["dry_run"], &json["unchanged"]),
        (&true.into(), &false.into())
    );
    assert_eq!(said(&ask(&[])), lines);
    assert_eq!(said(&ask(&[])), "nothing has changed\n");
    write("      server:", "      sever:");
    let wrong = ask(&[]);
    let checked = hal2tp(&["check", &file.display().to_string()]);
    assert_eq!(
        (wrong.status.code(), checked.status.code()),
        (Some(1), Some(1))
    );
    assert_eq!(text(&wrong.stderr), text(&checked.stdout));
    assert!(wrong.stdout.is_empty());
    drop(server);
    control.join().unwrap();
    std::fs::remove_dir_all(&place).unwrap();
}

#[test]
fn events_are_lines_or_json() {
    let place = std::env::temp_dir().join(format!("hal2tp-events-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let path = place.join("x.sock");
    let (asker, _questions) = channel();
    let known = known(asker);
    let happened = Event {
        at_unix_ms: 1_795_752_306_007,
        event: EventKind::SetDown,
        link: None,
        set: Some("A".to_owned()),
        remote: Some("192.0.2.1".to_owned()),
        reason: None,
        text: "no link carries the set".to_owned(),
    };
    known.events.add(happened.clone());
    let server = Server::start(&path, known).unwrap();
    let socket = path.to_str().unwrap();
    let output = hal2tp(&["events", "--socket", socket]);
    let line = "2026-11-27T04:05:06.007Z event=set-down set=A remote=192.0.2.1 text=\"no link carries the set\"\n";
    assert_eq!(text(&output.stdout), line);
    let output = hal2tp(&[
        "events", "--socket", socket, "--json", "-n", "1", "--set", "A",
    ]);
    assert_eq!(
        serde_json::from_slice::<Event>(&output.stdout).unwrap(),
        happened
    );
    let output = hal2tp(&["events", "--socket", socket, "--link", "L1"]);
    assert!(output.status.success() && output.stdout.is_empty());
    drop(server);
    std::fs::remove_dir_all(&place).unwrap();
}

#[test]
fn graphs_are_listed_drawn_and_written_to_files() {
    let place = std::env::temp_dir().join(format!("hal2tp-graphs-{}", std::process::id()));
    let path = place.join("x.sock");
    let (asker, questions) = channel();
    let (_historian, history) = Historian::start(None, Arc::default()).unwrap();
    let known = Known {
        asker: asker.clone(),
        events: Arc::default(),
        history: history.clone(),
    };
    let server = Server::start(&path, known).unwrap();
    let control = thread::spawn(move || appliance(questions.into_iter()));
    let monitor = Monitor::start(asker, Arc::default(), history).unwrap();
    let socket = path.display().to_string();
    let ask =
        |arguments: &[&str]| hal2tp(&[&["graph"], arguments, &["--socket", &socket]].concat());
    let link = loop {
        // At the very start there is no history yet, which is said.
        let names = ask(&[]);
        if let Some(name) = text(&names.stdout).lines().next() {
            break name.to_owned();
        }
    };
    let drawn = ask(&[&link, "--last", "10m"]);
    assert!(drawn.status.success(), "{drawn:?}");
    assert!(text(&drawn.stdout).contains(&link), "{drawn:?}");
    assert!(!text(&drawn.stdout).contains('\x1b'), "no terminal");
    // The second that is now is not over.
    let rows = loop {
        let json = ask(&[&link, "--json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&json.stdout).unwrap();
        if !rows.is_empty() {
            break rows;
        }
    };
    // Two readings may fall into one second of the clock.
    assert!(rows[0]["measured_s"].as_u64() >= Some(1), "{rows:?}");
    for (ending, begins) in [
        ("svg", &b"<svg"[..]),
        ("png", b"\x89PNG"),
        ("csv", b"graph,"),
    ] {
        let file = place.join(format!("x.{ending}"));
        let written = ask(&[&link, "-o", &file.display().to_string()]);
        assert!(written.status.success(), "{written:?}");
        assert!(std::fs::read(&file).unwrap().starts_with(begins));
    }
    for (arguments, why) in [
        (&["nobody"][..], "no graph has the name nobody"),
        (&[&link, "--last", "1w"], "write 10m, 1h"),
        (&[&link, "-o", "x.gif"], "End its name in one of .svg"),
        (&[&link, "-o", "/nonexistent/x.svg"], "/nonexistent/x.svg: "),
    ] {
        let output = ask(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(why), "{output:?}");
    }
    drop((monitor, server));
    control.join().unwrap();
    std::fs::remove_dir_all(place).unwrap();
}
