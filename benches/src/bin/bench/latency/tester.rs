//! The tester as whoever gives it orders sees it.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::orders::{Order, Outcome, Trial};
use crate::bed::{Bed, Watched};

/// Longer than any order takes, on a machine with much else to do too.
const PATIENCE: Duration = Duration::from_secs(30);

/// A tester process. Dropping it ends it.
pub(super) struct Tester {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
    log: std::path::PathBuf,
    _watched: Watched,
}

impl Tester {
    /// Starts it at all wires of a bed.
    pub(super) fn start(bed: &Bed, cpu: u32) -> Result<Self, Box<dyn Error>> {
        let log = bed.file("tester.log");
        let mut child = Command::new(std::env::current_exe()?)
            .args([super::TESTER, &cpu.to_string()])
            .args(bed.tester_ports().iter().map(|port| &port.vdev))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        let watched = bed.watch(child.id())?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a tester without pipes".into());
        };
        let (sender, lines) = mpsc::channel();
        // Ends with the tester's output.
        thread::spawn(move || {
            for line in BufReader::new(answers).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut tester = Self {
            child,
            orders,
            answers: lines,
            log,
            _watched: watched,
        };
        tester.answer::<String>()?;
        Ok(tester)
    }

    pub(super) fn forward(&mut self) -> Result<(), Box<dyn Error>> {
        self.order::<String>(&Order::Forward).map(drop)
    }

    pub(super) fn rest(&mut self) -> Result<(), Box<dyn Error>> {
        self.order::<String>(&Order::Rest).map(drop)
    }

    pub(super) fn run(&mut self, trial: Trial) -> Result<Outcome, Box<dyn Error>> {
        self.order(&Order::Run(trial))
    }

    fn order<T: DeserializeOwned>(&mut self, order: &Order) -> Result<T, Box<dyn Error>> {
        serde_json::to_writer(&mut self.orders, order)?;
        writeln!(self.orders)?;
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Box<dyn Error>> {
        let line = self.answers.recv_timeout(PATIENCE).map_err(|problem| {
            let what = match problem {
                RecvTimeoutError::Timeout => "does not answer",
                RecvTimeoutError::Disconnected => "ended",
            };
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            format!("the tester {what}: {log}")
        })?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Tester {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
