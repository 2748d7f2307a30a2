//! A service of our own: this very program, started as `serve` on a data folder and stopped again. Not here: the service.

use super::client::{Client, read_token};
use super::exit::{self, Failure};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Recovery of a large folder takes its time; silence for longer than this is none of it.
const START_MAX: Duration = Duration::from_secs(600);
const STOP_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) listen: String,
    pub(crate) has_manual_clock: bool,
    /// Where the service's log goes; to ours without one.
    pub(crate) log: Option<std::path::PathBuf>,
    /// Where besides the stores' own addresses it may ask.
    pub(crate) store_urls: Vec<String>,
    /// Where it is not to be the usual time, how often it has stores read by itself; 0 is never.
    pub(crate) store_sync_seconds: Option<u64>,
    /// Its time goes by in moments: two syncs agree whatever lies between them.
    pub(crate) agrees_at_once: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".into(),
            has_manual_clock: false,
            log: None,
            store_urls: vec![],
            store_sync_seconds: None,
            agrees_at_once: false,
        }
    }
}

/// A running service. Dropped without [`Spawned::stop`], it is killed; when this process ends otherwise, it stops by itself.
#[derive(Debug)]
pub(crate) struct Spawned {
    child: Child,
    client: Client,
    token: String,
    /// Kept open, so that the service may print more.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Spawned {
    /// Starts a service and waits until it says where it listens.
    pub(crate) async fn start(data: &Path, options: &Options) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::File(format!("this program can't find itself: {error}")))?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--data").arg(data).arg("--listen").arg(&options.listen);
        command.arg("--end-with").arg(std::process::id().to_string());
        if options.has_manual_clock {
            command.args(["--clock", "manual"]);
        }
        for url in &options.store_urls {
            command.arg("--store-url").arg(url);
        }
        if let Some(seconds) = options.store_sync_seconds {
            command.arg("--store-sync-seconds").arg(seconds.to_string());
        }
        if options.agrees_at_once {
            command.args(["--store-agree-seconds", "0", "--store-pause-seconds", "0"]);
        }
        // its token and its accounts' credentials are to be those in its folder
        for other in ["SEATLEDGER_ROOT_TOKEN", "SEATLEDGER_STORE_CREDENTIALS"] {
            command.env_remove(other);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command.stderr(match &options.log {
            Some(path) => {
                std::fs::File::create(path).map_err(|error| exit::file(path, "can't be written", error))?.into()
            }
            None => Stdio::inherit(),
        });
        let mut child =
            command.spawn().map_err(|error| Failure::File(format!("the service can't be started: {error}")))?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::File("the service has no output".into()))?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(url) = line.strip_prefix("listening on ") {
                    return Some(url.trim().to_owned());
                }
            }
            None
        };
        let url = tokio::time::timeout(START_MAX, ready).await.ok().flatten();
        let Some(url) = url else {
            let hint = options.log.as_ref().map_or(String::new(), |path| format!("; see {}", path.display()));
            return Err(Failure::Unreachable(format!("the service on {} did not come up{hint}", data.display())));
        };
        let token = read_token(&data.join("root.token"))?;
        Ok(Self { child, client: Client::new(&url, &token)?, token, _lines: lines })
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The process, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it as a crash would.
    pub(crate) async fn kill(mut self) -> Result<(), Failure> {
        self.child.kill().await.map_err(|error| Failure::Unreachable(format!("the service can't be killed: {error}")))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn url(&self) -> &str {
        self.client.url()
    }

    /// Ends when the service does, wanted or not.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("the service ended: {status}"),
            Err(error) => format!("the service is lost: {error}"),
        }
    }

    /// Asks the service to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        if let Some(pid) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // an error means that it is gone already
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        match tokio::time::timeout(STOP_MAX, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Failure::Unreachable(format!("the service ended badly: {status}"))),
            Ok(Err(error)) => Err(Failure::Unreachable(format!("the service is lost: {error}"))),
            Err(_) => Err(Failure::Unreachable("the service does not stop".into())),
        }
    }
}
