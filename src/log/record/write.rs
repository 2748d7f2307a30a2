//! Writing what bincode writes, without bincode: the same bytes of the same values. Its writer calls a function for each
//! number; a digest and a snapshot write some ten million. A property test holds the two against each other. Records are
//! written by bincode itself. Not here: what a snapshot is.

use super::flaw::{Flaw, What};
use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};
use std::io;

/// The most bytes that a number takes.
const NUMBER_BYTES: usize = 9;

/// Where bytes go.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Flaw>;
    /// The first of these, so many.
    fn put_first(&mut self, bytes: [u8; NUMBER_BYTES], count: usize) -> Result<(), Flaw>;
}

/// Gathers bytes, and gives them away whenever so many are there.
pub(super) struct Gathered<F> {
    /// Room, of which so much is filled: so that a number is put there at once, whatever it takes of it.
    block: Vec<u8>,
    filled: usize,
    block_bytes: usize,
    /// Leaves the block empty.
    away: F,
}

impl<F: FnMut(&mut Vec<u8>) -> io::Result<()>> Gathered<F> {
    pub(super) fn new(block_bytes: usize, away: F) -> Self {
        let block_bytes = block_bytes.max(NUMBER_BYTES);
        Self { block: vec![0; block_bytes], filled: 0, block_bytes, away }
    }

    #[cold]
    #[inline(never)]
    fn give(&mut self) -> Result<(), Flaw> {
        self.block.truncate(self.filled);
        (self.away)(&mut self.block).map_err(What::Written)?;
        assert!(self.block.is_empty(), "what was given away is not kept");
        self.block.resize(self.block_bytes, 0);
        self.filled = 0;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self, bytes: usize) -> Result<(), Flaw> {
        if self.filled > 0 {
            self.give()?;
        }
        if bytes > self.block.len() {
            self.block.resize(bytes, 0);
        }
        Ok(())
    }

    /// Gives away the rest.
    pub(super) fn finish(mut self) -> Result<(), Flaw> {
        if self.filled == 0 { Ok(()) } else { self.give() }
    }
}

impl<F: FnMut(&mut Vec<u8>) -> io::Result<()>> Sink for Gathered<F> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        if self.filled + bytes.len() > self.block.len() {
            self.make_room(bytes.len())?;
        }
        if let Some(room) = self.block.get_mut(self.filled..self.filled + bytes.len()) {
            room.copy_from_slice(bytes);
            self.filled += bytes.len();
        }
        Ok(())
    }

    #[inline]
    fn put_first(&mut self, bytes: [u8; NUMBER_BYTES], count: usize) -> Result<(), Flaw> {
        if self.filled + NUMBER_BYTES > self.block.len() {
            self.make_room(NUMBER_BYTES)?;
        }
        if let Some(room) = self.block.get_mut(self.filled..).and_then(<[u8]>::first_chunk_mut) {
            *room = bytes;
            self.filled += count;
        }
        Ok(())
    }
}

/// Writes one value.
pub(super) fn write<T: Serialize + ?Sized, S: Sink>(value: &T, sink: &mut S) -> Result<(), Flaw> {
    value.serialize(&mut Writer(sink))
}

struct Writer<'s, S>(&'s mut S);

impl<S: Sink> Writer<'_, S> {
    /// A byte where it is small; else how wide it is, and then it.
    #[inline]
    fn number(&mut self, number: u64) -> Result<(), Flaw> {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = number.to_le_bytes();
        let (first, count) = match number {
            0..=250 => return self.0.put_first([b0, 0, 0, 0, 0, 0, 0, 0, 0], 1),
            251..=0xffff => (251, 3),
            0x1_0000..=0xffff_ffff => (252, 5),
            0x1_0000_0000.. => (253, NUMBER_BYTES),
        };
        self.0.put_first([first, b0, b1, b2, b3, b4, b5, b6, b7], count)
    }

    #[inline]
    fn length(&mut self, length: Option<usize>) -> Result<&mut Self, Flaw> {
        let length = length.ok_or(What::Unsupported("a list of unknown length"))?;
        self.number(length as u64)?;
        Ok(self)
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        self.number(bytes.len() as u64)?;
        self.0.put(bytes)
    }
}

macro_rules! numbers {
    ($($method:ident $of:ident;)*) => {$(
        #[inline]
        fn $method(self, number: $of) -> Result<(), Flaw> {
            self.number(u64::from(number))
        }
    )*};
}

macro_rules! unsupported {
    ($($method:ident $of:ident $what:literal;)*) => {$(
        fn $method(self, _value: $of) -> Result<(), Flaw> {
            Err(What::Unsupported($what).into())
        }
    )*};
}

impl<S: Sink> Serializer for &mut Writer<'_, S> {
    type Ok = ();
    type Error = Flaw;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_u16 u16;
        serialize_u32 u32;
        serialize_u64 u64;
    }

    // nothing that is recorded or folded has one
    unsupported! {
        serialize_char char "a character";
        serialize_f32 f32 "a broken number";
        serialize_f64 f64 "a broken number";
    }

    #[inline]
    fn serialize_bool(self, flag: bool) -> Result<(), Flaw> {
        self.0.put(&[u8::from(flag)])
    }

    #[inline]
    fn serialize_u8(self, number: u8) -> Result<(), Flaw> {
        self.0.put(&[number])
    }

    #[inline]
    fn serialize_i8(self, number: i8) -> Result<(), Flaw> {
        self.0.put(&[number.cast_unsigned()])
    }

    #[inline]
    fn serialize_i16(self, number: i16) -> Result<(), Flaw> {
        self.serialize_i64(i64::from(number))
    }

    #[inline]
    fn serialize_i32(self, number: i32) -> Result<(), Flaw> {
        self.serialize_i64(i64::from(number))
    }

    /// Even numbers count up from 0, odd ones down from -1.
    #[inline]
    fn serialize_i64(self, number: i64) -> Result<(), Flaw> {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned())
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<(), Flaw> {
        self.bytes(text.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Flaw> {
        self.bytes(bytes)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Flaw> {
        self.0.put(&[0])
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Flaw> {
        self.0.put(&[1])?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Flaw> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Flaw> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _name: &'static str, variant: u32, _: &'static str) -> Result<(), Flaw> {
        self.number(u64::from(variant))
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Flaw> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        variant: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Flaw> {
        self.number(u64::from(variant))?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Flaw> {
        self.length(length)
    }

    #[inline]
    fn serialize_tuple(self, _length: usize) -> Result<Self, Flaw> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Self, Flaw> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        variant: u32,
        _: &'static str,
        _length: usize,
    ) -> Result<Self, Flaw> {
        self.number(u64::from(variant))?;
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self, Flaw> {
        self.length(length)
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Self, Flaw> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        variant: u32,
        _: &'static str,
        _length: usize,
    ) -> Result<Self, Flaw> {
        self.number(u64::from(variant))?;
        Ok(self)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! compounds {
    ($($of:ident $method:ident $(($key:ident))?;)*) => {$(
        impl<S: Sink> $of for &mut Writer<'_, S> {
            type Ok = ();
            type Error = Flaw;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $($key: &'static str,)? value: &T) -> Result<(), Flaw> {
                value.serialize(&mut **self)
            }

            #[inline]
            fn end(self) -> Result<(), Flaw> {
                Ok(())
            }
        }
    )*};
}

compounds! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
    SerializeStruct serialize_field (_key);
    SerializeStructVariant serialize_field (_key);
}

impl<S: Sink> SerializeMap for &mut Writer<'_, S> {
    type Ok = ();
    type Error = Flaw;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Flaw> {
        key.serialize(&mut **self)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Flaw> {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> Result<(), Flaw> {
        Ok(())
    }
}
