//! An appliance for whoever works on its views: a real management socket, and made-up counters behind it.
//!
//! `cargo run --example fake_appliance -- SOCKET [LINKS]`, then `hal2tp status --watch --socket SOCKET`. One link loses
//! 3 %, one takes 80 ms, one goes down and comes up, one never does; with a number there are so many more good ones.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use control::management::request::{Answer, Question, channel};
use control::management::socket::{Known, Server};
use control::management::status::{
    Alarm, Kicked, LinkState, Port, PortWorker, RoundTrip, Session, Set, Skew, Status, Tunnel,
};
use control::monitor::Historian;

const PACKETS_A_SECOND: f64 = 4_000.0;
const OCTETS: f64 = 700.0;
/// The link that comes and goes is down for so long in each period.
const PERIOD_S: f64 = 40.0;
const DOWN_S: f64 = 12.0;

/// How a link is.
struct Line {
    name: String,
    set: Option<&'static str>,
    latency_us: f64,
    loss: f64,
    down: Down,
}

#[derive(Clone, Copy, PartialEq)]
enum Down {
    Never,
    ByTurns,
    Always,
}

impl Line {
    fn new(name: impl Into<String>, latency_us: f64) -> Self {
        Self {
            name: name.into(),
            set: Some("A"),
            latency_us,
            loss: 0.0,
            down: Down::Never,
        }
    }

    /// Seconds that it was up until `at_s`, and whether it is.
    fn up(&self, at_s: f64) -> (f64, bool) {
        match self.down {
            Down::Never => (at_s, true),
            Down::Always => (0.0, false),
            Down::ByTurns => {
                let up_s = PERIOD_S - DOWN_S;
                let within = at_s % PERIOD_S;
                let whole = (at_s / PERIOD_S).floor() * up_s;
                (whole + within.min(up_s), within < up_s)
            }
        }
    }

    fn session(&self, at_s: f64) -> Session {
        let (up_s, is_up) = self.up(at_s);
        // Waves, so that sparklines have something to show.
        let wave = 1.0 + 0.3 * (at_s / 7.0).sin();
        let sent = up_s * PACKETS_A_SECOND;
        let lost = sent * self.loss;
        let echoes = up_s.floor();
        let latency_us = (self.latency_us * wave) as u64;
        Session {
            name: self.name.clone(),
            tunnel: format!("to-{}", self.name),
            set: self.set.map(str::to_owned),
            set_remote: self.set.map(|_| "198.51.100.1".to_owned()),
            state: if is_up { "up" } else { "dialling" }.into(),
            ha: self.set.is_some(),
            sent_packets: sent as u64,
            sent_octets: (sent * OCTETS) as u64,
            received_packets: (sent - lost) as u64,
            received_octets: ((sent - lost) * OCTETS * 0.4) as u64,
            unique_packets: (sent - lost) as u64,
            lost_packets: lost as u64,
            wins: (sent * 20_000.0 / self.latency_us / 2.0) as u64,
            sole_packets: (sent / 1000.0) as u64,
            echo_sent: echoes as u64,
            echo_lost: (echoes * self.loss) as u64,
            round_trip: RoundTrip {
                last_us: is_up.then_some(latency_us),
                answered: echoes as u64,
                total_us: (echoes * self.latency_us) as u64,
                ..RoundTrip::default()
            },
            skew: Skew {
                live_p99_us: is_up.then_some(latency_us / 2),
                p99_us: is_up.then_some(latency_us),
                samples: sent as u64 / 32,
                ..Skew::default()
            },
            up_s: up_s as u64,
            ..Session::default()
        }
    }

    fn tunnel(&self, at_s: f64) -> Tunnel {
        let (_, is_up) = self.up(at_s);
        let why = (self.down != Down::Never).then(|| "the peer does not answer".to_owned());
        Tunnel {
            name: format!("to-{}", self.name),
            state: if is_up { "established" } else { "waiting" }.into(),
            last_result: why,
            ..Tunnel::default()
        }
    }
}

fn lines(more: usize) -> Vec<Line> {
    let mut lines = vec![
        Line::new("fibre", 20_000.0),
        Line {
            loss: 0.03,
            ..Line::new("lte-1", 35_000.0)
        },
        Line::new("satellite", 80_000.0),
        Line {
            down: Down::ByTurns,
            ..Line::new("lte-2", 30_000.0)
        },
        Line {
            set: None,
            down: Down::Always,
            ..Line::new("spare-dsl", 25_000.0)
        },
    ];
    lines.extend((0..more).map(|number| Line {
        set: None,
        ..Line::new(format!("customer-{number:05}"), 15_000.0)
    }));
    lines
}

fn status(lines: &[Line], at_s: f64) -> Status {
    let sent = at_s * PACKETS_A_SECOND;
    let drops = |count: f64| [("no-route".to_owned(), count as u64)].into();
    let mut sessions: Vec<Session> = lines.iter().map(|it| it.session(at_s)).collect();
    if at_s > 30.0 {
        sessions[2].alarm = Some(Alarm {
            text: "what is sent by it does not arrive".to_owned(),
            for_s: (at_s - 30.0) as u64,
        });
    }
    Status {
        name: "van-7".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: at_s as u64,
        ports: vec![Port {
            name: "isp1".to_owned(),
            link: LinkState::Up,
            drops: drops(at_s * 3.0),
            per_worker: vec![
                PortWorker { drops: drops(at_s) },
                PortWorker {
                    drops: drops(at_s * 2.0),
                },
            ],
            ..Port::default()
        }],
        tunnels: lines.iter().map(|it| it.tunnel(at_s)).collect(),
        sets: vec![Set {
            name: "A".to_owned(),
            remote: "198.51.100.1".to_owned(),
            protection: Set::HA.to_owned(),
            sent_packets: sent as u64,
            sent_octets: (sent * OCTETS) as u64,
            delivered_packets: sent as u64,
            delivered_octets: (sent * OCTETS * 0.4) as u64,
            saved_packets: (sent * 0.01) as u64,
            duplicates: (sent * 2.0) as u64,
            ..Set::default()
        }],
        sessions,
        ..Status::default()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let socket = PathBuf::from(arguments.next().ok_or("write the socket's path")?);
    let more = arguments.next().map_or(Ok(0), |it| it.parse())?;
    let lines = lines(more);
    let started = Instant::now();
    let (asker, questions) = channel();
    let (_historian, history) = Historian::start(None, Arc::default())?;
    let known = Known {
        asker,
        events: Arc::default(),
        history,
    };
    let _server = Server::start(&socket, known)?;
    for question in questions {
        let answer = match &question.command {
            Question::Status => {
                let at_s = started.elapsed().as_secs_f64();
                Answer::Status(Arc::new(status(&lines, at_s)))
            }
            Question::Kick(name) => Answer::Kicked(Kicked {
                name: name.clone(),
                tunnels: 1,
                sessions: 0,
            }),
            _ => Answer::Refused("this appliance is only made up".to_owned()),
        };
        question.answer(answer);
    }
    Ok(())
}
