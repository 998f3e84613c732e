"""Runs in instances that are reset, against runs in new ones: equal outcomes, and equal memory after each.

    python tests/differential.py [--isolation reset-scan] [--count 5000] [--seed 0] [--metered] [--whole 0.1]

Programs of every kind come in random order: small ones, attacks, writes to chosen pages, growth, floods, endless loops;
sessions with forks and saved states, environments and batches between them. After each, the instances that wait for the
next are compared with the master image: always the pages that were ever written, and all of the memory for a share of
them. Prints one line of JSON; the first difference is an error.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "attacks"))

from mentor import Limits, Outcome, Sandbox, Session, _core
from programs import generate, golden

#: Long enough for all that ends, on a busy machine too.
PATIENT = 5_000
BRIEF = 60
ENVIRONMENTS = (
    "def double(x): return 2 * x",
    "import json, re, collections\nkept = {'a': [1, 2, 3]}\ndef f(x): return kept['a'][x % 3]",
    "big = [bytes(i % 400) for i in range(3000)]",
    "grown = bytearray(20 << 20)\ngrown[::4096] = b'x' * len(grown[::4096])",
    "1 / 0",
    "import random\ndef f(x): return random.random()",
    "import os\nos.makedirs('kept/deep')\nlog = open('kept/log', 'a')\ndef f(x): return log.write(str(x))",
)
STEPS = (
    "x = globals().get('x', 0) + 1\nx",
    "import random\n[random.random(), globals().get('x')]",
    "keep = globals().get('keep', []) + [bytes(3000)] * 5\nlen(keep)",
    "class A: pass\nid(A())",
    "import sqlite3\ndb = sqlite3.connect(':memory:')\ndb.execute('select 3').fetchone()",
    "print('step', globals().get('x'))",
    "1 / 0",
    "grown = bytearray(12 << 20)\ngrown[::4096] = b'y' * len(grown[::4096])",
    "import time\ntime.sleep(3)\ntime.time()",
    "def g(n=1): return [n, globals().get('x')]",
    "import os\nopen('log', 'a').write(f\"{globals().get('x')};\")\n[open('log').read(), sorted(os.listdir())]",
    "kept_file = open('kept', 'a+')\nkept_file.write('x' * 3000)",
    "import os\nkept_file.flush()\nos.path.exists('kept') and os.unlink('kept')\nos.fstat(kept_file.fileno()).st_size",
)
ENDS = ("import os\nos._exit(1)", "import sys\nsys.modules['os'].abort()")


@dataclass(frozen=True)
class Case:
    """A program, what runs before it, and whether only the clock ends it."""

    code: str
    env: str | None = None
    brief: bool = False


def corpus() -> list[Case]:
    """The attacks and the programs of their tests, the golden programs, and the writes to chosen pages."""
    from attack import MEMORY, Attack, memory_size
    from test_attack_reset import WRITES

    cases = [Case(program.code) for program in golden()]
    cases += [Case(MEMORY + text.replace("SIZE", str(memory_size()))) for text in WRITES.values()]
    for path in sorted((Path(__file__).parent / "attacks").glob("test_attack_*.py")):
        for listed in vars(importlib.import_module(path.stem)).values():
            if isinstance(listed, list):
                cases += [
                    Case(attack.code, attack.env, "timeout" in attack.ends)
                    for attack in listed
                    if isinstance(attack, Attack)
                ]
    return list(dict.fromkeys(cases))


def cases(count: int, rng: random.Random) -> list[Case]:
    """As much of the corpus as is half of the count, and generated programs, some of them after an environment."""
    found = corpus()
    rng.shuffle(found)
    del found[count // 2 :]
    for program in generate(count - len(found), seed=rng.getrandbits(32), endless=0.004):
        env = rng.choice(ENVIRONMENTS) if rng.random() < 0.15 else None
        found.append(Case(program.code, env, program.kind == "endless"))
    rng.shuffle(found)
    return found


def comparable(outcome: Outcome) -> tuple[Any, ...]:
    """All of an outcome but its time; of one that the clock or the host's stack ended only how."""
    if not outcome.reproducible:
        return (outcome.fault and outcome.fault.kind, False)
    return (
        outcome.stdout,
        outcome.stderr,
        repr(outcome.value),
        outcome.value_repr,
        outcome.fault,
        outcome.truncated,
        outcome.fuel,
        tuple(outcome.files.items()),
    )


class Differential:
    """Two sets of sandboxes that differ in nothing but the isolation."""

    def __init__(self, isolation: str, *, metered: bool, whole: float, seed: int) -> None:
        self.metered = metered
        self.whole = whole
        self.rng = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.fresh, self.reset = (self._sandboxes(name) for name in ("fresh", isolation))

    def _sandboxes(self, isolation: str) -> tuple[Sandbox, ...]:
        def make(timeout_ms: int) -> Sandbox:
            fuel = 2 * 10**9 if self.metered else None
            limits = Limits(timeout_ms=timeout_ms, memory_mb=96, output_kb=64, fuel=fuel)
            return Sandbox(limits=limits, isolation=isolation)

        return make(PATIENT), make(BRIEF), make(12 * PATIENT)

    def check(self) -> None:
        """Compares the waiting instances with the master image."""
        whole = self.rng.random() < self.whole
        checked, differing = _core.sandbox_check(self.metered, whole)
        self.counts["whole" if whole else "private"] += checked
        assert differing == 0, f"{differing} of {checked} instances differ from the master image"

    def compare(self, case: Case) -> None:
        """One program in an instance of each kind."""
        first, second = (kind[case.brief].run(case.code, case.env) for kind in (self.fresh, self.reset))
        if first.reproducible != second.reproducible:  # just at its limit: once more, without a limit
            first, second = (kind[2].run(case.code, case.env) for kind in (self.fresh, self.reset))
        self.counts[f"ends {first.fault.kind if first.fault else 'ok'}"] += 1
        self.counts["programs"] += 1
        assert comparable(first) == comparable(second), (case, first, second)
        self.check()

    def compare_sessions(self) -> None:
        """The same random steps, forks, saved states and ways back in sessions of each kind."""
        seed = self.rng.getrandbits(32)
        logs = [_play(random.Random(seed), kind[0]) for kind in (self.fresh, self.reset)]
        self.counts["session steps"] += len(logs[0])
        assert len(logs[0]) == len(logs[1])
        for number, (first, second) in enumerate(zip(*logs, strict=True)):
            assert first == second, (seed, number, first, second)
        self.check()

    def compare_batches(self, batch: list[Case]) -> None:
        """Many at once, in several instances."""
        codes = [case.code for case in batch if not case.brief]
        logs = [[comparable(outcome) for outcome in kind[0].run_batch(codes)] for kind in (self.fresh, self.reset)]
        self.counts["batched"] += len(codes)
        for code, first, second in zip(codes, *logs, strict=True):
            assert first == second, (code, first, second)
        self.check()


def _play(rng: random.Random, sandbox: Sandbox) -> list[tuple[Any, ...]]:
    log: list[tuple[Any, ...]] = []
    sessions: list[Session] = [sandbox.session()]
    states = []
    for _ in range(rng.randint(3, 14)):
        session = rng.choice(sessions)
        action = rng.choice(
            ("run", "run", "run", "call", "fork", "save", "restore", "new", "rebuild", "end", "close", "put", "drop")
        )
        if action in ("fork", "save") and session.ended:
            action = "rebuild"
        if action == "run":
            log.append(comparable(session.run(rng.choice(STEPS))))
        elif action == "call":
            log.append(comparable(session.call("g", {"n": rng.randint(1, 9)})))
        elif action == "put":
            session.files[rng.choice(("in", "log", "a/b"))] = bytes(rng.randrange(20_000))
        elif action == "drop":
            log.append((session.files.pop("log", None),))
        elif action == "end":
            log.append((*comparable(session.run(rng.choice(ENDS))), session.ended))
        elif action == "fork":
            sessions += session.fork(rng.randint(1, 3))
        elif action == "save":
            states.append(session.save())
        elif action == "restore" and states:
            session.restore(rng.choice(states))
        elif action == "new" and states:
            sessions.append(sandbox.restore(rng.choice(states)))
        elif action == "rebuild":
            session.rebuild()
        elif action == "close" and len(sessions) > 1:
            sessions.remove(session)
            session.close()
    log += [comparable(session.run("[globals().get('x'), len(globals().get('keep', []))]")) for session in sessions]
    log += [tuple(session.files.items()) for session in sessions if not session.ended]
    for session in sessions:
        session.close()
    return log


def main() -> None:
    """Compares as many programs as asked for."""
    parser = argparse.ArgumentParser(description="Compares instances that are reset with new ones.")
    parser.add_argument("--isolation", default="reset")
    parser.add_argument("--count", type=int, default=5000, help="programs that run one by one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--metered", action="store_true", help="in the engine that counts fuel; compares it as well")
    parser.add_argument("--whole", type=float, default=0.1, help="share of the checks that compare all of the memory")
    arguments = parser.parse_args()
    began = time.monotonic()
    test = Differential(
        arguments.isolation, metered=arguments.metered, whole=arguments.whole, seed=arguments.seed + 1_000_003
    )
    rng = random.Random(arguments.seed)
    found = cases(arguments.count, rng)
    for number, case in enumerate(found):
        test.compare(case)
        if number % 25 == 7:
            test.compare_sessions()
        if number % 100 == 50:
            test.compare_batches(found[number - 30 : number])
    stats = test.reset[0].stats()
    assert stats["dropped_differing"] == stats["dropped_untracked"] == 0, stats
    assert stats["reset"] > arguments.count // 2, stats
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"seconds": seconds, **dict(sorted(test.counts.items())), "stats": stats}))


if __name__ == "__main__":
    main()
