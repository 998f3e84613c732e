"""The extension module. Internal: use `mentor.score_batch`, `mentor.Sandbox` and the like."""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

__all__ = [
    "COMPONENTS",
    "FORMATS",
    "GUEST_SHA256",
    "REWARDS",
    "ArgumentSchema",
    "Changes",
    "Files",
    "Handle",
    "Inbox",
    "PreparedReference",
    "PreparedReward",
    "PreparedTools",
    "Reply",
    "Sandbox",
    "Scores",
    "Session",
    "State",
    "WasmTools",
    "__version__",
    "cache_folder",
    "detect_format",
    "guest_build",
    "guest_hash",
    "guest_remove",
    "guest_sources",
    "judge",
    "sandbox_check",
    "sandbox_is_compiled",
    "sandbox_isolations",
    "sandbox_prepare",
    "sandbox_stats",
    "sandbox_work",
    "score",
]

__version__: str
COMPONENTS: list[str]
FORMATS: list[str]
REWARDS: list[str]
GUEST_SHA256: str

@final
class ArgumentSchema:
    """The schema of a tool's arguments, compiled once.

    Args:
        json: JSON of a JSON Schema.

    Raises:
        ValueError: It is none; the message says why.
    """

    def __new__(cls, json: str) -> ArgumentSchema: ...
    @property
    def normal(self) -> str:
        """The schema in JSON Schema's own spelling, as JSON."""

    def fits(self, text: str) -> int | None:
        """Whether the JSON text fits.

        0: not. 1: as it is. 2: it does, but holds numbers with a fraction of zero or beyond all doubles.
        ``None``: it is no JSON.
        """

    def fault(self, text: str) -> str | None:
        """What is wrong with the JSON text, if anything."""

@final
class PreparedReference:
    """A reference, read once.

    Args:
        json: JSON of a reference object.

    Raises:
        ValueError: It is unusable; the message names the field.
    """

    def __new__(cls, json: bytes) -> PreparedReference: ...
    @property
    def answer(self) -> str:
        """The final answer."""

    def tool_calls(self) -> bytes:
        """The calls as JSON."""

@final
class PreparedReward:
    """A reward, read once.

    Args:
        json: JSON of a name, or of an object of a name and options.

    Raises:
        ValueError: It is unusable; the message names the field.
    """

    def __new__(cls, json: str) -> PreparedReward: ...

def detect_format(model: str) -> str | None:
    """The format that a model writes, by its name or its chat template."""

@final
class PreparedTools:
    """Names of offered tools, read once.

    Args:
        json: JSON of a list of names or schemas.

    Raises:
        ValueError: It is unusable.
    """

    def __new__(cls, json: bytes) -> PreparedTools: ...

@final
class Scores:
    """The scores of a batch, in order."""

    def __len__(self) -> int: ...
    def rewards(self) -> bytes:
        """The rewards as native-endian f64."""

    def components(self) -> list[bytes]:
        """One column per name in `COMPONENTS`, as native-endian f64."""

    def undecided(self) -> list[tuple[int, str, str]]:
        """Rows whose answer the native judge left undecided: index, gold answer and predicted answer."""

    def answers(self) -> list[tuple[int, str, str]]:
        """Rows that have an answer at all: index, gold answer and predicted answer."""

    def settle(self, verdicts: list[tuple[int, bool | None]]) -> None:
        """Takes the slower judge's verdicts: index, and true, false, or none for undecided."""

    def defects(self) -> dict[str, int]:
        """How many rows have a defect of each kind, by the kind's name."""

    def answer_texts(self) -> list[str | None]:
        """Per row the final answer, none where there is none. Reads the rollouts again, with the GIL released."""

    def verdicts(self) -> list[str | None]:
        """Per row the verdict's name, none where there was nothing to judge."""

    def defect_names(self) -> list[list[str]]:
        """Per row the names of its defects' kinds, each once."""

    def detail(self, index: int) -> bytes:
        """Everything about one row, as JSON."""

def score(
    rollouts: list[Any],
    refs: list[Any],
    tools: list[PreparedTools | None],
    reward: PreparedReward,
    format: str,
    threads: int | None,
    convert: Callable[[int, Any], str | bytes | tuple[bytes]],
    prepare: Callable[[int, Any], PreparedReference],
) -> Scores:
    """Scores rollouts.

    ``str`` is taken as it is; ``convert`` makes text, the JSON of a message list, or ``(text that may be no UTF-8,)``
    of anything else. ``prepare`` is called once per reference object. ``tools`` has one entry for all rows, or one per
    row.
    """

def judge(predictions: list[str], golds: list[str]) -> list[tuple[bool | None, str]]:
    """The native verdicts of pairs: true equal, false different, none undecided; and the names of the rules."""

_FaultKind: TypeAlias = Literal[
    "exception",
    "trap",
    "timeout",
    "out_of_fuel",
    "memory_limit",
    "output_limit",
    "cancelled",
    "replay",
    "bad_arguments",
    "bad_result",
    "unknown_tool",
]
_Fault: TypeAlias = tuple[_FaultKind, str, str, str]  # kind, type_name, message, traceback
_Call: TypeAlias = tuple[str, str, bool, str]  # name, arguments, whether it returned, result or error
# stdout, stderr, value_json, value_repr, fault, fuel, wall_ms, truncated, reproducible, calls, files
_Outcome: TypeAlias = tuple[
    str,
    str,
    str | None,
    str | None,
    _Fault | None,
    int | None,
    float,
    bool,
    bool,
    list[_Call] | None,
    Changes | None,
]
# What answers calls, calls to repeat instead, where output goes, and what is called on the caller's thread to hear it.
_Ties: TypeAlias = tuple[
    Callable[[str, str, "Reply"], object] | None, list[_Call] | None, "Inbox | None", Callable[[], object] | None
]

# A program and what tracebacks call it, or a function's name, its arguments as JSON, and None.
_Step: TypeAlias = tuple[str, str] | tuple[str, str, bool | None]

@final
class Sandbox:
    """Runs programs, each in an instance that is like new."""

    def __new__(
        cls,
        timeout_ms: int,
        memory_mb: int,
        output_kb: int,
        files_kb: int,
        fuel: int | None,
        seed: int,
        clock_s: int,
        isolated: str,
        path: str | PathLike[str] | None = None,
        files: Files | None = None,
    ) -> Sandbox: ...
    def granting(self, names: list[str], timeout_ms: int, max_calls: int, max_kb: int) -> Sandbox:
        """The same whose programs may call functions of the host."""

    def run(
        self, step: _Step, env: tuple[str, str] | None, ties: _Ties | None = None, files: Files | None = None
    ) -> _Outcome:
        """Does one step after an environment: its source and what tracebacks call it."""

    def run_batch(
        self,
        steps: Sequence[_Step],
        env: tuple[str, str] | None,
        progress: Callable[[int, int], object] | None,
        ties: _Ties | None = None,
        files: Files | None = None,
    ) -> list[_Outcome]:
        """Does many; `progress` gets the numbers of finished steps and of all."""

    def spawn(
        self,
        step: _Step,
        env: tuple[str, str] | None,
        done: Callable[[Any, Any], object],
        ties: _Ties | None = None,
        files: Files | None = None,
    ) -> Handle:
        """Starts a step in the background; `done(outcome, error)` is called on another thread."""

    def session(self) -> Session:
        """An instance that keeps its globals; it starts with its first run."""

    def restore(self, state: State) -> Session:
        """A session that goes on from a saved state."""

@final
class Handle:
    """A step in the background."""

    def cancel(self) -> None:
        """Stops it at its next tick (10 ms)."""

@final
class Reply:
    """Where the answer to a call goes."""

    def send(self, returned: bool, text: str) -> None:
        """Gives the answer: the JSON of a result, or `Class: message`. Only the first counts."""

    def when_abandoned(self, hook: Callable[[], object]) -> None:
        """Has it called, on another thread, when the guest does not wait any more."""

@final
class Inbox:
    """Output that was not heard yet.

    `pump` is called on another thread when there is some, and is to call `take` until that gives none; before that it
    is not called again.
    """

    def __new__(cls, pump: Callable[[], object] | None) -> Inbox: ...
    def take(self) -> list[tuple[str, str]] | None:
        """Output since the last time, pairs of a stream's name and text; none when there is no reason to look."""

    def wake(self) -> None:
        """Has `pump` called also where there is no output."""

    def __bool__(self) -> bool: ...

@final
class Files:
    """Files that programs find."""

    def __new__(cls, files: Sequence[tuple[str, bytes]]) -> Files: ...

@final
class Changes:
    """Files that a run made or changed, sorted by path."""

    def paths(self) -> list[str]:
        """Their paths."""

    def read(self, path: str) -> bytes | None:
        """Content of a file; none where there is none."""

    @property
    def nbytes(self) -> int:
        """Bytes of paths and contents."""

@final
class State:
    """A saved state of a session."""

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""

@final
class Session:
    """An instance that keeps its globals."""

    def run(self, step: _Step, ties: _Ties | None = None) -> _Outcome:
        """Does one step."""

    def spawn(self, step: _Step, done: Callable[[Any, Any], object], ties: _Ties | None = None) -> Handle:
        """Starts a step in the background; `done(outcome, error)` is called on another thread."""

    def save(self) -> State:
        """Saves the present state."""

    def fork(self, count: int) -> list[Session]:
        """Sessions that go on from the present state."""

    def restore(self, state: State) -> None:
        """Goes to a saved state."""

    def rebuild(self) -> None:
        """Goes back to the last saved state, or to the beginning."""

    def file_paths(self) -> list[str]:
        """Paths of its files, sorted."""

    def read_file(self, path: str) -> bytes | None:
        """Content of a file; none where there is none."""

    def write_file(self, path: str, content: bytes) -> None:
        """Puts a file, or replaces one."""

    def remove_file(self, path: str) -> bool:
        """Removes a file; whether there was one."""

    def ended(self) -> str | None:
        """Kind of the fault that ended it, if any did."""

    def close(self) -> None:
        """Ends the session."""

@final
class WasmTools:
    """The functions of a WebAssembly file: a component, a core module, or the text of one.

    Raises:
        InputError: It cannot be loaded, or a limit is out of its range.
    """

    def __new__(
        cls, bytes: bytes, timeout_ms: int, memory_mb: int, output_kb: int, fuel: int | None, seed: int
    ) -> WasmTools: ...
    def describe(self) -> str:
        """JSON of ``tools`` (name, description, parameters, returns) and of ``skipped`` exports (name, reason)."""

    def call(self, name: str, arguments: str) -> _Outcome:
        """Calls a function with a JSON object of arguments, in a new instance."""

    def call_batch(self, calls: Sequence[tuple[str, str]]) -> list[_Outcome]:
        """Calls many on all cores."""

    def spawn(self, name: str, arguments: str, done: Callable[[Any, Any], object]) -> Handle:
        """Starts a call in the background; `done(outcome, error)` is called on another thread."""

def cache_folder() -> Path | None:
    """Folder of what is made once per machine."""

def guest_sources() -> list[tuple[str, str]]:
    """Sources that a guest is built from, by file name."""

def guest_build(component: bytes) -> tuple[str, Path]:
    """Makes a guest of a component: its hash and its file."""

def guest_hash(path: str | PathLike[str]) -> str:
    """Hash of the guest in a file."""

def guest_remove(path: str | PathLike[str]) -> None:
    """Deletes the file of a guest and what was made of it."""

def sandbox_prepare(metered: bool, path: str | PathLike[str] | None = None) -> None:
    """Compiles or loads the guest."""

def sandbox_is_compiled(metered: bool, path: str | PathLike[str] | None = None) -> bool:
    """Whether the guest can be had without compiling."""

def sandbox_stats(metered: bool, path: str | PathLike[str] | None = None) -> dict[str, int]:
    """What happened to the instances of this process so far."""

def sandbox_check(metered: bool, whole: bool, path: str | PathLike[str] | None = None) -> tuple[int, int]:
    """Compares the instances that wait to be used again with the master image: how many there are, how many differ."""

def sandbox_work() -> tuple[Callable[..., object], tuple[Any, ...]] | None:
    """Waits for work: a callable and its arguments. None when there was none for a while."""

def sandbox_isolations() -> list[str]:
    """Isolations that this machine can do, the default first."""
