//! From a file's bytes to code that can be called: compiled once per machine, cached, loaded once per process.

use super::component;
use super::describe::{Description, Skipped};
use super::host::Side;
use super::module;
use super::source::{Kind, cut, inspect, kind};
use super::write::{Bad, Writer};
use crate::error::Error;
use crate::sandbox::cache;
use crate::sandbox::engine::{give_back, name};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use wasmtime::component::Component;
use wasmtime::{Engine, Module, Store, format_err};

/// How long compiling may take. A file for which that is not enough was made to take long.
const MOST_COMPILING: Duration = Duration::from_mins(2);
/// How often a waiting caller may look around.
const WATCH: Duration = Duration::from_millis(50);
/// Stack of a compiling thread.
const STACK: usize = 64 << 20;

enum Code {
    Module(module::Core),
    Component(wasmtime::component::InstancePre<Side>),
}

enum Function {
    Module(module::Function),
    Component(component::Function),
}

/// Arguments that fit a function.
pub(super) enum Arguments {
    Module(Vec<wasmtime::Val>),
    Component(Vec<wasmtime::component::Val>),
}

/// A file's functions, for one engine.
pub(super) struct Loaded {
    pub engine: Engine,
    code: Code,
    functions: HashMap<String, Function>,
    pub tools: Vec<Description>,
    pub skipped: Vec<Skipped>,
}

/// What is kept of a file that could not be written to the cache, for this process's children.
pub(super) type Spare = OnceLock<Vec<u8>>;

impl Loaded {
    /// Loads or compiles it. `watch` is called every 50 ms meanwhile, and ends the waiting with an error.
    pub fn new(
        engine: &Engine,
        wasm: &Arc<[u8]>,
        spare: &Spare,
        watch: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let kind = kind(wasm)?;
        let host = |e: wasmtime::Error| Error::Sandbox(format!("cannot load compiled WebAssembly: {e:#}"));
        let compiled = compiled(engine, wasm, kind, spare, watch)?;
        let (code, tools, skipped): (_, Vec<_>, _) = match compiled {
            Compiled::Module(made) => {
                let (core, tools, skipped) = module::load(engine, &made.map_err(host)?, wasm)?;
                let tools = tools.into_iter().map(|(tool, function)| (tool, Function::Module(function)));
                (Code::Module(core), tools.collect(), skipped)
            }
            Compiled::Component(made) => {
                let (pre, tools, skipped) = component::load(engine, &made.map_err(host)?)?;
                let tools = tools.into_iter().map(|(tool, function)| (tool, Function::Component(function)));
                (Code::Component(pre), tools.collect(), skipped)
            }
        };
        let (tools, functions): (Vec<_>, Vec<_>) = tools.into_iter().unzip();
        let functions = tools.iter().map(|tool: &Description| tool.name.clone()).zip(functions).collect();
        Ok(Self { engine: engine.clone(), code, functions, tools, skipped })
    }

    pub fn has(&self, name: &str) -> bool {
        self.functions.contains_key(name)
    }

    /// The arguments of a call, or why they do not fit; none where there is no such function.
    pub fn arguments(&self, name: &str, given: &Map<String, Value>) -> Option<Result<Arguments, String>> {
        Some(match self.functions.get(name)? {
            Function::Module(function) => function.arguments(name, given).map(Arguments::Module),
            Function::Component(function) => function.arguments(name, given).map(Arguments::Component),
        })
    }

    /// Calls a function in a new instance.
    pub async fn call(
        &self,
        store: &mut Store<Side>,
        name: &str,
        arguments: &Arguments,
        writer: &mut Writer,
    ) -> wasmtime::Result<Result<(), Bad>> {
        match (&self.code, self.functions.get(name), arguments) {
            (Code::Module(core), Some(Function::Module(function)), Arguments::Module(arguments)) => {
                core.call(store, function, arguments, writer).await
            }
            (Code::Component(pre), Some(Function::Component(function)), Arguments::Component(arguments)) => {
                function.call(pre, store, arguments, writer).await
            }
            _ => Err(format_err!("there is no such function")),
        }
    }
}

enum Compiled {
    Module(wasmtime::Result<Module>),
    Component(wasmtime::Result<Component>),
}

/// File name of compiled code. Its key: content, wasmtime's version, configuration, CPU.
fn code_name(engine: &Engine, wasm: &[u8]) -> String {
    let mut compatible = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatible);
    let content = Sha256::digest(wasm).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("tool-{}.cwasm", name(&format!("{content} {} {:016x}", env!("CARGO_PKG_VERSION"), compatible.finish())))
}

fn compiled(
    engine: &Engine,
    wasm: &Arc<[u8]>,
    kind: Kind,
    spare: &Spare,
    watch: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<Compiled, Error> {
    if let Some(code) = spare.get() {
        return Ok(from_memory(engine, kind, code));
    }
    let path = cache::path(&code_name(engine, wasm));
    if let Some(made) = path.as_ref().and_then(|path| from_file(engine, kind, path)) {
        return Ok(made);
    }
    inspect(wasm)?;
    let code = compile(engine, wasm, kind, watch)?;
    if let Some(path) = path
        && cache::store(&path, |file| file.write_all(&code)).is_ok()
        && let Some(made) = from_file(engine, kind, &path)
    {
        return Ok(made);
    }
    Ok(from_memory(engine, kind, spare.get_or_init(|| code)))
}

/// On threads of its own: nothing can stop a compiler, but nobody needs to wait for it for ever.
fn compile(
    engine: &Engine,
    wasm: &Arc<[u8]>,
    kind: Kind,
    watch: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let threads = |e: String| Error::Sandbox(format!("cannot start threads to compile WebAssembly: {e}"));
    // As in `engine`: rayon's global pool does not outlive a fork.
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK).build().map_err(|e| threads(e.to_string()))?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let (engine, wasm) = (engine.clone(), Arc::clone(wasm));
    let work = move || {
        let code = pool.install(|| match kind {
            Kind::Module => engine.precompile_module(&wasm),
            Kind::Component => engine.precompile_component(&wasm),
        });
        drop(pool);
        give_back();
        // The receiver may have gone.
        let _ = sender.send(code);
    };
    let builder = std::thread::Builder::new().name("mentor-compiler".to_owned());
    builder.spawn(work).map_err(|e| threads(e.to_string()))?;
    let began = Instant::now();
    loop {
        match receiver.recv_timeout(WATCH) {
            Ok(Ok(code)) => return Ok(code),
            Ok(Err(error)) => {
                return Err(Error::Input(format!("wasm: it cannot be compiled: {}", cut(&format!("{error:#}")))));
            }
            Err(RecvTimeoutError::Timeout) if began.elapsed() < MOST_COMPILING => watch()?,
            Err(RecvTimeoutError::Timeout) => {
                let seconds = MOST_COMPILING.as_secs();
                return Err(Error::Input(format!("wasm: it takes more than {seconds} seconds to compile")));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Input("wasm: the compiler cannot cope with it".to_owned()));
            }
        }
    }
}

fn from_file(engine: &Engine, kind: Kind, path: &Path) -> Option<Compiled> {
    let (file, _) = cache::open(path)?;
    // SAFETY: the file lies in a folder that only this user can write, belongs to this user, and ends with the digest of
    // its content, so it is what `store` wrote; wasmtime checks that version, configuration and CPU fit. A component is
    // opened once more, by its name, in that same folder.
    #[allow(unsafe_code)]
    let made = unsafe {
        match kind {
            Kind::Module => Compiled::Module(Module::deserialize_open_file(engine, file)),
            Kind::Component => Compiled::Component(Component::deserialize_file(engine, path)),
        }
    };
    matches!(made, Compiled::Module(Ok(_)) | Compiled::Component(Ok(_))).then_some(made)
}

fn from_memory(engine: &Engine, kind: Kind, code: &[u8]) -> Compiled {
    // SAFETY: `code` was made by this process, or by the one that it was forked from.
    #[allow(unsafe_code)]
    unsafe {
        match kind {
            Kind::Module => Compiled::Module(Module::deserialize(engine, code)),
            Kind::Component => Compiled::Component(Component::deserialize(engine, code)),
        }
    }
}
