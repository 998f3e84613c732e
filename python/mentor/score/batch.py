"""``score_batch``: the front door of scoring."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import orjson

from mentor import _core
from mentor.errors import InputError, InputTypeError
from mentor.score.formats import format_name
from mentor.score.judge import DEFAULT_BUDGET_MS, library_verdicts
from mentor.score.reference import Reference
from mentor.score.rewards import Reward, prepared_reward
from mentor.types import Call, Defect, Match, ReferenceCall, Score, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ScoreBatch", "score_batch"]

JUDGES = ("auto", "native", "math-verify")
MAX_THREADS = 256  # each number that is asked for makes a pool of its own
MAX_DEPTH = 100  # of messages; the parser refuses more than 127

Rollout = str | bytes | Sequence[Mapping[str, Any]]


class ScoreBatch(Sequence[Score]):
    """The scores of N rollouts, in their order.

    Indexing gives a :class:`~mentor.types.Score`, a slice a list of them; ``np.asarray(batch)`` gives the rewards.
    """

    def __init__(self, scores: _core.Scores) -> None:
        self._scores = scores
        self._lock = threading.Lock()
        self._components: dict[str, NDArray[np.float64]] | None = None

    @property
    def reward(self) -> NDArray[np.float64]:
        """The rewards, shape (N,), read-only."""
        return _array(self._scores.rewards())

    @property
    def components(self) -> Mapping[str, NDArray[np.float64]]:
        """What the rewards are made of, name -> shape (N,), read-only."""
        with self._lock:
            if self._components is None:
                columns = map(_array, self._scores.components())
                self._components = dict(zip(_core.COMPONENTS, columns, strict=True))
            return self._components

    @property
    def defects(self) -> Mapping[str, int]:
        """How many rollouts have a defect of each kind."""
        return self._scores.defects()

    @property
    def answers(self) -> list[str | None]:
        """Each rollout's final answer, ``None`` where it has none. The rollouts are read again for it, at each call."""
        return self._scores.answer_texts()

    @property
    def verdicts(self) -> list[str | None]:
        """What the judge said of each answer: ``equal``, ``different`` or ``undecided``; ``None`` without an answer."""
        return self._scores.verdicts()

    @property
    def defect_kinds(self) -> list[list[str]]:
        """The kinds of defects that each rollout has, each kind once."""
        return self._scores.defect_names()

    def __len__(self) -> int:
        return len(self._scores)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        rewards = self.reward if dtype is None else self.reward.astype(dtype)
        return rewards.copy() if copy else rewards

    @overload
    def __getitem__(self, index: int) -> Score: ...
    @overload
    def __getitem__(self, index: slice) -> list[Score]: ...
    def __getitem__(self, index: int | slice) -> Score | list[Score]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"row {index} of a batch of {len(self)}")
        return _score(orjson.loads(self._scores.detail(at)))

    def __iter__(self) -> Iterator[Score]:
        return (self[at] for at in range(len(self)))

    def __repr__(self) -> str:
        mean = f", mean reward {self.reward.mean():.3f}" if len(self) else ""
        return f"ScoreBatch({len(self)} rollouts{mean})"


def score_batch(
    rollouts: Sequence[Rollout],
    refs: Sequence[Reference | Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | bytes],
    *,
    reward: Reward = "mentor-dense",
    tools: Any = None,
    format: Any = "auto",
    judge: Literal["auto", "native", "math-verify"] = "auto",
    budget_ms: int = DEFAULT_BUDGET_MS,
    threads: int | None = None,
) -> ScoreBatch:
    r"""Parses, aligns and scores N rollouts against their references, in parallel, with the GIL released.

    Bad rollouts are data: they get a low score and named defects. Bad references are the caller's mistake and raise.

    Args:
        rollouts: N rollouts: text in chat markup (``str``, or ``bytes`` in UTF-8), as the policy and the environment
            wrote it, end-of-turn token included; or lists of message dicts (OpenAI, TRL), or the JSON bytes of one.
            Only assistant messages count; a last one with ``"finish_reason": "length"`` counts as truncated.
        refs: N references (:class:`Reference`, dicts, teacher trajectories, JSON). The same object, or
            the same JSON text, may stand for a whole group; it is read once.
        reward: ``mentor-dense``, the project's own; a published one: ``mentor`` (arXiv 2510.18383), its ablations
            ``overlap``, ``valid`` and ``f1``, the baselines ``sparse`` and ``strict``, ``toolrl``; or one with
            options, a :class:`DenseReward` or :class:`PublishedReward`.
        tools: The offered tools: names, schemas, or a ToolSet; one list for all rows, or one per row. ``None`` uses
            each reference's own ``tools``; without those every name counts as offered.
        format: How tool calls are written in text: ``auto`` to recognise it, the name of a format, or a tokenizer or
            the name of a model whose format is known.
        judge: ``auto`` asks math-verify where the native judge cannot decide, ``native`` counts such answers as wrong,
            ``math-verify`` asks for all.
        budget_ms: Milliseconds that the whole call waits for math-verify at most; one answer may take two seconds of
            it. What is undecided then counts as wrong, with a defect ``undecided``.
        threads: Threads to use at most; ``None`` means one per core. The result does not depend on it.

    Returns:
        The scores.

    Raises:
        InputError: Unequal lengths, an unknown reward or format, or a bad reference; the message names the row and the
            field.
        InputTypeError: An argument has the wrong type.
        JudgeError: math-verify is needed and its worker processes cannot be started.

    Example:
        >>> call = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call><|im_end|>'
        >>> result = "\n<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>"
        >>> answer = "\n<|im_start|>assistant\nThe answer is \\boxed{3}.<|im_end|>"
        >>> refs = [{"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}]
        >>> score_batch([call + result + answer], refs, tools=["add"]).reward.tolist()
        [1.0]
    """
    if judge not in JUDGES:
        raise InputError(f"score_batch: unknown judge {judge!r}; known judges: {', '.join(JUDGES)}")
    chosen = prepared_reward(reward)
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise InputError(f"score_batch: threads must be a positive number or None, got {threads!r}")
    threads = None if threads is None else min(threads, MAX_THREADS)
    rows, references = _rows("rollouts", rollouts), _rows("refs", refs)
    if len(rows) != len(references):
        raise InputError(
            f"score_batch: {len(rows)} rollouts but {len(references)} refs; give one reference per rollout"
        )
    offered = _tools(tools, len(rows))
    try:
        scores = _core.score(rows, references, offered, chosen, format_name(format), threads, _rollout, _Preparer())
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"score_batch: {error}") from None
    if judge != "native":
        asked = scores.undecided() if judge == "auto" else scores.answers()
        verdicts = library_verdicts([(gold, answer) for _, gold, answer in asked], budget_ms)
        scores.settle([(at, verdict) for (at, _, _), verdict in zip(asked, verdicts, strict=True)])
    else:
        scores.settle([(at, None) for at, _, _ in scores.undecided()])
    return ScoreBatch(scores)


def _rows(name: str, rows: Any) -> list[Any]:
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Sequence):
        hint = " (one rollout? put it in a list)" if isinstance(rows, str | bytes) else ""
        raise InputTypeError(f"score_batch: {name} must be a list, got {type(rows).__name__}{hint}")
    return rows if type(rows) is list else list(rows)


def _rollout(at: int, rollout: Any) -> Any:
    """A rollout that is no plain text, in the form that the parser takes."""
    if isinstance(rollout, str):  # with lone surrogates
        return (rollout.encode("utf-8", "surrogatepass"),)
    if isinstance(rollout, bytes | bytearray):
        return _bytes_rollout(bytes(rollout))
    if isinstance(rollout, Sequence):
        return _messages(at, rollout)
    raise InputTypeError(
        f"score_batch: rollouts[{at}] must be text, a list of messages, or JSON bytes of one, "
        f"got {type(rollout).__name__}"
    )


def _bytes_rollout(data: bytes) -> Any:
    if data.lstrip()[:1] == b"[":
        try:
            messages = orjson.loads(data)
        except orjson.JSONDecodeError:
            return (data,)
        if messages and all(isinstance(message, dict) for message in messages):
            return data
    return (data,)


def _messages(at: int, messages: Sequence[Any]) -> bytes:
    for index, message in enumerate(messages):
        if type(message) is not dict and not isinstance(message, Mapping):
            raise InputTypeError(
                f"score_batch: rollouts[{at}][{index}] must be a message dict, got {type(message).__name__}"
            )
    try:
        return _json_bytes(messages)
    except TypeError:
        pass
    try:
        return _json_bytes(_portable(messages))
    except TypeError as error:
        raise InputTypeError(f"score_batch: rollouts[{at}] cannot be written as JSON: {error}") from None


def _json_bytes(value: Any) -> bytes:
    # A copy: orjson shrinks a larger buffer in place, and what it gives back is lost between the rows that are kept.
    data = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    return memoryview(data).tobytes()


def _portable(value: Any, depth: int = 0) -> Any:
    """What a model's JSON may hold and orjson refuses: integers beyond 64 bits, lone surrogates, endless nesting."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 10**300 else f"an integer of {value.bit_length()} bits"
    if depth == MAX_DEPTH and isinstance(value, Mapping | list | tuple):
        return "nested too deeply"
    if isinstance(value, Mapping):
        return {_portable(key): _portable(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(inner, depth + 1) for inner in value]
    return value


class _Preparer:
    """Reads references; those given as the same text are read once."""

    def __init__(self) -> None:
        self.known: dict[str | bytes, _core.PreparedReference] = {}

    def __call__(self, at: int, ref: Any) -> _core.PreparedReference:
        if isinstance(ref, Reference):
            return ref._prepared
        text = ref if isinstance(ref, str | bytes) else None
        if text is not None and text in self.known:
            return self.known[text]
        try:
            prepared = Reference(ref)._prepared
        except InputError as error:
            message = str(error).removeprefix("reference: ")
            raise type(error)(f"score_batch: refs[{at}]: {message}") from None
        if text is not None:
            self.known[text] = prepared
        return prepared


def _tools(tools: Any, rows: int) -> list[_core.PreparedTools | None]:
    if tools is None:
        return [None]
    if hasattr(tools, "schemas"):
        tools = tools.schemas
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Sequence):
        raise InputTypeError(f"score_batch: tools must be a list of names or schemas, got {type(tools).__name__}")
    if all(isinstance(tool, str | Mapping) for tool in tools):
        return [_prepared_tools("tools", tools)]
    if len(tools) != rows:
        raise InputError(
            f"score_batch: {rows} rollouts but {len(tools)} lists of tools; give one for all, or one per row"
        )
    known: dict[int, _core.PreparedTools | None] = {}
    for at, row in enumerate(tools):
        if id(row) not in known:
            known[id(row)] = None if row is None else _prepared_tools(f"tools[{at}]", getattr(row, "schemas", row))
    return [known[id(row)] for row in tools]


def _prepared_tools(name: str, tools: Any) -> _core.PreparedTools:
    try:
        return _core.PreparedTools(orjson.dumps(list(tools)))
    except (TypeError, ValueError) as error:
        text = str(error).removeprefix("tools: ")
        raise InputError(f"score_batch: {name} must be a list of names or schemas: {text}") from None


def _array(data: bytes) -> NDArray[np.float64]:
    import numpy as np

    return np.frombuffer(data, dtype=np.float64)


def _score(row: dict[str, Any]) -> Score:
    def span(value: list[int] | None) -> tuple[int, int] | None:
        return None if value is None else (value[0], value[1])

    return Score(
        reward=row["reward"],
        components=row["components"],
        answer=row["answer"],
        correct=row["correct"],
        verdict=row["verdict"],
        calls=tuple(
            Call(
                call["name"],
                call["arguments"],
                span(call["span"]),
                call["turn"],
                call["result"],
                span(call["result_span"]),
            )
            for call in row["calls"]
        ),
        matches=tuple(
            Match(m["call"], m["reference"], m["exact"], m["similarity"], tuple(m["reasons"])) for m in row["matches"]
        ),
        defects=tuple(Defect(d["kind"], d["message"], span(d["span"])) for d in row["defects"]),
        turns=tuple(Turn((t["span"][0], t["span"][1]), t["message"], t["results"], t["credit"]) for t in row["turns"]),
        answer_span=span(row["answer_span"]),
        reward_name=row["reward_name"],
        terms=tuple((name, value) for name, value in row["terms"]),
        reference_answer=row["reference_answer"],
        reference_calls=tuple(
            ReferenceCall(call["name"], call["arguments"], call["result"]) for call in row["reference_calls"]
        ),
    )
