"""Writes the seeds of the fuzz targets: ``python fuzz/seeds.py`` fills ``fuzz/corpus/TARGET/``.

The seeds are the lines of ``fuzz/seeds/*.jsonl`` and a part of the golden rows of the tests.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "tests" / "golden"
OF_EACH_KIND = 4  # golden rollouts
EVERY = 7  # of the golden pairs of answers one in so many
SEPARATOR = "\0"  # between the two halves of an input


def lines(path: Path) -> list[str]:
    """The lines that are not empty."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line]


def golden_rollouts() -> Iterator[tuple[str, str]]:
    """References and rollouts, some of each kind."""
    seen: Counter[str] = Counter()
    for line in lines(GOLDEN / "reward_official.jsonl"):
        row = json.loads(line)
        seen[row["kind"]] += 1
        if seen[row["kind"]] <= OF_EACH_KIND:
            yield json.dumps(row["reference"], ensure_ascii=False), row["rollout"]


def seeds() -> Iterator[tuple[str, str]]:
    """Targets and inputs."""
    texts = [json.loads(line) for line in lines(HERE / "seeds" / "text.jsonl")]
    messages = lines(HERE / "seeds" / "messages.jsonl")
    for text in texts:
        yield "text", text
        yield "score", SEPARATOR + text
        yield "messages", json.dumps([{"role": "assistant", "content": text}], ensure_ascii=False)
    for text in messages:
        yield "messages", text
        yield "score", SEPARATOR + text
        yield "json", text
    for reference, rollout in golden_rollouts():
        yield "text", rollout
        yield "score", reference + SEPARATOR + rollout
        yield "json", reference
    for text in lines(HERE / "seeds" / "json.jsonl"):
        yield "json", text
    for line in lines(HERE / "seeds" / "judge.jsonl"):
        yield "judge", SEPARATOR.join(json.loads(line))
    for line in lines(GOLDEN / "answer_equivalence.jsonl")[::EVERY]:
        pair = json.loads(line)
        yield "judge", pair["gold"] + SEPARATOR + pair["pred"]
    for size in (0, 24, 9, 45, 255):
        yield "align", chr(size // 2) + "".join(map(chr, range(48)))


def main() -> None:
    """Writes the files; their names are hashes, so that writing them again changes nothing."""
    for target, text in seeds():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        data = text.encode()
        (folder / sha256(data).hexdigest()[:16]).write_bytes(data)


if __name__ == "__main__":
    main()
