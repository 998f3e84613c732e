"""mentor.evaluate.statistics: against scipy, against simulation, and where there is little or nothing to go by."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("scipy")

from scipy import stats

from mentor.errors import InputError
from mentor.evaluate.statistics import holm, mean_interval, paired_test, share_interval

pytestmark = pytest.mark.train


def keyed(values: object) -> dict[object, float]:
    return dict(enumerate(values))  # type: ignore[call-overload]


def test_reading_numbers_imports_no_torch() -> None:
    code = "import sys, mentor.evaluate as e; e.mean_interval([1, 2]); e.holm([.1]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_percentile_and_bca_agree_with_scipy() -> None:
    values = np.random.default_rng(3).beta(2, 5, size=12)
    for method, name in (("percentile", "percentile"), ("bca", "BCa")):
        found = mean_interval(values.tolist(), method=method, resamples=20_000)  # type: ignore[arg-type]
        wanted = stats.bootstrap((values,), np.mean, method=name, n_resamples=20_000, rng=1).confidence_interval
        assert found.low == pytest.approx(wanted.low, abs=0.004)
        assert found.high == pytest.approx(wanted.high, abs=0.004)
        assert found.value == pytest.approx(values.mean())


@pytest.mark.parametrize(("n", "least"), [(5, 0.86), (8, 0.92)])
def test_the_expanded_interval_covers_where_the_plain_one_does_not(n: int, least: float) -> None:
    rng = np.random.default_rng(n)
    hits = {"expanded": 0, "percentile": 0}
    for at in range(300):
        values = rng.normal(0.5, 0.1, n).tolist()
        for method in hits:
            found = mean_interval(values, method=method, resamples=800, seed=at)  # type: ignore[arg-type]
            hits[method] += found.low <= 0.5 <= found.high
    assert least <= hits["expanded"] / 300 <= 0.98
    assert hits["percentile"] / 300 < 0.92


def test_the_interval_over_tasks_covers_other_tasks() -> None:
    """Few tasks of very different difficulty: runs alone say too little of how the next tasks would go."""
    rng = np.random.default_rng(1)
    alone = both = 0
    for at in range(200):
        chances = np.clip(rng.normal(0, 0.02, 8)[:, None] + rng.beta(0.5, 0.5, 40)[None], 0, 1)
        table = (rng.random(chances.shape) < chances).astype(float)
        means = table.mean(axis=1).tolist()
        plain = mean_interval(means, resamples=500, seed=at)
        crossed = mean_interval(means, tasks=table.tolist(), resamples=500, seed=at)
        alone += plain.low <= 0.5 <= plain.high
        both += crossed.low <= 0.5 <= crossed.high
    assert alone / 200 < 0.7
    assert both / 200 >= 0.93


def test_runs_that_share_a_base_are_drawn_with_it() -> None:
    values = [0.1] * 6 + [0.9] * 6
    free = mean_interval(values)
    tied = mean_interval(values, groups=["a"] * 6 + ["b"] * 6)
    assert tied.high - tied.low > 1.4 * (free.high - free.low)
    single = mean_interval(values, groups=list(range(12)))
    assert single.low == pytest.approx(free.low, abs=0.05)


def test_intervals_at_the_edge() -> None:
    one = mean_interval([0.4])
    assert (one.value, one.n) == (0.4, 1)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    with_tasks = mean_interval([0.5], tasks=[[0.0, 1.0] * 50])
    assert 0.38 <= with_tasks.low < 0.45 < 0.55 < with_tasks.high <= 0.62
    for method in ("expanded", "percentile", "bca"):
        same = mean_interval([0.7, 0.7, 0.7], method=method)  # type: ignore[arg-type]
        assert (same.low, same.high) == pytest.approx((0.7, 0.7))
    assert mean_interval([0.2, math.nan, 0.4]).n == 2
    nothing = mean_interval([math.nan])
    assert nothing.n == 0
    assert math.isnan(nothing.value)
    assert mean_interval([0.2, 0.4], tasks=[[0.0, 1.0], [1.0]]) == mean_interval([0.2, 0.4])
    for wrong in ({"confidence": 1.0}, {"tasks": [[1.0]]}, {"groups": ["a"]}):
        with pytest.raises(InputError, match=r"confidence|tasks|groups"):
            mean_interval([0.2, 0.4], **wrong)  # type: ignore[arg-type]


def test_the_sign_flip_test_is_scipys_exact_permutation_test() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 5, 8, 10):
        first, second = rng.random(n), rng.random(n)
        wanted = stats.permutation_test(
            (first - second,), lambda d, axis: d.mean(axis=axis), permutation_type="samples", vectorized=True
        ).pvalue
        found = paired_test(keyed(first), keyed(second))
        assert found.p == pytest.approx(wanted)
        assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(first - second).pvalue)
        assert found.effect.value == pytest.approx((first - second).mean() / (first - second).std(ddof=1))
        assert found.effect.low <= found.effect.value <= found.effect.high


def test_wilcoxon_with_ties_and_zeros_is_scipys() -> None:
    for d in ([0.1, 0.1, -0.1, 0.3, 0.3, 0.2], [0.0, 0.2, 0.2, 0.1, -0.4], [0.5, 0.5, 0.5, 0.5]):
        found = paired_test(keyed(d), keyed(np.zeros(len(d))))
        assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(d).pvalue)


def test_sign_flips_with_ties_and_with_many_pairs() -> None:
    ties = paired_test(keyed([0.1 + 0.2, 0.9, 0.9]), keyed([0.3, 0.1, 0.1]))
    assert (ties.wins, ties.losses, ties.p) == (2, 0, 0.5)
    rng = np.random.default_rng(2)
    d = rng.normal(0.3, 1.0, 20)
    exact = stats.ttest_1samp(d, 0).pvalue
    assert paired_test(keyed(d), keyed(np.zeros(20))).p == pytest.approx(exact, abs=0.03)


def test_false_alarms_of_the_test_are_as_many_as_promised() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(400):
        d = rng.choice([-0.6, 0.6], 8) * rng.random(8)
        alarms += paired_test(keyed(d), keyed(np.zeros(8))).p <= 0.05
    assert alarms / 400 <= 0.07


def test_pairs_at_the_edge() -> None:
    missing = paired_test({0: 0.9, 1: 0.8, 4: math.nan}, {1: 0.1, 2: 0.2, 4: 0.1})
    assert (missing.n, missing.p, missing.smallest_p) == (1, 1.0, 1.0)
    none = paired_test({0: 0.9}, {1: 0.1})
    assert none.n == 0
    assert all(map(math.isnan, (none.p, none.smallest_p, none.wilcoxon_p, none.effect.value, none.difference.value)))
    equal = paired_test(keyed([0.5, 0.6, 0.7]), keyed([0.5, 0.6, 0.7]))
    assert (equal.p, equal.wilcoxon_p, equal.effect.value) == (1.0, 1.0, 0.0)
    steady = paired_test(keyed([0.9, 0.8, 0.7]), keyed([0.5, 0.4, 0.3]))
    assert (steady.p, steady.smallest_p) == (0.25, 0.25)
    assert steady.effect.value == math.inf


def test_the_interval_of_a_difference_uses_the_tasks() -> None:
    rows = {seed: [1.0, 0.0] * 20 for seed in range(6)}
    other = {seed: [0.0, 0.0] * 20 for seed in range(6)}
    first, second = dict.fromkeys(range(6), 0.5), dict.fromkeys(range(6), 0.0)
    assert paired_test(first, second).difference.low == pytest.approx(0.5)
    assert 0.2 < paired_test(first, second, first_tasks=rows, second_tasks=other).difference.low < 0.45


def test_holm() -> None:
    assert holm([]) == []
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx([0.03, 0.04, 0.04, 0.02])
    assert holm([0.9, math.nan, 0.6])[::2] == [1.0, 1.0]
    assert math.isnan(holm([0.9, math.nan, 0.6])[1])


def test_shares() -> None:
    for hits, trials in ((0, 8), (7, 8), (8, 8), (31, 100)):
        found = share_interval(hits, trials)
        wanted = stats.binomtest(hits, trials).proportion_ci(method="wilson")
        assert (found.value, found.low, found.high) == pytest.approx((hits / trials, wanted.low, wanted.high))
    assert share_interval(0, 0).n == 0
    with pytest.raises(InputError, match="hits"):
        share_interval(3, 2)
