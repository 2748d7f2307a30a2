//! Every kind of step there and back.

use super::{Counts, Steps};

#[test]
fn counts_come_back_after_any_step_however_they_changed() {
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
    }
    assert_eq!(steps.at(2), None);
    for (n, (position, counts)) in expected.iter().enumerate() {
        assert_eq!(steps.at(*position), Some((*position, *counts)), "step {n}");
        let next = expected.get(n + 1).map_or(u64::MAX, |(next, _)| *next);
        assert_eq!(steps.at(next - 1), Some((*position, *counts)), "behind step {n}");
        assert!(steps.since(*position).eq(expected[n..].iter().copied()), "from step {n} on");
        assert!(steps.since(*position + 1).eq(expected[n + 1..].iter().copied()), "behind step {n}");
        let begun = steps.chunk_before(*position).unwrap();
        assert!(begun <= *position && expected.iter().any(|(at, _)| *at == begun), "step {n}");
    }
    assert!(steps.since(0).eq(expected.iter().copied()));
    assert_eq!(steps.chunk_before(2), None);
}
