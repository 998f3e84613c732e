"""mentor.models: the tokenizer, and that what the model writes is what TRL reads."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import trl
from transformers import PreTrainedTokenizerFast
from trl.chat_template_utils import (
    get_training_chat_template,
    is_chat_template_prefix_preserving,
    parse_response,
    supports_tool_calling,
)

import mentor
from mentor.data import Task
from mentor.errors import ModelError
from mentor.models.loading import check_tokenizer, check_weights, context_of, load_model, load_shape, load_tokenizer
from mentor.models.tiny import ModelShape, build_model, build_tokenizer
from mentor.rollouts import Chat
from mentor.train.check import check_template
from mentor.train.tasks import TaskSets, to_row

pytestmark = pytest.mark.train

SCHEMAS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": name,
            "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
        },
    }
    for name in ("add", "multiply")
]
PROMPT = [{"role": "user", "content": "What is 34 plus 12, times 3?"}]
SHAPE = ModelShape(hidden=32, layers=1, heads=2, vocabulary=420)


def asked(name: str, arguments: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


ANSWERS: dict[str, dict[str, Any]] = {
    "a call": {"role": "assistant", "content": "", "tool_calls": [asked("add", {"a": 34, "b": 12})]},
    "an answer": {"role": "assistant", "content": "The answer is \\boxed{138}."},
    "no arguments": {"role": "assistant", "content": "", "tool_calls": [asked("add", {})]},
    "nested arguments": {
        "role": "assistant",
        "content": "",
        "tool_calls": [asked("f", {"xs": [1, 2.5, {"y": None}], "s": 'a "b" \n c'})],
    },
    "two calls": {
        "role": "assistant",
        "content": "",
        "tool_calls": [asked("add", {"a": 1, "b": 2}), asked("multiply", {"a": -3, "b": 0.5})],
    },
    "not in the corpus": {"role": "assistant", "content": "Grüße 漢字 \\frac{1}{2}"},
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer(["What is 34 plus 12, times 3? add multiply The answer is ."] * 3, SHAPE)


def ids_of(tokenizer: Any, messages: list[dict[str, Any]], **options: Any) -> list[int]:
    return list(tokenizer.apply_chat_template(messages, tools=SCHEMAS, tokenize=True, return_dict=False, **options))


@pytest.mark.parametrize("name", ANSWERS)
def test_what_the_template_writes_trl_reads_back(tokenizer: Any, name: str) -> None:
    message = ANSWERS[name]
    prefix = ids_of(tokenizer, PROMPT, add_generation_prompt=True)
    whole = ids_of(tokenizer, [*PROMPT, message])
    assert whole[: len(prefix)] == prefix, "the template is not prefix-preserving"
    written = whole[len(prefix) : whole.index(tokenizer.eos_token_id, len(prefix)) + 1]
    assert parse_response(tokenizer, written, prefix=prefix, tools=SCHEMAS) == message


def test_malformed_calls_become_content_and_never_raise(tokenizer: Any) -> None:
    prefix = ids_of(tokenizer, PROMPT, add_generation_prompt=True)
    for text in ('<tool_call>\n{"name": "add", "argu', "<tool_call>\n{}\n</tool_call>", "</tool_call>", "<tool_call>"):
        ids = tokenizer(text + "<|im_end|>")["input_ids"]
        found = parse_response(tokenizer, ids, prefix=prefix, tools=SCHEMAS)
        assert not found.get("tool_calls"), found
        scores = mentor.score_batch(
            [[found]], [{"answer": "1", "tool_calls": []}], reward="sparse", tools=["add", "multiply"]
        )
        assert scores.reward.tolist() == [0.1]


def test_trl_accepts_the_template_as_it_is(tokenizer: Any) -> None:
    assert supports_tool_calling(tokenizer)
    assert is_chat_template_prefix_preserving(tokenizer)
    assert get_training_chat_template(tokenizer) is None


def test_the_loss_mask_covers_what_the_assistant_wrote_and_nothing_else(tokenizer: Any) -> None:
    messages = [*PROMPT, ANSWERS["a call"], {"role": "tool", "name": "add", "content": "46"}, ANSWERS["an answer"]]
    batch = tokenizer.apply_chat_template(
        messages, tools=SCHEMAS, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    kept = [token for token, mask in zip(batch["input_ids"], batch["assistant_masks"], strict=True) if mask]
    assert tokenizer.decode(kept) == (
        '<tool_call>\n{"name": "add", "arguments": {"a": 34, "b": 12}}\n</tool_call><|im_end|>'
        "The answer is \\boxed{138}.<|im_end|>"
    )


def test_our_own_reader_understands_the_markup(tokenizer: Any) -> None:
    messages = [*PROMPT, ANSWERS["a call"], {"role": "tool", "name": "add", "content": "46"}, ANSWERS["an answer"]]
    text = tokenizer.apply_chat_template(messages, tools=SCHEMAS, tokenize=False)
    start = text.index("<|im_start|>assistant\n") + len("<|im_start|>assistant\n")
    reference = {"answer": "138", "tool_calls": [{"name": "add", "arguments": {"a": 34, "b": 12}}]}
    scores = mentor.score_batch([text[start:].rstrip("\n")], [reference], reward="strict", tools=["add", "multiply"])
    assert scores.reward.tolist() == [1.1]


def test_digits_stand_alone_and_any_text_survives(tokenizer: Any) -> None:
    assert [tokenizer.decode([token]) for token in tokenizer("4096")["input_ids"]] == ["4", "0", "9", "6"]
    rng = random.Random(0)
    for _ in range(50):
        text = "".join(chr(rng.choice([rng.randint(1, 127), rng.randint(160, 0xD7FF)])) for _ in range(20))
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_seed_decides_the_weights(tokenizer: Any) -> None:
    import torch

    before = torch.random.get_rng_state()
    first, same, other = (build_model(tokenizer, SHAPE, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(before, torch.random.get_rng_state())


def test_saved_and_loaded_again(tokenizer: Any, tmp_path: Path) -> None:
    build_model(tokenizer, SHAPE, seed=0).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(str(tmp_path))
    assert again.response_template == tokenizer.response_template
    assert again.padding_side == "left"
    assert ids_of(again, [*PROMPT, ANSWERS["a call"]]) == ids_of(tokenizer, [*PROMPT, ANSWERS["a call"]])
    assert load_model(str(tmp_path)).config.hidden_size == 32


PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
ODD = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{% for c in m.tool_calls or [] %}"
    "{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}\n{% endfor %}"
)
REFUSED = {
    None: "its tokenizer has no chat template; an instruct model with tools is wanted",
    PLAIN: "its chat template cannot show tool calls and their results",
    ODD: "its chat template is unknown to TRL; set tokenizer.response_template and save again",
}


@pytest.mark.parametrize("template", REFUSED, ids=["none", "plain", "unknown"])
def test_models_without_a_tool_template_are_refused(tokenizer: Any, tmp_path: Path, template: str | None) -> None:
    folder = tmp_path / "model"
    build_model(tokenizer, SHAPE, seed=0).save_pretrained(folder)
    bare = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    bare.chat_template = template
    bare.save_pretrained(folder)
    with pytest.raises(ModelError) as caught:
        load_tokenizer(str(folder))
    assert str(caught.value) == f"model {str(folder)!r}: {REFUSED[template]}"


@pytest.mark.parametrize("name", ["llama3_1", "llama3_2", "qwen2_5", "qwen3", "qwen3_instruct_2507", "glm4moe"])
def test_templates_of_published_models_make_the_tokens_of_rollouts(tokenizer: Any, name: str) -> None:
    """As TRL keeps them: a call and its result, token for token what the template writes."""
    known = copy.deepcopy(tokenizer)
    known.response_template = None
    known.chat_template = (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")
    if name.startswith("llama"):
        known.add_special_tokens({"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"})
    check_tokenizer(known, name)
    tools = mentor.tools.arithmetic().only("add", "subtract")
    asked = {"name": "add", "arguments": {"a": 1, "b": 2}}
    task = Task(id="1", prompt="1 + 2?", tools=(), reference={"answer": "3", "tool_calls": [asked]})
    row = to_row(task, tools)
    sets = TaskSets(tools=tools, train=[row], splits={})
    assert check_template(known, sets, row) > 0
    turn = [{"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": asked}]}]
    chat = Chat(known, tools)
    prompt = chat.prompt(row)
    whole = known.apply_chat_template([*row["messages"], *turn], tools=tools.schemas, tokenize=True, return_dict=False)
    ends = [at + 1 for at, token in enumerate(whole) if token == known.eos_token_id and at >= len(prompt)]
    end = ends[-1] if ends else len(whole)
    result = {"role": "tool", "name": "add", "content": "3"}
    final = known.apply_chat_template(
        [*row["messages"], *turn, result],
        tools=tools.schemas,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
    )
    assert prompt + whole[len(prompt) : end] + chat.results([result]) == final
    if name.startswith("llama"):
        with pytest.raises(ModelError, match="marks no assistant tokens"):
            check_template(known, sets, row, marked=True)
    else:
        check_template(known, sets, row, marked=True)


def test_weights_that_cannot_be_loaded_are_found_without_reading_them(tokenizer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    build_model(tokenizer, SHAPE, seed=0).save_pretrained(folder)
    check_weights(str(folder))
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read: "):
        check_weights(str(folder))
    weights.unlink()
    with pytest.raises(ModelError, match="no weights there"):
        check_weights(str(folder))
    (folder / "a.safetensors").write_bytes(whole)
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"b\.safetensors cannot be read: No such file"):
        check_weights(str(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "t5"}, "is no causal language model"),
        ({"model_type": "none"}, "its config.json cannot be used"),
        ({"hidden_size": "a"}, "its config.json cannot be used"),
    ],
)
def test_a_config_that_makes_no_model_is_one_line(
    tokenizer: Any, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    build_model(tokenizer, SHAPE, seed=0).save_pretrained(tmp_path)
    assert context_of(str(tmp_path)) == SHAPE.context
    assert all(parameter.is_meta for parameter in load_shape(str(tmp_path)).parameters())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelError) as caught:
        load_shape(str(tmp_path))
    assert str(caught.value).startswith(f"model {str(tmp_path)!r}: {message}")
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_tokenizer(str(tmp_path))
    wanted = f"model {str(tmp_path)!r}: no config.json there; a folder saved by save_pretrained is wanted"
    assert str(caught.value) == wanted
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3"}))
    with pytest.raises(ModelError, match="its tokenizer"):
        load_tokenizer(str(tmp_path))
