//! A running `wan` process and its control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::netns::Namespace;
use crate::usage::CpuTime;
use crate::wan::Stats;
use wan_model::impairment::Impairments;

/// What starts an emulator.
#[derive(Clone, Debug)]
pub struct EmulatorConfig {
    /// The executable `wan`.
    pub program: PathBuf,
    pub namespace: Namespace,
    /// Its sides a and b, interfaces in `namespace`.
    pub interfaces: [String; 2],
    pub control: PathBuf,
    pub seed: u64,
}

/// A running emulator. Dropping it kills it: frames then go nowhere.
pub struct Emulator {
    child: Child,
    control: PathBuf,
}

/// Which way frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    AToB,
    BToA,
    Both,
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Self::AToB => "a-b",
            Self::BToA => "b-a",
            Self::Both => "both",
        }
    }
}

impl Emulator {
    /// Starts one with these settings for a-b and b-a and waits until it carries frames.
    pub fn start(config: &EmulatorConfig, settings: &[Impairments; 2]) -> io::Result<Self> {
        let [a, b] = &config.interfaces;
        let [a_b, b_a] = settings;
        let child = config
            .namespace
            .command(&config.program)
            .args([
                "run",
                "--a",
                a,
                "--b",
                b,
                "--seed",
                &config.seed.to_string(),
            ])
            .arg("--control")
            .arg(&config.control)
            .args([
                "--do",
                &format!("set a-b {a_b}"),
                "--do",
                &format!("set b-a {b_a}"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        let mut emulator = Self {
            child,
            control: config.control.clone(),
        };
        emulator.wait_until_ready()?;
        Ok(emulator)
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match self.ask("stats") {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("wan ended: {status}")));
            }
        }
    }

    /// Sends one control line and gives its answer.
    pub fn ask(&self, line: &str) -> io::Result<String> {
        ask(&self.control, line)
    }

    /// Replaces all settings of a direction.
    pub fn set(&self, direction: Direction, settings: &Impairments) -> io::Result<()> {
        self.ask(&format!("set {} {settings}", direction.word()))
            .map(drop)
    }

    /// Changes some settings of a direction: `delay=20ms loss=2%`.
    pub fn change(&self, direction: Direction, words: &str) -> io::Result<()> {
        self.ask(&format!("set {} {words}", direction.word()))
            .map(drop)
    }

    pub fn stats(&self) -> io::Result<Stats> {
        Ok(serde_json::from_str(&self.ask("stats")?)?)
    }

    /// Processor time used so far, user and system.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        Ok(CpuTime::of(self.child.id())?.all)
    }

    /// Ends it as a power failure would.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Ends it in an orderly way.
    pub fn stop(mut self) -> io::Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM)?;
        self.child.wait().map(drop)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends one line to an emulator's control socket and gives its answer.
pub fn ask(control: &Path, line: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(control)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    let answer = answer.trim_end();
    if answer.is_empty() || answer.starts_with("error") {
        return Err(io::Error::other(format!("wan, {line}: {answer:?}")));
    }
    Ok(answer.to_owned())
}
