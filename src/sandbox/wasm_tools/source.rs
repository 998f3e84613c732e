//! What may be loaded at all: bounds that keep compiling short, looked at before anything is compiled.

use crate::error::Error;
use std::borrow::Cow;
use wasmparser::{FunctionBody, Operator, Parser, Payload};

/// Bytes of a file. A component with a whole CPython has 40 MB.
const MOST_BYTES: usize = 64 << 20;
/// Bytes of WebAssembly text.
const MOST_TEXT: usize = 4 << 20;
/// Functions of all modules of a file.
const MOST_FUNCTIONS: usize = 100_000;
// Of one function, as parts of the compiler take longer than in proportion. In brackets the most that CPython has.
/// Bytes (430,000).
const MOST_BODY: usize = 512 << 10;
/// Blocks in blocks (800).
const MOST_DEPTH: usize = 2_000;
/// Loops in loops (6).
const MOST_LOOPS: usize = 64;
/// Locals times branches (165,000).
const MOST_LIVE: usize = 4_000_000;
/// Bytes times branches (1.6e9).
const MOST_PATHS: usize = 6_000_000_000;
/// Bytes of all functions.
const MOST_CODE: usize = 32 << 20;

/// Of a message.
const MOST_LINES: usize = 8;
const MOST_LINE: usize = 200;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Module,
    Component,
}

fn refuse<T>(message: impl AsRef<str>) -> Result<T, Error> {
    Err(Error::Input(format!("wasm: {}", cut(message.as_ref()))))
}

/// A message of bounded length: compilers quote the line that they do not like, which may be all of the text.
pub(super) fn cut(message: &str) -> String {
    let lines = message.lines().map(|line| match line.floor_char_boundary(MOST_LINE) {
        end if end < line.len() => format!("{}...", &line[..end]),
        _ => line.to_owned(),
    });
    lines.take(MOST_LINES).collect::<Vec<_>>().join("\n")
}

/// The binary of a binary or a text.
pub(super) fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    if bytes.len() > MOST_BYTES {
        return refuse(format!("the file has {} bytes; at most {MOST_BYTES} can be loaded", bytes.len()));
    }
    if bytes.starts_with(b"\0asm") {
        return Ok(Cow::Borrowed(bytes));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return refuse("this is neither WebAssembly (it does not begin with \\0asm) nor WebAssembly text");
    };
    if text.len() > MOST_TEXT {
        return refuse(format!("the text has {} bytes; at most {MOST_TEXT} can be read", text.len()));
    }
    match wat::parse_str(text) {
        Ok(binary) => Ok(Cow::Owned(binary)),
        Err(error) => refuse(format!("the WebAssembly text cannot be read: {error}")),
    }
}

/// Module or component, by the header alone.
pub(super) fn kind(wasm: &[u8]) -> Result<Kind, Error> {
    match wasm.get(4..8) {
        Some([1, 0, 0, 0]) => Ok(Kind::Module),
        Some([13, 0, 1, 0]) => Ok(Kind::Component),
        _ => refuse("this is no valid WebAssembly: neither a module (version 1) nor a component (version 13)"),
    }
}

/// Looks at each function before it is compiled, in nested modules too. What else is wrong with it the compiler says.
pub(super) fn inspect(wasm: &[u8]) -> Result<(), Error> {
    let (mut functions, mut code) = (0, 0);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|e| invalid(&e))?;
        let Payload::CodeSectionEntry(body) = payload else { continue };
        functions += 1;
        code += body.range().len();
        if functions > MOST_FUNCTIONS || code > MOST_CODE {
            let most = MOST_CODE >> 20;
            return refuse(format!(
                "more than {MOST_FUNCTIONS} functions or {most} MB of code are too much to compile"
            ));
        }
        let shape = Shape::of(&body).map_err(|e| invalid(&e))?;
        if let Some(what) = shape.excess() {
            return refuse(format!(
                "function {} of its code has {what}, which would take the compiler too long. Build it with less \
                 inlining (-Os), or split the function",
                functions - 1
            ));
        }
    }
    Ok(())
}

fn invalid(error: &wasmparser::BinaryReaderError) -> Error {
    Error::Input(format!("wasm: this is no valid WebAssembly: {}", cut(&error.to_string())))
}

/// What the time and memory to compile a function grow with: some parts grow with the products of these.
#[derive(Debug, Default)]
struct Shape {
    bytes: usize,
    locals: usize,
    /// Where control flow parts or joins.
    blocks: usize,
    depth: usize,
    loops: usize,
}

impl Shape {
    fn of(body: &FunctionBody<'_>) -> Result<Self, wasmparser::BinaryReaderError> {
        let mut shape = Self { bytes: body.range().len(), ..Self::default() };
        if shape.bytes > MOST_BODY {
            return Ok(shape);
        }
        for local in body.get_locals_reader()? {
            shape.locals = shape.locals.saturating_add(local?.0 as usize);
        }
        let mut open = Vec::new();
        let mut loops = 0;
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Loop { .. } => {
                    open.push(true);
                    loops += 1;
                }
                Operator::Block { .. } | Operator::If { .. } => open.push(false),
                Operator::Br { .. } | Operator::BrIf { .. } | Operator::BrTable { .. } | Operator::Else => {}
                Operator::End => {
                    loops -= usize::from(open.pop() == Some(true));
                    continue;
                }
                _ => continue,
            }
            shape.blocks += 1;
            shape.depth = shape.depth.max(open.len());
            shape.loops = shape.loops.max(loops);
        }
        Ok(shape)
    }

    /// What of it is too much.
    fn excess(&self) -> Option<String> {
        let Self { bytes, locals, blocks, depth, loops } = self;
        if *bytes > MOST_BODY {
            Some(format!("{bytes} bytes (at most {MOST_BODY})"))
        } else if *depth > MOST_DEPTH || *loops > MOST_LOOPS {
            Some(format!("{depth} nested blocks, {loops} of them loops (at most {MOST_DEPTH} and {MOST_LOOPS})"))
        } else if locals.saturating_mul(*blocks) > MOST_LIVE || bytes.saturating_mul(*blocks) > MOST_PATHS {
            Some(format!("{locals} locals, {blocks} branches and {bytes} bytes"))
        } else {
            None
        }
    }
}
