"""Small programs for the sandbox, all different: they end, and give the same each time.

An engine that uses instances again is compared on them with new instances. Nothing here runs a guest.

    >>> from programs import generate
    >>> programs = list(generate(3, seed=1))
    >>> programs == list(generate(3, seed=1))
    True
"""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden" / "sandbox_programs.jsonl"

Fragment = Callable[[random.Random], tuple[str, str]]


@dataclass(frozen=True)
class Program:
    """A program and what kind it is.

    Attributes:
        kind: ``plain``, ``module``, ``memory``, ``fault``, ``damage``, ``golden``, or ``endless``, which only a timeout
            ends.
        code: Its source.
    """

    kind: str
    code: str


def golden() -> list[Program]:
    """The programs that are kept in a file."""
    return [Program("golden", json.loads(line)["source"]) for line in GOLDEN.read_text().splitlines()]


def generate(count: int, seed: int, *, endless: float = 0.0) -> Iterator[Program]:
    """Programs that all differ, the same for the same seed.

    Args:
        count: How many.
        seed: Decides which.
        endless: Share of programs that never end; give them a small timeout.
    """
    rng = random.Random(seed)
    seen: set[str] = set()
    kept = golden()
    while count > 0:
        program = _endless(rng) if rng.random() < endless else _draw(rng, kept)
        if program.code not in seen:
            seen.add(program.code)
            count -= 1
            yield program


def _draw(rng: random.Random, kept: list[Program]) -> Program:
    kind = rng.choices(("plain", "module", "memory", "fault", "damage", "golden"), (60, 15, 5, 12, 5, 3))[0]
    if kind == "golden":
        return _varied(rng, rng.choice(kept).code)
    if kind in ("memory", "damage"):
        template = rng.choice(MEMORY if kind == "memory" else DAMAGE)
        return Program(kind, f"seen = {_number(rng)}\nprint('before', seen)\n{_filled(rng, template)}")
    bodies, values = [], []
    for index in range(rng.choice((1, 1, 2, 3))):
        body, value = rng.choice(FRAGMENTS if kind != "module" or index else [_module])(rng)
        bodies.append(body)
        values.append(value)
    if rng.random() < 0.4:
        bodies.insert(rng.randrange(len(bodies) + 1), _noise(rng))
    if kind == "fault":
        bodies.insert(rng.randrange(len(bodies) + 1), _filled(rng, rng.choice(FAULTS)))
    return Program(kind, "\n".join(bodies) + f"\n[{', '.join(values)}]")


def _varied(rng: random.Random, code: str) -> Program:
    return Program("golden", f"seen = {_number(rng)}\n{code}")


def _endless(rng: random.Random) -> Program:
    return Program(
        "endless",
        f"n = {_number(rng)}\n"
        + rng.choice(
            (
                "while True: n += 1",
                "while True:\n    try: n += 1\n    except BaseException: pass",
                "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
                "10 ** 10 ** 8",
            )
        ),
    )


# --- pieces --------------------------------------------------------------------------------------------------------


def _number(rng: random.Random) -> int:
    return rng.choice(
        (rng.randint(-10, 300), rng.randint(-(10**6), 10**6), rng.getrandbits(rng.choice((8, 31, 64, 200))))
    )


def _numbers(rng: random.Random) -> list[int]:
    return [rng.randint(-99, 999) for _ in range(rng.randint(1, 12))]


def _word(rng: random.Random) -> str:
    letters = rng.choice(
        (string.ascii_lowercase, "abc", "äöüß", "αβγ", "\u4e2d\u6587", "\U0001f600\U0001f680", "a b\tc")
    )
    return "".join(rng.choice(letters) for _ in range(rng.randint(1, 14)))


def _words(rng: random.Random) -> list[str]:
    return [_word(rng) for _ in range(rng.randint(1, 8))]


def _name(rng: random.Random) -> str:
    return rng.choice(string.ascii_lowercase) + "".join(rng.choice(string.ascii_lowercase) for _ in range(5)) + "_"


def _data(rng: random.Random, depth: int = 3) -> object:
    kinds: list[Callable[[], object]] = [
        lambda: _number(rng),
        lambda: _word(rng),
        lambda: rng.choice((None, True, False, 0.5, -1e300, "")),
        lambda: round(rng.uniform(-1e3, 1e3), 4),
    ]
    if depth:
        kinds.append(lambda: [_data(rng, depth - 1) for _ in range(rng.randint(0, 4))])
        kinds.append(lambda: {_word(rng): _data(rng, depth - 1) for _ in range(rng.randint(0, 4))})
    return rng.choice(kinds)()


def _noise(rng: random.Random) -> str:
    return _filled(rng, rng.choice(NOISE))


def _filled(rng: random.Random, template: str) -> str:
    """The template with `@n` numbers, `@l` lists, `@w` words, `@W` lists of words, `@d` data, `@i` a name, `@s`
    and `@b` small and larger sizes, `@@` the sign itself."""
    makers: dict[str, Callable[[], str]] = {
        "n": lambda: repr(_number(rng)),
        "l": lambda: repr(_numbers(rng)),
        "w": lambda: repr(_word(rng)),
        "W": lambda: repr(_words(rng)),
        "d": lambda: repr(_data(rng)),
        "s": lambda: str(rng.randint(2, 60)),
        "b": lambda: str(rng.randint(100, 20_000)),
    }
    name = _name(rng)

    def fill(match: re.Match[str]) -> str:
        return {"i": name, "@": "@"}.get(match[1]) or makers[match[1]]()

    return re.sub("@(.)", fill, template)


def _fragment(template: str) -> Fragment:
    """A fragment of a template whose last line is its value."""

    def make(rng: random.Random) -> tuple[str, str]:
        body, _, value = _filled(rng, template).rpartition("\n")
        return body, value

    return make


def _module(rng: random.Random) -> tuple[str, str]:
    module = rng.choice(MODULES)
    step = rng.randint(1, 7)
    return (
        f"import {module}\nimport sys",
        f"sorted(n for n in dir(sys.modules[{module!r}]) if n[:1] != '_')[::{step}][:{rng.randint(3, 30)}]",
    )


# --- templates -----------------------------------------------------------------------------------------------------

MODULES = [
    "math",
    "cmath",
    "re",
    "datetime",
    "decimal",
    "fractions",
    "statistics",
    "itertools",
    "collections",
    "random",
    "hashlib",
    "heapq",
    "functools",
    "string",
    "textwrap",
    "ast",
    "inspect",
    "typing",
    "dataclasses",
    "enum",
    "operator",
    "bisect",
    "copy",
    "time",
    "json",
    "numbers",
    "array",
    "struct",
    "base64",
    "binascii",
    "calendar",
    "difflib",
    "pprint",
    "uuid",
    "csv",
    "zlib",
    "unicodedata",
    "secrets",
    "contextlib",
    "asyncio",
    "pathlib",
    "sqlite3",
    "abc",
    "types",
    "io",
    "logging",
    "traceback",
    "warnings",
    "urllib.parse",
    "html",
    "xml.etree.ElementTree",
    "configparser",
    "shlex",
    "colorsys",
    "gettext",
    "graphlib",
    "mimetypes",
    "optparse",
    "pickletools",
    "plistlib",
    "queue",
    "reprlib",
    "sched",
    "stringprep",
    "symtable",
    "tarfile",
    "timeit",
    "tomllib",
    "wave",
    "zipfile",
    "email",
    "http.cookies",
    "xml.sax.saxutils",
    "json.tool",
    "cmd",
    "code",
    "codeop",
    "doctest",
    "fileinput",
    "netrc",
    "nturl2path",
    "pstats",
    "pyclbr",
    "quopri",
    "rlcompleter",
    "tabnanny",
    "trace",
    "zipapp",
    "weakref",
    "keyword",
    "token",
    "tokenize",
    "dis",
    "opcode",
    "marshal",
    "selectors",
    "signal",
]

FRAGMENTS: list[Fragment] = [_fragment(template) for template in (
    "import os\nwith open('@i', 'w') as f: f.write(@w * @s)\n[os.stat('@i').st_size, open('@i').read()[-9:], sorted(os.listdir())[:3]]",
    "import json, pathlib\n@i = pathlib.Path('/tmp/@i/a')\n@i.mkdir(parents=True)\n(@i / 'x.json').write_text(json.dumps(@d))\n[str(p) for p in @i.parent.rglob('*')]",
    "import csv, os\nwith open('@i', 'w', newline='') as f: csv.writer(f).writerows([@l, @W])\nos.rename('@i', '@i-')\n[len(r) for r in csv.reader(open('@i-', newline=''))]",
    "import tempfile\n@i = tempfile.NamedTemporaryFile()\n@i.write(bytes(@b))\n@i.flush()\n[@i.name, len(open(@i.name, 'rb').read())]",
    "import sqlite3\n@i = sqlite3.connect('@i.db')\n@i.execute('create table t(x)')\n@i.executemany('insert into t values(?)', [(x,) for x in @l])\n@i.commit()\n@i.close()\nsqlite3.connect('@i.db').execute('select count(*), max(x) from t').fetchall()",
    "@i = open('@i', 'wb', buffering=0)\n@i.seek(@b)\n@i.write(bytes(@s))\n@i.truncate(@s)\n[@i.tell(), len(open('@i', 'rb').read())]",
    "import os, shutil\nos.makedirs('@i/b/c')\nopen('@i/b/c/f', 'w').write(@w)\nshutil.copytree('@i/b', '@i/d')\nshutil.rmtree('@i/b')\nlist(os.walk('@i'))",
    "import os\n@i = 0\ntry:\n    while True: open(f'/tmp/@i{@i}', 'wb').write(bytes(50_000)); @i += 1\nexcept OSError as e: @ie = e.strerror\n[@i, @ie]",
    "sorted(@l)[::-1]",
    "@i = @l\n@i.sort(key=lambda x: (x % 7, x))\n@i",
    "sum(x * x for x in @l if x % 2)",
    "{k: len(k) for k in @W}",
    "[[i * j for j in range(@s)][-1] for i in range(@s)]",
    "sorted({x % 11 for x in @l})",
    "@i = @d\nrepr(@i)",
    "import json\n@i = @d\njson.loads(json.dumps(@i)) == @i",
    "import json\njson.dumps(@d, sort_keys=True, ensure_ascii=False)",
    "' '.join(w[::-1].upper() for w in @W)",
    "@w.encode('utf-8').hex()",
    "f'{@n:>30,d}|{@n % 1000:08.3f}|{@w!r:^20}'",
    "'%s-%05d-%r' % (@w, @n % 9999, @w)",
    "@n ** 3 - @n // 7 % 13",
    "(@n * @n).bit_length()",
    "import math\n[math.gcd(@n, @n), math.isqrt(abs(@n)), round(math.sin(@s), 12)]",
    "class @i:\n    def __init__(self, x): self.x = x\n    def __add__(self, o): return @i(self.x + o.x)\n    def __repr__(self): return f'<{self.x}>'\nrepr(@i(@n) + @i(@n))",
    "class @iA:\n    def f(self): return [@n]\nclass @iB(@iA):\n    def f(self): return super().f() + [@s]\nclass @iC(@iB): pass\n@iC().f() + [len(@iC.__mro__)]",
    "class @i:\n    __slots__ = ('a', 'b')\n@io = @i()\n@io.a, @io.b = @n, @w\n[@io.a, @io.b, hasattr(@io, 'c')]",
    "class @iM(type):\n    def __new__(m, n, b, d): return super().__new__(m, n, b, {**d, 'extra': @n})\nclass @i(metaclass=@iM): pass\n@i.extra",
    "class @iD:\n    def __get__(self, o, t): return @n\n    def __set__(self, o, v): raise AttributeError(@w)\nclass @i: x = @iD()\n@io = @i()\ntry: @io.x = 1\nexcept AttributeError as e: @ie = str(e)\n[@io.x, @ie]",
    "from dataclasses import dataclass, field, asdict\n@@dataclass\nclass P:\n    x: int\n    y: list = field(default_factory=list)\nasdict(P(@n, @l))",
    "import enum\nclass @i(enum.Enum):\n    A = @n\n    B = @w\n[@i.A.value, @i['B'].name, len(@i)]",
    "from collections import namedtuple\n@i = namedtuple('P', 'a b')\nrepr(@i(@n, @w)._replace(a=@s))",
    "import typing\nclass @i(typing.NamedTuple):\n    a: int = @n\nstr(typing.get_type_hints(@i)) + str(@i())",
    "def @i(n):\n    def g(x):\n        nonlocal n\n        n += x\n        return n\n    return g\n@ig = @i(@n)\n[@ig(x) for x in @l]",
    "def @i(*a, b=@n, **k): return [len(a), b, sorted(k)]\n@i(1, 2, *@l, c=@s, **{@w: 1})",
    "def @i(xs):\n    for x in xs:\n        y = yield x * @s\n        if y: yield y\n@ig = @i(@l)\n[next(@ig), @ig.send(@n)]",
    "def @i(n):\n    if n: yield from @i(n - 1)\n    yield n\nlist(@i(@s))[-5:]",
    "import functools\n@@functools.lru_cache(None)\ndef @i(n): return n if n < 2 else @i(n - 1) + @i(n - 2)\n[@i(@s), @i.cache_info().misses]",
    "import functools, operator\nfunctools.reduce(operator.xor, @l, @n)",
    "import itertools\nlist(itertools.islice(itertools.permutations(@l[:4]), @s))[-3:]",
    "import itertools\n[list(g) for _, g in itertools.groupby(sorted(@l), key=lambda x: x // 100)]",
    "import itertools\nlist(itertools.accumulate(@l, max))",
    "import collections\nsorted(collections.Counter(''.join(@W)).items())[:9]",
    "import collections\n@i = collections.defaultdict(list)\nfor x in @l: @i[x % 5].append(x)\nsorted(@i.items())",
    "import collections\n@i = collections.OrderedDict.fromkeys(@W)\n@i.move_to_end(next(iter(@i)))\nlist(@i)",
    "import collections\n@i = collections.deque(@l, maxlen=5)\n@i.rotate(@s)\nlist(@i)",
    "import collections\nlen(collections.ChainMap({1: @n}, {2: @w}))",
    "import heapq\n@i = @l\nheapq.heapify(@i)\n[heapq.heappushpop(@i, @s), heapq.nlargest(3, @i)]",
    "import bisect\n@i = sorted(@l)\n[bisect.bisect(@i, @s), bisect.insort(@i, @s), @i[:3]]",
    "import re\nre.findall(r'\\w{2,}', ' '.join(@W))",
    "import re\nre.sub(r'(?P<a>[a-m])', lambda m: m['a'].upper() + str(m.start()), @w + @w)",
    "import re\n[m.span() for m in re.finditer('[aeiou]+|\\\\d', @w * 3)]",
    "import re\nre.split(r'\\s+|b', ' '.join(@W), maxsplit=@s)",
    "from decimal import Decimal, getcontext\ngetcontext().prec = @s\nstr(Decimal(@n) / 7 + Decimal('0.1'))",
    "from decimal import Decimal\nstr(Decimal(abs(@n) + 2).sqrt().quantize(Decimal('0.0001')) if @s < 20 else Decimal(@s).ln())",
    "from fractions import Fraction\nstr(sum(Fraction(1, n) for n in range(1, @s)))",
    "import statistics\n[statistics.mean(@l), statistics.median(@l), round(statistics.pstdev(@l), 6)]",
    "import datetime\nstr(datetime.datetime(2000 + @s, 1, 1) + datetime.timedelta(days=@s * 31, seconds=@b))",
    "import datetime\ndatetime.date(1990 + @s, 2, 28).strftime('%A %d %B %Y %j')",
    "import datetime\nstr(datetime.datetime.strptime('2024-02-@s'[:9], '%Y-%m-%d').isocalendar())",
    "import calendar\ncalendar.month(2000 + @s, 1 + @s % 12)[:80]",
    "import zoneinfo, datetime\nstr(datetime.datetime(2025, 1 + @s % 12, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=@s % 12))))",
    "import random\n[random.random(), random.randint(0, @b), random.sample(range(100), 5)]",
    "import random\nrandom.seed(@n)\nrandom.choices(@W, k=4)",
    "import random\n@i = @l\nrandom.shuffle(@i)\n[@i, round(random.gauss(@s, 2), 9)]",
    "import uuid, secrets, os\n[str(uuid.uuid4()), secrets.token_hex(@s % 20 + 1), os.urandom(@s).hex()]",
    "import time\n@i = time.time()\ntime.sleep(@s)\nround(time.time() - @i)",
    "import time\n[time.monotonic() >= 0, time.strftime('%Y-%m-%d', time.gmtime(@b * 10_000))]",
    "import hashlib\n[hashlib.sha256(@w.encode()).hexdigest()[:@s], hashlib.md5(str(@n).encode()).hexdigest()]",
    "import hmac\nhmac.new(@w.encode(), str(@l).encode(), 'sha1').hexdigest()",
    "import zlib, base64\nbase64.b64encode(zlib.compress(str(@l).encode() * @s)).decode()[:60]",
    "import base64\nbase64.b85encode(@w.encode() * @s).decode()[-40:]",
    "import binascii, struct\nbinascii.hexlify(struct.pack('<IdH', @b, @s / 7, @s)).decode()",
    "import array\nsum(array.array('d', [x / 3 for x in @l]))",
    "import string\nstring.Template('$a and ${b}').substitute(a=@w, b=@n)",
    "import textwrap\ntextwrap.fill(' '.join(@W * 6), width=@s + 10)[:300]",
    "import difflib\nlist(difflib.unified_diff(@W, @W, lineterm=''))[:8]",
    "import difflib\ndifflib.get_close_matches(@w, @W + ['abc', 'cab'], n=2, cutoff=0.1)",
    "import csv, io\n@i = io.StringIO()\ncsv.writer(@i).writerows([@l, @W])\n@i.getvalue()",
    "import csv, io\nlist(csv.DictReader(io.StringIO('a,b\\n@s,@s\\n@s,@s')))",
    "import io\n@i = io.BytesIO(@w.encode() * @s)\n@i.seek(@s)\n[@i.read(7).hex(), @i.tell()]",
    "import ast\nast.dump(ast.parse('x = @s + y * @s'))[:200]",
    "import ast\nast.unparse(ast.parse('def f(a, b=@s):\\n    return [a for a in range(b) if a]'))",
    "import dis, io\n@i = io.StringIO()\ndis.dis(compile('a + @s * b', 'x', 'eval'), file=@i)\nlen(@i.getvalue()) > 10",
    "import inspect\ndef @i(a, b: int = @s, *c, d=@w, **e): 'Documented.'\n[str(inspect.signature(@i)), inspect.getdoc(@i)]",
    "import copy\n@i = @d\n@ic = copy.deepcopy([@i, @i])\n@ic[0] is @ic[1] or @ic == [@i, @i]",
    "import pickle\npickle.loads(pickle.dumps(@d, protocol=@s % 6)) is not Ellipsis",
    "import weakref, gc\nclass @i: pass\n@ia = @i()\n@ir = weakref.ref(@ia)\n@ia.me = @ia\ndel @ia\n[gc.collect() > 0, @ir() is None, @s]",
    "import gc\n@i = [[] for _ in range(@b)]\nfor x in @i: x.append(x)\ndel @i\ngc.collect() >= 0 and @s",
    "import contextlib\n@@contextlib.contextmanager\ndef @i():\n    print('in', @n)\n    try: yield @s\n    finally: print('out')\nwith @i() as @iv: print(@iv)\n@iv",
    "import contextlib, io\n@i = io.StringIO()\nwith contextlib.redirect_stdout(@i): print(@w)\n@i.getvalue()",
    "try:\n    raise ValueError(@w) from KeyError(@n)\nexcept ValueError as e: @i = [str(e), repr(e.__cause__)]\n@i",
    "try:\n    raise ExceptionGroup(@w, [ValueError(@s), TypeError(@s)])\nexcept* ValueError as e: @i = repr(e)\nexcept* TypeError as e: @i2 = 1\n@i",
    "def @i():\n    try: return @n\n    finally: print('finally', @s)\n@i()",
    "import traceback\ntry: [][@s]\nexcept IndexError: @i = traceback.format_exc()\n@i",
    "import warnings\nwith warnings.catch_warnings(record=True) as @i:\n    warnings.simplefilter('always')\n    warnings.warn(@w)\nstr(@i[0].message)",
    "import logging, io\n@i = io.StringIO()\n@il = logging.getLogger(@w)\n@il.addHandler(logging.StreamHandler(@i))\n@il.warning('%s %d', @w, @s)\n@i.getvalue()",
    "import sqlite3\n@i = sqlite3.connect(':memory:')\n@i.execute('create table t(a, b)')\n@i.executemany('insert into t values (?, ?)', [(x, str(x)) for x in @l])\n@i.execute('select sum(a), max(b), count(*) from t where a > ?', [@s]).fetchone()",
    "import xml.etree.ElementTree as E\n@i = E.Element('a', k=@w)\nfor x in @l: E.SubElement(@i, 'b').text = str(x)\nE.tostring(@i).decode()[:300]",
    "import html, urllib.parse\n[html.escape('<' + @w + '>'), urllib.parse.quote(@w), urllib.parse.urlencode({'a': @n})]",
    "import unicodedata\n[unicodedata.name(c, '?') for c in @w][:4] + [unicodedata.normalize('NFD', @w)]",
    "import shlex, fnmatch\n[shlex.split('a \"b c\" @s'), fnmatch.filter(@W, '*a*')]",
    "import configparser\n@i = configparser.ConfigParser()\n@i.read_string('[a]\\nx = @s\\ny = %(x)s0')\n@i['a']['y']",
    "import tomllib\ntomllib.loads('a = @s\\n[b]\\nc = [1, @s]')",
    "import graphlib\nlist(graphlib.TopologicalSorter({i: {i // 2} for i in range(2, @s)}).static_order())[:9]",
    "import asyncio\nasync def @i(x):\n    await asyncio.sleep(x % 5)\n    return x\nasync def @im(): return await asyncio.gather(*map(@i, @l))\nasyncio.run(@im())",
    "import asyncio\nasync def @i():\n    q = asyncio.Queue()\n    for x in @l: q.put_nowait(x)\n    async with asyncio.timeout(@s): return [await q.get() for _ in range(q.qsize())]\nasyncio.run(@i())",
    "import threading\n@i = threading.Lock()\nwith @i: @iv = @n\n[@iv, @i.locked(), threading.active_count()]",
    "import queue\n@i = queue.PriorityQueue()\nfor x in @l: @i.put(x)\n[@i.get() for _ in range(@i.qsize())][:4]",
    "import types\n@i = types.SimpleNamespace(a=@n, b=@l)\nrepr(@i)",
    "import operator\n[operator.itemgetter(0, -1)(@l), operator.methodcaller('upper')(@w)]",
    "import colorsys, math\n[round(x, 9) for x in colorsys.rgb_to_hsv(@s / 100, 0.5, 0.25)] + [round(math.erf(@s / 50), 12)]",
    "match @d:\n    case [a, *b]: @i = ('list', len(b))\n    case {**k}: @i = ('dict', len(k))\n    case str(s): @i = ('str', s)\n    case int() | float(): @i = 'number'\n    case _: @i = 'other'\n@i",
    "@i = 0\nfor x in range(@b):\n    if x % @s == 0: continue\n    @i += x\nelse: @i = -@i\n@i",
    "@i = @n\nwhile (@i := abs(@i) // 3) > 5: pass\n@i",
    "a_, *b_, c_ = @l + [1, 2]\n[a_, len(b_), c_]",
    "print(@w, @n, sep='|', end='#\\n')\nprint(*@l)\nNone",
    "import sys\nprint(@w, file=sys.stderr)\nsys.stdout.write(@w)",
    "for @i in range(@s): print(@i, '*' * @i)\n@i",
    "import pprint\npprint.pformat(@d, width=@s + 20)[:400]",
    "hash(@w) % 1000 + hash((@n, @w)) % 7",
    "[id(object()) > 0, len({id(x) for x in [[], {}, ()]})]",
    "import sys\nsys.getsizeof(@l) + sys.getrefcount(None) * 0",
    "exec('def @i(x): return x + @s')\n@i(@n)",
    "eval('lambda x: [x, @s]')(@w)",
    "type('T', (list,), {'f': lambda self: len(self) + @s})(@l).f()",
    "bytes(x % 256 for x in @l).hex(' ')",
    "bytearray(@w.encode()).translate(None, b'a').decode('utf-8', 'replace')",
    "memoryview(bytes(range(@s)))[::3].tolist()",
    "set(@l) & set(range(@s)) | {@n}",
    "complex(@s, @s) ** 2",
    "int(str(@n), 10) + int('ff', 16) + int(@s / 3)",
    "[round(x / 7, 5) for x in @l]",
    "sorted(@W, key=lambda w: (len(w), w))",
    "list(zip(@l, @W, strict=False))",
    "any(x > @s for x in @l) and max(@l, default=0)",
    "import builtins\nbuiltins.@i = @n\n@i",
    "import string\nstring.@i = @s\nstring.@i",
)]  # fmt: skip

NOISE = (
    "print(@w)",
    "print('x' * @b)",
    "import sys\nprint('e' * @s, file=sys.stderr)",
    "import gc\ngc.collect()",
    "keep = [@w + str(i) for i in range(@b)]",
    "keep = {i: [i] * 3 for i in range(@b)}",
    "class Kept: pass\nkept = [Kept() for _ in range(@b)]",
    "import builtins\nbuiltins.left = bytearray(@b)",
    "import sys\nsys.setrecursionlimit(300 + @s)",
    "import decimal\ndecimal.getcontext().prec = @s",
    "import random\nrandom.seed(@n)",
    "import gc\ngc.set_threshold(@s)",
    "def deep(n): return 0 if n == 0 else 1 + deep(n - 1)\ndeep(@s)",
    "''.join(chr(33 + i % 90) for i in range(@b))",
)

MEMORY = (
    "x = bytearray(@b * 1000)\nx[-1] = 7\n[len(x), x[-1], sum(x[:100])]",
    "x = 'ab' * (@b * 500)\nlen(x)",
    "x = list(range(@b * 50))\nsum(x)",
    "x = [bytearray(10_000) for _ in range(@b // 10)]\nlen(x)",
    "x = {i: str(i) for i in range(@b * 5)}\ndel x\n@n",
    "for i in range(5):\n    x = bytearray(i * 8_000_000)\n    x[-1:] = b'x'\nlen(x)",
    "s = ''\nfor i in range(@b): s += chr(65 + i % 26)\nlen(s)",
    "x = 1 << (@b * 100)\nx.bit_length()",
    "import array\nsum(array.array('q', range(@b * 10)))",
    "x = [[0] * @s for _ in range(@b)]\nx[-1][0] = @n\nx[-1][:2]",
)

FAULTS = (
    "1 / 0",
    "raise ValueError(@w)",
    "raise KeyError(@n)",
    "assert @s < 0, @w",
    "[][@s]",
    "{}[@w]",
    "@i + 1",
    "None.x",
    "int(@w)",
    "import sys\nsys.exit(@s)",
    "import sys\nsys.exit()",
    "class E(Exception): pass\nraise E(@w, @n)",
    "def f(n): return f(n + 1)\nf(@s)",
    "raise ExceptionGroup(@w, [ValueError(@n)])",
    "x = (",
    "def f(:\n    pass",
    "  indented = @s",
    "import no_such_module_@i",
    "open(@w)",
    "import os\nos.listdir('/')",
    "import socket\nsocket.socket()",
    "import threading\nthreading.Thread(target=print).start()",
    "'x' * 10**10",
    "x = []\nfor i in range(@s): x = [x]\nraise TypeError(str(x))",
    "raise KeyboardInterrupt",
    "class E(Exception):\n    def __str__(self): raise self\nraise E",
    "print('x' * 400_000)",
    "@w.no_such_method()",
    "import json\njson.loads('[' * @s)",
)

DAMAGE = (
    "import os\nos._exit(@s % 3)",
    "import os\nos.abort()",
    "import sys\nsys.modules.clear()\n1",
    "import builtins\nbuiltins.len = builtins.print = None\n1",
    "import builtins\nvars(builtins).clear()",
    "import sys\nsys._getframe(1).f_globals.clear()",
    "import sys\nsys.stdout.close()\n@n",
    "import sys\nsys.stdout = None\n@n",
    "import gc\ngc.disable()\n@n",
    "import json\njson.dumps = lambda *a, **k: '@s'\n1",
    "import json\njson.dumps = lambda *a, **k: '}'\n1",
    "import re\nre._cache.clear()\nre.compile = None\n1",
    "import random\nrandom.seed = None\n1",
    "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return f(n + 1)\nf(0)",
    "x = []\nwhile True: x.append(bytearray(10**6))",
    "import sys\nfor k in list(vars(sys.modules['app'])): sys.modules['app'].__dict__[k] = None",
    "import gc\nfor o in gc.get_objects():\n    if type(o) is dict and len(o) > @s: o.clear()",
    "import faulthandler\nfaulthandler._sigsegv()",
    "import math\nmath.pi = @s\nmath.pi",
    "import sys\nsys.settrace(lambda *a: None)\n@n",
)  # fmt: skip


if __name__ == "__main__":
    import sys

    for program in islice(generate(10**9, seed=int(sys.argv[1])), int(sys.argv[2])):
        print(json.dumps({"kind": program.kind, "code": program.code}))
