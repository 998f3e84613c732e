"""mentor.rollouts: the loop with a scripted policy and real tools, the decoder against ``model.generate``."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

import mentor
from mentor.errors import InputError, ModelError
from mentor.models.tiny import ModelShape, build_model, build_tokenizer
from mentor.rollouts import Budget, Chat, Decoder, Diverged, Picker, Sampling, can_decode, ends_of, play
from mentor.rollouts.lean import LeanForward
from mentor.tools import ToolSession

pytestmark = pytest.mark.train

NESTED = '{"by":' * 1100 + "1" + "}" * 1100

COUNTER = '''
total = 0


def grow(by: int) -> int:
    """Add to the total.

    Args:
        by: How much.
    """
    global total
    total += by
    return total


def spell(word: str) -> str:
    """Repeat a word often.

    Args:
        word: The word.
    """
    return " ".join([word] * 400)
'''


@pytest.fixture(scope="module")
def tools() -> mentor.ToolSet:
    return mentor.ToolSet.from_source(COUNTER)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer(["grow spell by word 1 2 3 4 5 6 7 8 9 0 error total"] * 3, ModelShape(vocabulary=420))


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    return build_model(tokenizer, ModelShape(hidden=32, layers=2, heads=4, vocabulary=420), seed=3)


class Script:
    """A policy that says its lines, one per turn and rollout."""

    def __init__(self, tokenizer: Any, lines: dict[int, list[str]], *, end: bool = True) -> None:
        self.tokenizer, self.lines, self.end = tokenizer, lines, end
        self.heard: list[str] = []

    def __call__(
        self, prefixes: Sequence[list[int]], rollouts: Sequence[int], rooms: Sequence[int]
    ) -> tuple[list[list[int]], None]:
        self.heard += [self.tokenizer.decode(prefix) for prefix in prefixes]
        texts = [self.lines[rollout].pop(0) + "<|im_end|>" * self.end for rollout in rollouts]
        return [self.tokenizer(text)["input_ids"] for text in texts], None


def row(*names: str, **more: Any) -> dict[str, Any]:
    return {"id": "7", "messages": [{"role": "user", "content": "grow"}], "tools": list(names), **more}


def call(name: str, arguments: Any) -> str:
    return f'<tool_call>\n{{"name": {json.dumps(name)}, "arguments": {json.dumps(arguments)}}}\n</tool_call>'


def said(rollout: Any) -> list[str]:
    return [message["content"] for message in rollout.messages if message["role"] == "tool"]


def run(
    tokenizer: Any, tools: mentor.ToolSet, rows: list[dict[str, Any]], lines: list[list[str]], **limits: Any
) -> tuple[list[Any], Script]:
    script = Script(tokenizer, {at: list(own) for at, own in enumerate(lines)})
    budget = Budget(**{"max_tokens": 300, **limits})
    chat = Chat(tokenizer, tools)
    found = play(rows, chat=chat, generate=script, budget=budget, ends=frozenset([tokenizer.eos_token_id]))
    return found, script


DONE = "\\boxed{1}"


def test_each_rollout_has_a_state_of_its_own(tokenizer: Any, tools: mentor.ToolSet) -> None:
    setup = [{"name": "grow", "arguments": {"by": 100}}]
    rows = [row("grow"), row("grow", setup=setup)]
    lines = [[call("grow", {"by": 1}), call("grow", {"by": 2}), DONE], [call("grow", {"by": 5}), DONE]]
    (first, second), _ = run(tokenizer, tools, rows, lines)
    assert (said(first), said(second)) == (["1", "3"], ["105"])
    assert (first.calls, first.failures, first.truncated) == (2, 0, False)
    assert first.messages[-1] == {"role": "assistant", "content": DONE}


def test_only_what_the_model_wrote_is_marked(tokenizer: Any, tools: mentor.ToolSet) -> None:
    (found,), _ = run(tokenizer, tools, [row("grow")], [[call("grow", {"by": 7}), DONE]])
    written = tokenizer.decode([token for token, mark in zip(found.completion_ids, found.mask, strict=True) if mark])
    given = tokenizer.decode([token for token, mark in zip(found.completion_ids, found.mask, strict=True) if not mark])
    assert written == call("grow", {"by": 7}) + "<|im_end|>" + DONE + "<|im_end|>"
    assert "<tool_response>\n7\n</tool_response>" in given
    assert found.tokens == len(found.mask)


def test_the_tokens_are_those_of_the_template(tokenizer: Any, tools: mentor.ToolSet) -> None:
    (found,), _ = run(tokenizer, tools, [row("grow", "spell")], [[call("grow", {"by": 7}), DONE]])
    whole = [*row()["messages"], *found.messages]
    text = tokenizer.apply_chat_template(whole, tools=tools.schemas, tokenize=False)
    assert tokenizer.decode(found.prompt_ids + found.completion_ids) == text.removesuffix("\n")


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        ('<tool_call>\n{"name": "grow", "arguments": {"by": }}\n</tool_call>', "error: the call cannot be read"),
        ('<tool_call>\n{"name": "grow", "arguments": {"by": 1}}', "error: the call is not closed"),
        ('<tool_call>\n{"name": "grow", "arguments": [1]}\n</tool_call>', "error: "),
        ('<tool_call>\n{"name": "grow", "arguments": "[1]"}\n</tool_call>', "error: "),
        ('<tool_call>\n{"arguments": {"by": 1}}\n</tool_call>', "error: "),
        (f'<tool_call>\n{{"name": "grow", "arguments": {"[" * 1100}', "error: "),
        (f'<tool_call>\n{{"name": "grow", "arguments": {NESTED}}}\n</tool_call>', "error: the "),
        ('<tool_call>\n{"name": "g\\ud800", "arguments": {"by": 1}}\n</tool_call>', "error: unknown tool 'g?'"),
        (call("grow", {"by": "x"}), "error: grow: by must be an integer"),
        (call("shrink", {"by": 1}), "error: unknown tool 'shrink'; the tools are grow"),
    ],
)
def test_what_cannot_be_called_is_answered_and_the_rollout_goes_on(
    tokenizer: Any, tools: mentor.ToolSet, line: str, heard: str
) -> None:
    lines = [[line, call("grow", {"by": 2}), DONE]]
    (found,), script = run(tokenizer, tools, [row("grow")], lines, max_tokens=20_000)
    assert said(found)[0].startswith(heard)
    assert said(found)[1:] == ["2"]
    assert (found.calls, found.failures, found.truncated) == (2, 1, False)
    assert said(found)[0] in script.heard[1]


def test_a_good_call_beside_a_bad_one_is_executed(tokenizer: Any, tools: mentor.ToolSet) -> None:
    line = call("grow", {"by": 4}) + "\n<tool_call>\n{nonsense}\n</tool_call>\n" + call("grow", {"by": 5})
    (found,), _ = run(tokenizer, tools, [row("grow")], [[line, DONE]])
    first, second, third = said(found)
    assert (first, third) == ("4", "9")
    assert second.startswith("error: the call cannot be read")
    score = mentor.score_batch([found.messages], [{"answer": "1", "tool_calls": []}])[0]
    assert [(one.name, one.result) for one in score.calls] == [("grow", "4"), ("grow", "9")]


def test_what_is_remembered_is_bounded_and_changes_nothing(
    tokenizer: Any, tools: mentor.ToolSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"messages": [{"role": "user", "content": f"What is {at}?"}], "tools": tools.names[:1]} for at in range(7)]
    wanted = [Chat(tokenizer, tools).prompt(row) for row in rows]
    monkeypatch.setattr("mentor.rollouts.chat._REMEMBERED", 3)
    chat = Chat(tokenizer, tools)
    for _ in range(2):
        assert [chat.prompt(row) for row in rows] == wanted
        assert len(chat._prompts) <= 3


def test_rows_are_shown_and_may_call_their_own_tools_only(tokenizer: Any, tools: mentor.ToolSet) -> None:
    lines = [[call("spell", {"word": "a"}), DONE], [call("grow", {"by": 3}), DONE]]
    (first, second), script = run(tokenizer, tools, [row("grow"), row("spell")], lines)
    assert "spell(" not in script.heard[0]
    assert "spell(" in script.heard[1]
    assert said(first) == ["error: unknown tool 'spell'; the tools are grow"]
    assert said(second) == ["error: unknown tool 'grow'; the tools are spell"]


def test_calls_beyond_the_limit_are_answered(tokenizer: Any, tools: mentor.ToolSet) -> None:
    twice = call("grow", {"by": 1}) + "\n" + call("grow", {"by": 1})
    (found,), _ = run(tokenizer, tools, [row("grow")], [[twice, twice, DONE]], max_tool_calls=3)
    refused = "error: no calls are left: this task allows 3 calls; answer with what you have"
    assert said(found) == ["1", "2", "3", refused]


def test_turns_end(tokenizer: Any, tools: mentor.ToolSet) -> None:
    line = call("grow", {"by": 1})
    (found,), _ = run(tokenizer, tools, [row("grow")], [[line] * 3], max_turns=2)
    assert said(found) == ["1", "2"]
    assert found.truncated


def test_a_result_that_leaves_no_room_is_taken_back(tokenizer: Any, tools: mentor.ToolSet) -> None:
    (found,), _ = run(tokenizer, tools, [row("spell")], [[call("spell", {"word": "total"}), DONE]])
    assert found.truncated
    assert said(found) == []
    assert found.tokens <= 300
    assert 0 not in found.mask


def test_an_answer_without_its_end_was_cut_off(tokenizer: Any, tools: mentor.ToolSet) -> None:
    script = Script(tokenizer, {0: [call("grow", {"by": 1})]}, end=False)
    found = play(
        [row("grow")],
        chat=Chat(tokenizer, tools),
        generate=script,
        budget=Budget(),
        ends=frozenset([tokenizer.eos_token_id]),
    )
    assert found[0].truncated
    assert said(found[0]) == []


def test_sessions_are_closed_whatever_happens(
    tokenizer: Any, tools: mentor.ToolSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, closed = [], []
    start, close = mentor.ToolSet.session, ToolSession.close
    monkeypatch.setattr(mentor.ToolSet, "session", lambda self: opened.append(1) or start(self))
    monkeypatch.setattr(ToolSession, "close", lambda self: closed.append(1) or close(self))
    with pytest.raises(IndexError):  # the script has no further line
        run(tokenizer, tools, [row("grow"), row("grow")], [[call("grow", {"by": 1})]] * 2)
    assert len(opened) == len(closed) == 2


def test_a_setup_that_fails_names_its_task(tokenizer: Any, tools: mentor.ToolSet) -> None:
    setup = [{"name": "grow", "arguments": {"by": "x"}}]
    with pytest.raises(InputError, match=r"^task '7': setup\[0\]: grow: "):
        run(tokenizer, tools, [row("grow", setup=setup)], [[DONE]])
    with pytest.raises(InputError, match=r"^a row offers the tool 'fly'; the tools are grow, spell$"):
        run(tokenizer, tools, [row("fly")], [[DONE]])


def test_a_template_that_refuses_messages_says_so(tokenizer: Any, tools: mentor.ToolSet) -> None:
    picky = copy.deepcopy(tokenizer)
    picky.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(ModelError, match=r"^the chat template refuses the messages: System role not supported$"):
        Chat(picky, tools).prompt(row("grow"))


def reference(model: Any, tokenizer: Any, rows: list[list[int]], room: int) -> list[list[int]]:
    """What ``model.generate`` writes, greedily."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    mask = torch.zeros_like(ids)
    for at, one in enumerate(rows):
        ids[at, width - len(one) :] = torch.tensor(one)
        mask[at, width - len(one) :] = 1
    settings = copy.deepcopy(model.generation_config)
    settings.update(max_new_tokens=room, max_length=None, do_sample=False, eos_token_id=tokenizer.eos_token_id)
    out = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)[:, width:].tolist()
    ends = [one.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in one else room - 1 for one in out]
    return [one[: end + 1] for one, end in zip(out, ends, strict=True)]


@pytest.mark.parametrize("lean", [True, False])
def test_greedy_decoding_is_that_of_generate(
    model: Any, tokenizer: Any, lean: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over three turns, with prompts of different lengths that repeat, and rows that drop out."""
    assert can_decode(model)
    assert LeanForward.knows(model.get_decoder())
    if not lean:
        monkeypatch.setattr(LeanForward, "knows", staticmethod(lambda decoder: False))
    generator = torch.Generator().manual_seed(1)
    different = [torch.randint(5, len(tokenizer), (length,), generator=generator).tolist() for length in (3, 9, 17, 30)]
    prefixes = [different[at % 4] for at in range(12)]
    first = reference(model, tokenizer, prefixes, 12)
    end = Counter(answer[-1] for answer in first).most_common(1)[0][0]
    ends = frozenset([end, tokenizer.eos_token_id])
    decoder = Decoder(model, ends=ends, picker=Picker(Sampling(temperature=0), key=(0,), length=200))
    rollouts = list(range(12))
    for turn in range(3):
        whole = reference(model, tokenizer, prefixes, 12)
        cut = [next((at for at, token in enumerate(one) if token in ends), len(one) - 1) for one in whole]
        wanted = [one[: at + 1] for one, at in zip(whole, cut, strict=True)]
        answers, logprobs = decoder(prefixes, rollouts, [12] * len(rollouts))
        assert answers == wanted
        assert logprobs is None
        assert turn > 0 or len({len(answer) for answer in answers}) > 1
        keep = [at for at in range(len(rollouts)) if at % 3 != turn]
        results = [torch.randint(5, len(tokenizer), (1 + at % 5,), generator=generator).tolist() for at in keep]
        prefixes = [prefixes[at] + answers[at] + result for at, result in zip(keep, results, strict=True)]
        rollouts = [rollouts[at] for at in keep]


@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2"])
def test_other_architectures_decode_as_generate_does(
    tokenizer: Any, kind: str, lean: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes = {"vocab_size": len(tokenizer), "num_key_value_heads": 2, "initializer_range": 0.3, **shape}
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **sizes, **({"sliding_window": None} if kind == "mistral" else {}))
    model = AutoModelForCausalLM.from_config(config).eval()
    assert can_decode(model)
    if not lean:
        monkeypatch.setattr(LeanForward, "knows", staticmethod(lambda decoder: False))
    decoder = Decoder(model, ends=frozenset(), picker=Picker(Sampling(temperature=0), key=(0,), length=200))
    prefixes = [[5, 6, 7], list(range(20, 40)), [50, 60]]
    for result in ([8, 9], [10]):
        wanted = [reference(model, tokenizer, [prefix], 6)[0] for prefix in prefixes]
        found = decoder(prefixes, [0, 1, 2], [6, 6, 6])[0]
        assert [one[: len(two)] for one, two in zip(found, wanted, strict=True)] == wanted
        prefixes = [prefix + one + result for prefix, one in zip(prefixes, found, strict=True)]


@pytest.mark.parametrize("turns", [1, 2])
def test_a_row_at_the_end_of_the_context_stands_beside_others(tokenizer: Any, turns: int) -> None:
    """Rows that have ended, or read less, are padded along beyond the last position."""
    model = build_model(tokenizer, ModelShape(hidden=32, layers=2, heads=4, vocabulary=420, context=40), seed=3)
    assert LeanForward.knows(model.get_decoder())

    def write(prompts: list[list[int]], results: list[list[int]]) -> list[list[int]]:
        decoder = Decoder(model, ends=frozenset(), picker=Picker(Sampling(temperature=0), key=(0,), length=40))
        rows = list(range(len(prompts)))
        if turns == 1:
            return decoder(prompts, rows, [40 - len(prompt) for prompt in prompts])[0]
        first = decoder(prompts, rows, [1] * len(rows))[0]
        prefixes = [prompt + one + result for prompt, one, result in zip(prompts, first, results, strict=True)]
        return decoder(prefixes, rows, [2] * len(rows))[0]

    prompts, results = [list(range(5, 39)), [7, 8], [7, 9], [7, 10]], [[5], [6] * 30, [7] * 20, [8]]
    alone = [write([prompt], [result])[0] for prompt, result in zip(prompts, results, strict=True)]
    assert write(prompts, results) == alone


def test_a_feed_forward_layer_with_biases_is_left_to_the_model() -> None:
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    plain, biased = (
        LlamaForCausalLM(LlamaConfig(vocab_size=32, mlp_bias=biases, **shape)).get_decoder() for biases in (False, True)
    )
    assert LeanForward.knows(plain)
    assert not LeanForward.knows(biased)


def test_sampled_rollouts_do_not_depend_on_what_is_beside_them(model: Any, tokenizer: Any) -> None:
    prefixes = [[5, 6, 7], [9, 8], [5, 6, 7], [30, 31, 32, 33]]

    def sample(rows: list[int], first: int, key: int = 1) -> list[list[int]]:
        picker = Picker(Sampling(), key=(key,), first=first, length=40)
        decoder = Decoder(model, ends=ends_of(model, tokenizer), picker=picker)
        return decoder([prefixes[at] for at in rows], list(range(len(rows))), [40] * len(rows))[0]

    together = sample([0, 1, 2, 3], 0)
    assert sample([0, 1], 0) + sample([2, 3], 2) == together
    assert together[0] != together[2]
    assert sample([0, 1, 2, 3], 0, key=2) != together


def test_tokens_are_drawn_with_their_probabilities() -> None:
    logits = torch.log(torch.tensor([0.5, 0.0, 0.3, 0.2]))
    count = 20_000
    for sampling, wanted in (
        (Sampling(), [0.5, 0, 0.3, 0.2]),
        (Sampling(temperature=0.5), [0.25 / 0.38, 0, 0.09 / 0.38, 0.04 / 0.38]),
        (Sampling(top_k=2), [0.5 / 0.8, 0, 0.3 / 0.8, 0]),
        (Sampling(top_p=0.75), [0.5 / 0.8, 0, 0.3 / 0.8, 0]),
    ):
        picker = Picker(sampling, key=(5,), length=1)
        drawn = picker(logits.expand(count, 4), range(count), [0] * count)
        shares = torch.bincount(drawn, minlength=4) / count
        error = 4.5 * (torch.tensor(wanted) * (1 - torch.tensor(wanted)) / count).sqrt()
        assert ((shares - torch.tensor(wanted)).abs() <= error).all(), (sampling, shares)


def test_a_policy_that_diverged_is_told() -> None:
    with pytest.raises(Diverged, match="no longer finite; lower learning_rate"):
        Picker(Sampling(), key=(0,), length=1)(torch.full((1, 4), torch.nan), [0], [0])


def test_equal_turns_are_read_once(tokenizer: Any, tools: mentor.ToolSet) -> None:
    chat = Chat(tokenizer, tools)
    prompt = chat.prompt(row("grow"))
    answer = tokenizer(call("grow", {"by": 1}) + "<|im_end|>")["input_ids"]
    assert chat.turn(row("grow"), prompt, answer) is chat.turn(row("grow"), prompt, answer)
    assert chat.prompt(row("grow")) == prompt
    assert chat.prompt(row("grow", "spell")) != prompt
