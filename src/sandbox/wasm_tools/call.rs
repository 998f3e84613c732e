//! One call within its limits, and many at once.

use super::WasmTools;
use super::host::{Side, store};
use super::load::{Arguments, Loaded};
use super::write::{Bad, Writer};
use crate::error::Error;
use crate::sandbox::engine::{LANES, Runtime};
use crate::sandbox::exec::{block_on, cores};
use crate::sandbox::faults::{memory_limit, out_of_fuel, output_limit, text};
use crate::sandbox::files::Changes;
use crate::sandbox::host::Stop;
use crate::sandbox::limits::Limits;
use crate::sandbox::meter::{Meter, Metered};
use crate::sandbox::outcome::{Fault, FaultKind, Outcome};
use crate::sandbox::slot::Origin;
use futures_lite::future::yield_now;
use serde_json::{Map, Value};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wasmtime::Trap;

/// How long a lane of quick calls keeps its thread.
const TURN: Duration = Duration::from_millis(10);
/// Longest message of a failed instance.
const MOST_MESSAGE: usize = 2000;

impl WasmTools {
    /// Calls a tool with a JSON object of arguments, in a new instance; `cancel` stops it at the next tick (10 ms).
    pub async fn start(&self, name: &str, arguments: &str, cancel: &Arc<AtomicBool>) -> Result<Outcome, Error> {
        let began = Instant::now();
        let loaded = self.loaded()?;
        let mut outcome = match arguments_of(&loaded, name, arguments) {
            Ok(arguments) => self.run(&loaded, name, &arguments, cancel).await?,
            Err(fault) => Outcome { fault: Some(fault), reproducible: true, ..Outcome::default() },
        };
        outcome.wall_ms = began.elapsed().as_secs_f64() * 1e3;
        Ok(outcome)
    }

    async fn run(
        &self,
        loaded: &Loaded,
        name: &str,
        arguments: &Arguments,
        cancel: &Arc<AtomicBool>,
    ) -> Result<Outcome, Error> {
        let limits = &self.0.limits;
        let meter = Arc::<Meter>::default();
        let origin = Origin { seed: self.0.seed, ..Origin::default() };
        let mut store = store(&loaded.engine, &meter, limits, origin, cancel)
            .map_err(|e| Error::Sandbox(format!("cannot make a store for a WebAssembly tool: {e:#}")))?;
        let mut writer = Writer::new(limits.output_bytes());
        let result = {
            let call = pin!(loaded.call(&mut store, name, arguments, &mut writer));
            Metered::new(call, meter, false).await
        };
        let fuel = limits.fuel.map(|budget| (budget + 1 - store.get_fuel().unwrap_or(0).min(budget + 1)).min(budget));
        let side = store.into_data();
        let mut reproducible = !matches!(side.host.stop, Some(Stop::Timeout | Stop::Cancelled));
        let fault = match result {
            Ok(_) if side.host.truncated => Some(output_limit(limits)),
            Ok(Ok(())) => None,
            Ok(Err(bad)) => Some(bad_result(bad, limits)),
            Err(error) => {
                // How deep the host's stack goes depends on the processor's code.
                reproducible &= !matches!(error.downcast_ref::<Trap>(), Some(Trap::StackOverflow));
                Some(ended(&side, &error, limits))
            }
        };
        let truncated = side.host.truncated;
        Ok(Outcome {
            stdout: text(side.host.stdout),
            stderr: text(side.host.stderr),
            value_json: fault.is_none().then_some(writer.json),
            value_repr: None,
            fault,
            fuel,
            wall_ms: 0.0,
            truncated,
            reproducible,
            calls: Vec::new(),
            files: Changes::default(),
        })
    }

    /// Calls many tools on all cores; results keep the order. `done` counts finished ones; `cancel` stops all.
    pub async fn start_batch(
        &self,
        calls: Vec<(String, String)>,
        done: Arc<AtomicUsize>,
        cancel: &Arc<AtomicBool>,
    ) -> Result<Vec<Outcome>, Error> {
        self.loaded()?;
        let count = calls.len();
        let batch = Arc::new(Batch {
            tools: self.clone(),
            calls,
            next: AtomicUsize::new(0),
            done,
            cancel: Arc::clone(cancel),
            results: Mutex::new(vec![None; count]),
        });
        let runtime = Runtime::get();
        let lane = |_| {
            let batch = Arc::clone(&batch);
            runtime.threads.spawn(async move { batch.lane().await })
        };
        let lanes: Vec<_> = (0..count.min(cores() * LANES)).map(lane).collect();
        for lane in lanes {
            lane.await?;
        }
        let results = std::mem::take(&mut *batch.results.lock().unwrap_or_else(PoisonError::into_inner));
        let results: Vec<Outcome> = results.into_iter().flatten().collect();
        if results.len() < count {
            return Err(Error::Sandbox("the batch was cancelled".to_owned()));
        }
        Ok(results)
    }

    /// Calls many tools on all cores and waits for them; results keep the order.
    pub fn call_batch(&self, calls: Vec<(String, String)>) -> Result<Vec<Outcome>, Error> {
        block_on(self.start_batch(calls, Arc::default(), &Arc::default()), || {})
    }
}

/// Calls, shared by the lanes that work on them.
struct Batch {
    tools: WasmTools,
    calls: Vec<(String, String)>,
    next: AtomicUsize,
    done: Arc<AtomicUsize>,
    cancel: Arc<AtomicBool>,
    results: Mutex<Vec<Option<Outcome>>>,
}

impl Batch {
    /// Takes calls until none is left.
    async fn lane(&self) -> Result<(), Error> {
        let mut turn = Instant::now();
        while !self.cancel.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((name, arguments)) = self.calls.get(index) else { break };
            let outcome = self.tools.start(name, arguments, &self.cancel).await?;
            self.results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(outcome);
            self.done.fetch_add(1, Ordering::AcqRel);
            if turn.elapsed() >= TURN {
                yield_now().await;
                turn = Instant::now();
            }
        }
        Ok(())
    }
}

fn arguments_of(loaded: &Loaded, name: &str, arguments: &str) -> Result<Arguments, Fault> {
    let bad = |message: String| Fault::new(FaultKind::BadArguments, message);
    let unknown = || {
        let shown = super::describe::shown(name);
        Fault::new(FaultKind::UnknownTool, format!("unknown tool '{shown}'"))
    };
    if !loaded.has(name) {
        return Err(unknown());
    }
    let given: Value =
        serde_json::from_str(arguments).map_err(|error| bad(format!("the arguments are no valid JSON: {error}")))?;
    let Value::Object(given) = given else { return Err(bad("the arguments must be a JSON object".to_owned())) };
    let given: Map<String, Value> = given;
    loaded.arguments(name, &given).ok_or_else(unknown)?.map_err(bad)
}

fn bad_result(bad: Bad, limits: &Limits) -> Fault {
    let message = match bad {
        Bad::Large => format!("the value has more than {} KB (output_kb)", limits.output_kb),
        Bad::NotFinite(number) => format!("the result is {number}, which is no JSON"),
        Bad::Type => "the result is of a type that is no JSON".to_owned(),
        Bad::Failed(message) => {
            return Fault { type_name: "Error".to_owned(), ..Fault::new(FaultKind::Exception, message) };
        }
    };
    Fault::new(FaultKind::BadResult, message)
}

/// Why an instance ended.
fn ended(side: &Side, error: &wasmtime::Error, limits: &Limits) -> Fault {
    let trap = error.downcast_ref::<Trap>();
    let cause = || {
        let text = error.root_cause().to_string();
        text[..text.floor_char_boundary(MOST_MESSAGE)].to_owned()
    };
    match (side.host.stop, trap) {
        (Some(Stop::Timeout), _) => {
            Fault::new(FaultKind::Timeout, format!("stopped after {} ms (timeout_ms)", limits.timeout_ms))
        }
        (Some(Stop::Cancelled), _) => Fault::new(FaultKind::Cancelled, "cancelled by the host"),
        (Some(Stop::Exit | Stop::Differs), _) => Fault::new(FaultKind::Trap, cause()),
        (None, Some(Trap::OutOfFuel)) => out_of_fuel(limits),
        _ if side.host.truncated => output_limit(limits),
        _ if side.host.memory_denied => memory_limit(limits),
        // What crosses to the host has a bound, of which lists and texts take the most.
        (None, None) if cause().contains("fuel allocated for hostcalls") => {
            Fault::new(FaultKind::BadResult, format!("the value has more than {} KB (output_kb)", limits.output_kb))
        }
        (None, Some(trap)) => Fault::new(FaultKind::Trap, trap.to_string()),
        (None, None) => Fault::new(FaultKind::Trap, cause()),
    }
}
