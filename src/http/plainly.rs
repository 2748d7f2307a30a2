//! JSON from outside, read so that there is one reading of it: no field stands twice, an object is no list of its fields in their
//! order, and a word is a text. serde by itself takes all of these. Not here: what the fields mean.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::{Error, Map, Value};
use std::fmt;

/// What is shown of a field's name.
const SHOWN_CHARS_MAX: usize = 64;

/// The value of a text in which no field stands twice; or what is wrong with the text.
pub(super) fn value(text: &[u8]) -> Result<Value, String> {
    let said = |error: Error| if error.is_data() { error.to_string() } else { format!("no JSON: {error}") };
    serde_json::from_slice::<Once>(text).map(|Once(value)| value).map_err(said)
}

/// A value in which no field stands twice: of two, another program may have read the other one.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Once;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Once, E> {
                Ok(Once(Value::Null))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Once, E> {
                Ok(Once(flag.into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Once, E> {
                Ok(Once(number.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Once, E> {
                Ok(Once(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Once, E> {
                Ok(Once(number.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Once, E> {
                Ok(Once(text.into()))
            }

            fn visit_string<E>(self, text: String) -> Result<Once, E> {
                Ok(Once(text.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Once, A::Error> {
                let mut items = Vec::new();
                while let Some(Once(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Once(Value::Array(items)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
                let mut fields = Map::new();
                while let Some(name) = map.next_key::<String>()? {
                    if fields.contains_key(&name) {
                        let shown: String = name.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect();
                        return Err(A::Error::custom(format!("the field `{shown}` stands there twice")));
                    }
                    let Once(value) = map.next_value()?;
                    fields.insert(name, value);
                }
                Ok(Once(Value::Object(fields)))
            }
        }
        d.deserialize_any(Any)
    }
}

/// A value whose objects are read from objects alone, and whose words from texts alone, however deep they stand.
pub(super) struct Plainly(pub(super) Value);

impl<'de> IntoDeserializer<'de, Error> for Plainly {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Plainly {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Self))),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| (name, Self(value)));
                visitor.visit_map(MapDeserializer::new(fields))
            }
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                plain.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0.is_array() {
            return Err(Error::invalid_type(Unexpected::Seq, &visitor));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0.is_object() {
            return Err(Error::invalid_type(Unexpected::Map, &"a word"));
        }
        self.0.deserialize_enum(name, words, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_that_stands_twice_is_named_wherever_it_stands() {
        for (text, name) in [
            (r#"{"a":1,"b":2,"a":1}"#, "`a`"),
            (r#"{"a":[{"x":{"b":1,"b":null}}]}"#, "`b`"),
            (r#"{"a":1,"\u0061":2}"#, "`a`"),
            (r#"{"\n":1,"\n":2}"#, "``"),
        ] {
            let why = value(text.as_bytes()).unwrap_err();
            assert!(why.contains(&format!("the field {name} stands there twice")), "{text}: {why}");
        }
        assert!(value(b"{").unwrap_err().starts_with("no JSON: "));
    }

    #[test]
    fn a_list_is_no_object_and_an_object_is_no_word() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Kind {
            Red,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Deep(Option<Inner>);
        #[derive(Debug, PartialEq, Deserialize)]
        struct Inner {
            kinds: Vec<Kind>,
            #[serde(default)]
            deep: Vec<Deep>,
            #[serde(default)]
            more: Map<String, Value>,
        }
        let read = |value: Value| Inner::deserialize(Plainly(value)).map_err(|error| error.to_string());
        for good in [
            json!({"kinds": ["red"], "deep": [{"kinds": []}, null], "more": {"a": [{"b": []}], "c": {"d": 1}}}),
            json!({"kinds": []}),
        ] {
            assert_eq!(read(good.clone()).unwrap(), serde_json::from_value(good).unwrap());
        }
        for bad in [
            json!([["red"], [], {}]),
            json!({"kinds": [{"red": null}]}),
            json!({"kinds": [], "deep": [[[]]]}),
            json!({"kinds": [], "deep": [{"kinds": [], "deep": [[["red"]]]}]}),
            json!({"kinds": [], "more": []}),
            json!({"kinds": {}}),
        ] {
            let why = read(bad.clone()).unwrap_err();
            assert!(why.starts_with("invalid type: "), "{bad}: {why}");
        }
    }

    #[test]
    fn what_stands_once_is_read_as_it_is() {
        for text in [
            "null",
            "-7",
            "18446744073709551615",
            "1.5e300",
            r#""\u00e4\ud83d\ude00""#,
            r#"[{"a":{"a":[]},"b":{"a":true}}, "x"]"#,
        ] {
            assert_eq!(value(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        assert_eq!(value(br#"{"b":1,"a":{"$serde_json::private::RawValue":"7"}}"#).unwrap()["b"], json!(1));
    }
}
