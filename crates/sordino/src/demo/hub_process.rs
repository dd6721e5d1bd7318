//! Owns the hub of a demo: a child process of this same binary on a data folder of its own.
//!
//! Invariant: it listens on loopback, is killed without warning when told, and comes back at the
//! same address.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a start is looked at.
const START_POLL: Duration = Duration::from_millis(20);

/// A running hub.
pub(crate) struct HubProcess {
    child: Child,
    data_dir: PathBuf,
    address: SocketAddr,
}

/// The hub did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubProcessError {
    /// The process could not be run.
    #[error("the hub could not be run: {0}")]
    Run(#[from] std::io::Error),
    /// It ended, or said nothing in time.
    #[error("the hub did not come up; what it printed is above")]
    NotUp,
}

impl HubProcess {
    /// Starts a hub on a fresh port.
    pub(crate) fn start(data_dir: &Path) -> Result<Self, HubProcessError> {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let (child, address) = spawn(data_dir, listen)?;
        Ok(Self {
            child,
            data_dir: data_dir.to_path_buf(),
            address,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub(crate) fn kill(&mut self) -> Result<(), HubProcessError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again at the same address.
    pub(crate) fn restart(&mut self) -> Result<(), HubProcessError> {
        let (child, _) = spawn(&self.data_dir, self.address)?;
        self.child = child;
        Ok(())
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(data_dir: &Path, listen: SocketAddr) -> Result<(Child, SocketAddr), HubProcessError> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve", "--dev", "--data-dir"])
        .arg(data_dir)
        .args(["--listen", &listen.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    let stdout = child.stdout.take().ok_or(HubProcessError::NotUp)?;
    let address = match read_address(stdout) {
        Some(address) => address,
        None => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(HubProcessError::NotUp);
        }
    };
    Ok((child, address))
}

/// The hub prints its address once it is ready; a thread goes on reading so that it never blocks.
fn read_address(stdout: impl std::io::Read + Send + 'static) -> Option<SocketAddr> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let url = line.split("http://").nth(1);
            let address = url.and_then(|u| u.split_whitespace().next()?.parse().ok());
            if let Some(address) = address {
                // Nobody waits for a second one.
                let _ = sender.send(address);
            }
        }
    });
    let deadline = std::time::Instant::now() + START_TIMEOUT;
    while std::time::Instant::now() < deadline {
        match receiver.recv_timeout(START_POLL) {
            Ok(address) => return Some(address),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}
