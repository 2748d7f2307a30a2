//! Frames as sled keeps them: packed with LZ4, whose records repeat much of each other; a quarter to a half of the bytes, and so
//! many more in sled's cache. The journal keeps them as they are. Not here: what a frame says, and whether it is whole.

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};

use super::frame::FRAME_BYTES_MAX;

/// How long the frame is, before what it was packed to: u16, little-endian.
const HEAD_BYTES: usize = 2;
const ROOM_BYTES: usize = HEAD_BYTES + get_maximum_output_size(FRAME_BYTES_MAX);

/// Sixteen larger values would make a leaf that sled puts into `blobs/`, which nobody syncs.
const _: () = assert!(16 * ROOM_BYTES < 131_052);

/// What packing needs, kept from one frame to the next.
pub(crate) struct Packer {
    table: CompressTable,
    room: Vec<u8>,
}

impl Default for Packer {
    fn default() -> Self {
        Self { table: CompressTable::small(), room: vec![0; ROOM_BYTES] }
    }
}

impl Packer {
    /// # Panics
    /// When there is more than a frame.
    pub(crate) fn pack(&mut self, frame: &[u8]) -> &[u8] {
        assert!(frame.len() <= FRAME_BYTES_MAX, "a value of {} bytes for sled", frame.len());
        let length = u16::try_from(frame.len()).expect("a frame is small");
        let (head, rest) = self.room.split_at_mut(HEAD_BYTES);
        head.copy_from_slice(&length.to_le_bytes());
        let packed = compress_into_with_table(frame, rest, &mut self.table).expect("there is room for any frame");
        self.room.get(..HEAD_BYTES + packed).unwrap_or_default()
    }
}

/// The frame again, in `room`. What is not packed is handed out as it lies: whoever reads a frame checks it, and names what is none.
pub(crate) fn unpacked<'a>(value: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    let Some((head, packed)) = value.split_first_chunk::<HEAD_BYTES>() else { return value };
    let length = usize::from(u16::from_le_bytes(*head));
    if length > FRAME_BYTES_MAX {
        return value;
    }
    room.resize(length, 0);
    match decompress_into(packed, room) {
        Ok(all) if all == length => room,
        Ok(_) | Err(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_packed_is_the_same_again(frames in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..=FRAME_BYTES_MAX),
                (prop::collection::vec(any::<u8>(), 1..40), 1..=FRAME_BYTES_MAX).prop_map(|(part, length)| {
                    part.into_iter().cycle().take(length).collect()
                }),
            ],
            1..4,
        )) {
            let (mut packer, mut room) = (Packer::default(), vec![]);
            for frame in frames {
                let packed = packer.pack(&frame).to_vec();
                prop_assert!(packed.len() <= ROOM_BYTES);
                prop_assert_eq!(unpacked(&packed, &mut room), &frame[..]);
            }
        }

        #[test]
        fn any_bytes_are_a_frame_or_handed_out_as_they_are(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut room = vec![];
            let read = unpacked(&value, &mut room);
            prop_assert!(read == &value[..] || read.len() <= FRAME_BYTES_MAX);
        }
    }

    #[test]
    fn frames_of_like_records_become_much_smaller() {
        let frame: Vec<u8> = (0..100_u32).flat_map(|n| [[7; 30].as_slice(), &n.to_le_bytes()].concat()).collect();
        assert!(Packer::default().pack(&frame).len() < frame.len() / 3);
    }
}
