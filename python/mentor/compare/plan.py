"""What a comparison runs: methods times seeds, everything else the same."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mentor.config import METHODS, TrainConfig, parse_config
from mentor.config.schema import known
from mentor.errors import ConfigError

__all__ = ["NOT_SETTINGS", "PLAN_FILE", "Arm", "Plan", "parse_seeds", "read_plan"]

PLAN_FILE = "comparison.yaml"

NOT_SETTINGS = ("versions", "output_dir", "threads", "report_to", "keep_checkpoints", "save_steps", "cache")
"""What a run's results do not hang on; the rest must agree before a folder is taken for the arm of a plan."""

_OWN = ("methods", "variants", "seeds", "output", "jobs", "threads")
"""Keys of a comparison's YAML file that are not a run's; ``threads`` is both."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One run of a comparison.

    Attributes:
        label: The method or variant, as tables name it.
        seed: The run's seed.
        options: The run's configuration, keys of ``TrainConfig``.
    """

    label: str
    seed: int
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return f"{self.label}-{self.seed}"

    def config(self) -> TrainConfig:
        """Resolve the configuration and check it, without any work.

        Raises:
            ConfigError: It cannot run.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "run.yaml")
            path.write_text(self.yaml(), encoding="utf-8")
            try:
                return parse_config(["--config", str(path)]).config
            except ConfigError as error:
                reason = str(error).removeprefix(f"config file {str(path)!r}: ")
                raise ConfigError(f"{self.label}: {reason}") from None

    def yaml(self) -> str:
        """The configuration as ``python -m mentor.train --config`` reads it."""
        import yaml

        return str(yaml.safe_dump(dict(self.options), sort_keys=False))

    def differing(self, saved: Mapping[str, Any]) -> list[str]:
        """Name the settings in which a run folder's ``config.yaml`` differs from this arm, as ``key: there, here``."""
        wanted = self.config().to_dict()
        keys = [key for key in wanted if key in saved and key not in NOT_SETTINGS]
        return [
            f"{key}: {saved[key]} there, {wanted[key]} now" for key in keys if _plain(saved[key]) != _plain(wanted[key])
        ]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A comparison: variants times seeds.

    Attributes:
        variants: Label -> the options that make it, at least ``method``.
        seeds: Seeds, the same for all variants.
        options: Options that all runs share.

    Examples:
        >>> plan = Plan.of(["sparse", "mentor"], seeds=[0, 1], options={"preset": "tiny"})
        >>> [arm.name for arm in plan.arms()]
        ['sparse-0', 'mentor-0', 'sparse-1', 'mentor-1']
    """

    variants: Mapping[str, Mapping[str, Any]]
    seeds: Sequence[int]
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        methods: Iterable[str],
        *,
        seeds: Sequence[int],
        options: Mapping[str, Any] | None = None,
        variants: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Plan:
        """Make a plan of methods by name, and of variants of methods with options of their own.

        Raises:
            ConfigError: A method is unknown or named twice, or there is nothing to compare.
        """
        made: dict[str, Mapping[str, Any]] = {}
        for method in methods:
            known("method", method, METHODS)
            if method in made:
                raise ConfigError(f"methods names {method!r} twice")
            made[method] = {"method": method}
        for label, own in (variants or {}).items():
            if not re.fullmatch(r"[\w.+-]{1,60}", label):
                raise ConfigError(f"variants: the name {label!r} must be of letters, digits, '.', '+', '-' and '_'")
            if label in made:
                raise ConfigError(f"variants: {label!r} is the name of a method in methods as well")
            if not isinstance(own, Mapping) or "method" not in own:
                raise ConfigError(f"variants: {label!r} needs keys and values, among them method")
            made[label] = dict(own)
        if not made:
            raise ConfigError(f"nothing to compare: name methods; known: {', '.join(METHODS)}")
        if not seeds:
            raise ConfigError("nothing to compare: seeds is empty")
        shared = dict(options or {})
        if str(shared.get("preset") or "tiny") == "tiny" and not shared.get("model"):
            shared.setdefault("threads", 1)  # several small runs side by side beat one on all cores
        return cls(variants=made, seeds=tuple(seeds), options=shared)

    def arms(self) -> list[Arm]:
        """All runs, seed by seed: what has run at any moment is balanced over the methods."""
        found = []
        for seed in self.seeds:
            for label, own in self.variants.items():
                options = {**self.options, **own, "seed": seed}
                found.append(Arm(label=label, seed=seed, options=options))
        return found

    def check(self) -> None:
        """Check every variant's configuration before any work.

        Raises:
            ConfigError: One of them cannot run; the message names it.
        """
        for key in ("seed", "output_dir", "resume"):
            if key in self.options:
                raise ConfigError(f"a comparison sets {key} of its runs itself; leave it out")
        for arm in self.arms()[: len(self.variants)]:
            arm.config()

    def to_yaml(self) -> str:
        """The plan as ``comparison.yaml`` holds it; ``read_plan`` reads it back."""
        import yaml

        plain = [label for label, own in self.variants.items() if dict(own) == {"method": label}]
        own = {label: dict(own) for label, own in self.variants.items() if label not in plain}
        rows: dict[str, Any] = {"methods": plain, "seeds": list(self.seeds), **self.options}
        return str(yaml.safe_dump({**rows, **({"variants": own} if own else {})}, sort_keys=False))

    def command(self, output: Path) -> str:
        """The command that makes these runs, and goes on with them where some are left."""
        if any(own["method"] != label for label, own in self.variants.items()):
            return shlex.join(["mentor", "compare", str(output / PLAN_FILE), "--output", str(output)])
        words = ["mentor", "compare", "--methods", ",".join(self.variants), "--seeds", _ranges(self.seeds)]
        settings = dict(self.options)
        for key in ("preset", "suite", "threads"):
            words += [f"--{key}", str(settings.pop(key))] if key in settings else []
        for label, own in self.variants.items():
            settings |= {f"{label}:{key}": value for key, value in own.items() if key != "method"}
        for key, value in settings.items():
            words += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
        return shlex.join([*words, "--output", str(output)])


def read_plan(path: Path) -> tuple[Plan, dict[str, Any]]:
    """Read a comparison's YAML file.

    Args:
        path: The file: ``methods``, ``seeds``, perhaps ``variants``, ``output`` and ``jobs``, and any key of
            ``python -m mentor.train``.

    Returns:
        The plan, and what it says of ``output`` and ``jobs``.

    Raises:
        ConfigError: The file cannot be read, or a value is wrong.
    """
    import yaml

    where = f"config file {str(path)!r}: "
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}{getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    except yaml.YAMLError as error:
        raise ConfigError(where + " ".join(str(error).split())) from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{where}expected keys and values, found a {type(loaded).__name__}")
    values = {str(key).replace("-", "_"): value for key, value in loaded.items()}
    methods, variants = values.get("methods") or [], values.get("variants") or {}
    if isinstance(methods, str):
        methods = [name.strip() for name in methods.split(",")]
    if not isinstance(methods, list) or not isinstance(variants, dict):
        raise ConfigError(f"{where}methods must be a list of names, variants must be names with their keys and values")
    options = {key: value for key, value in values.items() if key not in _OWN or key == "threads"}
    try:
        seeds = parse_seeds(values.get("seeds", "0-4"))
        named = {str(label): own for label, own in variants.items()}
        plan = Plan.of([str(name) for name in methods], seeds=seeds, options=options, variants=named)
    except ConfigError as error:
        raise ConfigError(f"{where}{error}") from None
    return plan, {key: values[key] for key in ("output", "jobs") if values.get(key) is not None}


def parse_seeds(given: Any) -> tuple[int, ...]:
    """Read seeds: a number, a list of numbers, or a text such as ``0-7`` or ``0,2,5-7``.

    Raises:
        ConfigError: It is none of these.

    Examples:
        >>> parse_seeds("0-2,7")
        (0, 1, 2, 7)
    """
    parts = given if isinstance(given, list | tuple) else str(given).split(",")
    seeds: list[int] = []
    for part in parts:
        found = re.fullmatch(r"\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*", str(part))
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if low > high or high - low > 9_999:
            raise ConfigError(f"seeds is {str(given)!r}, must be numbers such as 0-7 or 0,2,5-7")
        seeds += range(low, high + 1)
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds is {str(given)!r}: a seed is named twice")
    return tuple(seeds)


def _ranges(seeds: Sequence[int]) -> str:
    """The text that :func:`parse_seeds` reads as these seeds."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
