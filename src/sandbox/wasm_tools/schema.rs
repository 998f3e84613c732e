//! JSON Schema of a component's types.

use super::read::snake;
use serde_json::{Map, Value, json};
use wasmtime::component::Type;

/// Types inside types of one file's tools. They may share parts, so that a small file can describe a huge tree.
pub(super) const MOST_TYPES: usize = 20_000;

/// The schema of a type, or why there is none; `room` is what is left of `MOST_TYPES`.
pub(super) fn schema(ty: &Type, room: &mut usize) -> Result<Value, String> {
    let inner = |ty: &Type, room: &mut usize| schema(ty, room);
    *room = room.checked_sub(1).ok_or("its types are too large to be described")?;
    Ok(match ty {
        Type::Bool => json!({"type": "boolean"}),
        Type::S8 => integer(i8::MIN, i8::MAX),
        Type::U8 => integer(u8::MIN, u8::MAX),
        Type::S16 => integer(i16::MIN, i16::MAX),
        Type::U16 => integer(u16::MIN, u16::MAX),
        Type::S32 => integer(i32::MIN, i32::MAX),
        Type::U32 => integer(u32::MIN, u32::MAX),
        Type::S64 => integer(i64::MIN, i64::MAX),
        Type::U64 => integer(u64::MIN, u64::MAX),
        Type::Float32 | Type::Float64 => json!({"type": "number"}),
        Type::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        Type::String => json!({"type": "string"}),
        Type::List(list) => json!({"type": "array", "items": inner(&list.ty(), room)?}),
        Type::Record(record) => {
            let fields = record.fields();
            *room = room.checked_sub(fields.len()).ok_or("its types are too large to be described")?;
            object(fields.map(|field| (snake(field.name), field.ty)), room)?
        }
        Type::Tuple(tuple) => {
            let items = tuple.types().map(|ty| inner(&ty, room)).collect::<Result<Vec<_>, _>>()?;
            let len = items.len();
            json!({"type": "array", "prefixItems": items, "minItems": len, "maxItems": len})
        }
        Type::Enum(names) => json!({"type": "string", "enum": listed(names.names(), room)?}),
        Type::Flags(names) => {
            let names = json!({"type": "string", "enum": listed(names.names(), room)?});
            json!({"type": "array", "items": names, "uniqueItems": true})
        }
        Type::Option(option) => {
            let some = option.ty();
            let mut some_schema = inner(&some, room)?;
            if matches!(some, Type::Option(_)) {
                some_schema = case("some", some_schema);
            }
            json!({"anyOf": [some_schema, {"type": "null"}]})
        }
        Type::Result(result) => {
            let mut side = |ty: Option<Type>| ty.map_or_else(|| Ok(json!({"type": "null"})), |ty| inner(&ty, room));
            json!({"anyOf": [case("ok", side(result.ok())?), case("err", side(result.err())?)]})
        }
        Type::Variant(variant) => {
            let mut cases = Vec::new();
            for one in variant.cases() {
                *room = room.checked_sub(1).ok_or("its types are too large to be described")?;
                let alone = || Ok(json!({"type": "string", "enum": [one.name]}));
                cases.push(one.ty.map_or_else(alone, |ty| Ok::<_, String>(case(one.name, inner(&ty, room)?)))?);
            }
            json!({"anyOf": cases})
        }
        Type::Own(_) | Type::Borrow(_) => return Err("it takes or gives a resource, which is no JSON".to_owned()),
        Type::Future(_) | Type::Stream(_) => return Err("it takes or gives a stream or future".to_owned()),
        _ => return Err("it takes or gives a type that is no JSON".to_owned()),
    })
}

/// Schema of an object with these properties, of which only options may be left out.
pub(super) fn object(fields: impl Iterator<Item = (String, Type)>, room: &mut usize) -> Result<Value, String> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, ty) in fields {
        properties.insert(name.clone(), schema(&ty, room)?);
        if !matches!(ty, Type::Option(_)) {
            required.push(name);
        }
    }
    Ok(super::describe::object(&properties, &required))
}

fn integer(least: impl Into<i128>, most: impl Into<i128>) -> Value {
    let number = |whole: i128| match (i64::try_from(whole), u64::try_from(whole)) {
        (Ok(whole), _) => json!(whole),
        (_, Ok(whole)) => json!(whole),
        _ => Value::Null,
    };
    json!({"type": "integer", "minimum": number(least.into()), "maximum": number(most.into())})
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>, room: &mut usize) -> Result<Vec<&'a str>, String> {
    *room = room.checked_sub(names.len()).ok_or("its types are too large to be described")?;
    Ok(names.collect())
}

fn case(name: &str, payload: Value) -> Value {
    super::describe::object(&Map::from_iter([(name.to_owned(), payload)]), &[name.to_owned()])
}

/// A type as WIT writes it, without the names that a type has lost.
pub(super) fn word(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::Float32 => "f32".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::List(list) => format!("list<{}>", word(&list.ty())),
        Type::Option(option) => format!("option<{}>", word(&option.ty())),
        Type::Result(result) => match (result.ok(), result.err()) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{}>", word(&ok)),
            (ok, Some(err)) => format!("result<{}, {}>", ok.map_or("_".to_owned(), |ok| word(&ok)), word(&err)),
        },
        Type::Tuple(_) => "tuple".to_owned(),
        Type::Record(_) => "record".to_owned(),
        Type::Variant(_) => "variant".to_owned(),
        Type::Enum(_) => "enum".to_owned(),
        Type::Flags(_) => "flags".to_owned(),
        _ => "resource".to_owned(),
    }
}
