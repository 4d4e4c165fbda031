//! Types of expressions, and the functions that the environment has.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The type of an expression or a variable, as far as it is known before anything runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// A boolean.
    Bool,
    /// A whole number.
    Int,
    /// A whole number without a sign.
    Uint,
    /// A floating-point number.
    Double,
    /// A text.
    String,
    /// Bytes.
    Bytes,
    /// Nothing.
    Null,
    /// A point in time.
    Timestamp,
    /// A length of time.
    Duration,
    /// A list.
    List(Arc<Type>),
    /// A map with texts or other scalars for keys.
    Map(Arc<Type>, Arc<Type>),
    /// A value that may be absent.
    Optional(Arc<Type>),
    /// An object with these fields and no others.
    Object(Arc<Object>),
    /// A type of a library, such as `kubernetes.URL`.
    Opaque(&'static str),
    /// A type as a value.
    Type,
    /// Whatever the values are.
    Dyn,
    /// In signatures: one type, the same wherever the letter stands.
    Param(char),
}

/// An object type of a schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Object {
    /// What error texts call it.
    pub name: String,
    /// Field name in expressions -> name in JSON, type.
    pub fields: BTreeMap<String, (String, Type)>,
}

impl Type {
    /// A list of anything.
    pub fn list(of: Type) -> Self {
        Type::List(Arc::new(of))
    }

    /// A map with texts for keys.
    pub fn map(of: Type) -> Self {
        Type::Map(Arc::new(Type::String), Arc::new(of))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Null => "null",
            Type::Timestamp => "timestamp",
            Type::Duration => "duration",
            Type::Dyn | Type::Param(_) => "dyn",
            Type::Type => "type",
            Type::Opaque(name) => name,
            Type::Object(object) => &object.name,
            Type::List(of) => return write!(f, "list({of})"),
            Type::Map(key, of) => return write!(f, "map({key}, {of})"),
            Type::Optional(of) => return write!(f, "optional_type({of})"),
        })
    }
}

/// One overload of a function.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub target: Option<Type>,
    pub arguments: Vec<Type>,
    pub result: Type,
}

/// Operators and functions with their overloads: `TARGET.(ARGUMENTS)->RESULT`. Upper-case letters stand for any type.
const FUNCTIONS: &[(&str, &str)] = &[
    ("_&&_ _||_", "(bool,bool)->bool"),
    ("!_", "(bool)->bool"),
    ("-_", "(int)->int (double)->double"),
    ("_?_:_", "(bool,A,A)->A"),
    ("_==_ _!=_", "(A,A)->bool"),
    (
        "_<_ _<=_ _>_ _>=_",
        "(bool,bool)->bool (int,int)->bool (uint,uint)->bool (double,double)->bool (int,double)->bool \
         (double,int)->bool (int,uint)->bool (uint,int)->bool (double,uint)->bool (uint,double)->bool \
         (string,string)->bool (bytes,bytes)->bool (timestamp,timestamp)->bool (duration,duration)->bool",
    ),
    (
        "_+_",
        "(int,int)->int (uint,uint)->uint (double,double)->double (string,string)->string (bytes,bytes)->bytes \
         (list(A),list(A))->list(A) (timestamp,duration)->timestamp (duration,timestamp)->timestamp \
         (duration,duration)->duration",
    ),
    (
        "_-_",
        "(int,int)->int (uint,uint)->uint (double,double)->double (timestamp,timestamp)->duration \
         (timestamp,duration)->timestamp (duration,duration)->duration",
    ),
    (
        "_*_ _/_",
        "(int,int)->int (uint,uint)->uint (double,double)->double",
    ),
    ("_%_", "(int,int)->int (uint,uint)->uint"),
    ("@in", "(A,list(A))->bool (A,map(A,B))->bool"),
    ("_[_]", "(list(A),int)->A (map(A,B),A)->B"),
    (
        "_[?_]",
        "(list(A),int)->optional(A) (map(A,B),A)->optional(B) (optional(map(A,B)),A)->optional(B) \
               (optional(list(A)),int)->optional(A)",
    ),
    ("@not_strictly_false __not_strictly_false__", "(bool)->bool"),
    (
        "size",
        "(string)->int (bytes)->int (list(A))->int (map(A,B))->int string.()->int bytes.()->int list(A).()->int \
         map(A,B).()->int",
    ),
    (
        "startsWith endsWith contains matches",
        "string.(string)->bool",
    ),
    ("matches", "(string,string)->bool"),
    (
        "contains intersects equivalent",
        "sets.(list(A),list(A))->bool",
    ),
    (
        "int",
        "(int)->int (uint)->int (double)->int (string)->int (timestamp)->int (duration)->int",
    ),
    (
        "uint",
        "(uint)->uint (int)->uint (double)->uint (string)->uint",
    ),
    (
        "double",
        "(double)->double (int)->double (uint)->double (string)->double",
    ),
    ("bool", "(bool)->bool (string)->bool"),
    (
        "string",
        "(string)->string (bool)->string (int)->string (uint)->string (double)->string (bytes)->string \
         (timestamp)->string (duration)->string (url)->string (ip)->string (cidr)->string ip.()->string \
         cidr.()->string",
    ),
    ("bytes", "(bytes)->bytes (string)->bytes"),
    ("dyn", "(A)->dyn"),
    ("type", "(A)->type"),
    (
        "duration",
        "(duration)->duration (string)->duration (int)->duration",
    ),
    (
        "timestamp",
        "(timestamp)->timestamp (string)->timestamp (int)->timestamp",
    ),
    (
        "getFullYear getMonth getDayOfYear getDayOfMonth getDate getDayOfWeek",
        "timestamp.()->int timestamp.(string)->int",
    ),
    (
        "getHours getMinutes getSeconds getMilliseconds",
        "timestamp.()->int timestamp.(string)->int duration.()->int",
    ),
    ("charAt", "string.(int)->string"),
    (
        "indexOf lastIndexOf",
        "string.(string)->int string.(string,int)->int list(A).(A)->int",
    ),
    ("lowerAscii upperAscii trim reverse", "string.()->string"),
    (
        "replace",
        "string.(string,string)->string string.(string,string,int)->string",
    ),
    (
        "split",
        "string.(string)->list(string) string.(string,int)->list(string)",
    ),
    ("substring", "string.(int)->string string.(int,int)->string"),
    (
        "join",
        "list(string).()->string list(string).(string)->string",
    ),
    ("format", "string.(list(dyn))->string"),
    ("quote", "strings.(string)->string"),
    ("find", "string.(string)->string"),
    (
        "findAll",
        "string.(string)->list(string) string.(string,int)->list(string)",
    ),
    ("encode", "base64.(bytes)->string"),
    ("decode", "base64.(string)->bytes"),
    ("isSorted", "list(A).()->bool"),
    ("sum min max", "list(A).()->A"),
    (
        "greatest least",
        "math.(A)->A math.(A,A)->A math.(A,A,A)->A math.(A,A,A,A)->A",
    ),
    ("abs", "math.(A)->A"),
    ("ceil floor round trunc", "math.(double)->double"),
    ("of", "optional.(A)->optional(A)"),
    ("ofNonZeroValue", "optional.(A)->optional(A)"),
    ("none", "optional.()->optional(A)"),
    ("hasValue", "optional(A).()->bool"),
    ("value", "optional(A).()->A"),
    ("or", "optional(A).(optional(A))->optional(A)"),
    ("orValue", "optional(A).(A)->A"),
    ("url", "(string)->url"),
    ("isURL", "(string)->bool"),
    (
        "getScheme getHost getHostname getPort getEscapedPath",
        "url.()->string",
    ),
    ("getQuery", "url.()->map(string,list(string))"),
    ("ip", "(string)->ip cidr.()->ip"),
    ("isIP", "(string)->bool (string,int)->bool"),
    ("family", "ip.()->int"),
    (
        "isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast isGlobalUnicast",
        "ip.()->bool",
    ),
    ("isCanonical", "ip.(string)->bool"),
    ("cidr", "(string)->cidr"),
    ("isCIDR", "(string)->bool"),
    ("containsIP", "cidr.(ip)->bool cidr.(string)->bool"),
    ("containsCIDR", "cidr.(cidr)->bool cidr.(string)->bool"),
    ("masked", "cidr.()->cidr"),
    ("prefixLength", "cidr.()->int"),
    ("quantity", "(string)->quantity"),
    ("isQuantity", "(string)->bool"),
    ("isInteger", "quantity.()->bool"),
    ("asInteger sign", "quantity.()->int"),
    ("asApproximateFloat", "quantity.()->double"),
    (
        "add sub",
        "quantity.(quantity)->quantity quantity.(int)->quantity",
    ),
    (
        "isLessThan isGreaterThan",
        "quantity.(quantity)->bool semver.(semver)->bool",
    ),
    ("compareTo", "quantity.(quantity)->int semver.(semver)->int"),
    ("semver", "(string)->semver (string,bool)->semver"),
    ("isSemver", "(string)->bool (string,bool)->bool"),
    ("major minor patch", "semver.()->int"),
    (
        "named dns1123Label dns1123Subdomain dns1035Label qualifiedName dns1123LabelPrefix dns1123SubdomainPrefix \
         dns1035LabelPrefix labelValue uri uuid byte date datetime",
        "format.(string)->optional(format) format.()->format",
    ),
    ("validate", "format.(string)->optional(list(string))"),
];

/// Names that qualify functions.
pub(crate) const LIBRARIES: [&str; 6] = ["sets", "base64", "optional", "math", "strings", "format"];

/// The overloads of a function; none where there is no such function. `library` is the name that qualifies it.
pub(crate) fn signatures(name: &str, library: Option<&str>) -> Vec<Signature> {
    let of_name = FUNCTIONS
        .iter()
        .filter(|(names, _)| names.split(' ').any(|known| known == name));
    of_name
        .flat_map(|(_, overloads)| overloads.split_ascii_whitespace())
        .filter_map(|text| signature(text, library))
        .collect()
}

fn signature(text: &str, library: Option<&str>) -> Option<Signature> {
    let (call, result) = text.split_once("->")?;
    let (target, arguments) = match call.split_once(".(") {
        Some((target, arguments)) => (Some(target), arguments),
        None => (None, call.strip_prefix('(')?),
    };
    let target = match (target, library) {
        (Some(target), Some(library)) if target == library => None,
        (None | Some(_), Some(_)) => return None,
        (Some(target), None) if LIBRARIES.contains(&target) && target != "format" => return None,
        (Some(target), None) => Some(read(target)?),
        (None, None) => None,
    };
    Some(Signature {
        target,
        arguments: parts(arguments.strip_suffix(')')?)
            .into_iter()
            .map(read)
            .collect::<Option<_>>()?,
        result: read(result)?,
    })
}

/// Splits at the commas outside of brackets.
fn parts(text: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text.is_empty() {
        found.push(&text[start..]);
    }
    found
}

fn read(text: &str) -> Option<Type> {
    if let Some((name, inner)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let inner: Vec<Arc<Type>> = parts(inner)
            .into_iter()
            .map(|part| read(part).map(Arc::new))
            .collect::<Option<_>>()?;
        return Some(match (name, inner.as_slice()) {
            ("list", [of]) => Type::List(of.clone()),
            ("map", [key, of]) => Type::Map(key.clone(), of.clone()),
            ("optional", [of]) => Type::Optional(of.clone()),
            _ => return None,
        });
    }
    Some(match text {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "timestamp" => Type::Timestamp,
        "duration" => Type::Duration,
        "dyn" => Type::Dyn,
        "type" => Type::Type,
        "url" => Type::Opaque("kubernetes.URL"),
        "ip" => Type::Opaque("net.IP"),
        "cidr" => Type::Opaque("net.CIDR"),
        "quantity" => Type::Opaque("kubernetes.Quantity"),
        "semver" => Type::Opaque("kubernetes.Semver"),
        "format" => Type::Opaque("kubernetes.NamedFormat"),
        text => Type::Param(text.chars().next().filter(|_| text.len() == 1)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_can_be_read() {
        for (names, overloads) in FUNCTIONS {
            for text in overloads.split_ascii_whitespace() {
                let target = text.split_once(".(").map(|(target, _)| target);
                let library = target.filter(|target| LIBRARIES.contains(target));
                assert!(signature(text, library).is_some(), "{names}: {text}");
            }
        }
    }
}
