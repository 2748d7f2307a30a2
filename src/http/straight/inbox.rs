//! What a connection has sent and nobody has answered yet, in one piece of memory that the connection keeps. Bounded. Not
//! here: what it means.

/// Most requests are far smaller; what does not fit is for hyper.
pub(super) const BYTES_MAX: usize = 16 << 10;
const BYTES_FIRST: usize = 4 << 10;

pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Where what is not answered begins, and where it ends.
    from: usize,
    to: usize,
}

impl Inbox {
    pub(super) fn holding(before: &[u8]) -> Self {
        let mut bytes = vec![0; BYTES_FIRST.max(before.len())];
        if let Some(room) = bytes.get_mut(..before.len()) {
            room.copy_from_slice(before);
        }
        Self { bytes, from: 0, to: before.len() }
    }

    pub(super) fn unread(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or_default()
    }

    /// So many are answered.
    pub(super) fn take(&mut self, bytes: usize) {
        self.from += bytes;
        assert!(self.from <= self.to, "no more is answered than was sent");
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        }
    }

    /// Where more goes; there is always some, as long as nobody waits with [`BYTES_MAX`] unread.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.to == self.bytes.len() && self.from > 0 {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        if self.to == self.bytes.len() {
            let more = (self.bytes.len() * 2).min(BYTES_MAX);
            self.bytes.resize(more.max(self.bytes.len()), 0);
        }
        self.bytes.get_mut(self.to..).unwrap_or_default()
    }

    /// So many were put there.
    pub(super) fn give(&mut self, bytes: usize) {
        self.to += bytes;
        assert!(self.to <= self.bytes.len(), "no more is put there than has room");
    }

    pub(super) fn into_unread(mut self) -> Vec<u8> {
        self.bytes.truncate(self.to);
        self.bytes.drain(..self.from);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_put_in_comes_out_and_it_does_not_grow_without_end() {
        let mut inbox = Inbox::holding(b"ab");
        let (mut put, mut taken) = (2_usize, 0_usize);
        let byte = |at: usize| if at < 2 { b"ab"[at] } else { u8::try_from(at % 251).unwrap() };
        let mut put_in = |inbox: &mut Inbox, most: usize| {
            let room = inbox.room();
            let bytes = room.len().min(most);
            assert!(bytes > 0);
            room.iter_mut().take(bytes).for_each(|place| {
                *place = byte(put);
                put += 1;
            });
            inbox.give(bytes);
        };
        for (most, take) in [(10, 5), (4000, 4000), (4096, 1), (5000, 4000), (9000, 2000), (9000, 8000), (1, 1)] {
            put_in(&mut inbox, most);
            for at in 0..take.min(inbox.unread().len()) {
                assert_eq!(inbox.unread()[at], byte(taken + at));
            }
            let take = take.min(inbox.unread().len());
            inbox.take(take);
            taken += take;
        }
        while inbox.unread().len() < BYTES_MAX {
            put_in(&mut inbox, usize::MAX);
        }
        assert!(inbox.bytes.len() <= BYTES_MAX);
        assert!(inbox.room().is_empty());
        let rest = inbox.into_unread();
        assert_eq!(rest.len(), BYTES_MAX);
        assert!(rest.iter().enumerate().all(|(at, found)| *found == byte(taken + at)));
    }
}
