//! Scoring across the border: rollouts come in as `str` or JSON bytes, scores go out as raw `f64` and JSON.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyList, PyString};
use serde_json::{Value as Tree, json};

use super::detail::detail;
use crate::answer::Verdict;
use crate::batch::{Item, Rollout, Row, score_into};
use crate::reward::{COMPONENTS, Reference, Reward, Score};
use crate::tools::Tools;
use crate::trajectory::{DefectKind, Format, Trajectory, formats};

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("COMPONENTS", COMPONENTS.to_vec())?;
    module.add("FORMATS", Format::ALL.map(Format::name).to_vec())?;
    module.add("REWARDS", Reward::names().collect::<Vec<_>>())?;
    module.add_class::<PreparedReward>()?;
    module.add_class::<PreparedReference>()?;
    module.add_class::<PreparedTools>()?;
    module.add_class::<Scores>()?;
    module.add_function(wrap_pyfunction!(detect_format, module)?)?;
    module.add_function(wrap_pyfunction!(score, module)?)
}

/// The format that a model writes, by its name or its chat template.
#[pyfunction]
fn detect_format(model: &str) -> Option<&'static str> {
    formats::detect(model).map(Format::name)
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
        let reference = &self.0;
        let calls = reference.calls.iter().map(|call| {
            let arguments = reference.doc.value(call.arguments).to_tree();
            json!({"name": reference.doc.str(call.name), "arguments": arguments})
        });
        PyBytes::new(py, Tree::Array(calls.collect()).to_string().as_bytes())
    }
}

/// Names of offered tools, read once.
#[pyclass(frozen)]
struct PreparedTools(Tools);

#[pymethods]
impl PreparedTools {
    #[new]
    fn new(json: &[u8]) -> PyResult<Self> {
        let value: Tree = serde_json::from_slice(json).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Tools::from_value(&value).map(Self).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

/// A reward, read once.
#[pyclass(frozen)]
struct PreparedReward(Reward);

#[pymethods]
impl PreparedReward {
    /// Takes JSON: a name, or an object of a name and options.
    #[new]
    fn new(json: &str) -> PyResult<Self> {
        let value: Tree = serde_json::from_str(json).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Reward::from_value(&value).map(Self).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

/// A rollout as Python holds it: nothing is copied.
enum Input {
    Text(PyBackedStr),
    /// JSON of a message list.
    Messages(PyBackedBytes),
    /// Text that may not be valid UTF-8.
    Bytes(PyBackedBytes),
}

impl Input {
    /// Takes a `str` as it is; anything else goes through `convert(index, rollout)`, which gives `str`, the bytes of a
    /// message list, or `(bytes,)` for text that may not be valid UTF-8.
    fn new(at: usize, rollout: Bound<'_, PyAny>, convert: &Bound<'_, PyAny>) -> PyResult<Self> {
        let rollout = match rollout.cast_into::<PyString>() {
            // Fails for lone surrogates, which UTF-8 does not have.
            Ok(text) => match PyBackedStr::try_from(text.clone()) {
                Ok(text) => return Ok(Self::Text(text)),
                Err(_) => text.into_any(),
            },
            Err(other) => other.into_inner(),
        };
        let converted = convert.call1((at, rollout))?;
        if let Ok(text) = converted.extract() {
            return Ok(Self::Text(text));
        }
        match converted.extract::<PyBackedBytes>() {
            Ok(json) => Ok(Self::Messages(json)),
            Err(_) => converted.extract::<(PyBackedBytes,)>().map(|(bytes,)| Self::Bytes(bytes)),
        }
    }

    fn rollout(&self) -> Rollout<'_> {
        match self {
            Self::Text(text) => Rollout::Text(text),
            Self::Messages(json) => Rollout::Messages(json),
            Self::Bytes(bytes) => Rollout::Bytes(bytes),
        }
    }
}

/// Hashes addresses.
#[derive(Default)]
struct Address(u64);

impl Hasher for Address {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }
    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// The prepared references of a batch: each object is prepared once, however many rows it stands for.
fn prepared(refs: &Bound<'_, PyList>, prepare: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PreparedReference>>> {
    let py = refs.py();
    // For each object the first row that it stands for. Keys are addresses: a multiplication spreads them.
    let mut known: HashMap<usize, usize, BuildHasherDefault<Address>> = HashMap::default();
    let mut last = None;
    let mut found: Vec<Py<PreparedReference>> = Vec::with_capacity(refs.len());
    let mut signals = Signals::new(py);
    for (at, reference) in refs.iter().enumerate() {
        signals.after(0)?;
        let key = reference.as_ptr() as usize;
        let first =
            last.filter(|(known, _)| *known == key).map(|(_, first)| first).or_else(|| known.get(&key).copied());
        let prepared = if let Some(first) = first {
            found[first].clone_ref(py)
        } else {
            known.insert(key, at);
            prepare.call1((at, reference))?.extract()?
        };
        last = Some((key, first.unwrap_or(at)));
        found.push(prepared);
    }
    Ok(found)
}

/// Scores rollouts. `convert(index, rollout)` and `prepare(index, reference)` are called for what is not yet in the form
/// that the parser takes; `tools` has one entry, for all rows, or one per row.
#[pyfunction]
#[pyo3(signature = (rollouts, refs, tools, reward, format, threads, convert, prepare))]
#[expect(clippy::too_many_arguments, reason = "one caller, which names them")]
fn score(
    py: Python<'_>,
    rollouts: &Bound<'_, PyList>,
    refs: &Bound<'_, PyList>,
    tools: Vec<Option<Py<PreparedTools>>>,
    reward: &PreparedReward,
    format: &str,
    threads: Option<usize>,
    convert: &Bound<'_, PyAny>,
    prepare: &Bound<'_, PyAny>,
) -> PyResult<Scores> {
    let reward = reward.0;
    let format = Format::from_name(format).ok_or_else(|| PyValueError::new_err("unknown format"))?;
    if rollouts.len() != refs.len() || (tools.len() != 1 && tools.len() != refs.len()) {
        return Err(PyValueError::new_err("unequal lengths"));
    }
    let mut inputs = Vec::with_capacity(rollouts.len());
    let mut signals = Signals::new(py);
    for (at, rollout) in rollouts.iter().enumerate() {
        let input = Input::new(at, rollout, convert)?;
        signals.after(input.rollout().len())?;
        inputs.push(input);
    }
    let references = prepared(refs, prepare)?;
    if reward != Reward::ToolRl
        && let Some(at) = references.iter().position(|reference| !reference.get().0.has_answer())
    {
        return Err(PyValueError::new_err(format!("refs[{at}]: answer: is missing")));
    }
    let mut scores =
        Scores { rows: Vec::with_capacity(inputs.len()), inputs, references, tools, reward, format, open: 0 };
    let mut rows = Vec::with_capacity(scores.inputs.len());
    let mut open = 0;
    while rows.len() < scores.inputs.len() {
        let first = rows.len();
        let items = scores.chunk(first, threads);
        py.detach(|| score_into(&items, &reward, threads, &mut rows));
        open += rows[first..].iter().filter(|row| row.open.is_some()).count();
        py.check_signals()?;
    }
    scores.rows = rows;
    scores.open = open;
    Ok(scores)
}

/// Looks at pending signals every few milliseconds of work, so that Ctrl-C is answered within 100 ms.
struct Signals<'py> {
    py: Python<'py>,
    work: usize,
}

impl<'py> Signals<'py> {
    /// Work between two looks, in bytes of rollouts; so much per thread, where there are several.
    const PAUSE: usize = 2 << 20;
    /// What a row costs whatever its length, in bytes.
    const ROW: usize = 1 << 10;

    fn new(py: Python<'py>) -> Self {
        Self { py, work: 0 }
    }

    /// Counts a row of so many bytes; fails where a signal's handler raised.
    fn after(&mut self, bytes: usize) -> PyResult<()> {
        self.work += bytes + Self::ROW;
        if self.work < Self::PAUSE {
            return Ok(());
        }
        self.work = 0;
        self.py.check_signals()
    }
}

/// The scores of a batch, in order. Keeps the rollouts, from which the details of a row are read again when asked for.
#[pyclass]
struct Scores {
    rows: Vec<Row>,
    inputs: Vec<Input>,
    references: Vec<Py<PreparedReference>>,
    tools: Vec<Option<Py<PreparedTools>>>,
    reward: Reward,
    format: Format,
    /// How many rows were left undecided.
    open: usize,
}

impl Scores {
    fn item(&self, at: usize) -> Item<'_> {
        let tools = if self.tools.len() == 1 { &self.tools[0] } else { &self.tools[at] };
        Item {
            rollout: self.inputs[at].rollout(),
            reference: &self.references[at].get().0,
            tools: tools.as_ref().map(|tools| &tools.get().0),
            format: self.format,
        }
    }

    /// The next rows from one on that take some milliseconds together: after them pending signals are looked at.
    fn chunk(&self, first: usize, threads: Option<usize>) -> Vec<Item<'_>> {
        let threads = threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
        let mut room = Signals::PAUSE.saturating_mul(threads);
        let mut items = Vec::with_capacity(room.div_ceil(Signals::ROW).min(self.inputs.len() - first));
        for at in first..self.inputs.len() {
            let item = self.item(at);
            let work = item.rollout.len() + Signals::ROW;
            items.push(item);
            if work >= room {
                break;
            }
            room -= work;
        }
        items
    }
}

#[pymethods]
impl Scores {
    fn __len__(&self) -> usize {
        self.rows.len()
    }

    /// The rewards as native-endian f64.
    fn rewards<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        floats(py, self.rows.iter().map(|row| row.reward))
    }

    /// One column of the components per name in `COMPONENTS`, as native-endian f64.
    fn components<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let rows: Vec<_> = self.rows.iter().map(|row| row.facts.components()).collect();
        (0..COMPONENTS.len()).map(|column| floats(py, rows.iter().map(|row| row[column]))).collect()
    }

    /// The rows whose answer the native judge left undecided: index, gold answer and predicted answer.
    fn undecided(&self, py: Python<'_>) -> PyResult<Vec<(usize, &str, &str)>> {
        let mut found = Vec::new();
        let mut signals = Signals::new(py);
        let rows = if self.open == 0 { &[][..] } else { &self.rows };
        for (at, row) in rows.iter().enumerate() {
            signals.after(0)?;
            if let Some(answer) = row.open.as_deref() {
                found.push((at, self.references[at].get().0.gold.text(), answer));
            }
        }
        Ok(found)
    }

    /// The rows that have an answer at all: index, gold answer and predicted answer.
    fn answers(&self, py: Python<'_>) -> PyResult<Vec<(usize, &str, String)>> {
        let mut found = Vec::new();
        let mut trajectory = Trajectory::default();
        let mut signals = Signals::new(py);
        for (at, _) in self.rows.iter().enumerate().filter(|(_, row)| row.verdict.is_some()) {
            let item = self.item(at);
            item.rollout.parse(&item.options(), &mut trajectory);
            signals.after(item.rollout.len())?;
            if let Some(answer) = trajectory.answer_text() {
                found.push((at, item.reference.gold.text(), answer.to_owned()));
            }
        }
        Ok(found)
    }

    /// Takes the slower judge's verdicts: index, and `True`, `False`, or `None` for undecided.
    fn settle(&mut self, verdicts: Vec<(usize, Option<bool>)>) -> PyResult<()> {
        for (at, equal) in verdicts {
            let verdict = match equal {
                Some(true) => Verdict::Equal,
                Some(false) => Verdict::Different,
                None => Verdict::Undecided,
            };
            let row = self.rows.get_mut(at).ok_or_else(|| PyValueError::new_err("no such row"))?;
            row.settle(verdict, &self.reward);
        }
        Ok(())
    }

    /// How many rows have a defect of each kind, by the kind's name.
    fn defects(&self) -> std::collections::BTreeMap<&'static str, usize> {
        let mut counts = std::collections::BTreeMap::new();
        for kind in DefectKind::ALL {
            let rows = self.rows.iter().filter(|row| row.defects & 1 << kind.index() != 0).count();
            if rows > 0 {
                counts.insert(kind.name(), rows);
            }
        }
        counts
    }

    /// Per row the final answer as the rollout has it, `None` where it has none: the rollouts are read again.
    fn answer_texts(&self, py: Python<'_>) -> Vec<Option<String>> {
        let items: Vec<Item<'_>> = (0..self.rows.len()).map(|at| self.item(at)).collect();
        py.detach(|| {
            let mut trajectory = Trajectory::default();
            let answer = |item: &Item<'_>| {
                item.rollout.parse(&item.options(), &mut trajectory);
                trajectory.answer_text().map(str::to_owned)
            };
            items.iter().map(answer).collect()
        })
    }

    /// Per row the name of the judge's verdict, `None` where there was nothing to judge.
    fn verdicts(&self) -> Vec<Option<&'static str>> {
        self.rows.iter().map(|row| row.verdict.map(Verdict::name)).collect()
    }

    /// Per row the names of the kinds of its defects, each once, in the order of `DefectKind::ALL`.
    fn defect_names<'py>(&self, py: Python<'py>) -> Vec<Vec<Bound<'py, PyString>>> {
        let names = DefectKind::ALL.map(|kind| PyString::new(py, kind.name()));
        let row_names = |row: &Row| {
            let present = names.iter().enumerate().filter(|(kind, _)| row.defects & 1 << kind != 0);
            present.map(|(_, name)| name.clone()).collect()
        };
        self.rows.iter().map(row_names).collect()
    }

    /// Everything about one row, as JSON.
    fn detail<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyBytes>> {
        let row = self.rows.get(index).ok_or_else(|| PyValueError::new_err("no such row"))?;
        let mut score = Score::default();
        self.item(index).score(&self.reward, &mut score);
        if let Some(verdict) = row.verdict {
            score.settle(verdict, &self.reward);
        }
        let detail = detail(&score, &self.item(index), &self.reward);
        Ok(PyBytes::new(py, detail.to_string().as_bytes()))
    }
}

fn floats(py: Python<'_>, values: impl Iterator<Item = f64>) -> Bound<'_, PyBytes> {
    let bytes: Vec<u8> = values.flat_map(f64::to_ne_bytes).collect();
    PyBytes::new(py, &bytes)
}
