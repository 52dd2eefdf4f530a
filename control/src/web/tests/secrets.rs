//! No secret leaves by HTTP.

use std::time::Duration;

use super::appliance::{Appliance, CONFIG, pin};
use super::client::{TOKEN, get, kick, reload, request, send};
use crate::config::{Config, Secret};
use crate::engine::{Engine, PortFacts};
use crate::web::routes::ROUTES;
use dataplane::command::PortId;

/// Nothing else has these letters in it.
const SECRET: &str = "zqxzqx";

/// The file with every key, all its secrets replaced by ones that are easily found.
fn config() -> (Config, usize) {
    let text = include_str!("../../../../configs/reference.yaml");
    let (mut config, _) = Config::parse("reference.yaml", text).unwrap();
    let mut count = 0;
    let mut hide = |secret: &mut Secret| {
        count += 1;
        *secret = Secret::new(format!("{SECRET}{count}"));
    };
    for outgoing in &mut config.l2tp.outgoing {
        hide(&mut outgoing.password);
        outgoing.secret.iter_mut().for_each(&mut hide);
    }
    for incoming in &mut config.l2tp.incoming {
        incoming.secret.iter_mut().for_each(&mut hide);
        for login in &mut incoming.matches {
            hide(&mut login.password);
        }
    }
    for interface in &mut config.interfaces {
        interface
            .pppoe
            .iter_mut()
            .for_each(|line| hide(&mut line.password));
    }
    (config, count)
}

#[test]
fn no_answer_has_a_secret_in_it() {
    let (config, count) = config();
    assert!(count >= 8, "only {count} secrets in the reference");
    let ports = config.ports.len() + config.logical_ports().logical.len();
    let facts = (0..ports).map(|id| PortFacts {
        id: PortId(u16::try_from(id).unwrap()),
        mac: [2, 0, 0, 0, 0, id as u8],
        mtu: 1500,
        carrier: None,
    });
    let mut engine = Engine::new(Duration::ZERO, config, facts.collect(), [7; 32]);
    for id in 0..ports {
        engine.handle_port_link(Duration::ZERO, PortId(u16::try_from(id).unwrap()), true);
    }
    engine.handle_timeout(Duration::from_secs(1));
    let status = engine.status(Duration::from_secs(1));
    assert!(!status.sessions.is_empty());
    let appliance = Appliance::start(&status);
    pin(&appliance.board, &status);
    let mut answers = Vec::new();
    for route in ROUTES.iter().filter(|route| route.path != "/api/v1/stream") {
        answers.push(get(appliance.address, route.path).body);
    }
    let open_metrics = [("Accept", "application/openmetrics-text")];
    let text = request("GET", "/metrics", &open_metrics, "");
    answers.push(send(appliance.address, &text).body);
    answers.push(kick(appliance.address, "{}").body);
    answers.push(kick(appliance.address, r#"{"name":"head1"}"#).body);
    let wrong = [("Authorization", "Bearer a-token-that-is-not-right")];
    answers.push(
        send(
            appliance.address,
            &request("POST", "/api/v1/kick", &wrong, ""),
        )
        .body,
    );
    // What is said of a file, and of what is wrong with it.
    for (place, with) in [
        ("password: demo-one", "password: SECRET"),
        ("secret: demo-tunnel", "secret: SECRET"),
        ("password: demo-one", "password: [SECRET]"),
        ("secret: demo-tunnel", "secret: { SECRET: 1 }"),
        ("password: demo-one", "pasword: SECRET"),
        ("password: demo-one", "password: \"SECRET"),
    ] {
        assert!(CONFIG.contains(place));
        let text = CONFIG.replacen(place, &with.replace("SECRET", SECRET), 1);
        std::fs::write(&appliance.config_file, text).unwrap();
        for body in ["{}", r#"{"dry_run":true}"#] {
            answers.push(reload(appliance.address, body).body);
        }
    }
    for answer in answers {
        assert!(!answer.is_empty());
        for secret in [SECRET, TOKEN] {
            assert!(!answer.contains(secret), "{answer}");
        }
    }
}
