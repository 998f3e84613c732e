//! Results: values of WebAssembly's types become JSON, up to a limit.

use super::read::snake;
use std::fmt::{Display, Write as _};
use wasmtime::component::Val;

/// Why a result is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bad {
    /// More than the limit.
    Large,
    /// Not a number, or infinite.
    NotFinite(String),
    /// A resource or the like.
    Type,
    /// The `err` of a result: what the function itself calls a failure, as text or JSON.
    Failed(String),
}

type Written = Result<(), Bad>;

pub(super) struct Writer {
    pub json: String,
    most: usize,
}

impl Writer {
    pub fn new(most: usize) -> Self {
        Self { json: String::new(), most }
    }

    fn put(&mut self, text: &str) -> Written {
        if self.json.len() + text.len() > self.most {
            return Err(Bad::Large);
        }
        self.json.push_str(text);
        Ok(())
    }

    pub fn null(&mut self) -> Written {
        self.put("null")
    }

    pub fn integer(&mut self, number: impl Display) -> Written {
        // A String takes all that is written to it.
        let _ = write!(self.json, "{number}");
        self.put("")
    }

    pub fn double(&mut self, number: f64) -> Written {
        let finite = serde_json::Number::from_f64(number).ok_or_else(|| Bad::NotFinite(number.to_string()))?;
        self.integer(finite)
    }

    /// The shortest text that gives the same 32-bit number again.
    pub fn single(&mut self, number: f32) -> Written {
        match serde_json::to_string(&number) {
            Ok(text) if number.is_finite() => self.put(&text),
            _ => Err(Bad::NotFinite(number.to_string())),
        }
    }

    fn text(&mut self, text: &str) -> Written {
        if text.len() > self.most {
            return Err(Bad::Large);
        }
        match serde_json::to_string(text) {
            Ok(json) => self.put(&json),
            Err(_) => Err(Bad::Type),
        }
    }

    /// What a function gives: the `ok` of a result is its value, the `err` its failure.
    pub fn result(&mut self, val: &Val) -> Written {
        match val {
            Val::Result(Ok(None)) => self.null(),
            Val::Result(Err(None)) => Err(Bad::Failed("the function gave an error without a message".to_owned())),
            Val::Result(Ok(Some(val))) => self.value(val),
            Val::Result(Err(Some(val))) => {
                if let Val::String(text) = &**val {
                    let cut = text.floor_char_boundary(self.most);
                    return Err(Bad::Failed(text[..cut].to_owned()));
                }
                self.value(val)?;
                Err(Bad::Failed(std::mem::take(&mut self.json)))
            }
            val => self.value(val),
        }
    }

    pub fn value(&mut self, val: &Val) -> Written {
        match val {
            Val::Bool(value) => self.integer(value),
            Val::S8(number) => self.integer(number),
            Val::U8(number) => self.integer(number),
            Val::S16(number) => self.integer(number),
            Val::U16(number) => self.integer(number),
            Val::S32(number) => self.integer(number),
            Val::U32(number) => self.integer(number),
            Val::S64(number) => self.integer(number),
            Val::U64(number) => self.integer(number),
            Val::Float32(number) => self.single(*number),
            Val::Float64(number) => self.double(*number),
            Val::Char(char) => self.text(char.encode_utf8(&mut [0; 4])),
            Val::String(text) | Val::Enum(text) => self.text(text),
            Val::List(items) | Val::Tuple(items) => self.sequence(items, Self::value),
            Val::Flags(names) => self.sequence(names, |writer, name| writer.text(name)),
            Val::Record(fields) => {
                self.put("{")?;
                for (at, (name, val)) in fields.iter().enumerate() {
                    self.put(if at > 0 { ", " } else { "" })?;
                    self.field(&snake(name), val)?;
                }
                self.put("}")
            }
            Val::Option(None) => self.null(),
            // The inner one may be none too, and must not look like the outer one.
            Val::Option(Some(val)) if matches!(**val, Val::Option(_)) => self.case("some", Some(val)),
            Val::Option(Some(val)) => self.value(val),
            Val::Result(Ok(val)) => self.case("ok", val.as_deref()),
            Val::Result(Err(val)) => self.case("err", val.as_deref()),
            Val::Variant(name, val) => match val {
                None => self.text(name),
                Some(val) => self.case(name, Some(val)),
            },
            _ => Err(Bad::Type),
        }
    }

    fn sequence<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T) -> Written) -> Written {
        self.put("[")?;
        for (at, item) in items.iter().enumerate() {
            self.put(if at > 0 { ", " } else { "" })?;
            write(self, item)?;
        }
        self.put("]")
    }

    fn field(&mut self, name: &str, val: &Val) -> Written {
        self.text(name)?;
        self.put(": ")?;
        self.value(val)
    }

    fn case(&mut self, name: &str, val: Option<&Val>) -> Written {
        self.put("{")?;
        if let Some(val) = val {
            self.field(name, val)?;
        } else {
            self.text(name)?;
            self.put(": null")?;
        }
        self.put("}")
    }
}
