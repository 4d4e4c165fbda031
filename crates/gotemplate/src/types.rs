//! Go types, as far as templates can see them: in parameter lists, in `%T` and
//! in error texts.

use std::fmt;

use crate::error::CallError;
use crate::value::Value;

/// A Go type.
#[derive(Clone, Copy)]
pub enum Type {
    /// `interface {}`.
    Any,
    /// `reflect.Value`: a parameter that takes anything, typed as it comes.
    Reflect,
    /// `bool`.
    Bool,
    /// `int`, 64 bits wide here.
    Int,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint8`.
    Uint8,
    /// `uint32`.
    Uint32,
    /// `uint64`.
    Uint64,
    /// `float64`.
    Float64,
    /// `complex128`.
    Complex,
    /// `string`.
    String,
    /// A slice.
    Slice(&'static Type),
    /// A map with string keys.
    Map(&'static Type),
    /// A type with a name of its own.
    Named(&'static Named),
}

/// What a type is underneath, Go's `reflect.Kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No value at all.
    Invalid,
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint8`.
    Uint8,
    /// `uint32`.
    Uint32,
    /// `uint64`.
    Uint64,
    /// `float64`.
    Float64,
    /// `complex128`.
    Complex,
    /// `string`.
    String,
    /// A slice.
    Slice,
    /// A map.
    Map,
    /// A struct.
    Struct,
    /// A pointer.
    Pointer,
    /// An interface.
    Interface,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Invalid => "invalid",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Uint8 => "uint8",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::Float64 => "float64",
            Kind::Complex => "complex128",
            Kind::String => "string",
            Kind::Slice => "slice",
            Kind::Map => "map",
            Kind::Struct => "struct",
            Kind::Pointer => "ptr",
            Kind::Interface => "interface",
        })
    }
}

/// A named type: `common.Values`, `time.Duration`, `*semver.Version`.
pub struct Named {
    /// The name as `%T` prints it; a pointer type starts with `*`.
    pub name: &'static str,
    /// What the type is underneath.
    pub under: Under,
    /// How a value prints itself (Go's `String` or `Error` method).
    pub text: Option<fn(&Value) -> String>,
    /// How an action prints it when only the pointer has such a method.
    pub action_text: Option<fn(&Value) -> String>,
    /// The methods that templates may call. A function, so that methods may
    /// mention their own type.
    pub methods: fn() -> &'static [Method],
}

/// What a named type is underneath.
#[derive(Clone, Copy)]
pub enum Under {
    /// Another type: a named map, slice or integer.
    Type(Type),
    /// A struct.
    Struct,
    /// A pointer to a struct.
    Pointer,
}

/// A method that templates may call.
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Types of the parameters, the receiver not among them.
    pub params: &'static [Type],
    /// The type of further arguments, if any number of them may follow.
    pub variadic: Option<Type>,
    /// The type of the result.
    pub returns: Type,
    /// The body: receiver and arguments.
    pub call: fn(&Value, &[Value]) -> Result<Value, CallError>,
}

/// The type `[]interface {}`.
pub const ANY_SLICE: Type = Type::Slice(&Type::Any);
/// The type `[]string`.
pub const STRING_SLICE: Type = Type::Slice(&Type::String);
/// The type `[]uint8`.
pub const BYTES: Type = Type::Slice(&Type::Uint8);
/// The type `map[string]interface {}`.
pub const ANY_MAP: Type = Type::Map(&Type::Any);
/// The type `map[string]string`.
pub const STRING_MAP: Type = Type::Map(&Type::String);

impl Type {
    /// Returns the kind of the type.
    pub fn kind(&self) -> Kind {
        match self {
            Type::Any => Kind::Interface,
            Type::Reflect => Kind::Struct,
            Type::Bool => Kind::Bool,
            Type::Int => Kind::Int,
            Type::Int32 => Kind::Int32,
            Type::Int64 => Kind::Int64,
            Type::Uint8 => Kind::Uint8,
            Type::Uint32 => Kind::Uint32,
            Type::Uint64 => Kind::Uint64,
            Type::Float64 => Kind::Float64,
            Type::Complex => Kind::Complex,
            Type::String => Kind::String,
            Type::Slice(_) => Kind::Slice,
            Type::Map(_) => Kind::Map,
            Type::Named(named) => match named.under {
                Under::Type(under) => under.kind(),
                Under::Struct => Kind::Struct,
                Under::Pointer => Kind::Pointer,
            },
        }
    }

    /// Whether Go can assign a value of this type to `target`.
    pub(crate) fn assignable_to(&self, target: &Type) -> bool {
        match (self, target) {
            (_, Type::Any) => true,
            (a, b) if a == b => true,
            // A named and an unnamed type with the same body are assignable.
            (Type::Named(named), other) if !matches!(other, Type::Named(_)) => {
                is_composite(other) && matches!(named.under, Under::Type(under) if under == *other)
            }
            (other, Type::Named(named)) if !matches!(other, Type::Named(_)) => {
                is_composite(other) && matches!(named.under, Under::Type(under) if under == *other)
            }
            _ => false,
        }
    }

    /// Whether the type has a nil value that a template may pass for it.
    pub(crate) fn can_be_nil(&self) -> bool {
        matches!(self, Type::Reflect)
            || matches!(
                self.kind(),
                Kind::Interface | Kind::Map | Kind::Slice | Kind::Pointer
            )
    }

    /// The element type of a slice or map, named or not.
    pub(crate) fn element(&self) -> Type {
        match self {
            Type::Slice(element) | Type::Map(element) => **element,
            Type::Named(Named {
                under: Under::Type(under),
                ..
            }) => under.element(),
            _ => Type::Any,
        }
    }
}

fn is_composite(t: &Type) -> bool {
    matches!(t, Type::Slice(_) | Type::Map(_))
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Type::Slice(a), Type::Slice(b)) | (Type::Map(a), Type::Map(b)) => a == b,
            (Type::Named(a), Type::Named(b)) => std::ptr::eq(*a, *b) || a.name == b.name,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Type {}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("interface {}"),
            Type::Reflect => f.write_str("reflect.Value"),
            Type::Slice(element) => write!(f, "[]{element}"),
            Type::Map(element) => write!(f, "map[string]{element}"),
            Type::Named(named) => f.write_str(named.name),
            basic => write!(f, "{}", basic.kind()),
        }
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
