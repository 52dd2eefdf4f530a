//! What the control thread is asked.

use std::time::Duration;

use dataplane::command::PortId;

use super::status::Askers;
use super::{Appliance, PortLink};
use crate::alarms::Alarms;
use crate::capture::{Capturing, Names, Wanted, names};
use crate::config::{Config, Reloaded};
use crate::engine::{Happening, MaskRefusal, What};
use crate::management::reload::Wanted as Reload;
use crate::management::request::{Answer, Question, Request};

impl Appliance {
    pub(super) fn answer(&mut self, request: Request, askers: &mut Askers, alarms: &mut Alarms) {
        let Some(answer) = self.answer_to(&request.command, alarms) else {
            return askers.ask(request);
        };
        let began = match &answer {
            Answer::Capturing(capturing) => Some(capturing.id),
            _ => None,
        };
        if !request.answer(answer)
            && let Some(id) = began
        {
            // Nobody would end it.
            self.end_capture(id);
        }
    }

    /// None to who wants the status, which takes a while.
    fn answer_to(&mut self, question: &Question, alarms: &mut Alarms) -> Option<Answer> {
        Some(match question {
            Question::Status => return None,
            Question::Capture(wanted) => match self.start_capture(wanted) {
                Ok(capturing) => Answer::Capturing(Box::new(capturing)),
                Err(why) => Answer::Refused(why),
            },
            Question::CaptureNames(id) => {
                if self.capture.renew(*id, self.started.elapsed()) {
                    Answer::CaptureNames(Box::new(self.names()))
                } else {
                    Answer::Refused("the capture has ended: it was not read".to_owned())
                }
            }
            Question::EndCapture(id) => {
                self.end_capture(*id);
                Answer::CaptureEnded
            }
            Question::Kick(name) => match self.engine.kick(self.started.elapsed(), name) {
                Ok(kicked) => Answer::Kicked(kicked),
                Err(why) => Answer::Refused(why),
            },
            Question::Mask { name, for_s } => {
                let (now, time) = (self.started.elapsed(), Duration::from_secs(*for_s));
                match self.engine.mask(now, name, time) {
                    Ok(masked) => Answer::Masked(masked),
                    Err(why @ MaskRefusal::NotNow(_)) => Answer::NotNow(why.to_string()),
                    Err(why) => Answer::Refused(why.to_string()),
                }
            }
            Question::Unmask(name) => match self.engine.unmask(self.started.elapsed(), name) {
                Ok(unmasked) => Answer::Unmasked(unmasked),
                Err(why) => Answer::Refused(why),
            },
            Question::Reload(wanted) => match self.reload(wanted, alarms) {
                Ok(reloaded) => Answer::Reloaded(Box::new(reloaded)),
                Err(why) => Answer::Refused(why),
            },
        })
    }

    /// Follows another configuration, and tells what came of it.
    fn reload(&mut self, wanted: &Reload, alarms: &mut Alarms) -> Result<Reloaded, String> {
        let done = self.follow(wanted, alarms);
        if !wanted.dry_run {
            self.teller.tell(Happening {
                link: None,
                set: None,
                what: match &done {
                    Ok(reloaded) => What::Reloaded(cut(reloaded.lines().join("; "))),
                    Err(why) => What::ReloadRefused(cut(first_error(why).to_owned())),
                },
            });
        }
        done
    }

    /// All of it or, if anything is in the way, nothing.
    fn follow(&mut self, wanted: &Reload, alarms: &mut Alarms) -> Result<Reloaded, String> {
        let read = wanted.read.as_ref().map_err(Clone::clone)?;
        let in_file = |why: String| format!("{}: {why}", read.file);
        let difference = self.engine.difference(&read.config).map_err(in_file)?;
        let reloaded = Reloaded {
            dry_run: wanted.dry_run,
            warnings: read.warnings.clone(),
            ..difference.reloaded.clone()
        };
        if !wanted.dry_run && !reloaded.unchanged {
            alarms
                .follow(&self.teller, &read.config)
                .map_err(|error| format!("the alarms cannot be changed: {error}"))?;
            let config = Config::clone(&read.config);
            self.engine
                .reload(self.started.elapsed(), config, &difference);
        }
        Ok(reloaded)
    }

    fn end_capture(&mut self, id: u64) {
        if self.capture.end(id) {
            self.dataplane.end_capture();
        }
    }

    /// Has the workers note what is wanted from now on.
    fn start_capture(&mut self, wanted: &Wanted) -> Result<Capturing, String> {
        self.engine.check_capture(wanted)?;
        let ports = wanted.ports.iter().map(|name| self.port_named(name));
        let ports: Vec<PortId> = ports.collect::<Result<_, _>>()?;
        let id = self
            .capture
            .take(self.started.elapsed())
            .ok_or("another capture is on, and there is one at a time")?;
        log::info!("a capture begins");
        Ok(Capturing {
            id,
            spec: self.dataplane.start_capture(&ports, wanted.snap_octets),
            names: self.names(),
        })
    }

    fn port_named(&self, name: &str) -> Result<PortId, String> {
        let port = self.ports.iter().find(|port| port.name == name);
        port.map(|port| port.id).ok_or_else(|| {
            let names: Vec<&str> = self.ports.iter().map(|port| port.name.as_str()).collect();
            format!(
                "no port is called {name:?}; there are: {}",
                names.join(", ")
            )
        })
    }

    /// The names of what a capture sees.
    fn names(&self) -> Names {
        let port = |link: &PortLink| names::Port {
            name: link.name.clone(),
            description: link.device.clone(),
        };
        Names {
            ports: self.ports.iter().map(port).collect(),
            ..self.engine.capture_names()
        }
    }
}

/// The first of what is wrong with a file, warnings left out; whoever asked is told all of it.
fn first_error(why: &str) -> &str {
    let error = why.lines().find(|line| line.contains(": error: "));
    error.or_else(|| why.lines().next()).unwrap_or_default()
}

/// What an event says, short enough for the smallest pipe and datagram.
fn cut(mut text: String) -> String {
    const LONGEST_OCTETS: usize = 800;
    if text.len() > LONGEST_OCTETS {
        let mut ends = (0..=LONGEST_OCTETS).rev();
        let end = ends.find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or_default());
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_event_says_is_cut_between_letters() {
        assert_eq!(cut("ä".repeat(400)), "ä".repeat(400));
        let cut = cut(format!("x{}", "ä".repeat(400)));
        assert_eq!(cut, format!("x{}...", "ä".repeat(399)));
    }

    #[test]
    fn of_a_file_that_is_refused_the_first_error_is_told() {
        let found = "x:1:2: warning: a: odd\n    b\nx:3:4: error: c: wrong\n    d\n1 error";
        assert_eq!(first_error(found), "x:3:4: error: c: wrong");
        assert_eq!(first_error("x: ports: changed"), "x: ports: changed");
    }
}
