//! The functions that chart templates may call: Sprig's and Helm's own.
//!
//! Names, parameters, results and error texts are those of Sprig 3.3 as Helm
//! 4.2 links it. Where the original answers in random order (`keys`, `values`)
//! the answer here is sorted; time and randomness come from the [`Session`].

mod cases;
mod certs;
mod convert;
mod crypto;
mod dates;
mod decimal;
mod der;
mod dicts;
mod dsa;
mod encoding;
pub(crate) mod gotime;
mod helm;
mod jsontext;
mod lists;
mod numbers;
mod paths;
mod patterns;
mod strings;
mod toml;
mod types;
mod url;
mod versions;
mod yamltext;

use std::sync::LazyLock;

use sluice_gotemplate::{CallError, Function, Functions, Run, Type, Value};

use crate::session::Session;

pub(crate) use decimal::is_multiple as is_decimal_multiple;
pub(crate) use helm::{WARN_END, WARN_START, without_no_value};
pub(crate) use jsontext::{
    Html as JsonHtml, Layout as JsonLayout, decode as decode_json, encode as encode_json, mismatch,
    to_json_value,
};
pub(crate) use paths::{base as base_name, clean as clean_path};
pub(crate) use url::{check as check_url, is_absolute as is_absolute_url};
pub(crate) use yamltext::to_yaml;

/// A function of the table.
pub(crate) type Entry = Function<Session>;
/// The body of a function.
pub(crate) type Body = fn(&mut Run<'_, Session>, &[Value]) -> Result<Value, CallError>;
/// What a body returns.
pub(crate) type Answer = Result<Value, CallError>;

/// Makes an entry with a fixed number of parameters.
pub(crate) const fn fixed(
    name: &'static str,
    params: &'static [Type],
    returns: Type,
    call: Body,
) -> Entry {
    Function {
        name,
        params,
        variadic: None,
        returns,
        call,
    }
}

/// Makes an entry that takes any number of further arguments of type `rest`.
pub(crate) const fn open(
    name: &'static str,
    params: &'static [Type],
    rest: Type,
    returns: Type,
    call: Body,
) -> Entry {
    Function {
        name,
        params,
        variadic: Some(rest),
        returns,
        call,
    }
}

/// Returns the table of all functions of a chart's templates.
pub(crate) fn table() -> &'static Functions<Session> {
    static TABLE: LazyLock<Functions<Session>> = LazyLock::new(|| {
        let mut functions = Functions::new();
        for entries in [
            strings::TABLE,
            cases::TABLE,
            numbers::TABLE,
            lists::TABLE,
            dicts::TABLE,
            types::TABLE,
            encoding::TABLE,
            jsontext::TABLE,
            dates::TABLE,
            crypto::TABLE,
            certs::TABLE,
            patterns::TABLE,
            versions::TABLE,
            url::TABLE,
            paths::TABLE,
            toml::TABLE,
            yamltext::TABLE,
            helm::TABLE,
        ] {
            functions.add(entries.iter().copied());
        }
        functions
    });
    &TABLE
}

/// Makes a `[]string` value.
pub(crate) fn string_list(items: Vec<sluice_gotemplate::Str>) -> Value {
    convert::strings(items)
}

/// Makes an error with a text.
pub(crate) fn fail<T>(text: impl Into<String>) -> Result<T, CallError> {
    Err(CallError::new(text))
}
