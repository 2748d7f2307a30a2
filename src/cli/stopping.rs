//! Commands that are told to stop: what they have started ends with them, and what they have begun to write goes. Not here: the
//! service, which has work to end first (`serve`).

use super::exit::Failure;
use super::serve::stop_signals;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};

fn deaf(error: &std::io::Error) -> Failure {
    Failure::File(format!("signals can't be listened for: {error}"))
}

/// Signals to stop, listened for as long as this lives: one that comes between two works ends the second.
pub(super) struct Stop(Pin<Box<dyn Future<Output = &'static str> + Send>>);

impl Stop {
    pub(super) fn listen() -> Result<Self, Failure> {
        Ok(Self(Box::pin(stop_signals().map_err(|error| deaf(&error))?)))
    }

    /// The work, unless a signal comes first: then it is dropped where it is, and what it holds with it.
    pub(super) async fn or<T>(&mut self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            signal = &mut self.0 => Err(Failure::Stopped(signal)),
            done = work => done,
        }
    }
}

/// For work that waits for nothing: from now on a signal to stop removes this file and ends the process.
pub(super) fn remove_when_stopped(file: &Path) -> Result<(), Failure> {
    let file = file.to_path_buf();
    let (told, is_listening) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let listening = listen(file, || {
            // nobody waits any more: the process is at its end
            let _gone = told.send(Ok(()));
        });
        let _gone = told.send(listening);
    });
    is_listening.recv().unwrap_or(Ok(()))
}

fn listen(file: PathBuf, begun: impl FnOnce()) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let signal = runtime.map_err(|error| deaf(&error))?.block_on(async {
        let stop = pin!(stop_signals().map_err(|error| deaf(&error))?);
        begun();
        Ok::<_, Failure>(stop.await)
    })?;
    // it may have got its name by now, and then is whole
    let _renamed = std::fs::remove_file(&file);
    let stopped = Failure::Stopped(signal);
    super::output::complain(&stopped.to_string());
    std::process::exit(stopped.code().into())
}

/// Has this process told to stop when the one that started it ends, however that ends.
pub(super) fn end_with(parent: i32) -> Result<(), Failure> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
        set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(|error| Failure::File(format!("the end of process {parent} can't be waited for: {error}")))?;
        // it may have ended before
        if getppid() != Pid::from_raw(parent) {
            return Err(Failure::Stopped("SIGTERM"));
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = parent;
    Ok(())
}
