//! A hub in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a start, or a refusal to start, may take.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// What the process may do.
#[derive(Clone, Copy)]
pub enum Bounds {
    /// What this one may.
    None,
    /// No file grows beyond so many bytes: as on a full disk, a write fails.
    FileBytes(u64),
    /// Modes of files hold for root as well.
    NoPrivileges,
}

/// What a hub is started as.
#[derive(Clone, Copy)]
enum Setting {
    /// For development: real clients register and pay.
    Development,
    /// Nothing costs anything, and no budget is ever used up: for requests without a client.
    Free,
}

/// A hub that serves.
pub struct Hub {
    child: Child,
    pub address: SocketAddr,
    errors: mpsc::Receiver<String>,
    /// From the start of the process until it told its address.
    pub started_in: Duration,
}

/// A hub that did not start.
#[derive(Debug)]
pub struct Refusal {
    pub status: ExitStatus,
    pub errors: String,
}

impl Refusal {
    fn cannot_be(&self) -> ! {
        panic!("the hub does not start: {}", self.errors)
    }
}

fn command(bounds: Bounds) -> Command {
    let program = env!("CARGO_BIN_EXE_sordino");
    let mut command = match bounds {
        Bounds::None => Command::new(program),
        Bounds::FileBytes(bytes) => {
            // The shell counts in blocks of 512 bytes; without the trap, the signal would kill.
            let script = format!(r#"trap "" XFSZ; ulimit -f {}; exec "$0" "$@""#, bytes / 512);
            let mut command = Command::new("sh");
            command.args(["-c", &script, program]);
            command
        }
        Bounds::NoPrivileges if is_root() => {
            let mut command = Command::new("setpriv");
            command.args(["--bounding-set=-all", "--inh-caps=-all", program]);
            command
        }
        Bounds::NoPrivileges => Command::new(program),
    };
    command.env_remove("SORDINO_OPERATOR_KEY_FILE");
    command.env_remove("CREDENTIALS_DIRECTORY");
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

/// A free port of loopback.
pub fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn spawn(
    setting: Setting,
    folder: &Path,
    listen: SocketAddr,
    bounds: Bounds,
    more: &[&str],
) -> Child {
    let mut command = command(bounds);
    match setting {
        Setting::Development => command
            .args(["serve", "--dev", "--listen", &listen.to_string()])
            .arg("--data-dir")
            .arg(folder),
        Setting::Free => command
            .args(["serve", "--config"])
            .arg(write_free_config(folder, listen)),
    };
    command.args(more);
    run(command)
}

/// Beside the data folder.
fn write_free_config(folder: &Path, listen: SocketAddr) -> PathBuf {
    let path = folder.with_extension("toml");
    let (much, bytes) = ("burst = 1000000000, per_minute = 1000000000", 1u64 << 50);
    let text = format!(
        "domain = \"hub.example\"\nlisten = \"{listen}\"\ndata_dir = \"{}\"\n\
         [tokens]\nprice_list = \"free\"\n\
         [limits.budgets]\nhandshakes = {{ {much} }}\njoins = {{ {much} }}\ninbox = {{ {much} }}\n\
         messages = {{ {much}, burst_bytes = {bytes}, bytes_per_minute = {bytes} }}\n\
         pseudonym = {{ {much}, burst_bytes = {bytes}, bytes_per_minute = {bytes} }}\n",
        folder.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn run(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Hub {
    /// Starts a hub for development that must come up.
    pub fn start(folder: &Path, listen: SocketAddr) -> Self {
        Self::try_start(folder, listen).unwrap_or_else(|refusal| refusal.cannot_be())
    }

    /// Starts a hub for development, or learns why it does not start.
    pub fn try_start(folder: &Path, listen: SocketAddr) -> Result<Self, Refusal> {
        let setting = Setting::Development;
        Self::wait(spawn(setting, folder, listen, Bounds::None, &[]))
    }

    /// Starts a hub that must come up, at which everything is free.
    pub fn free(folder: &Path, listen: SocketAddr) -> Self {
        Self::try_free(folder, listen, Bounds::None, &[])
            .unwrap_or_else(|refusal| refusal.cannot_be())
    }

    /// Starts a hub at which everything is free, or learns why it does not start.
    pub fn try_free(
        folder: &Path,
        listen: SocketAddr,
        bounds: Bounds,
        more: &[&str],
    ) -> Result<Self, Refusal> {
        Self::wait(spawn(Setting::Free, folder, listen, bounds, more))
    }

    /// Starts a hub with a configuration.
    pub fn configured(config: &Path) -> Result<Self, Refusal> {
        let mut command = command(Bounds::None);
        command.args(["serve", "--config"]).arg(config);
        Self::wait(run(command))
    }

    /// Until it tells its address, or ends.
    fn wait(mut child: Child) -> Result<Self, Refusal> {
        let begin = Instant::now();
        let errors = all_of(child.stderr.take().unwrap());
        let lines = lines_of(child.stdout.take().unwrap());
        loop {
            let left = START_TIMEOUT.saturating_sub(begin.elapsed());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    let Some(address) = line.trim().strip_prefix("listening ") else {
                        continue;
                    };
                    return Ok(Self {
                        child,
                        address: address.parse().unwrap(),
                        errors,
                        started_in: begin.elapsed(),
                    });
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    child.kill().unwrap();
                    panic!("the hub neither starts nor ends");
                }
            }
        }
        let status = child.wait().unwrap();
        let errors = errors.recv().unwrap();
        Err(Refusal { status, errors })
    }

    /// Starts a hub for development and kills it before it may have come up.
    pub fn start_and_kill(folder: &Path, listen: SocketAddr, after: Duration) {
        let mut child = spawn(Setting::Development, folder, listen, Bounds::None, &[]);
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.errors.recv().unwrap()
    }

    /// SIGTERM. Returns the exit status and what was logged.
    pub fn stop(mut self) -> (ExitStatus, String) {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(killed.success());
        let status = self.child.wait().unwrap();
        (status, self.errors.recv().unwrap())
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory now and at most so far, in kB.
    pub fn memory_kb(&self) -> (u64, u64) {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.unwrap().parse().unwrap()
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// A GET: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split("\r\n\r\n").nth(1).unwrap().to_owned();
        (status, body)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads on for ever, so that the process never blocks on its output.
fn lines_of(stdout: std::process::ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Everything until the end.
fn all_of(mut stderr: std::process::ChildStderr) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut all = String::new();
        let _ = stderr.read_to_string(&mut all);
        let _ = sender.send(all);
    });
    receiver
}

/// What a refused start must look like: an exit status of its own, one line, and what to do.
#[track_caller]
pub fn assert_refused(outcome: Result<Hub, Refusal>, words: &[&str]) {
    let Err(refusal) = outcome else {
        panic!("the hub starts");
    };
    let errors = &refusal.errors;
    assert_eq!(refusal.status.code(), Some(1), "{errors}");
    let said = errors
        .lines()
        .filter(|line| line.starts_with("sordino: "))
        .count();
    assert_eq!(said, 1, "{errors}");
    // The engine of the store panics on some pages; that is met, and reported as damage.
    let own = errors.lines().filter(|line| line.contains("panicked"));
    assert_eq!(
        own.filter(|line| !line.contains("/redb-")).count(),
        0,
        "{errors}"
    );
    for word in words {
        assert!(errors.contains(word), "{word} is not in: {errors}");
    }
}

/// All files of a folder with their contents and modes.
pub fn contents(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                all.push((path, mode, bytes));
            }
        }
    }
    all.sort();
    all
}

/// A copy with modes.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let mode = from.metadata().unwrap().permissions();
    std::fs::set_permissions(to, mode).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}
