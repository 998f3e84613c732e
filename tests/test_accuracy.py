"""``accuracy_reward`` beside TRL's, and by itself."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from mentor.errors import InputError
from mentor.rewards.accuracy import accuracy_reward

# A completion, a solution, our reward.
TABLE: list[tuple[str, str, float | None]] = [
    (r"My answer is \boxed{\frac{1}{3}}", r"\frac{1}{3}", 1.0),
    (r"My answer is \boxed{\frac{1}{2}}", r"\frac{1}{3}", 0.0),
    (r"\boxed{0.5}", r"$\frac{1}{2}$", 1.0),
    (r"The answer is 5.", r"5", 0.0),
    (r"The final answer is $5$. I hope it is correct.", r"5", 1.0),
    (r"Answer: $x+1$", r"$1+x$", 1.0),
    (r"**Answer:** \(12\)", r"12", 1.0),
    (r"So $x=4$.", r"4", 0.0),
    (r"\boxed{4}", r"x = 4", 1.0),
    (r"\boxed{x=4}", r"$4$", 1.0),
    (r"\boxed{4}", r"$x=4$", 1.0),
    (r"\boxed{72}", "Natalia sold 48/2 = 24 clips in May.\n#### 72", 1.0),
    (r"\boxed{72}", r"She has 24 + 48 = 72 clips, so the answer is 72", 1.0),
    (r"\boxed{1,000}", r"1000", 1.0),
    (r"\boxed{\$5}", r"5", 1.0),
    (r"\boxed{5\text{ cm}}", r"$5$", 1.0),
    (r"\boxed{5\%}", r"$5\%$", 1.0),
    (r"\boxed{1} and \boxed{2}", r"$1,2$", 1.0),
    (r"first \boxed{3}, then after much more thought I find that it is \boxed{4}", r"4", 1.0),
    (r"first \boxed{3}, then after much more thought I find that it is \boxed{4}", r"3", 0.0),
    (r"\boxed{(1,2)}", r"$(1,2)$", 1.0),
    (r"\boxed{[1,2]}", r"$[1,2]$", 1.0),
    (r"\boxed{(-\infty,3)}", r"$(-\infty,3)$", 1.0),
    (r"\boxed{x<3}", r"$(-\infty,3)$", 1.0),
    (r"\boxed{\{1,2\}}", r"$\{2,1\}$", 1.0),
    (r"\boxed{\text{Evelyn}}", r"$\text{Evelyn}$", 1.0),
    (r"\boxed{Evelyn}", r"Evelyn", None),
    (r"\boxed{\text{(B)}}", r"$\text{(B)}$", 1.0),
    (r"\boxed{B}", r"$\text{(B)}$", 1.0),
    (r"", r"4", 0.0),
    (r"no box here", r"$4$", 0.0),
    (r"\boxed{}", r"$4$", 0.0),
    (r"\boxed{4", r"$4$", 0.0),
    (r"\boxed{4}", r"", None),
    (r"\boxed{4}", r"The proof is left to the reader.", None),
    (r"\boxed{\sqrt{8}}", r"$2\sqrt{2}$", 1.0),
    (r"\boxed{\sqrt{8}}", r"2\sqrt{2}", 1.0),
    (r"\boxed{\pi}", r"\pi", 1.0),
    (r"\boxed{3.14}", r"$\pi$", 0.0),
    (r"\boxed{0.333333}", r"$\frac13$", 1.0),
    (r"\boxed{\begin{pmatrix}1\\2\end{pmatrix}}", r"$\begin{pmatrix}1\\2\end{pmatrix}$", 1.0),
    (r"\boxed{11_2}", r"$11_2$", 1.0),
    (r"\boxed{2:3}", r"$2:3$", 1.0),
    (r"\boxed{90^\circ}", r"$90$", 1.0),
    (r"\boxed{1\frac{1}{2}}", r"$\frac{3}{2}$", 1.0),
    (r"\boxed{6-5i}", r"$-5i+6$", 1.0),
    (r"\boxed{y=2x+3}", r"$y=2x+3$", 1.0),
    (r"\boxed{2x+3}", r"$y=2x+3$", 1.0),
    (r"\boxed{\frac{1}{2}\log_2 3}", r"$\log_4 3$", 1.0),
    (r"\boxed{x^2+2x+1}", r"$(x+1)^2$", 1.0),
    (r"\boxed{2^{10}}", r"$1024$", 1.0),
    (r"\boxed{12}", r"The total is \boxed{12}.", 1.0),
    (r"\boxed{\dfrac{3}{4}}", r"\frac{3}{4}", 1.0),
    (r"$$\boxed{7}$$", r"$7$", 1.0),
    (r"\[ \boxed{ 7 } \]", r"7", 1.0),
    (r"\fbox{7}", r"7", 1.0),
    (r"<think>\boxed{3}</think> The answer is $4$", r"4", 0.0),
]

# TRL's reward where it is another; docs/judge.md says why.
DIFFERENCES: dict[tuple[str, str], float | None] = {
    (r"first \boxed{3}, then after much more thought I find that it is \boxed{4}", r"4"): 0.0,
    (r"\boxed{x<3}", r"$(-\infty,3)$"): 0.0,
    (r"\boxed{\sqrt{8}}", r"2\sqrt{2}"): 0.0,
    (r"\boxed{\pi}", r"\pi"): None,
    (r"\fbox{7}", r"7"): 0.0,
}


def message(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def ours(table: list[tuple[str, str, float | None]]) -> list[float | None]:
    return accuracy_reward([message(completion) for completion, _, _ in table], [solution for _, solution, _ in table])


def test_rewards() -> None:
    assert [(row, reward) for row, reward in zip(TABLE, ours(TABLE), strict=True) if row[2] != reward] == []


@pytest.mark.train
def test_rewards_are_those_of_trl() -> None:
    pytest.importorskip("trl")
    from trl.rewards import accuracy_reward as peer

    rewards = peer([message(completion) for completion, _, _ in TABLE], [solution for _, solution, _ in TABLE])
    other = {
        (completion, solution): theirs
        for (completion, solution, our), theirs in zip(TABLE, rewards, strict=True)
        if our != theirs
    }
    assert other == DIFFERENCES


def test_any_thread_gets_true_rewards() -> None:
    rewards: list[list[float | None]] = []
    threads = [threading.Thread(target=lambda: rewards.append(ours(TABLE[:12]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rewards == [[reward for _, _, reward in TABLE[:12]]] * 4


def test_the_hook_for_columns_gets_what_was_compared() -> None:
    columns: dict[str, list[Any]] = {}
    completions = [message(r"\boxed{4}"), message("none"), message(r"\boxed{5}")]
    rewards = accuracy_reward(completions, ["$4$", "4", "No number."], columns.__setitem__, task_id=[1, 2, 3])
    assert rewards == [1.0, 0.0, None]
    assert columns == {
        "solution": ["$4$", "4", "No number."],
        "gold_parsed": ["4", "4", "[unparseable]"],
        "answer_parsed": ["4", "[unparseable]", "[skipped]"],
    }


def test_texts_are_completions_too() -> None:
    assert accuracy_reward([r"\boxed{4}", r"\boxed{5}"], ["4", "4"]) == [1.0, 0.0]
    assert accuracy_reward([[{"role": "assistant", "content": None}]], ["4"]) == [0.0]
    assert accuracy_reward([], []) == []


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(InputError, match=r"^accuracy_reward: 1 completions but 2 solutions$"):
        accuracy_reward([message("4")], ["4", "5"])


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{" * 500_000,
        "\\boxed{" + "{" * 2_000_000,
        "{" * 2_000_000 + "\\boxed{1" + "}" * 2_000_000,
        "answer $" * 300_000,
        "answer \\(" * 300_000,
        "\\boxed{1}" * 300_000,
        "\\boxed{9**9**9**9}",
        "\\boxed" * 500_000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_completions_take_no_time(text: str) -> None:
    started = time.monotonic()
    accuracy_reward([message(text)], ["4"])
    # Some of them are open to the native judge and wait for math-verify, which has ten seconds.
    assert time.monotonic() - started < 11
    started = time.monotonic()
    accuracy_reward([message(text)], [text])
    assert time.monotonic() - started < 1


def test_neither_torch_nor_trl_is_imported() -> None:
    code = (
        "import sys\n"
        "from mentor.rewards.accuracy import accuracy_reward\n"
        "print(accuracy_reward([[{'content': '\\\\boxed{4}'}]], ['4']))\n"
        "print(sorted({'torch', 'trl', 'transformers', 'sympy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[1.0]\n[]\n", "")
