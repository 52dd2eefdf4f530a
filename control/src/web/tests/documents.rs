//! What is answered, and what is refused.

use std::io::{BufReader, Write as _};
use std::time::{Duration, Instant};

use super::appliance::{Appliance, CONFIG, event, http, pin, sources};
use super::client::{TOKEN, act, connect, get, kick, read_reply, reload, request, send};
use crate::management::request::channel;
use crate::management::status::{Session, Set, Status};
use crate::monitor::Event;
use crate::monitor::site::Site;
use crate::web::server::{Server, Sources, StartError};

fn status() -> Status {
    let session = |name: &str, set: &str| Session {
        name: name.to_owned(),
        set: Some(set.to_owned()),
        ..Session::default()
    };
    Status {
        name: "remote".to_owned(),
        sessions: vec![session("a1", "A"), session("b1", "B"), session("a2", "A")],
        ..Status::default()
    }
}

#[test]
fn documents_are_what_the_board_shows() {
    let appliance = Appliance::start(&status());
    let shown: Status =
        serde_json::from_value(get(appliance.address, "/api/v1/status").json()).unwrap();
    assert_eq!(shown, status());
    let mut later = status();
    later.uptime_s = 9;
    pin(&appliance.board, &later);
    let site: Site = serde_json::from_value(get(appliance.address, "/api/v1/site").json()).unwrap();
    assert_eq!((site.number, site.uptime_s), (2, 9));
    let links = |query: &str| -> Vec<String> {
        let reply = get(appliance.address, &format!("/api/v1/links{query}"));
        let links: Vec<Session> = serde_json::from_value(reply.json()).unwrap();
        links.into_iter().map(|link| link.name).collect()
    };
    assert_eq!(links(""), ["a1", "b1", "a2"]);
    assert_eq!(links("?set=A"), ["a1", "a2"]);
    assert_eq!(links("?set=A&skip=1"), ["a2"]);
    assert_eq!(links("?skip=1&most=1"), ["b1"]);
    assert!(links("?set=C").is_empty());
}

#[test]
fn events_come_newest_first_and_for_a_graph() {
    let appliance = Appliance::start(&status());
    for number in 0..150 {
        appliance
            .events
            .add(event(if number % 2 == 0 { "a1" } else { "b1" }));
    }
    let events = |query: &str| -> Vec<Event> {
        let reply = get(appliance.address, &format!("/api/v1/events{query}"));
        serde_json::from_value(reply.json()["events"].clone()).unwrap()
    };
    assert_eq!(events("").len(), 100);
    let some = events("?graph=b1&most=1000");
    assert_eq!(some.len(), 75);
    assert!(some.iter().all(|event| event.graph() == "b1"));
}

#[test]
fn every_answer_is_safe_for_a_browser() {
    let appliance = Appliance::start(&status());
    for path in ["/api/v1/site", "/metrics", "/healthz", "/nothing"] {
        let reply = get(appliance.address, path);
        let policy = &reply.headers["content-security-policy"];
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        assert_eq!(reply.headers["cache-control"], "no-store");
        let cors = reply
            .headers
            .keys()
            .find(|name| name.starts_with("access-control"));
        assert_eq!(cors, None);
    }
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let appliance = Appliance::start(&status());
    let mut stream = connect(appliance.address);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for method in ["GET", "HEAD", "GET"] {
        let text = request(method, "/api/v1/status", &[], "");
        stream.write_all(text.as_bytes()).unwrap();
        let reply = read_reply(&mut reader, method == "GET");
        assert_eq!(reply.status, 200);
        let length: usize = reply.headers["content-length"].parse().unwrap();
        assert!(length > 100);
        assert_eq!(reply.body.len(), if method == "GET" { length } else { 0 });
    }
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let appliance = Appliance::start(&status());
    let ask = |method: &str, path: &str| send(appliance.address, &request(method, path, &[], ""));
    for (path, said) in [
        (
            "/api/v1/links?ste=A",
            "\"ste\" is unknown; there are: set, skip, most",
        ),
        ("/api/v1/links?skip=-1", "\"skip\" is a whole number"),
        ("/api/v1/events?most=1001", "from 0 to 1000"),
        ("/api/v1/site?a=b", "there are: none"),
    ] {
        let reply = ask("GET", path);
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.error().contains(said), "{reply:?}");
    }
    for path in ["/nothing", "/api/v1/site/", "/api/v2/site", "//"] {
        let reply = ask("GET", path);
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.error().contains("/api/v1/openapi.json"));
    }
    for (method, path, allowed) in [
        ("POST", "/api/v1/site", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("GET", "/api/v1/kick", "POST"),
        ("OPTIONS", "/api/v1/kick", "POST"),
        ("GET", "/api/v1/mask", "POST"),
        ("DELETE", "/api/v1/unmask", "POST"),
    ] {
        let reply = ask(method, path);
        assert_eq!(
            (reply.status, reply.headers["allow"].as_str()),
            (405, allowed)
        );
        reply.error();
    }
}

#[test]
fn another_host_name_is_refused() {
    let appliance = Appliance::start(&status());
    let ask = |host| {
        send(
            appliance.address,
            &request("GET", "/api/v1/site", &[("Host", host)], ""),
        )
    };
    for host in ["127.0.0.1:8080", "box.example", "localhost"] {
        assert_eq!(ask(host).status, 200, "{host}");
    }
    let reply = ask("evil.example");
    assert_eq!(reply.status, 403);
    assert!(reply.error().contains("evil.example"), "{reply:?}");
    let none = send(appliance.address, "GET /api/v1/site HTTP/1.1\r\n\r\n");
    assert_eq!(none.status, 400);
}

#[test]
fn kick_needs_the_token_and_a_small_whole_body() {
    let appliance = Appliance::start(&status());
    let good = kick(appliance.address, r#"{"name":"head1"}"#);
    assert_eq!(good.status, 200);
    assert_eq!(good.body, r#"{"name":"head1","tunnels":1,"sessions":0}"#);
    let unknown = kick(appliance.address, r#"{"name":"head9"}"#);
    assert_eq!(
        (unknown.status, unknown.error().as_str()),
        (404, "no tunnel or session is called so")
    );
    for body in [
        "",
        "{}",
        "[]",
        r#"{"name":5}"#,
        r#"{"name":"head1","force":true}"#,
        "\u{fffd}",
    ] {
        let reply = kick(appliance.address, body);
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.error().contains("name"), "{reply:?}");
    }
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(5000));
    assert_eq!(kick(appliance.address, &large).status, 413);
    let ask = |headers: &[(&str, &str)]| {
        send(
            appliance.address,
            &request("POST", "/api/v1/kick", headers, r#"{"name":"head1"}"#),
        )
    };
    let json = ("Content-Type", "application/json");
    let bearer = format!("Bearer {TOKEN}");
    let token = ("Authorization", bearer.as_str());
    let none = ask(&[json]);
    assert_eq!(
        (none.status, none.headers["www-authenticate"].as_str()),
        (401, "Bearer")
    );
    assert_eq!(ask(&[json, ("Authorization", "Bearer wrong")]).status, 401);
    assert_eq!(ask(&[token, ("Content-Type", "text/plain")]).status, 415);
    assert_eq!(
        ask(&[token, json, ("Origin", "http://evil.example")]).status,
        403
    );
    assert_eq!(
        ask(&[token, json, ("Origin", "http://localhost")]).status,
        200
    );
}

#[test]
fn a_drill_needs_the_token_and_says_why_it_is_refused() {
    let appliance = Appliance::start(&status());
    let mask = |body| act(appliance.address, "/api/v1/mask", body);
    let usual = mask(r#"{"name":"head1"}"#);
    assert_eq!(usual.status, 200);
    assert_eq!(
        usual.body,
        r#"{"name":"head1","links":["isp1"],"for_s":60}"#
    );
    let longest = mask(r#"{"name":"head1","for_s":3600}"#);
    assert_eq!(longest.json()["for_s"], 3600);
    for body in [
        "{}",
        r#"{"name":"head1","for_s":0}"#,
        r#"{"name":"head1","for_s":3601}"#,
        r#"{"name":"head1","for_s":"60"}"#,
        r#"{"name":"head1","for":60}"#,
    ] {
        let reply = mask(body);
        assert_eq!(reply.status, 400, "{body}");
        assert!(!reply.error().is_empty());
    }
    let cut_off = mask(r#"{"name":"head2"}"#);
    assert_eq!(cut_off.status, 409);
    assert!(cut_off.error().contains("the only link"), "{cut_off:?}");
    assert_eq!(mask(r#"{"name":"head9"}"#).status, 404);
    let unmasked = act(appliance.address, "/api/v1/unmask", r#"{"name":"head1"}"#);
    assert_eq!(unmasked.body, r#"{"name":"head1","links":["isp1"]}"#);
    let unknown = act(appliance.address, "/api/v1/unmask", r#"{"name":"head9"}"#);
    assert_eq!(unknown.status, 404);
    for path in ["/api/v1/mask", "/api/v1/unmask"] {
        let json = [("Content-Type", "application/json")];
        let without = request("POST", path, &json, r#"{"name":"head1"}"#);
        assert_eq!(send(appliance.address, &without).status, 401, "{path}");
        let wrong = [json[0], ("Authorization", "Bearer wrong")];
        let wrong = request("POST", path, &wrong, r#"{"name":"head1"}"#);
        assert_eq!(send(appliance.address, &wrong).status, 401, "{path}");
    }
}

#[test]
fn reload_needs_the_token_and_says_what_it_does_or_why_not() {
    let appliance = Appliance::start(&status());
    let write = |text: &str| std::fs::write(&appliance.config_file, text).unwrap();
    let same = reload(appliance.address, "{}");
    assert_eq!(
        (same.status, &same.json()["unchanged"]),
        (200, &true.into())
    );
    write(&CONFIG.replacen("lcp-rate: 1", "lcp-rate: 2", 1));
    let changed = reload(appliance.address, r#"{"dry_run":true}"#);
    assert_eq!(changed.status, 200);
    let json = changed.json();
    assert_eq!(json["outgoing"]["changed"], serde_json::json!(["head1"]));
    assert_eq!(
        (&json["dry_run"], &json["unchanged"]),
        (&true.into(), &false.into())
    );
    write(&CONFIG.replacen("lcp-rate: 1", "lcp-rat: 1", 1));
    let wrong = reload(appliance.address, "{}");
    assert_eq!(wrong.status, 409);
    assert!(
        wrong
            .error()
            .contains(":33:7: error: l2tp.outgoing[head1].lcp-rat: "),
        "{wrong:?}"
    );
    for (body, status) in [("", 400), (r#"{"dry":true}"#, 400), ("5", 400)] {
        let reply = reload(appliance.address, body);
        assert_eq!(reply.status, status, "{body}");
    }
    let json = [("Content-Type", "application/json")];
    let text = request("POST", "/api/v1/reload", &json, "{}");
    assert_eq!(send(appliance.address, &text).status, 401);
    assert_eq!(get(appliance.address, "/api/v1/reload").status, 405);
}

#[test]
fn what_is_not_there_yet_is_asked_for_again_later() {
    let (asker, questions) = channel();
    drop(questions);
    let (_historian, sources) = sources(asker);
    let server = Server::start(&http(None), sources.clone()).unwrap();
    let address = server.addresses()[0];
    for path in ["/api/v1/site", "/api/v1/links", "/metrics", "/healthz"] {
        let reply = get(address, path);
        assert_eq!(
            (reply.status, reply.headers["retry-after"].as_str()),
            (503, "1"),
            "{path}"
        );
        assert!(reply.error().contains("nothing has been read yet"));
    }
    pin(&sources.board, &status());
    assert_eq!(get(address, "/healthz").body, r#"{"status":"ok"}"#);
    assert_eq!(reload(address, "{}").status, 403);
    let forbidden = kick(address, r#"{"name":"head1"}"#);
    assert_eq!(forbidden.status, 403);
    assert!(forbidden.error().contains("token-file"), "{forbidden:?}");
}

#[test]
fn a_control_thread_that_is_gone_is_told_of() {
    let appliance = Appliance::start(&status());
    let (asker, questions) = channel();
    drop(questions);
    let sources = Sources {
        board: appliance.board.clone(),
        events: appliance.events.clone(),
        history: appliance.history.clone(),
        asker,
    };
    let token = std::env::temp_dir().join(format!("hal2tp-web-gone-{}", std::process::id()));
    std::fs::write(&token, TOKEN).unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let server = Server::start(&http(Some(token.clone())), sources).unwrap();
    let reply = kick(server.addresses()[0], r#"{"name":"head1"}"#);
    assert_eq!(
        (reply.status, reply.headers["retry-after"].as_str()),
        (503, "1")
    );
    assert!(reply.error().contains("has ended"), "{reply:?}");
    std::fs::remove_file(token).unwrap();
}

#[test]
fn an_address_in_use_is_named() {
    let appliance = Appliance::start(&status());
    let mut again = http(None);
    again.listen = vec![appliance.address];
    let (asker, _questions) = channel();
    let sources = Sources {
        board: appliance.board.clone(),
        events: appliance.events.clone(),
        history: appliance.history.clone(),
        asker,
    };
    let error = Server::start(&again, sources.clone()).unwrap_err();
    assert!(matches!(error, StartError::InUse(_)));
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{}: another program", appliance.address)),
        "{text}"
    );
    // Of a link, and it is not said of which.
    again.listen = vec!["[fe80::1]:8080".parse().unwrap()];
    let error = Server::start(&again, sources.clone()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("[fe80::1]:8080: cannot be listened on"),
        "{error}"
    );
    let missing = http(Some("/nonexistent/token".into()));
    let error = Server::start(&missing, sources).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/token: the token cannot be read"),
        "{error}"
    );
}

/// An interface that is not there yet does not keep the appliance from its start.
#[test]
fn an_address_may_come_later() {
    let listen = ["192.0.2.1:8080", "[2001:db8::1]:8080"].map(|it| it.parse().unwrap());
    let mut later = http(None);
    later.listen = listen.to_vec();
    let (asker, _questions) = channel();
    let (_historian, sources) = sources(asker);
    let server = Server::start(&later, sources).unwrap();
    assert_eq!(server.addresses(), listen);
}

/// Without optimisation, so that the limit is a generous one.
#[test]
fn ten_thousand_links_are_written_in_time() {
    let session = |number: usize| Session {
        name: format!("link-{number}"),
        set: Some("A".to_owned()),
        set_remote: Some(format!("192.0.2.{}", number % 250)),
        state: "up".into(),
        sent_packets: 1_000_000 + number as u64,
        ..Session::default()
    };
    let status = Status {
        sessions: (0..10_000).map(session).collect(),
        ..Status::default()
    };
    let appliance = Appliance::start(&status);
    for path in ["/api/v1/site", "/metrics", "/api/v1/status"] {
        let asked = || {
            let began = Instant::now();
            let reply = get(appliance.address, path);
            assert!(reply.body.len() > 1_000_000, "{path}");
            began.elapsed()
        };
        let (first, again) = (asked(), asked());
        println!("{path}: {first:?}, again {again:?}");
        assert!(first < Duration::from_secs(5), "{path}: {first:?}");
    }
}

#[test]
fn graphs_come_in_every_form_by_name_and_time() {
    let mut status = status();
    status.sets.push(Set {
        name: "A".to_owned(),
        remote: "192.0.2.1".to_owned(),
        ..Set::default()
    });
    let appliance = Appliance::start(&status);
    status.uptime_s += 1;
    status.sessions[0].sent_packets += 7;
    pin(&appliance.board, &status);
    appliance.keep();
    let graph = status.sessions[0].name.clone();
    let names = get(appliance.address, "/api/v1/graphs").json();
    assert!(
        names["graphs"]
            .as_array()
            .unwrap()
            .contains(&graph.clone().into()),
        "{names}"
    );
    let second_s = appliance.board.latest().unwrap().at.as_secs();
    let asked = |ending: &str, query: &str| {
        get(
            appliance.address,
            &format!("/api/v1/graphs/{graph}.{ending}?{query}"),
        )
    };
    let exact = format!("from={}&to={}", second_s - 5, second_s + 5);
    for (ending, kind) in [
        ("svg", "image/svg+xml"),
        ("png", "image/png"),
        ("csv", "text/csv; charset=utf-8"),
        ("json", "application/json"),
    ] {
        let reply = asked(ending, &exact);
        assert_eq!(
            (reply.status, reply.headers["content-type"].as_str()),
            (200, kind)
        );
        assert_eq!(reply.headers["cache-control"], "no-store");
    }
    let rows = asked("json", &exact).json();
    let sent: Vec<u64> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["sent_packets"].as_u64().unwrap())
        .collect();
    assert_eq!(sent, [7], "{rows}");
    // A set's name, its slashes as they are and as a browser writes them.
    let set = crate::monitor::set_graph("A", "192.0.2.1");
    for name in [set.clone(), set.replace('/', "%2F")] {
        assert_eq!(
            get(
                appliance.address,
                &format!("/api/v1/graphs/{name}.csv?{exact}")
            )
            .status,
            200
        );
    }
    for (query, code, why) in [
        ("last=1x", 400, "is no time"),
        ("day=2026-13-01", 400, "is no day"),
        ("last=1h&day=2025-11-27", 400, "write `last`, or `day`"),
        ("from=9&to=5", 400, "the end must be later"),
        ("to=5", 400, "write `last`, or `day`"),
        ("first=1h", 400, "is unknown"),
    ] {
        let reply = asked("svg", query);
        assert_eq!(reply.status, code, "{query}: {reply:?}");
        assert!(reply.error().contains(why), "{query}: {reply:?}");
    }
    for (path, why) in [
        ("nobody.svg", "no graph has the name nobody"),
        ("head1.gif", "svg, png, csv, json"),
        ("%ff.svg", "not UTF-8"),
    ] {
        let reply = get(appliance.address, &format!("/api/v1/graphs/{path}"));
        assert!(reply.error().contains(why), "{path}: {reply:?}");
    }
}

#[test]
fn the_page_is_sent_once_and_then_only_asked_for() {
    let appliance = Appliance::start(&status());
    let page = get(appliance.address, "/");
    assert_eq!(
        (page.status, page.headers["content-type"].as_str()),
        (200, "text/html; charset=utf-8")
    );
    assert!(page.headers["content-security-policy"].contains("script-src 'self'"));
    assert_eq!(page.headers["cache-control"], "no-cache");
    for asset in &crate::web::page::ASSETS {
        let reply = get(appliance.address, asset.path);
        assert_eq!(
            (reply.status, reply.headers["etag"].clone()),
            (200, asset.etag()),
            "{}",
            asset.path
        );
        assert_eq!(reply.body.len(), asset.body.len());
        let known = request("GET", asset.path, &[("If-None-Match", &asset.etag())], "");
        let again = send(appliance.address, &known);
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }
}
