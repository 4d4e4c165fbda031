//! What can be said of an expression without running it: the types of its parts, as cel-go's checker infers them.

use std::collections::HashMap;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, operators as op};

use crate::tokens::Tokens;
use crate::types::{LIBRARIES, Signature, Type, signatures};

/// The variable in which macros gather their outcome.
const GATHERED: &str = "@result";

/// Something that is wrong with an expression, and where: an offset in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub at: usize,
    pub text: String,
}

/// The type of an expression over `variables`.
///
/// # Errors
/// Everything that is wrong with it, in the order in which it is found.
pub(crate) fn type_of(
    source: &str,
    expression: &IdedExpr,
    variables: &[(&str, Type)],
) -> Result<Type, Vec<Problem>> {
    let mut checker = Checker {
        tokens: Tokens::of(source),
        problems: Vec::new(),
    };
    let scope = variables
        .iter()
        .map(|(name, ty)| (*name, ty.clone()))
        .collect();
    let found = checker.infer(expression, &scope);
    match checker.problems.is_empty() {
        true => Ok(found),
        false => Err(checker.problems),
    }
}

type Scope<'e> = HashMap<&'e str, Type>;

struct Checker<'s> {
    tokens: Tokens<'s>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, at: usize, text: String) -> Type {
        self.problems.push(Problem { at, text });
        Type::Dyn
    }

    fn infer<'e>(&mut self, expression: &'e IdedExpr, scope: &Scope<'e>) -> Type {
        match &expression.expr {
            Expr::Unspecified => Type::Dyn,
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Bytes(_) => Type::Bytes,
                LiteralValue::Double(_) => Type::Double,
                LiteralValue::Int(_) => Type::Int,
                LiteralValue::Null => Type::Null,
                LiteralValue::String(_) => Type::String,
                LiteralValue::UInt(_) => Type::Uint,
            },
            Expr::Ident(name) => {
                let at = self.tokens.word(name);
                match scope.get(name.as_str()) {
                    Some(known) => known.clone(),
                    None if TYPES.contains(&name.as_str()) => Type::Type,
                    None => self.undeclared(at, name),
                }
            }
            Expr::Select(select) => {
                let test = select.test.then(|| {
                    self.tokens.word("has");
                    self.tokens.sign("(")
                });
                let operand = self.infer(&select.operand, scope);
                let at = self.tokens.sign(".");
                self.tokens.word(&select.field);
                let field = self.field(&operand, &select.field, test.unwrap_or(at));
                if select.test { Type::Bool } else { field }
            }
            Expr::List(list) => {
                let mut of: Option<Type> = None;
                for element in &list.elements {
                    let found = self.infer(element, scope);
                    of = Some(
                        of.map_or(found.clone(), |of| if of == found { of } else { Type::Dyn }),
                    );
                }
                Type::list(of.unwrap_or(Type::Param('_')))
            }
            Expr::Map(map) => {
                let of = self.entries(&map.entries, scope);
                Type::Map(
                    Arc::new(of.0.unwrap_or(Type::Param('_'))),
                    Arc::new(of.1.unwrap_or(Type::Param('_'))),
                )
            }
            Expr::Struct(structure) => {
                self.entries(&structure.entries, scope);
                Type::Dyn
            }
            Expr::Comprehension(c) => {
                let range = self.infer(&c.iter_range, scope);
                let (first, second) = match &range {
                    Type::List(of) => ((**of).clone(), Type::Int),
                    Type::Map(key, of) => ((**key).clone(), (**of).clone()),
                    Type::Dyn | Type::Param(_) => (Type::Dyn, Type::Dyn),
                    other => {
                        let at = self.tokens.here();
                        let text = format!(
                            "expression of type '{other}' cannot be range of a comprehension (must be list, map, or \
                             dynamic)"
                        );
                        self.problem(at, text);
                        (Type::Dyn, Type::Dyn)
                    }
                };
                self.tokens.sign("(");
                self.tokens.word(&c.iter_var);
                let gathered = self.infer(&c.accu_init, scope);
                let mut inner = scope.clone();
                inner.insert(&c.iter_var, first);
                if let Some(name) = &c.iter_var2 {
                    self.tokens.word(name);
                    inner.insert(name, second);
                }
                inner.insert(&c.accu_var, gathered);
                let step = self.infer(&c.loop_step, &inner);
                inner.insert(&c.accu_var, step);
                self.infer(&c.result, &inner)
            }
            Expr::Call(call) => {
                let library = call.target.as_ref().and_then(|target| match &target.expr {
                    Expr::Ident(name)
                        if LIBRARIES.contains(&name.as_str())
                            && !scope.contains_key(name.as_str()) =>
                    {
                        Some(name.as_str())
                    }
                    _ => None,
                });
                let target = call.target.as_ref().filter(|_| library.is_none());
                let target = target.map(|target| self.infer(target, scope));
                let name = match call.func_name.as_str() {
                    op::OPT_SELECT => op::OPT_INDEX,
                    name => name,
                };
                let gathering = call.args.iter().any(
                    |argument| matches!(&argument.expr, Expr::Ident(name) if name == GATHERED),
                );
                let sign = sign_of(name);
                let mut at = None;
                if sign.is_none() {
                    self.tokens.word(name);
                    at = Some(self.tokens.sign("("));
                }
                let mut arguments = Vec::new();
                for (index, argument) in call.args.iter().enumerate() {
                    let unary = call.args.len() == 1;
                    if let (Some(sign), false) = (sign, gathering)
                        && (index == 1 || unary)
                    {
                        let found = self.tokens.sign(sign);
                        at = at.or(Some(found));
                    }
                    arguments.push(self.infer(argument, scope));
                }
                let at = at.unwrap_or_default();
                self.call(name, library, target, &arguments, at)
            }
        }
    }

    fn undeclared(&mut self, at: usize, name: &str) -> Type {
        self.problem(
            at,
            format!("undeclared reference to '{name}' (in container '')"),
        )
    }

    fn field(&mut self, operand: &Type, name: &str, at: usize) -> Type {
        match operand {
            Type::Object(object) => match object.fields.get(name) {
                Some((_, field)) => field.clone(),
                None => self.problem(at, format!("undefined field '{name}'")),
            },
            Type::Map(_, of) => (**of).clone(),
            Type::Optional(of) => {
                let field = self.field(of, name, at);
                Type::Optional(Arc::new(field))
            }
            Type::Dyn | Type::Param(_) => Type::Dyn,
            other => self.problem(
                at,
                format!("type '{other}' does not support field selection"),
            ),
        }
    }

    fn entries<'e>(
        &mut self,
        entries: &'e [IdedEntryExpr],
        scope: &Scope<'e>,
    ) -> (Option<Type>, Option<Type>) {
        let join = |known: Option<Type>, found: Type| {
            Some(known.map_or(found.clone(), |known| {
                if known == found { known } else { Type::Dyn }
            }))
        };
        let (mut keys, mut values) = (None, None);
        for entry in entries {
            match &entry.expr {
                EntryExpr::StructField(field) => {
                    self.infer(&field.value, scope);
                }
                EntryExpr::MapEntry(entry) => {
                    keys = join(keys, self.infer(&entry.key, scope));
                    values = join(values, self.infer(&entry.value, scope));
                }
            }
        }
        (keys, values)
    }

    fn call(
        &mut self,
        name: &str,
        library: Option<&str>,
        target: Option<Type>,
        arguments: &[Type],
        at: usize,
    ) -> Type {
        if name == op::OPT_INDEX
            && let [Type::Object(_) | Type::Optional(_), _] = arguments
        {
            // `a.?b`: the field is looked up when it runs.
            return Type::Optional(Arc::new(Type::Dyn));
        }
        if name == op::INDEX
            && let [Type::Object(_), _] = arguments
        {
            return self.no_overload(name, target.as_ref(), arguments, at);
        }
        let overloads = signatures(name, library);
        if overloads.is_empty() {
            let name = library.map_or(name.to_owned(), |library| format!("{library}.{name}"));
            let name = name.rsplit('.').next().unwrap_or(&name).to_owned();
            return self.undeclared(at, &name);
        }
        let mut found: Vec<Type> = Vec::new();
        for overload in &overloads {
            if let Some(result) = apply(overload, target.as_ref(), arguments)
                && !found.contains(&result)
            {
                found.push(result);
            }
        }
        match found.as_slice() {
            [] => self.no_overload(name, target.as_ref(), arguments, at),
            [one] => one.clone(),
            // Several fit where something is dynamic.
            _ => Type::Dyn,
        }
    }

    fn no_overload(
        &mut self,
        name: &str,
        target: Option<&Type>,
        arguments: &[Type],
        at: usize,
    ) -> Type {
        let arguments: Vec<String> = arguments.iter().map(Type::to_string).collect();
        let arguments = format!("({})", arguments.join(", "));
        let applied = match target {
            Some(target) => format!("{target}.{arguments}"),
            None => arguments,
        };
        self.problem(
            at,
            format!("found no matching overload for '{name}' applied to '{applied}'"),
        )
    }
}

/// Types by name: what `type()` is compared with.
pub(crate) const TYPES: [&str; 10] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
];

/// The sign that stands for an operator.
fn sign_of(name: &str) -> Option<&'static str> {
    Some(match name {
        op::LOGICAL_AND => "&&",
        op::LOGICAL_OR => "||",
        op::LOGICAL_NOT => "!",
        op::EQUALS => "==",
        op::NOT_EQUALS => "!=",
        op::GREATER => ">",
        op::GREATER_EQUALS => ">=",
        op::LESS => "<",
        op::LESS_EQUALS => "<=",
        op::IN => "in",
        op::ADD => "+",
        op::SUBSTRACT | op::NEGATE => "-",
        op::MULTIPLY => "*",
        op::DIVIDE => "/",
        op::MODULO => "%",
        op::CONDITIONAL => "?",
        op::INDEX => "[",
        op::OPT_INDEX => "?",
        name if name.starts_with('@') || name.contains('_') && name.starts_with("__") => "",
        _ => return None,
    })
}

/// The result of an overload for these arguments; None where it does not fit.
fn apply(overload: &Signature, target: Option<&Type>, arguments: &[Type]) -> Option<Type> {
    if overload.arguments.len() != arguments.len() {
        return None;
    }
    let mut bound = HashMap::new();
    match (&overload.target, target) {
        (Some(wanted), Some(given)) if fits(wanted, given, &mut bound) => {}
        (None, None) => {}
        _ => return None,
    }
    let pairs = overload.arguments.iter().zip(arguments);
    pairs
        .into_iter()
        .all(|(wanted, given)| fits(wanted, given, &mut bound))
        .then(|| fill(&overload.result, &bound))
}

/// Whether a value of type `given` can stand where `wanted` is; binds the parameters of `wanted`.
fn fits(wanted: &Type, given: &Type, bound: &mut HashMap<char, Type>) -> bool {
    match (wanted, given) {
        (Type::Param(name), given) => match bound.get(name).cloned() {
            // What is dynamic once is dynamic for all; what nothing is known of takes any type.
            Some(known) if is_open(&known) || *given == Type::Dyn => {
                bound.insert(*name, given.clone());
                true
            }
            Some(known) => fits(&known, given, &mut HashMap::new()),
            None => {
                bound.insert(*name, given.clone());
                true
            }
        },
        (_, Type::Dyn | Type::Param(_)) | (Type::Dyn, _) => true,
        // Only values that may be absent can be compared with null.
        (Type::Null, Type::Null) => true,
        (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => {
            fits(a, b, bound)
        }
        (Type::Map(a, x), Type::Map(b, y)) => fits(a, b, bound) && fits(x, y, bound),
        (wanted, given) => wanted == given,
    }
}

/// Whether nothing is known of a type, so that another one says more.
fn is_open(ty: &Type) -> bool {
    match ty {
        Type::Param(_) => true,
        Type::List(of) | Type::Optional(of) => is_open(of),
        Type::Map(_, of) => is_open(of),
        _ => false,
    }
}

fn fill(ty: &Type, bound: &HashMap<char, Type>) -> Type {
    match ty {
        Type::Param(name) => bound.get(name).cloned().unwrap_or(Type::Dyn),
        Type::List(of) => Type::list(fill(of, bound)),
        Type::Optional(of) => Type::Optional(Arc::new(fill(of, bound))),
        Type::Map(key, of) => Type::Map(Arc::new(fill(key, bound)), Arc::new(fill(of, bound))),
        ty => ty.clone(),
    }
}

/// Turns `a.?b` into `a[?"b"]`, which means the same; the interpreter fails on the former where the
/// field is missing.
pub(crate) fn mend_optional_fields(expression: &mut IdedExpr) {
    let of_entries = |list: &mut Vec<IdedEntryExpr>| {
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
    // What a loop runs over may be the outcome of another loop, which counts like an inner one.
    let own = u32::from(matches!(expression.expr, Expr::Comprehension(_)));
    let inner = parts(expression).into_iter().map(loop_depth).max();
    own + inner.unwrap_or_default()
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
    parts(expression)
        .into_iter()
        .find_map(|part| attribute(part, name))
}

/// How deep the parts of an expression are nested.
pub(crate) fn depth(expression: &IdedExpr) -> usize {
    1 + parts(expression)
        .into_iter()
        .map(depth)
        .max()
        .unwrap_or_default()
}

/// Whether an expression uses the variable.
pub(crate) fn uses(expression: &IdedExpr, name: &str) -> bool {
    matches!(&expression.expr, Expr::Ident(ident) if ident == name)
        || parts(expression).into_iter().any(|part| uses(part, name))
}

/// The parts of an expression.
fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => entry_parts(&map.entries),
        Expr::Struct(structure) => entry_parts(&structure.entries),
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Comprehension(c) => vec![
            &c.iter_range,
            &c.accu_init,
            &c.loop_cond,
            &c.loop_step,
            &c.result,
        ],
    }
}

fn entry_parts(entries: &[IdedEntryExpr]) -> Vec<&IdedExpr> {
    let mut found = Vec::new();
    for entry in entries {
        match &entry.expr {
            EntryExpr::StructField(field) => found.push(&field.value),
            EntryExpr::MapEntry(entry) => found.extend([&entry.key, &entry.value]),
        }
    }
    found
}
