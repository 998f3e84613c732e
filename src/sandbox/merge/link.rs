//! Links the core modules: one index space, constants folded, dead code left out.

use super::body::{Body, Types};
use super::component::{HostFunction, Parts, Target};
use super::module::{Entry, Module};
use super::{MergeError, Merged};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use wasm_encoder::reencode::Reencode as _;
use wasm_encoder::{
    CodeSection, ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, FunctionSection,
    GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, RefType, TableSection, TableType, ValType,
};
use wasmparser::{DataKind, ElementItems, ElementKind, ExternalKind, FuncType, Operator};

/// A stack pointer and a thread pointer or two. More would be state that nobody looked at.
const MOST_GLOBALS: usize = 4;
const MOST_MEMORY: usize = 1 << 30;

/// A definition, after all imports between modules were followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place<'a> {
    Host(&'a str, HostFunction<'a>),
    Defined { module: usize, index: u32 },
}

/// An item of a module, as other modules and this one see it.
type Entries<'a> = Vec<Entry<'a>>;

pub(super) struct Linker<'a, 'b> {
    parts: &'b Parts<'a>,
    pub(super) modules: &'b [Module<'a>],
    /// Where each function, table and global of each module is defined.
    pub(super) functions: Vec<Vec<Place<'a>>>,
    pub(super) tables: Vec<Vec<Place<'a>>>,
    pub(super) globals: Vec<Vec<Place<'a>>>,
    pub(super) constants: HashMap<Place<'a>, i32>,
}

/// Links everything that the interface's functions reach.
pub fn link<'a>(parts: &Parts<'a>, modules: &[Module<'a>], interface: &str) -> Result<Merged, MergeError> {
    let mut linker = Linker {
        parts,
        modules,
        functions: Vec::new(),
        tables: Vec::new(),
        globals: Vec::new(),
        constants: HashMap::new(),
    };
    linker.functions = linker.places(ExternalKind::Func, |m| m.functions.iter().map(|item| item.0).collect())?;
    linker.tables = linker.places(ExternalKind::Table, |m| m.tables.iter().map(|item| item.0).collect())?;
    linker.globals = linker.places(ExternalKind::Global, |m| m.globals.iter().map(|item| item.0).collect())?;
    linker.fold_constants()?;
    let roots = linker.roots(interface)?;
    let live = linker.reach(&roots)?;
    linker.emit(&roots, &live)
}

/// What the exports reach.
struct Live<'a> {
    functions: BTreeSet<Place<'a>>,
    written: BTreeSet<Place<'a>>,
}

impl<'a> Linker<'a, '_> {
    fn places(
        &self,
        kind: ExternalKind,
        entries: impl Fn(&Module<'a>) -> Entries<'a>,
    ) -> Result<Vec<Vec<Place<'a>>>, MergeError> {
        let all: Vec<Entries<'a>> = self.modules.iter().map(entries).collect();
        let follow = |mut module: usize, mut entry: Entry<'a>| {
            // A chain visits each module at most once.
            for _ in 0..=self.modules.len() {
                let (from, name) = match entry {
                    Entry::Defined(index) => return Ok(Place::Defined { module, index }),
                    Entry::Imported(from, name) => (from, name),
                };
                match self.parts.resolve(module, from, name)? {
                    Target::Host { interface, function } => return Ok(Place::Host(interface, function)),
                    Target::Module { module: next, name } => {
                        let found = self.modules[next].exports.get(name).filter(|export| export.0 == kind);
                        let &(_, index) = found.ok_or_else(|| {
                            MergeError::new(format!("module {next} exports no {name:?} of that kind"))
                        })?;
                        entry = all[next][index as usize];
                        module = next;
                    }
                }
            }
            Err(MergeError::new("imports form a circle"))
        };
        all.iter()
            .enumerate()
            .map(|(module, entries)| entries.iter().map(|&entry| follow(module, entry)).collect())
            .collect()
    }

    /// The first value of every global. Offsets between shared libraries are sums of others.
    fn fold_constants(&mut self) -> Result<(), MergeError> {
        for module in 0..self.modules.len() {
            for index in 0..self.modules[module].globals.len() {
                let place = self.globals[module][index];
                let value = self.global(place, 0)?;
                self.constants.insert(place, value);
            }
        }
        Ok(())
    }

    fn global(&self, place: Place<'a>, depth: usize) -> Result<i32, MergeError> {
        let Place::Defined { module, index } = place else { return Err(MergeError::new("a global of the host")) };
        let globals = &self.modules[module].globals;
        let defined = globals.iter().filter(|global| matches!(global.0, Entry::Defined(_))).nth(index as usize);
        match defined {
            Some((_, kind, Some(value))) if kind.content_type == wasmparser::ValType::I32 => {
                self.evaluate(module, value, depth)
            }
            _ => Err(MergeError::new("a global that is no i32")),
        }
    }

    fn evaluate(&self, module: usize, expression: &wasmparser::ConstExpr<'_>, depth: usize) -> Result<i32, MergeError> {
        if depth > 64 {
            return Err(MergeError::new("globals form a circle"));
        }
        let mut stack = Vec::new();
        for operator in expression.get_operators_reader() {
            match operator? {
                Operator::I32Const { value } => stack.push(value),
                Operator::GlobalGet { global_index } => {
                    stack.push(self.global(self.globals[module][global_index as usize], depth + 1)?);
                }
                Operator::I32Add => {
                    let (b, a) = (stack.pop(), stack.pop());
                    stack
                        .push(a.zip(b).map(|(a, b)| a.wrapping_add(b)).ok_or_else(|| MergeError::new("bad constant"))?);
                }
                Operator::End => {}
                other => return Err(MergeError::new(format!("a constant expression with {other:?}"))),
            }
        }
        stack.pop().ok_or_else(|| MergeError::new("an empty constant expression"))
    }

    /// Names and places of what the merged module exports.
    fn roots(&self, interface: &str) -> Result<BTreeMap<String, Place<'a>>, MergeError> {
        let mut roots = BTreeMap::new();
        let (prefix, after) = (format!("{interface}#"), format!("cabi_post_{interface}#"));
        for (at, module) in self.modules.iter().enumerate() {
            let function = |name: &str| match module.exports.get(name) {
                Some(&(ExternalKind::Func, index)) => Some(self.functions[at][index as usize]),
                _ => None,
            };
            for (name, _) in module.exports.iter().filter(|export| export.1.0 == ExternalKind::Func) {
                if let (Some(short), Some(place)) = (name.strip_prefix(&prefix), function(name)) {
                    roots.insert(short.to_owned(), place);
                    if let Some(realloc) = function("cabi_realloc") {
                        roots.insert("realloc".to_owned(), realloc);
                    }
                } else if let (Some(short), Some(place)) = (name.strip_prefix(&after), function(name)) {
                    roots.insert(format!("post-{short}"), place);
                } else if let (true, Some(place)) = (matches!(*name, "malloc" | "free"), function(name)) {
                    roots.insert((*name).to_owned(), place);
                }
            }
        }
        if roots.contains_key("realloc") {
            Ok(roots)
        } else {
            Err(MergeError::new(format!("it does not export {interface}, or has no cabi_realloc")))
        }
    }

    fn reach(&self, roots: &BTreeMap<String, Place<'a>>) -> Result<Live<'a>, MergeError> {
        let mut work: Vec<Place<'a>> = roots.values().copied().collect();
        for (at, module) in self.modules.iter().enumerate() {
            for element in &module.elements {
                if let ElementItems::Functions(items) = &element.items {
                    for item in items.clone() {
                        work.push(self.functions[at][item? as usize]);
                    }
                }
            }
        }
        let mut live = Live { functions: BTreeSet::new(), written: BTreeSet::new() };
        while let Some(place) = work.pop() {
            if !live.functions.insert(place) {
                continue;
            }
            let Place::Defined { module, index } = place else { continue };
            for operator in self.modules[module].bodies[index as usize].get_operators_reader()? {
                match operator? {
                    Operator::Call { function_index }
                    | Operator::ReturnCall { function_index }
                    | Operator::RefFunc { function_index } => {
                        work.push(self.functions[module][function_index as usize]);
                    }
                    Operator::GlobalSet { global_index } => {
                        live.written.insert(self.globals[module][global_index as usize]);
                    }
                    other @ (Operator::TableSet { .. }
                    | Operator::TableGrow { .. }
                    | Operator::TableInit { .. }
                    | Operator::TableFill { .. }
                    | Operator::TableCopy { .. }
                    | Operator::ElemDrop { .. }
                    | Operator::MemoryInit { .. }
                    | Operator::DataDrop { .. }) => {
                        return Err(MergeError::new(format!("{other:?} changes state that is not reset")));
                    }
                    _ => {}
                }
            }
        }
        if live.written.len() > MOST_GLOBALS {
            return Err(MergeError::new(format!("{} globals are written", live.written.len())));
        }
        Ok(live)
    }

    /// Modules in the order in which they are instantiated: later segments overwrite earlier ones.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.modules.len()).collect();
        order.sort_by_key(|&module| self.parts.instantiated(module));
        order
    }

    fn memory_image(&self) -> Result<(Vec<u8>, MemoryType), MergeError> {
        let mut kinds = self.modules.iter().flat_map(|m| &m.memories).filter(|m| matches!(m.0, Entry::Defined(_)));
        let (Some((_, kind)), None) = (kinds.next(), kinds.next()) else {
            return Err(MergeError::new("it has not exactly one memory"));
        };
        if kind.memory64 || kind.shared || kind.page_size_log2.is_some() {
            return Err(MergeError::new("its memory is shared, or of 64 bits, or has pages of another size"));
        }
        let size = usize::try_from(kind.initial).unwrap_or(usize::MAX).saturating_mul(1 << 16);
        if size > MOST_MEMORY {
            return Err(MergeError::new(format!("its memory starts with {size} bytes")));
        }
        let mut image = vec![0; size];
        for module in self.order() {
            for segment in &self.modules[module].data {
                let DataKind::Active { memory_index: 0, offset_expr } = &segment.kind else {
                    return Err(MergeError::new("it has a passive data segment"));
                };
                let start = self.evaluate(module, offset_expr, 0)?.cast_unsigned() as usize;
                let target = image.get_mut(start..).and_then(|rest| rest.get_mut(..segment.data.len()));
                target
                    .ok_or_else(|| MergeError::new("a data segment beyond the memory"))?
                    .copy_from_slice(segment.data);
            }
        }
        image.truncate(image.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
        let kind = MemoryType {
            minimum: kind.initial,
            maximum: kind.maximum,
            memory64: false,
            shared: false,
            page_size_log2: None,
        };
        Ok((image, kind))
    }

    fn emit(&self, roots: &BTreeMap<String, Place<'a>>, live: &Live<'a>) -> Result<Merged, MergeError> {
        let (memory, memory_type) = self.memory_image()?;
        let mut types = Types::default();
        let (mut imports, mut functions) = (ImportSection::new(), FunctionSection::new());
        let mut numbers: HashMap<Place<'a>, u32> = HashMap::new();
        // Places of the host sort before definitions, as imports must.
        for (number, &place) in (0..).zip(&live.functions) {
            numbers.insert(place, number);
            let kind = types.number(self.function_type(place)?)?;
            match place {
                Place::Host(interface, function) => {
                    imports.import(interface, &host_name(function), EntityType::Function(kind));
                }
                Place::Defined { .. } => {
                    functions.function(kind);
                }
            }
        }
        let (tables, table_numbers) = self.emit_tables()?;
        let mut globals = GlobalSection::new();
        let mut written: HashMap<Place<'a>, u32> = HashMap::new();
        for (number, place) in (0..).zip(&live.written) {
            written.insert(*place, number);
            let kind = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
            globals.global(kind, &ConstExpr::i32_const(self.constants[place]));
        }
        let mut exports = ExportSection::new();
        for (name, place) in roots {
            exports.export(name, ExportKind::Func, numbers[place]);
        }
        exports.export("memory", ExportKind::Memory, 0);
        for number in 0..globals.len() {
            exports.export(&format!("global-{number}"), ExportKind::Global, number);
        }
        let mut memories = MemorySection::new();
        memories.memory(memory_type);
        let elements = self.emit_elements(&numbers, &table_numbers)?;
        let mut code = CodeSection::new();
        for &place in &live.functions {
            let Place::Defined { module, index } = place else { continue };
            let mut body = Body {
                linker: self,
                module,
                numbers: &numbers,
                tables: &table_numbers,
                written: &written,
                types: &mut types,
            };
            body.parse_function_body(&mut code, self.modules[module].bodies[index as usize].clone())
                .map_err(|error| MergeError::new(error.to_string()))?;
        }
        let mut module = wasm_encoder::Module::new();
        module
            .section(&types.section)
            .section(&imports)
            .section(&functions)
            .section(&tables)
            .section(&memories)
            .section(&globals)
            .section(&exports)
            .section(&elements)
            .section(&code);
        Ok(Merged { wasm: module.finish(), memory })
    }

    fn function_type(&self, place: Place<'a>) -> Result<&FuncType, MergeError> {
        let found = match place {
            Place::Defined { module, index } => {
                let module = &self.modules[module];
                let mut defined = module.functions.iter().filter(|f| matches!(f.0, Entry::Defined(_)));
                defined.nth(index as usize).and_then(|function| module.types.get(function.1 as usize))
            }
            Place::Host(..) => self.functions.iter().zip(self.modules).find_map(|(places, module)| {
                let at = places.iter().position(|&other| other == place)?;
                module.types.get(module.functions[at].1 as usize)
            }),
        };
        found.ok_or_else(|| MergeError::new("a function without a type"))
    }

    fn emit_tables(&self) -> Result<(TableSection, HashMap<Place<'a>, u32>), MergeError> {
        let (mut section, mut numbers) = (TableSection::new(), HashMap::new());
        for (at, module) in self.modules.iter().enumerate() {
            for (entry, kind) in &module.tables {
                let Entry::Defined(index) = *entry else { continue };
                if kind.element_type != wasmparser::RefType::FUNCREF || kind.table64 || kind.shared {
                    return Err(MergeError::new("a table that does not hold functions"));
                }
                numbers.insert(Place::Defined { module: at, index }, section.len());
                section.table(TableType {
                    element_type: RefType::FUNCREF,
                    table64: false,
                    minimum: kind.initial,
                    maximum: kind.maximum,
                    shared: false,
                });
            }
        }
        Ok((section, numbers))
    }

    fn emit_elements(
        &self,
        numbers: &HashMap<Place<'a>, u32>,
        tables: &HashMap<Place<'a>, u32>,
    ) -> Result<ElementSection, MergeError> {
        let mut section = ElementSection::new();
        for module in self.order() {
            for element in &self.modules[module].elements {
                let ElementItems::Functions(items) = &element.items else {
                    return Err(MergeError::new("a table segment of expressions"));
                };
                match &element.kind {
                    ElementKind::Active { table_index, offset_expr } if items.count() > 0 => {
                        let offset = self.evaluate(module, offset_expr, 0)?;
                        let table = tables[&self.tables[module][table_index.unwrap_or(0) as usize]];
                        let items = items.clone().into_iter();
                        let items = items
                            .map(|item| Ok(numbers[&self.functions[module][item? as usize]]))
                            .collect::<Result<Vec<u32>, MergeError>>()?;
                        section.active(Some(table), &ConstExpr::i32_const(offset), Elements::Functions(items.into()));
                    }
                    ElementKind::Active { .. } | ElementKind::Declared => {}
                    ElementKind::Passive => return Err(MergeError::new("a passive table segment")),
                }
            }
        }
        Ok(section)
    }
}

fn host_name(function: HostFunction<'_>) -> String {
    match function {
        HostFunction::Named(name) => name.to_owned(),
        HostFunction::Drop(resource) => format!("[resource-drop]{resource}"),
    }
}
