//! The process of a cluster: whether it runs, and how it is ended.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::time::{Instant, sleep};

use crate::driver::DriverError;

/// How long a cluster may take to write down what it has; then it is ended at once, and recovers when it starts again.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to end at once.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// How often to look whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running postmaster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pid: Pid,
    pub(crate) port: u16,
}

impl Postmaster {
    /// The postmaster that runs on a data directory, if there is one.
    ///
    /// A number in a file that was left behind may belong to any process by now, so the process has to work in the data
    /// directory, as every postmaster does.
    pub(crate) fn find(data: &Path) -> Option<Self> {
        let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        // While initdb runs, its own process is named here, with a minus.
        let pid = lines.next()?.trim().parse().ok().filter(|pid| *pid > 0)?;
        let pid = Pid::from_raw(pid)?;
        let dir = PathBuf::from(lines.next()?);
        let port = lines.nth(1)?.trim().parse().ok()?;
        let data = fs::canonicalize(data).ok()?;
        let is_ours = fs::canonicalize(dir).ok()? == data && works_in(pid, &data);
        is_ours.then_some(Self { pid, port })
    }

    pub(crate) fn is_alive(self, data: &Path) -> bool {
        Self::find(data) == Some(self)
    }

    /// Ends it: it throws clients out and writes down what it has.
    pub(crate) async fn stop(self, data: &Path) -> Result<(), DriverError> {
        for (signal, patience) in [(Signal::INT, PATIENCE), (Signal::QUIT, LAST_PATIENCE)] {
            if !self.is_alive(data) {
                return Ok(());
            }
            match kill_process(self.pid, signal) {
                Err(error) if error != rustix::io::Errno::SRCH => {
                    return Err(DriverError::io("stopping PostgreSQL")(io::Error::from(error)));
                }
                _ => {}
            }
            let end = Instant::now() + patience;
            while Instant::now() < end {
                if !self.is_alive(data) {
                    return Ok(());
                }
                sleep(LOOK_EVERY).await;
            }
        }
        Err(DriverError::Unfit(format!("PostgreSQL (process {}) does not end", self.pid)))
    }
}

/// Whether a process is the postmaster of a data directory: it works there, or where the system doesn't tell, it was started
/// with that directory.
fn works_in(pid: Pid, data: &Path) -> bool {
    if test_kill_process(pid).is_err() {
        return false;
    }
    let pid = pid.as_raw_nonzero().to_string();
    if Path::new("/proc/self/cwd").exists() {
        return fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data);
    }
    let said = Command::new("ps").args(["-o", "command=", "-p", &pid]).stdin(Stdio::null()).output();
    said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(&*data.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_initdb_is_no_postmaster() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        for pid in ["-4711", "0", "", "4711x", "99999999999"] {
            fs::write(dir.path().join("postmaster.pid"), format!("{pid}\n{}\n1\n20000\n", dir.path().display()))?;
            assert_eq!(Postmaster::find(dir.path()), None, "{pid}");
        }
        Ok(())
    }
}
