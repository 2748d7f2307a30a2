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
    /// The writer sleeps until so many jobs are there; 0 while it does not sleep.
    wanted: usize,
    has_senders: bool,
    has_writer: bool,
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
    let staged = Staged { jobs: Vec::new(), jobs_max, wanted: 0, has_senders: true, has_writer: true };
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

    pub(super) fn put(&self, job: T) -> Result<(), Refused> {
        let shared = &self.0.0;
        let mut staged = shared.staged.lock();
        if !staged.has_writer {
            return Err(Refused::Gone);
        }
        if staged.jobs.len() >= staged.jobs_max {
            return Err(Refused::Full);
        }
        staged.jobs.push(job);
        if staged.wanted > 0 && staged.jobs.len() >= staged.wanted {
            staged.wanted = 0;
            drop(staged);
            shared.wake.notify_one();
        }
        Ok(())
    }
}

impl<T> Waiting<T> {
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
        std::mem::swap(&mut self.shared.staged.lock().jobs, &mut self.spare);
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
        assert_eq!((jobs.put(1), jobs.put(2), jobs.put(3)), (Ok(()), Ok(()), Err(Refused::Full)));
        assert_eq!((waiting.next(), jobs.put(4)), (Some(1), Ok(())));
        assert_eq!([waiting.next(), waiting.next(), waiting.next()], [Some(2), Some(4), None]);
    }

    #[test]
    fn nobody_is_waited_for_once_all_have_gone() {
        let (jobs, mut waiting) = queue(2);
        assert!(waiting.wait(0, soon()), "somebody may still come");
        let other = jobs.clone();
        jobs.put(1).unwrap();
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
            jobs.put(Arc::clone(job)).unwrap();
        }
        assert!(waiting.next().is_some());
        drop(waiting);
        assert_eq!((Arc::strong_count(&sent), Arc::strong_count(&kept)), (1, 1));
        assert_eq!(jobs.put(sent), Err(Refused::Gone));
    }

    #[test]
    fn a_sleeping_writer_is_woken_by_the_first_job_and_waits_for_others_for_a_moment_only() {
        let (jobs, mut waiting) = queue(64);
        let (heard, hearing) = crossbeam_channel::bounded(64);
        let putting = std::thread::spawn(move || {
            // each is put when the one before was heard of, and the writer sleeps again most often
            (0..16).all(|job| {
                std::thread::sleep(Duration::from_millis(1));
                jobs.put(job).unwrap();
                hearing.recv_timeout(Duration::from_secs(20)) == Ok(job)
            })
        });
        let end = monotonic() + Duration::from_secs(60);
        while waiting.wait(4, end) {
            std::iter::from_fn(|| waiting.next()).for_each(|job| heard.send(job).unwrap());
        }
        assert!(putting.join().unwrap(), "each was heard of before the next came");
    }
}
