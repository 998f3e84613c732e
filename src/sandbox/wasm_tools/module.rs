//! Core modules: functions of numbers.

use super::describe::{Description, MOST_TOOLS, Made, Skipped, object, shown, unusable};
use super::host::Side;
use super::preview1;
use super::read;
use super::source::cut;
use super::write::{Bad, Writer};
use crate::error::Error;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use wasmparser::{KnownCustom, Name, Parser, Payload};
use wasmtime::{Engine, ExternType, FuncType, InstancePre, Linker, Module, Result, Store, Val, ValType, bail};

pub(super) struct Core {
    pre: InstancePre<Side>,
    /// Whether `_initialize` is to be called first, as in modules for WASI that are no programs.
    initialize: bool,
}

/// A function that is a tool.
pub(super) struct Function {
    export: String,
    params: Vec<(String, ValType)>,
    result: Option<ValType>,
}

/// Connects the imports and looks at the exports.
pub(super) fn load(engine: &Engine, module: &Module, wasm: &[u8]) -> std::result::Result<Made<Core, Function>, Error> {
    let mut linker = Linker::new(engine);
    preview1::link(&mut linker, module)?;
    let pre = linker
        .instantiate_pre(module)
        .map_err(|error| Error::Input(format!("wasm: its imports cannot be served: {}", cut(&format!("{error:#}")))))?;
    let names = parameter_names(wasm);
    let (mut tools, mut skipped) = (Vec::new(), Vec::new());
    let mut initialize = false;
    for export in module.exports() {
        let ExternType::Func(ty) = export.ty() else { continue };
        if export.name() == "_initialize" && ty.params().len() == 0 && ty.results().len() == 0 {
            initialize = true;
            continue;
        }
        let reason = unusable(export.name()).or_else(|| unfit(&ty));
        match reason {
            None => tools.push(describe(export.name(), &ty, names.get(export.name()))),
            Some(reason) if skipped.len() < MOST_TOOLS => {
                skipped.push(Skipped { name: shown(export.name()).to_owned(), reason });
            }
            Some(_) => {}
        }
        if tools.len() > MOST_TOOLS {
            return Err(Error::Input(format!("wasm: it exports more than {MOST_TOOLS} functions")));
        }
    }
    Ok((Core { pre, initialize }, tools, skipped))
}

impl Core {
    /// Calls a function in a new instance. The outer error is the instance's end, the inner one the result's.
    pub async fn call(
        &self,
        store: &mut Store<Side>,
        function: &Function,
        arguments: &[Val],
        writer: &mut Writer,
    ) -> Result<std::result::Result<(), Bad>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        if self.initialize {
            let initialize = instance.get_typed_func::<(), ()>(&mut *store, "_initialize")?;
            initialize.call_async(&mut *store, ()).await?;
        }
        let Some(callee) = instance.get_func(&mut *store, &function.export) else { bail!("the function is gone") };
        let mut results = [Val::I32(0)];
        let results = &mut results[..usize::from(function.result.is_some())];
        callee.call_async(&mut *store, arguments, results).await?;
        Ok(match results {
            [Val::I32(number)] => writer.integer(*number),
            [Val::I64(number)] => writer.integer(*number),
            [Val::F32(bits)] => writer.single(f32::from_bits(*bits)),
            [Val::F64(bits)] => writer.double(f64::from_bits(*bits)),
            _ => writer.null(),
        })
    }
}

impl Function {
    /// The arguments of a JSON object.
    pub fn arguments(&self, name: &str, given: &Map<String, Value>) -> std::result::Result<Vec<Val>, String> {
        read::known(name, given, self.params.iter().map(|(name, _)| name.as_str()))?;
        let read = |(parameter, ty): &(String, ValType)| {
            let at = format!("{name}: {parameter}");
            let Some(value) = given.get(parameter) else { return Err(read::lacking(name, parameter)) };
            Ok(match ty {
                ValType::I32 => Val::I32(read::integer(value, &at)?),
                ValType::I64 => Val::I64(read::integer(value, &at)?),
                ValType::F32 => Val::F32(read::single(value, &at)?.to_bits()),
                _ => Val::F64(read::double(value, &at)?.to_bits()),
            })
        };
        self.params.iter().map(read).collect()
    }
}

/// Why such a function cannot be a tool.
fn unfit(ty: &FuncType) -> Option<String> {
    let number = |ty: &ValType| matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64);
    if let Some(other) = ty.params().chain(ty.results()).find(|ty| !number(ty)) {
        return Some(format!("it takes or gives a {other}, which is no number"));
    }
    if ty.results().len() > 1 {
        return Some("it has more than one result".to_owned());
    }
    (ty.params().len() > 64).then(|| "it has more than 64 parameters".to_owned())
}

fn describe(name: &str, ty: &FuncType, known: Option<&Vec<String>>) -> (Description, Function) {
    let count = ty.params().len();
    // The name section knows the locals too, which come after the parameters.
    let names = known.and_then(|names| names.get(..count)).filter(|names| usable(names)).map(<[String]>::to_vec);
    let names = names.unwrap_or_else(|| (0..count).map(letter).collect());
    let params: Vec<_> = names.into_iter().zip(ty.params()).collect();
    let result = ty.results().next();
    let properties: Map<_, _> = params.iter().map(|(name, ty)| (name.clone(), schema(ty))).collect();
    let listed: Vec<_> = params.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
    let arrow = result.as_ref().map(|ty| format!(" -> {ty}")).unwrap_or_default();
    let description = Description {
        name: name.to_owned(),
        description: format!("{name}({}){arrow}", listed.join(", ")),
        parameters: object(&properties, &params.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()),
        returns: result.as_ref().map(schema),
    };
    (description, Function { export: name.to_owned(), params, result })
}

/// a, b, ... z, a1, b1, ...
fn letter(index: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(index % 26).unwrap_or_default());
    if index < 26 { letter.to_string() } else { format!("{letter}{}", index / 26) }
}

fn usable(names: &[String]) -> bool {
    names.iter().enumerate().all(|(at, name)| unusable(name).is_none() && !names[..at].contains(name))
}

fn schema(ty: &ValType) -> Value {
    match ty {
        ValType::I32 => json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX}),
        ValType::I64 => json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX}),
        _ => json!({"type": "number"}),
    }
}

/// Names of the parameters of exported functions, from the name section. A hint only: what is odd in it is left out.
fn parameter_names(wasm: &[u8]) -> HashMap<String, Vec<String>> {
    let mut exports = Vec::new();
    let mut names: HashMap<u32, Vec<String>> = HashMap::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(Payload::ExportSection(section)) => {
                let functions = section.into_iter().filter_map(std::result::Result::ok);
                let functions = functions.filter(|export| export.kind == wasmparser::ExternalKind::Func);
                exports.extend(functions.take(MOST_TOOLS * 2).map(|export| (export.name.to_owned(), export.index)));
            }
            Ok(Payload::CustomSection(section)) => {
                let KnownCustom::Name(section) = section.as_known() else { continue };
                let wanted: HashSet<u32> = exports.iter().map(|(_, index)| *index).collect();
                for part in section {
                    let Ok(Name::Local(functions)) = part else { continue };
                    for function in functions.into_iter().filter_map(std::result::Result::ok) {
                        if !wanted.contains(&function.index) {
                            continue;
                        }
                        let locals = function.names.into_iter().filter_map(std::result::Result::ok);
                        let in_order = locals.take(64).enumerate().take_while(|(at, name)| name.index as usize == *at);
                        names.insert(function.index, in_order.map(|(_, name)| name.name.to_owned()).collect());
                    }
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    exports.into_iter().filter_map(|(name, index)| Some((name, names.get(&index)?.clone()))).collect()
}
