//! Components: functions of WIT's types, at the top and in exported interfaces.

use super::describe::{Description, MOST_TOOLS, Made, Skipped, shown, unusable};
use super::host::Side;
use super::preview2;
use super::read::{self, snake};
use super::schema::{MOST_TYPES, object, schema, word};
use super::source::cut;
use super::write::{Bad, Writer};
use crate::error::Error;
use serde_json::{Map, Value};
use std::collections::HashMap;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, Type, Val};
use wasmtime::{Engine, Result, Store, bail};

/// A function that is a tool.
pub(super) struct Function {
    index: ComponentExportIndex,
    params: Vec<(String, Type)>,
    results: usize,
}

/// An exported function: its interface, its own name, its type.
struct Export {
    interface: Option<(String, ComponentExportIndex)>,
    name: String,
    ty: ComponentFunc,
}

/// Connects the imports and looks at the exports.
pub(super) fn load(
    engine: &Engine,
    component: &Component,
) -> std::result::Result<Made<InstancePre<Side>, Function>, Error> {
    let mut linker = Linker::new(engine);
    preview2::link(&mut linker, component)?;
    let pre = linker
        .instantiate_pre(component)
        .map_err(|error| Error::Input(format!("wasm: its imports cannot be served: {}", cut(&format!("{error:#}")))))?;
    let exports = exports(engine, component)?;
    let mut seen: HashMap<String, usize> = HashMap::new();
    for export in &exports {
        *seen.entry(snake(&export.name)).or_default() += 1;
    }
    let (mut tools, mut skipped) = (Vec::new(), Vec::new());
    let mut room = MOST_TYPES;
    for export in &exports {
        let own = snake(&export.name);
        let name = match &export.interface {
            Some((interface, _)) if seen[&own] > 1 => format!("{}_{own}", snake(short(interface))),
            _ => own,
        };
        let taken = tools.iter().any(|(known, _): &(Description, Function)| known.name == name);
        let known = export.interface.as_ref().and_then(|(interface, _)| internal(interface, &export.name));
        let made = match known.or_else(|| unusable(&name)) {
            Some(reason) => Err(reason),
            None if taken => Err("another function has this name".to_owned()),
            None => describe(&name, &export.ty, &mut room),
        };
        let made = made.and_then(|(description, params)| {
            let index = component.get_export_index(export.interface.as_ref().map(|(_, index)| index), &export.name);
            let index = index.ok_or("it cannot be found")?;
            Ok((description, Function { index, params, results: export.ty.results().len() }))
        });
        match made {
            Ok(tool) => tools.push(tool),
            Err(reason) => {
                let interface = export.interface.as_ref().map(|(name, _)| format!("{name}#")).unwrap_or_default();
                let name = format!("{interface}{}", export.name);
                skipped.push(Skipped { name: shown(&name).to_owned(), reason });
            }
        }
    }
    Ok((pre, tools, skipped))
}

fn exports(engine: &Engine, component: &Component) -> std::result::Result<Vec<Export>, Error> {
    let mut found = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(ty) => found.push(Export { interface: None, name: name.to_owned(), ty }),
            ComponentItem::ComponentInstance(instance) => {
                let Some(index) = component.get_export_index(None, name) else { continue };
                for (function, item) in instance.exports(engine) {
                    let ComponentItem::ComponentFunc(ty) = item.ty else { continue };
                    let interface = Some((name.to_owned(), index));
                    found.push(Export { interface, name: function.to_owned(), ty });
                    if found.len() > MOST_TOOLS {
                        break;
                    }
                }
            }
            _ => {}
        }
        if found.len() > MOST_TOOLS {
            return Err(Error::Input(format!("wasm: it exports more than {MOST_TOOLS} functions")));
        }
    }
    Ok(found)
}

/// `adder` of `docs:calculator/adder@0.1.0`.
fn short(interface: &str) -> &str {
    let name = interface.rsplit('/').next().unwrap_or(interface);
    name.split('@').next().unwrap_or(name)
}

/// Why an interface's function is no tool, if so: componentize-py leaves the one that it calls while it builds.
fn internal(interface: &str, function: &str) -> Option<String> {
    let internal = interface.starts_with("wasi:") || (interface, function) == ("exports", "init");
    internal.then(|| "it serves WASI, or the compiler that made the component".to_owned())
}

type Params = Vec<(String, Type)>;

fn describe(name: &str, ty: &ComponentFunc, room: &mut usize) -> std::result::Result<(Description, Params), String> {
    let params: Vec<_> = ty.params().map(|(name, ty)| (snake(name), ty)).collect();
    let parameters = object(params.iter().cloned(), room)?;
    let mut results = ty.results();
    let given = results.next();
    let returns = match &given {
        // The error of a result is no value but a fault.
        Some(Type::Result(result)) => {
            let error = result.err().map(|ty| schema(&ty, room)).transpose();
            error.and_then(|_| result.ok().map(|ty| schema(&ty, room)).transpose())?
        }
        Some(ty) => Some(schema(ty, room)?),
        None => None,
    };
    let listed: Vec<_> = params.iter().map(|(name, ty)| format!("{name}: {}", word(ty))).collect();
    let arrow = given.map(|ty| format!(" -> {}", word(&ty))).unwrap_or_default();
    let description = format!("{name}({}){arrow}", listed.join(", "));
    Ok((Description { name: name.to_owned(), description, parameters, returns }, params))
}

impl Function {
    /// The arguments of a JSON object.
    pub fn arguments(&self, name: &str, given: &Map<String, Value>) -> std::result::Result<Vec<Val>, String> {
        read::known(name, given, self.params.iter().map(|(name, _)| name.as_str()))?;
        let read = |(parameter, ty): &(String, Type)| match (ty, given.get(parameter)) {
            (Type::Option(_), None) => Ok(Val::Option(None)),
            (_, None) => Err(read::lacking(name, parameter)),
            (_, Some(json)) => read::value(ty, json, &format!("{name}: {parameter}")),
        };
        self.params.iter().map(read).collect()
    }

    /// Calls it in a new instance. The outer error is the instance's end, the inner one the result's.
    pub async fn call(
        &self,
        pre: &InstancePre<Side>,
        store: &mut Store<Side>,
        arguments: &[Val],
        writer: &mut Writer,
    ) -> Result<std::result::Result<(), Bad>> {
        let instance = pre.instantiate_async(&mut *store).await?;
        let Some(callee) = instance.get_func(&mut *store, self.index) else { bail!("the function is gone") };
        let mut results = vec![Val::Bool(false); self.results];
        callee.call_async(&mut *store, arguments, &mut results).await?;
        Ok(match results.first() {
            Some(val) => writer.result(val),
            None => writer.null(),
        })
    }
}
