//! Events to the local syslog: one datagram for each, in the form of RFC 3164 (4.1), which every
//! daemon takes on its socket. The time is left to the daemon, as its own is what it writes.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::errands::Tally;
use super::settings::Syslog;
use crate::monitor::Event;

const SOCKET: &str = "/dev/log";

pub(super) struct Local {
    path: PathBuf,
    facility: u8,
    appliance: String,
    socket: Option<UnixDatagram>,
    tally: Arc<Tally>,
}

impl Local {
    pub(super) fn new(settings: &Syslog, appliance: &str) -> Self {
        Self::at(Path::new(SOCKET), settings, appliance)
    }

    fn at(path: &Path, settings: &Syslog, appliance: &str) -> Self {
        Self {
            path: path.to_owned(),
            facility: settings.facility,
            appliance: appliance.to_owned(),
            socket: None,
            tally: Arc::default(),
        }
    }

    pub(super) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Tells it, or counts that it could not: a daemon that takes nothing is not waited for.
    pub(super) fn tell(&mut self, event: &Event) {
        let line = self.line(event);
        // A daemon that was restarted has another socket.
        let sent = self.send(&line).or_else(|_| {
            self.socket = None;
            self.send(&line)
        });
        match sent {
            Ok(()) => self.tally.told(),
            Err(error) => {
                let why = format!("{}: {error}", self.path.display());
                if self.tally.failed(&why) {
                    log::warn!("syslog: {why}");
                }
                self.tally.dropped(1);
            }
        }
    }

    fn send(&mut self, line: &str) -> std::io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket.connect(&self.path)?;
                socket
            }
        };
        let socket = self.socket.insert(socket);
        socket.send(line.as_bytes()).map(|_| ())
    }

    fn line(&self, event: &Event) -> String {
        // RFC 3164, 4.1.1.
        let severity = match event.event.severity() {
            log::Level::Error => 3,
            log::Level::Warn => 4,
            _ => 6,
        };
        let priority = u16::from(self.facility) * 8 + severity;
        let (process, name) = (std::process::id(), &self.appliance);
        format!("<{priority}>hal2tp[{process}]: appliance={name} {event}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarms::tests::{Place, event};

    #[test]
    fn an_event_is_one_datagram_and_a_restarted_daemon_is_found() {
        let place = Place::new("syslog");
        let path = place.path("log");
        let mut local = Local::at(&path, &Syslog { facility: 16 }, "head");
        local.tell(&event(1));
        let failed = local.tally.notifier("syslog", 0);
        assert_eq!((failed.sent, failed.failed, failed.dropped), (0, 1, 1));
        let said = failed.last_error.unwrap();
        assert!(failed.failing && said.contains("log: "), "{said}");
        for daemon in 1..3 {
            let socket = UnixDatagram::bind(&path).unwrap();
            local.tell(&event(1));
            let mut octets = [0; 2048];
            let count = socket.recv(&mut octets).unwrap();
            let line = str::from_utf8(&octets[..count]).unwrap();
            let expected = format!(
                "<132>hal2tp[{}]: appliance=head event=link-down link=L1 set=A remote=192.0.2.1 reason=kicked text=\"as asked\"",
                std::process::id()
            );
            assert_eq!(line, expected);
            assert_eq!(local.tally.notifier("syslog", 0).sent, daemon);
            drop(socket);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_daemon_that_takes_nothing_is_not_waited_for() {
        let place = Place::new("syslog-full");
        let path = place.path("log");
        let _socket = UnixDatagram::bind(&path).unwrap();
        let mut local = Local::at(&path, &Syslog { facility: 3 }, "head");
        let start = std::time::Instant::now();
        for at in 0..3000 {
            local.tell(&event(at));
        }
        assert!(start.elapsed().as_secs() < 5);
        let counts = local.tally.notifier("syslog", 0);
        assert_eq!(counts.sent + counts.dropped, 3000);
        assert!(counts.sent > 0 && counts.dropped > 0, "{counts:?}");
    }
}
