//! The listening sockets, and the thread that serves them.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};

use super::connection;
use super::documents::{Document, Shelf};
use super::guard::Guard;
use super::limits::{Connections, Limits, Requests};
use super::stream::{self, Hub};
use super::token::{self, TokenError};
use crate::config;
use crate::management::request::Asker;
use crate::monitor::{Board, Events, History};

/// Clients that wait to be taken in, as with [`TcpListener::bind`].
const BACKLOG: i32 = 128;
/// How often it is looked whether there is something new.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// A stream that says nothing for longer is taken for dead by what stands in between.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long a clean stop waits for answers that are under way.
const FAREWELL: Duration = Duration::from_millis(500);

/// Why it does not serve.
#[derive(Debug)]
pub enum StartError {
    /// Another program listens there.
    InUse(SocketAddr),
    /// This user may not listen there, or nobody can.
    Listen(SocketAddr, io::Error),
    Token(TokenError),
    /// There is no thread, or no runtime for it.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(address) => write!(
                formatter,
                "{address}: another program listens there; stop it, or choose another `management: {{ http: ... }}`"
            ),
            Self::Listen(address, error) => write!(
                formatter,
                "{address}: cannot be listened on: {error}; choose another `management: {{ http: ... }}`"
            ),
            Self::Token(error) => write!(formatter, "{error}"),
            Self::Thread(error) => write!(formatter, "HTTP cannot be served: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Where what is served comes from.
#[derive(Clone, Debug)]
pub struct Sources {
    pub board: Arc<Board>,
    pub events: Arc<Events>,
    pub history: History,
    pub asker: Asker,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) events: Arc<Events>,
    pub(super) history: History,
    pub(super) asker: Asker,
    pub(super) shelf: Shelf,
    pub(super) guard: Guard,
    pub(super) limits: Limits,
    pub(super) requests: Requests,
    pub(super) connections: Arc<Connections>,
    /// Places for those who draw.
    pub(super) drawn: Arc<Semaphore>,
    pub(super) hub: Hub,
}

/// Serves as long as it lives.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens, and serves what the sources have.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the token not be read.
    pub fn start(http: &config::Http, sources: Sources) -> Result<Self, StartError> {
        Self::limited(http, sources, Limits::DEFAULT)
    }

    pub(super) fn limited(
        http: &config::Http,
        sources: Sources,
        limits: Limits,
    ) -> Result<Self, StartError> {
        let token = http.token_file.as_deref().map(token::read).transpose();
        let token = token.map_err(StartError::Token)?;
        let listeners = http.listen.iter().map(|&address| listen(address));
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners.iter().map(TcpListener::local_addr);
        let addresses = addresses
            .collect::<io::Result<_>>()
            .map_err(StartError::Thread)?;
        let shared = Arc::new(Shared {
            events: sources.events,
            history: sources.history,
            asker: sources.asker,
            shelf: Shelf::new(sources.board),
            guard: Guard::new(&http.names, token),
            limits,
            requests: Requests::default(),
            connections: Arc::default(),
            drawn: Arc::new(Semaphore::new(limits.drawn)),
            hub: Hub::default(),
        });
        let mut runtime = Builder::new_current_thread();
        // For questions to the control thread, which wait, and for drawing, which takes its time and leaves one free for them.
        let threads = Limits::DEFAULT.drawn + 1;
        let runtime = runtime.enable_all().max_blocking_threads(threads);
        let runtime = runtime.build();
        let runtime = runtime.map_err(StartError::Thread)?;
        let (stop, stopped) = watch::channel(false);
        let thread = thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || {
                if let Err(error) = runtime.block_on(serve(listeners, shared, stopped)) {
                    log::error!("HTTP is not served any longer: {error}");
                }
                // A question that waits for the control thread is not waited for.
                runtime.shutdown_background();
            })
            .map_err(StartError::Thread)?;
        Ok(Self {
            addresses,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody hears it when the thread has ended.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // A panic there was already printed; nothing is left to do about it.
            let _ = thread.join();
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).or_else(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            log::warn!(
                "{address}: this host does not have the address; HTTP is served there once it has"
            );
            listen_ahead(address)
        }
        _ => Err(error),
    });
    let listener = listener.and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::InUse(address),
        _ => StartError::Listen(address, error),
    })
}

/// Listens where the host may have an address later: packets are not to wait for an interface that is asked by HTTP.
fn listen_ahead(address: SocketAddr) -> io::Result<TcpListener> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    match address {
        SocketAddr::V4(_) => sockopt::set_ip_freebind(&socket, true)?,
        SocketAddr::V6(_) => sockopt::set_ipv6_freebind(&socket, true)?,
    }
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

async fn serve(
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut tasks = vec![tokio::spawn(tell(Arc::clone(&shared)))];
    for listener in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let accepted = connection::accept(listener, Arc::clone(&shared), stopped.clone());
        tasks.push(tokio::spawn(accepted));
    }
    // It fails when the server is gone, which is the same to us.
    let _ = stopped.changed().await;
    for task in tasks {
        task.abort();
    }
    shared.hub.close();
    // Those who are left then are cut off.
    let _ = tokio::time::timeout(FAREWELL, shared.connections.all_closed()).await;
    Ok(())
}

/// Tells those who listen of each moment and each event.
async fn tell(shared: Arc<Shared>) {
    let (_, mut seen_events) = shared.events.since(u64::MAX);
    let mut seen_moment = 0;
    let mut told = Instant::now();
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        // Also when nobody listens: how old the newest moment is, is known from this.
        let documents = shared.shelf.newest();
        let (events, seen) = shared.events.since(seen_events);
        seen_events = seen;
        let news = documents.filter(|it| it.moment.number != seen_moment);
        if let Some(documents) = &news {
            seen_moment = documents.moment.number;
        }
        if shared.hub.is_empty() {
            continue;
        }
        let site = news.and_then(|documents| documents.get(Document::Site).ok());
        if !events.is_empty() || site.is_some() {
            shared.hub.tell(&stream::message(&events, site.as_ref()));
            told = Instant::now();
        } else if told.elapsed() > SILENCE_MAX {
            shared.hub.tell(&stream::SILENCE);
            told = Instant::now();
        }
    }
}
