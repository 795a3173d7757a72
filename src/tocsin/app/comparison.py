"""Two or more arms of an experiment in a file of records, looked at after every batch as live traffic would be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.gate.records import Records
from tocsin.assess.ab import Design, Experiment, Verdict
from tocsin.assess.intervals import number
from tocsin.model.arrays import F8, I4
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

MOST_ARMS: Final = 20
LOOKS: Final = 100
LEAST_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was told; what is empty or None is chosen, and said."""

    file: Path
    arm: str
    metric: str
    control: str = ""
    shares: tuple[int, ...] = ()
    bounds: tuple[float, float] | None = None
    batch: int | None = None
    level: float = 0.05
    plan: int = 20_000
    lower_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """The verdicts after the last row, and those after every batch."""

    design: Design
    experiment: Experiment
    verdicts: tuple[Verdict, ...]
    looks: tuple[tuple[int, tuple[Verdict, ...]], ...]
    notes: tuple[str, ...]

    @property
    def negative(self) -> bool:
        """Whether a treatment is worse, or the split is wrong."""
        return self.experiment.mismatched or any(each.outcome == "worse" for each in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """The public JSON; null for what is not known or has no bound."""
        design, run = self.design, self.experiment
        return {
            "method": design.method,
            "level": design.level,
            "control": design.arms[0],
            "arms": [
                {"arm": arm, "share": share, "rows": rows, "missing": missing}
                for arm, share, rows, missing in zip(design.arms, design.shares, run.rows, run.missing, strict=True)
            ],
            "ratio": {"p_value": run.ratio_p_value, "mismatch": run.mismatched, "level": design.ratio_level},
            "treatments": [{**verdict_json(each), "reason": reason(each, design)} for each in self.verdicts],
            "looks": [
                {"rows": rows, "treatments": [verdict_json(each) for each in found]} for rows, found in self.looks
            ],
            "notes": list(self.notes),
        }


def compare(asked: Asked) -> Compared:
    """Read a file and look after every batch.

    Raises
    ------
    BadInput
        The file can't be read, a column is missing, or there are not at least two arms.
    """
    records = Records.read(asked.file)
    try:
        labels, value = records.labels(asked.arm), _values(records, asked.metric)
    except KeyError as error:
        raise BadInput(str(error.args[0])) from None
    arms, arm, notes = _arms(labels, asked)
    design = _design(arms, value, asked)
    kept = arm >= 0
    arm, value = arm[kept], value[kept]
    run, looks = Experiment(design), []
    batch = asked.batch or max(LEAST_BATCH, -(-arm.size // LOOKS))
    for start in range(0, arm.size, batch):
        run.add(arm[start : start + batch], value[start : start + batch])
        looks.append((min(start + batch, arm.size), run.look()))
    if run.outside:
        notes.append(f"{run.outside:,} values lie outside the bounds, and are held to them")
    for name, missing in zip(arms, run.missing, strict=True):
        if missing:
            notes.append(f"{missing:,} rows of {name} have no {asked.metric}")
    return Compared(design, run, looks[-1][1], tuple(looks), tuple(notes))


def _values(records: Records, metric: str) -> F8:
    """The metric, (n,); yes and no count as 1 and 0."""
    cells = pc.utf8_lower(records.labels(metric))
    known = cells.drop_null()
    if len(known) and pc.all(pc.is_in(known, pa.array(["true", "false", "yes", "no"], pa.large_string()))).as_py():
        yes = pc.is_in(cells, pa.array(["true", "yes"], pa.large_string())).to_numpy(zero_copy_only=False)
        return np.where(pc.is_valid(cells).to_numpy(zero_copy_only=False), yes.astype("f8"), np.nan)
    return records.numbers(metric)


def _arms(labels: Any, asked: Asked) -> tuple[tuple[str, ...], I4, list[str]]:
    """Names of the arms, the control first, and the number of each row's, -1 for none."""
    notes = []
    names = sorted(pc.unique(labels.drop_null()).to_pylist())
    if not 2 <= len(names) <= MOST_ARMS:
        shown = ", ".join(one_line(name)[:40] for name in names[:5])
        raise BadInput(
            f"{asked.file}: {asked.arm!r} has {len(names)} different values ({shown}); an experiment has 2 to {MOST_ARMS} arms"
        )
    control = asked.control or next((name for name in names if name.lower() == "control"), names[0])
    if control not in names:
        raise BadInput(f"{asked.file}: no row has the arm {control!r}; there are {', '.join(names)}")
    if not asked.control:
        notes.append(f"{control} is taken as the control; name another with --control")
    arms = (control, *(name for name in names if name != control))
    arm = pc.fill_null(pc.index_in(labels, pa.array(arms, pa.large_string())), -1).to_numpy(zero_copy_only=False)
    without = int((arm < 0).sum())
    if without:
        notes.append(f"{without:,} rows without an arm take no part")
    return arms, arm.astype("i4"), notes


def _design(arms: tuple[str, ...], value: F8, asked: Asked) -> Design:
    shares = asked.shares or (1,) * len(arms)
    if len(shares) != len(arms):
        raise BadInput(f"--ratio has {len(shares)} parts for {len(arms)} arms: {', '.join(arms)}")
    least = math.gcd(*shares)
    known = value[np.isfinite(value)]
    bounds = asked.bounds
    if bounds is None and bool(np.isin(known, (0.0, 1.0)).all()):
        bounds = (0.0, 1.0)
    return Design(
        arms,
        tuple(share // least for share in shares),
        "clt" if bounds is None else "exact",
        bounds,
        asked.level,
        asked.plan,
        lower_is_better=asked.lower_is_better,
    )


def reason(found: Verdict, design: Design) -> str:
    """A verdict in words."""
    if found.outcome == "ratio_mismatch":
        return "rows do not come in the planned shares, so no difference can be trusted; mend the split first"
    by = f"{_signed(found.difference)} ({_signed(found.lower)} to {_signed(found.upper)})"
    if not math.isnan(found.lift):
        by += f", a lift of {_percent(found.lift)} ({_percent(found.lift_lower)} to {_percent(found.lift_upper)})"
    if found.outcome == "undecided":
        return f"no difference is shown: {by}" if not math.isnan(found.difference) else "an arm has no rows yet"
    return f"{found.treatment} is {found.outcome} than {design.arms[0]}: {by}; certain since {found.decided_at:,} rows"


def _signed(value: float) -> str:
    return f"{value:+.4g}" if math.isfinite(value) else "open"


def _percent(value: float) -> str:
    return f"{100 * value:+.1f} %" if math.isfinite(value) else "open"


def verdict_json(found: Verdict) -> dict[str, Any]:
    """The public JSON of a verdict; null for what is not known or has no bound."""
    names = ("difference", "lower", "upper", "lift", "lift_lower", "lift_upper", "p_value")
    return {
        "treatment": found.treatment, "outcome": found.outcome, "n": list(found.n),
        "means": [number(mean) for mean in found.means], **{name: number(getattr(found, name)) for name in names},
        "decided_at": found.decided_at, "waiting": found.waiting,
    }  # fmt: skip
