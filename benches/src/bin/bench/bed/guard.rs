//! Ends what a bed started and removes its folder, whatever ends the process that made it: a panic, a signal, even SIGKILL.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A folder of its own, and a small shell that waits for the end of its input, which comes when this value is dropped or
/// this process dies.
pub(super) struct Guard {
    shell: Child,
    directory: PathBuf,
}

/// Argument: the folder. The files `*.pid` in it name the processes that still run.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
while read -r _; do :; done
for file in "$1"/*.pid; do
    [ -e "$file" ] && kill -9 "$(cat "$file")" 2>/dev/null
done
rm -rf "$1"
"#;

/// A process that ends with the bed. Dropping this says that it has ended.
pub(crate) struct Watched(PathBuf);

impl Guard {
    /// Makes the folder.
    pub(super) fn start(directory: PathBuf) -> io::Result<Self> {
        std::fs::create_dir(&directory)?;
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "bed-guard"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C ends the whole foreground group; this one has work to do then.
            .process_group(0)
            .spawn()?;
        Ok(Self { shell, directory })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn watch(&self, pid: u32) -> io::Result<Watched> {
        let file = self.directory.join(format!("{pid}.pid"));
        std::fs::write(&file, pid.to_string())?;
        Ok(Watched(file))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The folder may be gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Waits until everything is gone.
        let _ = self.shell.wait();
    }
}
