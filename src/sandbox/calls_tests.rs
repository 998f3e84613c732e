//! A guest made by hand passes numbers of every kind to `call`.

use super::*;
use crate::sandbox::exec::block_on;
use crate::sandbox::functions::{Functions, Reply};
use crate::sandbox::meter::Meter;
use proptest::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, Instruction as I,
    MemorySection, MemoryType, Module as Encoder, TypeSection, ValType,
};
use wasmtime::{Engine, Module, Store, TypedFunc};

const SIZE: usize = 1 << 16;
const I32: ValType = ValType::I32;
const NAME: (u32, u32) = (100, 4);
const ARGUMENTS: (u32, u32) = (200, 9);

/// A memory of one page; `go` calls the import; the allocator answers with what it was asked for, plus 1,000.
fn module() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([I32; 5], []);
    types.ty().function([I32; 4], [I32]);
    let mut imports = ImportSection::new();
    imports.import("mentor:guest/host@0.1.0", "call", EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(0).function(1);
    let mut memories = MemorySection::new();
    let (maximum, page_size_log2) = (None, None);
    memories.memory(MemoryType { minimum: 1, maximum, memory64: false, shared: false, page_size_log2 });
    let mut exports = ExportSection::new();
    exports.export("go", ExportKind::Func, 1).export("realloc", ExportKind::Func, 2).export(
        "memory",
        ExportKind::Memory,
        0,
    );
    let mut code = CodeSection::new();
    let mut go = Function::new([]);
    (0..5).for_each(|at| {
        go.instruction(&I::LocalGet(at));
    });
    go.instruction(&I::Call(0)).instruction(&I::End);
    let mut realloc = Function::new([]);
    realloc.instruction(&I::LocalGet(3)).instruction(&I::I32Const(1000)).instruction(&I::I32Add).instruction(&I::End);
    code.function(&go).function(&realloc);
    let mut module = Encoder::new();
    module.section(&types).section(&imports).section(&functions).section(&memories).section(&exports).section(&code);
    module.finish()
}

/// Answers with what it was asked, or keeps the reply.
#[derive(Default)]
struct Echo(Option<Mutex<Vec<Reply>>>);

impl Functions for Echo {
    fn begin(&self, _name: &str, arguments: String, reply: Reply) {
        match &self.0 {
            Some(kept) => kept.lock().expect("no panic").push(reply),
            None => reply.send(Ok(arguments)),
        }
    }
}

struct Guest {
    store: Store<Host>,
    go: TypedFunc<(u32, u32, u32, u32, u32), ()>,
    cancel: Arc<AtomicBool>,
}

fn guest(echo: Echo, timeout: Duration, limit: Duration) -> Guest {
    let engine = Engine::default();
    let meter = Arc::<Meter>::default();
    let cancel = Arc::<AtomicBool>::default();
    meter.start(limit, &cancel);
    let mut host = Host::new(meter);
    let grant = Grant { names: ["echo".to_owned()].into(), timeout, max_calls: 3, max_bytes: 1 << 10 };
    let ties = Ties { functions: Some(Arc::new(echo)), ..Ties::default() };
    host.calls = Some(Box::new(Calls::new(Arc::new(grant), ties)));
    let mut store = Store::new(&engine, host);
    let mut linker = Linker::new(&engine);
    link(&mut linker, "mentor:guest/host@0.1.0", "call").expect("links");
    let module = Module::new(&engine, module()).expect("a module");
    let instance = block_on(linker.instantiate_async(&mut store, &module), || {}).expect("an instance");
    let memory = instance.get_memory(&mut store, "memory").expect("a memory");
    let realloc = instance.get_typed_func(&mut store, "realloc").expect("an allocator");
    (store.data_mut().memory, store.data_mut().realloc) = (Some(memory), Some(realloc));
    let go = instance.get_typed_func(&mut store, "go").expect("a function");
    let bytes = memory.data_mut(&mut store);
    bytes[100..104].copy_from_slice(b"echo");
    bytes[200..209].copy_from_slice(b"[[1], {}]");
    bytes[300..303].copy_from_slice(b"a\xffb");
    Guest { store, go, cancel }
}

fn quick() -> Guest {
    guest(Echo::default(), Duration::from_secs(10), Duration::from_secs(10))
}

impl Guest {
    fn go(&mut self, name: (u32, u32), arguments: (u32, u32), result: u32) -> Result<()> {
        let numbers = (name.0, name.1, arguments.0, arguments.1, result);
        block_on(self.go.call_async(&mut self.store, numbers), || Runtime::get().ticks.tick())
    }

    fn bytes(&self) -> &[u8] {
        self.store.data().memory.expect("a memory").data(&self.store)
    }

    fn said(&self, result: u32) -> (bool, String) {
        let memory = self.bytes();
        let (at, len) = (abi::number(memory, result + 4).expect("inside"), abi::number(memory, result + 8));
        let text = abi::span(memory, at, len.expect("inside") as usize).expect("inside");
        (memory[result as usize] == 1, String::from_utf8_lossy(text).into_owned())
    }

    fn made(&self) -> &[Call] {
        &self.store.data().calls.as_ref().expect("calls").made
    }
}

#[test]
fn a_call_is_answered() {
    let mut guest = quick();
    guest.go(NAME, ARGUMENTS, 400).expect("answers");
    assert_eq!(guest.said(400), (true, "[[1], {}]".to_owned()));
    assert_eq!(guest.made()[0].answer, Ok("[[1], {}]".to_owned()));
}

#[test]
fn what_is_beyond_the_memory_or_no_text_ends_the_instance() {
    let size = u32::try_from(SIZE).expect("small");
    let wrong = [
        ((size, 1), ARGUMENTS, 400),
        ((u32::MAX, 1), ARGUMENTS, 400),
        ((100, u32::MAX), ARGUMENTS, 400),
        (NAME, (size - 8, 9), 400),
        (NAME, (u32::MAX, u32::MAX), 400),
        (NAME, (300, 3), 400),
        (NAME, ARGUMENTS, size),
        (NAME, ARGUMENTS, size - 11),
        (NAME, ARGUMENTS, u32::MAX - 3),
    ];
    for (name, arguments, result) in wrong {
        assert!(quick().go(name, arguments, result).is_err(), "{name:?} {arguments:?} {result}");
    }
}

#[test]
fn limits_are_kept() {
    let mut guest = quick();
    for _ in 0..4 {
        guest.go(NAME, ARGUMENTS, 400).expect("answers");
    }
    let message = "RuntimeError: echo: more than 3 calls of the host's functions (max_calls)";
    assert_eq!(guest.said(400), (false, message.to_owned()));
    assert_eq!(guest.made().len(), 3);
    let mut guest = quick();
    guest.go(NAME, (0, 1 << 15), 400).expect("answers");
    let message = "RuntimeError: echo: 32768 bytes of arguments, of 1 KB 1024 bytes are left (max_kb)";
    assert_eq!(guest.said(400), (false, message.to_owned()));
    guest.go((200, 9), ARGUMENTS, 400).expect("answers");
    assert_eq!(guest.said(400), (false, "NameError: the host grants no function \"[[1], {}]\"".to_owned()));
    assert!(guest.made().is_empty());
}

fn silent() -> Echo {
    Echo(Some(Mutex::default()))
}

#[test]
fn who_gets_no_answer_waits_as_long_as_a_call_may_take() {
    let mut guest = guest(silent(), Duration::from_millis(30), Duration::from_secs(10));
    guest.go(NAME, ARGUMENTS, 400).expect("answers");
    assert_eq!(guest.said(400), (false, "TimeoutError: echo: no answer within 30 ms (timeout_ms)".to_owned()));
    assert!(guest.store.data().meter.expires(Duration::from_millis(9_971)));
}

#[test]
fn the_limit_of_the_step_and_the_caller_stop_it() {
    let mut slow = guest(silent(), Duration::from_secs(10), Duration::from_millis(30));
    assert!(slow.go(NAME, ARGUMENTS, 400).is_err());
    assert_eq!(slow.store.data().stop, Some(Stop::Timeout));
    let mut cancelled = guest(silent(), Duration::from_secs(10), Duration::from_secs(10));
    cancelled.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(cancelled.go(NAME, ARGUMENTS, 400).is_err());
    assert_eq!(cancelled.store.data().stop, Some(Stop::Cancelled));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_numbers_do_harm(
        numbers in prop::array::uniform5(prop_oneof![0u32..1200, 65_000u32..66_000, any::<u32>()]),
        text in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut guest = quick();
        let memory = guest.store.data().memory.expect("a memory");
        memory.data_mut(&mut guest.store)[500..500 + text.len()].copy_from_slice(&text);
        let [name, name_len, at, len, result] = numbers;
        for name in [(name, name_len), NAME] {
            let ended = guest.go(name, (at, len), result);
            prop_assert!(ended.is_err() || result as usize + 12 <= SIZE);
        }
        prop_assert!(guest.made().iter().all(|call| call.name == "echo" && call.arguments.len() <= 1 << 10));
    }
}
