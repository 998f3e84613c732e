"""Attacks on the files in memory: ways out, more than there is room for, forged handles, names that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from attack import MEMORY, USUAL, Attack, assert_clean, each, end, endure, memory_size, well_formed

from mentor import Limits, Sandbox

TINY = Limits(timeout_ms=USUAL.timeout_ms, memory_mb=USUAL.memory_mb, output_kb=USUAL.output_kb, files_kb=64)


def errors_of(calls: str) -> str:
    """A program that tries calls one by one; its value lists those that did not fail with an `OSError`."""
    return f"""
import io, os, pathlib, shutil, sqlite3
open('file', 'w').write('x'); os.mkdir('folder'); open('folder/inner', 'w').close()
done = []
for call in {calls.strip().splitlines()!r}:
    try:
        exec(call)
    except (OSError, sqlite3.Error):
        continue
    done.append(call)
done
"""


WAYS_OUT = [
    Attack(
        name="climb",
        tries="climb above the root in every way",
        code="""
import os
os.makedirs('a/b')
found = set()
for base in ('', '/', 'a/', 'a/b/', '/a/b/', '/tmp/'):
    for up in ('..', '../..', '../' * 100, './../.././..', '..//..//', 'a/../../..'):
        for path in (base + up, base + up + '/etc', base + up + '/proc/self', base + up + '/tmp'):
            try:
                found.update(os.listdir(path))
            except OSError:
                pass
os.chdir('a/b')
os.chdir('../../../..')
found.update(os.listdir('.'))
sorted(found)
""",
        value=["a", "b", "tmp"],
    ),
    Attack(
        name="links",
        tries="make links of every kind",
        code=errors_of("""
os.symlink('/etc/passwd', 'link')
os.symlink('..', 'link')
os.symlink('file', 'link')
os.link('file', 'link')
os.link('/etc/passwd', 'link')
os.readlink('file')
os.readlink('/proc/self/exe')
pathlib.Path('link').symlink_to('file')
pathlib.Path('link').hardlink_to('file')
"""),
        value=[],
    ),
    Attack(
        name="devices",
        tries="reach devices and the host's folders",
        code=errors_of("""
open('/dev/zero', 'rb')
open('/dev/stdin')
open('/proc/self/fd/0')
open('/dev/fd/1', 'w')
os.listdir('/etc')
os.listdir('/home')
os.listdir('/proc')
open('/etc/hostname')
os.stat('/usr')
open('C:\\\\\\\\Windows\\\\\\\\x')
open('file://etc/passwd')
sqlite3.connect('file:/etc/passwd?mode=ro', uri=True).execute('select 1')
"""),
        value=[],
    ),
    Attack(
        name="wrong-kind",
        tries="use files as folders and folders as files",
        code=errors_of("""
os.listdir('file')
open('file/x', 'w')
os.stat('file/')
os.stat('file/..')
os.mkdir('file/d')
os.rmdir('file')
os.unlink('folder')
os.rmdir('folder')
os.rmdir('/')
os.rmdir('.')
os.unlink('/')
os.rename('folder', 'folder/inner/x')
os.rename('folder', 'folder/x')
os.rename('/', 'x')
os.rename('file', 'folder')
os.rename('folder', 'file')
os.rename('x', 'file')
os.mkdir('folder')
open('folder', 'w')
open('folder')
open('new/', 'w')
os.truncate('folder', 0)
os.open('file', os.O_RDONLY | os.O_DIRECTORY)
os.open('file', os.O_CREAT | os.O_EXCL)
"""),
        value=[],
    ),
]

BEYOND = [
    Attack(
        name="far-offset",
        tries="write far behind the end",
        code="""
import os
f = open('x', 'wb', buffering=0)
found = []
for at in (2**16, 2**20, 2**31, 2**32, 2**40, 2**62, 2**63 - 1):
    for write in (lambda: (f.seek(at), f.write(b'x')), lambda: f.truncate(at), lambda: os.pwrite(f.fileno(), b'x', at)):
        try:
            write()
            found.append(at)
        except OSError:
            pass
[found, os.stat('x').st_size]
""",
        value=[[], 0],
        limits=TINY,
    ),
    Attack(
        name="negative",
        tries="use negative offsets and sizes",
        code="""
import os
f = open('x', 'wb', buffering=0)
f.write(b'abc')
found = []
for call in (lambda: f.seek(-1), lambda: f.seek(-9, 2), lambda: f.truncate(-1), lambda: os.pread(f.fileno(), 5, -1),
             lambda: os.pwrite(f.fileno(), b'', -5), lambda: os.lseek(f.fileno(), -4, 1), lambda: os.read(f.fileno(), -1),
             lambda: os.truncate('x', -1)):
    try:
        found.append(call())
    except (OSError, ValueError):
        pass
[found, os.stat('x').st_size]
""",
        value=[[], 3],
    ),
    Attack(
        name="many-files",
        tries="make a million files",
        code="""
made = 0
try:
    for made in range(10**6): open(f'{made}', 'w').close()
except OSError as error:
    message = error.strerror
[made, message]
""",
        value=[4096, "No space left on device"],
    ),
    Attack(
        name="many-names",
        tries="fill the room with names",
        code="""
import os
made = 0
try:
    for made in range(10**6): os.mkdir('x' * 240 + str(10000 + made))
except OSError as error:
    message = error.strerror
[made, message]
""",
        value=[65536 // 245, "No space left on device"],
        limits=TINY,
    ),
    Attack(
        name="deep-folders",
        tries="make folders without an end",
        code="""
import os
depth = 0
try:
    while True:
        os.mkdir('d'); os.chdir('d'); depth += 1
except OSError as error:
    first = error.strerror
os.chdir('/')
os.makedirs('e/e/e')
try:
    os.rename('d', 'e/e/e/d')
except OSError as error:
    second = error.strerror
[depth, first, second, len(list(os.walk('/')))]
""",
        value=[64, "Filename too long", "Filename too long", 69],
    ),
    Attack(
        name="long-path",
        tries="name what is too long",
        code="""
import os
found = []
for path in ('x' * 256, 'a/' * 3000, './' * 40_000 + 'x', 'x' * 10**6, '../' * 10**5, '/' * 5000 + 'x'):
    try:
        open(path, 'w').close()
    except OSError as error:
        found.append(error.strerror)
found
""",
        value=["Filename too long"] * 5,
    ),
    Attack(
        name="many-open",
        tries="open one file without an end",
        code="""
kept = []
try:
    while True: kept.append(open('x', 'w'))
except OSError as error:
    message = error.strerror
for file in kept[:100]: file.close()
more = [open('x') for _ in range(100)]
[len(kept), message]
""",
        value=[256, "Quota exceeded"],
    ),
    Attack(
        name="many-listings",
        tries="list a folder without an end",
        code="""
import os
kept = []
try:
    while True: kept.append(os.scandir('/'))
except OSError as error:
    message = error.strerror
del kept
[message, os.listdir('/')]
""",
        value=["Quota exceeded", ["tmp"]],
    ),
    Attack(
        name="removed-and-open",
        tries="keep what was removed open, to have more room",
        code="""
import os
kept = []
try:
    while True:
        f = open('x', 'wb', buffering=0); kept.append(f); f.write(bytes(10_000)); os.unlink('x')
except OSError as error:
    message = error.strerror
used = sum(os.fstat(f.fileno()).st_size for f in kept)
for f in kept: f.close()
open('y', 'wb').write(bytes(65_000))
[message, used <= 65536]
""",
        value=["No space left on device", True],
        limits=TINY,
    ),
    Attack(
        name="replaced-and-open",
        tries="keep what was replaced open, to have more room",
        code="""
import os
kept = []
try:
    while True:
        f = open('x', 'wb', buffering=0); kept.append(f); f.write(bytes(10_000)); os.replace('x', 'y')
except OSError as error:
    message = error.strerror
[message, sum(os.fstat(f.fileno()).st_size for f in kept) <= 65536]
""",
        value=["No space left on device", True],
        limits=TINY,
    ),
    Attack(
        name="remove-while-listing",
        tries="take a folder apart while it is read",
        code="""
import os
os.mkdir('d')
for n in range(300): open(f'd/{n}', 'w').close()
entries = os.scandir('d')
seen = 0
for entry in entries:
    seen += 1
    for n in range(300):
        if os.path.exists(f'd/{n}'): os.unlink(f'd/{n}')
    if os.path.exists('d'): os.rmdir('d')
[seen <= 300, os.path.exists('d')]
""",
        value=[True, False],
    ),
    Attack(
        name="fill-slowly",
        tries="fill the room byte by byte, and free it, for ever",
        code="""
while True:
    with open('x', 'ab', buffering=0) as f:
        try:
            while True: f.write(b'x' * 999)
        except OSError:
            f.truncate(0)
""",
        ends=("timeout",),
        limits=Limits(timeout_ms=300, memory_mb=96, output_kb=64),
    ),
]

NAMES = [
    Attack(
        name="odd-names",
        tries="use names of every kind",
        code=r"""
import os
names = ['\x01', '\n', ' ', '-rf', '~', '*', 'con', '%s', '\u202e', '\U0001f600', 'a\tb', '...', '. ', '\\', 'a:b', '$HOME', '\x7f']
for name in names: open(name, 'w').write(name)
assert all(open(name).read() == name for name in names)
for name in names: os.unlink(name)
os.listdir()
""",
        value=["tmp"],
    ),
    Attack(
        name="no-utf8",
        tries="use names that are no UTF-8",
        code=r"""
import os
found = []
for name in (b'\xff', b'a\xc0\x80', b'\xed\xa0\x80', b'\xf5\x80\x80\x80', '\udcff', '\ud800'):
    try:
        open(name, 'w')
        found.append(name)
    except (OSError, UnicodeEncodeError):
        pass
[found, os.listdir(b'.') == [b'tmp']]
""",
        value=[[], True],
    ),
    Attack(name="nul", tries="hide a name behind a NUL", code="open('a\\0b', 'w')", ends=("ValueError",)),
    Attack(
        name="other-descriptors",
        tries="use descriptors that were never opened, and closed ones",
        code="""
import os
fd = os.open('x', os.O_CREAT | os.O_RDWR)
os.write(fd, b'secret'); os.close(fd)
found = []
for number in [*range(3, 300), -1, 2**31 - 1]:
    for call in (lambda: os.read(number, 9), lambda: os.write(number, b'x'), lambda: os.ftruncate(number, 0),
                 lambda: os.lseek(number, 0, 0) and None, lambda: os.fsync(number) and None):
        try:
            if call(): found.append(number)
        except (OSError, OverflowError, ValueError):
            pass
[found, open('x').read()]
""",
        value=[[], "secret"],
    ),
]


@each(WAYS_OUT + BEYOND + NAMES)
def test_files_stay_inside_and_have_bounds(attack: Attack) -> None:
    endure(attack)


#: Finds what the guest's C library holds of an open file, by its position, and puts other handles there.
FORGE = (
    MEMORY
    + """
import os, struct
fd = os.open('x', os.O_CREAT | os.O_RDWR)
os.write(fd, b'content of x')
other = os.open('y', os.O_CREAT | os.O_RDWR)
os.write(other, b'content of y')
where = 0x0123456789ABCD
os.lseek(fd, where, 0)
memory, pattern, at, places = view(1, SIZE - 1), struct.pack('<Q', where), -1, []
while (at := memory.find(pattern, at + 1)) >= 0:
    places.append(at + 1)
os.lseek(fd, 0, 0)
# Of all that looked like the position, the library's own has changed, and the handle lies before it.
places = [p - 8 for p in places if word(p) == word(p + 4) == 0 and word(p - 8) == HANDLE]
assert len(places) == 1, places
place = places[0]
"""
)


@pytest.mark.parametrize("handle", [0, 1, 3, 4, 5, 77, 257, 258, 2**31, 2**32 - 1])
def test_a_forged_handle_is_an_error_or_another_file_of_the_same_guest(handle: int) -> None:
    code = f"""
word(place, {handle})
found = []
for call in (lambda: os.read(fd, 99), lambda: os.write(fd, b'+'), lambda: os.pread(fd, 9, 0), lambda: os.pwrite(fd, b'-', 0),
             lambda: os.fstat(fd).st_size, lambda: os.ftruncate(fd, 3), lambda: os.fsync(fd), lambda: os.lseek(fd, 0, 2),
             lambda: os.utime(fd) if os.utime in os.supports_fd else None, lambda: os.close(fd)):
    try:
        found.append(call())
    except OSError as error:
        found.append(error.strerror)
len(found)
"""
    sandbox = Sandbox(limits=USUAL)
    outcome = sandbox.run(FORGE.replace("SIZE", str(memory_size())).replace("HANDLE", "2") + code)
    assert end(outcome) in ("ok", "trap"), outcome
    assert outcome.value in (10, None)
    assert set(outcome.files) <= {"x", "y"}
    well_formed(outcome, USUAL)
    assert_clean(sandbox)


@pytest.mark.parametrize("start", ["SIZE", "SIZE - 1", "2**32 - 16", "2**31"])
def test_a_forged_address_traps_or_fails(start: str) -> None:
    """Bytes to write that lie beyond the guest's memory."""
    code = f"far = view({start}, 4096)\nopen('x', 'wb', buffering=0).write(far)"
    sandbox = Sandbox(limits=USUAL)
    outcome = sandbox.run(MEMORY + code.replace("SIZE", str(memory_size())))
    assert end(outcome) == "trap", outcome
    assert outcome.files in ({}, {"x": b""})
    assert_clean(sandbox)


def test_one_run_sees_no_file_of_another() -> None:
    sandbox = Sandbox(limits=USUAL)
    for number in range(30):
        outcome = sandbox.run(
            f"import os\nseen = list(os.walk('/'))\nopen('/tmp/s', 'w').write('{number}')\nos.mkdir('d')\nseen"
        )
        assert outcome.value == [["/", ["tmp"], []], ["/tmp", [], []]]
        assert outcome.files == {"tmp/s": str(number).encode()}
    batch = sandbox.run_batch(["import os\nopen('x', 'x').close()\nos.listdir()"] * 60)
    assert [outcome.value for outcome in batch] == [["tmp", "x"]] * 60
    assert_clean(sandbox)


def test_one_session_sees_no_file_of_another() -> None:
    sandbox = Sandbox(limits=USUAL)
    with sandbox.session() as first, sandbox.session() as second:
        first.files["secret"] = "qzjw"
        first.run("handle = open('secret')")
        assert dict(second.files) == {}
        assert end(second.run("open('secret')")) == "FileNotFoundError"
        branch = first.fork(1)[0]
        branch.run("import os\nos.unlink('secret')")
        assert first.files["secret"] == b"qzjw"
        assert first.run("handle.read()").value == "qzjw"
        branch.close()
    assert_clean(sandbox)


def test_the_host_has_none_of_it() -> None:
    before = set(Path("/tmp").iterdir())
    sandbox = Sandbox(limits=USUAL)
    assert sandbox.run("open('/tmp/qzjw-escaped', 'w').close()\nopen('qzjw-escaped', 'w').close()").ok
    assert not {path for path in set(Path("/tmp").iterdir()) - before if "qzjw" in path.name}
    assert not Path("qzjw-escaped").exists()


def test_what_the_caller_gave_is_not_changed() -> None:
    content = bytearray(b"given")
    sandbox = Sandbox(limits=USUAL, files={"x": bytes(content)})
    kept = sandbox.run("open('x', 'r+b').write(b'TAKEN')").files["x"]
    assert kept == b"TAKEN"
    assert sandbox.run("open('x').read()").value == "given"
    with sandbox.session() as session:
        session.run("open('x', 'wb').write(b'other')")
        outcome = session.run("open('x', 'ab').write(b'!')")
        session.run("open('x', 'wb').write(b'later')")
        assert outcome.files["x"] == b"other!"
