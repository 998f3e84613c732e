"""One run of ``mentor score``: rows in, columns out, totals kept."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mentor.cli.score_rows import SHOWN_BAD_LINES, Rows
from mentor.data import BadLine
from mentor.errors import DataError
from mentor.score import ScoreBatch, score_batch

if TYPE_CHECKING:
    from rich.table import Table

    from mentor.data.columns import Columns, Kind

__all__ = ["Run"]


class Run:
    """Scores batches of rows and keeps what the summary needs.

    Args:
        stop_at_bad: Whether a row that cannot be scored ends the run with DataError.
        tools: The offered tools of all rows; ``None`` for each row's own.
        options: What else :func:`mentor.score_batch` takes.
        warn: Called with the first rows that are left out.
    """

    def __init__(
        self,
        stop_at_bad: bool,
        tools: Sequence[str] | None,
        options: Mapping[str, Any],
        warn: Callable[[BadLine], None],
    ) -> None:
        self.stop_at_bad, self.tools, self.options, self.warn = stop_at_bad, tools, options, warn
        self.count = self.bad_lines = 0
        self.reward_sum = self.reward_squares = 0.0
        self.started = time.perf_counter()
        self.component_sums: defaultdict[str, float] = defaultdict(float)
        self.defects: Counter[str] = Counter()

    def kinds(self) -> dict[str, Kind]:
        """The output's columns."""
        components: dict[str, Kind] = dict.fromkeys(self._score(Rows()).components, "number")
        before: dict[str, Kind] = {"line": "integer", "id": "text", "reward": "number"}
        return {**before, **components, "answer": "text", "verdict": "text", "defects": "texts"}

    def score(self, parts: Iterable[Rows], write: Callable[[Columns], None] | None) -> Iterator[Rows]:
        """Scores the rows, gives their columns to ``write`` and yields them when that is done."""
        for rows in parts:
            self._count_bad(rows)
            if rows.lines:
                scores = self._score(rows)
                self._add(scores)
                if write is not None:
                    write(_columns(rows, scores))
            yield rows

    def _count_bad(self, rows: Rows) -> None:
        if rows.bad and self.stop_at_bad:
            raise DataError(f"{rows.bad[0]} (--on-error=skip leaves such lines out)")
        for bad in rows.bad[: max(0, SHOWN_BAD_LINES - self.bad_lines)]:
            self.warn(bad)
        self.bad_lines += rows.bad_count

    def _score(self, rows: Rows) -> ScoreBatch:
        tools: Any = self.tools
        if tools is None and any(offered is not None for offered in rows.tools):
            tools = rows.tools
        return score_batch(rows.rollouts, rows.references, tools=tools, **self.options)

    def _add(self, scores: ScoreBatch) -> None:
        reward = scores.reward
        self.count += len(scores)
        self.reward_sum += float(reward.sum())
        self.reward_squares += float((reward**2).sum())
        self.defects.update(scores.defects)
        for name, values in scores.components.items():
            self.component_sums[name] += float(values.sum())

    def table(self, title: str) -> Table:
        """The summary."""
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        table.add_column("measure")
        table.add_column("value", justify="right")
        count = max(self.count, 1)
        mean = self.reward_sum / count
        spread = max(0.0, self.reward_squares / count - mean * mean) ** 0.5
        table.add_row("rollouts", f"{self.count:,}")
        table.add_row("lines left out", f"{self.bad_lines:,}")
        table.add_row("reward, mean ± sd", f"{mean:.4f} ± {spread:.4f}")
        for name, total in self.component_sums.items():
            table.add_row(f"  {name}, mean", f"{total / count:.4f}")
        table.add_section()
        for kind, rows in self.defects.most_common():
            table.add_row(f"defect {kind}", f"{rows:,} ({100 * rows / count:.1f} %)")
        table.add_section()
        seconds = time.perf_counter() - self.started
        table.add_row("reading, scoring, writing", f"{self.count / seconds:,.0f} rollouts/s" if self.count else "-")
        return table


def _columns(rows: Rows, scores: ScoreBatch) -> Columns:
    return {
        "line": rows.lines,
        "id": rows.ids,
        "reward": scores.reward,
        **scores.components,
        "answer": scores.answers,
        "verdict": scores.verdicts,
        "defects": scores.defect_kinds,
    }
