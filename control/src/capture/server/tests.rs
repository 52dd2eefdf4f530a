use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use dataplane::capture::{CaptureSpec, Note, Tap};
use dataplane::counters::Drop as Reason;
use dataplane::window::Verdict;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};

use super::super::client::{CaptureError, Output, capture};
use super::super::explain::tests::{judged, names, received};
use super::super::packet::tests::{copy, on_lan};
use super::*;
use crate::management::request::channel;
use crate::management::socket::{ClientError, Known, Server};
use crate::monitor::Historian;

/// An appliance whose worker and control thread the test plays.
struct Appliance {
    place: PathBuf,
    server: Option<Server>,
    control: Option<JoinHandle<()>>,
    tap: Arc<Tap>,
    /// Captures that began, and that ended.
    begun: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
}

impl Appliance {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("hal2tp-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        let (asker, questions) = channel();
        let (_historian, history) = Historian::start(None, Arc::default()).expect("a thread");
        let known = Known {
            asker,
            events: Arc::default(),
            history,
        };
        let server = Server::start(&place.join("x.sock"), known).expect("a socket");
        let spec = Arc::new(CaptureSpec::new(vec![true; 4], 256, 1, 1_000_000_000));
        let tap = Arc::clone(&spec.taps()[0]);
        let (begun, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (began, did_end) = (Arc::clone(&begun), Arc::clone(&ended));
        let control = thread::spawn(move || {
            for question in questions {
                question.answer(match &question.command {
                    Question::Capture(_) if began.fetch_add(1, Ordering::Relaxed) > 0 => {
                        Answer::Refused("another capture is on".to_owned())
                    }
                    Question::Capture(_) => Answer::Capturing(Box::new(Capturing {
                        id: 1,
                        spec: Arc::clone(&spec),
                        names: names(),
                    })),
                    Question::CaptureNames(1) => Answer::CaptureNames(Box::new(names())),
                    Question::EndCapture(1) => {
                        spec.taps()[0].close();
                        did_end.fetch_add(1, Ordering::Relaxed);
                        Answer::CaptureEnded
                    }
                    other => panic!("{other:?}"),
                });
            }
        });
        Self {
            place,
            server: Some(server),
            control: Some(control),
            tap,
            begun,
            ended,
        }
    }

    fn socket(&self) -> PathBuf {
        self.place.join("x.sock")
    }

    fn output(&self) -> PathBuf {
        self.place.join("x.pcapng")
    }

    /// A worker takes the two copies of a number.
    fn play(&self, number: u64) {
        let first = received(1, 10, copy(number), &[judged(Verdict::First, 1, number)]);
        let second = received(
            2,
            322,
            copy(number),
            &[judged(Verdict::Duplicate, 2, number)],
        );
        for frame in [first, second] {
            self.tap.play(frame.record, &frame.octets, &frame.notes);
        }
    }

    fn capture(&self, wanted: &Wanted, time: Option<Duration>) -> Result<Ended, CaptureError> {
        let stop = Arc::new(AtomicBool::new(false));
        let output = Output::File(self.output());
        capture(&self.socket(), wanted, &output, time, &stop)
    }

    fn comments(&self) -> Vec<String> {
        comments(&fs::read(self.output()).expect("a file"))
    }

    /// A connection on which a capture has begun.
    fn connect(&self) -> UnixStream {
        let mut stream = UnixStream::connect(self.socket()).expect("it listens");
        let request = serde_json::to_string(&all()).expect("a request");
        writeln!(stream, "capture {request}").expect("it reads");
        let mut answer = [0; "{\"capture\":1}\n".len()];
        stream.read_exact(&mut answer).expect("it answers");
        assert_eq!(&answer, b"{\"capture\":1}\n");
        stream
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        self.server.take();
        if let Some(control) = self.control.take() {
            control.join().expect("no question was unexpected");
        }
        let _ = fs::remove_dir_all(&self.place);
    }
}

fn all() -> Wanted {
    Wanted {
        snap_octets: 256,
        ..Wanted::default()
    }
}

fn comments(file: &[u8]) -> Vec<String> {
    let mut reader = PcapNgReader::new(file).expect("a file");
    let mut comments = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.expect("a block") {
            comments.extend(packet.options.iter().find_map(|option| match option {
                EnhancedPacketOption::Comment(text) => Some(text.to_string()),
                _ => None,
            }));
        }
    }
    comments
}

/// Waits for something that another thread does.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(PAUSE);
    }
}

#[test]
fn what_workers_noted_is_in_a_private_file() {
    let appliance = Appliance::new("capture-file");
    fs::write(appliance.output(), "older").expect("a file that others may read");
    appliance.play(5);
    let wanted = Wanted {
        most_packets: 2,
        ..all()
    };
    let ended = appliance.capture(&wanted, None).expect("a capture");
    assert_eq!((ended.packets, ended.missed_packets), (2, 0));
    assert_eq!(ended.because, None);
    let comments = appliance.comments();
    assert_eq!(comments.len(), 2);
    assert!(comments[0].starts_with("first copy; link graph1"));
    assert!(comments[1].starts_with("duplicate, 312 µs behind the first copy"));
    let mode = fs::metadata(appliance.output()).expect("it is there");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert_eq!(appliance.ended.load(Ordering::Relaxed), 1);
}

#[test]
fn a_capture_ends_after_its_time_with_what_came_last() {
    let appliance = Appliance::new("capture-time");
    let time = Some(Duration::from_millis(300));
    let ended = thread::scope(|scope| {
        let capture = scope.spawn(|| appliance.capture(&all(), time));
        until("it begins", || appliance.begun.load(Ordering::Relaxed) == 1);
        let frame = received(0, 0, on_lan(), &[Note::Punted("ARP")]);
        let record = dataplane::capture::Record {
            // Not settled as long as the capture goes on.
            ticks: u64::MAX,
            ..frame.record
        };
        appliance.tap.play(record, &frame.octets, &frame.notes);
        capture.join().expect("no panic")
    });
    assert_eq!(ended.expect("a capture").packets, 1);
    assert_eq!(appliance.comments(), ["to the control thread: ARP"]);
}

#[test]
fn only_what_is_wanted_is_in_the_file_and_a_duplicate_knows_what_is_not() {
    let appliance = Appliance::new("capture-filter");
    appliance.play(5);
    let dropped = Note::Dropped {
        port: dataplane::command::PortId(0),
        session: None,
        reason: Reason::NoRoute,
    };
    let frame = received(0, 400, on_lan(), &[dropped]);
    appliance
        .tap
        .play(frame.record, &frame.octets, &frame.notes);
    let wanted = Wanted {
        links: vec!["head2".to_owned()],
        filter: "udp port 5004 and duplicate".to_owned(),
        most_packets: 1,
        ..all()
    };
    appliance.capture(&wanted, None).expect("a capture");
    let comments = appliance.comments();
    assert!(comments[0].starts_with("duplicate, 312 µs behind the first copy, which link graph1"));
}

#[test]
fn what_there_was_no_room_for_is_told_in_the_file_and_at_the_end() {
    let appliance = Appliance::new("capture-missed");
    let frame = received(0, 0, on_lan(), &[Note::Punted("ARP")]);
    let play = || {
        let record = frame.record.clone();
        appliance.tap.play(record, &frame.octets, &frame.notes)
    };
    let mut played = 0;
    while play() {
        played += 1;
    }
    play();
    let ended = appliance
        .capture(&all(), Some(Duration::from_millis(200)))
        .expect("a capture");
    assert_eq!((ended.packets, ended.missed_packets), (played, 2));
    let comments = appliance.comments();
    assert_eq!(
        comments[0],
        "to the control thread: ARP; about here 2 frames were not captured"
    );
    assert_eq!(comments[1], "to the control thread: ARP");
}

#[test]
fn a_second_capture_is_refused_and_its_file_is_not_touched() {
    let appliance = Appliance::new("capture-second");
    let first = appliance.connect();
    fs::write(appliance.output(), "precious").expect("a file");
    let error = appliance.capture(&all(), None).expect_err("it is refused");
    assert!(
        matches!(&error, CaptureError::Client(ClientError::Refused(why)) if why == "another capture is on"),
        "{error}"
    );
    assert_eq!(
        fs::read(appliance.output()).expect("it is there"),
        b"precious"
    );
    drop(first);
}

#[test]
fn a_filter_that_is_none_is_refused_by_the_appliance_too() {
    let appliance = Appliance::new("capture-wrong");
    let wanted = Wanted {
        filter: "udp and".to_owned(),
        ..all()
    };
    let error = appliance.capture(&wanted, None).expect_err("it is refused");
    assert!(
        error.to_string().contains("the filter ends where"),
        "{error}"
    );
    let mut stream = UnixStream::connect(appliance.socket()).expect("it listens");
    writeln!(stream, "capture what").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(
        answer.starts_with("{\"error\":\"the request cannot be read"),
        "{answer}"
    );
    assert_eq!(appliance.begun.load(Ordering::Relaxed), 0);
}

#[test]
fn a_client_that_dies_ends_the_capture() {
    let appliance = Appliance::new("capture-dies");
    drop(appliance.connect());
    until("it ends", || appliance.ended.load(Ordering::Relaxed) == 1);
}

#[test]
fn a_client_that_does_not_read_loses_frames_and_learns_how_many() {
    let appliance = Appliance::new("capture-slow");
    let mut stream = appliance.connect();
    let frame = received(0, 0, on_lan(), &[Note::Punted("ARP")]);
    let mut played = 0_u64;
    let deadline = Instant::now() + Duration::from_secs(60);
    while appliance.tap.missed() < 10 {
        assert!(Instant::now() < deadline, "somewhere there is no bound");
        let record = frame.record.clone();
        played += 1;
        if !appliance.tap.play(record, &frame.octets, &frame.notes) {
            thread::sleep(PAUSE);
        }
    }
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("it listens");
    let mut sent = Vec::new();
    stream.read_to_end(&mut sent).expect("the rest");
    let (mut file, mut rest, mut last) = (Vec::new(), &sent[..], None);
    while let Some((header, behind)) = rest.split_first_chunk() {
        let (chunk, length) = Chunk::parse(*header).expect("a chunk");
        let (octets, behind) = behind.split_at(length);
        rest = behind;
        match chunk {
            Chunk::File => file.extend_from_slice(octets),
            Chunk::End => last = Some(octets),
        }
    }
    let ended: Ended = serde_json::from_slice(last.expect("the last word")).expect("JSON");
    assert!(ended.missed_packets >= 10);
    assert_eq!(ended.packets + ended.missed_packets, played);
    assert_eq!(comments(&file).len() as u64, ended.packets);
}

#[test]
fn an_appliance_that_ends_is_told_from_one_that_was_asked_to() {
    let place = std::env::temp_dir().join(format!("hal2tp-capture-gone-{}", std::process::id()));
    fs::create_dir_all(&place).expect("a directory");
    let path = place.join("x.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    let appliance = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = String::new();
        let mut reader = BufReader::new(&stream);
        reader.read_line(&mut request).expect("a request");
        writeln!(stream, "{{}}").expect("it reads");
        send_chunk(&stream, Chunk::File, b"some").expect("it reads");
    });
    let output = Output::File(place.join("x.pcapng"));
    let stop = Arc::new(AtomicBool::new(false));
    let error = capture(&path, &all(), &output, None, &stop).expect_err("it is gone");
    assert!(matches!(error, CaptureError::Broken(_)), "{error}");
    assert_eq!(fs::read(place.join("x.pcapng")).expect("a file"), b"some");
    appliance.join().expect("no panic");
    let _ = fs::remove_dir_all(&place);
}

#[test]
fn frames_of_all_workers_come_in_the_order_of_their_times() {
    let spec = Arc::new(CaptureSpec::new(vec![true; 4], 64, 2, 1_000_000_000));
    let mut sweep = Sweep::new(Arc::clone(&spec));
    for (tap, times_us) in spec.taps().iter().zip([[1, 4, 4], [2, 3, 9]]) {
        for us in times_us {
            let frame = received(0, us, on_lan(), &[]);
            tap.play(frame.record, &frame.octets, &[]);
        }
    }
    assert!(sweep.take());
    assert!(!sweep.take());
    let mut times = Vec::new();
    while let Some(frame) = sweep.next(5000) {
        assert_eq!(frame.octets.len(), on_lan().len().min(64));
        times.push(frame.record.ticks / 1000);
    }
    assert_eq!(times, [1, 2, 3, 4, 4]);
    assert!(sweep.next(9000).is_some());
}
