//! Events to a program of the operator's.

use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::document;
use super::errands::{Errands, Outcome, Runner};
use crate::monitor::Event;

/// How long a program may run.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Of what it prints, so many octets are logged.
const MOST_LOGGED: usize = 2048;
/// Between two looks at a program that says nothing.
const LOOK: Duration = Duration::from_millis(20);
/// The first descriptor that is not one of the standard ones.
const FIRST_OF_OURS: i32 = 3;

pub(super) struct Program {
    appliance: String,
    words: Vec<String>,
    time_limit: Duration,
}

/// How a run ended.
enum End {
    Exited(ExitStatus),
    /// It was ended after so long.
    Killed(Duration),
}

impl Program {
    pub(super) fn new(appliance: &str, words: &[String]) -> Self {
        Self {
            appliance: appliance.to_owned(),
            words: words.to_vec(),
            time_limit: TIME_LIMIT,
        }
    }

    #[cfg(test)]
    pub(super) fn with_time_limit(mut self, time: Duration) -> Self {
        self.time_limit = time;
        self
    }

    /// Starts it, in a process group of its own, with nothing of ours but its output: DPDK
    /// opens descriptors that a new program would have.
    fn start(&self, event: &Event) -> io::Result<(Child, PipeReader)> {
        let (output, writer) = io::pipe()?;
        let (program, arguments) = self
            .words
            .split_first()
            .ok_or_else(|| io::Error::other("there is no program"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        for (name, value) in environment(&self.appliance, event) {
            match value {
                // No variable can hold a NUL.
                Some(value) => command.env(name, value.replace('\0', " ")),
                None => command.env_remove(name),
            };
        }
        close_fds::set_fds_cloexec(FIRST_OF_OURS, &[]);
        let mut child = command.spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // An event is smaller than the smallest pipe. Who does not read it does not want it.
            let _ = input.write_all(format!("{}\n", document(&self.appliance, event)).as_bytes());
        }
        Ok((child, output))
    }

    fn run(&self, event: &Event, errands: &Errands) -> io::Result<(End, Vec<u8>)> {
        let (mut child, mut output) = self.start(event)?;
        let (started, mut said) = (Instant::now(), Vec::new());
        let (mut at_end, mut killed) = (false, None);
        while !has_ended(&child) {
            let lasted = started.elapsed();
            if lasted >= self.time_limit || errands.time_left(LOOK).is_zero() {
                killed = Some(lasted);
                break;
            }
            if at_end {
                std::thread::sleep(LOOK);
            } else {
                at_end = !take_output(&mut output, LOOK, &mut said);
            }
        }
        // What it has started ends with it. Until it is waited for, the group is its own.
        let group = Pid::from_child(&child);
        let _ = kill_process_group(group, Signal::KILL);
        let status = child.wait()?;
        let most = said.len() + PIPE_OCTETS;
        while !at_end && said.len() < most {
            let before = said.len();
            at_end = !take_output(&mut output, Duration::ZERO, &mut said) || said.len() == before;
        }
        let end = killed.map_or(End::Exited(status), End::Killed);
        Ok((end, said))
    }
}

/// What a pipe holds at most (pipe(7)).
const PIPE_OCTETS: usize = 65_536;

/// Whether it is over, and still there to be waited for.
fn has_ended(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::Pid(Pid::from_child(child)), options);
    // It is ours to wait for: an error cannot be.
    !matches!(status, Ok(None))
}

/// Takes what a program says within `patience`, and keeps the first of it. Says whether more may come.
fn take_output(output: &mut PipeReader, patience: Duration, said: &mut Vec<u8>) -> bool {
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: patience.subsec_nanos().into(),
    };
    let mut descriptors = [PollFd::new(output, PollFlags::IN)];
    match poll(&mut descriptors, Some(&timeout)) {
        Ok(0) | Err(Errno::INTR) => return true,
        Ok(_) => {}
        Err(_) => return false,
    }
    let mut octets = [0; 4096];
    match output.read(&mut octets) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            let room = (MOST_LOGGED + 1).saturating_sub(said.len());
            said.extend_from_slice(&octets[..count.min(room)]);
            true
        }
    }
}

/// Whether it is for want of something that may be there later: descriptors, processes, memory; or the program is just being written.
fn passes(error: &io::Error) -> bool {
    let wanted = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::AGAIN,
        Errno::NOMEM,
        Errno::TXTBSY,
    ];
    Errno::from_io_error(error).is_some_and(|errno| wanted.contains(&errno))
}

fn environment(appliance: &str, event: &Event) -> [(&'static str, Option<String>); 8] {
    [
        ("HAL2TP_APPLIANCE", Some(appliance.to_owned())),
        ("HAL2TP_AT_UNIX_MS", Some(event.at_unix_ms.to_string())),
        ("HAL2TP_EVENT", Some(event.event.word().to_owned())),
        ("HAL2TP_LINK", event.link.clone()),
        ("HAL2TP_SET", event.set.clone()),
        ("HAL2TP_REMOTE", event.remote.clone()),
        ("HAL2TP_REASON", event.reason.clone()),
        ("HAL2TP_TEXT", Some(event.text.clone())),
    ]
}

impl Runner for Program {
    fn tell(&mut self, event: &Event, errands: &Errands) -> Outcome {
        let program = self.words.first().map_or("", String::as_str);
        let (end, said) = match self.run(event, errands) {
            Ok(run) => run,
            Err(error) => {
                let why = format!("{program} cannot be run: {error}");
                return if passes(&error) {
                    Outcome::TryAgain(why)
                } else {
                    Outcome::GivenUp(why)
                };
            }
        };
        if !said.is_empty() {
            let more = if said.len() > MOST_LOGGED { " ..." } else { "" };
            let said = String::from_utf8_lossy(&said[..said.len().min(MOST_LOGGED)]);
            log::info!(
                "alarm {}: {program} says {:?}{more}",
                errands.name,
                said.trim_end()
            );
        }
        match end {
            End::Exited(status) if status.success() => Outcome::Told,
            End::Exited(status) => Outcome::GivenUp(format!("{program}: {status}")),
            End::Killed(lasted) => {
                let lasted = lasted.as_secs_f32();
                Outcome::GivenUp(format!("{program} was ended after {lasted:.1} s"))
            }
        }
    }
}
