//! What is kept of a running appliance beside its counters: once a second a reading of every link and set, and what happened to
//! them. A thread of its own asks the control thread, and pins the answer to a [`Board`], where whoever shows things takes it
//! from: nobody else asks for the whole status each second. Another keeps the readings: [`History`].

mod board;
mod drops;
mod event;
mod history;
mod minutes;
mod pace;
mod reading;
pub mod site;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use board::{Board, Moment};
pub use drops::{DropPlace, Dropped};
pub use event::{Event, EventKind, Events};
pub use history::{Historian, History};
use pace::Pace;
pub use reading::{Reading, SET_GRAPHS, set_graph};

use crate::management::request::{Answer, Asker, Question};

/// Pause between looks at whether to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// The thread that reads. Dropping it ends it.
#[derive(Debug)]
pub struct Monitor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    /// Reads once a second, pins each reading to the board, and hands it to the history.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(asker: Asker, board: Arc<Board>, history: History) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("monitor".to_owned())
            .spawn(move || watch(&asker, &board, &history, &stopped))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there was already printed; nothing is left to do about it.
            let _ = thread.join();
        }
    }
}

fn watch(asker: &Asker, board: &Board, history: &History, stop: &AtomicBool) {
    let mut pace = Pace::new(Instant::now());
    let mut before: Option<Arc<Moment>> = None;
    while !stop.load(Ordering::Relaxed) {
        if let Some(pause) = pace.pause(Instant::now()) {
            thread::sleep(pause.min(STOP_INTERVAL));
            continue;
        }
        match asker.ask(Question::Status) {
            Answer::Status(status) => {
                pace.answered(Instant::now(), status.uptime_s);
                let moment = Moment::new(unix_time(), status, before.as_deref());
                let moment = board.pin(moment);
                history.keep(&moment);
                before = Some(moment);
            }
            Answer::Refused(why) => log::debug!("no reading: {why}"),
            _ => {}
        }
    }
}

/// Since 1970, by the system's clock.
fn unix_time() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO)
}
