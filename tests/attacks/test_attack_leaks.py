"""Attacks on the next run: state that a program leaves behind, and what a later program sees of it.

What an ordinary program can see is asked by name here; that nothing at all is left is what the probe's checksum over the
whole linear memory says, after each attack of this folder.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from attack import MEMORY, USUAL, assert_clean, end

from mentor import Sandbox


@dataclass(frozen=True)
class Plant:
    """What one run leaves, what a later run asks, and what a run without predecessors answers."""

    name: str
    plant: str
    look: str
    clean: object
    ends: str = "ok"


PLANTS = [
    Plant("global", "planted = 1", "'planted' in globals()", False),
    Plant("builtin", "import builtins\nbuiltins.planted = 1", "import builtins\nhasattr(builtins, 'planted')", False),
    Plant("builtin-replaced", "import builtins\nbuiltins.len = lambda x: 99", "len([1])", 1),
    Plant("builtins-lost", "__builtins__.__dict__.clear()", "len([1])", 1),
    Plant("module-attribute", "import math\nmath.pi = 3", "import math\nmath.pi > 3.1", True),
    Plant("module-in-sys", "import sys, types\nsys.modules['planted'] = types", "import sys\n'planted' in sys.modules", False),
    Plant("module-replaced", "import sys\nsys.modules['json'] = None", "import json\njson.dumps([1])", "[1]"),
    Plant("module-imported", "import wave", "import sys\n'wave' in sys.modules", False),
    Plant(
        "import-hook",
        "import sys\nclass F:\n    def find_spec(*a): raise SystemError('planted')\nsys.meta_path.insert(0, F())",
        "import wave\nwave.__name__",
        "wave",
    ),
    Plant("import-function", "import builtins\nbuiltins.__import__ = None", "import wave\n1", 1),
    Plant("path", "import sys\nsys.path.append('/planted')", "import sys\nsys.path", []),
    Plant("type-attribute", "import collections\ncollections.ChainMap.planted = 1", "import collections\nhasattr(collections.ChainMap, 'planted')", False),
    Plant("subclass", "class Planted(dict): pass", "[c.__name__ for c in dict.__subclasses__() if c.__name__ == 'Planted']", []),
    Plant("abc", "import collections.abc as a\nclass P: pass\na.Sized.register(int)", "import collections.abc as a\nissubclass(int, a.Sized)", False),
    Plant(
        "dict-of-a-static-type",
        "import gc\nd = [x for x in gc.get_referents(int.__dict__) if isinstance(x, dict)][0]\nd['planted'] = 5",
        "hasattr(5, 'planted')",
        False,
    ),
    Plant("intern", "import sys\nkeep = sys.intern('planted' * 3)\nimport builtins\nbuiltins.k = keep", "import builtins\nhasattr(builtins, 'k')", False),
    Plant("frozen-set-of-hooks", "import sys\nsys.excepthook = sys.displayhook = print", "import sys\nsys.excepthook is sys.__excepthook__", True),
    Plant("codec", "import codecs\ncodecs.register(lambda n: codecs.lookup('utf-8') if n == 'planted' else None)", "b'x'.decode('planted')", None, "ok"),
    Plant("codec-error-handler", "import codecs\ncodecs.register_error('strict', lambda e: ('planted', e.end))", "b'\\xff'.decode('ascii', 'strict')", None),
    Plant("encoding-alias", "import encodings.aliases as a\na.aliases['planted'] = 'utf_8'", "import encodings.aliases as a\n'planted' in a.aliases", False),
    Plant("gc-callback", "import gc\ngc.callbacks.append(lambda *a: print('planted'))", "import gc\ngc.collect() >= 0 and len(gc.callbacks)", 0),
    Plant("gc-off", "import gc\ngc.disable()\ngc.set_threshold(1)", "import gc\n[gc.isenabled(), gc.get_threshold()[0] > 1]", [True, True]),
    Plant("gc-garbage", "import gc\ngc.set_debug(gc.DEBUG_SAVEALL)\nx = []\nx.append(x)\ndel x\ngc.collect()", "import gc\n[len(gc.garbage), gc.get_debug()]", [0, 0]),
    Plant("atexit", "import atexit\natexit.register(print, 'planted')", "import atexit\natexit._run_exitfuncs()\natexit._ncallbacks()", 0),
    Plant("trace", "import sys\nsys.settrace(lambda *a: print('planted'))", "import sys\ndef f(): pass\nf()\nsys.gettrace() is None", True),
    Plant("profile", "import sys\nsys.setprofile(lambda *a: None)", "import sys\nsys.getprofile() is None", True),
    Plant(
        "monitoring",
        "import sys\nm = sys.monitoring\nm.use_tool_id(2, 'planted')\nm.set_events(2, m.events.CALL)\nm.register_callback(2, m.events.CALL, lambda *a: None)",
        "import sys\nsys.monitoring.get_tool(2)",
        None,
    ),
    Plant("audit-hook", "import sys\nsys.addaudithook(lambda *a: print('planted', a[0]))", "import sys\nsys.audit('planted')\n1", 1),
    Plant("warnings", "import warnings\nwarnings.simplefilter('error')", "import warnings\nwarnings.warn('x')\n1", 1),
    Plant("random", "import random\nrandom.seed(5)", "import random\nr = random.random()\nrandom.seed(5)\nr == random.random()", False),
    Plant("urandom", "import os\nos.urandom(1000)", "import os\nos.urandom(2).hex()", None),
    Plant("decimal-context", "import decimal\ndecimal.getcontext().prec = 3", "import decimal\nstr(decimal.Decimal(1) / 7)", "0.1428571428571428571428571429"),
    Plant("decimal-default", "import decimal\ndecimal.DefaultContext.prec = 3\ndecimal.setcontext(decimal.DefaultContext)", "import decimal\ndecimal.DefaultContext.prec", 28),
    Plant("locale", "import locale\nlocale.setlocale(locale.LC_ALL, 'C')", "import locale\nlocale.setlocale(locale.LC_ALL)", None),
    Plant("recursion-limit", "import sys\nsys.setrecursionlimit(50)", "import sys\nsys.getrecursionlimit() > 500", True),
    Plant("digits-limit", "import sys\nsys.set_int_max_str_digits(0)", "len(str(10**5000))", None, "ok"),
    Plant("clock", "import time\ntime.sleep(10**6)", "import time\ntime.time() < 1767225600 + 60", True),
    Plant("environment", "import os\nos.environ['PLANTED'] = 'x'\nos.putenv('PLANTED', 'x')", "import os\nos.getenv('PLANTED')", None),
    Plant("arguments", "import sys\nsys.argv.append('planted')", "import sys\nsys.argv", ["<code>"]),
    Plant("stdout", "import io, sys\nsys.stdout = sys.__stdout__ = io.StringIO()", "import sys\nsys.stdout is sys.__stdout__", True),
    Plant("stdout-subclass", "import sys\nsys.stdout.reconfigure(encoding='utf-16', write_through=True)", "print('x')", None),
    Plant("stdin", "import io, sys\nsys.stdin = io.StringIO('planted')", "import sys\nsys.stdin.read()", ""),
    Plant("print", "import builtins, functools\nbuiltins.print = functools.partial(print, 'planted')", "print('x')", None),
    Plant("regex-cache", "import re\nre.compile('planted')\nre._cache.clear()\nre._MAXCACHE = 0", "import re\n[k for k in re._cache if 'planted' in str(k)] + [re._MAXCACHE > 0]", [True]),
    Plant("linecache", "import linecache\nlinecache.cache['planted'] = (1, None, ['x'], 'planted')", "import linecache\n'planted' in linecache.cache", False),
    Plant("copyreg", "import copyreg\ncopyreg.pickle(complex, print)", "import copyreg\ncomplex in copyreg.dispatch_table and copyreg.dispatch_table[complex].__name__", "pickle_complex"),
    Plant("logging", "import logging\nlogging.basicConfig(level=0)\nlogging.getLogger('planted')", "import logging\n[len(logging.root.handlers), 'planted' in logging.root.manager.loggerDict]", [0, False]),
    Plant("context-variable", "import contextvars\nv = contextvars.ContextVar('planted')\nv.set(1)", "import contextvars\n[c.name for c in contextvars.copy_context() if c.name == 'planted']", []),
    Plant("thread-local", "import threading\nthreading.current_thread().planted = 1", "import threading\nhasattr(threading.current_thread(), 'planted')", False),
    Plant("thread-name", "import threading\nthreading.main_thread().name = 'planted'", "import threading\nthreading.main_thread().name", "MainThread"),
    Plant("import-lock", "import _imp\n_imp.acquire_lock()", "import _imp\n_imp.lock_held()", False),
    Plant("event-loop", "import asyncio\nasyncio._set_running_loop(asyncio.new_event_loop())", "import asyncio\nasync def f(): return 3\nasyncio.run(f())", 3),
    Plant("signal-handler", "import signal\nsignal.signal(signal.SIGINT, lambda *a: print('planted'))", "import signal\nsignal.getsignal(signal.SIGINT) is signal.default_int_handler", True),
    Plant("sqlite", "import sqlite3\nsqlite3.register_adapter(complex, lambda c: 'planted')", "import sqlite3\nsqlite3.connect(':memory:').execute('select ?', [1j]).fetchone()", None),
    Plant("guest-module", "import sys\nsys.modules['app']._main.planted = 1\nsys.modules['app']._max_value = 1", "[1] * 50 == 0 or len([1] * 50)", 50),
    Plant("finder", "import stdlib\nstdlib._Baked.modules.clear()", "import wave\nwave.__name__", "wave"),
    Plant("finder-poisoned", "import stdlib, marshal, zlib\nc = compile('planted = 1', 'x', 'exec')\nstdlib._Baked.modules['wave'] = (False, zlib.compress(marshal.dumps(c)))", "import wave\nhasattr(wave, 'planted')", False),
    Plant("json-default", "import json\njson.JSONEncoder.default = lambda self, o: 'planted'", "{1, 2}", None),
    Plant("descriptor-of-a-class", "import fractions\nfractions.Fraction.numerator = 5", "import fractions\nfractions.Fraction(1, 3).numerator", 1),
    Plant("code-object", "import textwrap\ntextwrap.dedent.__code__ = (lambda t: 'planted').__code__", "import textwrap\ntextwrap.dedent(' x')", "x"),
    Plant("defaults", "import json\njson.dumps.__kwdefaults__['indent'] = 4", "import json\njson.dumps([1])", "[1]"),
    Plant("tracemalloc", "import tracemalloc\ntracemalloc.start(5)", "import tracemalloc\ntracemalloc.is_tracing()", False),
    Plant("weakref-finalizer", "import weakref, builtins\nclass A: pass\nbuiltins.a = A()\nweakref.finalize(builtins.a, print, 'planted')", "import gc\ngc.collect() >= 0", True),
    Plant("destructor", "class D:\n    def __del__(self): print('planted')\nd = D()\nd.d = d", "import gc\ngc.collect() >= 0", True),
    Plant("generator-that-will-not-end", "def g():\n    try: yield 1\n    finally:\n        while True: yield print('planted')\nx = g()\nnext(x)\n1", "1", 1),
    # Through the interpreter's memory.
    Plant("memory-int", MEMORY + "word(id(7) + 12, 8)\n1", "3 + 4 == 7 and [3 + 4, len('abcdefg')]", [7, 7]),
    Plant("memory-latin1", MEMORY + "view(id('a') + 20, 1)[0] = 98\n1", "chr(97) + 'xay'[1]", "aa"),
    Plant("memory-none", MEMORY + "word(id(None), 1000)\n1", "import sys\nsys.getrefcount(None) > 2**20", True, "trap"),
    Plant("memory-string-hash", MEMORY + "import math\n[word(id(k) + 12, 12345) for k in vars(math) if k == 'sqrt'][0]", "import math\nmath.sqrt(4)", 2.0),
    Plant("memory-true", MEMORY + "word(id(True) + 12, 0)\n1", "[True + 1, int(True)]", [2, 1]),
    Plant("memory-type-name", MEMORY + "view(word(id(int) + 12), 3)[:] = b'xxx'\n1", "repr(type(1))", None),
]  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_a_run_finds_nothing_of_an_earlier_one(plant: Plant) -> None:
    sandbox = Sandbox(limits=USUAL)
    assert end(sandbox.run(plant.plant)) == plant.ends
    outcome = sandbox.run(plant.look)
    assert "planted" not in outcome.stdout + outcome.stderr
    if plant.clean is not None:
        assert (end(outcome), outcome.value) == ("ok", plant.clean)
    else:
        assert_as_alone(plant, outcome.value, end(outcome))
    assert_clean(sandbox)


def assert_as_alone(plant: Plant, value: object, ended: str) -> None:
    """Compares with an instance that had no predecessor: a session starts in one of its own."""
    with Sandbox(limits=USUAL).session() as session:
        alone = session.run(plant.look)
    assert (value, ended) == (alone.value, end(alone))


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_a_session_finds_nothing_of_another_one(plant: Plant) -> None:
    sandbox = Sandbox(limits=USUAL)
    with sandbox.session() as one, sandbox.session() as other:
        other.run("1")
        one.run(plant.plant)
        outcome = other.run(plant.look)
    assert "planted" not in outcome.stdout + outcome.stderr
    if plant.clean is not None:
        assert (end(outcome), outcome.value) == ("ok", plant.clean)
