"""The standard library inside the snapshot.

A guest has no file system. What is imported while the guest is built lives in the memory snapshot; the rest of the
library is kept there as compressed code objects, which a meta-path finder serves when a program asks for them.
"""

import importlib
import importlib.util
import marshal
import os
import sys
import textwrap
import types
import zlib

import packages

# What models' programs import, and what those modules import lazily.
PRELOAD = """
math cmath re datetime _strptime decimal fractions statistics itertools collections collections.abc random hashlib
heapq functools string string.templatelib textwrap ast inspect typing dataclasses enum operator bisect copy time os sys
json numbers array struct base64 binascii calendar difflib pprint uuid csv zlib unicodedata secrets hmac types abc
contextlib threading queue sched logging warnings traceback tokenize keyword dis weakref graphlib urllib.parse html
ipaddress locale tempfile shutil pathlib glob fnmatch pickle copyreg asyncio argparse zoneinfo sqlite3 subprocess
encodings.ascii encodings.latin_1 encodings.utf_16 encodings.utf_32 encodings.cp1252 encodings.idna
encodings.hex_codec encodings.raw_unicode_escape encodings.unicode_escape
concurrent.futures concurrent.futures.thread selectors linecache io
""".split()

# Of no use without a screen, a network, a disk or a compiler.
LEFT_OUT = frozenset(
    "antigravity ensurepip idlelib lib2to3 pydoc_data site-packages test tests this tkinter turtle turtledemo venv "
    "__pycache__".split()
)


class _Baked:
    """Finder and loader of the modules that are kept as compressed code objects."""

    modules: dict = {}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in cls.modules:
            return importlib.util.spec_from_loader(name, cls, is_package=cls.modules[name][0])
        return None

    @staticmethod
    def create_module(spec):
        return None

    @classmethod
    def exec_module(cls, module):
        exec(marshal.loads(zlib.decompress(cls.modules[module.__name__][1])), module.__dict__)


def _bake(folder, prefix=""):
    for entry in sorted(os.listdir(folder)):
        path = f"{folder}/{entry}"
        if entry in LEFT_OUT or entry.startswith("config-"):
            continue
        if os.path.isdir(path):
            if os.path.exists(f"{path}/__init__.py"):
                _bake(path, f"{prefix}{entry}.")
            continue
        stem, dot, suffix = entry.rpartition(".")
        if suffix != "py" or stem in LEFT_OUT:
            continue
        package = stem == "__init__"
        name = prefix.rstrip(".") if package else prefix + stem
        if not name or name in sys.modules:
            continue
        with open(path, encoding="utf-8") as file:
            code = compile(file.read(), f"<stdlib>/{name}.py", "exec", dont_inherit=True, optimize=2)
        _Baked.modules[name] = (package, zlib.compress(marshal.dumps(code), 9))


def _keep_packages():
    if not packages.MODULES:
        return
    # There is no foreign code here; packages that look for it at their import go on without.
    sys.modules.setdefault("ctypes", _Absent("ctypes"))
    for name in packages.MODULES:
        file = importlib.import_module(name).__file__
        if os.path.basename(file) == "__init__.py":
            _bake(os.path.dirname(file), f"{name}.")
    if isinstance(sys.modules["ctypes"], _Absent):
        del sys.modules["ctypes"]


class _Absent(types.ModuleType):
    """Stands for a module that this build of CPython cannot have; using it is an error, naming it is none."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})

    @staticmethod
    def sizeof(kind):
        return 4  # what packages ask for is the size of a `long`


def keep():
    """Loads the common modules, keeps the others, and cuts the way to the disk.

    Returns:
        The names in `PRELOAD` that this build of CPython does not have.
    """
    missing = []
    for name in PRELOAD:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    _bake(os.path.dirname(textwrap.__file__))  # `os` itself is frozen and has no true path
    _keep_packages()
    sys.meta_path[:] = [f for f in sys.meta_path if getattr(f, "__name__", "") != "PathFinder"] + [_Baked]
    sys.path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()
    return missing
