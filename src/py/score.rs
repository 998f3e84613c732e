//! Scoring across the border: rollouts come in as `str` or JSON bytes, scores go out as raw `f64` and JSON.

use std::str::FromStr;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;
use serde_json::{Value, json};

use crate::answer::Verdict;
use crate::batch::{Item, Rollout, score_batch};
use crate::reward::{COMPONENTS, Preset, Reference, Score, Tools};
use crate::trajectory::Span;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("COMPONENTS", COMPONENTS.to_vec())?;
    module.add("PRESETS", Preset::ALL.map(Preset::name).to_vec())?;
    module.add_class::<PreparedReference>()?;
    module.add_class::<PreparedTools>()?;
    module.add_class::<Scores>()?;
    module.add_function(wrap_pyfunction!(score, module)?)
}

/// A reference, read once.
#[pyclass(frozen)]
struct PreparedReference(Reference);

#[pymethods]
impl PreparedReference {
    #[new]
    fn new(json: &[u8]) -> PyResult<Self> {
        Reference::from_json(json).map(Self).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    #[getter]
    fn answer(&self) -> &str {
        self.0.gold.text()
    }

    /// The calls as JSON.
    fn tool_calls<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let calls = self.0.calls.iter().map(|call| json!({"name": call.name, "arguments": call.arguments}));
        PyBytes::new(py, Value::Array(calls.collect()).to_string().as_bytes())
    }
}

/// Names of offered tools, read once.
#[pyclass(frozen)]
struct PreparedTools(Tools);

#[pymethods]
impl PreparedTools {
    #[new]
    fn new(json: &[u8]) -> PyResult<Self> {
        let value: Value = serde_json::from_slice(json).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Tools::from_value(&value).map(Self).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

/// What kind a rollout is.
#[derive(FromPyObject)]
enum Input {
    Text(PyBackedStr),
    /// JSON of a message list.
    Messages(PyBackedBytes),
    /// `(bytes,)`: text that may not be valid UTF-8.
    Bytes((PyBackedBytes,)),
}

impl Input {
    fn rollout(&self) -> Rollout<'_> {
        match self {
            Self::Text(text) => Rollout::Text(text),
            Self::Messages(json) => Rollout::Messages(json),
            Self::Bytes((bytes,)) => Rollout::Bytes(bytes),
        }
    }
}

/// So many rollouts are scored between two looks at pending signals.
const CHUNK: usize = 2048;

#[pyfunction]
#[pyo3(signature = (rollouts, references, tools, preset, threads))]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 hands over owned values")]
fn score(
    py: Python<'_>,
    rollouts: Vec<Input>,
    references: Vec<Py<PreparedReference>>,
    tools: Vec<Option<Py<PreparedTools>>>,
    preset: &str,
    threads: Option<usize>,
) -> PyResult<Scores> {
    let preset = Preset::from_str(preset).map_err(|error| PyValueError::new_err(error.to_string()))?;
    if rollouts.len() != references.len() || rollouts.len() != tools.len() {
        return Err(PyValueError::new_err("unequal lengths"));
    }
    let items: Vec<Item<'_>> = rollouts
        .iter()
        .zip(references.iter().zip(&tools))
        .map(|(rollout, (reference, tools))| Item {
            rollout: rollout.rollout(),
            reference: &reference.get().0,
            tools: tools.as_ref().map(|tools| &tools.get().0),
        })
        .collect();
    let mut scores = Vec::with_capacity(items.len());
    for chunk in items.chunks(CHUNK) {
        scores.extend(py.detach(|| score_batch(chunk, preset, threads)));
        py.check_signals()?;
    }
    Ok(Scores { scores, preset })
}

/// The scores of a batch, in order.
#[pyclass]
struct Scores {
    scores: Vec<Score>,
    preset: Preset,
}

#[pymethods]
impl Scores {
    fn __len__(&self) -> usize {
        self.scores.len()
    }

    /// The rewards as native-endian f64.
    fn rewards<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        floats(py, self.scores.iter().map(|score| score.reward))
    }

    /// One column of the components per name in `COMPONENTS`, as native-endian f64.
    fn components<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let rows: Vec<_> = self.scores.iter().map(Score::components).collect();
        (0..COMPONENTS.len()).map(|column| floats(py, rows.iter().map(|row| row[column]))).collect()
    }

    /// The rows whose answer the native judge left undecided: index and predicted answer.
    fn undecided(&self) -> Vec<(usize, String)> {
        let open = self.scores.iter().enumerate().filter(|(_, score)| score.is_open());
        open.filter_map(|(at, score)| score.trajectory.answer.as_ref().map(|a| (at, a.text.clone()))).collect()
    }

    /// The rows that have an answer at all: index and predicted answer.
    fn answers(&self) -> Vec<(usize, String)> {
        let rows = self.scores.iter().enumerate().filter(|(_, score)| score.verdict.is_some());
        rows.filter_map(|(at, score)| score.trajectory.answer.as_ref().map(|a| (at, a.text.clone()))).collect()
    }

    /// Takes the slower judge's verdicts: index, and `True`, `False`, or `None` for undecided.
    fn settle(&mut self, verdicts: Vec<(usize, Option<bool>)>) -> PyResult<()> {
        for (at, equal) in verdicts {
            let verdict = match equal {
                Some(true) => Verdict::Equal,
                Some(false) => Verdict::Different,
                None => Verdict::Undecided,
            };
            let score = self.scores.get_mut(at).ok_or_else(|| PyValueError::new_err("no such row"))?;
            score.settle(verdict, self.preset);
        }
        Ok(())
    }

    /// How many rows have a defect of each kind, by the kind's name.
    fn defects(&self) -> std::collections::BTreeMap<&'static str, usize> {
        let mut counts = std::collections::BTreeMap::new();
        for score in &self.scores {
            let mut kinds: Vec<&'static str> = score.trajectory.defects.iter().map(|d| d.kind.name()).collect();
            kinds.sort_unstable();
            kinds.dedup();
            for kind in kinds {
                *counts.entry(kind).or_insert(0) += 1;
            }
        }
        counts
    }

    /// Everything about one row, as JSON.
    fn detail<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyBytes>> {
        let score = self.scores.get(index).ok_or_else(|| PyValueError::new_err("no such row"))?;
        Ok(PyBytes::new(py, detail(score).to_string().as_bytes()))
    }
}

fn floats(py: Python<'_>, values: impl Iterator<Item = f64>) -> Bound<'_, PyBytes> {
    let bytes: Vec<u8> = values.flat_map(f64::to_ne_bytes).collect();
    PyBytes::new(py, &bytes)
}

fn detail(score: &Score) -> Value {
    let span = |span: &Span| json!([span.start, span.end]);
    let trajectory = &score.trajectory;
    let components: serde_json::Map<String, Value> =
        COMPONENTS.iter().zip(score.components()).map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "reward": score.reward,
        "components": components,
        "answer": trajectory.answer.as_ref().map(|answer| &answer.text),
        "answer_span": trajectory.answer.as_ref().map(|answer| span(&answer.span)),
        "correct": score.facts.correct,
        "verdict": score.verdict.map(Verdict::name),
        "calls": trajectory.calls.iter().map(|call| json!({
            "name": call.name, "arguments": call.arguments, "span": call.span.as_ref().map(span), "turn": call.turn,
        })).collect::<Vec<_>>(),
        "matches": score.matches.iter().map(|m| json!({
            "call": m.call, "reference": m.reference, "exact": m.exact,
        })).collect::<Vec<_>>(),
        "defects": trajectory.defects.iter().map(|defect| json!({
            "kind": defect.kind.name(), "message": defect.message, "span": defect.span.as_ref().map(span),
        })).collect::<Vec<_>>(),
        "turns": trajectory.turns.iter().map(|turn| json!({
            "span": span(&turn.span), "message": turn.message, "results": turn.results,
        })).collect::<Vec<_>>(),
    })
}
