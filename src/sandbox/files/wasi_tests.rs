//! The imports called by a stranger: with any handles, addresses and lengths, in any order. Nothing may panic, and what is
//! written outside of the guest's memory is nothing.

use super::*;
use crate::sandbox::exec::block_on;
use crate::sandbox::host;
use proptest::prelude::*;
use wasm_encoder::{EntityType, ImportSection, Module as Encoder, TypeSection, ValType};
use wasmtime::{Engine, Func, Memory, MemoryType, Module, Store, Val};

const ROOM: usize = 1000;
const I: ValType = ValType::I32;
const L: ValType = ValType::I64;
const TYPES: &str = "wasi:filesystem/types@0.2.9";
const STREAMS: &str = "wasi:io/streams@0.2.9";

/// The imports of the guest that have to do with files, with their signatures.
const IMPORTS: [(&str, &str, &[ValType]); 31] = [
    ("wasi:filesystem/preopens@0.2.9", "get-directories", &[I]),
    (TYPES, "[method]descriptor.advise", &[I, L, L, I, I]),
    (TYPES, "[method]descriptor.append-via-stream", &[I, I]),
    (TYPES, "[method]descriptor.create-directory-at", &[I, I, I, I]),
    (TYPES, "[method]descriptor.get-flags", &[I, I]),
    (TYPES, "[method]descriptor.link-at", &[I, I, I, I, I, I, I, I]),
    (TYPES, "[method]descriptor.metadata-hash", &[I, I]),
    (TYPES, "[method]descriptor.metadata-hash-at", &[I, I, I, I, I]),
    (TYPES, "[method]descriptor.open-at", &[I, I, I, I, I, I, I]),
    (TYPES, "[method]descriptor.read", &[I, L, L, I]),
    (TYPES, "[method]descriptor.read-directory", &[I, I]),
    (TYPES, "[method]descriptor.read-via-stream", &[I, L, I]),
    (TYPES, "[method]descriptor.readlink-at", &[I, I, I, I]),
    (TYPES, "[method]descriptor.remove-directory-at", &[I, I, I, I]),
    (TYPES, "[method]descriptor.rename-at", &[I, I, I, I, I, I, I]),
    (TYPES, "[method]descriptor.set-size", &[I, L, I]),
    (TYPES, "[method]descriptor.set-times", &[I, I, L, I, I, L, I, I]),
    (TYPES, "[method]descriptor.set-times-at", &[I, I, I, I, I, L, I, I, L, I, I]),
    (TYPES, "[method]descriptor.stat", &[I, I]),
    (TYPES, "[method]descriptor.stat-at", &[I, I, I, I, I]),
    (TYPES, "[method]descriptor.symlink-at", &[I, I, I, I, I, I]),
    (TYPES, "[method]descriptor.sync", &[I, I]),
    (TYPES, "[method]descriptor.sync-data", &[I, I]),
    (TYPES, "[method]descriptor.unlink-file-at", &[I, I, I, I]),
    (TYPES, "[method]descriptor.write", &[I, I, I, L, I]),
    (TYPES, "[method]descriptor.write-via-stream", &[I, L, I]),
    (TYPES, "[method]directory-entry-stream.read-directory-entry", &[I, I]),
    (TYPES, "[resource-drop]descriptor", &[I]),
    (STREAMS, "[method]input-stream.read", &[I, L, I]),
    (STREAMS, "[method]output-stream.check-write", &[I, I]),
    (STREAMS, "[method]output-stream.write", &[I, I, I, I]),
];

/// A store with a memory of a page, and the imports.
fn imports() -> (Store<Host>, Vec<Func>) {
    let (mut types, mut section) = (TypeSection::new(), ImportSection::new());
    for (index, (module, name, parameters)) in (0u32..).zip(IMPORTS) {
        types.ty().function(parameters.iter().copied(), []);
        section.import(module, name, EntityType::Function(index));
    }
    let mut encoder = Encoder::new();
    encoder.section(&types).section(&section);
    let engine = Engine::default();
    let module = Module::new(&engine, encoder.finish()).expect("a module");
    let mut linker = Linker::new(&engine);
    host::link(&mut linker, &module).expect("all imports are there");
    let mut store = Store::new(&engine, Host::new(Arc::default()));
    let memory = Memory::new(&mut store, MemoryType::new(1, Some(1))).expect("a memory");
    // Names to open, and paths made of them, at the start of the memory.
    memory.data_mut(&mut store)[..32].copy_from_slice(b"a/b/../c.\0\xff/tmp/a/bb/ccc/./a/b/c");
    let realloc = Func::wrap(&mut store, |_: u32, _: u32, _: u32, len: u32| if len > 4096 { 65_000 } else { 8192u32 });
    let realloc = realloc.typed(&store).expect("its type");
    let host = store.data_mut();
    (host.memory, host.realloc) = (Some(memory), Some(realloc));
    host.world.disk.room = ROOM;
    let functions = module.imports().map(|import| linker.get_by_import(&mut store, &import));
    let functions: Vec<_> = functions.collect();
    (store, functions.into_iter().map(|found| found.and_then(wasmtime::Extern::into_func).expect("one")).collect())
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0..8u64,
        6 => 0..40u64,
        2 => 4000..6000u64,
        1 => prop::sample::select(vec![65_535, 65_536, 1 << 31, u64::from(u32::MAX), 1 << 40, u64::MAX]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_calls_leave_books_that_balance(
        calls in prop::collection::vec((0..IMPORTS.len(), prop::collection::vec(number(), 11)), 1..80),
    ) {
        let (mut store, functions) = imports();
        for (index, arguments) in calls {
            let arguments: Vec<Val> = IMPORTS[index].2.iter().zip(&arguments).map(|(kind, &number)| match kind {
                &ValType::I64 => Val::I64(number.cast_signed()),
                #[allow(clippy::cast_possible_truncation)]
                _ => Val::I32((number as u32).cast_signed()),
            }).collect();
            // An error is a trap: it ends the guest that caused it.
            let _ = block_on(functions[index].call_async(&mut store, &arguments, &mut []), || {});
            let disk = &store.data().world.disk;
            disk.tree().check();
            prop_assert!(disk.tree().files().iter().map(|(path, content)| path.len() + content.len()).sum::<usize>() < 3 * ROOM);
        }
    }
}

/// Calls one and gives what it wrote at 4096.
fn call(store: &mut Store<Host>, functions: &[Func], name: &str, arguments: &[Val]) -> Vec<u8> {
    let index = IMPORTS.iter().position(|(_, other, _)| other.ends_with(name)).expect("an import");
    block_on(functions[index].call_async(&mut *store, arguments, &mut []), || {}).expect("no trap");
    let memory = store.data().memory.expect("a memory");
    memory.data(&*store)[4096..4224].to_vec()
}

#[test]
fn answers_have_the_layout_of_the_canonical_abi() {
    let (mut store, functions) = imports();
    let (store, i, at) = (&mut store, Val::I32, Val::I32(4096));
    // "a" lies at 0; to create, to write and to read.
    let opened = call(store, &functions, "open-at", &[i(1), i(0), i(0), i(1), i(1), i(3), at]);
    assert_eq!((opened[0], opened[4]), (0, 2));
    let again = call(store, &functions, "open-at", &[i(1), i(0), i(0), i(1), i(5), i(3), at]);
    assert_eq!((again[0], again[4]), (1, Code::Exist as u8));
    let written = call(store, &functions, "descriptor.write", &[i(2), i(0), i(5), Val::I64(3), at]);
    assert_eq!((written[0], written[8]), (0, 5));
    let stat = call(store, &functions, "descriptor.stat", &[i(2), at]);
    assert_eq!((stat[0], stat[8], stat[16], stat[24], stat[32]), (0, FILE, 1, 8, 1));
    let missing = call(store, &functions, "descriptor.stat", &[i(9), at]);
    assert_eq!((missing[0], missing[8]), (1, Code::BadDescriptor as u8));
    let read = call(store, &functions, "descriptor.read", &[i(2), Val::I64(100), Val::I64(2), at]);
    assert_eq!((read[0], &read[4..13]), (0, [0, 0x20, 0, 0, 6, 0, 0, 0, 0].as_slice()));
    let memory = store.data().memory.expect("a memory");
    assert_eq!(&memory.data(&*store)[8192..8198], b"\0a/b/.");
    let listing = call(store, &functions, "read-directory", &[i(1), at]);
    assert_eq!((listing[0], listing[4]), (0, 2));
    let entry = call(store, &functions, "read-directory-entry", &[i(2), at]);
    assert_eq!((entry[0], entry[4], entry[8], entry[16]), (0, 1, FILE, 1));
    call(store, &functions, "read-directory-entry", &[i(2), at]);
    let end = call(store, &functions, "read-directory-entry", &[i(2), at]);
    assert_eq!((end[0], end[4]), (0, 0));
}

#[test]
fn a_stream_without_a_file_is_closed() {
    let (mut store, functions) = imports();
    let (store, i, at) = (&mut store, Val::I32, Val::I32(4096));
    let read = call(store, &functions, "input-stream.read", &[i(0), Val::I64(9), at]);
    assert_eq!((read[0], read[4]), (1, 1));
    let written = call(store, &functions, "output-stream.write", &[i(0), i(0), i(4), at]);
    assert_eq!((written[0], written[4]), (1, 1));
    assert!(store.data().stdout.is_empty() && store.data().stderr.is_empty());
}
