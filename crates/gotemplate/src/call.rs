//! Calls of functions and methods: arity, argument types, errors.

use crate::ast::{Expr, ExprKind, FuncRef};
use crate::builtins::Shape;
use crate::error::{CallError, Problem};
use crate::exec::{At, Exec, Frame, Host, Operand, Run};
use crate::set::Callee;
use crate::types::{Kind, Method, Type};
use crate::value::{IntType, UintType, Value};

/// What a pipe hands to the next command; the first command gets nothing.
pub(crate) type Final = Option<Operand>;

/// The parameters of a function or method.
struct Signature<'s> {
    name: &'s str,
    params: &'s [Type],
    variadic: Option<Type>,
}

impl Signature<'_> {
    /// The type wanted for the argument at `index`.
    fn param(&self, index: usize) -> Type {
        match self.params.get(index) {
            Some(param) => *param,
            None => self.variadic.unwrap_or(Type::Any),
        }
    }
}

impl<'r, H: Host> Run<'r, H> {
    /// Calls a function. `args` holds the function itself first, or nothing.
    pub(crate) fn function<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        node: At<'t>,
        func: &'t FuncRef,
        args: &'t [Expr],
        last: Final,
    ) -> Exec<Operand> {
        let functions = self.functions;
        let Some(callee) = functions.get(func.index) else {
            let name = crate::strconv::quote(func.name.as_bytes());
            return Err(frame.error(format!("{name} is not a defined function")));
        };
        match callee {
            Callee::Host(function) => {
                let signature = Signature {
                    name: func.name,
                    params: function.params,
                    variadic: function.variadic,
                };
                let values = self.arguments(frame, dot, &signature, args, last, |a| a.value)?;
                let result = (function.call)(self, &values);
                self.returned(frame, node, func.name, result, function.returns)
            }
            Callee::Builtin(builtin) => {
                let signature = Signature {
                    name: func.name,
                    params: builtin.params,
                    variadic: builtin.variadic,
                };
                let result = match builtin.shape {
                    Shape::ShortCircuit { stop_at } => {
                        return self.short_circuit(frame, dot, &signature, stop_at, args, last);
                    }
                    Shape::Call => {
                        let shown = match (args.get(1), &last) {
                            (Some(written), _) => written.to_string(),
                            (None, Some(piped)) => match &piped.value {
                                Value::Str(s) => s.to_string(),
                                other => format!("<{} Value>", other.type_name()),
                            },
                            (None, None) => String::new(),
                        };
                        let argv = self.arguments(frame, dot, &signature, args, last, |a| a)?;
                        Err(crate::builtins::call(&argv[0], &shown))
                    }
                    Shape::Plain(body) => {
                        let argv = self.arguments(frame, dot, &signature, args, last, |a| a)?;
                        body(&argv, self.bytes_left())
                    }
                };
                match result {
                    Ok(operand) => {
                        self.count_result(frame, &operand.value)?;
                        Ok(operand)
                    }
                    Err(cause) => Err(self.failed(frame, node, func.name, cause)),
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn method<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        node: &'t Expr,
        method: &'static Method,
        receiver: &Value,
        args: &'t [Expr],
        last: Final,
    ) -> Exec<Operand> {
        let signature = Signature {
            name: method.name,
            params: method.params,
            variadic: method.variadic,
        };
        let values = self.arguments(frame, dot, &signature, args, last, |a| a.value)?;
        let result = (method.call)(receiver, &values);
        self.returned(frame, At::Expr(node), method.name, result, method.returns)
    }

    fn returned<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        node: At<'t>,
        name: &str,
        result: Result<Value, CallError>,
        of: Type,
    ) -> Exec<Operand> {
        match result {
            Ok(value) => {
                self.count_result(frame, &value)?;
                Ok(Operand::of(value, of))
            }
            Err(cause) => Err(self.failed(frame, node, name, cause)),
        }
    }

    fn failed<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        node: At<'t>,
        name: &str,
        cause: CallError,
    ) -> Box<crate::error::ExecError> {
        frame.set_at(node);
        frame.fail(Problem::Call {
            function: name.to_owned(),
            cause: Box::new(cause),
        })
    }

    fn count_result(&mut self, frame: &Frame<'_>, value: &Value) -> Exec<()> {
        let bytes = match value {
            Value::Str(s) | Value::Bytes(s) => s.len(),
            Value::List(list) => std::mem::size_of_val(list.items()),
            Value::Map(map) => map.len() * std::mem::size_of::<Value>(),
            _ => return Ok(()),
        };
        self.spend_at(frame, bytes)
    }

    /// `and` and `or` look no further than they have to.
    fn short_circuit<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        signature: &Signature<'_>,
        stop_at: bool,
        args: &'t [Expr],
        last: Final,
    ) -> Exec<Operand> {
        let args = args.get(1..).unwrap_or_default();
        check_arity(frame, signature, args.len(), &last)?;
        let mut value = Operand::invalid();
        for arg in args {
            value = self.argument(frame, dot, Type::Reflect, arg)?;
            if value.value.is_true() == stop_at {
                return Ok(value);
            }
        }
        if let Some(last) = last {
            value = validate(frame, last, Type::Reflect)?;
        }
        Ok(value)
    }

    /// Evaluates all arguments, and keeps of each what `keep` makes of it.
    fn arguments<'t, T>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        signature: &Signature<'_>,
        args: &'t [Expr],
        last: Final,
        keep: fn(Operand) -> T,
    ) -> Exec<Vec<T>> {
        let args = args.get(1..).unwrap_or_default();
        check_arity(frame, signature, args.len(), &last)?;
        let mut argv = Vec::with_capacity(args.len() + usize::from(last.is_some()));
        for (i, arg) in args.iter().enumerate() {
            argv.push(keep(self.argument(frame, dot, signature.param(i), arg)?));
        }
        if let Some(last) = last {
            argv.push(keep(validate(frame, last, signature.param(args.len()))?));
        }
        Ok(argv)
    }

    /// Evaluates one argument for a parameter of type `wanted`.
    fn argument<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        wanted: Type,
        arg: &'t Expr,
    ) -> Exec<Operand> {
        frame.set_at(At::Expr(arg));
        if let ExprKind::Nil = arg.kind {
            if wanted.can_be_nil() {
                return Ok(Operand::of(Value::zero(wanted), wanted));
            }
            return Err(frame.error(format!("cannot assign nil to {wanted}")));
        }
        if let Some(operand) = self.dynamic(frame, dot, arg)? {
            return validate(frame, operand, wanted);
        }
        self.constant(frame, wanted, arg)
    }

    /// Evaluates the receiver of a chain, for which no type is wanted.
    pub(crate) fn untyped<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        arg: &'t Expr,
    ) -> Exec<Operand> {
        frame.set_at(At::Expr(arg));
        match self.dynamic(frame, dot, arg)? {
            Some(operand) => Ok(operand),
            None => Err(frame.error(format!("indirection through explicit nil in {arg}"))),
        }
    }

    /// Evaluates an operand that is no literal; `None` for a literal.
    fn dynamic<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        arg: &'t Expr,
    ) -> Exec<Option<Operand>> {
        Ok(Some(match &arg.kind {
            ExprKind::Dot => dot.clone(),
            ExprKind::Field(names) => {
                self.field_chain(frame, dot, dot.clone(), arg, names, &[], None)?
            }
            ExprKind::Variable(name, names) => {
                self.variable(frame, dot, arg, name, names, &[], None)?
            }
            ExprKind::Pipe(pipe) => self.pipeline(frame, dot, pipe)?,
            ExprKind::Identifier(func) => {
                self.function(frame, dot, At::Expr(arg), func, &[], None)?
            }
            ExprKind::Chain(inner, names) => {
                self.chain(frame, dot, arg, inner, names, &[], None)?
            }
            ExprKind::Nil | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(..) => {
                return Ok(None);
            }
        }))
    }

    /// A literal takes the type that the parameter wants, if it can.
    fn constant<'t>(&self, frame: &Frame<'t>, wanted: Type, arg: &'t Expr) -> Exec<Operand> {
        let kind = wanted.kind();
        let found = |expected: &str| frame.error(format!("expected {expected}; found {arg}"));
        let value = match (kind, &arg.kind) {
            (Kind::Interface, literal) => return self.literal(frame, literal),
            (Kind::Struct, literal) if wanted == Type::Reflect => {
                return self.literal(frame, literal);
            }
            (Kind::Bool, ExprKind::Bool(b)) => Value::Bool(*b),
            (Kind::Bool, _) => return Err(found("bool")),
            (Kind::String, ExprKind::String(_, text)) => Value::Str(text.clone()),
            (Kind::String, _) => return Err(found("string")),
            (Kind::Int | Kind::Int32 | Kind::Int64, ExprKind::Number(number)) => {
                let int = number.int.ok_or_else(|| found("integer"))?;
                Value::Int(
                    match kind {
                        Kind::Int32 => IntType::Int32,
                        Kind::Int64 => IntType::Int64,
                        _ => IntType::Int,
                    },
                    int,
                )
            }
            (Kind::Int | Kind::Int32 | Kind::Int64, _) => return Err(found("integer")),
            (Kind::Uint8 | Kind::Uint32 | Kind::Uint64, ExprKind::Number(number)) => {
                let uint = number.uint.ok_or_else(|| found("unsigned integer"))?;
                match kind {
                    Kind::Uint8 => Value::Uint(UintType::Uint8, uint & 0xff),
                    Kind::Uint32 => Value::Uint(UintType::Uint32, uint & 0xffff_ffff),
                    _ => Value::Uint(UintType::Uint64, uint),
                }
            }
            (Kind::Uint8 | Kind::Uint32 | Kind::Uint64, _) => {
                return Err(found("unsigned integer"));
            }
            (Kind::Float64, ExprKind::Number(number)) => {
                Value::Float(number.float.ok_or_else(|| found("float"))?)
            }
            (Kind::Float64, _) => return Err(found("float")),
            (Kind::Complex, ExprKind::Number(number)) => {
                let (re, im) = number.complex.ok_or_else(|| found("complex"))?;
                Value::Complex(re, im)
            }
            (Kind::Complex, _) => return Err(found("complex")),
            (Kind::Invalid | Kind::Slice | Kind::Map | Kind::Struct | Kind::Pointer, _) => {
                return Err(frame.error(format!("can't handle {arg} for arg of type {wanted}")));
            }
        };
        Ok(Operand::plain(value))
    }

    fn literal(&self, frame: &Frame<'_>, literal: &ExprKind) -> Exec<Operand> {
        match literal {
            ExprKind::Bool(b) => Ok(Operand::plain(Value::Bool(*b))),
            ExprKind::String(_, text) => Ok(Operand::plain(Value::Str(text.clone()))),
            ExprKind::Number(number) => self.ideal(frame, number),
            _ => Ok(Operand::invalid()),
        }
    }
}

fn check_arity(
    frame: &Frame<'_>,
    signature: &Signature<'_>,
    written: usize,
    last: &Final,
) -> Exec<()> {
    let given = written + usize::from(last.is_some());
    let name = signature.name;
    let wanted = signature.params.len();
    if signature.variadic.is_some() {
        if given < wanted {
            return Err(frame.error(format!(
                "wrong number of args for {name}: want at least {wanted} got {written}"
            )));
        }
    } else if given != wanted {
        return Err(frame.error(format!(
            "wrong number of args for {name}: want {wanted} got {given}"
        )));
    }
    Ok(())
}

/// Checks that a value can be passed for a parameter of type `wanted`.
fn validate(frame: &Frame<'_>, operand: Operand, wanted: Type) -> Exec<Operand> {
    if !operand.is_valid() {
        if wanted.can_be_nil() {
            let boxed = wanted == Type::Any;
            return Ok(Operand {
                value: Value::zero(wanted),
                boxed,
            });
        }
        return Err(frame.error(format!("invalid value; expected {wanted}")));
    }
    if matches!(wanted, Type::Any | Type::Reflect) {
        return Ok(operand);
    }
    match operand.value.type_of() {
        Some(of) if of.assignable_to(&wanted) => Ok(Operand::plain(match operand.value {
            Value::Map(map) => Value::Map(map.as_type(wanted)),
            other => other,
        })),
        Some(of) => Err(frame.error(format!("wrong type for value; expected {wanted}; got {of}"))),
        None => Err(frame.error(format!(
            "wrong type for value; expected {wanted}; got {}",
            operand.type_name()
        ))),
    }
}
