"""mentor.adapters: tool sets in other frameworks, each against the real package where it is installed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import mentor
from example_tools import letters, scaled, shapes
from mentor import ToolSet, adapters
from mentor.errors import BuildError

COUNTER = '''
total = 0

def count(by: int = 1) -> int:
    """Count.

    Args:
        by: How much.
    """
    global total
    total += by
    return total
'''
DIVIDED = "ZeroDivisionError: division by zero"


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return mentor.tools.arithmetic() + ToolSet.from_functions([scaled, letters, shapes]) + ToolSet.from_source(COUNTER)


@pytest.fixture
def quiet() -> Iterator[None]:
    """What the packages warn of while they are imported is theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def by_name(found: list[Any]) -> dict[str, Any]:
    return {getattr(tool, "name", None) or tool.__name__: tool for tool in found}


@pytest.mark.usefixtures("quiet")
def test_langchain(tools: ToolSet) -> None:
    core = pytest.importorskip("langchain_core.tools")
    found = by_name(adapters.langchain(tools))
    assert list(found) == tools.names
    assert all(isinstance(tool, core.StructuredTool) for tool in found.values())
    functions = [schema["function"] for schema in tools.schemas]
    assert [tool.args for tool in found.values()] == [function["parameters"]["properties"] for function in functions]
    assert [tool.description for tool in found.values()] == [function["description"] for function in functions]
    assert found["add"].invoke({"a": 1, "b": 2}) == "3"
    assert found["letters"].invoke({"text": "aa"}) == '{"a": 2}'
    assert asyncio.run(found["add"].ainvoke({"a": 1, "b": 5})) == "6"
    call = {"name": "divide", "args": {"a": 1, "b": 0}, "id": "1", "type": "tool_call"}
    answers = [found["divide"].invoke(call), asyncio.run(found["divide"].ainvoke(call))]
    assert [(answer.content, answer.status) for answer in answers] == [(f"error: {DIVIDED}", "error")] * 2
    wrong = found["add"].invoke({"name": "add", "args": {"a": "x", "b": 1}, "id": "2", "type": "tool_call"})
    assert wrong.content == 'error: add: a must be a number, not a string ("x")'


@pytest.mark.usefixtures("quiet")
def test_langchain_binds_the_schemas_as_they_are(tools: ToolSet) -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.utils.function_calling import convert_to_openai_tool

    for tool, schema in zip(adapters.langchain(tools), tools.schemas, strict=True):
        function = convert_to_openai_tool(tool)["function"]
        assert function["name"] == schema["function"]["name"]
        assert function["parameters"] == schema["function"]["parameters"]


@pytest.mark.usefixtures("quiet")
def test_smolagents(tools: ToolSet) -> None:
    smolagents = pytest.importorskip("smolagents")
    found = by_name(adapters.smolagents(tools))
    assert list(found) == tools.names
    assert all(isinstance(tool, smolagents.Tool) for tool in found.values())
    assert found["add"](a=1, b=2) == found["add"](1, 2) == found["add"]({"a": 1, "b": 2}) == 3
    assert found["letters"](text="aa") == {"a": 2}
    with pytest.raises(RuntimeError, match=DIVIDED):
        found["divide"](a=1, b=0)
    assert found["scaled"].inputs["factor"] == {"type": "integer", "description": "By how much.", "nullable": True}
    assert (found["add"].output_type, found["shapes"].output_type, found["letters"].output_type) == (
        "number", "null", "object",
    )  # fmt: skip
    assert found["shapes"].inputs["either"]["type"] == "any"
    assert "Scale a number." in found["scaled"].to_code_prompt()


@pytest.mark.usefixtures("quiet")
def test_a_smolagents_agent_calls_a_tool_and_reads_its_fault(tools: ToolSet) -> None:
    smolagents = pytest.importorskip("smolagents")
    from smolagents.models import ChatMessage, ChatMessageToolCall, ChatMessageToolCallFunction, MessageRole, Model

    steps = [("divide", {"a": 1, "b": 0}), ("count", {"by": 2}), ("count", {}), ("final_answer", {"answer": "done"})]
    seen: list[str] = []

    class Script(Model):
        """A model whose calls are written down; the agent and its tools are real."""

        def generate(self, messages: list[Any], **options: Any) -> ChatMessage:
            seen.append(str([message.content for message in messages]))
            name, arguments = steps[len(seen) - 1]
            call = ChatMessageToolCall(
                id=str(len(seen)), type="function", function=ChatMessageToolCallFunction(name=name, arguments=arguments)
            )
            return ChatMessage(role=MessageRole.ASSISTANT, content="", tool_calls=[call])

    with tools.session() as session:
        agent = smolagents.ToolCallingAgent(tools=adapters.smolagents(session), model=Script(), verbosity_level=-1)
        assert agent.run("Count.") == "done"
        assert session.call("count", {"by": 0}).value == 3
    assert DIVIDED in seen[1]


@pytest.mark.usefixtures("quiet")
def test_verifiers(tools: ToolSet) -> None:
    verifiers = pytest.importorskip("verifiers")
    if not hasattr(verifiers, "ToolEnv"):
        pytest.skip("this version of verifiers has no ToolEnv")
    from datasets import Dataset

    # Its strict schemas know no objects with free keys, such as `shapes` takes.
    few = tools.only("scaled", "letters", "divide", "count")
    dataset = Dataset.from_list([{"question": "1 + 1?", "answer": "2"}])
    environment = verifiers.ToolEnv(tools=adapters.verifiers(few), dataset=dataset)
    assert [definition.name for definition in environment.tool_defs] == few.names
    assert environment.tool_defs[0].description == "Scale a number.\n\nLonger text."

    async def called(name: str, **arguments: Any) -> str:
        return str((await environment.call_tool(name, arguments, "1")).content)

    async def all_of_them() -> list[str]:
        return [
            await called("scaled", x=2),
            await called("scaled", x=2, factor=None),
            await called("letters", text="aab", at_most=1, kind="all"),
            await called("divide", a=1, b=0),
            await called("count", by="x"),
        ]

    assert asyncio.run(all_of_them()) == [
        "20", "20", '{"a": 2}', f"error: {DIVIDED}", 'error: count: by must be an integer, not a string ("x")',
    ]  # fmt: skip


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("framework", ["langchain", "smolagents", "verifiers"])
def test_a_session_keeps_its_state(tools: ToolSet, framework: str) -> None:
    if framework != "verifiers":
        pytest.importorskip({"langchain": "langchain_core"}.get(framework, framework))

    def call(given: Any) -> Any:
        tool = by_name(getattr(adapters, framework)(given))["count"]
        if framework == "langchain":
            return int(tool.invoke({"by": 2}))
        return int(asyncio.run(tool(by=2))) if framework == "verifiers" else tool(by=2)

    with tools.session() as session:
        assert [call(session), call(session)] == [2, 4]
    assert [call(tools), call(tools)] == [2, 2]


@pytest.mark.parametrize("framework", ["langchain", "smolagents", "verifiers"])
def test_other_things_are_refused(framework: str) -> None:
    if framework != "verifiers":
        pytest.importorskip({"langchain": "langchain_core"}.get(framework, framework))
    with pytest.raises(TypeError, match=r"tools must be a mentor.ToolSet or a ToolSession, not list"):
        getattr(adapters, framework)([])


@pytest.mark.parametrize(("framework", "package"), [("langchain", "langchain-core"), ("smolagents", "smolagents")])
def test_a_missing_package_is_named(
    tools: ToolSet, monkeypatch: pytest.MonkeyPatch, framework: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    for name in list(sys.modules):
        if name.startswith("langchain_core."):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(BuildError, match=f"this adapter needs {package}: pip install '{package}'"):
        getattr(adapters, framework)(tools)


def test_the_adapters_import_nothing_until_they_are_called() -> None:
    code = (
        "import sys, mentor.adapters; "
        "assert not {'langchain_core', 'smolagents', 'verifiers', 'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
