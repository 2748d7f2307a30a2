//! Jobs on their way to the writer: put down under a short lock, and taken all at once, so that a group costs the writer
//! one look and its callers one wake-up. Bounded; putting down never waits. Not here: what a job is, or judging it.

use crate::clock::monotonic;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the writer waits, at most, for those whom it has just answered to ask again: a group of many costs one sync.
const LINGER: Duration = Duration::from_micros(200);

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    /// The writer is gone.
    Gone,
}

struct Shared<T> {
    staged: Mutex<Staged<T>>,
    wake: Condvar,
}

struct Staged<T> {
    jobs: Vec<T>,
    jobs_max: usize,
    /// Of the jobs that are here, in commands.
    weight: usize,
    /// The writer sleeps until so many jobs are there; 0 while it does not sleep for jobs.
    wanted: usize,
    /// The same in commands.
    wanted_weight: usize,
    has_senders: bool,
    has_writer: bool,
    /// Something happened that the writer waits for, besides jobs.
    is_news: bool,
}

/// Where jobs are put down. Clones are one.
pub(super) struct Jobs<T>(Arc<Sending<T>>);

impl<T> Clone for Jobs<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Sending<T>(Arc<Shared<T>>);

impl<T> Drop for Sending<T> {
    fn drop(&mut self) {
        self.0.staged.lock().has_senders = false;
        self.0.wake.notify_one();
    }
}

/// The writer's end.
pub(super) struct Waiting<T> {
    shared: Arc<Shared<T>>,
    taken: VecDeque<T>,
    spare: Vec<T>,
}

pub(super) fn queue<T>(jobs_max: usize) -> (Jobs<T>, Waiting<T>) {
    let staged = Staged {
        jobs: Vec::new(),
        jobs_max,
        weight: 0,
        wanted: 0,
        wanted_weight: 0,
        has_senders: true,
        has_writer: true,
        is_news: false,
    };
    let shared = Arc::new(Shared { staged: Mutex::new(staged), wake: Condvar::new() });
    let waiting = Waiting { shared: Arc::clone(&shared), taken: VecDeque::new(), spare: Vec::new() };
    (Jobs(Arc::new(Sending(shared))), waiting)
}

impl<T> Jobs<T> {
    /// Nothing waits, and the writer sleeps until something does.
    pub(super) fn is_idle(&self) -> bool {
        let staged = self.0.0.staged.lock();
        staged.wanted == 1 && staged.jobs.is_empty()
    }

    /// `weight` is of how many commands the job is.
    pub(super) fn put(&self, job: T, weight: usize) -> Result<(), Refused> {
        let shared = &self.0.0;
        let mut staged = shared.staged.lock();
        if !staged.has_writer {
            return Err(Refused::Gone);
        }
        if staged.jobs.len() >= staged.jobs_max {
            return Err(Refused::Full);
        }
        staged.jobs.push(job);
        staged.weight += weight;
        let is_enough = staged.wanted > 0 && staged.jobs.len() >= staged.wanted;
        if is_enough || staged.wanted_weight > 0 && staged.weight >= staged.wanted_weight {
            (staged.wanted, staged.wanted_weight) = (0, 0);
            drop(staged);
            shared.wake.notify_one();
        }
        Ok(())
    }
}

/// Wakes the writer where it waits for more than jobs.
pub(super) struct News(Box<dyn Fn() + Send>);

impl News {
    pub(super) fn tell(&self) {
        (self.0)();
    }
}

impl<T: Send + 'static> Waiting<T> {
    pub(super) fn news(&self) -> News {
        let shared = Arc::clone(&self.shared);
        News(Box::new(move || {
            shared.staged.lock().is_news = true;
            shared.wake.notify_one();
        }))
    }
}

impl<T> Waiting<T> {
    /// Waits for news, or until jobs of so many commands are there; until `end` at most.
    pub(super) fn wait_for_news(&mut self, wanted_weight: usize, end: Instant) {
        let mut staged = self.shared.staged.lock();
        while !staged.is_news && staged.weight < wanted_weight {
            staged.wanted_weight = wanted_weight;
            if self.shared.wake.wait_until(&mut staged, end).timed_out() {
                break;
            }
        }
        staged.wanted_weight = 0;
        staged.is_news = false;
    }

    /// Jobs were taken over that nobody has looked at.
    pub(super) fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    /// The next job that is there; never waits.
    pub(super) fn next(&mut self) -> Option<T> {
        if self.taken.is_empty() {
            self.take_staged();
        }
        self.taken.pop_front()
    }

    /// Those that come next, as far as they were taken over; never waits.
    pub(super) fn ahead(&mut self) -> impl Iterator<Item = &T> {
        if self.taken.is_empty() {
            self.take_staged();
        }
        self.taken.iter()
    }

    /// Waits until there is a job, and a little for others if `expected` more are likely to come at once; until `end` at
    /// most. `false` when none will ever come.
    pub(super) fn wait(&mut self, expected: usize, end: Instant) -> bool {
        if !self.taken.is_empty() {
            return true;
        }
        let mut staged = self.shared.staged.lock();
        while staged.jobs.is_empty() && staged.has_senders {
            staged.wanted = 1;
            if self.shared.wake.wait_until(&mut staged, end).timed_out() {
                break;
            }
        }
        let linger = monotonic() + LINGER;
        while !staged.jobs.is_empty() && staged.jobs.len() < expected && staged.has_senders {
            staged.wanted = expected;
            if self.shared.wake.wait_until(&mut staged, linger.min(end)).timed_out() {
                break;
            }
        }
        staged.wanted = 0;
        staged.has_senders || !staged.jobs.is_empty()
    }

    fn take_staged(&mut self) {
        {
            let mut staged = self.shared.staged.lock();
            std::mem::swap(&mut staged.jobs, &mut self.spare);
            staged.weight = 0;
        }
        self.taken.extend(self.spare.drain(..));
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        let left = {
            let mut staged = self.shared.staged.lock();
            staged.has_writer = false;
            std::mem::take(&mut staged.jobs)
        };
        // who waits for one of these hears that it goes
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        monotonic() + Duration::from_millis(1)
    }

    #[test]
    fn jobs_come_in_order_and_only_so_many_wait() {
        let (jobs, mut waiting) = queue(2);
        assert_eq!((jobs.put(1, 1), jobs.put(2, 1), jobs.put(3, 1)), (Ok(()), Ok(()), Err(Refused::Full)));
        assert_eq!((waiting.next(), jobs.put(4, 1)), (Some(1), Ok(())));
        assert_eq!([waiting.next(), waiting.next(), waiting.next()], [Some(2), Some(4), None]);
    }

    #[test]
    fn nobody_is_waited_for_once_all_have_gone() {
        let (jobs, mut waiting) = queue(2);
        assert!(waiting.wait(0, soon()), "somebody may still come");
        let other = jobs.clone();
        jobs.put(1, 1).unwrap();
        drop(jobs);
        assert!(waiting.wait(9, soon()), "one is there");
        drop(other);
        assert!(waiting.wait(0, monotonic() + Duration::from_secs(60)), "it is still there");
        assert_eq!(waiting.next(), Some(1));
        assert!(!waiting.wait(0, monotonic() + Duration::from_secs(60)));
    }

    #[test]
    fn what_was_not_taken_goes_with_the_writer() {
        let (jobs, mut waiting) = queue(8);
        let (sent, kept) = (Arc::new(()), Arc::new(()));
        for job in [&sent, &kept] {
            jobs.put(Arc::clone(job), 1).unwrap();
        }
        assert!(waiting.next().is_some());
        drop(waiting);
        assert_eq!((Arc::strong_count(&sent), Arc::strong_count(&kept)), (1, 1));
        assert_eq!(jobs.put(sent, 1), Err(Refused::Gone));
    }

    #[test]
    fn a_sleeping_writer_is_woken_by_the_first_job_and_waits_for_others_for_a_moment_only() {
        let (jobs, mut waiting) = queue(64);
        let (heard, hearing) = crossbeam_channel::bounded(64);
        let putting = std::thread::spawn(move || {
            // each is put when the one before was heard of, and the writer sleeps again most often
            (0..16).all(|job| {
                std::thread::sleep(Duration::from_millis(1));
                jobs.put(job, 1).unwrap();
                hearing.recv_timeout(Duration::from_secs(20)) == Ok(job)
            })
        });
        let end = monotonic() + Duration::from_secs(60);
        while waiting.wait(4, end) {
            std::iter::from_fn(|| waiting.next()).for_each(|job| heard.send(job).unwrap());
        }
        assert!(putting.join().unwrap(), "each was heard of before the next came");
    }

    #[test]
    fn a_writer_that_waits_for_news_is_woken_by_them_and_by_enough_commands() {
        let (jobs, mut waiting) = queue(64);
        let (news, far) = (waiting.news(), monotonic() + Duration::from_secs(60));
        news.tell();
        waiting.wait_for_news(2, far);
        jobs.put(1, 1).unwrap();
        waiting.wait_for_news(2, soon());
        jobs.put(2, 1000).unwrap();
        waiting.wait_for_news(2, far);
        assert_eq!((waiting.next(), waiting.next()), (Some(1), Some(2)));
        let telling = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1));
            jobs.put(3, 1).unwrap();
            news.tell();
            jobs
        });
        waiting.wait_for_news(usize::MAX, far);
        let jobs = telling.join().unwrap();
        assert_eq!(waiting.next(), Some(3), "what it took weighs no more");
        waiting.wait_for_news(1, soon());
        assert!(monotonic() < far, "it was woken each time");
        assert!(!jobs.is_idle(), "it does not sleep");
    }
}
