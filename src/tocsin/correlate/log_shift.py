"""Which entity says other things than before: rates of line templates, new ones and errors among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tocsin.correlate.blame import divergence
from tocsin.model.arrays import F8, I8, Mask

PRIOR_LINES = 0.5
SEVERE = 3.0
"""How many ordinary lines a line of severity error counts for."""
STEADY = 5
"""Lines of before from which the rate of a template is held for known."""
MOST_TOLD = 20


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Log lines, (n,) each: times in seconds, codes of entity and template, whether of severity error or worse."""

    time: F8
    entity: I8
    template: I8
    severe: Mask
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Saying:
    """A template of an entity whose rate changed: lines before and after, those expected after, and how far off."""

    entity: int
    text: str
    severe: bool
    before: int
    after: int
    expected: float
    size: float


@dataclass(frozen=True, slots=True, eq=False)
class LogShift:
    """Divergence of what is said by entity, (entities,), how sure it is that there is any, and the templates."""

    by_entity: F8
    sureness: float
    sayings: tuple[Saying, ...]

    @property
    def share(self) -> F8:
        """Share of the divergence by entity, (entities,)."""
        total = float(self.by_entity.sum())
        return np.asarray(self.by_entity / total if total > 0 else np.zeros_like(self.by_entity), "f8")


def log_shift(lines: Lines, before: Mask, after: Mask, entities: int) -> LogShift:
    """Compare what each entity says on both sides, beside how much it says at all."""
    templates = len(lines.texts)
    key = lines.entity * templates + lines.template
    keys, first, which = np.unique(key, return_index=True, return_inverse=True)
    n0 = np.bincount(which[before], minlength=len(keys)).astype("f8")
    n1 = np.bincount(which[after], minlength=len(keys)).astype("f8")
    entity = lines.entity[first]
    times = [lines.time[side] for side in (before, after)]
    length = [float(max(np.ptp(each), 1e-9)) if len(each) > 1 else 1.0 for each in times]
    expected = n0 * _throughput(entity, n0, n1, length[1] / length[0], entities)[entity]
    mean = expected + PRIOR_LINES
    severe = lines.severe[first]
    size = divergence(np.ones(len(keys)), (n1 + PRIOR_LINES) / mean, mean) * np.where(severe, SEVERE, 1.0)
    if not before.any():
        size = np.where(severe, size, 0.0)  # nothing is new where nothing was known
    by_entity = np.bincount(entity, size, minlength=entities).astype("f8")
    total, said = float(size.sum()), float(n1.sum())
    # a count that is off by its own square root diverges by a half: so much of it is chance
    chance = 0.5 * float(((n0 + n1) > 0).sum())
    sure = max(0.0, total - chance)
    top = np.argsort(-size, kind="stable")[:MOST_TOLD]
    sayings = tuple(
        Saying(
            int(entity[k]), lines.texts[int(lines.template[first[k]])], bool(severe[k]),
            int(n0[k]), int(n1[k]), float(expected[k]), float(size[k]),
        )
        for k in top.tolist() if size[k] > 1.0
    )  # fmt: skip
    return LogShift(by_entity, sure / (sure + 20.0 + 0.05 * said), sayings)


def _throughput(entity: I8, n0: F8, n1: F8, usual: float, entities: int) -> F8:
    """How many times the lines of before an entity would say by now, (entities,): the median over its templates."""
    found = np.full(entities, usual)
    for code in np.unique(entity).tolist():
        rows = (entity == code) & (n0 >= STEADY)
        if int(rows.sum()) >= 3:
            found[code] = float(np.median(n1[rows] / n0[rows]))
    return found
