"""TRL's ``GRPOTrainer`` with rollouts from :mod:`mentor.rollouts`.

TRL keeps the training: losses, advantages, distribution, vLLM, LoRA, logging, checkpoints. Ours are the rollouts, since
TRL's loop calls tools one by one, shows every row the same tools, and ends a rollout at a call that it cannot read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType
from trl import GRPOTrainer

from mentor.rewards import RewardFunction
from mentor.rollouts import Budget, Chat, Clock, Decoder, Generate, Picker, Rollout, Sampling, can_decode, play
from mentor.train.folder import RunFolder, complete_folder
from mentor.train.update import add_shared_prompts

__all__ = ["Trainer"]

_WHOLE = (DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU)
"""Ways to distribute that leave every process the whole model."""

_SMALL_VOCABULARY = 32_768
"""Up to here the logits of a step's completions fit into memory at once; beyond, TRL's tiles are used."""


class Trainer(GRPOTrainer):  # type: ignore[misc]
    """GRPO on tasks with tools.

    Its checkpoints are complete or absent, and never push out the last good one.

    Args:
        tasks: Task id -> row with ``messages``, ``tools``, optionally ``setup``.
        chat: Template and tools.
        budget: Limits of a rollout.
        ends: Tokens that end a turn.
        folder: The run's folder.
        keep: Checkpoints to keep.

    Attributes:
        summary: Means over the last step's rollouts of all processes.
        seconds: Where the last step's time went.
    """

    def __init__(
        self,
        *arguments: Any,
        tasks: Mapping[str, Mapping[str, Any]],
        chat: Chat,
        budget: Budget,
        ends: frozenset[int],
        folder: RunFolder,
        keep: int,
        **options: Any,
    ) -> None:
        self._tasks, self._chat, self._budget, self._ends = tasks, chat, budget, ends
        self._folder, self._keep = folder, keep
        self._partial: Path | None = None
        self._rows: list[Mapping[str, Any]] = []
        self.summary: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        super().__init__(*arguments, **options)
        base = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        self._shares = (
            can_decode(base)
            and self.accelerator.distributed_type in _WHOLE
            and not self.args.gradient_checkpointing
            and base.config.vocab_size <= _SMALL_VOCABULARY
        )
        if self._shares:
            for model in filter(None, (base, self.ref_model)):
                add_shared_prompts(model, self.temperature)

    # The update

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        """TRL's loss, of the rollouts that have one.

        Where a whole group earned the same, the advantages are zero, and so are the gradients, exactly. Without a KL
        term such rollouts need not be run; one stays, so that every weight has a gradient, if only zero.
        """
        if self._shares and self.beta == 0 and self.loss_type == "dapo" and not self._entropy_bonus_enabled:
            wanted = inputs["advantages"].nonzero().squeeze(1)
            if len(wanted) < len(inputs["advantages"]):
                wanted = wanted if len(wanted) else inputs["advantages"].new_zeros(1, dtype=torch.long)
                whole = ("num_items_in_batch",)
                inputs = {name: value if name in whole else value[wanted] for name, value in inputs.items()}
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *arguments: Any, **options: Any
    ) -> Any:
        if not self._shares:
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *arguments, **options
            )
        with self.accelerator.autocast():
            logps, entropies = model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                prompt_width=input_ids.size(1) - logits_to_keep,
            )
        return logps, entropies, None

    # Rollouts

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._rows = [self._tasks[row["task_id"]] for row in inputs]
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        reward = self.reward_funcs[0]
        if isinstance(reward, RewardFunction) and reward.last is not None:
            names, values = zip(*asdict(reward.last).items(), strict=True)
            here = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
            mean = self.accelerator.reduce(here, reduction="mean")
            self.summary = dict(zip(names, mean.tolist(), strict=True))
        return output

    def _calculate_rewards(self, *arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        found = super()._calculate_rewards(*arguments, **options)
        self.seconds["reward"] = time.perf_counter() - began
        return found

    def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
        """TRL's rollout stage, as a whole: tokens, mask, messages, and the columns that the reward gets."""
        clock = Clock()
        unwrapped = self.accelerator.unwrap_model(self.model)
        training = self.model.training
        generate = self._generator(unwrapped, len(prompts))
        with self.accelerator.autocast():
            unwrapped.eval()  # no dropout, and no checkpointing, which would leave out the cache
            try:
                rollouts = play(
                    self._rows,
                    chat=self._chat,
                    generate=generate,
                    budget=self._budget,
                    ends=self._ends,
                    context=getattr(unwrapped.config.get_text_config(), "max_position_embeddings", None),
                    clock=clock,
                    anyone=self._anyone if isinstance(generate, _ByTrl) else None,
                )
            finally:
                unwrapped.train(training)
        self.seconds = clock.seconds
        for rollout in rollouts:
            if not rollout.completion_ids:  # its prompt fills the context: one token that teaches nothing
                rollout.completion_ids, rollout.mask, rollout.logprobs = [self._tokenizer.pad_token_id], [0], None
        self._log_rollouts(rollouts)
        logprobs = [rollout.logprobs for rollout in rollouts]
        return (
            [rollout.prompt_ids for rollout in rollouts],
            [rollout.completion_ids for rollout in rollouts],
            [rollout.mask for rollout in rollouts],
            [rollout.messages for rollout in rollouts],
            None if None in logprobs else logprobs,
            {"truncated": [rollout.truncated for rollout in rollouts]},
            None,
            [],
        )

    def _generator(self, model: Any, count: int) -> Generate:
        """Our decoder where it can run; else TRL's way, which knows vLLM and sharded models."""
        if not self.use_vllm and self.accelerator.distributed_type in _WHOLE and can_decode(model):
            sampling = Sampling(temperature=self.temperature, top_k=self.args.top_k or 0, top_p=self.args.top_p or 1.0)
            picker = Picker(
                sampling,
                key=(self.args.seed, self.state.global_step),
                first=self.accelerator.process_index * count,
                length=self._budget.max_tokens,
            )
            return Decoder(model, ends=self._ends, picker=picker)
        group = self.num_generations if self.model.training else self.num_generations_eval
        return _ByTrl(self, group)

    def _anyone(self, here: int) -> bool:
        counts = self.accelerator.gather(torch.tensor([here], device=self.accelerator.device))
        return bool(counts.sum() > 0)

    def _log_rollouts(self, rollouts: Sequence[Rollout]) -> None:
        """The metrics that TRL logs about completions and tools, under TRL's names."""
        counts = [[len(r.prompt_ids), sum(r.mask), float(r.truncated), r.calls, r.failures] for r in rollouts]
        table = self.accelerator.gather(torch.tensor(counts, device=self.accelerator.device)).cpu()
        prompts, lengths, cut, calls, failures = table.unbind(1)
        mode = "train" if self.model.training else "eval"
        metrics = self._metrics[mode]
        if mode == "train":
            self.state.num_input_tokens_seen += int(prompts.sum() + lengths.sum())
        metrics["num_tokens"] = [self.state.num_input_tokens_seen]
        ended = lengths[cut == 0] if bool((cut == 0).any()) else torch.zeros(1)
        for name, values in (("", lengths), ("terminated_", ended)):
            metrics[f"completions/mean_{name}length"].append(values.mean().item())
            metrics[f"completions/min_{name}length"].append(values.min().item())
            metrics[f"completions/max_{name}length"].append(values.max().item())
        metrics["completions/clipped_ratio"].append(cut.mean().item())
        metrics["tools/call_frequency"].append(calls.mean().item())
        metrics["tools/failure_frequency"].append((failures.sum() / calls.sum().clamp(min=1)).item())

    # Checkpoints

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Write no card: the run folder says what the model is."""

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._partial or super()._get_output_dir(trial))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        name = f"checkpoint-{self.state.global_step}"
        final = self._folder.path / "checkpoints" / name
        main = self.accelerator.is_main_process
        with complete_folder(final) if main else nullcontext(final.with_name(f".{name}.partial")) as partial:
            self.accelerator.wait_for_everyone()
            self._partial = partial / "inner"
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._partial = None
            self.accelerator.wait_for_everyone()
            if main:
                for path in (partial / "inner" / name).iterdir():
                    path.rename(partial / path.name)
                (partial / "inner" / name).rmdir()
                (partial / "inner").rmdir()
        if main:
            self._folder.prune(self._keep)
        self.accelerator.wait_for_everyone()


class _ByTrl:
    """TRL's generation of single turns: vLLM, or ``generate`` with the weights gathered."""

    def __init__(self, trainer: Trainer, group: int) -> None:
        self._trainer, self._group = trainer, group

    def __call__(
        self, prefixes: Sequence[list[int]], rollouts: Sequence[int], rooms: Sequence[int]
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        answers, logprobs = self._trainer._generate_single_turn(list(prefixes), None, {}, self._group)
        self._group = 1  # in later turns each rollout has a history of its own
        return [list(answer) for answer in answers], logprobs
