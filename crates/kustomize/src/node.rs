//! The tree that transformations work on.
//!
//! kustomize decides the type of a scalar only when it writes, from the text,
//! the tag and the quotes that the scalar then has; which of the three a
//! transformation touches is visible in the output. So the tree keeps them
//! apart. Keys keep their order and may repeat; the layout is gone.

use serde_json::{Map as JsonMap, Value};
use sluice_yaml::{Booleans, Resolved, ScalarStyle, resolve};

/// A node of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Scalar(Scalar),
    Map(Map),
    Seq(Seq),
}

/// The type that a scalar claims to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    /// None: the text decides.
    Infer,
    Str,
    Int,
    Float,
    Bool,
    Null,
    /// A value left out in `{a: }`: null to whoever looks at it, but the
    /// empty text when it is written.
    BlankInFlow,
    Timestamp,
    /// Base64 of a text, which becomes the text when it is written.
    Binary,
}

impl Tag {
    pub(crate) fn short(self) -> &'static str {
        match self {
            Tag::Infer => "",
            Tag::Str => "!!str",
            Tag::Int => "!!int",
            Tag::Float => "!!float",
            Tag::Bool => "!!bool",
            Tag::Null | Tag::BlankInFlow => "!!null",
            Tag::Timestamp => "!!timestamp",
            Tag::Binary => "!!binary",
        }
    }

    pub(crate) fn of(resolved: Resolved) -> Tag {
        match resolved {
            Resolved::Null => Tag::Null,
            Resolved::Bool(_) => Tag::Bool,
            Resolved::Int(_) | Resolved::Uint(_) => Tag::Int,
            Resolved::Float(_) => Tag::Float,
            Resolved::Timestamp => Tag::Timestamp,
            Resolved::Merge | Resolved::Str => Tag::Str,
        }
    }
}

/// A scalar with all that decides its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scalar {
    pub text: String,
    pub tag: Tag,
    pub style: ScalarStyle,
    pub comments: Option<Box<Comments>>,
    /// The other places that show the same scalar.
    pub share: Share,
}

/// kustomize puts one scalar into all the places where it adds a label; who
/// changes it in one of them changes it everywhere.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    /// Which scalar of the object it is; 0 for one of its own.
    pub id: u32,
    /// It was changed here, and elsewhere not yet.
    pub touched: bool,
}

/// Where a scalar is shown does not make it another one.
impl PartialEq for Share {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The comments at a node. No build prints them, but they count for matchers of
/// replacements, are shown in errors, and stay in YAML inside of texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Comments {
    /// Lines before it.
    pub head: Vec<String>,
    /// Behind it in its line.
    pub line: Option<String>,
    /// Lines after it, before an empty one.
    pub foot: Vec<String>,
}

/// A mapping: pairs in order; of a repeated key the first is found.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Map {
    pub pairs: Vec<(Scalar, Node)>,
    /// Written as `{a: b}`.
    pub flow: bool,
    /// What go-yaml says of repeated keys, which fails the first conversion
    /// to JSON.
    pub repeated: Option<Repeated>,
    pub comments: Option<Box<Comments>>,
}

/// go-yaml's lines about repeated keys; boxed because it is rare.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Repeated(pub Box<str>);

/// A sequence.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Seq {
    pub items: Vec<Node>,
    /// Written as `[a, b]`.
    pub flow: bool,
    pub comments: Option<Box<Comments>>,
}

impl From<Vec<Node>> for Seq {
    fn from(items: Vec<Node>) -> Self {
        Seq {
            items,
            ..Seq::default()
        }
    }
}

impl std::ops::Deref for Seq {
    type Target = Vec<Node>;

    fn deref(&self) -> &Vec<Node> {
        &self.items
    }
}

impl std::ops::DerefMut for Seq {
    fn deref_mut(&mut self) -> &mut Vec<Node> {
        &mut self.items
    }
}

/// The kinds of nodes, as error texts name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Scalar,
    Map,
    Seq,
}

impl NodeKind {
    pub(crate) fn go_name(self) -> &'static str {
        match self {
            NodeKind::Scalar => "ScalarNode",
            NodeKind::Map => "MappingNode",
            NodeKind::Seq => "SequenceNode",
        }
    }
}

impl Scalar {
    /// A plain text of type string.
    pub(crate) fn string(text: impl Into<String>) -> Self {
        Scalar {
            text: text.into(),
            tag: Tag::Str,
            style: ScalarStyle::Plain,
            comments: None,
            share: Share::default(),
        }
    }

    /// A plain text whose type follows from it.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Scalar {
            tag: Tag::of(resolve(&text, Booleans::Yaml12)),
            text,
            style: ScalarStyle::Plain,
            comments: None,
            share: Share::default(),
        }
    }

    /// A plain text without a tag.
    pub(crate) fn untagged(text: impl Into<String>) -> Self {
        Scalar {
            text: text.into(),
            tag: Tag::Infer,
            style: ScalarStyle::Plain,
            comments: None,
            share: Share::default(),
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.style == ScalarStyle::Plain
    }

    /// True for a null that was read as one. The word `null` that a
    /// transformation put somewhere is printed as a null, but is none before.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.tag, Tag::Null | Tag::BlankInFlow)
    }

    /// The type and value that the scalar has when it is written.
    ///
    /// # Errors
    /// A tag that the text contradicts.
    pub(crate) fn resolve(&self) -> Result<Resolved, String> {
        if matches!(self.tag, Tag::Str | Tag::Binary) {
            return Ok(Resolved::Str);
        }
        if !self.is_plain() && matches!(self.tag, Tag::Infer | Tag::BlankInFlow) {
            return Ok(Resolved::Str);
        }
        let resolved = match resolve(&self.text, Booleans::Yaml12) {
            Resolved::Merge => Resolved::Str,
            resolved => resolved,
        };
        if self.tag == Tag::Infer || Tag::of(resolved) == self.tag {
            // In quotes the tag is dropped, unless the text contradicts it.
            return Ok(if self.is_plain() {
                resolved
            } else {
                Resolved::Str
            });
        }
        match (self.tag, resolved) {
            (Tag::Float, Resolved::Int(int)) => Ok(Resolved::Float(int as f64)),
            (Tag::Float, Resolved::Uint(int)) => Ok(Resolved::Float(int as f64)),
            _ => Err(format!(
                "yaml: cannot decode {} `{}` as a {}",
                match resolved {
                    Resolved::Timestamp => "!!str",
                    other => other.tag(),
                },
                self.text,
                self.tag.short()
            )),
        }
    }

    fn to_json(&self) -> Result<Value, String> {
        if self.tag == Tag::Binary {
            return sluice_yaml::decode_binary(&self.text)
                .map(Value::String)
                .map_err(|error| error.to_string());
        }
        if matches!(self.tag, Tag::Str | Tag::BlankInFlow) && self.style != ScalarStyle::Folded {
            return Ok(Value::String(self.text.clone()));
        }
        let resolved = self.resolve()?;
        if self.style == ScalarStyle::Folded && resolved == Resolved::Str {
            return Ok(Value::String(crate::yaml3::refolded(&self.text)));
        }
        Ok(match resolved {
            Resolved::Null => Value::Null,
            Resolved::Bool(flag) => Value::Bool(flag),
            Resolved::Int(int) => Value::from(int),
            Resolved::Uint(int) => Value::from(int),
            Resolved::Float(float) => match sluice_yaml::number_from_f64(float) {
                Some(number) => Value::Number(number),
                None => {
                    let shown = if float.is_nan() {
                        "NaN"
                    } else if float > 0.0 {
                        "+Inf"
                    } else {
                        "-Inf"
                    };
                    return Err(format!("json: unsupported value: {shown}"));
                }
            },
            Resolved::Timestamp => match sluice_yaml::timestamp_to_rfc3339(&self.text) {
                Some(text) => Value::String(text),
                None => Value::String(self.text.clone()),
            },
            Resolved::Merge | Resolved::Str => Value::String(self.text.clone()),
        })
    }
}

impl Node {
    pub(crate) fn string(text: impl Into<String>) -> Self {
        Node::Scalar(Scalar::string(text))
    }

    pub(crate) fn map() -> Self {
        Node::Map(Map::default())
    }

    /// A sequence in block style.
    pub(crate) fn seq(items: Vec<Node>) -> Self {
        Node::Seq(items.into())
    }

    /// A copy that is the same scalar as no other.
    pub(crate) fn unshared(&self) -> Node {
        match self {
            Node::Scalar(scalar) => Node::Scalar(Scalar {
                share: Share::default(),
                ..scalar.clone()
            }),
            Node::Seq(seq) => Node::Seq(Seq {
                items: seq.items.iter().map(Node::unshared).collect(),
                ..seq.clone()
            }),
            Node::Map(map) => {
                let mut copy = map.clone();
                for (_, value) in &mut copy.pairs {
                    *value = value.unshared();
                }
                Node::Map(copy)
            }
        }
    }

    /// Quotes a plain text that YAML 1.1 would not read as a string, as
    /// kustomize does when it sets a field of a mapping.
    pub(crate) fn put_in_quotes_if_ambiguous(mut self) -> Self {
        if let Node::Scalar(scalar) = &mut self
            && scalar.is_plain()
            && matches!(scalar.tag, Tag::Str | Tag::Infer)
            && is_ambiguous(&scalar.text)
        {
            scalar.style = ScalarStyle::DoubleQuoted;
        }
        self
    }

    pub(crate) fn kind(&self) -> NodeKind {
        match self {
            Node::Scalar(_) => NodeKind::Scalar,
            Node::Map(_) => NodeKind::Map,
            Node::Seq(_) => NodeKind::Seq,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Node::Scalar(scalar) if scalar.is_null())
    }

    /// The comments at the node.
    pub(crate) fn comments(&self) -> Option<&Comments> {
        match self {
            Node::Scalar(scalar) => scalar.comments.as_deref(),
            Node::Map(map) => map.comments.as_deref(),
            Node::Seq(seq) => seq.comments.as_deref(),
        }
    }

    /// True for null, `{}` and `[]`; an empty text is something.
    pub(crate) fn is_nothing(&self) -> bool {
        match self {
            Node::Scalar(scalar) => scalar.is_null(),
            Node::Map(map) => map.pairs.is_empty(),
            Node::Seq(seq) => seq.items.is_empty(),
        }
    }

    pub(crate) fn as_scalar(&self) -> Option<&Scalar> {
        match self {
            Node::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        self.as_scalar().map(|scalar| scalar.text.as_str())
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match self {
            Node::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Map> {
        match self {
            Node::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_seq(&self) -> Option<&[Node]> {
        match self {
            Node::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a field of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// The JSON form, with the types that the output has.
    ///
    /// # Errors
    /// What JSON cannot hold, with the text of Go's libraries.
    pub(crate) fn to_json(&self) -> Result<Value, String> {
        self.to_json_at(0)
    }

    fn to_json_at(&self, depth: usize) -> Result<Value, String> {
        match self {
            Node::Scalar(scalar) => scalar.to_json(),
            Node::Seq(items) => items
                .iter()
                .map(|item| item.to_json_at(depth + 1))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            Node::Map(map) => map.to_json_at(depth),
        }
    }

    /// The tree of a JSON value, as if it were read from JSON text.
    pub(crate) fn from_json(value: &Value) -> Node {
        let plain = |text: String, tag| {
            Node::Scalar(Scalar {
                text,
                tag,
                style: ScalarStyle::Plain,
                comments: None,
                share: Share::default(),
            })
        };
        match value {
            Value::Null => plain("null".to_owned(), Tag::Null),
            Value::Bool(flag) => plain(flag.to_string(), Tag::Bool),
            // Go reads every number as a float and writes it as one.
            Value::Number(number) => Node::Scalar(Scalar::plain(match number.as_f64() {
                Some(float) => sluice_yaml::float_to_text(float),
                None => number.to_string(),
            })),
            Value::String(text) => Node::Scalar(Scalar {
                text: text.clone(),
                tag: Tag::Str,
                style: style_of(text),
                comments: None,
                share: Share::default(),
            }),
            Value::Array(items) => Node::seq(items.iter().map(Node::from_json).collect()),
            Value::Object(map) => Node::Map(Map::of(
                map.iter()
                    .map(|(key, value)| {
                        let key = Scalar {
                            text: key.clone(),
                            tag: Tag::Str,
                            style: ScalarStyle::DoubleQuoted,
                            comments: None,
                            share: Share::default(),
                        };
                        (key, Node::from_json(value))
                    })
                    .collect(),
            )),
        }
    }
}

/// The style in which a text of JSON is written as YAML.
fn style_of(text: &str) -> ScalarStyle {
    if is_plain_text(text) {
        return ScalarStyle::Plain;
    }
    let written = sluice_yaml::to_string(&Value::from(text)).unwrap_or_default();
    match written.as_bytes().first() {
        Some(b'\'') => ScalarStyle::SingleQuoted,
        Some(b'|') => ScalarStyle::Literal,
        _ => ScalarStyle::DoubleQuoted,
    }
}

/// True when go-yaml writes the text without quotes.
fn is_plain_text(text: &str) -> bool {
    if text.is_empty()
        || is_ambiguous(text)
        || !matches!(resolve(text, Booleans::Yaml12), Resolved::Str)
    {
        return false;
    }
    let mut written = String::new();
    sluice_yaml::write_styled(
        text,
        ScalarStyle::Plain,
        sluice_yaml::Spot::Block,
        0,
        &mut written,
    );
    written.starts_with(text.split(' ').next().unwrap_or_default()) && !text.contains('\n')
}

/// True when YAML 1.1 reads the text as something other than a string.
fn is_ambiguous(text: &str) -> bool {
    if text.is_empty() || text.contains('\n') {
        return false;
    }
    if !matches!(resolve(text, Booleans::Yaml11), Resolved::Str) {
        return true;
    }
    // Only these make a collection or a comment of it.
    let special = text.contains(": ") || text.ends_with(':') || text.contains(" #");
    (special || text.starts_with(['{', '[', '#', '-', '?']))
        && matches!(sluice_yaml::from_str(text), Ok(value) if !value.is_string())
}

/// Forgets which scalars were changed in place.
pub(crate) fn forget_changes(map: &mut Map) {
    fn forget(node: &mut Node) {
        match node {
            Node::Scalar(scalar) => scalar.share.touched = false,
            Node::Seq(seq) => seq.items.iter_mut().for_each(forget),
            Node::Map(map) => forget_changes(map),
        }
    }
    map.pairs.iter_mut().for_each(|(_, value)| forget(value));
}

/// True when some scalar was changed in place.
pub(crate) fn was_changed(map: &Map) -> bool {
    fn changed(node: &Node) -> bool {
        match node {
            Node::Scalar(scalar) => scalar.share.touched,
            Node::Seq(seq) => seq.items.iter().any(changed),
            Node::Map(map) => was_changed(map),
        }
    }
    map.pairs.iter().any(|(_, value)| changed(value))
}

/// The JSON form of an object.
///
/// # Errors
/// As [`Node::to_json`].
pub(crate) fn map_to_json(map: &Map) -> Result<Value, String> {
    map.to_json_at(0)
}

impl Map {
    fn to_json_at(&self, depth: usize) -> Result<Value, String> {
        if let Some(Repeated(lines)) = &self.repeated {
            return Err(format!("yaml: unmarshal errors:\n  {lines}"));
        }
        let mut out = JsonMap::new();
        let mut merged = Vec::new();
        for (key, value) in &self.pairs {
            if key.text == "<<" {
                // Files have none, so a transformation wrote it, and what it
                // wrote is merged when it is read again.
                merged.push(value);
                continue;
            }
            let typed =
                key.is_plain() && !matches!(key.resolve().unwrap_or(Resolved::Str), Resolved::Str);
            if typed {
                if depth > 0 {
                    return Err("json: unsupported type: map[interface {}]interface {}".to_owned());
                }
                if matches!(key.resolve(), Ok(Resolved::Null)) {
                    continue;
                }
            }
            let value = value.to_json_at(depth + 1)?;
            out.insert(key.text.clone(), value);
        }
        for value in merged {
            let sources = match value {
                Node::Seq(seq) => seq.items.as_slice(),
                one => std::slice::from_ref(one),
            };
            for source in sources {
                let Node::Map(source) = source else {
                    return Err(
                        "yaml: map merge requires map or sequence of maps as the value".to_owned(),
                    );
                };
                if let Value::Object(pairs) = source.to_json_at(depth + 1)? {
                    for (key, value) in pairs {
                        out.entry(key).or_insert(value);
                    }
                }
            }
        }
        Ok(Value::Object(out))
    }

    /// A mapping in block style.
    pub(crate) fn of(pairs: Vec<(Scalar, Node)>) -> Self {
        Map {
            pairs,
            ..Map::default()
        }
    }

    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        self.pairs.iter().position(|(k, _)| k.text == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.pairs
            .iter()
            .find(|(k, _)| k.text == key)
            .map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.pairs
            .iter_mut()
            .find(|(k, _)| k.text == key)
            .map(|(_, value)| value)
    }

    /// Sets a field; a new one goes to the end under a plain key, in quotes
    /// where YAML 1.1 needs them.
    pub(crate) fn set(&mut self, key: &str, value: Node) {
        match self.get_mut(key) {
            Some(slot) => *slot = value,
            None => {
                let value = value.put_in_quotes_if_ambiguous();
                self.pairs.push((Scalar::untagged(key), value));
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.position(key)?;
        Some(self.pairs.remove(at).1)
    }

    /// The mapping under a key, made when it is missing or null.
    pub(crate) fn map_under(&mut self, key: &str) -> Option<&mut Map> {
        let at = match self.position(key) {
            Some(at) => at,
            None => {
                self.pairs.push((Scalar::untagged(key), Node::map()));
                self.pairs.len() - 1
            }
        };
        let slot = &mut self.pairs[at].1;
        if slot.is_null() {
            *slot = Node::map();
        }
        slot.as_map_mut()
    }
}
