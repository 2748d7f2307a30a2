//! Every kind of step there and back.

use super::steps::{Chunk, Counts};

#[test]
fn counts_come_back_after_any_step_however_they_changed() {
    let mut counts: Counts = [7, 0, 3, 0, u64::MAX / 2, 2, 2, 1];
    let mut chunk = Chunk::new(5, counts);
    let mut expected = vec![];
    // every pair of counts up and down, one count alone, three at once, and large steps
    let changes = (0..8_usize).flat_map(|a| (0..8_usize).map(move |b| (a, b)));
    for (n, (a, b)) in changes.enumerate() {
        let before = counts;
        counts[a] = if n % 3 == 0 && counts[a] > 0 { counts[a] - 1 } else { counts[a] + 1 };
        if b != a {
            counts[b] = if n % 2 == 0 && counts[b] > 0 { counts[b] - 1 } else { counts[b] + 1 };
        }
        if n % 7 == 0 {
            counts[(a + b) % 8] += 300 * n as u64;
        }
        let position = 5 + (n * n) as u64;
        chunk.push(position, &before, &counts);
        expected.push((position, counts));
    }
    chunk.close();
    for (n, (position, counts)) in expected.iter().enumerate() {
        assert_eq!(chunk.at(*position), *counts, "step {n}");
        let next = expected.get(n + 1).map_or(u64::MAX, |(next, _)| *next);
        assert_eq!(chunk.at(next - 1), *counts, "behind step {n}");
    }
}
