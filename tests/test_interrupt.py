"""Ctrl-C: a long batch raises KeyboardInterrupt at once, wherever it spends its time, and scores afterwards."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import time

import pytest

ROUNDS = 5
PROMISED_S = 0.1
# What is asserted allows for machines that run other jobs on all cores; the figure itself is printed.
BOUND_S = 0.5

CHILD = r"""
import signal, sys, time
import numpy, orjson, mentor

# A test run in the background of a shell inherits that SIGINT is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'
HONEST = CALL + "<|im_end|>\n<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n"
HONEST += "<|im_start|>assistant\n\\boxed{3}<|im_end|>"
MESSAGES = [{"role": "assistant", "content": CALL}, {"role": "tool", "content": "3"}]
MESSAGES.append({"role": "assistant", "content": "\\boxed{3}"})
WRITTEN = {"answer": "3", "tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
SLOW = ["\\boxed{\\int_0^{%d} e^{x^2} dx + 9^{9^{9^{9}}}}<|im_end|>" % n for n in range(64)]
options = {"judge": "native"}
refs = None

PREPARE

if refs is None:
    refs = [mentor.Reference(WRITTEN)] * len(rollouts)
for _ in range(ROUNDS):
    print("ready", flush=True)
    try:
        while True:
            mentor.score_batch(rollouts, refs, **options)
    except KeyboardInterrupt:
        print(time.monotonic(), flush=True)
print(mentor.score_batch([HONEST], [WRITTEN], judge="native", reward="mentor").reward.tolist(), flush=True)
"""

LOADS = {
    "short texts": "rollouts = [HONEST] * 500_000",
    "one thread": "rollouts = [HONEST] * 500_000; options['threads'] = 1",
    "answers of a few bytes": "rollouts = ['\\\\boxed{x+1}<|im_end|>'] * 500_000",
    "long texts": "rollouts = [HONEST * 2_000] * 400",
    "unclosed tags": "rollouts = ['<tool_call>{' * 100_000] * 200",
    "texts beyond ASCII": "rollouts = [('ä' + HONEST + str(n)) * 20 for n in range(20_000)]",
    "messages": "rollouts = [MESSAGES] * 500_000",
    "long messages": "rollouts = [MESSAGES * 1_000] * 500",
    "a reference per row": "rollouts = [HONEST] * 100_000; refs = [dict(WRITTEN) for _ in rollouts]",
    "starting the judge's workers": "rollouts = SLOW; options['judge'] = 'auto'",
    "waiting for the judge's workers": """
rollouts = SLOW; options['judge'] = 'auto'; options['budget_ms'] = 60_000
mentor.judge_batch(['f(x+3)'], ['f(3+x)'])""",
}


@pytest.mark.parametrize("load", LOADS)
def test_ctrl_c_is_answered_at_once(load: str) -> None:
    script = CHILD.replace("PREPARE", LOADS[load]).replace("ROUNDS", str(ROUNDS))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seconds = []
        for turn in range(ROUNDS):
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.15 + 0.1 * turn)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            seconds.append(float(process.stdout.readline()) - sent)
        assert process.stdout.readline() == "[1.1]\n"
        assert process.wait(timeout=60) == 0
    median = statistics.median(seconds)
    print(f"{load}: {1000 * median:.1f} ms (promised: {1000 * PROMISED_S:.0f} ms)")
    assert median < BOUND_S
