//! JSON objects put down field by field, for what goes out by the thousand: serde goes through every name and every number
//! again. Not here: what is said.

use serde::Serialize;

/// An object as it grows: field by field, each name plain ASCII.
pub(super) struct Fields<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Fields<'o> {
    pub(super) fn of(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(if self.is_empty { b"\"" } else { b",\"" });
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.is_empty = false;
    }

    pub(super) fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        digits(self.out, number);
    }

    /// A count, or nothing.
    pub(super) fn number_or_null(&mut self, name: &str, number: Option<u64>) {
        match number {
            Some(number) => self.number(name, number),
            None => self.null(name),
        }
    }

    /// A word of ours, of plain letters.
    pub(super) fn word(&mut self, name: &str, word: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    pub(super) fn flag(&mut self, name: &str, flag: bool) {
        self.name(name);
        self.out.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    pub(super) fn null(&mut self, name: &str) {
        self.name(name);
        self.out.extend_from_slice(b"null");
    }

    /// An id of ours: its prefix, its number.
    pub(super) fn id(&mut self, name: &str, id: Option<(&str, u32)>) {
        let Some((prefix, number)) = id else { return self.null(name) };
        self.name(name);
        id_text(self.out, prefix, number);
    }

    /// Any text; the name of most things has nothing in it that JSON would write otherwise.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            self.word(name, text);
        } else {
            self.value(name, &text);
        }
    }

    /// Anything, by the way that takes longer.
    pub(super) fn value(&mut self, name: &str, value: &impl Serialize) {
        self.name(name);
        serde_json::to_writer(&mut *self.out, value)
            .expect("ids and words can be written, and a list takes every byte");
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// Of a number of 64 bits.
const DIGITS_MAX: usize = 20;

pub(super) fn digits(out: &mut Vec<u8>, number: u64) {
    let (mut text, mut left, mut begin) = ([b'0'; DIGITS_MAX], number, DIGITS_MAX);
    for place in text.iter_mut().rev() {
        *place += u8::try_from(left % 10).unwrap_or_default();
        (left, begin) = (left / 10, begin - 1);
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(text.get(begin..).unwrap_or_default());
}

fn id_text(out: &mut Vec<u8>, prefix: &str, number: u32) {
    out.push(b'"');
    out.extend_from_slice(prefix.as_bytes());
    digits(out, number.into());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn it_reads_as_it_was_meant() {
        let mut out = vec![];
        let mut fields = Fields::of(&mut out);
        let texts = ["", "plain", "ä 席", "a\"b", "a\\b", "a\nb", "\u{1}", "\u{7f}"];
        let numbers = [0, 9, 10, 4711, u64::MAX];
        for (at, text) in texts.iter().enumerate() {
            fields.text(&format!("t{at}"), text);
        }
        for (at, number) in numbers.iter().enumerate() {
            fields.number(&format!("n{at}"), *number);
        }
        fields.number_or_null("none", None);
        fields.flag("flag", true);
        fields.word("word", "done");
        fields.id("id", Some(("user_", 42)));
        fields.value("list", &[1, 2]);
        fields.end();
        let mut wanted = json!({"none": null, "flag": true, "word": "done", "id": "user_42", "list": [1, 2]});
        texts.iter().enumerate().for_each(|(at, text)| wanted[format!("t{at}")] = (*text).into());
        numbers.iter().enumerate().for_each(|(at, number)| wanted[format!("n{at}")] = (*number).into());
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), wanted, "{}", String::from_utf8_lossy(&out));
        let mut empty = vec![];
        Fields::of(&mut empty).end();
        assert_eq!(empty, b"{}");
    }
}
