//! The whole screen of `status --watch`: which line is bad, first; then every set and link, and all of the one that is chosen.
//!
//! `picture` is what is known of the appliance, `view` what is looked at of it, `draw` puts both on the screen. Two
//! threads feed the one that draws: one asks the appliance, one waits for keys. When a terminal is closed the library
//! that reads keys does not come back, so nothing else may depend on it.

mod columns;
mod detail;
mod draw;
mod look;
mod picture;
mod trace;
mod view;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGSTOP, SIGTERM};

use self::look::Look;
use self::picture::Picture;
use self::view::{View, Wish};
use super::socket::{self, ClientError};
use super::status::Status;
use crate::monitor::site::Site;
use crate::monitor::{Board, Moment};

/// Time between two looks at the appliance.
const INTERVAL: Duration = Duration::from_secs(1);
/// Pause between looks at whether a signal came; what is on the screen is at most that much older than it says.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

/// Why the screen could not be shown, or not any more.
#[derive(Debug)]
pub enum ScreenError {
    /// The appliance did not answer the first time.
    Appliance(ClientError),
    /// The terminal cannot be used so.
    Terminal(io::Error),
}

impl fmt::Display for ScreenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appliance(error) => error.fmt(formatter),
            Self::Terminal(error) => write!(
                formatter,
                "the terminal cannot be used: {error}\n    `hal2tp status --watch | cat` shows the same as plain text"
            ),
        }
    }
}

impl std::error::Error for ScreenError {}

/// What one look at the appliance brought.
enum Heard {
    Seen(Arc<Moment>, Box<Site>),
    Silence(String),
}

/// What the screen is to react to.
enum Happening {
    Heard(Heard),
    Event(Event),
    /// There are no keys to wait for any more.
    Closed,
}

/// Shows the screen until somebody wants to leave it, a signal ends it or the terminal is closed.
///
/// # Errors
/// When the appliance does not answer the first time, or the terminal cannot be used.
pub fn show(path: &Path, colours: bool) -> Result<(), ScreenError> {
    let status = socket::status(path).map_err(ScreenError::Appliance)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(ScreenError::Terminal)?;
    }
    let mut asker = Asker::new(path.to_owned());
    let mut screen = Screen::new(Look::of_environment(colours));
    screen.heard(asker.seen(status));
    let (happenings, happened) = bounded(64);
    let terminal = ratatui::try_init();
    let shown = terminal.and_then(|mut terminal| {
        let of_asker = happenings.clone();
        thread::Builder::new().spawn(move || asker.ask(&of_asker))?;
        thread::Builder::new().spawn(move || wait_for_keys(&happenings))?;
        screen.run(&mut terminal, &happened, &stop)
    });
    let restored = ratatui::try_restore();
    match shown.and(restored) {
        // A terminal that is gone cannot be drawn on, and nobody sees what would be said of it.
        Err(error) if !is_gone(&error) => Err(ScreenError::Terminal(error)),
        _ => Ok(()),
    }
}

/// Whether that is what a closed terminal, or its other end, says.
fn is_gone(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    error.raw_os_error() == Some(EIO) || error.kind() == io::ErrorKind::BrokenPipe
}

/// Asks the appliance once a second, and keeps the last minute of it.
struct Asker {
    path: PathBuf,
    board: Board,
}

impl Asker {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            board: Board::default(),
        }
    }

    /// Ends when nobody listens any more.
    fn ask(&mut self, happenings: &Sender<Happening>) {
        let mut next = Instant::now() + INTERVAL;
        loop {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            next = (next + INTERVAL).max(Instant::now());
            let heard = match socket::status(&self.path) {
                Ok(status) => self.seen(status),
                Err(error) => Heard::Silence(error.to_string()),
            };
            if happenings.send(Happening::Heard(heard)).is_err() {
                return;
            }
        }
    }

    fn seen(&self, status: Status) -> Heard {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = since.unwrap_or(Duration::ZERO);
        let moment = Moment::new(at, status, self.board.latest().as_deref());
        let moment = self.board.pin(moment);
        let site = Box::new(Site::of(&moment));
        Heard::Seen(moment, site)
    }
}

/// Passes on keys and changes of size.
fn wait_for_keys(happenings: &Sender<Happening>) {
    while let Ok(event) = event::read() {
        if happenings.send(Happening::Event(event)).is_err() {
            return;
        }
    }
    let _ = happenings.send(Happening::Closed);
}

/// All that is needed to draw.
struct Screen {
    picture: Picture,
    view: View,
    look: Look,
    /// Since when the appliance does not answer, and why.
    silent: Option<(Instant, String)>,
}

impl Screen {
    fn new(look: Look) -> Self {
        Self {
            picture: Picture::default(),
            view: View::default(),
            look,
            silent: None,
        }
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Seen(moment, site) => {
                self.picture.take(&moment, *site);
                self.view.arrange(&self.picture);
                self.silent = None;
            }
            Heard::Silence(why) => {
                let since = self.silent.take().map(|(since, _)| since);
                self.silent = Some((since.unwrap_or_else(Instant::now), why));
            }
        }
    }

    fn run(
        &mut self,
        terminal: &mut DefaultTerminal,
        happened: &Receiver<Happening>,
        stop: &AtomicBool,
    ) -> io::Result<()> {
        terminal.draw(|frame| draw::draw(self, frame))?;
        while !stop.load(Ordering::Relaxed) {
            let first = match happened.recv_timeout(SIGNAL_INTERVAL) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            // A key that is held down is drawn once for all that have come.
            for happening in std::iter::once(first).chain(happened.try_iter()) {
                match self.react(happening) {
                    Wish::Stay => {}
                    Wish::Leave => return Ok(()),
                    Wish::Suspend => suspend(terminal)?,
                }
            }
            terminal.draw(|frame| draw::draw(self, frame))?;
        }
        Ok(())
    }

    fn react(&mut self, happening: Happening) -> Wish {
        match happening {
            Happening::Heard(heard) => self.heard(heard),
            Happening::Event(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                return self.view.press(key, &self.picture);
            }
            // What else a terminal says is of its size, which drawing asks for itself.
            Happening::Event(_) => {}
            Happening::Closed => return Wish::Leave,
        }
        Wish::Stay
    }
}

/// Gives the terminal back to the shell until that lets us go on. Clearing it instead of beginning anew would ask it
/// where its cursor is, and whoever waits for keys would take the answer.
fn suspend(terminal: &mut DefaultTerminal) -> io::Result<()> {
    ratatui::try_restore()?;
    signal_hook::low_level::raise(SIGSTOP)?;
    *terminal = ratatui::try_init()?;
    Ok(())
}

#[cfg(test)]
mod tests;
