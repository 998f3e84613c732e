//! Arguments: JSON becomes values of WebAssembly's types. The messages are for the model that made the call.

use serde_json::{Map, Value};
use wasmtime::component::{Type, Val};

type Read<T> = Result<T, String>;

/// Refuses arguments that the function does not have.
pub(super) fn known<'a>(
    function: &str,
    given: &Map<String, Value>,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Read<()> {
    match given.keys().find(|key| !names.clone().any(|name| name == *key)) {
        None => Ok(()),
        Some(other) => {
            let names: Vec<_> = names.collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Err(format!("{function} has no argument '{}'; it takes {names}", super::describe::shown(other)))
        }
    }
}

pub(super) fn lacking(function: &str, name: &str) -> String {
    format!("{function} lacks the argument '{name}'")
}

/// A whole number; `2.0` is one, as in JSON Schema.
pub(super) fn integer<T: TryFrom<i128> + Bounds>(value: &Value, at: &str) -> Read<T> {
    let whole = match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| number.as_f64().and_then(whole)),
        _ => return wrong(at, "an integer", value),
    };
    let fits = whole.and_then(|whole| T::try_from(whole).ok());
    fits.ok_or_else(|| format!("{at} must be an integer from {} to {}, not {}", T::LEAST, T::MOST, told(value)))
}

#[expect(clippy::cast_possible_truncation, reason = "larger ones are left out")]
fn whole(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() < 1e30).then_some(number as i128)
}

/// The range of an integer type.
pub(super) trait Bounds {
    const LEAST: i128;
    const MOST: i128;
}

macro_rules! bounds {
    ($($ty:ty),*) => { $(impl Bounds for $ty {
        const LEAST: i128 = <$ty>::MIN as i128;
        const MOST: i128 = <$ty>::MAX as i128;
    })* };
}

bounds!(i8, u8, i16, u16, i32, u32, i64, u64);

pub(super) fn double(value: &Value, at: &str) -> Read<f64> {
    match value {
        Value::Number(number) => number.as_f64().ok_or_else(|| format!("{at} is beyond the numbers")),
        _ => wrong(at, "a number", value),
    }
}

/// The nearest of the 32-bit numbers.
#[expect(clippy::cast_possible_truncation, reason = "rounded, and the infinite ones refused")]
pub(super) fn single(value: &Value, at: &str) -> Read<f32> {
    let number = double(value, at)? as f32;
    if number.is_finite() {
        Ok(number)
    } else {
        Err(format!("{at} is beyond the 32-bit numbers; it is {}", told(value)))
    }
}

fn wrong<T>(at: &str, wanted: &str, value: &Value) -> Read<T> {
    Err(format!("{at} must be {wanted}, not {}", told(value)))
}

/// A value in a few words.
fn told(value: &Value) -> String {
    let text = match value {
        Value::Null => return "null".to_owned(),
        Value::Array(_) => return "an array".to_owned(),
        Value::Object(_) => return "an object".to_owned(),
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
    };
    let shown = value.to_string();
    if shown.chars().count() <= 40 {
        return format!("{text} ({shown})");
    }
    format!("{text} ({}...)", shown.chars().take(37).collect::<String>())
}

/// A value of a component's type.
pub(super) fn value(ty: &Type, json: &Value, at: &str) -> Read<Val> {
    Ok(match ty {
        Type::Bool => match json {
            Value::Bool(value) => Val::Bool(*value),
            _ => return wrong(at, "a boolean", json),
        },
        Type::S8 => Val::S8(integer(json, at)?),
        Type::U8 => Val::U8(integer(json, at)?),
        Type::S16 => Val::S16(integer(json, at)?),
        Type::U16 => Val::U16(integer(json, at)?),
        Type::S32 => Val::S32(integer(json, at)?),
        Type::U32 => Val::U32(integer(json, at)?),
        Type::S64 => Val::S64(integer(json, at)?),
        Type::U64 => Val::U64(integer(json, at)?),
        Type::Float32 => Val::Float32(single(json, at)?),
        Type::Float64 => Val::Float64(double(json, at)?),
        Type::Char => {
            let mut chars = text(json, at, "a character")?.chars();
            match (chars.next(), chars.next()) {
                (Some(char), None) => Val::Char(char),
                _ => return wrong(at, "one character", json),
            }
        }
        Type::String => Val::String(text(json, at, "a string")?.to_owned()),
        Type::List(list) => {
            let Value::Array(items) = json else { return wrong(at, "an array", json) };
            let ty = list.ty();
            let read = |(n, item): (usize, &Value)| value(&ty, item, &format!("{at}[{n}]"));
            Val::List(items.iter().enumerate().map(read).collect::<Read<_>>()?)
        }
        Type::Record(record) => {
            let Value::Object(given) = json else { return wrong(at, "an object", json) };
            let names: Vec<String> = record.fields().map(|field| snake(field.name)).collect();
            known(at, given, names.iter().map(String::as_str))?;
            let read = |(field, name): (wasmtime::component::types::Field<'_>, &String)| {
                Ok((field.name.to_owned(), optional(&field.ty, given.get(name), &format!("{at}.{name}"))?))
            };
            Val::Record(record.fields().zip(&names).map(read).collect::<Read<_>>()?)
        }
        Type::Tuple(tuple) => {
            let Value::Array(items) = json else { return wrong(at, "an array", json) };
            if items.len() != tuple.types().len() {
                return Err(format!("{at} must have {} items, not {}", tuple.types().len(), items.len()));
            }
            let items = tuple.types().zip(items).enumerate();
            Val::Tuple(items.map(|(n, (ty, item))| value(&ty, item, &format!("{at}[{n}]"))).collect::<Read<_>>()?)
        }
        Type::Enum(names) => Val::Enum(one_of(&names.names().collect::<Vec<_>>(), text(json, at, "a string")?, at)?),
        Type::Flags(names) => {
            let Value::Array(items) = json else { return wrong(at, "an array", json) };
            let names: Vec<_> = names.names().collect();
            let mut flags: Vec<String> = Vec::new();
            for item in items {
                let flag = one_of(&names, text(item, at, "an array of strings")?, at)?;
                if !flags.contains(&flag) {
                    flags.push(flag);
                }
            }
            Val::Flags(flags)
        }
        Type::Option(inner) => {
            let inner = inner.ty();
            match json {
                Value::Null => Val::Option(None),
                _ if matches!(inner, Type::Option(_)) => {
                    let (_, json) = case(json, at, &["some"])?;
                    Val::Option(Some(Box::new(value(&inner, json.unwrap_or(&Value::Null), at)?)))
                }
                _ => Val::Option(Some(Box::new(value(&inner, json, at)?))),
            }
        }
        Type::Result(result) => {
            let (name, json) = case(json, at, &["ok", "err"])?;
            let ok = name == "ok";
            let payload = payload(if ok { result.ok() } else { result.err() }, json, &format!("{at}.{name}"))?;
            Val::Result(if ok { Ok(payload) } else { Err(payload) })
        }
        Type::Variant(variant) => {
            let names: Vec<_> = variant.cases().map(|case| case.name).collect();
            let (name, json) = case(json, at, &names)?;
            let ty = variant.cases().find(|case| case.name == name).and_then(|case| case.ty);
            Val::Variant(name.to_owned(), payload(ty, json, &format!("{at}.{name}"))?)
        }
        _ => return Err(format!("{at} has a type that cannot be written as JSON")),
    })
}

/// A parameter or field: an option may be left out.
pub(super) fn optional(ty: &Type, json: Option<&Value>, at: &str) -> Read<Val> {
    match (ty, json) {
        (_, Some(json)) => value(ty, json, at),
        (Type::Option(_), None) => Ok(Val::Option(None)),
        (_, None) => Err(format!("{at} is missing")),
    }
}

fn payload(ty: Option<Type>, json: Option<&Value>, at: &str) -> Read<Option<Box<Val>>> {
    match (ty, json) {
        (None, None | Some(Value::Null)) => Ok(None),
        (None, Some(_)) => Err(format!("{at} carries no value")),
        (Some(ty), json) => Ok(Some(Box::new(optional(&ty, json, at)?))),
    }
}

/// `"name"` or `{"name": value}`.
fn case<'a>(json: &'a Value, at: &str, names: &[&'a str]) -> Read<(&'a str, Option<&'a Value>)> {
    let (name, payload) = match json {
        Value::String(name) => (name.as_str(), None),
        Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
            Some((name, payload)) => (name.as_str(), Some(payload)),
            None => return wrong(at, "an object", json),
        },
        _ => return wrong(at, &format!("one of {}, or an object with one of them", list(names)), json),
    };
    match names.iter().find(|known| **known == name) {
        Some(known) => Ok((known, payload)),
        None => Err(format!("{at} must be one of {}, not {}", list(names), told(&name.into()))),
    }
}

fn one_of(names: &[&str], given: &str, at: &str) -> Read<String> {
    if names.contains(&given) {
        return Ok(given.to_owned());
    }
    Err(format!("{at} must be one of {}, not {}", list(names), told(&given.into())))
}

/// The first few names.
fn list(names: &[&str]) -> String {
    let more = if names.len() > 20 { ", ..." } else { "" };
    names.iter().take(20).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ") + more
}

fn text<'a>(json: &'a Value, at: &str, wanted: &str) -> Read<&'a str> {
    json.as_str().map_or_else(|| wrong(at, wanted, json), Ok)
}

/// Names of WIT as the languages of tools write them: `max-depth` is `max_depth`.
pub(super) fn snake(name: &str) -> String {
    name.replace('-', "_")
}
