//! An appliance to ask: a server with what a monitor and a control thread would give it.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::client::TOKEN;
use crate::config::{Config, Difference, Http, Reloaded, WithoutIpv6};
use crate::management::request::{self, Answer, Asker, Question};
use crate::management::status::{Kicked, Masked, Status, Unmasked};
use crate::monitor::{Board, Event, EventKind, Events, Historian, History, Moment};
use crate::web::limits::Limits;
use crate::web::server::{Server, Sources};

/// A running server, its sources, and a control thread that knows one name.
pub(super) struct Appliance {
    pub(super) address: SocketAddr,
    pub(super) board: Arc<Board>,
    pub(super) events: Arc<Events>,
    pub(super) history: History,
    _historian: Historian,
    /// Taken away when it stops.
    pub(super) server: Option<Server>,
    token_file: PathBuf,
    /// What it reads when it is asked to.
    pub(super) config_file: PathBuf,
}

/// The file that it was started with.
pub(super) const CONFIG: &str = include_str!("../../../../configs/demo/remote.yaml");

/// Where it listens: on a port that is free, with a token.
pub(super) fn http(token_file: Option<PathBuf>) -> Http {
    Http {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        token_file,
        names: vec!["box.example".to_owned()],
    }
}

/// Of an appliance that has just begun, and what keeps its history.
pub(super) fn sources(asker: Asker) -> (Historian, Sources) {
    let (historian, history) = Historian::start(None, Arc::default()).unwrap();
    let sources = Sources {
        board: Arc::default(),
        events: Arc::default(),
        history,
        asker,
    };
    (historian, sources)
}

impl Appliance {
    pub(super) fn start(status: &Status) -> Self {
        Self::limited(status, Limits::DEFAULT)
    }

    pub(super) fn limited(status: &Status, limits: Limits) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hal2tp-web-{}-{number}", std::process::id());
        let token_file = std::env::temp_dir().join(name);
        fs::write(&token_file, TOKEN).unwrap();
        fs::set_permissions(&token_file, Permissions::from_mode(0o600)).unwrap();
        let config_file = token_file.with_extension("yaml");
        fs::write(&config_file, CONFIG).unwrap();
        let (asker, questions) = request::channel();
        let asker = asker.of_file(config_file.clone());
        thread::spawn(move || {
            for question in questions {
                question.answer(answer(&question.command));
            }
        });
        let (historian, sources) = sources(asker);
        let history = sources.history.clone();
        let (board, events) = (Arc::clone(&sources.board), Arc::clone(&sources.events));
        pin(&board, status);
        let server = Server::limited(&http(Some(token_file.clone())), sources, limits).unwrap();
        Self {
            address: server.addresses()[0],
            board,
            events,
            history,
            server: Some(server),
            _historian: historian,
            token_file,
            config_file,
        }
    }
}

impl Appliance {
    /// Has the newest moment kept, and waits until that is known.
    pub(super) fn keep(&self) {
        let moment = self.board.latest().expect("one is pinned");
        let wanted = moment.readings.len();
        self.history.keep(&moment);
        let known = || self.history.reader().is_some_and(|it| it.count() >= wanted);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !known() {
            assert!(Instant::now() < deadline, "the historian keeps nothing");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.token_file);
        let _ = fs::remove_file(&self.config_file);
    }
}

fn answer(question: &Question) -> Answer {
    match question {
        Question::Kick(name) if name == "head1" => Answer::Kicked(Kicked {
            name: name.clone(),
            tunnels: 1,
            sessions: 0,
        }),
        Question::Mask { name, for_s } if name == "head1" => Answer::Masked(Masked {
            name: name.clone(),
            links: vec!["isp1".to_owned()],
            for_s: *for_s,
        }),
        Question::Mask { name, .. } if name == "head2" => {
            Answer::NotNow("isp2 is the only link that carries set A".to_owned())
        }
        Question::Unmask(name) if name == "head1" => Answer::Unmasked(Unmasked {
            name: name.clone(),
            links: vec!["isp1".to_owned()],
        }),
        Question::Reload(wanted) => {
            let (before, _) = Config::parse("before.yaml", CONFIG).unwrap();
            match &wanted.read {
                Ok(read) => Answer::Reloaded(Box::new(Reloaded {
                    dry_run: wanted.dry_run,
                    ..Difference::between(&before, &read.config, &WithoutIpv6::default()).reloaded
                })),
                Err(why) => Answer::Refused(why.clone()),
            }
        }
        _ => Answer::Refused("no tunnel or session is called so".to_owned()),
    }
}

/// Shows a status as the next moment.
pub(super) fn pin(board: &Board, status: &Status) {
    let before = board.latest();
    let number = before.as_ref().map_or(0, |before| before.number);
    let at = Duration::from_secs(1_764_215_000 + number);
    board.pin(Moment::new(at, status.clone(), before.as_deref()));
}

pub(super) fn event(link: &str) -> Event {
    Event {
        at_unix_ms: 1_764_215_000_000,
        event: EventKind::LinkDown,
        link: Some(link.to_owned()),
        set: None,
        remote: None,
        reason: Some("lcp-timeout".to_owned()),
        text: "the peer does not answer".to_owned(),
    }
}
