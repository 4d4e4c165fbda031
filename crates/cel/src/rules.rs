//! Validation rules of custom resources: expressions over typed values (`x-kubernetes-validations`).
//!
//! A schema says of what [`Type`] `self` is; expressions are checked against it before they run, with the texts of
//! cel-go, and values take that type: a `date-time` is a timestamp, a `number` a double.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::objects::{Key, Map, OptionalValue};
use cel::{Context, Value};
use serde_json::Value as Json;

use crate::types::{Object, Type};
use crate::{
    FUNCTIONS, check, check_cost, describe, on_large_stack, parse, texts, to_cel, too_large, widest,
};

/// Expressions that are nested no deeper run on the stack of the caller.
const SHALLOW: usize = 24;

/// A checked expression.
#[derive(Debug, Clone)]
pub struct Expression {
    tree: Arc<IdedExpr>,
    loops: u32,
    depth: usize,
    result: Type,
}

/// A value that an expression sees or yields.
#[derive(Debug, Clone)]
pub struct Bound {
    value: Value,
    widest: usize,
}

impl Expression {
    /// Parses an expression over these variables and checks its types.
    ///
    /// # Errors
    /// What cel-go says, with the places.
    pub fn compile(source: &str, variables: &[(&str, Type)]) -> Result<Self, String> {
        if let Some(text) = too_large(source) {
            return Err(text);
        }
        let tree = parse(source)?;
        let (checked, loops, depth) = on_large_stack(|| {
            (
                check::type_of(source, &tree, variables),
                check::loop_depth(&tree),
                check::depth(&tree),
            )
        });
        Ok(Expression {
            result: checked.map_err(|problems| texts(source, &problems))?,
            tree: Arc::new(tree),
            loops,
            depth,
        })
    }

    /// The type of its outcome.
    pub fn result(&self) -> &Type {
        &self.result
    }

    /// Whether it uses the variable.
    pub fn uses(&self, name: &str) -> bool {
        on_large_stack(|| check::uses(&self.tree, name))
    }

    /// Evaluates with these variables.
    ///
    /// # Errors
    /// The text of cel-go, without values.
    pub fn evaluate(&self, variables: &[(&str, &Bound)]) -> Result<Bound, String> {
        let widest = variables
            .iter()
            .map(|(_, bound)| bound.widest)
            .max()
            .unwrap_or_default();
        check_cost(widest, self.loops)?;
        let run = || {
            let mut context: Context<'_> = FUNCTIONS.new_inner_scope();
            for (name, bound) in variables {
                context.add_variable_from_value(*name, bound.value.clone());
            }
            Value::resolve(&self.tree, &context)
                .map_err(|error| describe(&self.tree, error))
                .map(|value| Bound { value, widest })
        };
        if self.depth <= SHALLOW {
            run()
        } else {
            on_large_stack(run)
        }
    }
}

impl Bound {
    /// A JSON value as the type of the schema shows it.
    pub fn new(json: &Json, ty: &Type) -> Self {
        Bound {
            value: typed(json, ty),
            widest: widest(json),
        }
    }

    /// The value as one that may be absent.
    pub fn optional(value: Option<Bound>) -> Self {
        let widest = value.as_ref().map_or(0, |bound| bound.widest);
        let value = match value {
            Some(bound) => OptionalValue::of(bound.value),
            None => OptionalValue::none(),
        };
        Bound {
            value: Value::Opaque(Arc::new(value)),
            widest,
        }
    }

    /// An object that has these values for members.
    pub fn object<'a>(entries: impl IntoIterator<Item = (&'a str, &'a Bound)>) -> Self {
        let mut widest = 0;
        let entries = entries.into_iter().map(|(name, bound)| {
            widest = widest.max(bound.widest);
            (name, bound.value.clone())
        });
        let value = members(entries);
        Bound { value, widest }
    }

    /// The boolean that it is.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The text that it is.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

fn typed(json: &Json, ty: &Type) -> Value {
    match (ty, json) {
        (Type::Double, Json::Number(number)) => Value::Float(number.as_f64().unwrap_or_default()),
        (Type::Timestamp, Json::String(text)) if text.len() == 10 => {
            converted(&TIMESTAMP, &format!("{text}T00:00:00Z"))
        }
        (Type::Timestamp, Json::String(text)) => converted(&TIMESTAMP, text),
        (Type::Duration, Json::String(text)) => converted(&DURATION, text),
        (Type::List(of), Json::Array(items)) => {
            Value::List(Arc::new(items.iter().map(|item| typed(item, of)).collect()))
        }
        (Type::Map(_, of), Json::Object(map)) => members(
            map.iter()
                .map(|(key, value)| (key.as_str(), typed(value, of))),
        ),
        (Type::Object(object), Json::Object(map)) => {
            let known = object.fields.iter();
            members(known.filter_map(|(field, (name, ty))| {
                Some((field.as_str(), typed(map.get(name)?, ty)))
            }))
        }
        _ => to_cel(json),
    }
}

fn members<'a>(entries: impl Iterator<Item = (&'a str, Value)>) -> Value {
    let entries = entries.map(|(key, value)| (Key::String(Arc::new(key.to_owned())), value));
    Value::Map(Map {
        map: Arc::new(entries.collect::<HashMap<_, _>>()),
    })
}

/// Conversions of texts: the interpreter's own.
static TIMESTAMP: LazyLock<Option<IdedExpr>> = LazyLock::new(|| parse("timestamp(text)").ok());
static DURATION: LazyLock<Option<IdedExpr>> = LazyLock::new(|| parse("duration(text)").ok());

/// The text after a conversion; the text itself where it is of another form.
fn converted(conversion: &Option<IdedExpr>, text: &str) -> Value {
    let text = Value::String(Arc::new(text.to_owned()));
    let done = conversion.as_ref().and_then(|conversion| {
        let mut context = FUNCTIONS.new_inner_scope();
        context.add_variable_from_value("text", text.clone());
        Value::resolve(conversion, &context).ok()
    });
    done.unwrap_or(text)
}

/// Words that cannot name fields.
const RESERVED: [&str; 22] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "",
];

/// How an expression names a field of this JSON name. None where it cannot.
pub fn field_name(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return (!name.is_empty()).then(|| format!("__{name}__"));
    }
    let mut chars = name.chars();
    let first = chars.next()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    if first.is_ascii_digit() || !fits(first) || !chars.all(fits) {
        return None;
    }
    Some(
        name.replace("__", "__underscores__")
            .replace('.', "__dot__")
            .replace('-', "__dash__")
            .replace('/', "__slash__"),
    )
}

/// An object type of these fields: JSON name and type.
pub fn object_type(name: &str, fields: impl IntoIterator<Item = (String, Type)>) -> Type {
    let fields = fields.into_iter().filter_map(|(json, ty)| {
        let field = field_name(&json)?;
        Some((field, (json, ty)))
    });
    Type::Object(Arc::new(Object {
        name: name.to_owned(),
        fields: fields.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(source: &str, ty: Type, value: Json) -> Result<bool, String> {
        let expression = Expression::compile(source, &[("self", ty.clone())])?;
        let found = expression.evaluate(&[("self", &Bound::new(&value, &ty))])?;
        Ok(found.as_bool().expect("a boolean"))
    }

    #[test]
    fn values_have_the_types_of_the_schema() {
        let fields = [
            ("ratio", Type::Double),
            ("when", Type::Timestamp),
            ("span", Type::Duration),
            ("a-b", Type::String),
            ("port", Type::Dyn),
        ];
        let ty = object_type("object", fields.map(|(name, ty)| (name.to_owned(), ty)));
        let value = json!({"ratio": 1, "when": "2024-01-02T03:04:05Z", "span": "90s", "a-b": "x", "port": 5});
        for source in [
            "self.ratio / 2.0 == 0.5",
            "self.when > timestamp('2024-01-01T00:00:00Z')",
            "self.span < duration('2m') && self.span + duration('1m') > duration('2m')",
            "self.a__dash__b == 'x'",
            "type(self.port) == int && type(self.a__dash__b) == string",
            "isURL('https://a/b') && url('https://a:1/b').getPort() == '1'",
            "quantity('1Gi').isGreaterThan(quantity('500Mi'))",
            "ip('10.0.0.1').family() == 4",
            "'abc'.find('[b-c]+') == 'bc'",
            "[1, 2, 3].sum() == 6 && [1, 2].isSorted()",
        ] {
            assert_eq!(
                holds(source, ty.clone(), value.clone()),
                Ok(true),
                "{source}"
            );
        }
    }

    #[test]
    fn wrong_types_are_found_before_anything_runs() {
        let ty = || {
            object_type(
                "object",
                [("n".to_owned(), Type::Int), ("s".to_owned(), Type::String)],
            )
        };
        for (source, text) in [
            (
                "self.s == self.n",
                "ERROR: <input>:1:8: found no matching overload for '_==_' applied to '(string, int)'\n | self.s == \
                 self.n\n | .......^",
            ),
            (
                "self.x",
                "ERROR: <input>:1:5: undefined field 'x'\n | self.x\n | ....^",
            ),
            (
                "self.s.size() > 1 && has(self.y)",
                "ERROR: <input>:1:25: undefined field 'y'\n | self.s.size() > 1 && has(self.y)\n | \
                 ........................^",
            ),
            (
                "self.s.twist()",
                "ERROR: <input>:1:13: undeclared reference to 'twist' (in container '')\n | self.s.twist()\n | \
                 ............^",
            ),
        ] {
            let found = Expression::compile(source, &[("self", ty())]);
            assert_eq!(found.map(|_| ()), Err(text.to_owned()));
        }
    }
}
