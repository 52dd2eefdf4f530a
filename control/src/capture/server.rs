//! The appliance's side of a capture: in the thread of the client's connection.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use dataplane::capture::Clock;
use serde_json::json;

use super::explain::{FirstCopies, Frame, explain};
use super::filter::Filter;
use super::names::{Choice, Index};
use super::pcapng::File;
use super::sweep::Sweep;
use super::{Capturing, Chunk, Ended, Wanted, lease};
use crate::management::request::{Answer, Asker, Question};

/// How long there is nothing to do when nothing was captured.
const PAUSE: Duration = Duration::from_millis(1);
/// How often names are asked for, the clock is set, and the client looked for.
const REFRESH: Duration = Duration::from_secs(1);
/// How long workers have to end.
const ENDING: Duration = Duration::from_secs(1);
/// The file is written from so many octets on.
const CHUNK_OCTETS: usize = 1 << 16;

/// Serves a client that wants to see this, until it has seen enough.
///
/// # Errors
/// When the client is gone, or takes nothing for a minute.
pub(crate) fn serve(mut stream: &UnixStream, asker: &Asker, wanted: &str) -> io::Result<()> {
    let begun = serde_json::from_str(wanted)
        .map_err(|error| format!("the request cannot be read: {error}"))
        .and_then(|wanted| Capture::begin(asker, wanted));
    let mut capture = match begun {
        Ok(capture) => capture,
        Err(why) => return writeln!(stream, "{}", json!({ "error": why })),
    };
    stream.set_write_timeout(Some(lease::PATIENCE))?;
    stream.set_read_timeout(Some(PAUSE))?;
    writeln!(stream, "{}", json!({ "capture": capture.guard.id }))?;
    let because = capture.run(stream)?;
    capture.end(stream, because)
}

/// Ends the capture, however its reader ended.
struct Guard {
    asker: Asker,
    id: u64,
    ended: bool,
}

impl Guard {
    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            // Without an answer it ends by itself, since nobody asks for names any more.
            let _ = self.asker.ask(Question::EndCapture(self.id));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

/// A capture and its reader.
struct Capture {
    guard: Guard,
    sweep: Sweep,
    selection: Selection,
    file: File,
    refresh: Instant,
}

/// What goes into the file, and with which words.
struct Selection {
    clock: Clock,
    names: Index,
    firsts: FirstCopies,
    choice: Choice,
    filter: Filter,
    /// 0 for no end.
    most_packets: u64,
    packets: u64,
    /// What was said to be missing.
    told_missed: u64,
}

impl Selection {
    /// Adds a frame to a file, if it is wanted.
    fn add(&mut self, frame: &Frame, missed: u64, file: &mut File) {
        if self.is_full() {
            return;
        }
        let explained = explain(frame, &self.names, &self.clock, &mut self.firsts);
        if !explained.is_of(&self.choice)
            || !self.filter.wants(&explained.packet, explained.outcome)
        {
            return;
        }
        let mut comment = explained.comment;
        let gap = missed - self.told_missed;
        if gap > 0 {
            comment += &format!("; about here {gap} frames were not captured");
            self.told_missed = missed;
        }
        let unix_ns = self.clock.unix_ns(frame.record.ticks);
        match file.add(frame, unix_ns, &comment) {
            Ok(()) => self.packets += 1,
            Err(error) => log::warn!("a captured frame is left out: {error}"),
        }
    }

    fn is_full(&self) -> bool {
        self.most_packets > 0 && self.packets >= self.most_packets
    }
}

impl Capture {
    fn begin(asker: &Asker, wanted: Wanted) -> Result<Self, String> {
        let filter = Filter::parse(&wanted.filter).map_err(|error| error.to_string())?;
        let choice = Choice::new(&wanted);
        let (snap_octets, most_packets) = (wanted.snap_octets, wanted.most_packets);
        let Capturing { id, spec, names } = match asker.ask(Question::Capture(wanted)) {
            Answer::Capturing(capturing) => *capturing,
            Answer::Refused(why) => return Err(why),
            _ => return Err("the control thread answered something else".to_owned()),
        };
        let guard = Guard {
            asker: asker.clone(),
            id,
            ended: false,
        };
        let file = File::new(&names.ports, snap_octets).map_err(|error| error.to_string())?;
        Ok(Self {
            guard,
            selection: Selection {
                clock: spec.clock(),
                names: Index::new(names),
                firsts: FirstCopies::default(),
                choice,
                filter,
                most_packets,
                packets: 0,
                told_missed: 0,
            },
            sweep: Sweep::new(spec),
            file,
            refresh: Instant::now() + REFRESH,
        })
    }

    /// Hands frames to the client until it wants no more, or has all that it asked
    /// for. Says why, if it is for another reason.
    fn run(&mut self, stream: &UnixStream) -> io::Result<Option<String>> {
        // Whoever waits for the first frame sees the ports meanwhile.
        self.send(stream)?;
        loop {
            let busy = self.sweep.take();
            self.write(self.sweep.settled_until(), stream)?;
            self.send(stream)?;
            if self.selection.is_full() {
                return Ok(None);
            }
            let is_due = Instant::now() >= self.refresh;
            if (is_due || !busy) && has_left(stream)? {
                return Ok(None);
            }
            if is_due && let Err(why) = self.refresh() {
                return Ok(Some(why));
            }
        }
    }

    /// Writes what is of before then.
    fn write(&mut self, until: u64, stream: &UnixStream) -> io::Result<()> {
        while let Some(frame) = self.sweep.next(until) {
            let missed = self.sweep.missed();
            self.selection.add(&frame, missed, &mut self.file);
            if self.file.len() >= CHUNK_OCTETS {
                self.send(stream)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, stream: &UnixStream) -> io::Result<()> {
        match self.file.take() {
            octets if octets.is_empty() => Ok(()),
            octets => send_chunk(stream, Chunk::File, &octets),
        }
    }

    fn refresh(&mut self) -> Result<(), String> {
        self.refresh = Instant::now() + REFRESH;
        self.selection.clock = self.sweep.clock();
        match self.guard.asker.ask(Question::CaptureNames(self.guard.id)) {
            Answer::CaptureNames(names) => {
                self.selection.names = Index::new(*names);
                Ok(())
            }
            Answer::Refused(why) => Err(why),
            _ => Err("the control thread answered something else".to_owned()),
        }
    }

    /// Hands the rest to the client, and says how much it was.
    fn end(&mut self, stream: &UnixStream, because: Option<String>) -> io::Result<()> {
        self.guard.end();
        let deadline = Instant::now() + ENDING;
        while !self.sweep.has_ended() && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
        }
        while self.sweep.take() {
            self.write(u64::MAX, stream)?;
        }
        self.write(u64::MAX, stream)?;
        self.send(stream)?;
        let ended = Ended {
            packets: self.selection.packets,
            missed_packets: self.sweep.missed(),
            because,
        };
        let ended = serde_json::to_vec(&ended).map_err(io::Error::other)?;
        send_chunk(stream, Chunk::End, &ended)
    }
}

/// Whether the client wants no more: it has closed its half of the connection.
/// Waits for that for a moment.
fn has_left(mut stream: &UnixStream) -> io::Result<bool> {
    match stream.read(&mut [0; 16]) {
        Ok(0) => Ok(true),
        Ok(_) => Ok(false),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {
                Ok(false)
            }
            _ => Err(error),
        },
    }
}

fn send_chunk(mut stream: &UnixStream, chunk: Chunk, octets: &[u8]) -> io::Result<()> {
    stream.write_all(&chunk.header(octets.len()))?;
    stream.write_all(octets)
}

#[cfg(test)]
mod tests;
