"""Guests with packages in them. One is built here, of a wheel that is written here, which takes half a minute."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import mentor
from mentor import Limits, Sandbox
from mentor.cli import main
from mentor.errors import BuildError, InputError, SandboxError
from mentor.sandbox import guests
from mentor.sandbox.guests import GuestInfo, build_guest, find_guest, list_guests, remove_guest

NAME = "greetings-test"
SOURCES = {
    "greetings/__init__.py": "from greetings.words import hello\nLOADED = ['by the build']\n",
    "greetings/words.py": "def hello(name): return f'hello, {name}'\n",
    "greetings/rarely.py": "import json\nVALUE = json.dumps({'a': 1})\n",
    "single_module.py": "import ctypes\nSIZE = ctypes.sizeof(ctypes.c_long)\n",
}


def write_wheel(folder: Path, sources: dict[str, str], *, pure: bool = True) -> Path:
    path = folder / "greetings-1.2-py3-none-any.whl"
    info = "greetings-1.2.dist-info"
    files = sources | {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: greetings\nVersion: 1.2\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {str(pure).lower()}\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(name, text)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestInfo]:
    wheel = write_wheel(tmp_path_factory.mktemp("wheel"), SOURCES)
    info = build_guest([], wheels=[wheel], name=NAME)
    yield info
    remove_guest(NAME)
    assert not Path(info.file).exists()
    assert NAME not in [other.name for other in list_guests()]


def test_its_packages_are_there_and_loaded(built: GuestInfo) -> None:
    sandbox = Sandbox(guest=NAME)
    assert sandbox.run("import greetings\ngreetings.hello('you')").value == "hello, you"
    assert sandbox.run("import sys\n'greetings' in sys.modules, 'greetings.rarely' in sys.modules").value == [
        True,
        False,
    ]
    assert sandbox.run("import greetings.rarely as r\nr.VALUE").value == '{"a": 1}'
    assert sandbox.run("import single_module\nsingle_module.SIZE").value == 4
    assert built.packages == {"greetings": "1.2"}
    assert Sandbox().run("import greetings").fault.type_name == "ModuleNotFoundError"  # type: ignore[union-attr]


def test_the_stand_in_for_foreign_code_is_gone_again(built: GuestInfo) -> None:
    assert Sandbox(guest=NAME).run("import ctypes").fault.type_name == "ModuleNotFoundError"  # type: ignore[union-attr]


def test_each_run_is_like_the_first(built: GuestInfo) -> None:
    code = "import greetings\ngreetings.LOADED.append('x')\n(len(greetings.LOADED), id(greetings))"
    for isolation in mentor._core.sandbox_isolations():
        sandbox = Sandbox(guest=NAME, isolation=isolation)
        first = sandbox.run(code)
        assert first.ok
        assert {json.dumps(sandbox.run(code).value) for _ in range(20)} == {json.dumps(first.value)}
    checked, differing = mentor._core.sandbox_check(False, True, built.file)
    assert (checked > 0 or isolation == "fresh", differing) == (True, 0)


def test_it_has_its_own_name_and_hash(built: GuestInfo) -> None:
    sandbox = Sandbox(guest=NAME)
    assert sandbox.guest == built.hash != Sandbox().guest
    assert find_guest(built.hash[:12]) == find_guest(NAME) == built
    assert pickle.loads(pickle.dumps(sandbox)).guest == built.hash
    assert sandbox.stats()["made"] > 0


def test_sessions_stay_with_their_guest(built: GuestInfo) -> None:
    with Sandbox(guest=NAME).session() as session:
        assert session.run("import greetings\nx = greetings.hello('a')").ok
        state = session.save()
        assert session.fork(1)[0].run("x").value == "hello, a"
    assert Sandbox(guest=NAME).restore(state).run("x").value == "hello, a"
    with pytest.raises(SandboxError, match="another guest"):
        Sandbox().restore(state).run("x")


@pytest.mark.slow
def test_fuel_is_counted_in_it(built: GuestInfo) -> None:
    sandbox = Sandbox(guest=NAME, limits=Limits(fuel=10**9))
    outcomes = [sandbox.run("import greetings\ngreetings.hello('a')") for _ in range(3)]
    assert outcomes[0].fuel
    assert {outcome.fuel for outcome in outcomes} == {outcomes[0].fuel}


def test_its_memory_must_fit_the_limit(built: GuestInfo) -> None:
    with pytest.raises(InputError, match=r"memory_mb must be at least \d+ for this guest, not 48"):
        Sandbox(guest=NAME, limits=Limits(memory_mb=48))


def test_a_damaged_file_says_how_to_build_it_again(built: GuestInfo, tmp_path: Path) -> None:
    copy = tmp_path / "guest"
    copy.write_bytes(Path(built.file).read_bytes()[:-1])
    copy.chmod(0o600)
    tmp_path.chmod(0o700)
    with pytest.raises(ValueError, match="build it again"):
        mentor._core.guest_hash(copy)


def test_the_command_line_lists_it(built: GuestInfo) -> None:
    result = CliRunner().invoke(main, ["guest", "list"])
    assert f"{NAME}  {built.hash[:12]}" in result.output
    assert "greetings 1.2" in result.output


def test_an_unknown_guest_says_how_to_build_one() -> None:
    with pytest.raises(
        InputError, match="no guest 'nothing'; build it: mentor guest build --with PACKAGE --name nothing"
    ):
        Sandbox(guest="nothing")
    with pytest.raises(TypeError, match="guest must be a str, not int"):
        Sandbox(guest=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no guest 'nothing'"):
        remove_guest("nothing")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"packages": []}, "at least one package or wheel"),
        ({"packages": "sympy"}, "must be a list of names"),
        ({"packages": ["numpy"]}, "numpy has compiled parts; only packages in pure Python"),
        ({"packages": ["what is this"]}, "is no requirement"),
        ({"packages": ["sympy"], "name": "Not/this"}, "the name 'not/this' is unusable"),
        ({"packages": ["sympy"], "name": "0123456789ab"}, "and no hash"),
        ({"packages": [], "wheels": ["absent.whl"]}, r"absent\.whl: no such wheel"),
    ],
)
def test_what_cannot_be_built_says_why(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_guest(**arguments)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_package_that_fails_at_its_import_says_so(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, {"greetings/__init__.py": "import no_such_module\n"})
    with pytest.raises(BuildError, match="ModuleNotFoundError: No module named 'no_such_module'"):
        build_guest([], wheels=[wheel], name=f"{NAME}-broken")
    assert f"{NAME}-broken" not in [info.name for info in list_guests()]


def test_the_command_line_says_what_is_missing() -> None:
    result = CliRunner().invoke(main, ["guest", "build"])
    assert result.exit_code == 2
    assert "--with PACKAGE or --wheel FILE" in result.output
    assert CliRunner().invoke(main, ["guest", "remove", "nothing"]).output == "Error: no guest 'nothing'\n"


@pytest.mark.slow
def test_the_ready_guest_has_sympy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENTOR_CACHE_DIR", str(tmp_path))
    sandbox = Sandbox(guest="sympy")
    code = "import sympy as sp\nx = sp.symbols('x')\nstr(sp.integrate(sp.exp(-x**2), (x, -sp.oo, sp.oo)))"
    assert sandbox.run(code).value == "sqrt(pi)"
    assert set(guests.find_guest("sympy").packages) == {"mpmath", "sympy"}
    assert sandbox.run("import mpmath\nstr(mpmath.zeta(3))[:8]").value == "1.202056"
