"""Live experiments: arms of a model compared as their outcomes come, each row read once, at most one at a time."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from tocsin.api.model_ports import ExperimentAsked as Asked
from tocsin.app.comparison import reason, verdict_json
from tocsin.app.model_health.metrics import Metric
from tocsin.assess.ab import Design, Experiment, Verdict
from tocsin.assess.intervals import number
from tocsin.model.arrays import F8, I4
from tocsin.model.errors import BadInput, Overloaded
from tocsin.model.times import time_to_json
from tocsin.spec.problem import nearest
from tocsin.store.experiment_rows import MOST_ARMS, Row, Trial, column_of

Json: TypeAlias = dict[str, Any]
STRETCH_ROWS: Final = 50_000
MOST_STRETCHES: Final = 10
"""What one look reads at most; what is left is read by the next, and the answer says so."""
BLOCK: Final = 20
"""Known rows between two checks: always the same ones, so that a start anew decides as before."""
LEAST_ROWS: Final = 200
"""Known rows that tell what values a metric has, 0 and 1 or any number."""
MOST_KEPT: Final = 32
MOST_LOOKS: Final = 200
WAIT_S: Final = 30.0
_FAR: Final = 1 << 62


class Source(Protocol):
    """Where trials come from; see `tocsin.store.experiment_rows.ExperimentRows`."""

    def arms(self, trial: Trial) -> list[Row]:
        """Arms with `arm, rows, first_time, last_time`."""

    def stretch(self, tenant: str, after: int, most: int) -> tuple[int, bool]:
        """Stamp up to which about `most` rows were stored, and whether there are more."""

    def counts(self, trial: Trial, after: int, upto: int) -> Mapping[str, int]:
        """Predictions of each arm in a stretch."""

    def said(self, trial: Trial, part: str, key: str, after: int, upto: int) -> pa.Table:
        """Columns `arm, prediction, raw` of the predictions of a stretch."""

    def came(self, trial: Trial, column: str, key: str, after: int, upto: int) -> pa.Table:
        """Columns `arm, prediction, raw` of outcomes that became known in a stretch."""


@dataclass(slots=True)
class Running:
    """One experiment as far as it was read: up to stamp `at`; rows that wait for a whole block, or for the method."""

    trial: Trial
    metric: Metric
    arms: tuple[str, ...]
    at: int = 0
    experiment: Experiment | None = None
    counted: dict[str, int] = field(default_factory=dict)
    waiting_arm: I4 = field(default_factory=lambda: np.empty(0, "i4"))
    waiting: F8 = field(default_factory=lambda: np.empty(0))
    looks: list[tuple[int, tuple[Verdict, ...]]] = field(default_factory=list)
    unread: int = 0


class Experiments:
    """Experiments of all tenants, the ones asked for last kept; an answer costs what came since the one before."""

    def __init__(self, source: Source, *, stretch_rows: int = STRETCH_ROWS) -> None:
        self._source, self._stretch_rows = source, stretch_rows
        self._turn = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], Running] = OrderedDict()
        self._arms: OrderedDict[Trial, list[Row]] = OrderedDict()

    def look(self, tenant: str, asked: Asked) -> Json | None:
        """All that can be said by now; None: nobody knows the model.

        Raises
        ------
        BadInput
            There are no two arms, or something that was named is not there.
        Overloaded
            Others are being computed; try again.
        """
        if not self._turn.acquire(timeout=WAIT_S):
            raise Overloaded("other experiments are still being computed; try again in a moment")
        try:
            return self._looked(tenant, asked)
        finally:
            self._turn.release()

    def _looked(self, tenant: str, asked: Asked) -> Json | None:
        metric = Metric.parse(asked.metric)
        whole = Trial(tenant, asked.model, asked.arm, asked.start or 0, _FAR if asked.end is None else asked.end)
        # to ask for the arms is to read all predictions: it is done again only when one shows up that was not known
        rows = self._arms.get(whole) or self._source.arms(whole)
        if not rows and not self._source.arms(Trial(tenant, asked.model, "version", 0, _FAR)):
            return None
        arms, notes = chosen_arms(rows, asked)
        self._arms[whole] = rows
        start = whole.start if asked.start is not None else _together(rows, arms)
        key = (tenant, asked, arms, start)
        running = self._kept.pop(key, None) or Running(
            Trial(tenant, asked.model, asked.arm, start, whole.end), metric, arms
        )
        self._kept[key] = running
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        while len(self._arms) > MOST_KEPT:
            self._arms.popitem(last=False)
        behind = self._read(running, asked)
        if not running.counted.keys() <= {"", *(str(row["arm"]) for row in rows)}:
            self._arms.pop(whole, None)
        return told(running, asked, rows, notes, behind=behind)

    def _read(self, running: Running, asked: Asked) -> bool:
        """Read what came since the last look; whether there is more."""
        more = True
        for _ in range(MOST_STRETCHES):
            upto, more = self._source.stretch(running.trial.tenant, running.at, self._stretch_rows)
            if upto == running.at:
                return False
            self._take(running, asked, upto)
            running.at = upto
            if not more:
                break
        return more

    def _take(self, running: Running, asked: Asked, upto: int) -> None:
        trial, metric = running.trial, running.metric
        for name, count in self._source.counts(trial, running.at, upto).items():
            running.counted[name] = running.counted.get(name, 0) + count
        read = self._source.came if metric.column else self._source.said
        table = read(trial, metric.column or metric.part, metric.key, running.at, upto)
        value = metric.values(column_of(table, "prediction"), column_of(table, "raw"))
        place = {name: k for k, name in enumerate(running.arms)}
        arm: I4 = np.array([place.get(name, -1) for name in column_of(table, "arm")], "i4")
        kept = (arm >= 0) & np.isfinite(value)
        running.unread += int(np.count_nonzero((arm >= 0) & ~np.isfinite(value)))
        running.waiting_arm = np.concatenate([running.waiting_arm, arm[kept]]).astype("i4")
        running.waiting = np.concatenate([running.waiting, value[kept]])
        _advance(running, asked)


def _advance(running: Running, asked: Asked) -> None:
    """Give whole blocks to the experiment, and check after each."""
    if running.experiment is None:
        if running.waiting.size < LEAST_ROWS:
            return
        running.experiment = Experiment(_design(running, asked))
    run = running.experiment
    _count(running, run)
    blocks = running.waiting.size // BLOCK
    for at in range(0, blocks * BLOCK, BLOCK):
        run.learn(running.waiting_arm[at : at + BLOCK], running.waiting[at : at + BLOCK])
        run.check()
    running.waiting_arm = running.waiting_arm[blocks * BLOCK :]
    running.waiting = running.waiting[blocks * BLOCK :]
    if blocks:
        running.looks.append((sum(run.rows), run.look()))
        running.looks = running.looks if len(running.looks) <= MOST_LOOKS else running.looks[1::2]


def _count(running: Running, run: Experiment) -> None:
    """Rows that came, known or not: an arm that loses its metric is seen as well."""
    for number_of, name in enumerate(running.arms):
        came = running.counted.get(name, 0) - run.rows[number_of]
        run.rows[number_of] += came
        run.missing[number_of] += came


def _design(running: Running, asked: Asked) -> Design:
    """Fixed by the first rows that are known: what a later value would change, does not."""
    first = running.waiting[:LEAST_ROWS]
    bounds = asked.bounds or running.metric.bounds
    if bounds is None and bool(np.isin(first, (0.0, 1.0)).all()):
        bounds = (0.0, 1.0)
    shares = asked.shares or (1,) * len(running.arms)
    least = math.gcd(*shares)
    return Design(
        running.arms,
        tuple(share // least for share in shares),
        "clt" if bounds is None else "exact",
        bounds,
        asked.level,
        asked.plan,
        lower_is_better=asked.lower_is_better or running.metric.lower_is_better,
    )


def chosen_arms(rows: Sequence[Row], asked: Asked) -> tuple[tuple[str, ...], list[str]]:
    """The arms, the control first: as asked, else all there are, the oldest the control; and what to say of that.

    Raises
    ------
    BadInput
        There are no two, too many, or one that is asked for is not there.
    """
    names = [str(row["arm"]) for row in rows]
    for name in (*asked.arms, *((asked.control,) if asked.control else ())):
        if name not in names:
            raise BadInput(f"no prediction has {asked.arm[:80]}={name[:80]!r}{nearest(name, names) if names else ''}")
    arms = list(asked.arms or names)
    if not 2 <= len(arms) <= MOST_ARMS:
        shown = ", ".join(name[:40] for name in arms[:5]) or "none"
        raise BadInput(f"{asked.arm[:80]!r} has {len(arms)} values ({shown}); an experiment has 2 to {MOST_ARMS} arms")
    control = asked.control or next((name for name in arms if name.lower() == "control"), arms[0])
    if control not in arms:
        arms.append(control)
    if asked.shares and len(asked.shares) != len(arms):
        raise BadInput(f"the ratio has {len(asked.shares)} parts for {len(arms)} arms: {', '.join(arms)}"[:300])
    notes = [] if asked.control else [f"{control[:80]} is taken as the control: it is the oldest arm"]
    return (control, *(name for name in arms if name != control)), notes


def _together(rows: Sequence[Row], arms: Sequence[str]) -> int:
    """When the last of the arms began: from then on all of them ran."""
    return max(int(row["first_time"]) for row in rows if row["arm"] in arms)


def told(running: Running, asked: Asked, rows: Sequence[Row], notes: Sequence[str], *, behind: bool) -> Json:
    """The public JSON of an experiment; null for what is not known or has no bound."""
    run = running.experiment
    base: Json = {
        "model": asked.model,
        "arm": asked.arm,
        "metric": asked.metric,
        "from": time_to_json(running.trial.start),
        "control": running.arms[0],
        "behind": behind,
        "notes": [*notes, *_cautions(running, asked, rows, behind=behind)],
        "known_rows": running.waiting.size if run is None else sum(moments_n(run)),
    }
    if run is None:
        say = f"{running.waiting.size} predictions have the metric; a comparison begins at {LEAST_ROWS}."
        arms = [{"arm": name, "rows": running.counted.get(name, 0)} for name in running.arms]
        return {**base, "arms": arms, "method": None, "treatments": [], "looks": [], "ratio": None, "say": say}
    verdicts = run.look()
    design = run.design
    words = [reason(each, design) for each in verdicts]
    return {
        **base,
        "method": design.method,
        "level": design.level,
        "bounds": None if design.bounds is None else list(design.bounds),
        "arms": [
            {
                "arm": name, "share": share, "rows": count, "missing": missing,
                "mean": number(verdicts[max(k - 1, 0)].means[min(k, 1)]),
            }
            for k, (name, share, count, missing) in enumerate(
                zip(design.arms, design.shares, run.rows, run.missing, strict=True)
            )
        ],
        "ratio": {"p_value": run.ratio_p_value, "mismatch": run.mismatched, "level": design.ratio_level},
        "treatments": [{**verdict_json(each), "reason": said} for each, said in zip(verdicts, words, strict=True)],
        "looks": [
            {"rows": count, "treatments": [verdict_json(each) for each in found]} for count, found in running.looks
        ],
        "say": "; ".join(dict.fromkeys(words)) + ".",
    }  # fmt: skip


def moments_n(run: Experiment) -> list[int]:
    """Known rows of each arm."""
    return [rows - missing for rows, missing in zip(run.rows, run.missing, strict=True)]


def _cautions(running: Running, asked: Asked, rows: Sequence[Row], *, behind: bool) -> list[str]:
    said = []
    if behind:
        said.append("Not all stored records are read yet: what is said holds, and the next look knows more.")
    if not asked.shares:
        said.append("The split is taken to be even; say how traffic is split to have it tested against that.")
    spans = [(row["first_time"], row["last_time"]) for row in rows if row["arm"] in running.arms]
    if max(span[0] for span in spans) >= min(span[1] for span in spans):
        said.append("The arms followed one another: nothing is compared, for they never ran together.")
    if running.unread:
        said.append(f"{running.unread:,} values are no numbers, and take no part.")
    return said
