//! The service's process: `seatledger serve` as anybody would start it, on a folder that goes when the test does.

use super::client::Client;
use super::organization::Tenant;
use parking_lot::{Mutex, RwLock};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

pub(crate) const ROOT_TOKEN: &str = "root-of-the-tests-0123456789abcdef";

/// What differs from the usual start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// `SEATLEDGER_<NAME>` and its value, over the usual ones.
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) has_system_clock: bool,
    /// The data folder, where it is not one of the test's own disk.
    pub(crate) data: Option<PathBuf>,
    /// So many files may be open, connections among them.
    pub(crate) files_max: Option<u32>,
}

impl Options {
    fn data_in(&self, folder: &Path) -> PathBuf {
        self.data.clone().unwrap_or_else(|| folder.join("data"))
    }
}

/// A running service. Dropped, it is killed; dropped by a failing test, it tells what it logged last.
pub(crate) struct Service {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    address: Arc<RwLock<String>>,
    options: Options,
    folder: tempfile::TempDir,
    tenants: AtomicU32,
}

impl Service {
    /// A service on a new folder, with a manual clock.
    pub(crate) fn start() -> Self {
        Self::start_with(Options::default())
    }

    pub(crate) fn start_with(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the service");
        let (child, stdout, url) = spawn(folder.path(), &options);
        let address = Arc::new(RwLock::new(url));
        Self { child, _stdout: stdout, address, options, folder, tenants: AtomicU32::new(0) }
    }

    /// The service that tests of one process share, each in tenants of its own. It ends with the last test that holds it.
    /// Who stops it, kills it or moves its clock starts one of their own.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Service>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock();
        shared.upgrade().unwrap_or_else(|| {
            let service = Arc::new(Self::start());
            *shared = Arc::downgrade(&service);
            service
        })
    }

    /// Root's calls.
    pub(crate) fn root(&self) -> Client {
        Client::new(Arc::clone(&self.address), ROOT_TOKEN)
    }

    /// A new tenant; calls of root below its path.
    pub(crate) fn tenant(&self) -> Tenant {
        let name = format!("tenant-{}", self.tenants.fetch_add(1, Ordering::Relaxed));
        self.root().put(&format!("/v1/tenants/{name}"), json!({"name": format!("The {name}")})).created();
        Tenant::new(&self.root(), &name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.options.data_in(self.folder.path())
    }

    /// Everything that was logged since the first start.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The log once this stands in it: lines that are no warnings are gathered for some milliseconds.
    pub(crate) fn log_with(&self, text: &str) -> String {
        for _ in 0..500 {
            let log = self.log();
            if log.contains(text) {
                return log;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the log does not say {text:?}: {}", self.log())
    }

    pub(crate) fn advance_days(&self, days: u32) {
        self.advance_seconds(u64::from(days) * 86_400);
    }

    pub(crate) fn advance_seconds(&self, seconds: u64) {
        let answer = self.root().post("/v1/clock", json!({"advance_seconds": seconds}));
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as an operator would.
    ///
    /// # Panics
    /// When it does not end well, or not within half a minute.
    pub(crate) fn stop(&mut self) {
        self.tell_to_stop();
        let status = self.ended();
        assert!(status.success(), "the service ended with {status}\n{}", self.last_lines());
    }

    /// The same without waiting for its end.
    pub(crate) fn tell_to_stop(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        self.ended();
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// What differs from the next start on.
    pub(crate) fn change(&mut self, options: Options) {
        self.options = options;
    }

    /// Starts it on the same folder, after [`Service::stop`] or [`Service::kill`]. Clients find it again.
    pub(crate) fn start_again(&mut self) {
        let (child, stdout, url) = spawn(self.folder.path(), &self.options);
        (self.child, self._stdout) = (child, stdout);
        *self.address.write() = url;
    }

    /// Starts it on the same folder and kills it a moment later, whether it is up by then or not. [`Service::start_again`]
    /// comes next.
    pub(crate) fn start_and_kill(&mut self, after: Duration) {
        let (child, _) = launch(self.folder.path(), &self.options);
        self.child = child;
        std::thread::sleep(after);
        self.kill();
    }

    /// From the next start on.
    pub(crate) fn set(&mut self, name: &'static str, value: String) {
        self.options.environment.push((name, value));
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("the service runs");
    }

    /// Waits until it has ended, for half a minute at most.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        for _ in 0..6000 {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the service does not end\n{}", self.last_lines());
    }

    fn last_lines(&self) -> String {
        last_lines(&self.log())
    }
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(60)).copied().collect::<Vec<_>>().join("\n")
}

fn launch(folder: &Path, options: &Options) -> (Child, BufReader<ChildStdout>) {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("the service's log");
    let program = env!("CARGO_BIN_EXE_seatledger");
    let mut command = Command::new(if options.files_max.is_some() { "/bin/sh" } else { program });
    if let Some(most) = options.files_max {
        command.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &most.to_string(), program]);
    }
    command.arg("serve").arg("--data").arg(options.data_in(folder)).args(["--listen", "127.0.0.1:0"]);
    if !options.has_system_clock {
        command.args(["--clock", "manual"]);
    }
    command.env_clear().env("SEATLEDGER_ROOT_TOKEN", ROOT_TOKEN).env("RUST_BACKTRACE", "1");
    // tests send many calls with wrong tokens from one address; the rate has a test of its own
    command.env("SEATLEDGER_STRANGER_REQUESTS_PER_SECOND", "0");
    command.envs(options.environment.iter().map(|(name, value)| (*name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().expect("the service starts");
    let stdout = BufReader::new(child.stdout.take().expect("its output"));
    (child, stdout)
}

fn spawn(folder: &Path, options: &Options) -> (Child, BufReader<ChildStdout>, String) {
    let (mut child, mut stdout) = launch(folder, options);
    let mut line = String::new();
    stdout.read_line(&mut line).expect("its output can be read");
    let Some(url) = line.strip_prefix("listening on ") else {
        let status = child.wait();
        panic!(
            "the service did not come up: {status:?}\n{}",
            last_lines(&std::fs::read_to_string(folder.join("log")).unwrap_or_default())
        );
    };
    (child, stdout, url.trim().to_owned())
}

impl Drop for Service {
    fn drop(&mut self) {
        // an error means that it is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the service's log, its last lines\n{}", self.last_lines());
        }
    }
}
