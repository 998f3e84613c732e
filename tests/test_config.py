"""mentor.config: presets below YAML below the command line, and every refusal in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

pytest.importorskip("jsonargparse")

from mentor.config import METHODS, PRESETS, TrainConfig, parse_config, resolve
from mentor.errors import ConfigError

KEYS = (
    "preset, method, model, suite, splits, eval_suites, dataset, system_prompt, demonstrations, output_dir, seed, "
    "max_steps, num_generations, rollouts_per_step, micro_batch, learning_rate, beta, scale_rewards, temperature, "
    "max_completion_length, max_tool_turns, max_tool_calls, train_tasks, eval_tasks, base_steps, base_seed, "
    "warmup_steps, save_steps, keep_checkpoints, report_to, lora_r, lora_alpha, dtype, use_vllm, vllm_mode, "
    "vllm_server_base_url, vllm_gpu_memory_utilization, vllm_tensor_parallel_size, cache, threads"
)


def yaml_file(folder: Path, text: str) -> str:
    file = folder / "run.yaml"
    file.write_text(text)
    return str(file)


def test_without_arguments_it_is_the_tiny_preset() -> None:
    request = parse_config([])
    assert (request.resume, request.dry_run) == (None, False)
    assert request.config.preset == "tiny"
    assert request.config.method == "mentor"
    assert request.config == resolve(TrainConfig())
    for name, value in PRESETS["tiny"].items():
        assert getattr(request.config, name) == value


def test_the_command_line_wins_over_yaml_and_yaml_over_the_preset(tmp_path: Path) -> None:
    file = yaml_file(tmp_path, "max_steps: 7\nbeta: 0.5\nlearning-rate: 1e-3\n")
    config = parse_config(["--config", file, "--max-steps", "3"]).config
    assert (config.max_steps, config.beta, config.learning_rate) == (3, 0.5, 1e-3)
    assert config.num_generations == PRESETS["tiny"]["num_generations"]


@pytest.mark.parametrize("spelling", ["--max-steps", "--max_steps"])
def test_dashes_and_underscores_both_work(spelling: str) -> None:
    assert parse_config([spelling, "4"]).config.max_steps == 4


def test_a_written_configuration_reads_back_as_itself(tmp_path: Path) -> None:
    import yaml

    config = parse_config(["--method", "f1", "--seed", "5", "--cache", "false"]).config
    file = yaml_file(tmp_path, yaml.safe_dump({**config.to_dict(), "versions": {"mentor": "0"}}))
    assert parse_config(["--config", file]).config == config


def test_a_launcher_is_no_part_of_a_configuration() -> None:
    assert parse_config(["--accelerate", "single"]).config == resolve(TrainConfig())


def test_resume_with_and_without_a_folder() -> None:
    assert parse_config(["--resume"]).resume == "latest"
    assert parse_config(["--resume", "runs/a"]).resume == "runs/a"


def test_sft_has_its_own_learning_rate() -> None:
    assert resolve(TrainConfig(method="sft")).learning_rate == 6e-4
    assert resolve(TrainConfig(method="sft", learning_rate=1e-3)).learning_rate == 1e-3


def test_a_model_alone_means_the_custom_preset(tmp_path: Path) -> None:
    assert resolve(TrainConfig(model=str(tmp_path))).preset == "custom"


def test_a_config_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        TrainConfig().seed = 1  # type: ignore[misc]


REFUSED = {
    ("--method", "mentr"): f"unknown method 'mentr' (did you mean 'mentor'?); known: {', '.join(METHODS)}",
    ("--preset", "huge"): f"unknown preset 'huge'; known: {', '.join(PRESETS)}",
    ("--max-steps", "x"): "max_steps is x, must be a whole number",
    ("--max-steps", "0"): "max_steps is 0, must be at least 1",
    ("--learning-rate", "fast"): "learning_rate is fast, must be a number",
    ("--learning-rate", "-1"): "learning_rate is -1.0, must be a positive number",
    ("--beta", "-0.1"): "beta is -0.1, must not be negative",
    ("--temperature", "0"): "temperature is 0.0, must be a positive number",
    ("--cache", "maybe"): "cache is maybe, must be true or false",
    ("--threads", "0"): "threads is 0, must be at least 1",
    ("--threads", "100000"): f"threads is 100000, but this machine has {os.cpu_count()} cores",
    ("--report-to", "paper"): "unknown report_to 'paper'; known: none, tensorboard, wandb, trackio",
    ("--scale-rewards", "all"): "unknown scale_rewards 'all'; known: none, group, batch",
    ("--num-generations", "7"): "rollouts_per_step is 96, must be a multiple of num_generations (7)",
    ("--micro-batch", "5"): "micro_batch is 5, must divide rollouts_per_step (96)",
    ("--no-such", "1"): "unrecognized arguments: --no-such 1; --help lists the options",
    ("--model", "/no/such"): "model '/no/such': no such folder",
    ("--dataset", "/no/such"): "dataset '/no/such': no such file",
    ("--preset", "custom"): "preset 'custom' needs --model DIR, a local transformers model",
    ("--resume", "runs/a", "--seed", "1"): "--resume goes on with the run's own configuration; leave out seed",
    ("--method", "sft", "--lora-r", "4"): "method 'sft' trains all weights; leave out lora_r",
    ("--splits", ","): "splits names none; leave it out to evaluate on all of the suite",
    ("--seed", "4294967296"): "seed is 4294967296, must be at most 4294967295",
    ("--base-seed", "4294967296"): "base_seed is 4294967296, must be at most 4294967295",
    ("--dataset", ""): "dataset '': no such file",
    ("--accel", "single"): (
        "unrecognized arguments: --accel single; did you mean '--accelerate'? --help lists the options"
    ),
    ("--metod", "sparse"): (
        "unrecognized arguments: --metod sparse; did you mean '--method'? --help lists the options"
    ),
    ("--max_stps=3",): "unrecognized arguments: --max_stps=3; did you mean '--max-steps'? --help lists the options",
    ("--config", "/no/such"): "config file '/no/such': No such file or directory",
}


@pytest.mark.parametrize("argv", REFUSED, ids=" ".join)
def test_refusals_on_the_command_line(argv: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(argv)
    assert str(caught.value) == REFUSED[argv]


def test_tiny_takes_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(TrainConfig(preset="tiny", model=str(tmp_path)))
    assert str(caught.value) == "preset 'tiny' builds its own model; leave out --model, or use --preset custom"


BAD_FILES = {
    "steps: 1\n": f"unknown key 'steps' (did you mean 'max_steps'?); known: {KEYS}",
    "max_steps: [1]\n": "max_steps is [1], must be a whole number",
    "splits: [1]\n": "splits: names are wanted, separated by commas",
    "- a\n": "expected keys and values, found a list",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_refusals_in_a_file(tmp_path: Path, text: str) -> None:
    file = yaml_file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        parse_config(["--config", file])
    assert str(caught.value) == f"config file {file!r}: {BAD_FILES[text]}"


def test_a_file_that_is_no_yaml_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^config file '.*run\.yaml': while parsing .*$"):
        parse_config(["--config", yaml_file(tmp_path, "a: [\n")])


def test_help_names_every_option_and_needs_no_torch() -> None:
    code = (
        "import sys\nfrom mentor.config import parse_config\n"
        "try:\n    parse_config(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'torch', 'transformers', 'trl'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in KEYS.split(", "):
        assert f"--{name.replace('_', '-')} " in done.stdout
    assert " at 0x" not in done.stdout
    assert "(type: names, default: null)" in " ".join(done.stdout.split())
