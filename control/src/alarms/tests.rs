//! Alarms against real servers and programs.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use super::command::Program;
use super::errands::{Outcome, Runner};
use super::webhook::Hook;
use super::*;
use crate::engine::{Ending, Fault, FaultEnd, SetName, What};
use crate::monitor::EventKind;

/// A directory of its own for each test, removed at the end.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let place =
            std::env::temp_dir().join(format!("hal2tp-alarms-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        Self(place)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn event(at_unix_ms: u64) -> Event {
    Event {
        at_unix_ms,
        event: EventKind::LinkDown,
        link: Some("L1".to_owned()),
        set: Some("A".to_owned()),
        remote: Some("192.0.2.1".to_owned()),
        reason: Some("kicked".to_owned()),
        text: "as asked".to_owned(),
    }
}

const DOCUMENT: &str = r#"{"appliance":"head","at_unix_ms":5,"event":"link-down","link":"L1","set":"A","remote":"192.0.2.1","reason":"kicked","text":"as asked"}"#;

fn errands() -> Errands {
    Errands::new("test".to_owned())
}

/// What a server was sent: head and body.
struct Posted {
    head: String,
    body: String,
}

/// Takes one request from each client that comes, and answers with these lines in turn; `None`
/// never answers. Gives its address and what it was sent.
fn server(answers: Vec<Option<&'static str>>) -> (String, mpsc::Receiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (posted, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut silent = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            let _ = posted.send(read_request(&stream));
            match answer {
                Some(answer) => {
                    let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
                    (&stream).write_all(text.as_bytes()).unwrap();
                }
                None => silent.push(stream),
            }
        }
        // The silent ones are held open.
        thread::sleep(Duration::from_secs(30));
    });
    (address, receiver)
}

fn read_request(stream: &TcpStream) -> Posted {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        let line = line.to_lowercase();
        if let Some(octets) = line.strip_prefix("content-length:") {
            length = octets.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    Posted { head, body }
}

fn hook(address: &str, token_file: Option<PathBuf>) -> Hook {
    let url = Url::new(&format!("http://{address}/s3cret?k=s3cret")).unwrap();
    Hook::new("head", &Webhook { url, token_file })
}

#[test]
fn a_webhook_is_posted_the_event_with_its_token() {
    let place = Place::new("token");
    let token = place.path("token");
    fs::write(&token, "t0ken\n").unwrap();
    let (address, posted) = server(vec![Some("204 No Content"), Some("200 OK")]);
    assert_eq!(
        hook(&address, None).tell(&event(5), &errands()),
        Outcome::Told
    );
    let got = posted.recv().unwrap();
    assert!(
        got.head.starts_with("post /s3cret?k=s3cret http/1.1\r\n"),
        "{}",
        got.head
    );
    assert!(
        got.head.contains("content-type: application/json"),
        "{}",
        got.head
    );
    assert!(!got.head.contains("authorization"), "{}", got.head);
    assert_eq!(got.body, DOCUMENT);
    let told = hook(&address, Some(token)).tell(&event(5), &errands());
    assert_eq!(told, Outcome::Told);
    let head = posted.recv().unwrap().head;
    assert!(head.contains("authorization: bearer t0ken\r\n"), "{head}");
}

#[test]
fn what_a_webhook_answers_decides_and_no_secret_is_in_what_is_said() {
    let answers = [
        "500 No",
        "429 Later",
        "408 Too slow",
        "404 Not here",
        "302 Elsewhere",
        "nonsense",
    ];
    let (address, _posted) = server(answers.map(Some).to_vec());
    let mut hook_there = hook(&address, None);
    let mut tell = || hook_there.tell(&event(5), &errands());
    let status = |code| format!("{address} answers with status {code}");
    assert_eq!(tell(), Outcome::TryAgain(status(500)));
    assert_eq!(tell(), Outcome::TryAgain(status(429)));
    assert_eq!(tell(), Outcome::TryAgain(status(408)));
    assert_eq!(tell(), Outcome::GivenUp(status(404)));
    assert_eq!(tell(), Outcome::GivenUp(status(302)));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = closed.local_addr().unwrap().to_string();
    drop(closed);
    let no_token = Some(PathBuf::from("/nonexistent/token"));
    let said = [
        tell(),
        hook(&nobody, None).tell(&event(5), &errands()),
        hook("no-such-host.invalid", None).tell(&event(5), &errands()),
        hook(&address, no_token).tell(&event(5), &errands()),
    ];
    for outcome in said {
        let Outcome::TryAgain(why) = &outcome else {
            panic!("{outcome:?}");
        };
        assert!(!why.is_empty() && !why.contains("s3cret"), "{why}");
    }
}

#[test]
fn a_webhook_that_hangs_is_left_when_its_time_is_over() {
    let (address, _posted) = server(vec![None]);
    let errands = errands();
    let start = Instant::now();
    errands.hurry(start + Duration::from_millis(300));
    let Outcome::TryAgain(why) = hook(&address, None).tell(&event(5), &errands) else {
        panic!("it was told");
    };
    assert!(why.contains("timeout"), "{why}");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

/// A program that writes what it is told behind what is in a file.
fn appending(path: &Path) -> Deed {
    let words = ["/bin/sh", "-c", "cat >> \"$0\"", path.to_str().unwrap()];
    Deed::Command(words.map(str::to_owned).to_vec())
}

fn shell(script: &str) -> Program {
    let words = ["/bin/sh", "-c", script].map(str::to_owned);
    Program::new("head", &words)
}

fn failed(outcome: Outcome) -> String {
    match outcome {
        Outcome::GivenUp(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_has_the_event_and_nothing_else_of_ours() {
    let place = Place::new("command");
    let path = place.path("out");
    let shown = path.display();
    // What DPDK opens is passed on, if nothing is done about it.
    let open = fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
    let mut told = event(5);
    told.link = None;
    told.text = "it is\0 \"down\"; $(reboot)".to_owned();
    let script =
        format!("(cat; env | grep ^HAL2TP_ | sort; ls /proc/self/fd | tr '\\n' ' ') > {shown}");
    assert_eq!(shell(&script).tell(&told, &errands()), Outcome::Told);
    let document = document("head", &told);
    // The listing has one open itself: 3.
    let expected = format!(
        "{document}\nHAL2TP_APPLIANCE=head\nHAL2TP_AT_UNIX_MS=5\nHAL2TP_EVENT=link-down\nHAL2TP_REASON=kicked\nHAL2TP_REMOTE=192.0.2.1\nHAL2TP_SET=A\nHAL2TP_TEXT=it is  \"down\"; $(reboot)\n0 1 2 3 "
    );
    let seen = fs::read_to_string(&path).unwrap();
    // What the tests themselves are told by is passed on.
    let is_ours = |line: &&str| {
        let name = line.split('=').next().unwrap_or_default();
        name.starts_with("HAL2TP_") && std::env::var_os(name).is_some()
    };
    let seen: Vec<&str> = seen.lines().filter(|line| !is_ours(line)).collect();
    assert_eq!(seen.join("\n"), expected);
}

/// The appliance itself may have been started by such a program. In a process of its own, which is this test again.
#[test]
fn what_an_event_does_not_have_is_not_taken_from_our_own_environment() {
    const NAME: &str =
        "alarms::tests::what_an_event_does_not_have_is_not_taken_from_our_own_environment";
    if std::env::var_os("HAL2TP_LINK").is_none() {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let again = again.args(["--exact", NAME]).env("HAL2TP_LINK", "stale");
        let output = again.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let place = Place::new("environment");
    let path = place.path("out");
    let mut told = event(5);
    told.link = None;
    let script = format!("echo ${{HAL2TP_LINK-none}} > {}", path.display());
    assert_eq!(shell(&script).tell(&told, &errands()), Outcome::Told);
    assert_eq!(fs::read_to_string(&path).unwrap(), "none\n");
}

#[test]
fn a_command_that_fails_or_is_not_there_says_so() {
    let why = failed(shell("echo no pager >&2; exit 3").tell(&event(5), &errands()));
    assert_eq!(why, "/bin/sh: exit status: 3");
    let mut missing = Program::new("head", &["/nonexistent/page-me".to_owned()]);
    let why = failed(missing.tell(&event(5), &errands()));
    assert!(
        why.starts_with("/nonexistent/page-me cannot be run: No such file"),
        "{why}"
    );
}

#[test]
fn a_command_that_is_being_written_is_run_later() {
    let place = Place::new("busy");
    let path = place.path("page-me");
    fs::copy("/bin/true", &path).unwrap();
    let writer = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut program = Program::new("head", &[path.display().to_string()]);
    let Outcome::TryAgain(why) = program.tell(&event(5), &errands()) else {
        panic!("it was told, or given up");
    };
    assert!(why.contains("cannot be run: Text file busy"), "{why}");
    drop(writer);
    assert_eq!(program.tell(&event(5), &errands()), Outcome::Told);
}

/// Whether a process is there, a zombie too.
fn is_there(process: &str) -> bool {
    PathBuf::from(format!("/proc/{}", process.trim())).exists()
}

/// Whether one that is not ours to wait for runs no more, within a while.
fn is_over(process: &str) -> bool {
    let runs = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.trim()));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    let start = Instant::now();
    while runs() && start.elapsed() < Duration::from_secs(3) {
        thread::sleep(Duration::from_millis(10));
    }
    !runs()
}

#[test]
fn a_command_that_hangs_ends_with_all_that_it_has_started() {
    let place = Place::new("hangs");
    let shown = place.path("pids").display().to_string();
    let script = format!("sleep 60 & echo $! > {shown}; echo $$ >> {shown}; wait");
    let mut program = shell(&script).with_time_limit(Duration::from_millis(300));
    let start = Instant::now();
    let why = failed(program.tell(&event(5), &errands()));
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(why.starts_with("/bin/sh was ended after 0.3"), "{why}");
    let started = fs::read_to_string(&shown).unwrap();
    let [sleep, sh] = started.lines().collect::<Vec<_>>()[..] else {
        panic!("{started}");
    };
    assert!(!is_there(sh), "it was waited for");
    assert!(is_over(sleep), "{sleep} goes on");
}

#[test]
fn what_a_command_leaves_behind_ends_with_it_and_holds_nobody_up() {
    let place = Place::new("behind");
    let shown = place.path("pid").display().to_string();
    // It keeps the output open.
    let script = format!("sleep 60 & echo $! > {shown}");
    let start = Instant::now();
    assert_eq!(shell(&script).tell(&event(5), &errands()), Outcome::Told);
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(is_over(&fs::read_to_string(&shown).unwrap()));
}

#[test]
fn megabytes_of_output_are_taken_and_a_closed_one_is_no_end() {
    let start = Instant::now();
    let megabytes = "head -c 5000000 /dev/zero";
    assert_eq!(shell(megabytes).tell(&event(5), &errands()), Outcome::Told);
    let closed = "exec >&- 2>&-; sleep 0.2; exit 4";
    assert_eq!(
        failed(shell(closed).tell(&event(5), &errands())),
        "/bin/sh: exit status: 4"
    );
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
}

fn happening(link: &str, what: What) -> Happening {
    Happening {
        link: Some(link.to_owned()),
        set: Some(SetName {
            name: "A".to_owned(),
            remote: "192.0.2.1".to_owned(),
        }),
        what,
    }
}

fn config(alarms: Vec<Alarm>) -> Config {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/demo/head.yaml");
    let (mut config, _) = Config::load(Path::new(path)).unwrap();
    config.alarms = alarms;
    config
}

fn alarm(name: &str, deed: Deed, on: &[EventKind]) -> Alarm {
    Alarm {
        name: name.to_owned(),
        on: on.to_vec(),
        set: None,
        link: None,
        hold: Duration::ZERO,
        deed,
    }
}

/// One alarm hangs, one is for other links: the third has everything in its order, the events are
/// kept, and the end does not wait for the first.
#[test]
fn a_dead_alarm_delays_nobody_and_all_is_counted() {
    let (address, _posted) = server(vec![None]);
    let (answers, posted) = server(vec![Some("200 OK"); 3]);
    let webhook = |address: &str| {
        let url = Url::new(&format!("http://{address}/")).unwrap();
        let token_file = None;
        Deed::Webhook(Webhook { url, token_file })
    };
    let all = EventKind::WORDS.map(|(_, kind)| kind);
    let mut other = alarm("other", webhook(&answers), &all);
    other.link = Some("L2".to_owned());
    let on = [EventKind::LinkDown, EventKind::FaultBegan];
    let alarms = vec![
        alarm("dead", webhook(&address), &all),
        other,
        alarm("good", webhook(&answers), &on),
    ];
    let events = Arc::<Events>::default();
    let (teller, alarms) = Alarms::start(&config(alarms), Arc::clone(&events)).unwrap();
    let start = Instant::now();
    teller.tell(happening("L1", What::FaultBegan(Fault::Silent)));
    let (lasted, how) = (Duration::from_secs(1), FaultEnd::Delivers);
    teller.tell(happening("L1", What::FaultEnded { lasted, how }));
    for _ in 0..2 {
        teller.tell(happening("L1", What::LinkDown(Ending::Kicked)));
    }
    let bodies: Vec<String> = (0..3).map(|_| posted.recv().unwrap().body).collect();
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    // Not the fault's end, which it is not for.
    for (body, said) in bodies.iter().zip(["fault-began", "link-down", "link-down"]) {
        assert!(body.contains(said), "{bodies:?}");
    }
    drop(teller);
    assert_eq!(alarms.counts(), EventCounts { told: 4, lost: 0 });
    let kept = events.newest(9, |_| true);
    assert_eq!((kept.len(), kept[0].event), (4, EventKind::LinkDown));
    let end = Instant::now();
    alarms.finish();
    assert!(
        end.elapsed() < FAREWELL + Duration::from_secs(1),
        "{:?}",
        end.elapsed()
    );
}

#[test]
fn what_was_told_last_reaches_its_alarm_before_the_end_though_it_was_held() {
    let place = Place::new("last");
    let path = place.path("out");
    let deed = appending(&path);
    let mut held = alarm("held", deed, &[EventKind::LinkUp]);
    held.hold = Duration::from_secs(3600);
    let (teller, alarms) = Alarms::start(&config(vec![held]), Arc::default()).unwrap();
    let network = "IPv4".to_owned();
    teller.tell(happening("L1", What::LinkUp { network, ha: true }));
    thread::sleep(Duration::from_millis(100));
    let counted = alarms.notifiers();
    assert_eq!((counted[0].sent, counted[0].waiting), (0, 0));
    drop(teller);
    alarms.finish();
    let said = fs::read_to_string(&path).unwrap();
    assert_eq!(said.matches("\"event\":\"link-up\"").count(), 1, "{said}");
}

/// Though nothing more happens.
#[test]
fn what_is_held_is_told_when_its_time_is_over() {
    let (address, posted) = server(vec![Some("200 OK")]);
    let url = Url::new(&format!("http://{address}/")).unwrap();
    let token_file = None;
    let deed = Deed::Webhook(Webhook { url, token_file });
    let mut held = alarm("held", deed, &[EventKind::LinkUp]);
    held.hold = Duration::from_millis(300);
    let (teller, alarms) = Alarms::start(&config(vec![held]), Arc::default()).unwrap();
    let start = Instant::now();
    let network = "IPv4".to_owned();
    teller.tell(happening("L1", What::LinkUp { network, ha: true }));
    let said = posted.recv_timeout(Duration::from_secs(10)).unwrap().body;
    assert!(said.contains("link-up"), "{said}");
    assert!(start.elapsed() >= Duration::from_millis(300));
    drop(teller);
    alarms.finish();
}

/// Who is told still is told the rest, once; who is told no more is told what it was before,
/// though that was held back; and who is new hears of nothing before.
#[test]
fn others_are_told_from_then_on_and_nothing_is_lost_or_said_twice() {
    let place = Place::new("follow");
    let to = |name: &str| appending(&place.path(name));
    let all = EventKind::WORDS.map(|(_, kind)| kind);
    let kept = alarm("kept", to("kept"), &all);
    let (mut before, after) = (
        alarm("other", to("before"), &all),
        alarm("other", to("after"), &all),
    );
    before.hold = Duration::from_secs(3600);
    let mut settings = config(vec![before, kept.clone()]);
    let (teller, mut alarms) = Alarms::start(&settings, Arc::default()).unwrap();
    let network = || "IPv4".to_owned();
    let up = |link: &str| {
        happening(
            link,
            What::LinkUp {
                network: network(),
                ha: true,
            },
        )
    };
    teller.tell(up("L1"));
    settings.alarms = vec![kept, after];
    alarms.follow(&teller, &settings).unwrap();
    teller.tell(up("L2"));
    // The same again changes nothing.
    alarms.follow(&teller, &settings).unwrap();
    teller.tell(up("L3"));
    let names: Vec<String> = alarms.notifiers().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["kept", "other"]);
    drop(teller);
    alarms.finish();
    for (name, expected) in [
        ("kept", &["L1", "L2", "L3"][..]),
        ("before", &["L1"]),
        ("after", &["L2", "L3"]),
    ] {
        let said = fs::read_to_string(place.path(name)).unwrap();
        let links: Vec<&str> = said
            .split("\"link\":\"")
            .skip(1)
            .map(|it| &it[..2])
            .collect();
        assert_eq!(links, expected, "{name}");
    }
}

/// Who is told from then on, and only what stands for a while, knows how everything was: the
/// first outage is told, and so is the end of a fault that began before.
#[test]
fn who_is_told_later_hears_of_the_first_outage() {
    let place = Place::new("later");
    let path = place.path("out");
    let deed = appending(&path);
    let all = EventKind::WORDS.map(|(_, kind)| kind);
    let mut settings = config(Vec::new());
    let (teller, mut alarms) = Alarms::start(&settings, Arc::default()).unwrap();
    for link in ["L1", "L2"] {
        let network = "IPv4".to_owned();
        teller.tell(happening(link, What::LinkUp { network, ha: true }));
    }
    teller.tell(happening("L2", What::FaultBegan(Fault::Silent)));
    let mut later = alarm("later", deed, &all);
    later.hold = Duration::from_millis(200);
    settings.alarms = vec![later];
    alarms.follow(&teller, &settings).unwrap();
    let (lasted, how) = (Duration::from_secs(1), FaultEnd::Delivers);
    teller.tell(happening("L2", What::FaultEnded { lasted, how }));
    teller.tell(happening("L1", What::LinkDown(Ending::Kicked)));
    let deadline = Instant::now() + Duration::from_secs(20);
    while alarms.notifiers()[0].sent < 2 {
        assert!(Instant::now() < deadline, "{:?}", alarms.notifiers());
        thread::sleep(Duration::from_millis(5));
    }
    drop(teller);
    alarms.finish();
    let said = fs::read_to_string(&path).unwrap();
    let mut events: Vec<&str> = said
        .split("\"event\":\"")
        .skip(1)
        .map(|it| it.split('"').next().unwrap())
        .collect();
    // They may be of one millisecond.
    events.sort_unstable();
    assert_eq!(events, ["fault-ended", "link-down"]);
}

/// Whoever corrects an address finds what had waited for the wrong one counted.
#[test]
fn what_waited_for_an_alarm_that_is_changed_is_counted_by_the_next_one() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let url = Url::new(&format!("http://{address}/")).unwrap();
    let token_file = None;
    let wrong = Deed::Webhook(Webhook { url, token_file });
    let right = Deed::Command(vec!["/bin/true".to_owned()]);
    let on = [EventKind::LinkDown];
    let mut settings = config(vec![alarm("pager", wrong, &on)]);
    let (teller, mut alarms) = Alarms::start(&settings, Arc::default()).unwrap();
    for _ in 0..3 {
        teller.tell(happening("L1", What::LinkDown(Ending::Kicked)));
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let reached = |alarms: &Alarms, counts: (u64, u64, u64)| {
        let now = alarms.notifiers().remove(0);
        assert!(Instant::now() < deadline, "{now:?}");
        thread::sleep(Duration::from_millis(5));
        (now.waiting, now.sent, now.dropped) == counts
    };
    while !reached(&alarms, (3, 0, 0)) {}
    settings.alarms = vec![alarm("pager", right, &on)];
    alarms.follow(&teller, &settings).unwrap();
    teller.tell(happening("L1", What::LinkDown(Ending::Kicked)));
    while !reached(&alarms, (0, 1, 3)) {}
    drop(teller);
    alarms.finish();
}

#[test]
fn what_happens_to_the_appliance_is_told_without_a_link_and_at_once() {
    let place = Place::new("reloaded");
    let path = place.path("out");
    let deed = appending(&path);
    let mut held = alarm(
        "held",
        deed,
        &[EventKind::Reloaded, EventKind::ReloadRefused],
    );
    held.hold = Duration::from_secs(3600);
    let events = Arc::<Events>::default();
    let (teller, alarms) = Alarms::start(&config(vec![held]), Arc::clone(&events)).unwrap();
    for what in [
        What::Reloaded("a".to_owned()),
        What::ReloadRefused("b".to_owned()),
    ] {
        let (link, set) = (None, None);
        teller.tell(Happening { link, set, what });
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while alarms.notifiers()[0].sent < 2 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
    let said = fs::read_to_string(&path).unwrap();
    assert!(said.contains(r#""event":"reloaded","text":"a""#), "{said}");
    assert!(
        said.contains(r#""event":"reload-refused","text":"b""#),
        "{said}"
    );
    assert_eq!(events.newest(1, |_| true)[0].graph(), "");
    drop(teller);
    alarms.finish();
}

/// The control thread never waits, and what nobody takes is counted.
#[test]
fn what_cannot_be_told_is_counted() {
    let (happenings, receiver) = unbounded();
    let counts = Arc::<Counts>::default();
    let teller = Teller {
        happenings,
        most_waiting: 2,
        counts: Arc::clone(&counts),
    };
    for _ in 0..5 {
        teller.tell(happening("L1", What::LinkDown(Ending::Kicked)));
    }
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    assert_eq!((count(&counts.told), count(&counts.lost)), (2, 3));
    drop(receiver);
    teller.tell(happening("L1", What::LinkDown(Ending::Kicked)));
    assert_eq!(count(&counts.lost), 4);
}
