//! Lanes: threads that serve connections, one for each core, each with a runtime of its own. A connection stays on its lane, so
//! that what it holds is in that core's caches and no thread wakes another one to share its work; and a lane with many stays on its core.
//! What wakes connections from
//! elsewhere, as the writer does with a group of answers, is gathered: the lane itself is woken once. Not here: connections.

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use rustix::process::Pid;
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity};
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};

thread_local! {
    /// Whose thread this is, to be compared alone; null on all but lanes.
    static HERE: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

/// All lanes. Dropped, they drop what is still on them.
pub(super) struct Lanes(Vec<Lane>);

struct Lane {
    shared: Arc<Shared>,
    runtime: Handle,
    thread: Option<JoinHandle<()>>,
}

/// What other threads see of a lane.
#[derive(Default)]
struct Shared {
    tasks: AtomicUsize,
    /// Who was woken from elsewhere since the lane last looked.
    woken: Mutex<Vec<Waker>>,
    lane: AtomicWaker,
    is_stopping: AtomicBool,
    /// Where each lane has a core.
    place: OnceLock<Place>,
}

/// A thread and its core, on which the system keeps it while it has many tasks. It likes to run whoever is woken where the waker
/// runs: all lanes came to stand on one core with their clients, and the other one was idle for longer than it worked. But one
/// that waits for the disk most of the time is best where the disk's interrupts come in, and the system finds out where.
struct Place {
    thread: Pid,
    all: CpuSet,
    own: CpuSet,
    is_kept: Mutex<bool>,
}

/// From so many tasks on a lane stays on its core.
const TASKS_TO_STAY: usize = 8;

impl Lanes {
    /// One for each core; fewer where no more threads can be had.
    pub(super) fn start() -> Self {
        let lanes = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let started = (0..lanes).map_while(|number| {
            let lane = Lane::start(number, lanes);
            lane.inspect_err(|error| tracing::warn!(%error, "a thread for connections could not be started")).ok()
        });
        Self(started.collect())
    }

    /// Gives a task to the lane that has the fewest; without any it runs where this is called.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Some(lane) = self.0.iter().min_by_key(|lane| lane.shared.tasks.load(Ordering::Relaxed)) else {
            tokio::spawn(task);
            return;
        };
        lane.shared.come();
        let shared = Arc::clone(&lane.shared);
        lane.runtime.spawn(OnLane { task: Box::pin(task), shared, wakers: None });
    }
}

impl Lane {
    fn start(number: usize, lanes: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let looking = Looking { shared: Arc::clone(&shared), spare: Vec::new() };
        let (give, given) = std::sync::mpsc::sync_channel(1);
        // made where it goes again: a runtime that is let go on a thread of another one panics
        let thread = std::thread::Builder::new().name(format!("http-{number}")).spawn(move || {
            let built = match Builder::new_current_thread().enable_all().build() {
                Ok(built) => built,
                Err(error) => return give.send(Err(error)).unwrap_or_default(),
            };
            HERE.set(Arc::as_ptr(&looking.shared));
            if let Some(place) = Place::here(number, lanes) {
                looking.shared.place.set(place).ok();
            }
            if give.send(Ok(built.handle().clone())).is_ok() {
                built.block_on(looking);
            }
            built.shutdown_background();
        })?;
        let runtime = given.recv().map_err(io::Error::other)??;
        Ok(Self { shared, runtime, thread: Some(thread) })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        self.shared.lane.wake();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Shared {
    fn come(&self) {
        if self.tasks.fetch_add(1, Ordering::Relaxed) + 1 == TASKS_TO_STAY {
            self.settle();
        }
    }

    fn go(&self) {
        if self.tasks.fetch_sub(1, Ordering::Relaxed) == TASKS_TO_STAY {
            self.settle();
        }
    }

    /// Whoever comes last here has seen how many there are.
    fn settle(&self) {
        let Some(Place { thread, all, own, is_kept }) = self.place.get() else { return };
        let mut is_kept = is_kept.lock();
        let is_to_stay = self.tasks.load(Ordering::Relaxed) >= TASKS_TO_STAY;
        if *is_kept != is_to_stay {
            *is_kept = is_to_stay;
            if let Err(error) = sched_setaffinity(Some(*thread), if is_to_stay { own } else { all }) {
                tracing::debug!(%error, "a lane could not be kept on its core, or let go");
            }
        }
    }
}

impl Place {
    /// This thread's. Where fewer cores may be used than there are, there is none: whoever else is limited would choose the same.
    fn here(number: usize, lanes: usize) -> Option<Self> {
        let all = sched_getaffinity(None).ok()?;
        let core = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).nth(number)?;
        let mut own = CpuSet::new();
        own.set(core);
        (all.count() as usize == lanes).then(|| Self { thread: gettid(), all, own, is_kept: Mutex::new(false) })
    }
}

/// What a lane's thread does besides its tasks: wakes those who were woken from elsewhere. Ends when the lane is to stop.
struct Looking {
    shared: Arc<Shared>,
    spare: Vec<Waker>,
}

impl Future for Looking {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { shared, spare } = &mut *self;
        // before it looks, so that whoever comes behind the look wakes it
        shared.lane.register(context.waker());
        std::mem::swap(&mut *shared.woken.lock(), spare);
        spare.drain(..).for_each(Waker::wake);
        if shared.is_stopping.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A task that hands on a waker of ours in place of its own.
struct OnLane<F> {
    task: Pin<Box<F>>,
    shared: Arc<Shared>,
    /// The runtime's, and ours for it.
    wakers: Option<(Waker, Waker)>,
}

impl<F: Future> Future for OnLane<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { task, shared, wakers } = &mut *self;
        let known = wakers.take().filter(|(theirs, _)| theirs.will_wake(context.waker()));
        let (_, ours) = wakers.insert(known.unwrap_or_else(|| {
            let task = context.waker().clone();
            let ours = Waker::from(Arc::new(FromAnywhere { task: task.clone(), shared: Arc::clone(shared) }));
            (task, ours)
        }));
        task.as_mut().poll(&mut Context::from_waker(ours))
    }
}

impl<F> Drop for OnLane<F> {
    fn drop(&mut self) {
        self.shared.go();
    }
}

/// Wakes a task: at once on its lane, and with all others from elsewhere.
struct FromAnywhere {
    task: Waker,
    shared: Arc<Shared>,
}

impl Wake for FromAnywhere {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if ptr::eq(HERE.get(), Arc::as_ptr(&self.shared)) {
            return self.task.wake_by_ref();
        }
        let is_first = {
            let mut woken = self.shared.woken.lock();
            woken.push(self.task.clone());
            woken.len() == 1
        };
        if is_first {
            self.shared.lane.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::{mpsc, oneshot};

    fn thread() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_task_stays_on_its_lane_and_hears_all_that_is_said_elsewhere() {
        const ROUNDS: u64 = 2000;
        let lanes = Lanes::start();
        let mut ends = Vec::new();
        for _ in 0..16 {
            let (ask, mut asked) = mpsc::channel::<oneshot::Sender<u64>>(1);
            let (tell, told) = oneshot::channel();
            lanes.spawn(async move {
                let (mut sum, at_first) = (0, thread());
                for _ in 0..ROUNDS {
                    let (reply, answer) = oneshot::channel();
                    ask.send(reply).await.unwrap();
                    sum += answer.await.unwrap();
                    assert_eq!(thread(), at_first);
                    tokio::task::yield_now().await;
                }
                tell.send((sum, at_first)).unwrap();
            });
            tokio::spawn(async move {
                while let Some(reply) = asked.recv().await {
                    reply.send(1).unwrap();
                }
            });
            ends.push(told);
        }
        for told in ends {
            let (sum, on) = tokio::time::timeout(Duration::from_secs(60), told).await.unwrap().unwrap();
            assert_eq!(sum, ROUNDS);
            assert!(on.starts_with("http-"), "{on}");
        }
    }

    #[tokio::test]
    async fn tasks_are_shared_out_and_go_with_their_lanes() {
        let lanes = Lanes((0..2).map(|number| Lane::start(number, 2).unwrap()).collect());
        let counts = || lanes.0.iter().map(|lane| lane.shared.tasks.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let (keep, kept) = mpsc::channel::<()>(1);
        let (end, ended) = oneshot::channel::<()>();
        let (gone, left) = oneshot::channel::<()>();
        lanes.spawn(async move {
            ended.await.unwrap();
            drop(gone);
        });
        for _ in 0..3 {
            let keep = keep.clone();
            lanes.spawn(async move {
                std::future::pending::<()>().await;
                drop(keep);
            });
        }
        assert_eq!(counts(), [2, 2]);
        end.send(()).unwrap();
        assert!(left.await.is_err());
        while counts() != [1, 2] {
            tokio::task::yield_now().await;
        }
        drop(keep);
        drop(lanes);
        let mut kept = kept;
        assert_eq!(kept.recv().await, None, "all who kept it are gone");
    }

    #[tokio::test]
    async fn a_lane_with_many_stays_on_its_core_where_there_is_one_for_each() {
        let all = sched_getaffinity(None).unwrap().count() as usize;
        for (lanes, kept) in [(all, 1), (all + 1, all)] {
            let started = Lanes((0..lanes).map(|number| Lane::start(number, lanes).unwrap()).collect());
            // where each task runs, the shares of the lanes as even as they are made
            let places = async |tasks: usize| {
                let (end, _) = tokio::sync::broadcast::channel::<()>(1);
                let mut seen = Vec::new();
                for _ in 0..tasks * lanes {
                    let mut ended = end.subscribe();
                    started.spawn(async move { ended.recv().await.unwrap() });
                }
                for lane in &started.0 {
                    let place = lane.runtime.spawn(async { sched_getaffinity(None).unwrap() }).await.unwrap();
                    seen.push(place);
                }
                end.send(()).unwrap();
                while started.0.iter().any(|lane| lane.shared.tasks.load(Ordering::Relaxed) > 0) {
                    tokio::task::yield_now().await;
                }
                seen
            };
            let cores = |seen: &[CpuSet]| seen.iter().map(|place| place.count() as usize).collect::<Vec<_>>();
            for _ in 0..2 {
                assert_eq!(cores(&places(TASKS_TO_STAY - 1).await), vec![all; lanes]);
                let seen = places(TASKS_TO_STAY).await;
                assert_eq!(cores(&seen), vec![kept; lanes]);
                let different: std::collections::HashSet<_> = seen.into_iter().collect();
                assert_eq!(different.len(), if lanes == all { lanes } else { 1 });
            }
        }
    }

    #[tokio::test]
    async fn without_a_lane_a_task_runs_where_it_came_in() {
        let (tell, told) = oneshot::channel();
        Lanes(vec![]).spawn(async { tell.send(thread()).unwrap() });
        assert_eq!(told.await.unwrap(), thread());
    }
}
