"""Any model of PyOD by name: fitted anew on the last values of each series, on a fixed schedule and with a fixed seed."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np

from tocsin.detect.array import column
from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Params, State, Step
from tocsin.plugin.registry import nearest
from tocsin.selfmon.stopwatch import Timed
from tocsin.stats.scale import RIGID

SEED: Final = 20_101
"""Seed of every fit and every score, whoever draws."""
UPPER: Final = 0.95
UPPER_SD: Final = 1.645
"""The 95 % quantile of a normal law lies so many sds above its middle."""
REACH: Final = np.exp2(np.linspace(-6.0, 6.0, 65))
"""Distances at which the edge of a band is looked for, in sds of the values of the fit."""
_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)
_NOT_MODELS = ("base", "sklearn_base", "gaal_base", "ts_", "pyg_", "_")


class _Fitted(NamedTuple):
    """A model with the values it was fitted on, and middle and unit of the scores of its own past."""

    past: F8
    model: Any
    middle: float
    unit: float


class _Answer(NamedTuple):
    """The latest decision of a row and what was asked: learning asks again what scoring has asked."""

    fitted: _Fitted
    seen: int
    value: float
    score: float


class Pyod(Timed, Shingled):
    """Score = how far PyOD's decision on the shingle lies above its median on the past, in sds of its upper side.

    The model is fitted on the shingles of the last `kept` values once warm and every `every` steps after, with one
    seed; a snapshot holds these values, and what is restored fits the same model again. Where a model refuses its
    data (a past that never moved), `refused` counts it and the distance from the level speaks.

    Parameters: `model`, a class of `pyod.models`, written `pyod:NAME` in a monitor; `window` in steps, values of a
    shingle; `kept` values; `every` steps a fit; `warmup` in steps; all others are the model's own.

    Reference: Y. Zhao, Z. Nasrullah and Z. Li, PyOD: A Python Toolbox for Scalable Outlier Detection, JMLR 2019.

    >>> d = Pyod(model="KNN", window=2, warmup=30)
    >>> for k in range(60):
    ...     v = [1.0, 2.0, 5.0][k % 3] + 0.01 * (k % 7) if k < 59 else 1.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3  # 1 is an ordinary value, but does not come after 2
    True
    """

    name: ClassVar[str] = "pyod"
    least_unit: ClassVar[float] = 1.0
    past: F8 = column(np.nan, shape=(1,))  # the values of the last fit
    held: I4 = column(0, "i4")  # how many they are
    refused: I4 = column(0, "i4")

    def __init__(
        self,
        *,
        model: str = "",
        window: float = 3,
        kept: float = 256,
        every: float = 64,
        warmup: float = 40,
        **own: float | str,
    ) -> None:
        self.window, self.every = int(window), int(every)
        if not (self.window >= 1 and self.every >= 1 and kept >= self.window + 8):
            raise ValueError(
                f"pyod: window and every must be at least 1 and kept at least the window and 8, "
                f"got {window:g}, {every:g} and {kept:g}"
            )
        super().__init__(kept=int(kept), warmup=warmup, least=self.window + 8, past=(int(kept),))
        self._class = _model_class(model)
        self._own = _own_parameters(self._class, own)
        self._make()  # refuses parameters here, not in the middle of the night
        self._fitted: dict[int, _Fitted] = {}
        self._answered: dict[int, _Answer] = {}

    def restore(self, state: State) -> None:
        """Take a snapshot back; models are fitted again when they are asked."""
        super().restore(state)
        self._fitted.clear()

    def forget(self, rows: I4) -> None:
        """Make these rows new."""
        super().forget(rows)
        for row in rows.tolist():
            self._fitted.pop(row, None)

    def adopt(self, params: Params) -> None:
        """Take columns by name; models are fitted again when they are asked."""
        super().adopt(params)
        self._fitted.clear()

    def _make(self) -> Any:
        try:
            return self._class(**self._own)
        except TypeError as refused:
            raise ValueError(f"pyod: {self._class.__name__} can't be made: {refused}") from refused

    def _fit(self, row: int) -> _Fitted:
        """The model of a row, fitted on what its state says it was fitted on."""
        known = self._fitted.get(row)
        if known is not None:
            return known
        past = self.past[row, : self.held[row]].copy()
        model, middle, unit = None, 0.0, 1.0
        if past.std() > 1e-6 * abs(past.mean()):
            try:
                with _seeded():
                    model = self._make().fit(shingles(past, self.window))
                scores = np.asarray(model.decision_scores_, "f8")
                middle = float(np.median(scores))
                unit = max((float(np.quantile(scores, UPPER)) - middle) / UPPER_SD, 1e-3 * float(np.ptp(scores)))
            except (ValueError, ArithmeticError, IndexError):
                model = None  # degenerate pasts are refused in many ways; counted, and the level speaks
        if not (np.isfinite(middle) and unit > 0.0):
            model = None
        fitted = self._fitted[row] = _Fitted(past, model, middle, unit)
        return fitted

    def _decide(self, row: int, values: F8) -> F8:
        """Score of a row's shingle with each of these newest values, (m,)."""
        fitted = self._fit(row)
        level = float(self.level[row])
        if fitted.model is None:
            far = np.abs(values - level)
            sd = max(float(fitted.past.std()), RIGID * abs(level))
            return far / sd if sd > 0.0 else (far > 0.0).astype("f8")
        before = self.ring[row, (self.seen[row] - self.window + 1 + np.arange(self.window - 1)) % self.kept]
        points = np.column_stack([np.tile(before, (len(values), 1)), values])
        with self.timer, _seeded():
            decided = np.asarray(fitted.model.decision_function(points), "f8")
        found: F8 = np.clip(np.nan_to_num((decided - fitted.middle) / fitted.unit), 0.0, 1e6)
        return found

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        for i, row in enumerate(rows.tolist()):
            if not self.held[row]:
                continue
            fitted, seen, asked = self._fit(row), int(self.seen[row]), float(value[i])
            known = self._answered.get(row)
            if known is None or known.fitted is not fitted or (known.seen, known.value) != (seen, asked):
                score = float(self._decide(row, value[i : i + 1])[0])
                known = self._answered[row] = _Answer(fitted, seen, asked, score)
            out[i] = known.score
        return out

    def _unit(self, rows: I4, gap: F8) -> F8:
        del gap
        return np.ones(rows.size)

    def _reach(self, rows: I4, radius: F8) -> tuple[F8, F8, F8]:
        """The first of the distances looked at, on either side, at which a value scores more; a step inside it."""
        centre = self._centre(rows)
        low, high = centre.copy(), centre.copy()
        for i, row in enumerate(rows.tolist()):
            if not self.held[row]:
                continue
            sd = float(np.nanstd(self.past[row])) or RIGID * abs(centre[i]) or 1.0
            away = np.append(0.0, REACH * sd)
            tried = np.concatenate([centre[i] - away, centre[i] + away])
            odd = (self._decide(row, tried) > radius[i]).reshape(2, -1)
            ends = [int(side.argmax()) if side.any() else len(side) for side in odd]
            low[i] = centre[i] - away[max(ends[0] - 1, 0)]
            high[i] = centre[i] + away[max(ends[1] - 1, 0)]
        return low, centre, high

    def _train(self, step: Step, weight: F8) -> None:
        del weight
        after = self.seen[step.rows] + 1 - self.warmup
        for row in step.rows[(after >= 0) & (after % self.every == 0)].tolist():
            seen = int(self.seen[row])
            held = min(seen, self.kept)
            self.past[row, :held] = self.ring[row, np.arange(seen - held, seen) % self.kept]
            self.held[row] = held
            self._fitted.pop(row, None)
            self.refused[row] += self._fit(row).model is None


def shingles(past: F8, window: int) -> F8:
    """Every run of `window` values, (n, window).

    >>> shingles(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(past, window))


@contextmanager
def _seeded() -> Iterator[None]:
    """Models that take no seed draw from numpy's global one: it is set, and put back after."""
    before = np.random.get_state()  # noqa: NPY002 - that is what they draw from
    np.random.seed(SEED)  # noqa: NPY002 - as above
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        np.random.set_state(before)  # noqa: NPY002 - as above


@cache
def models() -> Mapping[str, str]:
    """Module of every model of the installed PyOD by its name, without importing one.

    Raises
    ------
    ValueError
        PyOD is not installed.
    """
    if find_spec("pyod") is None:
        raise ValueError("pyod: PyOD is not installed; `pip install 'tocsin[pyod]'` brings it")
    found = {}
    package = importlib.import_module("pyod.models")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith(_NOT_MODELS):
            continue
        source = Path(package.__path__[0]) / f"{module.name}.py"
        if not source.is_file():
            continue
        for name in _CLASS.findall(source.read_text(encoding="utf-8")):
            if name.lower() == module.name.replace("_", ""):
                found[name] = module.name
    return found


def _model_class(name: str) -> type[Any]:
    known = models()
    if name not in known:
        alike = {each.lower(): each for each in known}
        told = f"did you mean {alike[name.lower()]!r}?" if name.lower() in alike else nearest(name, list(known))
        raise ValueError(f"pyod: PyOD has no model {name!r}: {told}")
    try:
        module = importlib.import_module(f"pyod.models.{known[name]}")
    except ImportError as missing:
        needed = missing.name or str(missing)
        raise ValueError(f"pyod: {name} needs {needed}, which is not installed; `pip install {needed}`") from missing
    found: type[Any] = getattr(module, name)
    return found


def _own_parameters(model: type[Any], given: Mapping[str, float | str]) -> dict[str, Any]:
    """The model's own parameters, of the type of their defaults, and the seed where it takes one."""
    takes = inspect.signature(model).parameters
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in takes:
            raise ValueError(f"pyod: {model.__name__} has no parameter {name!r}: {nearest(name, list(takes))}")
        usual = takes[name].default
        if isinstance(usual, bool):
            found[name] = bool(value)
        elif isinstance(value, float) and value.is_integer() and not isinstance(usual, float):
            found[name] = int(value)
        else:
            found[name] = value
    if "random_state" in takes:
        found.setdefault("random_state", SEED)
    return found
