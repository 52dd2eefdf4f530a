use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::Receiver;
use history::Sample;

use super::*;
use crate::management::request::{Request, channel};
use crate::monitor::{Historian, Moment, Reading};

/// A directory of its own for each test, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("hal2tp-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        Self(place)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("run").join("x.sock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn started(path: &Path) -> Result<(Server, Receiver<Request>), ServeError> {
    let (asker, questions) = channel();
    let events = Arc::<Events>::default();
    let (_historian, history) = Historian::start(None, Arc::clone(&events)).unwrap();
    let known = Known {
        asker,
        events,
        history,
    };
    Server::start(path, known).map(|server| (server, questions))
}

#[test]
fn events_are_told_though_the_control_thread_is_busy() {
    let place = Place::new("events");
    let path = place.socket();
    let (asker, _nobody_answers) = channel();
    let events = Arc::<Events>::default();
    let (_historian, history) = Historian::start(None, Arc::default()).unwrap();
    let known = Known {
        asker,
        events: Arc::clone(&events),
        history,
    };
    let _server = Server::start(&path, known).unwrap();
    let wanted = EventsWanted::default();
    assert_eq!(super::events(&path, &wanted).unwrap(), Happened::default());
    let event = crate::alarms::tests::event(7);
    events.add(event.clone());
    let (last, told) = (1, vec![event.clone()]);
    let expected = Happened { last, events: told };
    assert_eq!(super::events(&path, &wanted).unwrap(), expected);
    // As somebody else would ask.
    let answer: Happened = serde_json::from_str(&send(&path, "events", PATIENCE).unwrap()).unwrap();
    assert_eq!(answer, expected);
    let unknown = send(&path, r#"events {"mots": 3}"#, PATIENCE)
        .unwrap_err()
        .to_string();
    assert!(
        unknown.contains("known: status, kick NAME, mask SECONDS NAME"),
        "{unknown}"
    );
    // Names may hold what looks like the end of them.
    let link = Some("a\"} kick b".to_owned());
    let named = EventsWanted { link, ..wanted };
    assert_eq!(super::events(&path, &named).unwrap().events, []);
}

/// Answers every question with `answer` until the server is gone.
fn answer_with(questions: Receiver<Request>, answer: Answer) -> JoinHandle<usize> {
    thread::spawn(move || {
        let mut count = 0;
        for question in questions {
            assert_eq!(question.command, Question::Status);
            question.answer(answer.clone());
            count += 1;
        }
        count
    })
}

#[test]
fn the_status_comes_back_over_a_private_socket() {
    let place = Place::new("status");
    let path = place.socket();
    let (server, questions) = started(&path).unwrap();
    let wanted = Status {
        name: "head".to_owned(),
        ..Status::default()
    };
    let control = answer_with(questions, Answer::Status(Arc::new(wanted.clone())));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(status(&path).unwrap(), wanted);
    assert_eq!(status(&path).unwrap(), wanted);
    drop(server);
    assert_eq!(control.join().unwrap(), 2);
    assert!(!path.exists());
}

/// The file is read by whoever is asked, and the control thread is handed what came of it.
#[test]
fn a_reload_reads_the_file_anew_each_time() {
    let place = Place::new("reload");
    let (path, file) = (place.socket(), place.0.join("x.yaml"));
    let (asker, questions) = channel();
    let known = Known {
        asker: asker.of_file(file.clone()),
        events: Arc::default(),
        history: Historian::start(None, Arc::default()).unwrap().1,
    };
    let server = Server::start(&path, known).unwrap();
    let control = thread::spawn(move || {
        for question in questions {
            let Question::Reload(wanted) = question.command.clone() else {
                panic!("{question:?}");
            };
            question.answer(match wanted.read {
                Ok(read) => Answer::Reloaded(Box::new(Reloaded {
                    dry_run: wanted.dry_run,
                    warnings: vec![read.config.name.clone()],
                    ..Reloaded::default()
                })),
                Err(why) => Answer::Refused(why),
            });
        }
    });
    let yaml = include_str!("../../../../configs/demo/remote.yaml");
    let refused = |text: &str| {
        fs::write(&file, text).unwrap();
        match reload(&path, false) {
            Err(ClientError::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    fs::write(&file, yaml).unwrap();
    for (dry_run, name) in [(false, "remote"), (true, "another")] {
        fs::write(
            &file,
            yaml.replace("name: remote\n", &format!("name: {name}\n")),
        )
        .unwrap();
        let reloaded = reload(&path, dry_run).unwrap();
        assert_eq!(
            (reloaded.dry_run, reloaded.warnings),
            (dry_run, vec![name.to_owned()])
        );
    }
    let why = refused(&yaml.replacen("      server:", "      sever:", 1));
    assert!(
        why.contains("x.yaml:27:7: error: l2tp.outgoing[head1].sever: "),
        "{why}"
    );
    assert!(why.ends_with("error") || why.ends_with("errors"), "{why}");
    fs::remove_file(&file).unwrap();
    assert!(
        matches!(reload(&path, true), Err(ClientError::Refused(why)) if why.contains("cannot be read"))
    );
    drop(server);
    control.join().unwrap();
}

#[test]
fn an_appliance_without_a_file_reads_none() {
    let place = Place::new("no-file");
    let path = place.socket();
    let (_server, _questions) = started(&path).unwrap();
    let why = reload(&path, false).unwrap_err().to_string();
    assert!(why.contains("was not started with a file"), "{why}");
}

#[test]
fn a_kick_brings_its_name_whole() {
    let place = Place::new("kick");
    let path = place.socket();
    let (server, questions) = started(&path).unwrap();
    let control = thread::spawn(move || {
        for question in questions {
            let Question::Kick(name) = question.command.clone() else {
                panic!("{question:?}");
            };
            let kicked = Kicked {
                name,
                tunnels: 1,
                sessions: 2,
            };
            question.answer(Answer::Kicked(kicked));
        }
    });
    let kicked = kick(&path, "head 1, the quick one").unwrap();
    assert_eq!(kicked.name, "head 1, the quick one");
    assert_eq!((kicked.tunnels, kicked.sessions), (1, 2));
    drop(server);
    control.join().unwrap();
}

#[test]
fn graphs_are_answered_though_the_control_thread_is_silent() {
    let place = Place::new("graphs");
    let path = place.socket();
    let (asker, _questions) = channel();
    let (historian, history) = Historian::start(None, Arc::default()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let reading = |graph: &str| Reading {
        graph: graph.to_owned(),
        sample: Sample {
            measured_s: 1,
            sent_packets: 7,
            ..Sample::default()
        },
    };
    let moment = Moment {
        at: now,
        readings: vec![reading("isp2"), reading("head 1")],
        ..Moment::default()
    };
    history.keep(&Arc::new(moment));
    // It has been written when the thread has ended.
    drop(historian);
    let known = Known {
        asker,
        events: Arc::default(),
        history,
    };
    let _server = Server::start(&path, known).unwrap();
    assert_eq!(graphs(&path).unwrap().graphs, ["head 1", "isp2"]);
    let now_s = now.as_secs();
    let graph = |name, range_s| graph(&path, name, range_s);
    let seconds = graph("head 1", now_s - 60..now_s + 60).unwrap();
    assert_eq!((seconds.name.as_str(), seconds.step_s), ("head 1", 1));
    let rows: Vec<_> = seconds
        .rows
        .iter()
        .map(|row| (row.at_unix_s, row.sent_packets))
        .collect();
    assert_eq!(rows, [(now_s, 7)]);
    let hours = graph("isp2", 0..now_s + 60).unwrap();
    assert_eq!(
        (hours.step_s, hours.rows[0].at_unix_s),
        (3600, now_s / 3600 * 3600)
    );
    assert_eq!(graph("isp2", 5..6).unwrap().rows, []);
    let error = graph("isp3", 5..6).unwrap_err().to_string();
    assert!(error.contains("no graph has the name isp3"), "{error}");
    let turned_round = Range { start: 6, end: 5 };
    let error = graph("isp2", turned_round).unwrap_err().to_string();
    assert!(error.contains("the end must be later"), "{error}");
}

#[test]
fn a_drill_brings_its_name_and_time_whole() {
    let place = Place::new("mask");
    let path = place.socket();
    let (server, questions) = started(&path).unwrap();
    let control = thread::spawn(move || {
        for question in questions {
            let answer = match question.command.clone() {
                Question::Mask { name, .. } if name == "head 2" => {
                    Answer::NotNow("it alone carries".to_owned())
                }
                Question::Mask { name, for_s } => Answer::Masked(Masked {
                    links: vec![name.clone()],
                    name,
                    for_s,
                }),
                Question::Unmask(name) => Answer::Unmasked(Unmasked {
                    links: vec![name.clone()],
                    name,
                }),
                other => panic!("{other:?}"),
            };
            question.answer(answer);
        }
    });
    let name = "head 1, the quick one";
    let masked = mask(&path, name, 60).unwrap();
    assert_eq!((masked.name.as_str(), masked.for_s), (name, 60));
    assert_eq!(unmask(&path, name).unwrap().links, [name]);
    let refused = mask(&path, "head 2", 60).unwrap_err();
    assert!(
        matches!(&refused, ClientError::Refused(why) if why == "it alone carries"),
        "{refused:?}"
    );
    drop(server);
    control.join().unwrap();
}

#[test]
fn an_unknown_request_is_refused_by_name() {
    let place = Place::new("unknown");
    let (_server, _questions) = started(&place.socket()).unwrap();
    for line in [
        "",
        "stop",
        "status status",
        "kick",
        "mask isp1",
        "mask 1m isp1",
        &"x".repeat(10_000),
    ] {
        match send(&place.socket(), line, PATIENCE) {
            Err(ClientError::Refused(text)) => {
                assert!(
                    text.contains(
                        "known: status, kick NAME, mask SECONDS NAME, unmask NAME, reload, events {...}, graphs, graph NAME FROM TO"
                    ),
                    "{text}"
                )
            }
            // A server that has read enough may close before all was written.
            Err(ClientError::Io(..)) if line.len() > 1024 => {}
            other => panic!("{line:?}: {other:?}"),
        }
    }
}

#[test]
fn a_silent_control_thread_gives_a_reason_in_time() {
    let place = Place::new("silent");
    let (_server, questions) = started(&place.socket()).unwrap();
    let started = Instant::now();
    let error = kick(&place.socket(), "head1").unwrap_err();
    assert!(
        error.to_string().contains("did not answer in time"),
        "{error}"
    );
    assert!(started.elapsed() >= ANSWER_TIMEOUT);
    drop(questions);
    let error = kick(&place.socket(), "head1").unwrap_err();
    assert!(error.to_string().contains("has ended"), "{error}");
}

#[test]
fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let place = Place::new("stale");
    let path = place.socket();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    assert!(matches!(status(&path), Err(ClientError::NotRunning(_))));
    let (server, _questions) = started(&path).unwrap();
    assert!(matches!(started(&path), Err(ServeError::InUse(_))));
    assert_eq!(
        sockets_in(path.parent().unwrap()),
        std::slice::from_ref(&path)
    );
    drop(server);
    assert!(sockets_in(path.parent().unwrap()).is_empty());
}

#[test]
fn a_file_of_that_name_is_left_alone() {
    let place = Place::new("file");
    let path = place.socket();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "precious").unwrap();
    assert!(matches!(started(&path), Err(ServeError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn nothing_listening_is_said_kindly() {
    let error = status(Path::new("/nonexistent/hal2tp.sock")).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("no appliance answers on /nonexistent/hal2tp.sock"),
        "{text}"
    );
    assert!(text.contains("hal2tp run -c FILE"), "{text}");
}

/// Whatever stands behind the socket.
#[test]
fn only_an_object_with_an_error_in_words_is_a_refusal() {
    let refused = |answer| match refusal(answer) {
        None => None,
        Some(ClientError::Refused(why)) => Some(why),
        Some(other) => Some(format!("{other:?}")),
    };
    assert_eq!(refused(r#"{"error": "no"}"#).as_deref(), Some("no"));
    for answer in [
        r#"{"error": 7, "name": "x"}"#,
        r#"{"name": "error"}"#,
        r#"["x"]"#,
        r#""x""#,
        "null",
    ] {
        assert_eq!(refused(answer), None, "{answer}");
    }
    for answer in ["", "{", "no"] {
        let why = refused(answer);
        assert!(
            why.is_some_and(|why| why.starts_with("NotUnderstood")),
            "{answer:?}"
        );
    }
}
