//! The tester as whoever gives it orders sees it.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;

use super::orders::{Order, Outcome, Trial};
use crate::bed::{Bed, Watched};

/// A tester process. Dropping it ends it.
pub(super) struct Tester {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
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
        let mut tester = Self {
            child,
            orders,
            answers: BufReader::new(answers),
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
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            return Err(format!("the tester ended: {log}").into());
        }
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
