//! Lanes: threads that serve connections, one for each core, each with a runtime of its own. A connection stays on its lane, so
//! that what it holds is in that core's caches and no thread wakes another one to share its work; and a lane stays on its core.
//! What wakes connections from
//! elsewhere, as the writer does with a group of answers, is gathered: the lane itself is woken once. Not here: connections.

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
}

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
        lane.shared.tasks.fetch_add(1, Ordering::Relaxed);
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
            stay_on_core(number, lanes);
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

/// Keeps this thread on the core of its number, where each core has a lane. The system likes to run who is woken where its waker
/// runs: all lanes came to stand on one core with their clients, and the other one idled for longer than it worked. Where fewer
/// cores may be used than there are, the system goes on to choose them: who else is limited would choose the same ones.
fn stay_on_core(number: usize, lanes: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    if allowed.count() as usize != lanes {
        return;
    }
    let Some(core) = cores.nth(number) else { return };
    let mut own = CpuSet::new();
    own.set(core);
    if let Err(error) = sched_setaffinity(None, &own) {
        tracing::debug!(%error, core, "a lane is not kept on its core");
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
        self.shared.tasks.fetch_sub(1, Ordering::Relaxed);
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
    async fn each_lane_has_its_core_where_there_is_one_for_each() {
        let all = sched_getaffinity(None).unwrap().count() as usize;
        for (lanes, each) in [(all, 1), (all + 1, all)] {
            let started = Lanes((0..lanes).map(|number| Lane::start(number, lanes).unwrap()).collect());
            let mut seen = std::collections::HashSet::new();
            for _ in 0..lanes {
                let (tell, told) = oneshot::channel();
                started.spawn(async move {
                    tell.send(sched_getaffinity(None).unwrap()).unwrap();
                    // the next one comes to another lane
                    std::future::pending().await
                });
                let cores = told.await.unwrap();
                assert_eq!(cores.count() as usize, each);
                seen.insert(cores);
            }
            assert_eq!(seen.len(), if each == all { 1 } else { lanes });
        }
    }

    #[tokio::test]
    async fn without_a_lane_a_task_runs_where_it_came_in() {
        let (tell, told) = oneshot::channel();
        Lanes(vec![]).spawn(async { tell.send(thread()).unwrap() });
        assert_eq!(told.await.unwrap(), thread());
    }
}
