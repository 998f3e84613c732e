"""A language model small enough for a laptop's CPU, and its tokenizer, both built on the spot.

The architecture is Qwen3's, so everything that runs on Qwen3 (TRL, peft, vLLM's loader) sees nothing unusual. The
tokenizer keeps digits apart, because copying a number digit by digit is what the model has to learn, and newlines
isolated, because a newline that merges with its neighbour would differ between a generated text and the same text
rendered by the template.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from mentor.models.template import CHAT_TEMPLATE, RESPONSE_TEMPLATE

__all__ = ["ModelShape", "build_model", "build_tokenizer"]

_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_MARKUP = (
    '<tool_call>\n{"name": "',
    '", "arguments": {"a": ',
    ', "b": ',
    "}}\n</tool_call>",
    "\n<tool_response>\n",
    "\n</tool_response>",
    "(a, b)",
    "\\boxed{",
)


_TURNS = (
    "<|im_start|>system\n",
    "<|im_start|>user\n",
    "<|im_start|>assistant\n",
    "<|im_start|>user\n<tool_response>\n",
    "\n</tool_response>",
    "(a, b)\n",
)
"""Longer pieces of the template; none reaches over the newline that ends a turn, so that prefixes stay prefixes."""


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Size of a model built from scratch.

    Attributes:
        hidden: Width of the residual stream.
        inner: Width of the feed-forward layers, as a multiple of ``hidden``.
        layers: Number of blocks.
        heads: Attention heads; half as many key-value heads.
        head: Width of a head; 0 for ``hidden / heads``. What a head copies goes through this width.
        context: Longest sequence, in tokens.
        vocabulary: Upper bound of the tokenizer's size.
        values: Whether each number from 0 to 99 is one token, and words take the spaces around them along. For suites
            whose values stay in that range: a value is then copied by copying one token. Else digits stand alone.
    """

    hidden: int = 128
    inner: int = 3
    layers: int = 4
    heads: int = 4
    head: int = 0
    context: int = 2048
    vocabulary: int = 640
    values: bool = False


def build_tokenizer(corpus: Iterable[str], shape: ModelShape) -> Any:
    """Train a byte-level BPE tokenizer with single digits on a corpus.

    Args:
        corpus: Texts as the chat template renders them.
        shape: Gives the vocabulary and the context.

    Returns:
        A fast tokenizer with the chat template and TRL's response template set.
    """
    words = r" ?[A-Za-z_]+ ?|[^A-Za-z_\s]+|\s+" if shape.values else r" ?[A-Za-z_]+|[^A-Za-z_\s]+|\s+"
    markup = (*_MARKUP, *_TURNS, *map(str, range(10, 100))) if shape.values else _MARKUP
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n"), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocabulary - len(_SPECIAL) - len(markup),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in _SPECIAL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in markup])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        model_max_length=shape.context,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.response_template = RESPONSE_TEMPLATE
    return fast


def build_model(tokenizer: Any, shape: ModelShape, *, seed: int) -> Any:
    """Create a Qwen3 model with random weights.

    Args:
        tokenizer: Gives the vocabulary and the special tokens.
        shape: The model's size.
        seed: Seed of the weights.

    Returns:
        A float32 ``Qwen3ForCausalLM`` on the CPU.
    """
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.hidden * shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=max(1, shape.heads // 2),
        head_dim=shape.head or shape.hidden // shape.heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model
