"""``python -m mentor.train``: exit codes and the last word of every error.

0: done. 1: the run broke off (a full disk, a host failure). 2: the configuration, the model or the data cannot be used;
nothing was started. 130: stopped by Ctrl-C; a checkpoint remains.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mentor.config import parse_config
from mentor.errors import ConfigError, DataError, InputError, MentorError, ModelError
from mentor.train.launch import relaunch, split_launch
from mentor.train.processes import rank

if TYPE_CHECKING:
    from mentor.config.cli import Request
    from mentor.train.progress import Reporter

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        command = split_launch(argv)
        request = parse_config(argv if command is None else command[command.index("mentor.train") + 1 :])
        if command is not None:
            return relaunch(command)
    except ConfigError as error:
        return _fail(str(error), 2)
    except ImportError as error:
        return _no_extra(error)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if request.config.model is None or Path(request.config.model).is_dir():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # torch's threads spin while they wait: beside other busy programs that made training ten times slower
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    from mentor.train.progress import Reporter

    reporter = Reporter()
    try:
        from mentor.train.opening import check_cheaply

        check_cheaply(request)
        if rank() == 0:
            _say_first(request, reporter)
    except MentorError as error:
        return _fail(str(error), 2)
    except ImportError as error:
        return _no_extra(error)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    try:
        from mentor.train.folder import disk_trouble
        from mentor.train.memory import exhausted
        from mentor.train.pipeline import run
        from mentor.train.signals import Interrupted
    except ImportError as error:
        return _no_extra(error)
    except KeyboardInterrupt:  # torch takes seconds to import
        sys.stderr.write("stopped\n")
        return 130
    try:
        run(request, reporter)
    except (ConfigError, ModelError, DataError, InputError) as error:
        return _fail(str(error), 2)
    except (Interrupted, KeyboardInterrupt):
        folder = reporter.folder
        where = f"; go on with: python -m mentor.train --resume {folder}" if folder else ""
        if folder and reporter.building:
            where += " (nothing of the base model is kept: it starts over)"
        if rank() == 0:
            sys.stderr.write(f"stopped{where}\n")
        return 130
    except MentorError as error:
        return _fail(str(error), 1)
    except (RuntimeError, MemoryError) as error:
        if exhausted(error):
            words = "lower micro_batch, rollouts_per_step or max_completion_length"
            return _fail(f"out of memory: {words}; earlier checkpoints are kept", 1)
        if "probability tensor" not in str(error):  # torch's words, where transformers samples
            raise
        return _fail("the policy diverged: its probabilities are no longer finite; lower learning_rate", 1)
    except OSError as error:
        place = error.filename or reporter.folder
        reason = disk_trouble(error)
        if reason is not None:
            return _fail(f"cannot write {place}: {reason}; earlier checkpoints are kept", 1)
        return _fail(f"{place}: {error.strerror or error}", 1)
    return 0


def _say_first(request: Request, reporter: Reporter) -> None:
    """Say that something happens: imports and checks take a while. The output of a dry run is what it found alone."""
    text = "checking the configuration and the tasks"
    if not request.dry_run:
        reporter.say(text)
    elif sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")


def _no_extra(error: ImportError) -> int:
    return _fail(f"training needs the extra: pip install 'mentor-rs[train]' ({error})", 2)


def _fail(message: str, code: int) -> int:
    if rank() == 0:  # processes that were launched together fail alike
        sys.stderr.write(f"error: {message}\n")
    return code
