//! One client's connection: taken in, served, and left when the client stands still.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::handler::{self, Client};
use super::limits::Place;
use super::server::Shared;

/// Pause after a client could not be taken in, for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Octets of a request's head at most, and of what is written at once.
const BUFFER_OCTETS: usize = 16 << 10;
const MOST_HEADERS: usize = 64;

/// Said to who comes when there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 38\r\n\r\n{\"error\":\"there are too many clients\"}";
/// So many are told at a time, and so long each has for its question; more are turned away without a word.
const MOST_TOLD: usize = 16;
const TELL_PATIENCE: Duration = Duration::from_secs(1);

/// Takes clients in.
pub(super) async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
) {
    let told = Arc::new(Semaphore::new(MOST_TOLD));
    loop {
        match listener.accept().await {
            Ok((stream, address)) => match shared.connections.enter(address.ip(), &shared.limits) {
                Some(place) => {
                    let shared = Arc::clone(&shared);
                    tokio::spawn(serve(stream, address, shared, stopped.clone(), place));
                }
                None => {
                    if let Ok(permit) = Arc::clone(&told).try_acquire_owned() {
                        tokio::spawn(turn_away(stream, permit));
                    }
                }
            },
            // The client is gone again, or we are out of descriptors: both pass.
            Err(error) => {
                log::debug!("http: no client taken in: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Says that there is no place, once the question is read: what is left unread would take the answer away with it.
async fn turn_away(stream: TcpStream, _permit: OwnedSemaphorePermit) {
    if timeout(TELL_PATIENCE, stream.readable()).await.is_ok() {
        let mut question = [0; BUFFER_OCTETS];
        // Whether it arrives is the client's affair.
        let _ = stream.try_read(&mut question);
        let _ = stream.try_write(FULL);
    }
}

async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
    _place: Place,
) {
    let hang_up = Arc::new(Notify::new());
    let client = Arc::new(Client {
        address: address.ip(),
        hang_up: Arc::clone(&hang_up),
        shared: Arc::clone(&shared),
    });
    let service = service_fn(move |request| {
        let client = Arc::clone(&client);
        async move { Ok::<_, Infallible>(handler::answer(&client, request).await) }
    });
    let limits = &shared.limits;
    let stream = TokioIo::new(Patient::new(stream, limits.write_patience));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_patience)
            .max_buf_size(BUFFER_OCTETS)
            .max_headers(MOST_HEADERS)
            .serve_connection(stream, service)
    );
    let mut hung_up = pin!(hang_up.notified());
    let mut stopped = pin!(stopped.changed());
    let mut told = false;
    poll_fn(|context| {
        if hung_up.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if !told && stopped.as_mut().poll(context).is_ready() {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        let served = connection.as_mut().poll(context);
        served.map(|served| {
            if let Err(error) = served {
                log::debug!("http: {address}: {error}");
            }
        })
    })
    .await;
}

/// A connection whose client must take what is written before long.
#[derive(Debug)]
struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Until when; runs while something waits to be written.
    deadline: Pin<Box<Sleep>>,
    waits: bool,
}

impl Patient {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            deadline: Box::pin(sleep(patience)),
            waits: false,
        }
    }

    /// What a write came to, unless it has been waited for too long.
    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = false;
            return written;
        }
        if !self.waits {
            self.waits = true;
            let deadline = Instant::now() + self.patience;
            self.deadline.as_mut().reset(deadline);
        }
        self.deadline
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, octets);
        this.in_time(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
