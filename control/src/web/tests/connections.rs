//! Clients that are slow, many, or ask too much.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::appliance::{Appliance, pin};
use super::client::{TOKEN, connect, get, kick, read_reply, request, send};
use crate::management::status::{Session, Status};
use crate::web::limits::Limits;

const SHORT: Duration = Duration::from_millis(200);
/// Generous: other tests run beside.
const SOON: Duration = Duration::from_secs(5);

const HASTY: Limits = Limits {
    head_patience: SHORT,
    body_patience: SHORT,
    write_patience: SHORT,
    ..Limits::DEFAULT
};

/// What still comes until the server ends the connection.
fn rest(mut stream: TcpStream) -> String {
    let began = Instant::now();
    let mut text = Vec::new();
    // An end without a farewell is an end, too.
    let _ = stream.read_to_end(&mut text);
    assert!(began.elapsed() < SOON, "it was not left");
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_head_that_does_not_end_is_not_waited_for() {
    let appliance = Appliance::limited(&Status::default(), HASTY);
    for begun in ["", "GET /api/v1/site HTTP/1.1\r\nHost: local"] {
        let mut stream = connect(appliance.address);
        stream.write_all(begun.as_bytes()).unwrap();
        let answer = rest(stream);
        assert!(!answer.contains("200 OK"), "{answer}");
    }
}

#[test]
fn an_idle_connection_is_left() {
    let appliance = Appliance::limited(&Status::default(), HASTY);
    let mut stream = connect(appliance.address);
    stream
        .write_all(request("GET", "/healthz", &[], "").as_bytes())
        .unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    assert_eq!(read_reply(&mut reader, true).status, 200);
    assert_eq!(rest(stream), "");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let appliance = Appliance::limited(&Status::default(), HASTY);
    let mut stream = connect(appliance.address);
    let head = format!(
        "POST /api/v1/kick HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let reply = read_reply(&mut BufReader::new(stream), true);
    assert_eq!(reply.status, 408);
    assert!(reply.error().contains("in time"));
}

#[test]
fn a_client_that_takes_nothing_is_left() {
    // More than the sockets' buffers hold.
    let status = Status {
        name: "x".repeat(32 << 20),
        ..Status::default()
    };
    let one = Limits {
        connections: 1,
        ..HASTY
    };
    let appliance = Appliance::limited(&status, one);
    let mut stream = connect(appliance.address);
    stream
        .write_all(request("GET", "/api/v1/status", &[], "").as_bytes())
        .unwrap();
    let began = Instant::now();
    let mut refused = 0;
    // Its place is free for somebody else.
    while get(appliance.address, "/api/v1/openapi.json").status != 200 {
        refused += 1;
        assert!(began.elapsed() < SOON, "it keeps its place");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(refused > 0, "it never had a place");
}

#[test]
fn who_comes_when_there_is_no_place_is_told() {
    let few = Limits {
        connections_an_address: 2,
        ..Limits::DEFAULT
    };
    let appliance = Appliance::limited(&Status::default(), few);
    let _first = connect(appliance.address);
    let second = connect(appliance.address);
    let third = get(appliance.address, "/healthz");
    assert_eq!(
        (third.status, third.headers["retry-after"].as_str()),
        (503, "1")
    );
    assert_eq!(third.error(), "there are too many clients");
    drop(second);
    let began = Instant::now();
    while get(appliance.address, "/healthz").status != 200 {
        assert!(began.elapsed() < SOON, "no place becomes free");
    }
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again() {
    let few = Limits {
        requests_s: 0.001,
        burst: 3.0,
        ..Limits::DEFAULT
    };
    let appliance = Appliance::limited(&Status::default(), few);
    for path in ["/healthz", "/nothing", "/healthz"] {
        assert_ne!(get(appliance.address, path).status, 429);
    }
    let reply = get(appliance.address, "/healthz");
    assert_eq!(reply.status, 429);
    let wait_s: u64 = reply.headers["retry-after"].parse().unwrap();
    assert!((900..=1001).contains(&wait_s), "{wait_s}");
    reply.error();
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let appliance = Appliance::start(&Status::default());
    let long = "x".repeat(20_000);
    let reply = send(
        appliance.address,
        &request("GET", "/healthz", &[("X-Long", &long)], ""),
    );
    assert_eq!(reply.status, 431);
    let many: Vec<(String, String)> = (0..100)
        .map(|it| (format!("X-{it}"), "1".to_owned()))
        .collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        send(appliance.address, &request("GET", "/healthz", &many, "")).status,
        431
    );
    assert_eq!(send(appliance.address, "nonsense\r\n\r\n").status, 400);
}

#[test]
fn it_stops_within_a_second_whoever_is_there() {
    let status = Status {
        sessions: vec![Session::default(); 1000],
        ..Status::default()
    };
    let mut appliance = Appliance::start(&status);
    let mut listens = connect(appliance.address);
    listens
        .write_all(request("GET", "/api/v1/stream", &[], "").as_bytes())
        .unwrap();
    let mut idle = connect(appliance.address);
    idle.write_all(request("GET", "/healthz", &[], "").as_bytes())
        .unwrap();
    let mut reader = BufReader::new(idle.try_clone().unwrap());
    assert_eq!(read_reply(&mut reader, true).status, 200);
    let mut begun = connect(appliance.address);
    begun.write_all(b"GET /he").unwrap();
    let began = Instant::now();
    drop(appliance.server.take());
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(rest(idle), "");
    rest(begun);
    assert!(
        rest(listens).ends_with("0\r\n\r\n"),
        "the stream was cut off"
    );
    assert!(TcpStream::connect(appliance.address).is_err());
}

#[test]
fn a_graph_that_is_not_drawn_in_time_holds_up_neither_its_client_nor_a_kick() {
    let none_drawn = Limits {
        drawn: 0,
        draw_patience: SHORT,
        ..Limits::DEFAULT
    };
    let appliance = Appliance::limited(&Status::default(), none_drawn);
    let began = Instant::now();
    let reply = get(appliance.address, "/api/v1/graphs/head1.svg");
    assert!(began.elapsed() < SOON, "it was waited for");
    assert_eq!(
        (reply.status, reply.headers["retry-after"].as_str()),
        (503, "10")
    );
    assert!(reply.error().contains("not drawn in time"));
    assert_eq!(kick(appliance.address, r#"{"name":"head1"}"#).status, 200);
}

#[test]
fn a_control_thread_that_says_nothing_is_not_well() {
    let hasty = Limits {
        stale_after: SHORT,
        ..Limits::DEFAULT
    };
    let appliance = Appliance::limited(&Status::default(), hasty);
    let began = Instant::now();
    while get(appliance.address, "/healthz").status == 200 {
        assert!(began.elapsed() < SOON, "it goes on for ever");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() >= SHORT / 2);
    let reply = get(appliance.address, "/healthz");
    assert_eq!(reply.status, 503);
    assert!(reply.error().contains("has not answered"));
    pin(&appliance.board, &Status::default());
    assert_eq!(get(appliance.address, "/healthz").status, 200);
}

/// Who draws has a place, and gives it back.
#[test]
fn graphs_are_drawn_one_after_the_other() {
    let one_drawn = Limits {
        drawn: 1,
        draw_patience: SOON,
        ..Limits::DEFAULT
    };
    let appliance = Appliance::limited(&Status::default(), one_drawn);
    appliance.keep();
    for _ in 0..3 {
        let reply = get(appliance.address, "/api/v1/graphs/head1.svg");
        assert!(reply.error().contains("no graph has the name"), "{reply:?}");
    }
}
