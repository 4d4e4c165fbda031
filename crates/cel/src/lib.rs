//! CEL expressions over Kubernetes objects: readiness of dependencies and custom health checks.
//!
//! A thin layer over the `cel` interpreter that adds what Flux's environment has and the interpreter
//! has not: a check that an expression is boolean before it runs, cel-go's error texts, JSON numbers
//! as integers, and bounds on size and cost (the interpreter has none).
//!
//! [`rules`] are the validation rules of custom resources, over values whose types a schema gives.
//!
//! Libraries: strings, lists, sets, encoders, math, URLs, addresses, quantities, versions, named formats, optional
//! types. Not available in the interpreter, and so refused or failing at run time: `cel.bind`, two-variable
//! comprehensions.

mod check;
pub mod health;
pub mod rules;
mod tokens;
mod types;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::objects::{Key, Map};
use cel::parser::Parser;
use cel::{Context, ExecutionError, Value};
use kube_cel::KubeCelExt as _;
use serde_json::Value as Json;

pub use types::{Object, Type};

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 16 << 10;
/// Deepest nesting of brackets.
const MAX_NESTING: usize = 80;
/// Most signs that can nest without brackets: `.`, operators.
const MAX_SIGNS: usize = 800;
/// Stack for parsing and evaluating. The parser descends through a dozen rules for each bracket, so
/// that the stack of a worker thread would end after ten of them.
const STACK: usize = 64 << 20;
/// Most steps of one evaluation, estimated before it runs.
const MAX_STEPS: u64 = 20_000_000;

/// Why an expression cannot be used or gives no answer. Texts are Flux's and cel-go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no expression, or uses what does not exist.
    #[error("failed to parse the CEL expression '{expression}': {error}")]
    Parse {
        /// The expression.
        expression: String,
        /// Where and what, with the line in question.
        error: String,
    },
    /// It does not yield a boolean.
    #[error("CEL expression output type mismatch: expected bool, got {0}")]
    Type(String),
    /// It failed on the given values.
    #[error("failed to evaluate the CEL expression '{expression}': {error}")]
    Evaluate {
        /// The expression.
        expression: String,
        /// What failed. Never holds a value.
        error: String,
    },
}

impl Error {
    /// Whether only another expression can help, not another value.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Error::Evaluate { .. })
    }
}

/// A parsed expression that answers yes or no.
#[derive(Debug, Clone)]
pub struct Predicate {
    source: Arc<str>,
    expression: Arc<IdedExpr>,
}

impl PartialEq for Predicate {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Predicate {
    /// Parses an expression; names and types are not looked at.
    ///
    /// # Errors
    /// [`Error::Parse`] with the place.
    pub fn parse(source: &str) -> Result<Self, Error> {
        let fail = |error: String| Error::Parse {
            expression: source.to_owned(),
            error,
        };
        if let Some(error) = too_large(source) {
            let shown: String = source.chars().take(40).collect();
            return Err(Error::Parse {
                expression: format!("{shown}..."),
                error,
            });
        }
        let expression = parse(source).map_err(fail)?;
        Ok(Self {
            source: source.into(),
            expression: Arc::new(expression),
        })
    }

    /// Parses an expression over these variables and checks that all names are known and that the
    /// result is boolean, whatever the values are.
    ///
    /// # Errors
    /// [`Error::Parse`] for syntax and unknown names, [`Error::Type`] for another or an open type.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, Error> {
        let predicate = Self::parse(source)?;
        let any = || Type::map(Type::Dyn);
        let variables: Vec<(&str, Type)> = variables.iter().map(|name| (*name, any())).collect();
        let checked = on_large_stack(|| check::type_of(source, &predicate.expression, &variables));
        match checked {
            Ok(Type::Bool) => Ok(predicate),
            Ok(other) => Err(Error::Type(other.to_string())),
            Err(problems) => Err(Error::Parse {
                expression: source.to_owned(),
                error: texts(source, &problems),
            }),
        }
    }

    /// Evaluates with these variables.
    ///
    /// # Errors
    /// [`Error::Evaluate`], which quotes names but never values.
    pub fn evaluate(&self, variables: &[(&str, &Json)]) -> Result<bool, Error> {
        let fail = |error: String| Error::Evaluate {
            expression: self.source.to_string(),
            error,
        };
        let widest = variables
            .iter()
            .map(|(_, value)| widest(value))
            .max()
            .unwrap_or_default();
        check_cost(widest, check::loop_depth(&self.expression)).map_err(fail)?;
        on_large_stack(|| {
            let mut context = FUNCTIONS.new_inner_scope();
            for (name, value) in variables {
                context.add_variable_from_value(*name, to_cel(value));
            }
            match Value::resolve(&self.expression, &context) {
                Ok(Value::Bool(answer)) => Ok(answer),
                Ok(_) => Err(fail("the result is not a boolean".to_owned())),
                Err(error) => Err(fail(describe(&self.expression, error))),
            }
        })
    }
}

/// The functions of the environment, and the names of types.
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut context = Context::default().with_all();
    context.add_function("type", |value: Value| {
        Arc::new(type_name(&value).to_owned())
    });
    for name in check::TYPES {
        context.add_variable_from_value(name, Value::String(Arc::new(name.to_owned())));
    }
    context
});

/// What `type()` says of a value.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::Float(_) => "double",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Null => "null_type",
        _ => "dyn",
    }
}

/// Parses an expression.
fn parse(source: &str) -> Result<IdedExpr, String> {
    on_large_stack(|| {
        let parsed = Parser::new().enable_optional_syntax(true).parse(source);
        let mended = parsed.map(|mut expression| {
            check::mend_optional_fields(&mut expression);
            expression
        });
        mended.map_err(|errors| {
            let text = |e: &cel::ParseError| located(source, e.pos.0, e.pos.1, &e.msg);
            let texts: Vec<String> = errors.errors.iter().map(text).collect();
            texts.join("\n")
        })
    })
}

/// What is wrong with an expression, each with its place.
fn texts(source: &str, problems: &[check::Problem]) -> String {
    let text = |problem: &check::Problem| {
        let head = source.get(..problem.at).unwrap_or_default();
        let line = head.matches('\n').count() + 1;
        let column = head.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let number = |n: usize| isize::try_from(n).unwrap_or(1);
        located(source, number(line), number(column), &problem.text)
    };
    problems.iter().map(text).collect::<Vec<_>>().join("\n")
}

/// Refuses what would take too long: loops in loops over long lists.
fn check_cost(widest: usize, loops: u32) -> Result<(), String> {
    let steps = u64::try_from(widest.max(8))
        .unwrap_or(u64::MAX)
        .saturating_pow(loops);
    match steps > MAX_STEPS {
        true => Err("actual cost limit exceeded".to_owned()),
        false => Ok(()),
    }
}

/// The text of a run-time error, without the values that the interpreter would quote.
fn describe(expression: &IdedExpr, error: ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::UndeclaredReference(name) => {
            let attribute = check::attribute(expression, &name).unwrap_or_else(|| name.to_string());
            format!("no such attribute(s): {attribute}")
        }
        ExecutionError::IndexOutOfBounds(Value::Int(at)) => format!("index out of bounds: {at}"),
        ExecutionError::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::FunctionError { function, .. } => {
            format!("function '{function}' failed")
        }
        _ => "no such overload".to_owned(),
    }
}

/// What is too large about an expression, if something is.
fn too_large(source: &str) -> Option<String> {
    if source.len() > MAX_LENGTH {
        return Some(format!("it is longer than {MAX_LENGTH} bytes"));
    }
    let (mut depth, mut deepest, mut signs) = (0_usize, 0, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'.' | b'!' | b'-' | b'+' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'&' | b'|'
            | b'?' => signs += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
        signs += usize::from(byte == b'[');
    }
    if deepest > MAX_NESTING {
        return Some(format!(
            "brackets are nested more than {MAX_NESTING} levels deep"
        ));
    }
    (signs > MAX_SIGNS).then(|| format!("it has more than {MAX_SIGNS} operators"))
}

/// Runs something deep on a stack that is large enough for it.
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // Out of threads: nothing else works then either.
            Err(error) => panic!("cannot start a thread: {error}"),
        }
    })
}

/// `ERROR: <input>:line:column: text`, the line and a mark below the column; both count from 1.
fn located(source: &str, line: isize, column: isize, text: &str) -> String {
    let index = usize::try_from(line - 1).unwrap_or_default();
    let snippet = source.lines().nth(index).unwrap_or_default();
    let dots = ".".repeat(usize::try_from(column - 1).unwrap_or_default());
    format!("ERROR: <input>:{line}:{column}: {text}\n | {snippet}\n | {dots}^")
}

/// The most elements that a list, map or text in a value has: a loop runs over one of them.
fn widest(value: &Json) -> usize {
    match value {
        Json::Array(items) => items
            .iter()
            .map(widest)
            .max()
            .unwrap_or_default()
            .max(items.len()),
        Json::Object(map) => map
            .values()
            .map(widest)
            .max()
            .unwrap_or_default()
            .max(map.len()),
        _ => 0,
    }
}

/// JSON to CEL with every whole number an `int`.
fn to_cel(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Value::Int(i),
            (None, Some(u)) => Value::UInt(u),
            (None, None) => Value::Float(n.as_f64().unwrap_or_default()),
        },
        Json::String(s) => Value::String(Arc::new(s.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Json::Object(map) => {
            let entries = map
                .iter()
                .map(|(k, v)| (Key::String(Arc::new(k.clone())), to_cel(v)));
            Value::Map(Map {
                map: Arc::new(entries.collect::<HashMap<_, _>>()),
            })
        }
    }
}

#[cfg(test)]
mod tests;
