//! JSON from outside, read so that there is one reading of it: no field stands twice. Not here: what the fields mean.

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
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
