"""Configuration of a training run: presets, a YAML file and the command line, checked before any work."""

from mentor.config.cli import parse_config
from mentor.config.methods import METHODS, Method
from mentor.config.presets import BUILT, PRESETS, SYSTEM_PROMPT
from mentor.config.schema import TrainConfig, resolve

__all__ = ["BUILT", "METHODS", "PRESETS", "SYSTEM_PROMPT", "Method", "TrainConfig", "parse_config", "resolve"]
