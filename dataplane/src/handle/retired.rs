//! Values that workers may still use. Large ones (windows) would take long to
//! free, so the last reference is let go here and never by a worker.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::capture::CaptureSpec;
use crate::command::{Command, InterfaceId, InterfaceSpec, SessionId, SessionSpec, SetId, SetSpec};

/// Kept for nothing but its reference.
#[derive(Debug)]
#[expect(dead_code, reason = "held, not read")]
enum Value {
    Interface(Arc<InterfaceSpec>),
    Session(Arc<SessionSpec>),
    Set(Arc<SetSpec>),
    Capture(Arc<CaptureSpec>),
}

/// The values that the workers have now, and those that they had.
#[derive(Debug, Default)]
pub(super) struct Retired {
    interfaces: HashMap<InterfaceId, Arc<InterfaceSpec>>,
    sessions: HashMap<SessionId, Arc<SessionSpec>>,
    sets: HashMap<SetId, Arc<SetSpec>>,
    capture: Option<Arc<CaptureSpec>>,
    /// With the number of the command that replaced them.
    old: VecDeque<(u64, Value)>,
}

impl Retired {
    /// Notes what a command replaces.
    pub(super) fn replace(&mut self, command: &Command, number: u64) {
        let old = match command {
            Command::SetInterface(spec) => {
                let old = self.interfaces.insert(spec.id, Arc::clone(spec));
                old.map(Value::Interface)
            }
            Command::RemoveInterface(id) => self.interfaces.remove(id).map(Value::Interface),
            Command::SetSession(spec) => {
                let old = self.sessions.insert(spec.id, Arc::clone(spec));
                old.map(Value::Session)
            }
            Command::RemoveSession(id) => self.sessions.remove(id).map(Value::Session),
            Command::SetSet(spec) => self.sets.insert(spec.id, Arc::clone(spec)).map(Value::Set),
            Command::RemoveSet(id) => self.sets.remove(id).map(Value::Set),
            Command::Capture(spec) => {
                let old = std::mem::replace(&mut self.capture, spec.clone());
                old.map(Value::Capture)
            }
            _ => None,
        };
        if let Some(old) = old {
            self.old.push_back((number, old));
        }
    }

    /// Lets go what no worker has any more.
    pub(super) fn release(&mut self, applied: u64) {
        while self
            .old
            .front()
            .is_some_and(|&(number, _)| number <= applied)
        {
            self.old.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Epoch, SetSpec, TableId};
    use crate::window::Window;

    fn set(window: &Window) -> Command {
        Command::SetSet(Arc::new(SetSpec {
            id: SetId(7),
            send_epoch: 1,
            next_number: Arc::default(),
            owner: 0,
            payload_table: TableId(0),
            ordering: None,
            members: Vec::new(),
            epochs: vec![Epoch {
                epoch: 2,
                window: window.clone(),
                first_times: Arc::default(),
            }],
            mtu: 1450,
            tcp_mss_fix: false,
            next_best_skew_us: Arc::default(),
            counters: Vec::new(),
        }))
    }

    #[test]
    fn a_captures_batches_stay_until_every_worker_has_let_them_go() {
        let spec = Arc::new(CaptureSpec::new(Vec::new(), 64, 0, 1));
        let mut retired = Retired::default();
        retired.replace(&Command::Capture(Some(Arc::clone(&spec))), 1);
        retired.replace(&Command::Capture(None), 2);
        retired.release(1);
        assert_eq!(Arc::strong_count(&spec), 2, "a worker may still have it");
        retired.release(2);
        assert_eq!(Arc::strong_count(&spec), 1);
    }

    #[test]
    fn a_window_stays_until_every_worker_has_let_it_go() {
        let window = Window::new(Window::MIN_NUMBERS);
        let mut retired = Retired::default();
        retired.replace(&set(&window), 1);
        retired.release(1);
        assert_eq!(window.holders(), 2, "in use");
        retired.replace(&Command::RemoveSet(SetId(7)), 2);
        retired.release(1);
        assert_eq!(window.holders(), 2, "a worker may still have it");
        retired.release(2);
        assert_eq!(window.holders(), 1);
    }
}
