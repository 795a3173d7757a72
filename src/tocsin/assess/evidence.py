"""`FeatureTest`: the bets on one feature - missing, corrupted, outside or unseen, shape - and what they say in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from tocsin.assess import distances
from tocsin.assess.cells import MOST_TESTED, CategoryCells, NumericCells, gathered
from tocsin.assess.drift_test import Bet, shape_bet, share_bet
from tocsin.assess.reference import FeatureReference
from tocsin.assess.sketch import FeatureSketch
from tocsin.model.arrays import F8, I8

LEAST_COUNT: Final = 5
"""Rows of the reference that a category needs for a cell of its own in the test."""
MAIN: Final = 0.7
"""Stake on the shape: it moves by little, where missing and foreign values, once they come, leave no doubt soon."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing about a feature that may move: log of the e-value, its size, the sampling noise in it, and words."""

    name: str
    log_e: float
    effect: float
    noise: float
    said: str

    @property
    def of_shape(self) -> bool:
        """Whether the effect is a stability index, else a difference of shares."""
        return self.name.rpartition(" ")[2] == "shape"


class FeatureTest:
    """The bets on one reference; stateless, so that any number of sketches can be judged by one."""

    def __init__(self, reference: FeatureReference) -> None:
        self.reference = reference
        self.parts: Mapping[str, FeatureTest] = {name: FeatureTest(part) for name, part in reference.parts.items()}

    @cached_property
    def bets(self) -> dict[str, Bet]:
        """The bets by what they are on; a reference without values has only one, on missing rows."""
        own, cells = self.reference.own, self.reference.cells
        bets = {"missing": share_bet(np.array([own.missing + 0.5, own.rows - own.missing + 0.5]), both=True)}
        if not own.present:
            return bets
        bets["corrupted"] = share_bet(np.array([own.corrupted + 0.5, own.present + 0.5]), both=False)
        if isinstance(cells, NumericCells):
            # of n + 1 gaps between n values, two lie outside
            bets["outside"] = share_bet(np.array([2.0, max(own.present - 1.0, 1.0)]), both=False)
        elif cells is not None and cells.complete:
            # Good and Turing: what was seen once tells how much was not seen; half as sure as a count, as that varies
            unseen = min(cells.singletons + 1.0, own.present + 0.5)
            bets["unseen"] = share_bet(0.5 * np.array([unseen, own.present + 1.0 - unseen]), both=False)
        shape = self._shape(own)
        if len(shape) > 1:
            exact = isinstance(cells, NumericCells) and cells.exact
            # exact: of the gaps, the one below the least value is outside
            prior = shape - np.eye(1, len(shape))[0] if exact else shape + 0.5
            bets["shape"] = shape_bet(np.maximum(prior, 0.5), ordered=isinstance(cells, NumericCells))
        return bets

    def counts(self, sketch: FeatureSketch) -> dict[str, I8 | F8]:
        """What each bet is on, counted in a sketch."""
        found: dict[str, I8 | F8] = {"missing": np.array([sketch.missing, sketch.rows - sketch.missing])}
        if not self.reference.own.present:
            return found
        found["corrupted"] = np.array([sketch.corrupted, sketch.present])
        if isinstance(self.reference.cells, NumericCells):
            outside = int(sketch.counts[0] + sketch.counts[-1])
            found["outside"] = np.array([outside, sketch.present - outside])
        elif self.reference.cells is not None:
            unseen = int(sketch.counts[-1])
            found["unseen"] = np.array([unseen, sketch.present - unseen])
        if self.reference.cells is not None:
            found["shape"] = self._shape(sketch)
        return found

    def _shape(self, sketch: FeatureSketch) -> F8:
        """Rows by the cells that are compared one by one, those outside and unseen left out."""
        cells = self.reference.cells
        if isinstance(cells, NumericCells):
            return gathered(cells.bucket[1:-1], sketch.counts[1:-1], int(cells.bucket[-1]) + 1)
        if isinstance(cells, CategoryCells):
            found = self._by_category(sketch)
            if not self._has_rest:
                found = np.delete(found, self._kept)
            return found
        return np.empty(0)

    @cached_property
    def _kept(self) -> int:
        """How many categories, of the most frequent, are compared one by one."""
        cells = self.reference.cells
        named = len(cells.names) if isinstance(cells, CategoryCells) else 0
        return int((self.reference.own.counts[: min(named, MOST_TESTED)] >= LEAST_COUNT).sum())

    @cached_property
    def _has_rest(self) -> bool:
        """Whether the reference has named categories that are compared as one."""
        return bool(self._by_category(self.reference.own)[self._kept] > 0)

    def _by_category(self, sketch: FeatureSketch) -> F8:
        """Rows by category compared alone, the rest of the named ones, and hashed cells; unseen ones left out."""
        cells, kept = self.reference.cells, self._kept
        named = len(cells.names) if isinstance(cells, CategoryCells) else 0
        rest = sketch.counts[kept:named].sum()
        return np.concatenate([sketch.counts[:kept], [rest], sketch.counts[named:-1]]).astype("f8")

    def buckets(self, sketch: FeatureSketch) -> F8:
        """Rows by the 10 buckets, or by category, with what is outside or unseen in the outer ones or the rest (buckets,)."""
        cells = self.reference.cells
        if isinstance(cells, NumericCells):
            return gathered(cells.bucket, sketch.counts, int(cells.bucket[-1]) + 1)
        found = self._by_category(sketch)
        found[self._kept] += sketch.counts[-1]
        return found

    def evidence(
        self, sketches: Sequence[FeatureSketch], before: Sequence[FeatureSketch] | None = None
    ) -> dict[str, F8]:
        """Logs of e-values by aspect for each sketch (n,), weighted so that their sum over aspects is an e-value.

        With `before` (n,) each bet begins after those rows, which count as reference.
        """
        weights = self.weights
        counts = [self.counts(each) for each in sketches]
        earlier = [self.counts(each) for each in before] if before is not None else None
        found = {}
        for name, bet in self.bets.items():
            was = np.array([each[name] for each in earlier]) if earlier is not None else None
            found[name] = bet.log_e(np.array([each[name] for each in counts]), was) + math.log(weights[name])
        for name, part in self.parts.items():
            share = math.log(weights["parts"] / len(self.parts))
            then = [each.parts[name] for each in before] if before is not None else None
            of_part = part.evidence([each.parts[name] for each in sketches], then)
            found |= {f"{name} {aspect}": log_e + share for aspect, log_e in of_part.items()}
        return found

    def aspects(self, sketch: FeatureSketch, log_e: Mapping[str, float]) -> list[Aspect]:
        """What the evidence on a sketch means, in effects and words."""
        counts = self.counts(sketch)
        found = [self._aspect(name, log_e[name], sketch, counts[name]) for name in self.bets]
        for name, part in self.parts.items():
            of_part = {
                key.removeprefix(f"{name} "): value for key, value in log_e.items() if key.startswith(f"{name} ")
            }
            found += [
                Aspect(f"{name} {a.name}", a.log_e, a.effect, a.noise, f"{_words(name)}: {a.said}")
                for a in part.aspects(sketch.parts[name], of_part)
            ]
        return found

    def judge(self, sketch: FeatureSketch) -> list[Aspect]:
        """Aspects of one sketch."""
        return self.aspects(sketch, {name: float(log_e[0]) for name, log_e in self.evidence([sketch]).items()})

    @cached_property
    def weights(self) -> dict[str, float]:
        """Stakes by bet: `MAIN` on the shape (or the parts), the rest even."""
        main = "parts" if self.parts else "shape"
        others = [name for name in self.bets if name != main]
        held = main == "parts" or main in self.bets
        stakes = dict.fromkeys(others, (1.0 - MAIN if held else 1.0) / len(others))
        return {**stakes, main: MAIN} if held else stakes

    def _aspect(self, name: str, log_e: float, sketch: FeatureSketch, counts: I8 | F8) -> Aspect:
        own = self.reference.own
        if name == "shape":
            n, m = sketch.present, own.present
            reference, current = self.buckets(own), self.buckets(sketch)
            filled = (reference > 0) | (current > 0)
            effect = distances.psi(reference, current) if n and m else 0.0
            noise = (int(filled.sum()) - 1) * (1 / n + 1 / m) if n and m else 0.0
            return Aspect(name, log_e, effect, noise, self._moved(reference, current) if n and m else "no values")
        total = float(counts.sum())
        share = float(counts[0]) / total if total else 0.0
        prior = self.bets[name].prior
        usual = {"missing": own.missing_share, "corrupted": own.corrupted / max(own.rows - own.missing, 1)}.get(
            name, float(prior[0] / prior.sum())
        )
        said = f"{_SAID[name]} {_percent(share)} of rows, {_percent(usual)} in the reference"
        if name in ("outside", "unseen"):
            said = f"{_SAID[name]} {_percent(share)} of values{self._where(sketch, name)}"
        return Aspect(name, log_e, share - usual if total else 0.0, 0.0, said)

    def _where(self, sketch: FeatureSketch, name: str) -> str:
        if name == "unseen":
            shown = ", ".join(map(repr, sketch.unseen_examples))
            return f", such as {shown}" if shown else ""
        low, high = self.reference.range or (math.nan, math.nan)
        return f", it held {low:.4g} to {high:.4g}"

    def _moved(self, reference: F8, current: F8) -> str:
        """The bucket or category whose share moved most, and for numbers the means."""
        p, q = reference / reference.sum(), current / current.sum()
        k = int(np.argmax(np.abs(q - p)))
        return f"{_percent(float(q[k]))} of values are {self._bucket(k)}, {_percent(float(p[k]))} in the reference"

    def _bucket(self, k: int) -> str:
        cells = self.reference.cells
        if isinstance(cells, CategoryCells):
            return repr(cells.names[k][:80]) if k < self._kept else "of other categories"
        if cells is None:
            return "elsewhere"
        inner = np.flatnonzero(cells.bucket == k)
        first, last = int(inner[0]), int(inner[-1])
        if first == 0:
            return f"at most {cells.edges[last - 1 if last == len(cells.edges) else last]:.4g}"
        if last == len(cells.edges):
            return f"above {cells.edges[first - 1]:.4g}"
        return f"above {cells.edges[first - 1]:.4g} up to {cells.edges[last]:.4g}"


_SAID: Final = {
    "missing": "no value in",
    "corrupted": "no usable value in",
    "outside": "beyond the reference:",
    "unseen": "never seen before:",
}


def _words(part: str) -> str:
    return part.replace("_", " ")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
