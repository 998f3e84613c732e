"""The configuration that a run wrote into its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mentor.errors import ConfigError

__all__ = ["saved_config"]


def saved_config(run: Path) -> dict[str, Any]:
    """Read the ``config.yaml`` of a run's folder, as it is.

    Raises:
        ConfigError: It cannot be read, or holds no configuration.
    """
    import yaml

    path = run / "config.yaml"
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: holds no run's configuration")
    return config
