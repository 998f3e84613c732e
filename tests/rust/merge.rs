//! The linker of components, on one made by hand: what it makes, and that no input makes it panic.

use mentor::sandbox::merge::merge;
use proptest::prelude::*;
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, CodeSection, Component, ComponentAliasSection,
    ComponentExportKind, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, ConstExpr, DataSection,
    ElementSection, Elements, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, ImportSection, InstanceSection, InstanceType, Instruction as I, MemArg, MemorySection, MemoryType,
    Module, ModuleArg, ModuleSection, RefType, TableSection, TableType, TypeSection, ValType,
};

const INTERFACE: &str = "test:merge/runner@0.1.0";
const I32: ValType = ValType::I32;
const MEMORY: MemoryType =
    MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
const STACK: GlobalType = GlobalType { val_type: I32, mutable: true, shared: false };
const BASE: GlobalType = GlobalType { mutable: false, ..STACK };
const WORD: MemArg = MemArg { offset: 0, align: 2, memory_index: 0 };

fn types() -> TypeSection {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([], [I32]);
    types.ty().function([I32; 4], [I32]);
    types
}

fn code(bodies: &[&[I<'_>]]) -> CodeSection {
    let mut section = CodeSection::new();
    for body in bodies {
        let mut function = Function::new([]);
        for instruction in *body {
            function.instruction(instruction);
        }
        function.instruction(&I::End);
        section.function(&function);
    }
    section
}

/// Memory, stack pointer, the allocator, a table.
fn library(extra: &[I<'_>]) -> Module {
    let mut functions = FunctionSection::new();
    functions.function(2).function(1);
    let mut tables = TableSection::new();
    let (minimum, maximum) = (4, None);
    tables.table(TableType { element_type: RefType::FUNCREF, table64: false, minimum, maximum, shared: false });
    let mut memories = MemorySection::new();
    memories.memory(MEMORY);
    let mut globals = GlobalSection::new();
    globals.global(STACK, &ConstExpr::i32_const(4096)).global(BASE, &ConstExpr::i32_const(64));
    let mut exports = ExportSection::new();
    exports
        .export("cabi_realloc", ExportKind::Func, 0)
        .export("memory", ExportKind::Memory, 0)
        .export("stack", ExportKind::Global, 0)
        .export("base", ExportKind::Global, 1)
        .export("table", ExportKind::Table, 0);
    let mut elements = ElementSection::new();
    elements.active(Some(0), &ConstExpr::i32_const(2), Elements::Functions([1].as_slice().into()));
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(64), [1, 0, 0, 0, 7]);
    let mut module = Module::new();
    module
        .section(&types())
        .section(&functions)
        .section(&tables)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&elements)
        .section(&code(&[&[I::I32Const(99)], &[extra, &[I::GlobalGet(1), I::I32Load(WORD)]].concat()]))
        .section(&data);
    module
}

/// Moves the stack pointer, calls the host, calls through the table: 1000 * stack pointer + what the library loads.
fn program() -> Module {
    let mut imports = ImportSection::new();
    imports
        .import("env", "memory", EntityType::Memory(MEMORY))
        .import("env", "stack", EntityType::Global(STACK))
        .import("env", "base", EntityType::Global(BASE))
        .import("env", "cabi_realloc", EntityType::Function(2))
        .import("host", "tick", EntityType::Function(0));
    let table = TableType { element_type: RefType::FUNCREF, table64: false, minimum: 4, maximum: None, shared: false };
    imports.import("env", "table", EntityType::Table(table));
    let mut functions = FunctionSection::new();
    functions.function(1).function(0);
    let mut exports = ExportSection::new();
    exports
        .export(&format!("{INTERFACE}#run"), ExportKind::Func, 2)
        .export(&format!("cabi_post_{INTERFACE}#run"), ExportKind::Func, 3)
        .export("cabi_realloc", ExportKind::Func, 0);
    let run = [
        I::GlobalGet(0),
        I::I32Const(-16),
        I::I32Add,
        I::GlobalSet(0),
        I::Call(1),
        I::GlobalGet(0),
        I::I32Const(1000),
        I::I32Mul,
        I::I32Const(2),
        I::CallIndirect { type_index: 1, table_index: 0 },
        I::I32Add,
    ];
    let mut data = DataSection::new();
    // Later than the library's: 5 takes the place of its 1.
    data.active(0, &ConstExpr::global_get(1), [5]);
    let mut module = Module::new();
    module.section(&types()).section(&imports).section(&functions).section(&exports).section(&code(&[&run, &[]]));
    module.section(&data);
    module
}

fn component_of(library: &Module, program: &Module) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    let mut host = InstanceType::new();
    host.ty().function().params([("", wasm_encoder::PrimitiveValType::Bool); 0]).result(None);
    host.export("tick", ComponentTypeRef::Func(0));
    types.instance(&host);
    let mut imports = ComponentImportSection::new();
    imports.import("test:merge/host@0.1.0", ComponentTypeRef::Instance(0));
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::InstanceExport { instance: 0, kind: ComponentExportKind::Func, name: "tick" });
    let mut lowered = CanonicalFunctionSection::new();
    lowered.lower(0, [CanonicalOption::UTF8]);
    let mut instances = InstanceSection::new();
    instances.instantiate(0, [("", ModuleArg::Instance(0)); 0]);
    instances.export_items([("tick", ExportKind::Func, 0)]);
    instances.instantiate(1, [("env", ModuleArg::Instance(0)), ("host", ModuleArg::Instance(1))]);
    let mut component = Component::new();
    component
        .section(&ModuleSection(library))
        .section(&ModuleSection(program))
        .section(&types)
        .section(&imports)
        .section(&aliases)
        .section(&lowered)
        .section(&instances);
    component.finish()
}

fn component() -> Vec<u8> {
    component_of(&library(&[]), &program())
}

fn reason(component: &[u8]) -> String {
    merge(component, INTERFACE).expect_err("it cannot be merged").to_string()
}

#[test]
fn two_modules_become_one() {
    let merged = merge(&component(), INTERFACE).expect("merges");
    wasmparser::Validator::new().validate_all(&merged.wasm).expect("a valid module");
    let mut expected = vec![0; 69];
    (expected[64], expected[68]) = (5, 7);
    assert_eq!(merged.memory, expected);
    assert_eq!(merge(&component(), INTERFACE).as_ref(), Ok(&merged), "the same twice");

    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, &merged.wasm).expect("compiles");
    let mut names: Vec<_> = module.exports().map(|export| export.name().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["global-0", "memory", "post-run", "realloc", "run"]);
    let mut linker = wasmtime::Linker::new(&engine);
    let tick = |mut caller: wasmtime::Caller<'_, u32>| *caller.data_mut() += 1;
    linker.func_wrap("test:merge/host@0.1.0", "tick", tick).expect("one import");
    let mut store = wasmtime::Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &module).expect("starts");
    let memory = instance.get_memory(&mut store, "memory").expect("exported");
    memory.write(&mut store, 0, &merged.memory).expect("it fits");
    let run = instance.get_typed_func::<(), i32>(&mut store, "run").expect("exported");
    for times in 1..4 {
        assert_eq!(run.call(&mut store, ()).expect("no trap"), (4096 - 16 * times) * 1000 + 5);
        assert_eq!(i32::try_from(*store.data()), Ok(times));
    }
    let stack = instance.get_global(&mut store, "global-0").expect("exported");
    assert_eq!(stack.get(&mut store).i32(), Some(4096 - 48));
}

#[test]
fn state_that_is_not_reset_is_refused() {
    for (extra, expected) in [
        (vec![I::I32Const(0), I::RefNull(wasm_encoder::HeapType::FUNC), I::TableSet(0)], "TableSet"),
        (vec![I::RefNull(wasm_encoder::HeapType::FUNC), I::I32Const(1), I::TableGrow(0), I::Drop], "TableGrow"),
        (vec![I::ElemDrop(0)], "ElemDrop"),
    ] {
        let reason = reason(&component_of(&library(&extra), &program()));
        assert!(reason.contains(expected), "{reason}");
    }
    let mut start = library(&[]);
    // Sections out of order make it invalid; what matters is that it is refused.
    start.section(&wasm_encoder::StartSection { function_index: 1 });
    reason(&component_of(&start, &program()));
}

#[test]
fn another_interface_is_an_error() {
    let error = merge(&component(), "test:other/runner").expect_err("not exported").to_string();
    assert!(error.contains("does not export test:other/runner"), "{error}");
    assert!(reason(&Module::new().finish()).contains("it is no component"));
    assert!(!reason(&Component::new().finish()).is_empty());
}

#[test]
fn a_part_is_an_error() {
    let whole = component();
    for len in 0..whole.len() {
        // Whole sections without the last ones are valid, but nothing is exported, or instantiated, by them.
        reason(&whole[..len]);
    }
}

#[test]
fn every_changed_byte_is_merged_validly_or_refused() {
    let whole = component();
    let mut refused = 0;
    for at in 0..whole.len() {
        for value in [0, 1, 2, 3, 0x41, 0x7f, 0x80, 0xff, whole[at] ^ 1, whole[at] ^ 0x40, whole[at].wrapping_add(1)] {
            let mut changed = whole.clone();
            changed[at] = value;
            match merge(&changed, INTERFACE) {
                Ok(merged) => {
                    let valid = wasmparser::Validator::new().validate_all(&merged.wasm).map(|_| ());
                    assert!(valid.is_ok(), "byte {at} as {value}: {valid:?}");
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > whole.len(), "{refused} of {}", whole.len() * 11);
}

proptest! {
    #[test]
    fn garbage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300), header in any::<bool>()) {
        let mut component = if header { Component::new().finish() } else { Vec::new() };
        component.extend(bytes);
        prop_assert!(merge(&component, INTERFACE).is_err());
    }

    #[test]
    fn several_changes_are_no_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut component = component();
        for (at, value) in changes {
            let at = at.index(component.len());
            component[at] = value;
        }
        if let Ok(merged) = merge(&component, INTERFACE) {
            prop_assert!(wasmparser::Validator::new().validate_all(&merged.wasm).is_ok());
        }
    }
}
