"""The loss's log-probabilities, against TRL's own; and the command line of accelerate."""

from __future__ import annotations

import copy
import sys

import pytest

pytest.importorskip("trl")

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head

from mentor.errors import ConfigError
from mentor.models.tiny import ModelShape, build_model, build_tokenizer
from mentor.rollouts import can_decode
from mentor.train.launch import PROFILES, profile_file, split_launch
from mentor.train.update import shared_logps

pytestmark = pytest.mark.train


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3"])
def test_every_architecture_gives_its_own_log_probabilities(kind: str) -> None:
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes = {"vocab_size": 90, "num_key_value_heads": 2, "initializer_range": 0.3, **shape}
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **sizes, **({"sliding_window": None} if kind == "mistral" else {}))
    model = AutoModelForCausalLM.from_config(config).eval()
    assert can_decode(model)
    ids = torch.randint(5, 90, (3, 6 + 4))
    mask = torch.ones_like(ids)
    ids[0, :3] = mask[0, :3] = 0
    ids[1, 8:] = mask[1, 8:] = 0
    found, _ = shared_logps(model, ids, mask, 6, 1.0)
    for row in range(3):
        own = ids[row][mask[row].bool()].unsqueeze(0)
        count = int(mask[row, 6:].sum())
        logs = model(input_ids=own).logits[0, -count - 1 : -1].log_softmax(-1)
        wanted = logs.gather(1, own[0, -count:].unsqueeze(1)).squeeze(1)
        assert torch.allclose(found[row, :count], wanted, atol=1e-4)


@pytest.mark.parametrize("spread", [1, 20])
def test_log_probabilities_and_gradients_are_trls(spread: int) -> None:
    """Groups that share prompts of different lengths, completions of one length and of many."""
    shape = ModelShape(hidden=32, layers=2, heads=4, vocabulary=420)
    model = build_model(build_tokenizer(["a b"], shape), shape, seed=0)
    theirs = copy.deepcopy(model)
    add_fused_lm_head(theirs, temperature=0.7, outputs=("log_probs", "entropy"))
    torch.manual_seed(0)
    group, width, length = 4, 12, 21
    lengths = torch.tensor([5, 12, 9])
    prompt_mask = (torch.arange(width) >= (width - lengths).unsqueeze(1)).long().repeat_interleave(group, 0)
    prompts = torch.randint(5, 200, (3, width)).repeat_interleave(group, 0) * prompt_mask
    ends = torch.randint(length - spread, length, (3 * group,)) + 1
    ends[0] = length
    completion_mask = (torch.arange(length) < ends.unsqueeze(1)).long()
    ids = torch.cat([prompts, torch.randint(5, 200, (3 * group, length))], 1)
    mask = torch.cat([prompt_mask, completion_mask], 1)
    weights = torch.randn(3 * group, length) * completion_mask
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :width] = -100
    output = theirs(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True)
    wanted = output.log_probs[:, -length:]
    found, entropy = shared_logps(model, ids, mask, width, 0.7)
    valid = completion_mask.bool()
    assert torch.allclose(found[valid], wanted[valid], atol=1e-5)
    assert torch.allclose(entropy[valid], output.entropy[:, -length:][valid], atol=1e-5)
    assert not found[~valid].any()
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    for mine, other in zip(model.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine.grad, other.grad, atol=1e-5 * float(other.grad.abs().max()) + 1e-7)


def test_a_profile_starts_accelerate() -> None:
    command = split_launch(["--accelerate", "multi_cpu", "--method", "sparse", "--num_processes=3", "--seed", "1"])
    assert command is not None
    assert command[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    assert command[3:] == [
        "--config_file",
        str(profile_file("multi_cpu")),
        "--num_processes",
        "3",
        "-m",
        "mentor.train",
        "--method",
        "sparse",
        "--seed",
        "1",
    ]
    assert split_launch(["--method", "sparse"]) is None


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_what_accelerate_reads(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(profile_file(name)))
    assert str(config.distributed_type).lower().rpartition(".")[2] in profile_file(name).read_text().lower()


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--accelerate", "many"], "unknown profile of accelerate 'many'; known: "),
        (["--accelerate", "none.yaml"], "accelerate 'none.yaml': no such file"),
        (["--accelerate"], "--accelerate wants a value"),
        (["--num_processes", "2"], "--num_processes needs --accelerate PROFILE, one of "),
    ],
)
def test_launches_that_cannot_be_are_told(argv: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as found:
        split_launch(argv)
    assert str(found.value).startswith(text)
