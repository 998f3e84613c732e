"""Programs that work with files.

`SOURCE` defines `play(root, seed, count)`: it does random things to files below a folder and gives a log of what came
of each. It is run by CPython on the host in a temporary folder, and by the guest in its own tree. The value of each of
`PROGRAMS` is `True` where the library works.
"""

from __future__ import annotations

SOURCE = r"""
import errno, os, pathlib, random, shutil

NAMES = ("a", "b", "c", "dir", "dir/a", "dir/b", "dir/sub", "dir/sub/a", "a/b", "missing/x", ".", "dir/..", "dir/../b",
         "./a", "dir//a", "a/", "dir/", "é", "with space", "x" * 255, "x" * 256, "dir/.", "sub", "sub/c")
MODES = ("r", "w", "a", "x", "r+", "w+", "rb", "wb", "ab", "r+b")


def play(root, seed, count):
    rng = random.Random(seed)
    opened = []
    log = []

    def name():
        return os.path.join(root, rng.choice(NAMES))

    def data(file):
        text = rng.choice(("", "x", "line\n", "é", "0123456789" * rng.choice((1, 10, 900))))
        return text.encode() if "b" in file.mode else text

    def open_file():
        file = open(name(), rng.choice(MODES))
        if len(opened) > 5:
            opened.pop(0).close()
        opened.append(file)
        return file.tell()

    def use_file():
        file = rng.choice(opened)
        # The guest's C library takes the end for the position of a file that is open for appending.
        what = rng.choice((0, 3, 5, 7)) if "a" in file.mode else rng.randrange(8)
        if what == 0:
            return file.write(data(file))
        if what == 1:
            return file.read(rng.choice((-1, 0, 1, 7, 5000)))
        if what == 2:
            return file.seek(rng.choice((0, 1, 5, 100, 10000)))
        if what == 3:
            return file.seek(0, 2)
        if what == 4:
            return file.truncate(rng.choice((None, 0, 1, 50, 3000)))
        if what == 5:
            file.flush()
            return os.fstat(file.fileno()).st_size
        if what == 6:
            return file.readline()
        opened.remove(file)
        return file.close()

    def low_level():
        access = rng.choice((os.O_RDONLY, os.O_WRONLY, os.O_RDWR))
        more = rng.choice((0, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_DIRECTORY))
        append = rng.random() < 0.3
        fd = os.open(name(), access | more | os.O_APPEND * append)
        done = []
        try:
            folder = os.path.isdir(fd)
            for _ in range(rng.randrange(4)):
                what, size, at = rng.randrange(6), rng.randrange(1, 200), rng.randrange(300)
                try:
                    if what == 0:
                        done.append(os.write(fd, bytes(size)))
                    elif what == 1 and not append:
                        done.append(os.pwrite(fd, b"x" * size, at))
                    # The guest's C library gives nothing instead of an error here, and sets no position when it appends.
                    elif what == 2 and not folder and access != os.O_WRONLY:
                        done.append(os.pread(fd, size, at))
                    elif what == 3:
                        done.append(os.read(fd, size))
                    elif what == 4 and not folder and not append:
                        done.append(os.lseek(fd, at, rng.randrange(3)))
                    elif what == 5:
                        done.append(os.ftruncate(fd, at))
                except OSError as error:
                    done.append(errno.errorcode[error.errno])
        finally:
            os.close(fd)
        return done

    def look():
        path = name()
        found = os.stat(path)
        kind = os.path.isdir(path), os.path.isfile(path), os.path.islink(path)
        return [*kind, None if kind[0] else found.st_size, os.path.samefile(path, os.path.join(root, "a"))]

    def text():
        path = pathlib.Path(name())
        if rng.random() < 0.5:
            return path.write_text(rng.choice(("", "short", "long " * 3000)))
        return len(path.read_text())

    def walk():
        found = []
        for folder, folders, files in os.walk(root):
            folders.sort()
            found.append([os.path.relpath(folder, root), folders[:], sorted(files)])
        return sorted(found)

    def sizes():
        found = []
        for folder, _, files in os.walk(root):
            for file in files:
                with open(os.path.join(folder, file), "rb") as opened_now:
                    content = opened_now.read()
                found.append([os.path.relpath(os.path.join(folder, file), root), len(content), sum(content)])
        return sorted(found)

    actions = [
        (9, open_file),
        (30, use_file),
        (9, low_level),
        (6, lambda: os.mkdir(name())),
        (2, lambda: os.makedirs(name(), exist_ok=rng.random() < 0.5)),
        (4, lambda: os.unlink(name())),
        (3, lambda: os.rmdir(name())),
        (6, lambda: os.rename(name(), name())),
        (2, lambda: os.replace(name(), name())),
        (3, lambda: sorted(os.listdir(name()))),
        (6, look),
        (5, text),
        (2, lambda: os.truncate(name(), rng.choice((0, 10, 2000)))),
        (1, lambda: shutil.copyfile(name(), name()) and None),
        (1, lambda: shutil.copytree(os.path.join(root, "dir"), os.path.join(root, "copy")) and None),
        (1, lambda: shutil.rmtree(name())),
        (1, lambda: shutil.move(name(), name()) and None),
        (3, walk),
        (2, sizes),
    ]
    weights = [weight for weight, _ in actions]
    for number in range(count):
        action = rng.choices(actions, weights)[0][1]
        if action is use_file and not opened:
            continue
        try:
            result = action()
        except OSError as error:
            result = type(error).__name__ if error.errno is None else errno.errorcode[error.errno]
        except (ValueError, shutil.Error) as error:
            result = type(error).__name__
        log.append([number, getattr(action, "__name__", "?"), repr(result)])
    for file in opened:
        try:
            file.close()
        except OSError:
            pass
    log.append([count, "end", repr([walk(), sizes()])])
    return log
"""

PROGRAMS = {
    "csv": "import csv\nwith open('t.csv', 'w', newline='') as f: csv.writer(f).writerows([[1, 'a,b'], [2, '']])\n"
    "[row for row in csv.reader(open('t.csv', newline=''))] == [['1', 'a,b'], ['2', '']]",
    "json": "import json\njson.dump({'a': [1, 2]}, open('t.json', 'w'))\njson.load(open('t.json')) == {'a': [1, 2]}",
    "pathlib": "import pathlib\np = pathlib.Path('a/b/c.txt')\np.parent.mkdir(parents=True)\np.write_text('h\\xe9')\n"
    "[str(x) for x in pathlib.Path('.').rglob('*.txt')] == ['a/b/c.txt'] and p.read_bytes() == b'h\\xc3\\xa9'",
    "shutil": "import os, shutil\nos.makedirs('a/b')\nopen('a/b/x', 'w').write('1')\nshutil.copytree('a', 'c')\n"
    "shutil.move('c/b/x', 'y')\nshutil.copy('y', 'z')\nshutil.rmtree('a')\n"
    "sorted(os.listdir()) == ['c', 'tmp', 'y', 'z'] and open('z').read() == '1'",
    "tempfile": "import os, tempfile\nwith tempfile.TemporaryDirectory() as d:\n    open(d + '/x', 'w').write('1')\n"
    "with tempfile.NamedTemporaryFile('w+') as f:\n    f.write('abc'); f.seek(1); rest = f.read()\n"
    "with tempfile.TemporaryFile() as f: f.write(b'x')\n"
    "os.listdir('/tmp') == [] and rest == 'bc' and tempfile.gettempdir() == '/tmp'",
    "zipfile": "import zipfile\nwith zipfile.ZipFile('x.zip', 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('d/a', 'hi' * 999)\n"
    "zipfile.ZipFile('x.zip').extractall('out')\nopen('out/d/a').read() == 'hi' * 999",
    "tarfile": "import tarfile, io\nopen('a', 'w').write('hello')\nwith tarfile.open('x.tar.gz', 'w:gz') as t: t.add('a')\n"
    "tarfile.open('x.tar.gz').extractfile('a').read() == b'hello'",
    "gzip": "import gzip\nwith gzip.open('x.gz', 'wt') as f: f.write('text')\ngzip.open('x.gz', 'rt').read() == 'text'",
    "sqlite3": "import sqlite3\nwith sqlite3.connect('x.db') as db:\n    db.execute('create table t(a)')\n"
    "    db.executemany('insert into t values(?)', [(n,) for n in range(100)])\ndb.close()\n"
    "sqlite3.connect('x.db').execute('select sum(a) from t').fetchone() == (4950,)",
    "shelve": "import shelve\nwith shelve.open('s') as s: s['k'] = [1]\nshelve.open('s')['k'] == [1]",
    "pickle": "import pickle\npickle.dump({1: 2}, open('p', 'wb'))\npickle.load(open('p', 'rb')) == {1: 2}",
    "fileinput": "import fileinput\nopen('x', 'w').write('a\\nb\\n')\n[l for l in fileinput.input('x')] == ['a\\n', 'b\\n']",
    "logging": "import logging\nlogging.basicConfig(filename='l', force=True)\nlogging.warning('w')\nlogging.shutdown()\n"
    "open('l').read() == 'WARNING:root:w\\n'",
    "glob": "import glob, os\nos.mkdir('d')\nfor n in 'cab': open(f'd/{n}.x', 'w').close()\nglob.glob('d/*.x') == ['d/a.x', "
    "'d/b.x', 'd/c.x']",
    "walk": "import os\nos.makedirs('a/b')\nopen('a/x', 'w').close()\nlist(os.walk('a')) == [('a', ['b'], ['x']), ('a/b', [], [])]",
    "chdir": "import os\nos.mkdir('d')\nos.chdir('d')\nopen('x', 'w').write('1')\nos.getcwd() == '/d' and open('/d/x').read() == '1'"
    " and os.listdir('..') == ['d', 'tmp']",
    "append": "open('x', 'w').write('a')\nwith open('x', 'a') as f: f.write('b')\nopen('x').read() == 'ab'",
    "update": "open('x', 'w').write('abcdef')\nwith open('x', 'r+') as f: f.seek(2); f.write('X'); f.truncate()\n"
    "open('x').read() == 'abX'",
    "unlinked": "import os\nf = open('x', 'w+')\nf.write('abc')\nos.unlink('x')\nf.seek(0)\n"
    "f.read() == 'abc' and not os.path.exists('x') and os.fstat(f.fileno()).st_nlink == 0",
    "import": "import sys\nopen('helper.py', 'w').write('def f(): return 6')\nimport importlib.util as u\n"
    "spec = u.spec_from_file_location('helper', 'helper.py')\nm = u.module_from_spec(spec)\nspec.loader.exec_module(m)\nm.f() == 6",
    "times": "import os, time\nt = time.time()\nopen('x', 'w').close()\nm = os.stat('x').st_mtime\nos.utime('x', (5, 6.5))\n"
    "t <= m <= time.time() and os.stat('x').st_mtime == 6.5 and os.stat('x').st_atime == 5",
    "nothing above": "import os\n'passwd' not in str(list(os.walk('/'))) and os.listdir('/..') == os.listdir('/') == ['tmp']",
}
