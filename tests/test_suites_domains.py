"""The suites store, everyday and library: prompts say what references do, splits differ in one thing each."""

from __future__ import annotations

import json
import re
from datetime import date
from itertools import pairwise
from typing import Any

import pytest

import mentor
from mentor.data import Task
from mentor.suites import open_suite
from mentor.suites.encyclopedia import RELATIONS, Entity, encyclopedia
from mentor.tools.functions import as_text

SUITES = ("store", "everyday", "library")
DEPTHS = {"store": 2, "everyday": 3, "library": 2}


@pytest.fixture(scope="module")
def drawn() -> dict[str, dict[str, list[Task]]]:
    found = {}
    for name in SUITES:
        suite = open_suite(name)
        tools = suite.open_tools()
        found[name] = {split: suite.draw(split, 60, seed=23, tools=tools, exclude=()) for split in suite.splits}
    return found


def calls(task: Task, *names: str) -> list[dict[str, Any]]:
    return [call["arguments"] for call in task.reference["tool_calls"] if call["name"] in names]


# What a person makes of the wordings of the store, written without the suite's own table.
ADD = r"add (?P<n>\d+) to (?P<k>\w+)|put (?P<n>\d+) more into (?P<k>\w+)|raise (?P<k>\w+) by (?P<n>\d+)"
ADD_NEW = r"(?P<n>\d+) more come in for (?P<k>\w+)|top (?P<k>\w+) up with (?P<n>\d+)"
TAKE = r"take (?P<n>\d+) from (?P<k>\w+)|remove (?P<n>\d+) of (?P<k>\w+)|lower (?P<k>\w+) by (?P<n>\d+)"
TAKE_NEW = r"(?P<n>\d+) of (?P<k>\w+) are sold|(?P<k>\w+) loses (?P<n>\d+)"
MOVE = r"move (?P<n>\d+) from (?P<k>\w+) to (?P<l>\w+)|shift (?P<n>\d+) of (?P<k>\w+) over to (?P<l>\w+)"
MOVE_NEW = r"(?P<l>\w+) gets (?P<n>\d+) that (?P<k>\w+) gives|carry (?P<n>\d+) out of (?P<k>\w+) into (?P<l>\w+)"
COPY = r"set (?P<l>\w+) to what (?P<k>\w+) has|copy the value of (?P<k>\w+) to (?P<l>\w+)"
COPY_NEW = r"let (?P<l>\w+) hold the same as (?P<k>\w+)|make (?P<l>\w+) equal to (?P<k>\w+)"
RENAME = r"rename (?P<k>\w+) to (?P<l>\w+)|keep (?P<k>\w+) under the name (?P<l>\w+) instead"
RENAME_NEW = r"call (?P<k>\w+) from now on (?P<l>\w+)|(?P<k>\w+) gets the new name (?P<l>\w+)"
DROP, DROP_NEW = (
    r"delete (?P<k>\w+)|remove the entry (?P<k>\w+)",
    r"strike (?P<k>\w+) out|get rid of the entry (?P<k>\w+)",
)
APPEND = r"append (?P<item>\w+) to (?P<k>\w+)|add (?P<item>\w+) to the list (?P<k>\w+)"
APPEND_NEW = r"write (?P<item>\w+) at the end of (?P<k>\w+)|(?P<item>\w+) joins the list (?P<k>\w+)"
READ = {
    "add": (ADD, ADD_NEW), "take": (TAKE, TAKE_NEW), "move": (MOVE, MOVE_NEW), "copy": (COPY, COPY_NEW),
    "rename": (RENAME, RENAME_NEW), "drop": (DROP, DROP_NEW), "append": (APPEND, APPEND_NEW),
}  # fmt: skip
OPENINGS = ("In the store, ", "Please ", "Here is what to do with the store: ", "Do this: ")
JOINTS = r", then |, and then |; after that, | - next: "


def read_change(clause: str) -> tuple[str, bool, dict[str, str]]:
    """Kind, whether the wording is a new one, and what it names."""
    for kind, forms in READ.items():
        for new, form in enumerate(forms):
            for alternative in form.split("|"):
                if match := re.fullmatch(alternative, clause):
                    return kind, bool(new), match.groupdict()
    raise AssertionError(clause)


def store_by_hand(task: Task) -> tuple[Any, list[str], bool]:
    """The answer, the kinds of changes, and whether wordings are new, from the prompt and what the store held."""
    state = {call["arguments"]["key"]: call["arguments"]["value"] for call in task.meta["setup"]}
    opening = next(each for each in OPENINGS if task.prompt.startswith(each))
    text, question = re.fullmatch(r"(.*)\. (.*\?)", task.prompt.removeprefix(opening)).groups()
    kinds, news = [], set()
    for clause in re.split(JOINTS, text):
        kind, new, names = read_change(clause)
        kinds.append(kind)
        news.add(new)
        k, other, n = names["k"], names.get("l"), int(names.get("n") or 0)
        if kind == "append":
            state[k] = [*state[k], names["item"]]
        elif kind == "drop":
            del state[k]
        elif kind == "rename":
            state[other] = state.pop(k)
        elif kind == "copy":
            state[other] = state[k]
        else:
            state[k] += n if kind == "add" else -n
            if kind == "move":
                state[other] += n
    assert len(news) == 1
    if re.search("entries|how many names", question):
        return len(state), kinds, news.pop()
    asked = next(word for word in re.findall(r"\w+", question) if word in state)
    return (len(state[asked]) if isinstance(state[asked], list) else state[asked]), kinds, news.pop()


@pytest.mark.parametrize("split", open_suite("store").splits)
def test_store_prompts_say_what_references_do(drawn: Any, split: str) -> None:
    tasks = drawn["store"][split]
    together = {frozenset(store_by_hand(task)[1]) for task in drawn["store"]["in_domain"]}
    for task in tasks:
        answer, kinds, new = store_by_hand(task)
        amounts = [call["arguments"]["value"] for call in task.meta["setup"]]
        numbers = [amount for amount in amounts if isinstance(amount, int)]
        assert task.reference["answer"] == str(answer)
        assert (len(kinds) > 2) == (split == "depth")
        assert new == (split == "phrasing")
        assert (len(numbers) > 6) == (split == "state")
        assert (max(numbers) > 99) == (split == "operands")
        assert len(task.tools) == 6
        if split == "combinations":
            assert frozenset(kinds) not in together
    if split == "in_domain":
        assert {kind for task in tasks for kind in store_by_hand(task)[1]} == set(READ)


def test_nothing_of_a_store_is_in_the_prompt(drawn: Any) -> None:
    tools = mentor.tools.store()
    for task in (task for tasks in drawn["store"].values() for task in tasks[:12]):
        # Without the setup, no reference can be carried out.
        with tools.session() as session:
            outcomes = [session.call(call["name"], call["arguments"]) for call in task.reference["tool_calls"]]
        assert [as_text(outcome) for outcome in outcomes] != task.meta["results"]


def families(task: Task) -> list[str]:
    tools = {"parse_date": "dates", "add_to_date": "dates", "add_business_days": "dates", "weekday": "dates",
             "format_date": "dates", "date_difference": "dates", "count_business_days": "dates",
             "convert_units": "units"}  # fmt: skip
    return [tools.get(call["name"], "text") for call in task.reference["tool_calls"]]


@pytest.mark.parametrize("split", open_suite("everyday").splits)
def test_everyday_splits_differ_in_one_thing(drawn: Any, split: str) -> None:
    new = re.compile(r"wait another|pass|turn \d+ weeks|be \d+ weeks earlier|see |name the|let ")
    known = list(open_suite("everyday").open_tools())
    for task in drawn["everyday"][split]:
        used = families(task)
        pairs = set(pairwise(used))
        years = [int(year) for year in re.findall(r"\b(?:19|20)\d\d\b", task.prompt)]
        assert (len(used) > DEPTHS["everyday"]) == (split == "depth")
        assert bool(pairs & {("dates", "text"), ("units", "dates")}) == (split == "combinations")
        assert bool(new.search(task.prompt.split(". Now " if "Here is" in task.prompt else ": ")[-1])) == (
            split == "phrasing"
        )
        assert len(task.tools) == (len(known) if split == "distractors" else 8)
        assert {call["name"] for call in task.reference["tool_calls"]} <= set(task.tools)
        if split == "operands":
            assert all(year < 2010 for year in years)
        else:
            assert all(year >= 2020 for year in years)  # weeks back lead to years before 2024
        for start in re.findall(r"\d{4}-\d\d-\d\d", task.prompt):
            assert date.fromisoformat(start).isoformat() in json.dumps(task.reference["tool_calls"])


def test_everyday_answers_are_words_and_numbers(drawn: Any) -> None:
    answers = {task.reference["answer"] for tasks in drawn["everyday"].values() for task in tasks}
    words = {answer for answer in answers if not re.fullmatch(r"\d+(\.\d+)?", answer)}
    assert len(answers - words) > 50
    assert words and all(re.fullmatch(r"[A-Z][a-z]+", word) for word in words)


def test_the_encyclopedia_is_sound() -> None:
    entities, documents = encyclopedia()
    assert len(entities) == len(documents) == len({row["title"] for row in documents}) == 450
    assert encyclopedia()[1] is documents
    shared = [entity for entity in entities if entity.shared]
    assert len(shared) == 2 * len({entity.name for entity in shared}) == 72
    texts = {row["title"]: row["text"] for row in documents}
    for entity in entities:
        assert entity.facts
        for relation, fact in entity.facts.items():
            shown = fact.title if isinstance(fact, Entity) else fact
            assert RELATIONS[relation].sentence.format(x=entity.name, y=shown) in texts[entity.title]


@pytest.mark.parametrize("split", open_suite("library").splits)
def test_library_splits_differ_in_one_thing(drawn: Any, split: str) -> None:
    entities, _ = encyclopedia()
    shared = {entity.name for entity in entities if entity.shared}
    held_out = re.compile(r"inhabitants does the town in which .* was born|How many people does the company for which"
                          r"|In which year was the town in which .* has its seat founded")  # fmt: skip
    old = [relation.phrase.split("{x}")[0] for relation in RELATIONS.values()]
    for task in drawn["library"][split]:
        hops = len(calls(task, "open_document")) / (2 if " And " in task.prompt else 1)
        words = set(re.findall(r"\w+", task.prompt))
        assert (hops > DEPTHS["library"]) == (split == "depth")
        assert any(task.prompt.startswith(start) for start in old) == (split != "phrasing")
        assert bool(words & shared) == (split == "namesakes")
        assert bool(held_out.search(task.prompt)) == (split == "combinations")


def test_what_the_library_teacher_uses_it_has_read(drawn: Any) -> None:
    for tasks in drawn["library"].values():
        for task in tasks:
            listed: set[str] = set()
            read = task.prompt
            for call, result in zip(task.reference["tool_calls"], task.meta["results"], strict=True):
                if call["name"] == "search":
                    query = call["arguments"]["query"]
                    assert all(word in read for word in query.split()), (query, read)
                    listed |= {row["id"] for row in json.loads(result)}
                elif call["name"] == "open_document":
                    assert call["arguments"]["id"] in listed
                    read += json.loads(result)["text"]
                else:
                    assert all(str(number) in read for number in call["arguments"].values())
