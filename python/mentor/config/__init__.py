"""Configuration of a training run: presets, a YAML file and the command line, checked before any work."""

from mentor.config.cli import parse_config
from mentor.config.methods import METHODS, Method
from mentor.config.presets import BUILT, PRESETS
from mentor.config.schema import TrainConfig, resolve

__all__ = ["BUILT", "METHODS", "PRESETS", "Method", "TrainConfig", "parse_config", "resolve"]
