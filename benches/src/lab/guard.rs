//! Cleans up after a lab whatever ends the process that made it: a panic, a signal, even SIGKILL.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::netns::Namespace;

/// A small shell that waits for the end of its input, which comes when this value is dropped or this process dies.
pub struct Guard {
    shell: Child,
}

/// Arguments: the directory, then the namespaces. Processes are those whose namespace it is, so only the lab's own.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
while read -r _; do :; done
directory=$1
shift
for namespace; do
    for pid in $(ip netns pids "$namespace" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
    ip netns del "$namespace" 2>/dev/null
done
rm -rf "$directory"
"#;

impl Guard {
    /// Starts it before anything is made that it is to remove.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn start(directory: &Path, namespaces: &[Namespace]) -> io::Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "lab-guard"])
            .arg(directory)
            .args(namespaces.iter().map(Namespace::name))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C ends the whole foreground group; this one has work to do then.
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Waits until everything is gone.
        let _ = self.shell.wait();
    }
}
