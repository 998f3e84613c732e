//! One instance of the guest: the calls into it, and the translation of what comes back.

use super::engine::Kit;
use super::host::{State, Stop};
use super::limits::{Limits, MOST_FUEL};
use super::outcome::{Fault, FaultKind, Outcome};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use wasmtime::component::{ComponentExportIndex, ComponentType, Func, Lift};
use wasmtime::{Error, Result, Store, Trap, bail, format_err};

/// The guest's functions, looked up once per compiled guest.
#[derive(Clone, Copy)]
pub(crate) struct Exports {
    pub prepare: ComponentExportIndex,
    pub start: ComponentExportIndex,
    pub run: ComponentExportIndex,
    pub call: ComponentExportIndex,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct GuestFault {
    kind: String,
    #[component(name = "type-name")]
    type_name: String,
    message: String,
    traceback: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Answer {
    #[component(name = "value-json")]
    value_json: Option<String>,
    #[component(name = "value-repr")]
    value_repr: Option<String>,
    fault: Option<GuestFault>,
}

/// What to do in a guest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action<'a> {
    Run { source: &'a str, filename: &'a str },
    Call { name: &'a str, arguments: &'a str },
}

/// A live instance.
pub(crate) struct Guest {
    store: Store<State>,
    start: Func,
    run: Func,
    call: Func,
    metered: bool,
    /// Why no further call is possible.
    ended: Option<FaultKind>,
}

impl Guest {
    /// A new instance, rehearsed and ready.
    pub fn new(kit: &Kit) -> Result<Self> {
        let mut store = Store::new(&kit.engine, State::new());
        store.limiter(|state| state);
        store.epoch_deadline_callback(|mut cx| cx.data_mut().tick());
        store.set_epoch_deadline(1);
        if kit.metered {
            store.set_fuel(MOST_FUEL)?;
        }
        let instance = kit.pre.instantiate(&mut store)?;
        let mut find = |index: ComponentExportIndex| {
            instance.get_func(&mut store, index).ok_or_else(|| format_err!("the guest lacks an expected export"))
        };
        let prepare = find(kit.exports.prepare)?;
        let (start, run, call) = (find(kit.exports.start)?, find(kit.exports.run)?, find(kit.exports.call)?);
        // Touches the pages and caches that every program needs, off the critical path. The same in every instance,
        // so that runs stay comparable.
        store.data_mut().output_left = 1 << 16;
        if let Err(error) = prepare.typed::<(), ()>(&store)?.call(&mut store, ()) {
            let printed = text(std::mem::take(&mut store.data_mut().stderr));
            bail!("{error}: {}", printed.trim());
        }
        let state = store.data_mut();
        state.stdout.clear();
        state.stderr.clear();
        Ok(Self { store, start, run, call, metered: kit.metered, ended: None })
    }

    /// Sets the seed; once, before the first `act`.
    pub fn seed(&mut self, seed: u64, limits: &Limits) -> Result<()> {
        self.store.data_mut().seed(seed);
        let max_value = u32::try_from(limits.output_bytes()).unwrap_or(u32::MAX);
        self.start.typed::<(u64, u32), ()>(&self.store)?.call(&mut self.store, (seed, max_value))
    }

    /// Runs or calls, within the limits. Never fails: what goes wrong is the outcome's fault.
    pub fn act(&mut self, action: Action<'_>, limits: &Limits, cancel: &Arc<AtomicBool>) -> Outcome {
        let began = Instant::now();
        if let Some(kind) = self.ended {
            return ended(kind);
        }
        let state = self.store.data_mut();
        state.output_left = limits.output_bytes();
        state.truncated = false;
        state.memory_limit = limits.memory_bytes();
        state.memory_denied = false;
        state.deadline = Some(began + limits.timeout());
        state.cancel = Arc::clone(cancel);
        state.stop = None;
        let budget = limits.fuel.unwrap_or(MOST_FUEL);
        if self.metered {
            // Cannot fail: the engine counts fuel.
            let _ = self.store.set_fuel(budget);
        }
        let result = self.invoke(action);
        let fuel = self.metered.then(|| budget - self.store.get_fuel().unwrap_or(0).min(budget));
        let state = self.store.data_mut();
        let stdout = text(std::mem::take(&mut state.stdout));
        let stderr = text(std::mem::take(&mut state.stderr));
        let (value_json, value_repr, fault) = match result {
            Ok(answer) => translate(answer, limits),
            Err(error) => {
                let fault = self.trap(&error, limits);
                self.ended = Some(fault.kind);
                (None, None, Some(fault))
            }
        };
        let state = self.store.data();
        Outcome {
            stdout,
            stderr,
            value_json,
            value_repr,
            fault,
            fuel,
            wall_ms: began.elapsed().as_secs_f64() * 1e3,
            truncated: state.truncated,
            reproducible: !matches!(state.stop, Some(Stop::Timeout | Stop::Cancelled)),
        }
    }

    fn invoke(&mut self, action: Action<'_>) -> Result<Answer> {
        let (func, parameters) = match action {
            Action::Run { source, filename } => (self.run, (source, filename)),
            Action::Call { name, arguments } => (self.call, (name, arguments)),
        };
        let func = func.typed::<(&str, &str), (Answer,)>(&self.store)?;
        Ok(func.call(&mut self.store, parameters)?.0)
    }

    fn trap(&self, error: &Error, limits: &Limits) -> Fault {
        let state = self.store.data();
        let trap = error.downcast_ref::<Trap>();
        match (state.stop, trap) {
            (Some(Stop::Timeout), _) => {
                Fault::new(FaultKind::Timeout, format!("stopped after {} ms (timeout_ms)", limits.timeout_ms))
            }
            (Some(Stop::Cancelled), _) => Fault::new(FaultKind::Trap, "cancelled by the host"),
            (Some(Stop::Exit), _) => Fault::new(FaultKind::Trap, error.root_cause().to_string()),
            (None, Some(Trap::OutOfFuel)) => Fault::new(
                FaultKind::OutOfFuel,
                format!("stopped after {} operations (fuel)", limits.fuel.unwrap_or_default()),
            ),
            _ if state.memory_denied => memory_limit(limits),
            (None, Some(trap)) => Fault::new(FaultKind::Trap, trap.to_string()),
            (None, None) => Fault::new(FaultKind::Trap, error.root_cause().to_string()),
        }
    }
}

fn memory_limit(limits: &Limits) -> Fault {
    Fault::new(FaultKind::MemoryLimit, format!("needs more than {} MB (memory_mb)", limits.memory_mb))
}

fn ended(kind: FaultKind) -> Outcome {
    let message = format!("this session ended with an earlier fault ({kind}); start a new one");
    Outcome {
        stdout: String::new(),
        stderr: String::new(),
        value_json: None,
        value_repr: None,
        fault: Some(Fault::new(FaultKind::Trap, message)),
        fuel: None,
        wall_ms: 0.0,
        truncated: false,
        reproducible: true,
    }
}

/// Checks an answer: a damaged guest can send anything that its types allow.
fn translate(answer: Answer, limits: &Limits) -> (Option<String>, Option<String>, Option<Fault>) {
    let Answer { value_json, value_repr, fault } = answer;
    if let Some(fault) = fault {
        return (None, None, Some(translate_fault(fault, limits)));
    }
    if value_json.as_ref().is_some_and(|json| json.len() > limits.output_bytes()) {
        let message = format!("the value has more than {} KB (output_kb)", limits.output_kb);
        return (None, None, Some(Fault::new(FaultKind::BadResult, message)));
    }
    (value_json, value_repr.map(|repr| shorten(repr, limits.output_bytes().max(4096))), None)
}

fn translate_fault(fault: GuestFault, limits: &Limits) -> Fault {
    let GuestFault { kind, type_name, message, traceback } = fault;
    let kind = match kind.as_str() {
        "exception" => FaultKind::Exception,
        "memory-limit" => FaultKind::MemoryLimit,
        "output-limit" => {
            return Fault::new(
                FaultKind::OutputLimit,
                format!("printed more than {} KB (output_kb)", limits.output_kb),
            );
        }
        "bad-result" => FaultKind::BadResult,
        "unknown-tool" => FaultKind::UnknownTool,
        _ => FaultKind::Trap,
    };
    let message = match kind {
        FaultKind::MemoryLimit if message.is_empty() => memory_limit(limits).message,
        _ => shorten(message, 16_000),
    };
    Fault { kind, type_name: shorten(type_name, 200), message, traceback: shorten(traceback, 64_000) }
}

fn shorten(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
    text
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}
