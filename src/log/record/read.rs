//! Reading what bincode writes, without bincode: the same bytes into the same values, and the same bytes refused. Its reader
//! calls a function for each number and asks for room at each; a start reads some ten million numbers. A property test holds
//! the two against each other. Not here: what a record or a snapshot is.
//!
//! Nothing is believed of a length: what is taken ahead of the bytes themselves is bounded, so bytes may be read whose hash
//! is not known yet.

use super::flaw::{Flaw, What};
use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// Where bytes come from.
pub(super) trait Source {
    fn byte(&mut self) -> Result<u8, Flaw>;
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw>;
    /// So many bytes, of which none is given room before it is there.
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Flaw>;
    /// Entries of a list, each of a byte at least.
    fn entries(&self, length: u64) -> Result<usize, Flaw>;
}

/// Bytes that are all there.
pub(super) struct Slice<'b>(pub(super) &'b [u8]);

impl Source for Slice<'_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, Flaw> {
        let (first, rest) = self.0.split_first().ok_or(What::Ends)?;
        self.0 = rest;
        Ok(*first)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (first, rest) = self.0.split_first_chunk().ok_or(What::Ends)?;
        self.0 = rest;
        Ok(*first)
    }

    #[inline]
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Flaw> {
        let (first, rest) = self.0.split_at_checked(self.entries(length)?).ok_or(What::Ends)?;
        self.0 = rest;
        Ok(first.to_vec())
    }

    #[inline]
    fn entries(&self, length: u64) -> Result<usize, Flaw> {
        usize::try_from(length)
            .ok()
            .filter(|entries| *entries <= self.0.len())
            .ok_or_else(|| What::Length(length).into())
    }
}

/// Bytes that come in blocks: each call puts the next ones in the place of those that were read; none are left where it
/// puts none.
pub(super) struct Blocks<F> {
    next: F,
    block: Vec<u8>,
    at: usize,
}

impl<F: FnMut(&mut Vec<u8>)> Blocks<F> {
    pub(super) fn new(next: F) -> Self {
        Self { next, block: Vec::new(), at: 0 }
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self) -> Result<(), Flaw> {
        self.at = 0;
        (self.next)(&mut self.block);
        if self.block.is_empty() { Err(What::Ends.into()) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn byte_of_the_next(&mut self) -> Result<u8, Flaw> {
        self.refill()?;
        self.byte()
    }

    #[cold]
    #[inline(never)]
    fn array_of_two<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let mut array = [0; N];
        for byte in &mut array {
            *byte = self.byte()?;
        }
        Ok(array)
    }
}

impl<F: FnMut(&mut Vec<u8>)> Source for Blocks<F> {
    #[inline]
    fn byte(&mut self) -> Result<u8, Flaw> {
        match self.block.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => self.byte_of_the_next(),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        match self.block.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(array) => {
                self.at += N;
                Ok(*array)
            }
            None => self.array_of_two(),
        }
    }

    #[inline]
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Flaw> {
        let mut left = usize::try_from(length).map_err(|_| What::Length(length))?;
        let mut all = Vec::new();
        loop {
            let here = self.block.get(self.at..).unwrap_or_default();
            let taken = here.get(..left).unwrap_or(here);
            // what fits into a block is given room once
            all.reserve_exact(taken.len());
            all.extend_from_slice(taken);
            (self.at, left) = (self.at + taken.len(), left - taken.len());
            if left == 0 {
                return Ok(all);
            }
            self.refill()?;
        }
    }

    #[inline]
    fn entries(&self, length: u64) -> Result<usize, Flaw> {
        usize::try_from(length).map_err(|_| What::Length(length).into())
    }
}

/// Reads one value.
pub(super) fn read<T: DeserializeOwned, S: Source>(source: &mut S) -> Result<T, Flaw> {
    T::deserialize(Reader(source))
}

struct Reader<'s, S>(&'s mut S);

impl<S: Source> Reader<'_, S> {
    #[inline]
    fn again(&mut self) -> Reader<'_, S> {
        Reader(self.0)
    }

    /// A number of at most 2, 4 or 8 bytes.
    #[inline]
    fn number<const WIDTH: usize>(&mut self) -> Result<u64, Flaw> {
        let first = self.0.byte()?;
        match first {
            0..=250 => Ok(u64::from(first)),
            251 => Ok(u64::from(u16::from_le_bytes(self.0.array()?))),
            252 if WIDTH >= 4 => Ok(u64::from(u32::from_le_bytes(self.0.array()?))),
            253 if WIDTH >= 8 => Ok(u64::from_le_bytes(self.0.array()?)),
            252..=255 => Err(What::Number(first).into()),
        }
    }

    #[inline]
    fn narrow<const WIDTH: usize, N: TryFrom<u64>>(&mut self) -> Result<N, Flaw> {
        // the width bounds it
        N::try_from(self.number::<WIDTH>()?).map_err(|_| What::Number(u8::MAX).into())
    }

    /// Even numbers count up from 0, odd ones down from -1.
    #[inline]
    fn signed<const WIDTH: usize, N: TryFrom<i64>>(&mut self) -> Result<N, Flaw> {
        let number = self.number::<WIDTH>()?;
        N::try_from((number >> 1).cast_signed() ^ -(number & 1).cast_signed()).map_err(|_| What::Number(u8::MAX).into())
    }

    #[inline]
    fn flag(&mut self, of: &'static str) -> Result<bool, Flaw> {
        match self.0.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(What::Tag { of, found }.into()),
        }
    }

    #[inline]
    fn bytes(&mut self) -> Result<Vec<u8>, Flaw> {
        let length = self.number::<8>()?;
        self.0.bytes(length)
    }

    #[inline]
    fn text(&mut self) -> Result<String, Flaw> {
        String::from_utf8(self.bytes()?).map_err(|_| What::Text.into())
    }

    #[inline]
    fn entries(&mut self) -> Result<usize, Flaw> {
        let length = self.number::<8>()?;
        self.0.entries(length)
    }
}

fn unsupported<T>(what: &'static str) -> Result<T, Flaw> {
    Err(What::Unsupported(what).into())
}

macro_rules! numbers {
    ($($method:ident $visit:ident $read:expr;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Flaw> {
            let read: fn(&mut Self) -> Result<_, Flaw> = $read;
            visitor.$visit(read(&mut self)?)
        }
    )*};
}

macro_rules! unsupported {
    ($($method:ident $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Flaw> {
            unsupported($what)
        }
    )*};
}

impl<'de, S: Source> Deserializer<'de> for Reader<'_, S> {
    type Error = Flaw;

    numbers! {
        deserialize_bool visit_bool |of| of.flag("truth value");
        deserialize_u8 visit_u8 |of| of.0.byte();
        deserialize_u16 visit_u16 |of| of.narrow::<2, _>();
        deserialize_u32 visit_u32 |of| of.narrow::<4, _>();
        deserialize_u64 visit_u64 |of| of.number::<8>();
        deserialize_i8 visit_i8 |of| of.0.byte().map(u8::cast_signed);
        deserialize_i16 visit_i16 |of| of.signed::<2, _>();
        deserialize_i32 visit_i32 |of| of.signed::<4, _>();
        deserialize_i64 visit_i64 |of| of.signed::<8, _>();
        deserialize_str visit_string |of| of.text();
        deserialize_string visit_string |of| of.text();
        deserialize_bytes visit_byte_buf |of| of.bytes();
        deserialize_byte_buf visit_byte_buf |of| of.bytes();
    }

    // nothing that is recorded or folded has one
    unsupported! {
        deserialize_any "a value of any kind";
        deserialize_ignored_any "a value that is passed over";
        deserialize_identifier "a name";
        deserialize_char "a character";
        deserialize_f32 "a broken number";
        deserialize_f64 "a broken number";
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Flaw> {
        if self.flag("option")? { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaw> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Flaw> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Flaw> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Flaw> {
        let left = self.entries()?;
        visitor.visit_seq(Entries { of: self, left })
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Flaw> {
        visitor.visit_seq(Entries { of: self, left })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Flaw> {
        visitor.visit_seq(Entries { of: self, left })
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Flaw> {
        let left = self.entries()?;
        visitor.visit_map(Entries { of: self, left })
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Flaw> {
        visitor.visit_seq(Entries { of: self, left: fields.len() })
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Flaw> {
        visitor.visit_enum(self)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

struct Entries<'s, S> {
    of: Reader<'s, S>,
    left: usize,
}

impl<S> Entries<'_, S> {
    #[inline]
    fn is_another(&mut self) -> bool {
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

impl<'de, S: Source> SeqAccess<'de> for Entries<'_, S> {
    type Error = Flaw;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Flaw> {
        if self.is_another() { seed.deserialize(self.of.again()).map(Some) } else { Ok(None) }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de, S: Source> MapAccess<'de> for Entries<'_, S> {
    type Error = Flaw;

    #[inline]
    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Flaw> {
        if self.is_another() { seed.deserialize(self.of.again()).map(Some) } else { Ok(None) }
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Flaw> {
        seed.deserialize(self.of.again())
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de, S: Source> EnumAccess<'de> for Reader<'_, S> {
    type Error = Flaw;
    type Variant = Self;

    #[inline]
    fn variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<(T::Value, Self), Flaw> {
        let variant: u32 = self.narrow::<4, _>()?;
        let variant = U32Deserializer::<Flaw>::new(variant);
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de, S: Source> VariantAccess<'de> for Reader<'_, S> {
    type Error = Flaw;

    #[inline]
    fn unit_variant(self) -> Result<(), Flaw> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Flaw> {
        seed.deserialize(self)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Flaw> {
        visitor.visit_seq(Entries { of: self, left })
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Flaw> {
        visitor.visit_seq(Entries { of: self, left: fields.len() })
    }
}
