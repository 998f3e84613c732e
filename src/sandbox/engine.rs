//! What one process needs once: engines, compiled guest, master image, instances, ticker, threads.
//!
//! All of it belongs to a process id. After a fork the child makes its own, because threads do not survive a fork and
//! locks may be held for ever; the parent's copy is never touched there.

use super::cache;
use super::dirty::Tracking;
use super::exec::{self, Threads};
use super::guests::{Guest, MOST_GUESTS};
use super::host::{self, Host};
use super::image::{Image, Memories, PAGE, write_sparse};
use super::limits::Limits;
use super::pool::Pool;
use super::slot::{Origin, Slot};
use super::stack::Stacks;
use super::ticks::Ticks;
use crate::error::Error;
use async_lock::Semaphore;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use wasmtime::{Config, Engine, InstancePre, Linker, Module, Result, format_err};

/// Length of an epoch: how late a timeout can come.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// Deep recursion in a program ends as `RecursionError` before this is exhausted.
const WASM_STACK: usize = 64 << 20;
/// What host functions may need on top.
const HOST_STACK: usize = 2 << 20;
/// Steps under way per core. Those that run long share the core; more than these wait.
pub(super) const LANES: usize = 8;
/// Changes with the way the image is made, so that older files are not taken.
const IMAGE_FORMAT: &[u8; 8] = b"mentor-3";

/// A guest, and whether its fuel is counted: what an engine is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Variant {
    pub guest: Guest,
    pub metered: bool,
}

impl Variant {
    const COUNT: usize = 2 * MOST_GUESTS;

    fn index(self) -> usize {
        2 * self.guest.index() + usize::from(self.metered)
    }
}

/// An engine with the guest compiled for it.
pub(super) struct Kit {
    engine: Engine,
    pre: InstancePre<Host>,
    image: Arc<Image>,
    variant: Variant,
    pub pool: Pool,
}

impl Kit {
    fn new(variant: Variant, ticks: Arc<Ticks>) -> Result<Self> {
        let memories = Arc::<Memories>::default();
        let mut config = config(variant.metered);
        config.with_host_memory(Arc::<Memories>::clone(&memories) as _);
        let engine = Engine::new(&config)?;
        let module = compiled(&engine, variant)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker, &module)?;
        let pre = linker.instantiate_pre(&module)?;
        let ticking = engine.weak();
        std::thread::Builder::new().name("mentor-epochs".to_owned()).spawn(move || {
            while let Some(engine) = ticking.upgrade() {
                engine.increment_epoch();
                drop(engine);
                ticks.tick();
                std::thread::sleep(TICK);
            }
        })?;
        let image = Arc::new(master(&engine, &pre, &memories, variant)?.of(variant.guest));
        memories.set(Arc::clone(&image));
        Ok(Self { engine, pre, image, variant, pool: Pool::default() })
    }

    /// A new instance.
    pub async fn instance(&self, tracking: Option<Tracking>) -> Result<Slot> {
        Slot::new(&self.engine, &self.pre, &self.image, self.variant.metered, tracking).await
    }
}

pub(super) fn config(metered: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(metered)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + HOST_STACK)
        .with_host_stack(Arc::<Stacks>::default())
        // The image is mapped by `Memories`; what follows is address space only.
        .memory_reservation(1 << 32)
        .memory_guard_size(1 << 25)
        .memory_may_move(false)
        .memory_init_cow(false)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    config
}

pub(super) fn name(parts: &str) -> String {
    Sha256::digest(parts.as_bytes()).iter().take(12).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// File name of compiled code. Its key: guest, wasmtime's version, configuration, CPU.
fn code_name(engine: &Engine, guest: Guest) -> String {
    let mut compatible = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatible);
    let key = format!("{} {} {:016x}", guest.hash(), env!("CARGO_PKG_VERSION"), compatible.finish());
    format!("guest-{}.cwasm", name(&key))
}

/// File name of the master image, which is the same on every machine.
fn image_name(guest: Guest) -> String {
    let format = String::from_utf8_lossy(IMAGE_FORMAT);
    format!("guest-{}.image", name(&format!("{} {} {format}", guest.hash(), env!("CARGO_PKG_VERSION"))))
}

/// The compiler leaves 150 MB of freed memory, which glibc keeps from the system unless it is told.
pub(super) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: may be called at any time.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Deletes a guest's file and what was made of it. Instances that run go on.
pub(super) fn forget(guest: Guest) -> io::Result<()> {
    let codes = [false, true].map(|metered| Engine::new(&config(metered)).map(|engine| code_name(&engine, guest)));
    let made = codes.into_iter().flatten().chain([image_name(guest)]).filter_map(|name| cache::path(&name));
    for path in made.chain(guest.path()) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Compiled code that could not be written to disk, for children of a fork.
static IN_MEMORY: [OnceLock<Vec<u8>>; Variant::COUNT] = [const { OnceLock::new() }; Variant::COUNT];

fn compiled(engine: &Engine, variant: Variant) -> Result<Module> {
    let memory = &IN_MEMORY[variant.index()];
    if let Some(code) = memory.get() {
        return from_memory(engine, code);
    }
    let path = cache::path(&code_name(engine, variant.guest));
    if let Some(module) = path.as_ref().and_then(|path| from_file(engine, path)) {
        return Ok(module);
    }
    // A pool of its own: after a fork the threads of rayon's global one are gone, and waiting for them never ends.
    let pool = rayon::ThreadPoolBuilder::new().build().map_err(|error| format_err!("no threads: {error}"))?;
    let (wasm, _) = variant.guest.parts()?;
    let code = pool.install(|| engine.precompile_module(&wasm))?;
    drop(pool);
    give_back();
    if let Some(path) = path
        && cache::store(&path, |file| file.write_all(&code)).is_ok()
        && let Some(module) = from_file(engine, &path)
    {
        return Ok(module);
    }
    from_memory(engine, memory.get_or_init(|| code))
}

fn from_file(engine: &Engine, path: &Path) -> Option<Module> {
    let (file, _) = cache::open(path)?;
    // SAFETY: the file lies in a folder that only this user can write, belongs to this user, and ends with the digest
    // of its content, so it is what `store` wrote; wasmtime checks that version, configuration and CPU fit.
    #[allow(unsafe_code)]
    let module = unsafe { Module::deserialize_open_file(engine, file) };
    module.ok()
}

fn from_memory(engine: &Engine, code: &[u8]) -> Result<Module> {
    // SAFETY: `code` was made by `precompile_module` in this process, or in the one that it was forked from.
    #[allow(unsafe_code)]
    unsafe {
        Module::deserialize(engine, code)
    }
}

/// The master image: from the cache, or made by an instance of the guest that has gone the usual ways.
fn master(engine: &Engine, pre: &InstancePre<Host>, memories: &Memories, variant: Variant) -> Result<Image> {
    let Variant { guest, metered } = variant;
    let path = cache::path(&image_name(guest));
    if let Some(image) = path.as_ref().and_then(|path| image_of(path)) {
        return Ok(image);
    }
    let (_, memory) = guest.parts()?;
    let pages = memory.len().div_ceil(1 << 16).max(initial_pages(pre));
    memories.set(Arc::new(Image::anonymous(&memory, pages << 16, Vec::new())?));
    let empty = Arc::new(Image::anonymous(&memory, pages << 16, Vec::new())?);
    let (bytes, globals, hot) = exec::block_on(
        async {
            // Two instances with the same history: one is asked what it holds, the other becomes the image.
            let mut twin = Slot::new(engine, pre, &empty, metered, None).await?;
            twin.rehearse().await?;
            let objects = twin.survey().await?;
            let mut slot = Slot::new(engine, pre, &empty, metered, None).await?;
            slot.rehearse().await?;
            slot.immortalise(&objects, &twin)?;
            slot.guest("prepare").await?;
            let (bytes, globals) = (slot.bytes().to_vec(), slot.globals());
            slot.start(Origin::default(), &Limits::default()).await?;
            slot.guest("prepare").await?;
            let pages = bytes.chunks(PAGE).zip(slot.bytes().chunks(PAGE));
            let hot: Vec<u32> =
                (0u32..).zip(pages).filter(|(_, (before, after))| before != after).map(|(page, _)| page).collect();
            Ok::<_, wasmtime::Error>((bytes, globals, hot))
        },
        || {},
    )?;
    if let Some(path) = path
        && cache::store(&path, |file| write_image(file, &bytes, &globals, &hot)).is_ok()
        && let Some(image) = image_of(&path)
    {
        return Ok(image);
    }
    Ok(Image::anonymous(&bytes, bytes.len(), globals)?.heated(hot))
}

fn initial_pages(pre: &InstancePre<Host>) -> usize {
    let memory = pre.module().get_export("memory").and_then(|kind| kind.memory().map(wasmtime::MemoryType::minimum));
    memory.and_then(|pages| usize::try_from(pages).ok()).unwrap_or(0)
}

/// Memory, so that it starts at a page's border, then format, globals and hot pages, their numbers, the memory's length.
fn write_image(file: &mut File, memory: &[u8], globals: &[i32], hot: &[u32]) -> io::Result<()> {
    write_sparse(file, memory)?;
    file.seek(SeekFrom::Start(memory.len() as u64))?;
    file.write_all(IMAGE_FORMAT)?;
    for global in globals {
        file.write_all(&global.to_le_bytes())?;
    }
    for page in hot {
        file.write_all(&page.to_le_bytes())?;
    }
    file.write_all(&(hot.len() as u64).to_le_bytes())?;
    file.write_all(&(globals.len() as u64).to_le_bytes())?;
    file.write_all(&(memory.len() as u64).to_le_bytes())
}

fn image_of(path: &Path) -> Option<Image> {
    let (mut file, len) = cache::open(path)?;
    let number = |file: &mut File, at: u64| -> Option<u64> {
        let mut bytes = [0; 8];
        file.seek(SeekFrom::Start(at)).ok()?;
        file.read_exact(&mut bytes).ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    let memory = number(&mut file, len.checked_sub(8)?)?;
    let globals = number(&mut file, len.checked_sub(16)?)?;
    let hot = number(&mut file, len.checked_sub(24)?)?;
    let rest = len.checked_sub(memory)?;
    let fits = globals <= 16 && hot <= memory / PAGE as u64 && rest == 32 + 4 * (globals + hot);
    if !fits || number(&mut file, memory)? != u64::from_le_bytes(*IMAGE_FORMAT) {
        return None;
    }
    let mut words = Vec::new();
    (&file).take(4 * (globals + hot)).read_to_end(&mut words).ok()?;
    let mut words = words.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let globals = words.by_ref().take(usize::try_from(globals).ok()?).map(u32::cast_signed).collect();
    let (memory, hot) = (usize::try_from(memory).ok()?, words.collect::<Vec<_>>());
    let inside = hot.iter().all(|&page| (page as usize) < memory / PAGE);
    let image = Image::new(file, memory, globals).ok()?;
    inside.then(|| image.heated(hot))
}

/// The state of one process.
pub(super) struct Runtime {
    kits: [OnceLock<std::result::Result<Kit, Error>>; Variant::COUNT],
    pub threads: Threads,
    /// Steps under way in the background; others wait without an instance.
    pub permits: Arc<Semaphore>,
    /// Those that wait for the host.
    pub ticks: Arc<Ticks>,
}

impl Runtime {
    /// The runtime of this process, made when it is first asked for.
    pub fn get() -> Arc<Self> {
        static CURRENT: Mutex<Option<(u32, Arc<Runtime>)>> = Mutex::new(None);
        let pid = std::process::id();
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((owner, runtime)) if *owner == pid => Arc::clone(runtime),
            _ => {
                let runtime = Arc::new(Self {
                    kits: Default::default(),
                    threads: Threads::default(),
                    permits: Arc::new(Semaphore::new(LANES * exec::cores())),
                    ticks: Arc::default(),
                });
                // After a fork the parent's runtime is left as it is: its threads are gone, its locks are unknown.
                std::mem::forget(current.replace((pid, Arc::clone(&runtime))));
                runtime
            }
        }
    }

    /// The kit, made on first use: milliseconds from the cache, seconds where the guest must be compiled.
    pub fn kit(&self, variant: Variant) -> std::result::Result<&Kit, Error> {
        let made = self.kits[variant.index()].get_or_init(|| {
            Kit::new(variant, Arc::clone(&self.ticks))
                .map_err(|e| Error::Sandbox(format!("cannot prepare the sandbox's guest: {e:#}")))
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// Whether the kit can be had without compiling.
    pub fn is_compiled(&self, variant: Variant) -> bool {
        if self.kits[variant.index()].get().is_some() || IN_MEMORY[variant.index()].get().is_some() {
            return true;
        }
        let Ok(engine) = Engine::new(&config(variant.metered)) else { return false };
        cache::path(&code_name(&engine, variant.guest)).is_some_and(|path| path.exists())
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
