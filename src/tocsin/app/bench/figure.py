"""`Figure`: one number with its unit, what it should be, and how it came about."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tocsin.app.bench.sizes import Sizes


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run was asked for."""

    sizes: Sizes
    peers: bool = False
    datasets: Path | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; `aim` is the first aim, with `aim_high` saying on which side of it is good.

    An aim is `promised` if it is said to be held on any machine and at any size, so never one in seconds or a second:
    `--check` fails where it is missed.
    """

    name: str
    value: float
    unit: str
    aim: float | None = None
    aim_high: bool = True
    note: str = ""
    promised: bool = False

    @property
    def held(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        if self.aim is None:
            return None
        return self.value >= self.aim if self.aim_high else self.value <= self.aim

    def to_json(self) -> dict[str, Any]:
        """All fields and `held`."""
        return {**asdict(self), "held": self.held}


@dataclass(slots=True)
class Bench:
    """The figures of one bench, and under which load average it began."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    load: tuple[float, float, float] = (0.0, 0.0, 0.0)
    elapsed_s: float = 0.0
    tables: str = ""
    """Markdown that stands below the figures."""

    def add(self, figure: Figure) -> None:
        """Take a figure in and say it at once, for long runs are watched."""
        self.figures.append(figure)
        sys.stderr.write(f"  {figure.name}: {shown(figure.value)} {figure.unit}\n")


def shown(value: float) -> str:
    """A number with three digits that count.

    >>> shown(123456.7), shown(0.01234), shown(12.345), shown(0.0)
    ('123,000', '0.0123', '12.3', '0')
    """
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def told(figure: Figure) -> str:
    """A figure beside its aim, on one line.

    >>> told(Figure("incidents", 12, "1", 10, aim_high=False))
    'incidents is 12 1, the aim is at most 10'
    """
    aim = "" if figure.aim is None else f", the aim is at {'least' if figure.aim_high else 'most'} {shown(figure.aim)}"
    return f"{figure.name} is {shown(figure.value)} {figure.unit}{aim}"


def quantile(values: list[float], q: float) -> float:
    """Value below which a share `q` lies: the smallest that at least so many do not exceed.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5), quantile([1.0, 2.0], 0.99)
    (2.0, 2.0)
    """
    ordered = sorted(values)
    rank = -(-q * len(ordered) // 1)
    return ordered[max(0, min(len(ordered), int(rank)) - 1)]
