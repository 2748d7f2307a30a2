//! Why bytes are not what was asked for, or a value has no bytes: of whatever reads and writes them here. Not here: reading and
//! writing.

use std::fmt;
use std::io;

/// As small as a pointer, since each number that is read might be one.
#[derive(Debug)]
pub(super) struct Flaw(Box<What>);

#[derive(Debug)]
pub(super) enum What {
    Ends,
    Number(u8),
    Tag { of: &'static str, found: u8 },
    Text,
    Length(u64),
    Unsupported(&'static str),
    Written(io::Error),
    Said(String),
}

impl From<What> for Flaw {
    #[cold]
    fn from(what: What) -> Self {
        Self(Box::new(what))
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_ref() {
            What::Ends => f.write_str("it ends too early"),
            What::Number(first) => write!(f, "{first} begins no number of this width"),
            What::Tag { of, found } => write!(f, "{found} is no {of}"),
            What::Text => f.write_str("a text is not UTF-8"),
            What::Length(length) => write!(f, "a length of {length} goes beyond the end"),
            What::Unsupported(what) => write!(f, "{what} has no form in these bytes"),
            What::Written(error) => error.fmt(f),
            What::Said(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Flaw {}

impl serde::de::Error for Flaw {
    fn custom<T: fmt::Display>(what: T) -> Self {
        What::Said(what.to_string()).into()
    }
}

impl serde::ser::Error for Flaw {
    fn custom<T: fmt::Display>(what: T) -> Self {
        What::Said(what.to_string()).into()
    }
}

impl From<Flaw> for io::Error {
    fn from(flaw: Flaw) -> Self {
        match *flaw.0 {
            What::Written(error) => error,
            what @ (What::Ends
            | What::Number(_)
            | What::Tag { .. }
            | What::Text
            | What::Length(_)
            | What::Unsupported(_)
            | What::Said(_)) => Self::new(io::ErrorKind::InvalidData, Flaw(Box::new(what))),
        }
    }
}
