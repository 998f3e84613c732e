//! The import `call`: a guest asks its host for something. All that it passes is checked and bounded here.

use super::abi;
use super::engine::Runtime;
use super::functions::{Answer, Call, Grant, Waiting, desk};
use super::host::{Cx, Host, Stop, both, put, put_list};
use super::ties::Ties;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use wasmtime::{Linker, Result, bail};

/// Longest name that is looked at.
const MOST_NAME: usize = 1000;

/// What one step may call, and what it called so far.
pub(super) struct Calls {
    grant: Arc<Grant>,
    ties: Ties,
    /// Asked so far, refused calls included.
    asked: usize,
    bytes_left: usize,
    pub made: Vec<Call>,
    /// A function ran: the same program need not see the same again.
    pub live: bool,
}

/// How a call goes on.
enum Course {
    /// The answer is known.
    Known(Answer),
    /// A function runs.
    Waits(Waiting),
}

impl Calls {
    pub fn new(grant: Arc<Grant>, ties: Ties) -> Self {
        let bytes_left = grant.max_bytes;
        Self { grant, ties, asked: 0, bytes_left, made: Vec::new(), live: false }
    }

    /// Why a call is not even begun. Depends on the guest alone, so that it is the same in a replay.
    fn refusal(&mut self, name: &[u8], arguments: usize) -> Option<String> {
        let granted = std::str::from_utf8(name).ok().filter(|name| self.grant.names.iter().any(|known| known == name));
        let Some(name) = granted else {
            let name = String::from_utf8_lossy(&name[..name.len().min(100)]);
            return Some(format!("NameError: the host grants no function {name:?}"));
        };
        self.asked = self.asked.saturating_add(1);
        if self.asked > self.grant.max_calls {
            let most = self.grant.max_calls;
            return Some(format!("RuntimeError: {name}: more than {most} calls of the host's functions (max_calls)"));
        }
        if name.len().saturating_add(arguments) > self.bytes_left {
            return Some(self.too_large(name, arguments, "arguments"));
        }
        self.bytes_left -= name.len() + arguments;
        None
    }

    fn too_large(&self, name: &str, size: usize, what: &str) -> String {
        let (left, most) = (self.bytes_left, self.grant.max_bytes >> 10);
        format!("RuntimeError: {name}: {size} bytes of {what}, of {most} KB {left} bytes are left (max_kb)")
    }

    /// The record's answer; the error says what it has instead.
    fn recorded(&self, calls: &[Call], name: &str, arguments: &str) -> std::result::Result<Answer, String> {
        let number = self.made.len();
        match calls.get(number) {
            Some(call) if call.name == name && call.arguments == arguments => Ok(call.answer.clone()),
            other => {
                let show = |name: &str, arguments: &str| {
                    let end = arguments.floor_char_boundary(200);
                    format!("{name} {}{}", &arguments[..end], if end < arguments.len() { "..." } else { "" })
                };
                let known = match other {
                    Some(call) => format!("has {}", show(&call.name, &call.arguments)),
                    None => "ends before it".to_owned(),
                };
                Err(format!("call {number} is {}, but the record {known}", show(name, arguments)))
            }
        }
    }

    /// Begins a call.
    fn begin(&mut self, name: &str, arguments: &str) -> std::result::Result<Course, String> {
        if let Some(calls) = &self.ties.replay {
            return self.recorded(calls, name, arguments).map(Course::Known);
        }
        self.live = true;
        let Some(functions) = &self.ties.functions else {
            return Ok(Course::Known(Err("RuntimeError: nobody answers calls here".to_owned())));
        };
        let (reply, waiting) = desk();
        functions.begin(name, arguments.to_owned(), reply);
        Ok(Course::Waits(waiting))
    }

    /// Takes an answer to what the guest sees.
    fn settle(&mut self, name: String, arguments: String, answer: Answer) -> (bool, String) {
        let answer = match answer {
            // What is repeated was checked when it was recorded.
            answer if self.ties.replay.is_some() => answer,
            Ok(text) | Err(text) if text.len() > self.bytes_left => Err(self.too_large(&name, text.len(), "results")),
            answer => answer,
        };
        let (Ok(text) | Err(text)) = &answer;
        self.bytes_left = self.bytes_left.saturating_sub(text.len());
        let seen = (answer.is_ok(), text.clone());
        self.made.push(Call { name, arguments, answer });
        seen
    }
}

pub(super) fn link(linker: &mut Linker<Host>, module: &str, function: &str) -> Result<()> {
    linker.func_wrap_async(module, function, |mut cx: Cx, numbers: (u32, u32, u32, u32, u32)| {
        Box::new(async move {
            let (name_at, name_len, at, len, result) = numbers;
            let (returned, text) = ask(&mut cx, (name_at, name_len), (at, len)).await?;
            put(&mut cx, result, &[u8::from(returned)])?;
            put_list(&mut cx, result.wrapping_add(4), text.as_bytes(), 1).await
        })
    })?;
    Ok(())
}

/// Whether a function returned, and its result or what it raised.
async fn ask(cx: &mut Cx<'_>, name: (u32, u32), arguments: (u32, u32)) -> Result<(bool, String)> {
    let (memory, host) = both(cx)?;
    let name = abi::span(memory, name.0, name.1 as usize)?;
    let arguments = abi::span(memory, arguments.0, arguments.1 as usize)?;
    let Some(calls) = &mut host.calls else {
        return Ok((false, "RuntimeError: the host grants no functions here".to_owned()));
    };
    if name.len() > MOST_NAME {
        return Ok((false, "NameError: the host grants no function of such a name".to_owned()));
    }
    if let Some(refusal) = calls.refusal(name, arguments.len()) {
        return Ok((false, refusal));
    }
    let (Ok(name), Ok(arguments)) = (std::str::from_utf8(name), std::str::from_utf8(arguments)) else {
        bail!("the guest sent a string that is no UTF-8");
    };
    let (name, arguments) = (name.to_owned(), arguments.to_owned());
    let answer = match calls.begin(&name, &arguments) {
        Err(difference) => {
            host.stop = Some(Stop::Differs);
            bail!("{difference}");
        }
        Ok(Course::Known(answer)) => answer,
        Ok(Course::Waits(waiting)) => wait(host, &name, waiting).await?,
    };
    let Some(calls) = &mut host.calls else { bail!("the calls of a step are gone") };
    Ok(calls.settle(name, arguments, answer))
}

/// Waits for an answer as long as the function, the step and the caller allow. The time counts as the step's own.
async fn wait(host: &mut Host, name: &str, waiting: Waiting) -> Result<Answer> {
    let began = Instant::now();
    let (runtime, meter) = (Runtime::get(), Arc::clone(&host.meter));
    let Some(calls) = &host.calls else { bail!("the calls of a step are gone") };
    let (timeout, turn) = (calls.grant.timeout, calls.ties.turn.clone());
    let mut gave = false;
    let ended = poll_fn(|cx| {
        if let Poll::Ready((answer, at)) = waiting.poll(cx) {
            return Poll::Ready(Ok((answer, at.saturating_duration_since(began))));
        }
        let waited = began.elapsed();
        if meter.cancelled() {
            return Poll::Ready(Err(Stop::Cancelled));
        }
        if meter.expires(waited) {
            return Poll::Ready(Err(Stop::Timeout));
        }
        if waited >= timeout {
            let text = format!("TimeoutError: {name}: no answer within {} ms (timeout_ms)", timeout.as_millis());
            return Poll::Ready(Ok((Err(text), waited)));
        }
        gave |= turn.as_ref().is_some_and(|turn| turn.end());
        runtime.ticks.wait(cx.waker());
        Poll::Pending
    });
    let ended = ended.await;
    drop(waiting);
    let stop = match &ended {
        Err(stop) => Some(*stop),
        Ok((_, waited)) => {
            meter.spend(*waited);
            let cancelled = match turn.filter(|_| gave) {
                Some(turn) => turn.begin(&runtime, || meter.cancelled()).await,
                None => false,
            };
            let expired = meter.expires(Duration::ZERO).then_some(Stop::Timeout);
            if cancelled { Some(Stop::Cancelled) } else { expired }
        }
    };
    match (stop, ended) {
        (None, Ok((answer, _))) => Ok(answer),
        (stop, _) => {
            host.stop = stop;
            bail!("stopped while it waited for {name}");
        }
    }
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
