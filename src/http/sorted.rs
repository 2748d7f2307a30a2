//! JSON whose objects have their fields in the order of the names, as a map of them would: written straight, and put in order where
//! it is not so. Many answers are large, and a tree of maps of one takes many times its room. Not here: what is written.

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Deserializer, Serializer};
use std::borrow::Cow;
use std::io::{self, Write};

/// What the formatter tells of objects. No JSON has these bytes: in a text they are escaped.
const BEGIN: u8 = 1;
const FIELD: u8 = 2;
const END: u8 = 3;

/// As `serde_json::to_value(body)?.to_string()` has it; an object with its position.
pub(super) fn written(body: &impl Serialize, position: Option<u64>) -> serde_json::Result<Vec<u8>> {
    let mut text = Sorted { position, ..Sorted::default() };
    body.serialize(&mut Serializer::with_formatter(&mut text, Marking))?;
    Ok(text.bytes)
}

struct Marking;

impl Formatter for Marking {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(&[BEGIN])
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, _: bool) -> io::Result<()> {
        writer.write_all(&[FIELD])
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(&[END])
    }
}

#[derive(Default)]
struct Sorted {
    bytes: Vec<u8>,
    /// Of each object that is open: where it begins, and how many fields lie before its own.
    open: Vec<(usize, usize)>,
    /// Where the fields of open objects begin.
    fields: Vec<usize>,
    /// Until the outermost object has it.
    position: Option<u64>,
}

impl Write for Sorted {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.write_all(text)?;
        Ok(text.len())
    }

    fn write_all(&mut self, text: &[u8]) -> io::Result<()> {
        match text {
            [BEGIN] => {
                self.open.push((self.bytes.len(), self.fields.len()));
                self.bytes.push(b'{');
            }
            [FIELD] => self.field(),
            [END] => self.end(),
            text => self.bytes.extend_from_slice(text),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sorted {
    fn field(&mut self) {
        if self.open.last().is_some_and(|(_, before)| self.fields.len() > *before) {
            self.bytes.push(b',');
        }
        self.fields.push(self.bytes.len());
    }

    fn end(&mut self) {
        let Some(&(begin, before)) = self.open.last() else { return };
        if begin == 0
            && let Some(position) = self.position.take()
        {
            self.put_position(before, position);
        }
        self.open.pop();
        let fields = self.fields.get(before..).unwrap_or_default();
        let names = |at: &usize| name(&self.bytes, *at);
        if !fields.iter().zip(fields.iter().skip(1)).all(|(one, next)| names(one) < names(next)) {
            let text = self.in_order(fields);
            self.bytes.truncate(begin + 1);
            self.bytes.extend_from_slice(&text);
        }
        self.fields.truncate(before);
        self.bytes.push(b'}');
    }

    /// In place of one that stands at the end, as it does in most bodies that have one.
    fn put_position(&mut self, before: usize, position: u64) {
        let last = self.fields.get(before..).unwrap_or_default().last().copied();
        match last.filter(|last| name(&self.bytes, *last) == b"position".as_slice()) {
            Some(last) => self.bytes.truncate(last),
            None => self.field(),
        }
        self.bytes.extend_from_slice(format!("\"position\":{position}").as_bytes());
    }

    /// The last fields of the text by their names. Of two of one name the later one counts.
    fn in_order(&self, fields: &[usize]) -> Vec<u8> {
        let ends = fields.iter().skip(1).map(|next| next - 1).chain([self.bytes.len()]);
        let mut named: Vec<_> =
            fields.iter().zip(ends).map(|(at, end)| (name(&self.bytes, *at), self.bytes.get(*at..end))).collect();
        named.reverse();
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        named.dedup_by(|(later, _), (kept, _)| later == kept);
        let all: Vec<&[u8]> = named.into_iter().filter_map(|(_, text)| text).collect();
        all.join(&b',')
    }
}

/// The name of the field that begins there.
fn name(text: &[u8], at: usize) -> Cow<'_, [u8]> {
    let field = text.get(at..).unwrap_or_default();
    let inner = field.get(1..).unwrap_or_default();
    let end = inner.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(inner.len());
    if inner.get(end) != Some(&b'\\') {
        return Cow::Borrowed(inner.get(..end).unwrap_or_default());
    }
    let unescaped = Deserializer::from_slice(field).into_iter::<String>().next();
    Cow::Owned(unescaped.and_then(Result::ok).unwrap_or_default().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::ser::{SerializeMap as _, SerializeSeq as _};
    use serde_json::Value;

    /// Fields in whatever order, also two of one name.
    #[derive(Debug, Clone)]
    enum Node {
        Leaf(Value),
        List(Vec<Node>),
        Object(Vec<(String, Node)>),
        Variant(u8),
    }

    #[derive(Serialize)]
    enum Variant {
        Unit,
        Fields { z: u8, a: Option<u8> },
    }

    impl Serialize for Node {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Leaf(value) => value.serialize(serializer),
                Self::List(nodes) => {
                    let mut list = serializer.serialize_seq(Some(nodes.len()))?;
                    nodes.iter().try_for_each(|node| list.serialize_element(node))?;
                    list.end()
                }
                Self::Object(fields) => {
                    let mut object = serializer.serialize_map(None)?;
                    fields.iter().try_for_each(|(name, node)| object.serialize_entry(name, node))?;
                    object.end()
                }
                Self::Variant(0) => Variant::Unit.serialize(serializer),
                Self::Variant(z) => Variant::Fields { z: *z, a: None }.serialize(serializer),
            }
        }
    }

    fn nodes() -> impl Strategy<Value = Node> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a\u{1}\u{2}\u{3}\"\\\\{},:ö]{0,4}".prop_map(Value::from),
        ];
        let leaf = prop_oneof![leaf.prop_map(Node::Leaf), (0..3_u8).prop_map(Node::Variant)];
        leaf.prop_recursive(4, 48, 6, |node| {
            let field = ("([a-c]|[a\u{1}\u{2}\"\\\\ !#ö]{0,3}|position)", node.clone());
            prop_oneof![
                prop::collection::vec(node, 0..6).prop_map(Node::List),
                prop::collection::vec(field, 0..6).prop_map(Node::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_as_a_map_of_it_does(node in nodes(), position in any::<Option<u64>>()) {
            let mut value = serde_json::to_value(&node).unwrap();
            if let (Some(fields), Some(position)) = (value.as_object_mut(), position) {
                fields.insert("position".into(), position.into());
            }
            prop_assert_eq!(String::from_utf8(written(&node, position).unwrap()).unwrap(), value.to_string());
        }
    }
}
