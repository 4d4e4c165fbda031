//! The compact binary form in which the built-in schema is committed.
//!
//! Numbers are LEB128; strings are numbers of a string table; a default is JSON text in that table.

use std::collections::HashMap;

use thiserror::Error;

use super::{
    Field, Format, JsonField, List, ListKind, Map, Node, Omit, PatchStrategy, Scalar, Schema, Str,
    TypeId,
};
use crate::gvk::GroupVersionKind;

/// The bytes were not written by [`Schema::encode`].
#[derive(Debug, Error, PartialEq, Eq)]
#[error("malformed schema table at byte {at}")]
pub struct DecodeError {
    /// Where reading failed.
    pub at: usize,
}

const SCALARS: [Scalar; 4] = [
    Scalar::Numeric,
    Scalar::String,
    Scalar::Boolean,
    Scalar::Untyped,
];
const OMITS: [Omit; 3] = [Omit::Never, Omit::Empty, Omit::Zero];
const FORMATS: [Format; 15] = [
    Format::Any,
    Format::Bool,
    Format::Int32,
    Format::Int64,
    Format::Float64,
    Format::String,
    Format::Bytes,
    Format::Time,
    Format::MicroTime,
    Format::Duration,
    Format::Quantity,
    Format::IntOrString,
    Format::List,
    Format::Map,
    Format::Struct,
];

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    strings: Vec<Str>,
    numbers: HashMap<Str, usize>,
}

impl Writer {
    fn number(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn text(&mut self, text: &Str) {
        let next = self.strings.len();
        let number = *self.numbers.entry(text.clone()).or_insert(next);
        if number == next {
            self.strings.push(text.clone());
        }
        self.number(number);
    }

    /// The position in a table of all values, counted from one; zero is None.
    fn position<T: PartialEq>(&mut self, all: &[T], one: Option<&T>) {
        let at = one.map(|one| {
            all.iter()
                .position(|known| known == one)
                .expect("the tables name every variant")
        });
        self.number(at.map_or(0, |at| at + 1));
    }

    fn node(&mut self, node: &Node) {
        self.text(&node.go);
        self.position(&FORMATS, Some(&node.format));
        self.position(&SCALARS, node.scalar.as_ref());
        match &node.list {
            None => self.number(0),
            Some(list) => {
                match &list.kind {
                    ListKind::Atomic => self.number(1),
                    ListKind::Set => self.number(2),
                    ListKind::Map(keys) => {
                        self.number(2 + keys.len());
                        keys.iter().for_each(|key| self.text(key));
                    }
                }
                self.number(list.element.0 as usize);
            }
        }
        match &node.map {
            None => self.number(0),
            Some(map) => {
                self.number(1 + usize::from(map.atomic));
                self.number(map.element.map_or(0, |id| id.0 as usize + 1));
                self.number(map.fields.len());
                map.fields.iter().for_each(|field| self.field(field));
            }
        }
    }

    fn field(&mut self, field: &Field) {
        self.text(&field.name);
        self.number(field.ty.0 as usize);
        let pointer = field.json.is_some_and(|json| json.pointer);
        let bits = [
            field.default.is_some(),
            field.required,
            pointer,
            field.patch.is_some(),
            field.via.is_some(),
        ];
        self.number(
            bits.iter()
                .rev()
                .fold(0, |sum, bit| sum * 2 + usize::from(*bit)),
        );
        self.position(&OMITS, field.json.map(|json| json.omit).as_ref());
        if let Some(default) = &field.default {
            self.text(&default.to_string().into());
        }
        if let Some(via) = &field.via {
            self.text(via);
        }
        if let Some(patch) = &field.patch {
            self.number(usize::from(patch.merge) + 2 * usize::from(patch.retain_keys));
            self.text(&patch.merge_key.clone().unwrap_or_else(|| "".into()));
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    strings: Vec<Str>,
}

impl Reader<'_> {
    fn fail<T>(&self) -> Result<T, DecodeError> {
        Err(DecodeError { at: self.at })
    }

    fn number(&mut self) -> Result<usize, DecodeError> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let Some(byte) = self.bytes.get(self.at) else {
                return self.fail();
            };
            self.at += 1;
            number |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            match byte & 0x80 {
                0 => return Ok(number),
                _ if shift > 28 => return self.fail(),
                _ => {}
            }
        }
    }

    fn text(&mut self) -> Result<Str, DecodeError> {
        let number = self.number()?;
        self.strings
            .get(number)
            .cloned()
            .ok_or(DecodeError { at: self.at })
    }

    fn position<T: Clone>(&mut self, all: &[T]) -> Result<Option<T>, DecodeError> {
        match self.number()? {
            0 => Ok(None),
            number => all
                .get(number - 1)
                .cloned()
                .map(Some)
                .ok_or(DecodeError { at: self.at }),
        }
    }

    fn id(&mut self) -> Result<TypeId, DecodeError> {
        Ok(TypeId(self.number()? as u32))
    }

    fn node(&mut self) -> Result<Node, DecodeError> {
        let go = self.text()?;
        let Some(format) = self.position(&FORMATS)? else {
            return self.fail();
        };
        let scalar = self.position(&SCALARS)?;
        let kind = match self.number()? {
            0 => None,
            1 => Some(ListKind::Atomic),
            2 => Some(ListKind::Set),
            keys => Some(ListKind::Map(
                (2..keys).map(|_| self.text()).collect::<Result<_, _>>()?,
            )),
        };
        let list = match kind {
            None => None,
            Some(kind) => Some(List {
                kind,
                element: self.id()?,
            }),
        };
        let map = match self.number()? {
            0 => None,
            kind => {
                let element = self.number()?.checked_sub(1).map(|id| TypeId(id as u32));
                let count = self.number()?;
                let fields = (0..count).map(|_| self.field()).collect::<Result<_, _>>()?;
                Some(Map {
                    fields,
                    element,
                    atomic: kind == 2,
                })
            }
        };
        Ok(Node {
            go,
            format,
            scalar,
            list,
            map,
        })
    }

    fn field(&mut self) -> Result<Field, DecodeError> {
        let (name, ty, bits) = (self.text()?, self.id()?, self.number()?);
        let json = self.position(&OMITS)?.map(|omit| JsonField {
            pointer: bits & 4 != 0,
            omit,
        });
        let default = match bits & 1 {
            0 => None,
            _ => {
                Some(serde_json::from_str(&self.text()?).map_err(|_| DecodeError { at: self.at })?)
            }
        };
        let via = match bits & 16 {
            0 => None,
            _ => Some(self.text()?),
        };
        let patch = match bits & 8 {
            0 => None,
            _ => {
                let (bits, key) = (self.number()?, self.text()?);
                let merge_key = (!key.is_empty()).then_some(key);
                Some(PatchStrategy {
                    merge: bits & 1 != 0,
                    retain_keys: bits & 2 != 0,
                    merge_key,
                })
            }
        };
        Ok(Field {
            name,
            ty,
            default,
            required: bits & 2 != 0,
            json,
            via,
            patch,
        })
    }
}

impl Schema {
    /// The compact form: what [`Schema::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::default();
        body.number(self.nodes.len());
        self.nodes.iter().for_each(|node| body.node(node));
        body.number(self.kinds.len());
        for (gvk, id) in &self.kinds {
            for part in [&gvk.group, &gvk.version, &gvk.kind] {
                body.text(&part.as_str().into());
            }
            body.number(id.0 as usize);
        }
        body.number(self.names.len());
        for (name, id) in &self.names {
            body.text(name);
            body.number(id.0 as usize);
        }
        let mut head = Writer::default();
        head.number(body.strings.len());
        for text in &body.strings {
            head.number(text.len());
            head.bytes.extend_from_slice(text.as_bytes());
        }
        head.bytes.extend(body.bytes);
        head.bytes
    }

    /// Reads the compact form.
    ///
    /// # Errors
    /// If the bytes were not written by [`Schema::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Schema, DecodeError> {
        let mut reader = Reader {
            bytes,
            at: 0,
            strings: Vec::new(),
        };
        for _ in 0..reader.number()? {
            let length = reader.number()?;
            let text = bytes
                .get(reader.at..reader.at + length)
                .and_then(|text| std::str::from_utf8(text).ok());
            let Some(text) = text else {
                return reader.fail();
            };
            reader.strings.push(text.into());
            reader.at += length;
        }
        let nodes = (0..reader.number()?)
            .map(|_| reader.node())
            .collect::<Result<Vec<_>, _>>()?;
        let kind = |reader: &mut Reader<'_>| {
            let (group, version, kind) = (reader.text()?, reader.text()?, reader.text()?);
            Ok((GroupVersionKind::new(&group, &version, &kind), reader.id()?))
        };
        let kinds = (0..reader.number()?)
            .map(|_| kind(&mut reader))
            .collect::<Result<_, _>>()?;
        let name = |reader: &mut Reader<'_>| Ok((reader.text()?, reader.id()?));
        let names = (0..reader.number()?)
            .map(|_| name(&mut reader))
            .collect::<Result<_, _>>()?;
        let schema = Schema {
            nodes,
            kinds,
            names,
        };
        let whole = schema.ids().all(|id| (id.0 as usize) < schema.nodes.len());
        if whole { Ok(schema) } else { reader.fail() }
    }

    /// Every identifier that the schema mentions.
    fn ids(&self) -> impl Iterator<Item = TypeId> {
        let of_node = |node: &Node| -> Vec<TypeId> {
            let list = node.list.iter().map(|list| list.element);
            let map = node.map.iter().flat_map(|map| {
                map.element
                    .into_iter()
                    .chain(map.fields.iter().map(|f| f.ty))
            });
            list.chain(map).collect()
        };
        let roots = self
            .kinds
            .iter()
            .map(|(_, id)| *id)
            .chain(self.names.iter().map(|(_, id)| *id));
        self.nodes.iter().flat_map(of_node).chain(roots)
    }
}
