"""Plays `python -m mentor.train` for the tests of the runner: same options, files, exit codes and signals, no training.

Its configuration is JSON in the YAML file; the learning rate says how long it takes, `warmup_steps` says to fail once.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import yaml

from comparisons import write_run


def say(folder: Path, what: str) -> None:
    with (folder.parent.parent / "events.txt").open("a") as file:
        file.write(f"{time.time():.3f} {folder.name} {what}\n")


def main(words: list[str]) -> int:
    resumed = words[0] == "--resume"
    folder = Path(words[1] if resumed else words[3])
    config = yaml.safe_load((folder / "config.yaml" if resumed else Path(words[1])).read_text())
    say(folder, "resumed" if resumed else "began")
    if config.get("warmup_steps") == 7 and not folder.exists():
        folder.mkdir()
        (folder / "half.txt").write_text("left by a crash")
        config["warmup_steps"] = 8
        Path(words[1]).write_text(json.dumps(config))
        print("something", "went wrong", "in the middle", sep="\n")
        return 1
    if config.get("warmup_steps") == 9:
        sys.stderr.write("error: the data cannot be used\n")
        return 2
    if not resumed:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(json.dumps(config))
    time.sleep(0.4)
    print("base model: built", flush=True)
    say(folder, "base")
    stopped = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)

    signal.signal(signal.SIGINT, stop)
    end = time.monotonic() + float(config.get("learning_rate") or 0)
    while time.monotonic() < end:
        time.sleep(0.05)
        if stopped:
            say(folder, "stopped")
            config["learning_rate"] = 0.1
            (folder / "config.yaml").write_text(json.dumps(config))
            return 130
    shutil.rmtree(folder)
    write_run(folder, method=config["method"], seed=config["seed"], accuracy=0.5, tasks=4)
    (folder / "config.yaml").write_text(json.dumps(config))
    say(folder, "ended")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
