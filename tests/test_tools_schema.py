"""mentor.ToolSet: schemas, typed callables, threads and processes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import re
import subprocess
import sys
import threading
import warnings
from typing import Any

import pytest

import mentor
from example_tools import letters, message, scaled, shapes, source_of
from mentor import ToolSet
from mentor.errors import InputError, SandboxError


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return mentor.tools.arithmetic()


@pytest.fixture(scope="module")
def own() -> ToolSet:
    return ToolSet.from_functions([scaled, letters, shapes])


# --- schemas -------------------------------------------------------------------------------------------------------


def test_schemas_come_from_hints_and_docstrings(own: ToolSet) -> None:
    scaled_schema, letters_schema, shapes_schema = (schema["function"] for schema in own.schemas)
    assert scaled_schema == {
        "name": "scaled",
        "description": "Scale a number.\n\nLonger text.",
        "parameters": {
            "type": "object",
            "properties": {
                "x": {"type": "number", "description": "The number, in any unit."},
                "factor": {"type": "integer", "description": "By how much."},
            },
            "required": ["x"],
        },
        "return": {"type": "number", "description": "The product."},
    }
    assert letters_schema["parameters"]["properties"] == {
        "text": {"type": "string", "description": "The text."},
        "at_most": {"type": "integer", "nullable": True, "description": "Number of letters to keep."},
        "kind": {"type": "string", "enum": ["all", "vowels"], "description": "Which letters."},
    }
    assert letters_schema["return"] == {"type": "object", "additionalProperties": {"type": "integer"}}
    properties = shapes_schema["parameters"]["properties"]
    assert properties["items"]["items"] == {"type": "object", "additionalProperties": {"type": "number"}}
    assert properties["pair"]["prefixItems"] == [{"type": "integer"}, {"type": "string"}]
    assert properties["extra"] == {"description": "Anything."}
    assert properties["either"]["type"] == ["array", "integer"]
    assert shapes_schema["return"] == {"type": "null"}


@pytest.mark.train
def test_transformers_sees_the_same_schemas(own: ToolSet, tools: ToolSet) -> None:
    from transformers.utils import get_json_schema

    for toolset in (own, tools):
        assert [get_json_schema(function) for function in toolset.functions()] == toolset.schemas
    assert [get_json_schema(function) for function in (scaled, letters, shapes)] == own.schemas


def test_schemas_are_copies(tools: ToolSet) -> None:
    tools.schemas[0]["function"]["name"] = "changed"
    assert tools.schemas[0]["function"]["name"] == "add"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("def f(:", "tools: the source is no valid Python: invalid syntax"),
        ("x = 1", "tools: the source defines no function at its top level (names with a leading _ are helpers)"),
        ("def f(): pass", "tools: f has no docstring; say what it does, and describe each parameter under Args:"),
        (
            'def f(x):\n    """F.\n\n    Args:\n        x: X.\n    """',
            "tools: f: 'x' has no type hint; write `x: float` or the like",
        ),
        (
            'def f(x: int):\n    """F."""',
            "tools: f: the docstring has no description of 'x'; add a line `x: ...` under Args:",
        ),
        ('def f(x: Foo):\n    """F."""', "tools: f: 'x' has the type hint `Foo`, which has no schema; use int,"),
        ('def f(x: set[int]):\n    """F."""', "tools: f: 'x' has the type hint `set[int]`, which has no schema"),
        (
            'def f(*a: int):\n    """F."""',
            "tools: f takes *args or **kwargs, which no schema can describe; name its parameters",
        ),
        (
            'def f(a: int, /):\n    """F."""',
            "tools: f has positional-only parameters, but calls name their arguments: remove `/`",
        ),
        ('async def f():\n    """F."""', "tools: f: write `def`, not `async def`; a call waits for its result anyway"),
        (source_of("pass") * 2, "tools: f is defined twice"),
    ],
)
def test_unusable_sources(source: str, text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)):
        ToolSet.from_source(source)


def test_reading_a_source_runs_none_of_it(tmp_path: Any) -> None:
    mark = tmp_path / "mark"
    source = f"open({str(mark)!r}, 'w').write('x')\n" + source_of("return 1")
    toolset = ToolSet.from_source(source, check=False)
    assert not mark.exists()
    assert message(toolset.call("f", {}), "exception").startswith("FileNotFoundError")
    assert not mark.exists()


# --- functions -----------------------------------------------------------------------------------------------------


def test_functions_are_typed_callables(own: ToolSet) -> None:
    import inspect

    function = own.functions()[0]
    assert inspect.isfunction(function)
    assert function.__name__ == function.__qualname__ == "scaled"
    assert function.__doc__ == inspect.getdoc(scaled)
    assert function.__annotations__ == {"x": float, "factor": int, "return": float}
    assert str(inspect.signature(function)) == "(x: float, factor: int = <the tool's own default>) -> float"
    assert function(4) == function(x=4) == 40
    assert function(4, 2) == function(4, factor=2) == 8


def test_a_fault_is_text_for_the_model(tools: ToolSet) -> None:
    functions = {function.__name__: function for function in tools.functions()}
    assert functions["divide"](a=1, b=0) == "error: ZeroDivisionError: division by zero"
    assert functions["add"](a=1) == "error: add lacks the argument 'b'"
    assert functions["add"](a=1, c=1, b=2) == "error: add has no argument 'c'; it takes a, b"
    with pytest.raises(TypeError, match=r"add\(\) takes 2 positional arguments, 3 were given"):
        functions["add"](1, 2, 3)
    with pytest.raises(TypeError, match=r"add\(\) got two values for 'a'"):
        functions["add"](1, a=2)


def test_results_as_text() -> None:
    source = "\n".join(
        source_of(f"return {value}", name) for name, value in (("a", "[1, 2]"), ("b", "'x'"), ("c", "True"))
    )
    one, two, three = ToolSet.from_source(source).functions(results="text")
    assert (one(), two(), three()) == ("[1, 2]", "x", "true")


def test_only_failures_of_the_host_raise(tools: ToolSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> None:
        raise SandboxError("no memory")

    fresh = mentor.tools.arithmetic()
    divide = fresh.functions()[fresh.names.index("divide")]
    monkeypatch.setattr(mentor.Sandbox, "session", broken)
    with pytest.raises(SandboxError, match="no memory"):
        divide(1, 0)  # for which the guest is asked


def test_copies_and_pickles(tools: ToolSet, own: ToolSet) -> None:
    function = tools.functions()[0]
    assert copy.deepcopy({"tools": [function]})["tools"][0](1, 2) == 3
    assert copy.deepcopy(tools) is tools
    again = pickle.loads(pickle.dumps(own))
    assert again.schemas == own.schemas
    assert again.call("scaled", {"x": 1}).value == 10
    assert pickle.loads(pickle.dumps(tools)).pure


# --- threads and processes -------------------------------------------------------------------------------------------


def test_threads_share_the_tools(tools: ToolSet) -> None:
    results: list[list[Any]] = [[] for _ in range(8)]

    def work(number: int) -> None:
        results[number] = [tools.call("add", {"a": number, "b": n}).value for n in range(50)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[number + n for n in range(50)] for number in range(8)]


def child(tools: ToolSet, n: int) -> Any:
    return tools.call("add", {"a": n, "b": 1}).value


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes(tools: ToolSet, method: str) -> None:
    assert tools.call("add", {"a": 1, "b": 1}).value == 2  # a warm guest is there to be inherited
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.starmap(child, [(tools, n) for n in range(6)]) == [1, 2, 3, 4, 5, 6]
    assert tools.call("add", {"a": 1, "b": 1}).value == 2


def test_tools_need_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, mentor; t = mentor.tools.arithmetic(); assert t.call('add', {'a': 1, 'b': 2}).value == 3; "
        "t.functions(); t.schemas; assert not {'torch', 'transformers', 'trl'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
