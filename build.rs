//! Builds the sandbox's guest: CPython with `guest/` in it, as a WebAssembly component, merged into one core module and an
//! image of its memory, compressed for embedding.
//!
//! `MENTOR_GUEST=path/to/guest.wasm` takes a prebuilt component instead, and then no componentize-py is needed.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "sandbox")]
    if let Err(message) = guest::build() {
        println!("cargo::error={message}");
        std::process::exit(1);
    }
}

#[cfg(feature = "sandbox")]
#[allow(dead_code)]
#[path = "src/sandbox/merge/mod.rs"]
mod merge;

#[cfg(feature = "sandbox")]
mod guest {
    use crate::merge::merge;
    use sha2::{Digest as _, Sha256};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::{env, fs, io};

    const SOURCES: [&str; 5] = ["app.py", "functions.py", "packages.py", "stdlib.py", "streams.py"];
    const WIT: &str = "wit/guest.wit";
    const INSTALL: &str = "`pip install componentize-py==0.25.1`, or set MENTOR_GUEST to a prebuilt guest, or build \
                           without the feature `sandbox`";
    const LEVEL: i32 = 19;
    const INTERFACE: &str = "mentor:guest/runner@0.1.0";

    pub fn build() -> Result<(), String> {
        println!("cargo::rerun-if-env-changed=MENTOR_GUEST");
        println!("cargo::rerun-if-changed=src/sandbox/merge");
        let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets no CARGO_MANIFEST_DIR")?);
        let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
        for file in SOURCES.iter().chain([&WIT]) {
            println!("cargo::rerun-if-changed={}", root.join("guest").join(file).display());
        }
        let component = match env::var_os("MENTOR_GUEST").filter(|path| !path.is_empty()) {
            Some(path) => prebuilt(Path::new(&path))?,
            None => fs::read(componentize(&root.join("guest"), &out)?).map_err(|error| error.to_string())?,
        };
        let merged = merge(&component, INTERFACE).map_err(|error| error.to_string())?;
        let mut hash = Sha256::new();
        for (name, bytes) in [("guest.wasm.zst", merged.wasm), ("guest.memory.zst", merged.memory)] {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(&bytes);
            let packed = zstd::bulk::compress(&bytes, LEVEL).map_err(|error| format!("zstd: {error}"))?;
            fs::write(out.join(name), packed).map_err(|error| format!("{}: {error}", out.display()))?;
        }
        // How the image is made decides addresses and fuel as much as the guest does.
        let files = ["files/contents.rs", "files/disk.rs", "files/tree.rs", "files/wasi.rs"];
        for file in ["calls.rs", "engine.rs", "host.rs", "rehearsal.rs", "slot.rs"].into_iter().chain(files) {
            let path = root.join("src/sandbox").join(file);
            println!("cargo::rerun-if-changed={}", path.display());
            hash.update(fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
        let hash = hash.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        println!("cargo::rustc-env=MENTOR_GUEST_SHA256={hash}");
        Ok(())
    }

    fn prebuilt(path: &Path) -> Result<Vec<u8>, String> {
        println!("cargo::rerun-if-changed={}", path.display());
        let bytes = fs::read(path).map_err(|error| format!("MENTOR_GUEST: {}: {error}", path.display()))?;
        // The preamble of a component: the magic number, version 13, layer 1.
        if !bytes.starts_with(b"\0asm\x0d\0\x01\0") {
            return Err(format!("MENTOR_GUEST: {} is no WebAssembly component", path.display()));
        }
        Ok(bytes)
    }

    /// Runs componentize-py on a copy of the sources, so that it leaves nothing in the source tree.
    fn componentize(guest: &Path, out: &Path) -> Result<PathBuf, String> {
        let copy = out.join("guest");
        let describe = |error: io::Error| format!("{}: {error}", copy.display());
        if copy.exists() {
            fs::remove_dir_all(&copy).map_err(describe)?;
        }
        fs::create_dir_all(copy.join("wit")).map_err(describe)?;
        for file in SOURCES.iter().chain([&WIT]) {
            let from = guest.join(file);
            fs::copy(&from, copy.join(file)).map_err(|error| format!("{}: {error}", from.display()))?;
        }
        let target = out.join("guest.wasm");
        let result = command()?
            .args(["-d", "wit", "-w", "guest", "componentize", "app", "-p", ".", "-o"])
            .arg(&target)
            .current_dir(&copy)
            // Else the packages of the active environment would be searched too.
            .env_remove("VIRTUAL_ENV")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("componentize-py does not start ({error}); {INSTALL}"))?;
        if result.status.success() {
            return Ok(target);
        }
        let text = String::from_utf8_lossy(&result.stderr);
        let reason = text.split("Stack backtrace").next().unwrap_or_default().trim().replace('\n', " | ");
        Err(format!("componentize-py could not build guest/: {reason}"))
    }

    /// componentize-py from the active virtual environment, from PATH, or as a module of python3.
    fn command() -> Result<Command, String> {
        let beside = env::var_os("VIRTUAL_ENV").map(|root| Path::new(&root).join("bin/componentize-py"));
        if let Some(path) = beside.filter(|path| path.is_file()).or_else(|| which::which("componentize-py").ok()) {
            return Ok(Command::new(path));
        }
        for python in ["python3", "python"] {
            let mut probe = Command::new(python);
            probe.args(["-c", "import componentize_py"]).stdin(Stdio::null()).stdout(Stdio::null());
            if probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
                let mut command = Command::new(python);
                // The package cannot be run with `-m`.
                command.args(["-c", "import sys, componentize_py as c; sys.argv[0] = 'componentize-py'; c.script()"]);
                return Ok(command);
            }
        }
        Err(format!("componentize-py not found; {INSTALL}"))
    }
}
