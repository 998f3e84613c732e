"""Configuration of a training run: presets, a YAML file and the command line, checked before any work."""

from mentor.config.cli import parse_config
from mentor.config.schema import METHODS, PRESETS, TrainConfig, resolve

__all__ = ["METHODS", "PRESETS", "TrainConfig", "parse_config", "resolve"]
