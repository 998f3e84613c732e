"""mentor.tools.search: ranking, snippets, pages, unusable documents, a real corpus on disk."""

from __future__ import annotations

import json
import math
import pickle
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mentor
from mentor import ToolSet
from mentor.errors import DataError, InputError

pytest.importorskip("bm25s")

CASES = json.loads((Path(__file__).parent / "cases" / "tools_search.json").read_text())


@pytest.fixture(scope="module")
def tools() -> ToolSet:
    return mentor.tools.search(CASES["documents"])


@pytest.mark.parametrize("rollout", CASES["rollouts"], ids=lambda rollout: rollout["rollout"])
def test_cases(tools: ToolSet, rollout: dict[str, Any]) -> None:
    with tools.session() as session:
        for call in rollout["calls"]:
            for outcome in (session.call(call["name"], call["arguments"]), tools.call(call["name"], call["arguments"])):
                if "fault" in call:
                    assert outcome.fault is not None, (call, outcome.value)
                    assert (outcome.fault.kind, call["message"] in outcome.fault.message) == (call["fault"], True), (
                        outcome
                    )
                elif "ids" in call:
                    assert outcome.fault is None, (call, outcome.fault)
                    assert [found["id"] for found in outcome.value] == call["ids"], call
                else:
                    assert outcome.value == call["value"], call


def test_there_are_cases_enough() -> None:
    assert sum(len(rollout["calls"]) for rollout in CASES["rollouts"]) >= 20


WORDS = st.sampled_from(["apple", "pear", "plum", "fig", "kiwi", "lime"])
CORPUS = st.lists(st.lists(WORDS, min_size=1, max_size=8).map(" ".join), min_size=1, max_size=8)


def bm25(texts: list[str], query: list[str], place: int) -> float:
    """The score by its formula: Robertson's BM25 with Lucene's idf, k1 = 1.5, b = 0.75."""
    split = [text.split() for text in texts]
    average = sum(map(len, split)) / len(split)
    words, score = Counter(split[place]), 0.0
    for word in query:
        holding = sum(word in other for other in split)
        idf = math.log(1 + (len(split) - holding + 0.5) / (holding + 0.5))
        score += idf * words[word] / (words[word] + 1.5 * (1 - 0.75 + 0.75 * len(split[place]) / average))
    return score


@settings(max_examples=60, deadline=None)
@given(CORPUS, st.lists(WORDS, min_size=1, max_size=3))
def test_the_ranking_is_bm25(texts: list[str], query: list[str]) -> None:
    found = mentor.tools.search(texts).call("search", {"query": " ".join(query), "k": 50}).value
    scores = [bm25(texts, query, place) for place in range(len(texts))]
    assert [one["id"] for one in found] == [str(place + 1) for place in best_first(scores) if scores[place] > 0]
    for one in found:
        assert math.isclose(one["score"], scores[int(one["id"]) - 1], abs_tol=2e-4)


def best_first(scores: list[float]) -> list[int]:
    return sorted(range(len(scores)), key=lambda place: (-round(scores[place], 5), place))


def test_long_documents_have_pages() -> None:
    text = "".join(f"{n:07} " for n in range(2_700))
    tools = mentor.tools.search([text, ""])
    first = tools.call("open_document", {"id": "1"}).value
    assert (first["page"], first["pages"], len(first["text"])) == (1, 3, 10_000)
    pages = [tools.call("open_document", {"id": "1", "page": page}).value["text"] for page in (1, 2, 3)]
    assert "".join(pages) == text
    assert tools.call("open_document", {"id": "2"}).value["pages"] == 1
    outcome = tools.call("search", {"query": "0001234"})
    (found,) = outcome.value
    assert "0001234" in found["snippet"]
    assert len(found["snippet"]) < 260


def test_documents_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    rows = [{"id": "a", "title": "Fruit", "text": "An apple."}, {"text": "A pear."}]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    for where in (path, str(path)):
        tools = mentor.tools.search(where)
        assert [found["id"] for found in tools.call("search", {"query": "pear"}).value] == ["2"]
        assert [found["id"] for found in tools.call("search", {"query": "fruit"}).value] == ["a"]  # the title counts
    path.write_text('{"text": "x"}\n{"text": 5}\n')
    with pytest.raises(DataError, match=re.escape(f"{path}:2: 'text' must be text")):
        mentor.tools.search(path)
    path.write_text('{"text": "x"}\n\n{broken\n')
    with pytest.raises(DataError, match=re.escape(f"{path}:3: no JSON")):
        mentor.tools.search(path)
    with pytest.raises(DataError, match=r"nowhere\.jsonl: cannot be read: No such file"):
        mentor.tools.search(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize(
    ("documents", "error", "text"),
    [
        ([], InputError, "documents: there is none to search in"),
        (["x", 5], InputError, "documents[1]: a text or an object with 'text' is wanted, found int"),
        ([{"title": "x"}], InputError, "documents[0]: 'text' must be text"),
        ([{"text": "x", "id": 1.5}], InputError, "documents[0]: 'id' must be text or a whole number, not float"),
        ([{"text": "x", "id": "a"}, {"text": "y", "id": "a"}], InputError, "documents: two have the id 'a'"),
        ([{"text": "x", "id": 2}, "y"], InputError, "documents: two have the id '2'"),
        (5, TypeError, "documents must be a list of texts or dicts, or the path of a file, not int"),
        ({"a": "x"}, TypeError, "documents must be a list of texts or dicts, or the path of a file, not dict"),
    ],
)
def test_unusable_documents(documents: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        mentor.tools.search(documents)


def test_documents_without_words_are_never_found() -> None:
    tools = mentor.tools.search(["...", "", "word"])
    assert [found["id"] for found in tools.call("search", {"query": "word"}).value] == ["3"]
    assert mentor.tools.search(["..."]).call("search", {"query": "word"}).value == []


def test_many_documents() -> None:
    tools = mentor.tools.search(f"document number {n} of {n % 7}" for n in range(20_000))
    assert tools.call("search", {"query": "number 12345", "k": 1}).value[0]["id"] == "12346"
    assert len(tools.call("search", {"query": "document", "k": 50}).value) == 50


def test_the_index_is_pickled(tools: ToolSet) -> None:
    again = pickle.loads(pickle.dumps(tools))
    call = ("search", {"query": "capital of France"})
    assert again.call(*call).value == tools.call(*call).value
