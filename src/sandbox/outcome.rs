//! What comes back from a run. Everything in it was made by untrusted code.

use super::files::Changes;
use super::functions::Call;
use std::fmt;

/// Why a run has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The program raised an exception.
    Exception,
    /// The instance broke: `os._exit`, an exhausted call stack, damage to the interpreter.
    Trap,
    /// The wall clock ran out.
    Timeout,
    /// The fuel ran out.
    OutOfFuel,
    /// The memory ran out.
    MemoryLimit,
    /// The program printed more than its limit.
    OutputLimit,
    /// The host stopped it.
    Cancelled,
    /// It called other functions of the host than the record that it was to repeat.
    Replay,
    /// A tool call's arguments do not fit the tool's schema; no guest was started.
    BadArguments,
    /// A tool's result is not JSON, or too large.
    BadResult,
    /// There is no tool of that name; no guest was started.
    UnknownTool,
}

impl FaultKind {
    /// The name that Python and JSON show.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exception => "exception",
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::OutOfFuel => "out_of_fuel",
            Self::MemoryLimit => "memory_limit",
            Self::OutputLimit => "output_limit",
            Self::Cancelled => "cancelled",
            Self::Replay => "replay",
            Self::BadArguments => "bad_arguments",
            Self::BadResult => "bad_result",
            Self::UnknownTool => "unknown_tool",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed run, as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What stopped the run.
    pub kind: FaultKind,
    /// Class of the program's own exception, such as `ZeroDivisionError`; empty for other kinds.
    pub type_name: String,
    /// One line for a person or a model.
    pub message: String,
    /// Python's traceback, its line numbers those of the program; empty where there is none.
    pub traceback: String,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, type_name: String::new(), message: message.into(), traceback: String::new() }
    }
}

/// Result of one run or tool call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What the program printed, up to the output limit.
    pub stdout: String,
    /// What the program printed to stderr, up to the output limit.
    pub stderr: String,
    /// Value of the last expression as JSON; none where it is not JSON, or where there is a fault.
    pub value_json: Option<String>,
    /// `repr` of that value, shortened; none where the value is `None` or missing.
    pub value_repr: Option<String>,
    /// Why there is no value.
    pub fault: Option<Fault>,
    /// WebAssembly operations used, where fuel is counted.
    pub fuel: Option<u64>,
    /// Time from the start of the run to its end, milliseconds.
    pub wall_ms: f64,
    /// Output was dropped at the limit.
    pub truncated: bool,
    /// The same program, seed, limits and guest give the same outcome; false after a timeout, a cancellation, or where the
    /// native stack was exhausted, or a function of the host ran.
    pub reproducible: bool,
    /// What it called of the host's functions, in order; of its environment first.
    pub calls: Vec<Call>,
    /// Files that the run made or changed.
    pub files: Changes,
}

impl Outcome {
    /// Of a step that was cancelled before it began.
    pub fn cancelled() -> Self {
        Self { fault: Some(Fault::new(FaultKind::Cancelled, "cancelled by the host")), ..Self::default() }
    }

    /// The same after calls that its environment made.
    pub(super) fn preceded(mut self, mut calls: Vec<Call>, reproducible: bool) -> Self {
        if !calls.is_empty() {
            calls.append(&mut self.calls);
            self.calls = calls;
            self.reproducible &= reproducible;
        }
        self
    }

    /// No fault.
    pub fn ok(&self) -> bool {
        self.fault.is_none()
    }
}
