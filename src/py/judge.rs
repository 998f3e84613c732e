//! The native answer judge for Python.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;

use crate::answer::{Decision, Gold, Verdict};

/// So many pairs are judged between two looks at pending signals.
const CHUNK: usize = 4096;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(judge, module)?)
}

/// The native verdicts of pairs: `True` equal, `False` different, `None` undecided; and the names of the rules.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 hands over owned values")]
fn judge(
    py: Python<'_>,
    predictions: Vec<PyBackedStr>,
    golds: Vec<PyBackedStr>,
) -> PyResult<Vec<(Option<bool>, &'static str)>> {
    let mut decisions = Vec::with_capacity(predictions.len());
    let mut last: Option<(&str, Gold)> = None;
    for (predictions, golds) in predictions.chunks(CHUNK).zip(golds.chunks(CHUNK)) {
        py.detach(|| {
            for (predicted, text) in predictions.iter().zip(golds) {
                // A group of predictions shares its gold answer.
                let gold = match last.take() {
                    Some((known, gold)) if known == &**text => gold,
                    _ => Gold::new(text),
                };
                decisions.push(python(gold.decide(predicted)));
                last = Some((text, gold));
            }
        });
        py.check_signals()?;
    }
    Ok(decisions)
}

fn python(decision: Decision) -> (Option<bool>, &'static str) {
    let equal = match decision.verdict {
        Verdict::Equal => Some(true),
        Verdict::Different => Some(false),
        Verdict::Undecided => None,
    };
    (equal, decision.rule.name())
}
