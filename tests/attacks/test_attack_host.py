"""Attacks on the host: its files, environment, network, processes, signals, threads and clocks."""

from __future__ import annotations

from pathlib import Path

import pytest
from attack import USUAL, Attack, each, end, endure

from mentor import Limits, Sandbox

GONE = ("FileNotFoundError",)
#: Without the room for files in memory there is not even a root; `test_attack_files.py` attacks those.
NO_FILES = Limits(timeout_ms=USUAL.timeout_ms, memory_mb=USUAL.memory_mb, output_kb=USUAL.output_kb, files_kb=0)
NO_FUNCTION = ("AttributeError",)
NO_MODULE = ("ModuleNotFoundError",)


def all_refused(calls: str) -> str:
    """A program that tries calls one by one; its value lists those that did not fail with a plain exception."""
    return f"""
import glob, io, os, pathlib, shutil, socket, sqlite3, sys
done = []
for call in {calls.strip().splitlines()!r}:
    try:
        exec(call)
    except Exception:
        continue
    done.append(call)
done
"""


FILES = [
    Attack(
        name="open-passwd",
        tries="read a file",
        code="print('x')\nopen('/etc/passwd').read()",
        ends=GONE,
        prints="x\n",
    ),
    Attack(
        name="open-relative", tries="climb out of the working folder", code="open('../' * 30 + 'etc/passwd')", ends=GONE
    ),
    Attack(name="open-proc", tries="read the host's environment", code="open('/proc/self/environ', 'rb')", ends=GONE),
    Attack(name="open-mem", tries="write the host's memory", code="open('/proc/self/mem', 'r+b')", ends=GONE),
    Attack(name="list-root", tries="list the root", code="import os\nos.listdir('/')", ends=GONE, limits=NO_FILES),
    Attack(name="walk", tries="walk through the tree", code="import os\nlist(os.walk('/'))", value=[], limits=NO_FILES),
    Attack(
        name="glob",
        tries="find files",
        code="import glob\nglob.glob('/*') + glob.glob('*') + glob.glob('/**')",
        value=[],
        limits=NO_FILES,
    ),
    Attack(
        name="every-way-to-read",
        tries="read files by every function that the library has for it",
        code=all_refused("""
io.open_code('/etc/passwd')
io.FileIO('/etc/passwd')
os.open('/etc/passwd', os.O_RDONLY)
os.open('.', os.O_RDONLY)
os.stat('/')
os.stat('.')
os.scandir('/')
os.readlink('/proc/self/exe')
os.chdir('/')
os.getxattr('/', 'user.x')
pathlib.Path('/etc/passwd').read_bytes()
import runpy; runpy.run_path('/etc/passwd')
import tokenize; tokenize.open('/etc/passwd')
import importlib.machinery as m; m.SourceFileLoader('x', '/etc/passwd').get_data('/etc/passwd')
import zipimport; zipimport.zipimporter('/etc/x.zip')
import zipfile; zipfile.ZipFile('/etc/x.zip')
import fileinput; next(fileinput.input('/etc/passwd'))
import configparser; configparser.ConfigParser().read_file(open('/etc/passwd'))
import netrc; netrc.netrc('/etc/passwd')
import tomllib; tomllib.load(open('/etc/passwd', 'rb'))
sqlite3.connect('file:/etc/passwd?mode=ro', uri=True).execute('select 1 from sqlite_master').fetchall()
import wave; wave.open('/etc/passwd')
import posix; posix.open('/etc/passwd', 0)
open(os.path.abspath('x'))
"""),
        value=[],
        limits=NO_FILES,
    ),
    Attack(
        name="every-way-to-write",
        tries="make, change and remove files",
        code=all_refused("""
open('/tmp/escaped', 'w')
open('escaped', 'x')
os.mkdir('/tmp/escaped')
os.makedirs('a/b')
os.symlink('/etc/passwd', '/tmp/escaped')
os.link('/etc/passwd', '/tmp/escaped')
os.mkfifo('/tmp/escaped')
os.unlink('/etc/passwd')
os.rmdir('/tmp')
os.rename('/etc/passwd', '/tmp/escaped')
os.replace('/etc/passwd', '/tmp/escaped')
os.truncate('/etc/passwd', 0)
os.utime('/etc/passwd')
shutil.copy('/etc/passwd', '/tmp/escaped')
shutil.rmtree('/tmp')
pathlib.Path('/tmp/escaped').touch()
import tempfile; tempfile.TemporaryFile()
import tempfile; tempfile.mkdtemp()
import shelve; shelve.open('/tmp/escaped')
import dbm; dbm.open('/tmp/escaped', 'c')
sqlite3.connect('/tmp/escaped.db').execute('create table t(x)')
sqlite3.connect(':memory:').execute("attach '/tmp/escaped.db' as x").execute('create table x.t(y)')
sqlite3.connect(':memory:').execute("vacuum into '/tmp/escaped.db'")
import logging; logging.FileHandler('/tmp/escaped.log')
import tarfile; tarfile.open('/tmp/escaped.tar', 'w')
"""),
        value=[],
        limits=NO_FILES,
    ),
    Attack(
        name="descriptors-read",
        tries="read from descriptors that the host may have open",
        code="""
import os
found = []
for fd in range(256):
    try:
        data = os.read(fd, 100)
    except OSError:
        continue
    if data: found.append(fd)
found
""",
        value=[],
    ),
    Attack(
        name="descriptors-write",
        tries="write to descriptors other than stdout and stderr",
        code="""
import os
found = []
for fd in (0, *range(3, 256)):
    try:
        os.write(fd, b'escaped')
    except OSError:
        continue
    found.append(fd)
found
""",
        value=[],
    ),
    Attack(
        name="sqlite-extension",
        tries="load a shared library through sqlite",
        code="import sqlite3\nc = sqlite3.connect(':memory:')\nc.enable_load_extension(True)\nc.load_extension('/lib/x.so')",
        ends=("AttributeError",),
    ),
    Attack(
        name="linecache",
        tries="read a file through the traceback machinery",
        code="import linecache\nlinecache.getlines('/etc/passwd')",
        value=[],
    ),
    Attack(
        name="filename-of-a-code-object",
        tries="show a file's lines in a traceback",
        code="exec(compile('1 / 0', '/etc/passwd', 'exec'))",
        ends=("ZeroDivisionError",),
    ),
]

PROCESSES = (
    [
        Attack(name=f"os-{name}", tries=f"os.{name}", code=f"import os\nos.{name}({arguments})", ends=NO_FUNCTION)
        for name, arguments in {
            "system": "'touch /tmp/escaped'",
            "fork": "",
            "execv": "'/bin/sh', ['sh']",
            "spawnv": "0, '/bin/sh', ['sh']",
            "posix_spawn": "'/bin/sh', ['sh'], {}",
            "kill": "1, 9",
            "killpg": "0, 9",
            "getppid": "",
            "setuid": "0",
            "memfd_create": "'x'",
        }.items()
    ]
    + [
        Attack(name=name, tries=f"import {name}", code=f"import {name}", ends=NO_MODULE)
        for name in (
            "ctypes",
            "_ctypes",
            "mmap",
            "resource",
            "fcntl",
            "_posixsubprocess",
            "ssl",
            "_multiprocessing",
            "mentor",
        )
    ]
    + [
        Attack(name="popen", tries="a shell", code="import os\nos.popen('id').read()", ends=("OSError",)),
        Attack(
            name="subprocess",
            tries="a process",
            code="import subprocess\nsubprocess.run(['true'])",
            ends=("OSError",),
        ),
        Attack(
            name="multiprocessing",
            tries="a process of Python's own",
            code="import multiprocessing\np = multiprocessing.Process(target=print)\np.start()",
            ends=("AttributeError",),
        ),
        Attack(
            name="process-pool",
            tries="a pool of processes",
            code="import concurrent.futures as f\nf.ProcessPoolExecutor(2).submit(print).result()",
            ends=("NotImplementedError",),
        ),
        Attack(
            name="thread",
            tries="a thread",
            code="import threading\nthreading.Thread(target=print).start()",
            ends=("RuntimeError",),
        ),
        Attack(
            name="thread-raw",
            tries="a thread without the library",
            code="import _thread\n_thread.start_new_thread(print, ())",
            ends=("RuntimeError",),
        ),
        Attack(
            name="thread-pool",
            tries="threads that nobody joins",
            code="import concurrent.futures as f\nf.ThreadPoolExecutor(8).map(print, range(9))",
            ends=("RuntimeError",),
        ),
        Attack(
            name="timer",
            tries="a timer that goes off in a later run",
            code="import threading\nthreading.Timer(0, print, ['late']).start()",
            ends=("RuntimeError",),
        ),
        Attack(
            name="signals",
            tries="handlers, alarms and signals to its own process",
            code=all_refused("""
import signal; signal.alarm(1)
import signal; signal.setitimer(signal.ITIMER_REAL, 0.01)
import signal; signal.pthread_kill(1, 9)
import signal; signal.set_wakeup_fd(1)
import os; os.kill(os.getpid(), 15)
"""),
            value=[],
        ),
        Attack(
            name="sigint-to-itself",
            tries="a Ctrl-C that the host sees",
            code="import signal\nsignal.raise_signal(signal.SIGINT)\nfor _ in range(10**5): pass",
            ends=("KeyboardInterrupt",),
        ),
        Attack(
            name="sigkill-to-itself",
            tries="to kill its process",
            code="import _signal\n_signal.raise_signal(9)",
            ends=("trap",),
        ),
    ]
)

NETWORK = [
    Attack(
        name="every-way-to-connect",
        tries="open connections by every function that the library has for it",
        code=all_refused("""
socket.socket()
socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
socket.socket(socket.AF_INET6)
socket.socket(fileno=0)
socket.socket(fileno=3).connect(('127.0.0.1', 80))
socket.create_connection(('127.0.0.1', 80))
socket.create_server(('127.0.0.1', 0))
socket.socketpair()
socket.getaddrinfo('localhost', 80)
socket.gethostbyname('localhost')
import urllib.request; urllib.request.urlopen('http://127.0.0.1/')
import urllib.request; urllib.request.urlopen('file:///etc/passwd')
import http.client; http.client.HTTPConnection('127.0.0.1').request('GET', '/')
import ftplib; ftplib.FTP('127.0.0.1')
import smtplib; smtplib.SMTP('127.0.0.1')
import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', 80))
import asyncio; asyncio.run(asyncio.start_server(print, '127.0.0.1', 0))
import asyncio; asyncio.run(asyncio.create_subprocess_exec('true'))
import xmlrpc.client; xmlrpc.client.ServerProxy('http://127.0.0.1').f()
import logging.handlers as h; h.SocketHandler('127.0.0.1', 80).makeSocket()
"""),
        value=[],
    ),
    Attack(
        name="select",
        tries="wait for a descriptor of the host",
        code="import select\nselect.select([0, 1, 3], [], [], 10)",
        ends=("OSError",),
        value=[[], [], []],
    ),
]

CLOCK_AND_RANDOM = [
    Attack(
        name="environment",
        tries="read the environment",
        code="import os, posix\n[dict(os.environ), len(posix.environ)]",
        value=[{}, 0],
    ),
    Attack(
        name="sleep", tries="to hold a worker", code="import time\nfor _ in range(100): time.sleep(10**6)\n1", value=1
    ),
    Attack(
        name="sleep-for-ever",
        tries="the longest sleep that the clock can hold",
        code="import time\ntime.sleep(2**33)\ntime.sleep(2**33)\nprint('x')\ntime.time() > 0",
        ends=("OverflowError",),
        value=True,
        prints=None,
    ),
    Attack(
        name="set-clock",
        tries="to set the clock",
        code="import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)",
        ends=("AttributeError",),
    ),
    Attack(
        name="random-flood",
        tries="random bytes without end",
        code="import os\nfor _ in range(40): os.urandom(2**20)\nos.urandom(2**31 - 1)",
        ends=("OverflowError",),
    ),
]


@each(FILES + PROCESSES + NETWORK + CLOCK_AND_RANDOM)
def test_the_host_is_out_of_reach(attack: Attack) -> None:
    endure(attack)


def test_nothing_was_written_on_the_host() -> None:
    assert not Path("/tmp/escaped").exists()
    assert not Path("/tmp/escaped.db").exists()
    assert not Path("escaped").exists()


def test_secrets_of_the_environment_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENTOR_TEST_SECRET", "canary")
    code = "import os\n'MENTOR_TEST_SECRET' in os.environ or os.getenv('MENTOR_TEST_SECRET') or 'PATH' in os.environ"
    assert Sandbox().run(code).value is False


def test_a_changed_environment_stays_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MENTOR_PLANTED", raising=False)
    import os

    assert Sandbox().run("import os\nos.environ['MENTOR_PLANTED'] = '1'\nos.putenv('MENTOR_PLANTED', '1')").ok
    assert "MENTOR_PLANTED" not in os.environ
    assert Sandbox().run("import os\nos.getenv('MENTOR_PLANTED')").value is None


@pytest.mark.parametrize("fd", [0, 1, 2, 3, 255])
def test_the_import_that_prints_takes_any_descriptor(fd: int) -> None:
    """`emit` is all that a guest can call: it must not reach a descriptor of the host."""
    outcome = Sandbox().run(f"from wit_world.imports import host\nhost.emit({fd}, b'x' * 10)")
    assert end(outcome) == "ok"
    assert sorted([outcome.stdout, outcome.stderr]) == ["", "x" * 10]
