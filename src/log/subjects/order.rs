//! The order of many entries, found by counting digits instead of comparing: most keys differ in one to three of their bytes
//! once kinds are apart. Not here: who asks for it.

use super::code::{KINDS, kind};
use super::run::Entry;

/// So few are sorted by comparing, which takes no second buffer.
const COMPARED_MAX: usize = if cfg!(test) { 4 } else { 512 };

/// By key; what has the same key stays in its order.
pub(super) fn by_key(entries: &mut [Entry]) {
    entries.sort_by_key(|((tenant, code), _)| u128::from(*tenant) << 64 | u128::from(*code));
}

/// The same of parts that lie one behind the other; they are asked for twice, and may have got an order of their own meanwhile.
pub(super) fn of_parts(len: usize, each_part: impl Fn(&mut dyn FnMut(&[Entry]))) -> Vec<Entry> {
    let mut entries = Vec::new();
    if len <= COMPARED_MAX {
        each_part(&mut |part| entries.extend_from_slice(part));
        by_key(&mut entries);
        return entries;
    }
    entries.resize(len, Entry::default());
    let class = |entry: &Entry| kind(entry.0.1);
    let mut places = [0; KINDS];
    each_part(&mut |part| count(part, class, &mut places));
    begin_each(&mut places);
    each_part(&mut |part| distribute(part, class, &mut places, &mut entries));
    let (mut begin, mut spare) = (0, Vec::new());
    for end in places {
        if let Some(of_kind) = entries.get_mut(begin..end) {
            by_number(of_kind, &mut spare, |((_, code), _)| *code);
        }
        begin = end;
    }
    by_number(&mut entries, &mut spare, |((tenant, _), _)| u64::from(*tenant));
    entries
}

/// By a number, from its lowest byte to its highest; bytes that are the same in all cost nothing.
fn by_number(entries: &mut [Entry], spare: &mut Vec<Entry>, number: impl Fn(&Entry) -> u64) {
    let Some(first) = entries.first().map(&number) else { return };
    if entries.is_sorted_by_key(&number) {
        return;
    }
    let differs = entries.iter().fold(0, |differs, entry| differs | number(entry) ^ first);
    spare.resize(spare.len().max(entries.len()), Entry::default());
    let Some(spare) = spare.get_mut(..entries.len()) else { return };
    let (mut from, mut to, mut is_in_spare) = (entries, spare, false);
    for shift in (0..u64::BITS).step_by(8).filter(|shift| byte(differs >> shift) != 0) {
        let class = |entry: &Entry| byte(number(entry) >> shift);
        let mut places = [0; 256];
        count(from, class, &mut places);
        begin_each(&mut places);
        distribute(from, class, &mut places, to);
        std::mem::swap(&mut from, &mut to);
        is_in_spare = !is_in_spare;
    }
    if is_in_spare {
        to.copy_from_slice(from);
    }
}

fn byte(number: u64) -> usize {
    usize::from(number.to_le_bytes()[0])
}

#[expect(clippy::indexing_slicing, reason = "a class is below their number")]
fn count<const CLASSES: usize>(part: &[Entry], class: impl Fn(&Entry) -> usize, counts: &mut [usize; CLASSES]) {
    part.iter().for_each(|entry| counts[class(entry)] += 1);
}

/// From how many there are of each class to where each begins.
fn begin_each(counts: &mut [usize]) {
    counts.iter_mut().fold(0, |begin, count| begin + std::mem::replace(count, begin));
}

/// Puts every entry behind those of its class; each place moves on, at last to the end of its class.
#[expect(clippy::indexing_slicing, reason = "a class is below their number, and every entry was counted")]
fn distribute<const CLASSES: usize>(
    part: &[Entry],
    class: impl Fn(&Entry) -> usize,
    places: &mut [usize; CLASSES],
    to: &mut [Entry],
) {
    for entry in part {
        let place = &mut places[class(entry)];
        to[*place] = *entry;
        *place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code() -> impl Strategy<Value = u64> {
        prop_oneof![
            (0..40_u64, 0..600_u64).prop_map(|(kind, id)| kind << 32 | id),
            any::<u64>(),
            (1..8_u64, any::<u32>()).prop_map(|(kind, id)| kind << 61 | u64::from(id)),
        ]
    }

    proptest! {
        #[test]
        fn it_is_the_order_that_comparing_finds(
            keys in prop::collection::vec((prop_oneof![Just(3), 0..3_u32, any::<u32>()], code()), 0..200),
            twice in any::<prop::sample::Index>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let mut entries: Vec<Entry> = keys.into_iter().zip(0..).collect();
            if !entries.is_empty() {
                // keys that come again, behind others
                let again = entries[twice.index(entries.len())].0;
                entries.extend([(again, 1_000), (again, 1_001)]);
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(entries.len() + 1)).collect();
            cuts.sort_unstable();
            let begins = [0].into_iter().chain(cuts.iter().copied());
            let ends = cuts.iter().copied().chain([entries.len()]);
            let parts: Vec<&[Entry]> = begins.zip(ends).map(|(begin, end)| &entries[begin..end]).collect();
            let counted = of_parts(entries.len(), |each| parts.iter().for_each(|part| each(part)));
            by_key(&mut entries);
            prop_assert_eq!(counted, entries);
        }
    }
}
