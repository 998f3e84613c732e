//! What a guest's answer, or its end, means for the caller.

use super::abi::{self, GuestFault};
use super::limits::Limits;
use super::outcome::{Fault, FaultKind, Outcome};

pub(super) fn memory_limit(limits: &Limits) -> Fault {
    Fault::new(FaultKind::MemoryLimit, format!("needs more than {} MB (memory_mb)", limits.memory_mb))
}

pub(super) fn out_of_fuel(limits: &Limits) -> Fault {
    let message = format!("stopped after {} operations (fuel)", limits.fuel.unwrap_or_default());
    Fault::new(FaultKind::OutOfFuel, message)
}

pub(super) fn output_limit(limits: &Limits) -> Fault {
    Fault::new(FaultKind::OutputLimit, format!("printed more than {} KB (output_kb)", limits.output_kb))
}

pub(super) fn ended(kind: FaultKind) -> Outcome {
    let message = format!("this session ended with an earlier fault ({kind}); rebuild it, or start a new one");
    Outcome { fault: Some(Fault::new(FaultKind::Trap, message)), reproducible: true, ..Outcome::default() }
}

/// Checks an answer: a damaged guest can send anything that its types allow.
pub(super) fn translate(answer: abi::Answer, limits: &Limits) -> (Option<String>, Option<String>, Option<Fault>) {
    let abi::Answer { value_json, value_repr, oversize, fault } = answer;
    if let Some(fault) = fault {
        return (None, None, Some(translate_fault(fault, limits)));
    }
    if oversize {
        let message = format!("the value has more than {} KB (output_kb)", limits.output_kb);
        return (None, None, Some(Fault::new(FaultKind::BadResult, message)));
    }
    (value_json, value_repr, None)
}

fn translate_fault(fault: GuestFault, limits: &Limits) -> Fault {
    let GuestFault { kind, type_name, message, traceback } = fault;
    let kind = match kind.as_str() {
        "exception" => FaultKind::Exception,
        "memory-limit" => FaultKind::MemoryLimit,
        "output-limit" => {
            return output_limit(limits);
        }
        "bad-result" => FaultKind::BadResult,
        "unknown-tool" => FaultKind::UnknownTool,
        _ => FaultKind::Trap,
    };
    let message = match kind {
        FaultKind::MemoryLimit if message.is_empty() => memory_limit(limits).message,
        _ => message,
    };
    Fault { kind, type_name, message, traceback }
}

pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}
