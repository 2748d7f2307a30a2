//! Every kind of step there and back.

use super::{Archive, Counts, Steps};
use std::cell::RefCell;

/// As many as were put, each known by its place.
#[derive(Default)]
struct Kept(RefCell<Vec<Vec<u8>>>);

impl Kept {
    fn put(&self, bytes: &[u8]) -> std::io::Result<u64> {
        self.0.borrow_mut().push(bytes.to_vec());
        Ok(self.0.borrow().len() as u64 - 1)
    }
}

impl Archive for Kept {
    fn read(&self, at: u64) -> Vec<u8> {
        self.0.borrow().get(usize::try_from(at).unwrap()).cloned().unwrap_or_default()
    }

    fn is_useless(&self) {
        panic!("what was put comes back");
    }
}

#[test]
fn counts_come_back_after_any_step_however_they_changed() {
    come_back(&[]);
}

#[test]
fn they_do_from_an_archive_as_well_however_often_some_were_put_there() {
    come_back(&[40]);
    come_back(&[1, 20, 21, 63]);
}

/// Archives what is over behind some of the steps.
fn come_back(archived_behind: &[usize]) {
    let archive = Kept::default();
    let mut counts: Counts = [7, 0, 3, 0, u64::MAX / 2, 2, 2, 1];
    let mut steps = Steps::default();
    steps.push(3, counts);
    let mut expected = vec![(3, counts)];
    // every pair of counts up and down, one count alone, three at once, and large steps
    let changes = (0..8_usize).flat_map(|a| (0..8_usize).map(move |b| (a, b)));
    for (n, (a, b)) in changes.enumerate() {
        counts[a] = if n % 3 == 0 && counts[a] > 0 { counts[a] - 1 } else { counts[a] + 1 };
        if b != a {
            counts[b] = if n % 2 == 0 && counts[b] > 0 { counts[b] - 1 } else { counts[b] + 1 };
        }
        if n % 7 == 0 {
            counts[(a + b) % 8] += 300 * n as u64;
        }
        let position = 5 + (n * n) as u64;
        steps.push(position, counts);
        expected.push((position, counts));
        if archived_behind.contains(&n) {
            let before = steps.chunks.len();
            let archived = steps.archive(&mut |bytes| archive.put(bytes)).unwrap();
            assert_eq!(archived.len(), before - 1, "all but the one that is open");
            steps.let_go(&archived);
        }
    }
    assert_eq!(steps.archived.is_empty(), archived_behind.is_empty());
    assert_eq!(steps.at(2, &archive), None);
    for (n, (position, counts)) in expected.iter().enumerate() {
        assert_eq!(steps.at(*position, &archive), Some((*position, *counts)), "step {n}");
        let next = expected.get(n + 1).map_or(u64::MAX, |(next, _)| *next);
        assert_eq!(steps.at(next - 1, &archive), Some((*position, *counts)), "behind step {n}");
        assert!(steps.since(*position, &archive).eq(expected[n..].iter().copied()), "from step {n} on");
        assert!(steps.since(*position + 1, &archive).eq(expected[n + 1..].iter().copied()), "behind step {n}");
        let begun = steps.chunk_before(*position).unwrap();
        assert!(begun <= *position && expected.iter().any(|(at, _)| *at == begun), "step {n}");
    }
    assert!(steps.since(0, &archive).eq(expected.iter().copied()));
    assert_eq!(steps.chunk_before(2), None);
}
