"""What was found in several chunks, told once: broken promises by column, and which laws moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tocsin.app.drift_files.run import ChunkResult, Result
from tocsin.assess.moved import CONCEPT, DATA, LABEL
from tocsin.assess.quality import Violation

MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Broken:
    """One fault of one column over chunks: rows that have it, those that would be usual, and the worst chunk's words."""

    worst: Violation
    chunks: tuple[int, ...]
    count: int
    expected: float

    @property
    def alarm(self) -> bool:
        """Whether it is more than chance in any chunk."""
        return self.worst.alarm


def broken(result: Result) -> list[Broken]:
    """Faults by column, alarms first, then by rows; chunks of alarms only, where there are any."""
    found: dict[tuple[str, str], list[tuple[int, Violation]]] = {}
    for chunk in result.chunks:
        for each in chunk.broken:
            found.setdefault((each.fault.value, each.feature), []).append((chunk.part.index, each))
    summed = []
    for of_one in found.values():
        told = [pair for pair in of_one if pair[1].alarm] or of_one
        worst = max(told, key=lambda pair: pair[1].count / max(pair[1].rows, 1))[1]
        chunks = tuple(index for index, _ in told)
        summed.append(
            Broken(worst, chunks, sum(each.count for _, each in told), sum(each.expected for _, each in told))
        )
    return sorted(summed, key=lambda each: (not each.alarm, -each.count))


@dataclass(frozen=True, slots=True)
class Law:
    """One kind of drift: the chunks it was shown in, and the words of the one where it is clearest."""

    kind: str
    chunks: tuple[int, ...]
    clearest: ChunkResult
    said: str


def laws(result: Result) -> list[Law]:
    """Data, label and concept drift, as far as they were shown."""
    found = []
    for kind in (DATA, LABEL, CONCEPT):
        moved = [chunk for chunk in result.chunks if kind in chunk.which.kinds]
        if moved:
            clearest = max(moved, key=partial(_evidence, kind))
            said = next(each for each in clearest.which.said if each.startswith(kind))
            chunks = tuple(chunk.part.index for chunk in moved)
            found.append(Law(kind, chunks, clearest, said.removeprefix(f"{kind}: ")))
    return found


def _evidence(kind: str, chunk: ChunkResult) -> float:
    if kind == LABEL:
        return chunk.which.truth.log10_e
    if kind == CONCEPT:
        return max((group.log_e for group in chunk.which.groups), default=0.0)
    return max((row.log10_e for row in chunk.which.features), default=0.0)


def numbers_said(numbers: Sequence[int]) -> str:
    """Numbers of chunks, those on end as a range.

    >>> numbers_said([0, 1, 2, 5, 7, 8])
    '0-2, 5, 7-8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    said = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs]
    return ", ".join(said[:MOST_NAMED]) + (f", ... ({len(numbers)} in all)" if len(said) > MOST_NAMED else "")
