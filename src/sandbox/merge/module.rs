//! One core module, read into index spaces.

use super::MergeError;
use std::collections::HashMap;
use wasmparser::{
    ConstExpr, Data, Element, ExternalKind, FuncType, FunctionBody, GlobalType, MemoryType, Parser, Payload, TableInit,
    TableType, TypeRef,
};

/// An item is imported, by module and name, or defined: its number among the defined ones.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    Imported(&'a str, &'a str),
    Defined(u32),
}

/// Index spaces of a core module.
#[derive(Default)]
pub struct Module<'a> {
    pub types: Vec<FuncType>,
    pub functions: Vec<(Entry<'a>, u32)>,
    pub tables: Vec<(Entry<'a>, TableType)>,
    pub memories: Vec<(Entry<'a>, MemoryType)>,
    pub globals: Vec<(Entry<'a>, GlobalType, Option<ConstExpr<'a>>)>,
    pub exports: HashMap<&'a str, (ExternalKind, u32)>,
    pub elements: Vec<Element<'a>>,
    pub data: Vec<Data<'a>>,
    pub bodies: Vec<FunctionBody<'a>>,
}

/// Reads the core module number `at` of its component.
pub fn parse(at: usize, bytes: &[u8]) -> Result<Module<'_>, MergeError> {
    let mut module = Module::default();
    for payload in Parser::new(0).parse_all(bytes) {
        module.section(payload?).map_err(|MergeError(reason)| MergeError::new(format!("module {at}: {reason}")))?;
    }
    Ok(module)
}

impl<'a> Module<'a> {
    fn section(&mut self, payload: Payload<'a>) -> Result<(), MergeError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for kind in group?.into_types() {
                        match kind.composite_type.inner {
                            wasmparser::CompositeInnerType::Func(function) => self.types.push(function),
                            _ => return Err(MergeError::new("a type is no function type")),
                        }
                    }
                }
            }
            Payload::ImportSection(section) => self.imports(section)?,
            Payload::FunctionSection(section) => {
                for (defined, kind) in (0..).zip(section) {
                    self.functions.push((Entry::Defined(defined), kind?));
                }
            }
            Payload::TableSection(section) => {
                for (defined, table) in (0..).zip(section) {
                    let table = table?;
                    if !matches!(table.init, TableInit::RefNull) {
                        return Err(MergeError::new("a table has an initial value"));
                    }
                    self.tables.push((Entry::Defined(defined), table.ty));
                }
            }
            Payload::MemorySection(section) => {
                for (defined, memory) in (0..).zip(section) {
                    self.memories.push((Entry::Defined(defined), memory?));
                }
            }
            Payload::GlobalSection(section) => {
                for (defined, global) in (0..).zip(section) {
                    let global = global?;
                    self.globals.push((Entry::Defined(defined), global.ty, Some(global.init_expr)));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports.insert(export.name, (export.kind, export.index));
                }
            }
            Payload::ElementSection(section) => self.elements = section.into_iter().collect::<Result<_, _>>()?,
            Payload::DataSection(section) => self.data = section.into_iter().collect::<Result<_, _>>()?,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::StartSection { .. } => return Err(MergeError::new("it has a start function")),
            Payload::TagSection(_) => return Err(MergeError::new("it has tags")),
            Payload::Version { .. }
            | Payload::DataCountSection { .. }
            | Payload::CodeSectionStart { .. }
            | Payload::CustomSection(_)
            | Payload::End(_) => {}
            other => return Err(MergeError::new(format!("it has a section of an unknown kind: {other:?}"))),
        }
        Ok(())
    }

    fn imports(&mut self, section: wasmparser::ImportSectionReader<'a>) -> Result<(), MergeError> {
        for import in section.into_imports() {
            let import = import?;
            let entry = Entry::Imported(import.module, import.name);
            match import.ty {
                TypeRef::Func(kind) => self.functions.push((entry, kind)),
                TypeRef::Table(kind) => self.tables.push((entry, kind)),
                TypeRef::Memory(kind) => self.memories.push((entry, kind)),
                TypeRef::Global(kind) => self.globals.push((entry, kind, None)),
                _ => return Err(MergeError::new(format!("it imports {:?}, which is no known kind", import.name))),
            }
        }
        Ok(())
    }
}
