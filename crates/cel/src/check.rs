//! What can be said of an expression without running it.
//!
//! Variables are of an open type (`dyn`), so only operators, literals and functions tell something.

use std::collections::HashMap;
use std::fmt;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators as op};

/// Type of an expression as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Null,
    List,
    Map,
    Optional,
    Timestamp,
    Duration,
    Dyn,
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
            Type::Null => "null_type",
            Type::List => "list(dyn)",
            Type::Map => "map(string, dyn)",
            Type::Optional => "optional_type(dyn)",
            Type::Timestamp => "timestamp",
            Type::Duration => "duration",
            Type::Dyn => "dyn",
        })
    }
}

/// The result type of a function or method; `None` when there is none of that name.
fn function(name: &str) -> Option<Type> {
    Some(match name {
        "startsWith" | "endsWith" | "contains" | "matches" | "bool" | "hasValue" | "isURL"
        | "isIP" | "isCIDR" | "isQuantity" | "isSemver" | "intersects" | "equivalent" => Type::Bool,
        "size" | "int" | "indexOf" | "lastIndexOf" | "getFullYear" | "getMonth" | "getDate"
        | "getDayOfMonth" | "getDayOfWeek" | "getDayOfYear" | "getHours" | "getMinutes"
        | "getSeconds" | "getMilliseconds" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" | "charAt" | "lowerAscii" | "upperAscii" | "replace" | "substring" | "trim"
        | "join" | "quote" | "reverse" | "format" | "encode" => Type::String,
        "bytes" | "decode" => Type::Bytes,
        "split" | "map" | "filter" => Type::List,
        "timestamp" => Type::Timestamp,
        "duration" => Type::Duration,
        "of" | "none" | "ofNonZeroValue" | "optMap" | "optFlatMap" | "or" => Type::Optional,
        "dyn" | "value" | "orValue" | "max" | "min" | "sum" => Type::Dyn,
        _ => return None,
    })
}

type Scope<'e> = HashMap<&'e str, Type>;

/// The type of an expression over `variables`.
///
/// # Errors
/// The first name that is not known.
pub(crate) fn type_of(expression: &IdedExpr, variables: &[&str]) -> Result<Type, String> {
    let scope = variables.iter().map(|name| (*name, Type::Map)).collect();
    infer(expression, &scope)
}

fn infer<'e>(expression: &'e IdedExpr, scope: &Scope<'e>) -> Result<Type, String> {
    match &expression.expr {
        Expr::Unspecified => Ok(Type::Dyn),
        Expr::Literal(literal) => Ok(match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Bytes(_) => Type::Bytes,
            LiteralValue::Double(_) => Type::Double,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::Null => Type::Null,
            LiteralValue::String(_) => Type::String,
            LiteralValue::UInt(_) => Type::Uint,
        }),
        Expr::Ident(name) => match scope.get(name.as_str()) {
            Some(known) => Ok(*known),
            None => Err(name.clone()),
        },
        Expr::Select(select) => {
            infer(&select.operand, scope)?;
            Ok(if select.test { Type::Bool } else { Type::Dyn })
        }
        Expr::List(list) => {
            for element in &list.elements {
                infer(element, scope)?;
            }
            Ok(Type::List)
        }
        Expr::Map(map) => {
            entries(&map.entries, scope)?;
            Ok(Type::Map)
        }
        Expr::Struct(structure) => {
            entries(&structure.entries, scope)?;
            Ok(Type::Dyn)
        }
        Expr::Comprehension(c) => {
            infer(&c.iter_range, scope)?;
            let accumulator = infer(&c.accu_init, scope)?;
            let mut inner = scope.clone();
            inner.insert(&c.iter_var, Type::Dyn);
            if let Some(second) = &c.iter_var2 {
                inner.insert(second, Type::Dyn);
            }
            inner.insert(&c.accu_var, accumulator);
            infer(&c.loop_cond, &inner)?;
            infer(&c.loop_step, &inner)?;
            infer(&c.result, &inner)
        }
        Expr::Call(call) => {
            // `sets.contains(…)`: the target is the name of a library.
            let is_library = call.target.as_ref().is_some_and(|target| {
                matches!(&target.expr, Expr::Ident(name)
                    if matches!(name.as_str(), "sets" | "base64" | "optional" | "math" | "strings")
                        && !scope.contains_key(name.as_str()))
            });
            if let Some(target) = call.target.as_ref().filter(|_| !is_library) {
                infer(target, scope)?;
            }
            let arguments = call
                .args
                .iter()
                .map(|a| infer(a, scope))
                .collect::<Result<Vec<_>, _>>()?;
            result(&call.func_name, &arguments).ok_or_else(|| call.func_name.clone())
        }
    }
}

fn entries<'e>(
    entries: &'e [cel::common::ast::IdedEntryExpr],
    scope: &Scope<'e>,
) -> Result<(), String> {
    for entry in entries {
        match &entry.expr {
            EntryExpr::StructField(field) => {
                infer(&field.value, scope)?;
            }
            EntryExpr::MapEntry(entry) => {
                infer(&entry.key, scope)?;
                infer(&entry.value, scope)?;
            }
        }
    }
    Ok(())
}

/// The type of a call with arguments of these types.
fn result(name: &str, arguments: &[Type]) -> Option<Type> {
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(Type::Dyn);
    Some(match name {
        op::LOGICAL_AND
        | op::LOGICAL_OR
        | op::LOGICAL_NOT
        | op::EQUALS
        | op::NOT_EQUALS
        | op::GREATER
        | op::GREATER_EQUALS
        | op::LESS
        | op::LESS_EQUALS
        | op::IN
        | op::NOT_STRICTLY_FALSE
        | op::HAS => Type::Bool,
        op::CONDITIONAL if argument(1) == argument(2) => argument(1),
        op::CONDITIONAL => Type::Dyn,
        op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO => {
            match (argument(0), argument(1)) {
                (Type::Dyn, known) | (known, _) => known,
            }
        }
        op::NEGATE => argument(0),
        op::INDEX => Type::Dyn,
        op::OPT_INDEX | op::OPT_SELECT => Type::Optional,
        name => return function(name),
    })
}

/// Turns `a.?b` into `a[?"b"]`, which means the same; the interpreter fails on the former where the
/// field is missing.
pub(crate) fn mend_optional_fields(expression: &mut IdedExpr) {
    let of_entries = |list: &mut Vec<cel::common::ast::IdedEntryExpr>| {
        for entry in list {
            match &mut entry.expr {
                EntryExpr::StructField(field) => mend_optional_fields(&mut field.value),
                EntryExpr::MapEntry(entry) => {
                    mend_optional_fields(&mut entry.key);
                    mend_optional_fields(&mut entry.value);
                }
            }
        }
    };
    match &mut expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Select(select) => mend_optional_fields(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().for_each(mend_optional_fields),
        Expr::Map(map) => of_entries(&mut map.entries),
        Expr::Struct(structure) => of_entries(&mut structure.entries),
        Expr::Call(call) => {
            if call.func_name == op::OPT_SELECT {
                call.func_name = op::OPT_INDEX.to_owned();
            }
            let target = call.target.as_deref_mut().into_iter();
            target.chain(&mut call.args).for_each(mend_optional_fields);
        }
        Expr::Comprehension(c) => {
            let parts = [
                &mut c.iter_range,
                &mut c.accu_init,
                &mut c.loop_cond,
                &mut c.loop_step,
                &mut c.result,
            ];
            parts.into_iter().for_each(mend_optional_fields);
        }
    }
}

/// How deep loops are nested.
pub(crate) fn loop_depth(expression: &IdedExpr) -> u32 {
    let deepest =
        |list: &mut dyn Iterator<Item = &IdedExpr>| list.map(loop_depth).max().unwrap_or_default();
    let of_entries = |list: &[cel::common::ast::IdedEntryExpr]| {
        let depth = |entry: &cel::common::ast::IdedEntryExpr| match &entry.expr {
            EntryExpr::StructField(field) => loop_depth(&field.value),
            EntryExpr::MapEntry(entry) => loop_depth(&entry.key).max(loop_depth(&entry.value)),
        };
        list.iter().map(depth).max().unwrap_or_default()
    };
    match &expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => 0,
        Expr::Select(select) => loop_depth(&select.operand),
        Expr::List(list) => deepest(&mut list.elements.iter()),
        Expr::Map(map) => of_entries(&map.entries),
        Expr::Struct(structure) => of_entries(&structure.entries),
        Expr::Call(call) => deepest(&mut call.args.iter().chain(call.target.as_deref())),
        // What a loop runs over may be the outcome of another loop, which counts like an inner one.
        Expr::Comprehension(c) => {
            1 + deepest(
                &mut [
                    &c.iter_range,
                    &c.accu_init,
                    &c.loop_cond,
                    &c.loop_step,
                    &c.result,
                ]
                .into_iter(),
            )
        }
    }
}

/// The longest chain of fields that begins at the variable `name`: `status.phase`.
pub(crate) fn attribute(expression: &IdedExpr, name: &str) -> Option<String> {
    fn chain(expression: &IdedExpr, name: &str) -> Option<String> {
        match &expression.expr {
            Expr::Ident(ident) => (ident == name).then(|| name.to_owned()),
            Expr::Select(select) => Some(format!(
                "{}.{}",
                chain(&select.operand, name)?,
                select.field
            )),
            _ => None,
        }
    }
    if let Some(found) = chain(expression, name) {
        return Some(found);
    }
    match &expression.expr {
        Expr::Select(select) => attribute(&select.operand, name),
        Expr::List(list) => list.elements.iter().find_map(|e| attribute(e, name)),
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .find_map(|e| attribute(e, name)),
        Expr::Comprehension(c) => [&c.iter_range, &c.loop_cond, &c.loop_step, &c.result]
            .into_iter()
            .find_map(|e| attribute(e, name)),
        _ => None,
    }
}
