//! Text and counts from outside, bounded by their types: what is too long, empty or full of control characters never
//! becomes a value. Blanks around a text are no part of it, so that nothing has two names that look alike.

use crate::domain::facts::Owned;
use serde::{Deserialize, Deserializer, de::Error as _};
use utoipa::ToSchema;

/// More seats than this are no count but a mistake.
pub(crate) const OWNED_MAX: u64 = 1_000_000_000_000;

macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, $max:tt, $pattern:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
        #[schema(value_type = String, min_length = 1, max_length = $max, pattern = $pattern)]
        pub(crate) struct $name(pub String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                checked(String::deserialize(d)?, $max).map(Self).map_err(D::Error::custom)
            }
        }
    };
}

// what `char::is_control` says no to, as a pattern
bounded_text!(/** A name. */ Name, 256, "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$");
bounded_text!(/** A reference to something: an id of the ledger, or an outside name. */ Reference, 512, "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$");
bounded_text!(/** Some words. */ Word, 512, "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$");

/// Text that describes and identifies nothing: blank is as good as absent.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 256, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
pub(crate) struct Label(Option<String>);

impl Label {
    pub(crate) fn text(self) -> Option<String> {
        self.0
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        if text.is_empty() || text.chars().all(|c| c == ' ') {
            return if text.len() <= 256 { Ok(Self(None)) } else { Err(D::Error::custom("the text is too long")) };
        }
        checked(text, 256).map(|text| Self(Some(text))).map_err(D::Error::custom)
    }
}

/// Some words that may take several lines: blank is as good as absent.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 512, pattern = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$")]
pub(crate) struct Comment(Option<String>);

impl Comment {
    pub(crate) fn text(self) -> Option<String> {
        self.0
    }
}

impl<'de> Deserialize<'de> for Comment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        // a spreadsheet ends its lines in its own way
        let text = String::deserialize(d)?;
        let chars = text.chars().count();
        if chars > 512 {
            return Err(D::Error::custom(format!("the text has {chars} characters, at most 512 are taken")));
        }
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(D::Error::custom("the text has a control character in it"));
        }
        let text = text.trim();
        Ok(Self((!text.is_empty()).then(|| text.to_owned())))
    }
}

fn checked(text: String, chars_max: usize) -> Result<String, String> {
    match fault(&text, chars_max) {
        Some(fault) => Err(fault),
        None if text.trim().len() == text.len() => Ok(text),
        None => Ok(text.trim().to_owned()),
    }
}

/// What is wrong with a text, if anything is.
fn fault(text: &str, chars_max: usize) -> Option<String> {
    // nearly all are short and plain
    if (1..=chars_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let chars = text.chars().count();
    if chars > chars_max {
        return Some(format!("the text has {chars} characters, at most {chars_max} are taken"));
    }
    if text.trim().is_empty() {
        return Some("the text is empty".into());
    }
    text.chars().any(char::is_control).then(|| "the text has a control character in it".into())
}

impl Reference {
    /// What a text is as one, if it is.
    pub(crate) fn of(text: &str) -> Option<&str> {
        fault(text, 512).is_none().then(|| text.trim())
    }
}

impl Word {
    /// What a text is as one, if it is.
    pub(crate) fn of(text: &str) -> Option<&str> {
        fault(text, 512).is_none().then(|| text.trim())
    }
}

/// A number of seats, or the word `unlimited`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnedWord(pub(crate) Owned);

impl<'de> Deserialize<'de> for OwnedWord {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(d)?;
        if value.as_str() == Some("unlimited") {
            return Ok(Self(Owned::Unlimited));
        }
        match value.as_u64() {
            Some(count) if count <= OWNED_MAX => Ok(Self(Owned::Count(count))),
            Some(_) => Err(D::Error::custom(format!("more than {OWNED_MAX} seats are no count"))),
            None => Err(D::Error::custom("a count of seats is a whole number from 0 on, or \"unlimited\"")),
        }
    }
}

impl utoipa::PartialSchema for OwnedWord {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
        let count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(OWNED_MAX));
        let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["unlimited"]));
        OneOfBuilder::new().item(count).item(word).into()
    }
}

impl ToSchema for OwnedWord {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_bounded_and_speaks() {
        let name = |text: &str| serde_json::from_value::<Name>(text.into()).map(|name| name.0);
        assert_eq!(name("Ada Lovelace").unwrap(), "Ada Lovelace");
        assert_eq!(name(" Ada  Lovelace\u{a0}").unwrap(), "Ada  Lovelace");
        let label = |text: &str| serde_json::from_value::<Label>(text.into()).unwrap().text();
        assert_eq!((label(" suite "), label("  ")), (Some("suite".to_owned()), None));
        for bad in ["", "  ", "a\0b", "a\nb", &"x".repeat(257)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        for text in [
            "u1",
            "",
            " ",
            "a b",
            "ä\u{85}",
            "a\nb",
            " u1 ",
            "\u{2003}ä",
            &"x".repeat(512),
            &"x".repeat(513),
            &"ä".repeat(512),
        ] {
            let reference = serde_json::from_value::<Reference>(text.into()).ok().map(|read| read.0);
            assert_eq!(Reference::of(text), reference.as_deref(), "{text:?}");
            let word = serde_json::from_value::<Word>(text.into()).ok().map(|read| read.0);
            assert_eq!(Word::of(text), word.as_deref(), "{text:?}");
        }
    }

    #[test]
    fn unlimited_is_a_word_and_nothing_else_is() {
        let owned = |text: &str| serde_json::from_str::<OwnedWord>(text).map(|owned| owned.0);
        assert_eq!(owned("\"unlimited\"").unwrap(), Owned::Unlimited);
        assert_eq!(owned("0").unwrap(), Owned::Count(0));
        for bad in ["-1", "1.5", "1e30", "null", "\"many\"", "18446744073709551615"] {
            assert!(owned(bad).is_err(), "{bad}");
        }
    }
}
