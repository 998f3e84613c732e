//! The flaws that only scoring can see, and which calls count.

use super::{Config, Evidence, Facts};
use crate::align::Standing;
use crate::json::Value;
use crate::tools::{Tool, Tools};
use crate::trajectory::{Call, DefectKind, MAX_DEFECTS, Trajectory};

/// Fills `standing` with what is known of each call, and names the flaws.
pub(super) fn find(
    trajectory: &mut Trajectory,
    tools: Option<&Tools>,
    config: &Config,
    standing: &mut Vec<Standing>,
    facts: &mut Facts,
) {
    standing.clear();
    for at in 0..trajectory.calls.len() {
        let call = trajectory.calls[at];
        trajectory.at_turn = Some(call.turn);
        let (found, valid) = check(trajectory, &call, tools, config, facts);
        let executed = call.result.is_some();
        facts.executed_calls += usize::from(executed);
        if !executed && config.evidence == Evidence::Required {
            let message = "the call has no result in the trajectory and does not count";
            trajectory.defect(DefectKind::UnexecutedCall, call.span, message);
        }
        let counts = valid && (executed || config.evidence == Evidence::Offline);
        facts.counted_calls += usize::from(counts);
        let unknown = tools.is_some() && found.is_none();
        standing.push(Standing { unknown, counts, tool: found });
    }
    early_answers(trajectory);
}

/// The place of a call's tool, and whether the call is valid.
fn check(
    trajectory: &mut Trajectory,
    call: &Call,
    tools: Option<&Tools>,
    config: &Config,
    facts: &mut Facts,
) -> (Option<usize>, bool) {
    let mut valid = true;
    if is_oversize(trajectory, call, config.max_call_bytes) {
        facts.oversize_calls += 1;
        valid = false;
        let message = format!("the call has more than {} bytes", config.max_call_bytes);
        trajectory.defect(DefectKind::OversizeCall, call.span, message);
    }
    let Some(tools) = tools else { return (None, valid) };
    let Some(found) = tools.find(trajectory.name(call)) else {
        facts.unknown_calls += 1;
        let message = format!("no tool named {} was offered", quoted(trajectory.name(call)));
        trajectory.defect(DefectKind::UnknownTool, call.span, message);
        return (None, false);
    };
    // What is too large is not looked at: it does not count anyway.
    let schema = tools.get_at(found).and_then(Tool::schema).filter(|_| valid);
    let arguments = Value::Object(trajectory.arguments(call));
    if let Some(schema) = schema.filter(|schema| !schema.fits(arguments)) {
        facts.invalid_calls += 1;
        // Beyond the defects that are kept, the message would be made for nothing.
        let told = trajectory.defects.len() < MAX_DEFECTS;
        let fault = told.then(|| schema.fault(arguments)).flatten().unwrap_or_default();
        trajectory.defect(DefectKind::InvalidArguments, call.span, fault);
        valid = false;
    }
    (Some(found), valid)
}

/// A model's text in a message: quoted, and cut where it is long.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 120;
    if text.len() <= LONGEST {
        return format!("{text:?}");
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{:?}...", &text[..end])
}

/// Whether a call has more than so many bytes, in a text as it stands there, else as JSON.
fn is_oversize(trajectory: &Trajectory, call: &Call, most: usize) -> bool {
    if let Some(span) = call.span {
        return span.end - span.start > most;
    }
    let mut left = most;
    !fits(Value::Object(trajectory.arguments(call)), &mut left) || trajectory.name(call).len() > left
}

/// Takes a value's bytes from `left`, about as many as its JSON has; false when there are not enough.
fn fits(value: Value<'_>, left: &mut usize) -> bool {
    let mut take = |bytes: usize| {
        let enough = bytes <= *left;
        *left = left.saturating_sub(bytes);
        enough
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => take(4),
        Value::Big(text) | Value::String(text) => take(text.len() + 2),
        Value::Array(list) => take(2) && list.iter().all(|item| fits(item, left)),
        Value::Object(map) => {
            take(2) && map.iter().all(|(key, item)| key.len() + 4 <= *left && fits_key(key, item, left))
        }
    }
}

fn fits_key(key: &str, item: Value<'_>, left: &mut usize) -> bool {
    *left -= (key.len() + 4).min(*left);
    fits(item, left)
}

/// Answers in turns before the last.
fn early_answers(trajectory: &mut Trajectory) {
    let last = trajectory.turns.len().saturating_sub(1);
    for at in 0..last {
        let turn = trajectory.turns[at];
        if turn.boxed {
            let span = turn.message.is_none().then_some(turn.span);
            trajectory.at_turn = Some(at);
            trajectory.defect(
                DefectKind::EarlyAnswer,
                span,
                "an answer is boxed before the last turn; it does not count",
            );
        }
    }
    trajectory.at_turn = None;
}
