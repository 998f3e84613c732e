//! Ties between a step and its Python caller: functions that it may call, answers of an earlier run, a listener.

use super::pool;
use crate::sandbox::{Answer, Call, Functions, Listener, Reply, Stream, Ties};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Inbox>()?;
    module.add_class::<Later>()
}

/// A call as Python sees it: name, arguments, whether it returned, and its result or error.
pub(super) type RawCall = (String, String, bool, String);

/// What ties a step: what answers its calls, calls to repeat, where its output goes, and what to call about that on the
/// caller's own thread.
#[derive(FromPyObject)]
pub(super) struct RawTies(Option<Py<PyAny>>, Option<Vec<RawCall>>, Option<Py<Inbox>>, Option<Py<PyAny>>);

/// Where output goes, and what to call about it.
pub(super) type Hearing = (Py<Inbox>, Py<PyAny>);

impl RawTies {
    /// The ties, and who listens on the caller's own thread.
    pub fn read(self) -> (Ties, Option<Hearing>) {
        let Self(answer, replay, inbox, hear) = self;
        let ties = Ties {
            functions: answer.map(|answer| Arc::new(PyFunctions(Arc::new(answer))) as Arc<dyn Functions>),
            replay: replay.map(|calls| calls.into_iter().map(read_call).collect()),
            listener: inbox.as_ref().map(|inbox| inbox.get().sender()),
            ..Ties::default()
        };
        (ties, inbox.zip(hear))
    }
}

fn read_call((name, arguments, returned, text): RawCall) -> Call {
    Call { name, arguments, answer: if returned { Ok(text) } else { Err(text) } }
}

pub(super) fn wrap_call(call: Call) -> RawCall {
    let returned = call.answer.is_ok();
    let (Ok(text) | Err(text)) = call.answer;
    (call.name, call.arguments, returned, text)
}

/// `answer(name, arguments, reply)` calls `reply.send`, then or later.
struct PyFunctions(Arc<Py<PyAny>>);

impl Functions for PyFunctions {
    fn begin(&self, name: &str, arguments: String, reply: Reply) {
        let (answer, name) = (Arc::clone(&self.0), name.to_owned());
        let ticket = pool::Ticket::new();
        reply.when_abandoned(move || pool::withdraw(ticket));
        pool::submit_as(ticket, move |py| {
            if reply.is_abandoned() {
                return Ok(None);
            }
            let later = Later { reply: Arc::new(reply), home: std::process::id() };
            let arguments = (name, arguments, later).into_pyobject(py)?;
            Ok(Some((answer.clone_ref(py), arguments.unbind())))
        });
    }
}

/// Where an answer goes.
#[pyclass(module = "mentor._core", name = "Reply", frozen)]
struct Later {
    reply: Arc<Reply>,
    home: u32,
}

#[pymethods]
impl Later {
    /// Gives the answer; only the first counts.
    fn send(&self, returned: bool, text: String) {
        // In the child of a fork nobody waits, and locks may be held for ever.
        if std::process::id() == self.home {
            let answer: Answer = if returned { Ok(text) } else { Err(text) };
            self.reply.send(answer);
        }
    }

    /// Has it called, on another thread, when the guest does not wait any more.
    fn when_abandoned(&self, hook: Py<PyAny>) {
        self.reply.when_abandoned(move || pool::submit(move |py| Ok(Some((hook, PyTuple::empty(py).unbind())))));
    }
}

/// Output that was not heard yet. `pump` is called on another thread when there is some, and is to call `take` until that
/// gives none; before that it is not called again.
#[pyclass(module = "mentor._core", frozen)]
pub(super) struct Inbox(Arc<Mail>);

struct Mail {
    pump: Option<Py<PyAny>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    texts: Vec<(&'static str, String)>,
    /// Somebody looks, or will soon.
    pumping: bool,
    /// He is to look once more.
    again: bool,
}

impl Mail {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that somebody looks.
fn wake(mail: &Arc<Mail>) {
    if mail.pump.is_none() {
        return;
    }
    let mut state = mail.lock();
    state.again = true;
    if std::mem::replace(&mut state.pumping, true) {
        return;
    }
    drop(state);
    let mail = Arc::clone(mail);
    pool::submit(move |py| Ok(mail.pump.as_ref().map(|pump| (pump.clone_ref(py), PyTuple::empty(py).unbind()))));
}

/// The guest's side.
struct Sender(Arc<Mail>);

impl Listener for Sender {
    fn hear(&self, stream: Stream, text: String) {
        self.0.lock().texts.push((stream.as_str(), text));
        wake(&self.0);
    }
}

#[pymethods]
impl Inbox {
    #[new]
    fn new(pump: Option<Py<PyAny>>) -> Self {
        Self(Arc::new(Mail { pump, state: Mutex::default() }))
    }

    /// Output that came since the last time, pairs of a stream's name and text; none when there is no reason to look.
    fn take(&self) -> Option<Vec<(&'static str, String)>> {
        let mut state = self.0.lock();
        state.pumping = std::mem::take(&mut state.again) || !state.texts.is_empty();
        state.pumping.then(|| std::mem::take(&mut state.texts))
    }

    /// Has `pump` called also where there is no output.
    fn wake(&self) {
        wake(&self.0);
    }

    /// Whether there is something to take.
    fn __bool__(&self) -> bool {
        !self.0.lock().texts.is_empty()
    }
}

impl Inbox {
    pub fn sender(&self) -> Arc<dyn Listener> {
        Arc::new(Sender(Arc::clone(&self.0)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().texts.is_empty()
    }
}
