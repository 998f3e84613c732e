//! The sandbox: values, limits, isolation, determinism, sessions, the cache.

use mentor::sandbox::{
    Environment, FaultKind, Functions, Grant, Limits, Listener, Outcome, Program, Reply, Sandbox, Step, Stream, Ties,
};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn run_with(limits: Limits, code: &str) -> Outcome {
    Sandbox::new(limits, 0).and_then(|sandbox| sandbox.run(&Program::new(code))).expect("the host works")
}

fn run(code: &str) -> Outcome {
    run_with(Limits::default(), code)
}

fn value(code: &str) -> String {
    let outcome = run(code);
    outcome.value_json.clone().unwrap_or_else(|| panic!("{code}: {outcome:?}"))
}

fn kind(outcome: &Outcome) -> Option<FaultKind> {
    outcome.fault.as_ref().map(|fault| fault.kind)
}

#[test]
fn the_last_expression_is_the_value() {
    for (code, json) in [
        ("1 + 1", "2"),
        ("x = 2\nx * 21", "42"),
        ("x = 2", "null"),
        ("", "null"),
        ("0", "0"),
        ("False", "false"),
        ("[]", "[]"),
        ("10 / 2", "5.0"),
        ("2 ** 100", "1267650600228229401496703205376"),
        ("{'a': (1, None)}", r#"{"a": [1, null]}"#),
        ("class A:\n    def f(self): return 7\nA().f()", "7"),
        ("import sys\nsys.exit()", "null"),
    ] {
        assert_eq!(value(code), json, "{code}");
    }
}

#[test]
fn values_without_json_have_a_repr() {
    for (code, repr) in [("{1}", "{1}"), ("float('inf')", "inf"), ("1j", "1j"), ("object", "<class 'object'>")] {
        let outcome = run(code);
        assert_eq!((outcome.value_json, outcome.value_repr.as_deref()), (None, Some(repr)), "{code}");
    }
}

#[test]
fn output_comes_back_in_order_and_apart() {
    let outcome =
        run("import sys, os\nprint('a'); print('b', file=sys.stderr); sys.stdout.buffer.write(b'c\\xff\\n')\n\
                       for i in range(3000): print(i)\nNone");
    let numbers = (0..3000).map(|i| i.to_string()).collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!(outcome.stdout, format!("a\nc\u{fffd}\n{numbers}"));
    assert_eq!(outcome.stderr, "b\n");
    assert!(!outcome.truncated);
}

#[test]
fn exceptions_carry_the_programs_line_numbers() {
    let outcome = run("def f(x):\n    return 1 / x\nprint('before')\nf(0)");
    let fault = outcome.fault.expect("a fault");
    assert_eq!(fault.kind, FaultKind::Exception);
    assert_eq!((fault.type_name.as_str(), fault.message.as_str()), ("ZeroDivisionError", "division by zero"));
    assert!(fault.traceback.contains("File \"<code>\", line 4, in <module>\n    f(0)"), "{}", fault.traceback);
    assert!(fault.traceback.contains("line 2, in f\n    return 1 / x"), "{}", fault.traceback);
    assert!(!fault.traceback.contains("app.py"), "{}", fault.traceback);
    assert_eq!(outcome.stdout, "before\n");
    assert_eq!(run("1 +").fault.map(|f| f.type_name).as_deref(), Some("SyntaxError"));
    assert_eq!(run("import sys\nsys.exit(3)").fault.map(|f| f.type_name).as_deref(), Some("SystemExit"));
}

#[test]
fn the_environment_runs_first() {
    let program = Program::new("double(4)").after(Environment::new("def double(x):\n    return 2 * x"));
    assert_eq!(Sandbox::default().run(&program).expect("runs").value_json.as_deref(), Some("8"));
    let program = Program::new("1").after(Environment::new("\n1 / 0"));
    let fault = Sandbox::default().run(&program).expect("runs").fault.expect("a fault");
    assert!(fault.traceback.contains("File \"<env>\", line 2"), "{}", fault.traceback);
}

#[test]
fn time_is_limited() {
    let limits = Limits { timeout_ms: 100, ..Limits::default() };
    for code in [
        "print('kept')\nwhile True: pass",
        "print('kept')\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "print('kept')\n10 ** (10 ** 8)",
        "import re\nprint('kept')\nre.match('(a+)+b', 'a' * 40)",
    ] {
        let outcome = run_with(limits, code);
        assert_eq!(kind(&outcome), Some(FaultKind::Timeout), "{code}: {outcome:?}");
        assert_eq!(outcome.stdout, "kept\n", "{code}");
        assert!(outcome.wall_ms < 2_000.0, "{code}: {} ms", outcome.wall_ms);
        assert!(!outcome.reproducible);
    }
}

#[test]
fn memory_is_limited() {
    let limits = Limits { memory_mb: 64, ..Limits::default() };
    for code in ["'a' * 10**9", "x = []\nwhile True: x.append('a' * 10**5)"] {
        assert_eq!(kind(&run_with(limits, code)), Some(FaultKind::MemoryLimit), "{code}");
    }
    assert_eq!(run_with(Limits { memory_mb: 48, ..limits }, "1 + 1").value_json.as_deref(), Some("2"));
}

#[test]
fn output_is_limited() {
    let limits = Limits { output_kb: 4, ..Limits::default() };
    let outcome = run_with(limits, "while True: print('x' * 99)");
    assert_eq!(kind(&outcome), Some(FaultKind::OutputLimit), "{outcome:?}");
    assert!(outcome.truncated);
    assert_eq!(outcome.stdout.len(), 4096);
    let both = run_with(limits, "import sys, os\nos.write(2, b'y' * 5000)\nos.write(1, b'y' * 5000)\n1");
    assert!(both.truncated);
    assert_eq!(both.stdout.len() + both.stderr.len(), 4096);
    assert_eq!(run_with(limits, "'x' * 5000").value_json, None, "too large a value has no JSON");
}

#[test]
fn a_session_outlives_its_output_limit() {
    let session = Sandbox::new(Limits { output_kb: 4, ..Limits::default() }, 0).expect("valid").session();
    let step = |code: &str| session.act(&Step::run(code)).expect("runs");
    assert_eq!(kind(&step("while True: print('x' * 99)")), Some(FaultKind::OutputLimit));
    let next = step("print('again')");
    assert_eq!((next.stdout.as_str(), next.truncated), ("again\n", false));
}

#[test]
fn fuel_is_limited_and_deterministic() {
    let code = "import random, uuid, time\n[random.random(), str(uuid.uuid4()), time.time(), hash('a'), list({'a', 'b', 'c'})]";
    let limits = Limits { fuel: Some(2_000_000_000), ..Limits::default() };
    let first = run_with(limits, code);
    assert!(first.fuel.is_some_and(|fuel| fuel > 1_000), "{first:?}");
    for _ in 0..6 {
        let again = run_with(limits, code);
        assert_eq!((&again.value_json, again.fuel), (&first.value_json, first.fuel));
    }
    let stopped = run_with(Limits { fuel: Some(10_000_000), ..limits }, "while True: pass");
    assert_eq!(kind(&stopped), Some(FaultKind::OutOfFuel), "{stopped:?}");
    assert_eq!(stopped.fuel, Some(10_000_000));
    assert!(stopped.reproducible);
}

#[test]
fn the_seed_decides() {
    let at = |seed| {
        let sandbox = Sandbox::new(Limits::default(), seed).expect("valid");
        sandbox
            .run(&Program::new("import random, os\n[random.random(), os.urandom(8).hex()]"))
            .expect("runs")
            .value_json
    };
    assert_eq!(at(1), at(1));
    assert_ne!(at(1), at(2));
}

#[test]
fn nothing_of_the_host_is_within_reach() {
    for code in [
        "open('/etc/passwd')",
        "open('x', 'w')",
        "import os; os.system('ls')",
        "import os; os.fork()",
        "import os; os.listdir('/')",
        "import subprocess; subprocess.run(['ls'])",
        "import socket; socket.create_connection(('127.0.0.1', 80))",
        "import socket; socket.socket().connect(('127.0.0.1', 80))",
        "import threading; threading.Thread(target=print).start()",
        "import ctypes",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1')",
    ] {
        // Without files of its own; what a program writes there is in memory.
        let outcome = run_with(Limits { files_kb: 0, ..Limits::default() }, code);
        assert!(matches!(kind(&outcome), Some(FaultKind::Exception)), "{code}: {outcome:?}");
    }
    assert!(matches!(kind(&run("open('/etc/passwd')")), Some(FaultKind::Exception)));
    assert_eq!(value("import os; os.listdir('/')"), r#"["tmp"]"#);
    assert_eq!(value("import os; dict(os.environ)"), "{}");
    assert_eq!(value("import time\na = time.monotonic()\ntime.sleep(60)\nround(time.monotonic() - a)"), "60");
    assert_eq!(
        value("import asyncio\nasync def f():\n    await asyncio.sleep(5)\n    return 7\nasyncio.run(f())"),
        "7"
    );
}

#[test]
fn damage_stays_in_its_instance() {
    for code in [
        "import os; os._exit(0)",
        "import os; os.abort()",
        "import builtins; builtins.len = None",
        "import sys; sys.modules.clear()",
        "import sys; sys.stdout.close()",
        "def f(n): return f(n + 1)\nf(0)",
        "x = []\nfor _ in range(100000): x = [x]\nx",
        "import json; json.dumps = None",
    ] {
        let _ = run(code);
        assert_eq!(value("len([1, 2])"), "2", "after {code}");
    }
    assert_eq!(kind(&run("import os; os._exit(0)")), Some(FaultKind::Trap));
    assert_eq!(run("def f(n): return f(n + 1)\nf(0)").fault.map(|f| f.type_name).as_deref(), Some("RecursionError"));
}

#[test]
fn the_library_is_there() {
    for module in "math decimal fractions statistics itertools collections heapq functools string textwrap ast inspect \
                   dataclasses enum bisect csv sqlite3 datetime xml.etree.ElementTree configparser shlex colorsys \
                   tomllib email timeit html.parser concurrent.futures unittest doctest"
        .split_whitespace()
    {
        assert!(run(&format!("import {module}")).ok(), "{module}: {:?}", run(&format!("import {module}")));
    }
}

#[test]
fn a_batch_keeps_its_order() {
    let programs: Vec<_> = (0..23).map(|i| Program::new(format!("{i} * {i}"))).collect();
    let outcomes = Sandbox::default().run_batch(programs).expect("runs");
    let values: Vec<_> = outcomes.iter().filter_map(|o| o.value_json.clone()).collect();
    assert_eq!(values, (0..23).map(|i| (i * i).to_string()).collect::<Vec<_>>());
    assert_eq!(Sandbox::default().run_batch(Vec::new()).expect("runs"), Vec::new());
}

#[test]
fn runs_share_nothing_sessions_keep_globals() {
    assert_eq!(run("x = 1").value_json.as_deref(), Some("null"));
    assert_eq!(run("x").fault.map(|f| f.type_name).as_deref(), Some("NameError"));
    let session = Sandbox::default().session();
    let step = |code: &str| session.act(&Step::run(code)).expect("runs");
    assert!(step("x = 41\ndef f(y): return x + y").ok());
    assert_eq!(step("x + 1").value_json.as_deref(), Some("42"));
    assert_eq!(kind(&step("1 / 0")), Some(FaultKind::Exception));
    assert_eq!(session.act(&Step::call("f", r#"{"y": 2}"#)).expect("runs").value_json.as_deref(), Some("43"));
    let call = |name: &str| session.act(&Step::call(name, "{}")).expect("runs");
    assert_eq!(kind(&call("g")), Some(FaultKind::UnknownTool));
    step("def inf(): return float('inf')");
    assert_eq!(kind(&call("inf")), Some(FaultKind::BadResult));
    assert_eq!(kind(&step("import os; os._exit(1)")), Some(FaultKind::Trap));
    assert!(step("1").fault.is_some_and(|fault| fault.message.contains("start a new one")));
    session.close();
    assert!(session.act(&Step::run("1")).is_err());
}

#[test]
fn limits_that_cannot_hold_are_refused() {
    for limits in [
        Limits { timeout_ms: 0, ..Limits::default() },
        Limits { memory_mb: 1, ..Limits::default() },
        Limits { memory_mb: 5000, ..Limits::default() },
        Limits { output_kb: 0, ..Limits::default() },
        Limits { fuel: Some(0), ..Limits::default() },
    ] {
        assert!(Sandbox::new(limits, 0).is_err(), "{limits:?}");
    }
}

/// Answers every call with its own arguments, on another thread, after a while.
struct Echo(Duration);

impl Functions for Echo {
    fn begin(&self, _name: &str, arguments: String, reply: Reply) {
        let wait = self.0;
        std::thread::spawn(move || {
            std::thread::sleep(wait);
            reply.send(Ok(arguments));
        });
    }
}

fn granting(wait: Duration, limits: Limits) -> Sandbox {
    let names = ["echo".to_owned()].into();
    let grant = Grant { names, timeout: Duration::from_secs(10), max_calls: 10, max_bytes: 1 << 16 };
    let ties = Ties { functions: Some(Arc::new(Echo(wait))), ..Ties::default() };
    Sandbox::new(limits, 0).expect("limits").granting(grant).tied(ties)
}

#[test]
fn functions_of_the_host_are_called_recorded_and_repeated() {
    let metered = Limits { fuel: Some(1 << 40), ..Limits::default() };
    let sandbox = granting(Duration::from_millis(1), metered);
    let program = Program::new("[echo(1), echo(x=2)]");
    let live = sandbox.run(&program).expect("runs");
    assert_eq!(live.value_json.as_deref(), Some(r#"[[[1], {}], [[], {"x": 2}]]"#));
    assert!(!live.reproducible);
    assert_eq!(live.calls.len(), 2);
    let ties = Ties { replay: Some(live.calls.clone().into()), ..Ties::default() };
    let again = sandbox.clone().tied(ties.clone()).run(&program).expect("runs");
    assert!(again.reproducible);
    assert_eq!((&again.value_json, again.fuel, &again.calls), (&live.value_json, live.fuel, &live.calls));
    let other = sandbox.tied(ties).run(&Program::new("echo(3)")).expect("runs");
    assert_eq!(kind(&other), Some(FaultKind::Replay));
}

#[test]
fn a_function_that_sleeps_does_not_keep_its_guest() {
    let sandbox = granting(Duration::from_mins(1), Limits { timeout_ms: 50, ..Limits::default() });
    assert!(run("1").ok()); // the guest is there
    let began = Instant::now();
    assert_eq!(kind(&sandbox.run(&Program::new("echo(1)")).expect("runs")), Some(FaultKind::Timeout));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[derive(Default)]
struct Ear(Mutex<String>);

impl Listener for Ear {
    fn hear(&self, stream: Stream, text: String) {
        let _ = write!(self.0.lock().expect("no panic"), "{} {text}", stream.as_str());
    }
}

#[test]
fn output_is_heard() {
    let ear = Arc::<Ear>::default();
    let ties = Ties { listener: Some(Arc::clone(&ear) as _), ..Ties::default() };
    let outcome =
        Sandbox::default().tied(ties).run(&Program::new("import sys\nprint('é')\nprint('e', file=sys.stderr)"));
    assert!(outcome.expect("runs").ok());
    assert_eq!(*ear.0.lock().expect("no panic"), "stdout é\nstderr e\n");
}
