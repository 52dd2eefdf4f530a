//! Server-sent events, from the monitor's board to a client.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::appliance::{Appliance, event, pin};
use super::client::{connect, get, read_reply, request};
use crate::management::status::Status;
use crate::monitor::Event;
use crate::monitor::site::Site;
use crate::web::limits::Limits;

fn listen(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    let text = request("GET", "/api/v1/stream", &[], "");
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// The next message: its kind and its data. Chunks of the transfer are one message or more each.
fn next(reader: &mut BufReader<TcpStream>) -> (String, String) {
    let mut kind = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(name) = line.strip_prefix("event: ") {
            kind = Some(name.trim_end().to_owned());
        }
        if let Some(data) = line.strip_prefix("data: ") {
            return (kind.unwrap(), data.trim_end().to_owned());
        }
    }
}

#[test]
fn each_moment_and_each_event_is_told_once() {
    let appliance = Appliance::start(&Status::default());
    appliance.events.add(event("before"));
    std::thread::sleep(Duration::from_millis(250));
    let mut reader = BufReader::new(listen(appliance.address));
    let reply = read_reply(&mut reader, false);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    let (kind, data) = next(&mut reader);
    assert_eq!(kind, "site");
    assert_eq!(serde_json::from_str::<Site>(&data).unwrap().number, 1);
    std::thread::sleep(Duration::from_millis(250));
    appliance.events.add(event("head1"));
    pin(&appliance.board, &Status::default());
    let mut told = [next(&mut reader), next(&mut reader)];
    told.sort();
    let event: Event = serde_json::from_str(&told[0].1).unwrap();
    assert_eq!(
        (told[0].0.as_str(), event.graph().as_ref()),
        ("event", "head1")
    );
    assert_eq!(told[1].0, "site");
    assert_eq!(serde_json::from_str::<Site>(&told[1].1).unwrap().number, 2);
}

#[test]
fn a_client_that_does_not_listen_is_left_and_the_others_are_told() {
    let appliance = Appliance::start(&Status::default());
    let silent = listen(appliance.address);
    let mut reader = BufReader::new(listen(appliance.address));
    read_reply(&mut reader, false);
    let mut long = event("head1");
    // Much more than the sockets' buffers hold, and quick to write.
    long.text = "x".repeat(2 << 20);
    let began = Instant::now();
    let left = |stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        // Nobody reads what has come; that the server is gone shows in writing.
        let mut stream = stream;
        stream.write_all(b"x").is_err()
    };
    while !left(&silent) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it still has its place"
        );
        appliance.events.add(long.clone());
        while next(&mut reader).0 != "event" {}
    }
    assert!(
        began.elapsed() < Limits::DEFAULT.write_patience,
        "it was the other limit"
    );
    assert_eq!(get(appliance.address, "/api/v1/status").status, 200);
}

#[test]
fn so_many_listen_and_no_more() {
    let one = Limits {
        streams: 1,
        ..Limits::DEFAULT
    };
    let appliance = Appliance::limited(&Status::default(), one);
    let mut first = BufReader::new(listen(appliance.address));
    assert_eq!(read_reply(&mut first, false).status, 200);
    let second = get(appliance.address, "/api/v1/stream");
    assert_eq!(
        (second.status, second.headers["retry-after"].as_str()),
        (503, "10")
    );
    drop(first);
    let began = Instant::now();
    loop {
        let mut again = BufReader::new(listen(appliance.address));
        if read_reply(&mut again, false).status == 200 {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "no place becomes free"
        );
        pin(&appliance.board, &Status::default());
        std::thread::sleep(Duration::from_millis(50));
    }
}
