"""`EntityScorer`: all signals of one entity judged together, row by row, by an ensemble that suits its data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, TypeAlias

import numpy as np

from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.entity_level import EntityLevel
from tocsin.calibrate.hysteresis import Hysteresis, Verdict
from tocsin.calibrate.tail import independent_ratio
from tocsin.detect.multi_autoregression import Autoregression
from tocsin.detect.multi_kmeans import KMeans
from tocsin.detect.multi_member import Look, Member
from tocsin.detect.multi_memory import LENGTH, Kept, ShingleMemory
from tocsin.detect.multi_model import ModelMember
from tocsin.detect.multi_neighbours import NearRows, Neighbours
from tocsin.detect.multi_relation import Relation
from tocsin.detect.multi_scale import RobustScale
from tocsin.detect.multi_spread import Spread
from tocsin.detect.multi_subspace import Subspace
from tocsin.detect.onnx_model import OnnxModel
from tocsin.engine.entity_character import Character, affordable, character_of, suited
from tocsin.model.arrays import F8, I8
from tocsin.model.detection import State
from tocsin.model.errors import Corrupt

MEMBERS: Final[tuple[type[Member], ...]] = (
    Spread, NearRows, Neighbours, KMeans, Subspace, Autoregression, Relation,
)  # fmt: skip
SPECIALIST_WEIGHT: Final = 0.5
"""Weight of a member that sees one kind of fault, beside 1 of the others."""
SMOOTHING: Final = 0.5
"""Weight of the newest row in the score: one odd row is half an anomaly."""
UNIT: Final = 2.0
"""Evidence of 0.5 is usual; calibrated scores are read in units of what is usual."""
WARMUP: Final = 60
"""Rows before the first fit."""
REFIT_MOST: Final = 1000
EPISODE_MOST: Final = 30.0
"""Steps that a chance episode lasts at most, however dependent its scores are."""
SECOND: Final = 1_000_000_000
WEEK_S: Final = 604_800.0


class MemberVerdict(NamedTuple):
    """What one member said: raw score and its log10 p against the member's own past; NaN = it had nothing to say."""

    score: float
    log10_p: float
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class EntityVerdict:
    """What a row told.

    Attributes
    ----------
    score : evidence >= 0, about 0.5 on usual rows; NaN until warm and for a row without any known value
    log10_p : against the entity's own past scores; beyond 1/`n_eff` an extrapolated rank; NaN until warm
    n_eff : effective number of scores behind it
    level : log10 p that an alarm needs now, so that alarms stay within the budget
    needed : score that this level stands for; NaN until warm
    alarm : whether an alarm is held
    contributions : (signals,) >= 0, what each signal gave to the score; they sum to it
    members : by name, those that ran
    character : what the choice of members was made from
    """

    score: float
    log10_p: float
    n_eff: float
    level: float
    needed: float
    alarm: bool
    contributions: F8
    members: dict[str, MemberVerdict]
    character: Character


class EntityScorer:
    """Fold rows of one entity; strictly causal, no clock, bounded memory, the same bits for the same rows.

    Each member scores in robust deviations of the entity's own past; the weighted mean of the members that suit the
    data, lightly smoothed, is the score. It is calibrated to a p-value as a whole, because members depend on each
    other; members' own p-values are given beside it. (Fusing p-values in place of scores was measured and loses: each
    calibration adapts to trouble that lasts.) The alarm level is the one that the entity's own past reached no more
    often than `budget_per_week`; an alarm needs `hold_steps` rows in a row and clears after `clear_steps` calm ones.

    >>> scorer = EntityScorer(3, 60.0)
    >>> for t in range(400):
    ...     load = math.sin(t / 9) + 0.1 * math.sin(t * 7.0)
    ...     verdict = scorer.fold(t * 60 * SECOND, np.array([load, 2 * load + 0.05 * math.sin(t * 3.0), 5.0]))
    >>> verdict.alarm, verdict.log10_p > -2
    (False, True)
    >>> for t in range(400, 404):
    ...     verdict = scorer.fold(t * 60 * SECOND, np.array([9.0, -9.0, 5.0]))
    >>> verdict.alarm, int(np.argmin(verdict.contributions))
    (True, 2)
    """

    kind: ClassVar[str] = "entity"

    def __init__(
        self,
        signals: int,
        step_s: float,
        *,
        budget_per_week: float = 7.0,
        hold_steps: int = 3,
        clear_steps: int = 15,
        members: tuple[str, ...] | None = None,
        model: OnnxModel | None = None,
    ) -> None:
        if signals < 1 or not step_s > 0:
            raise ValueError(f"an entity needs at least one signal and a positive step, got {signals} and {step_s}")
        known = [member.name for member in MEMBERS]
        if members is not None and not set(members) <= set(known):
            raise ValueError(f"members are some of {', '.join(known)}, got {', '.join(members)}")
        self.signals, self.step_ns = signals, round(step_s * SECOND)
        self.budget_per_week, self.hold_steps, self.clear_steps = budget_per_week, hold_steps, clear_steps
        self._fixed = members
        self._memory, self._scale = ShingleMemory(signals), RobustScale(signals)
        wanted = members or [name for name in known if affordable(name, signals)]
        self._members: list[Member] = [member(signals) for member in MEMBERS if member.name in wanted]
        if model is not None:  # trained for these very signals: the others have nothing to add
            self._fixed, self._members = (ModelMember.name,), [ModelMember(model)]
        self._calibrator, self._hysteresis = Calibrator(), Hysteresis()
        self._level = EntityLevel(steps_per_week=WEEK_S / step_s, gap=clear_steps)
        self._before: F8 = np.full(signals, np.nan)
        self._smooth: F8 = np.zeros(signals)
        self._marks: I8 = np.array([0, WARMUP, -1])  # rows seen, row of the next fit, time of the newest row
        self._smoothed: F8 = np.full(2, np.nan)  # the smoothed score, the level in force
        self._character: F8 = np.full(len(Character._fields), np.nan)
        self._rows = np.arange(1 + len(self._members), dtype=np.int32)

    def fold(self, time_ns: int, values: F8) -> EntityVerdict:
        """Judge a row (signals,), NaN where nothing was seen, then learn it.

        Raises
        ------
        ValueError
            The row has another number of signals, or is not later than the one before.
        """
        row = np.array(values, np.float64)
        if row.shape != (self.signals,) or time_ns <= self._marks[2]:
            raise ValueError(
                f"a row of {self.signals} values later than {self._marks[2]} ns is needed, got {row.shape} at {time_ns}"
            )
        row[~np.isfinite(row)] = np.nan
        self._skip(time_ns)
        self._memory.push(row)
        z = self._scale.deviations(row)
        size = self._memory.size
        look = Look(
            self._memory.latest, z, self._before, self._scale.reach,
            self._memory.past[:size], self._memory.when[:size], self._memory.seen,
        )  # fmt: skip
        verdict = self._judge(time_ns, look)
        for member in self._members:
            member.learn(look)
        self._scale.learn(row)
        self._memory.learn()
        self._before = z
        self._marks[0] += 1
        self._marks[2] = time_ns
        if self._marks[0] >= self._marks[1]:
            self._refit()
        return verdict

    def _skip(self, time_ns: int) -> None:
        """Rows that never came are unknown rows of the shingle."""
        if self._marks[2] < 0:
            return
        missed = min((time_ns - int(self._marks[2])) // self.step_ns - 1, LENGTH)
        for _ in range(missed):
            self._memory.push(np.full(self.signals, np.nan))
        if missed > 0:
            self._before = np.full(self.signals, np.nan)

    def _refit(self) -> None:
        self._scale.refit(self._memory)
        for member in self._members:
            member.refit(self._memory, self._scale)
        self._character[:] = character_of(self._memory, self._scale)
        seen = int(self._marks[0])
        self._marks[1] = seen + min(max(seen // 4, 30), REFIT_MOST)

    def _judge(self, time_ns: int, look: Look) -> EntityVerdict:
        character = Character(*self._character.tolist())
        scores = np.full(1 + len(self._members), np.nan)
        weights = np.zeros(len(self._members))
        given = np.zeros(self.signals)
        for k, member in enumerate(self._members):
            if self._fixed is None and not suited(member.name, character):
                continue
            scores[1 + k], parts = member.score(look)
            if not math.isnan(scores[1 + k]):
                weights[k] = SPECIALIST_WEIGHT if member.specialist else 1.0
                whole = parts.sum()
                if whole > 0.0:
                    given += (weights[k] * scores[1 + k] / whole) * parts
        evidence = math.nan
        seen = not np.isnan(look.latest[0]).all()
        if seen and weights.sum() > 0.0 and self._marks[0] > WARMUP:
            evidence = self._fuse(float(np.nansum(scores[1:] * weights) / weights.sum()), given / weights.sum())
        scores[0] = UNIT * evidence
        return self._verdict(time_ns, evidence, scores, weights, character)

    def _fuse(self, fresh: float, given: F8) -> float:
        """Take fresh evidence and its parts into the smoothed ones."""
        first = math.isnan(self._smoothed[0])
        rate = 1.0 if first else SMOOTHING
        self._smooth += rate * (given - self._smooth)
        self._smoothed[0] = fresh if first else self._smoothed[0] + rate * (fresh - self._smoothed[0])
        return float(self._smoothed[0])

    def _verdict(self, time_ns: int, evidence: float, scores: F8, weights: F8, character: Character) -> EntityVerdict:
        log10_p, n_eff = self._calibrator.log10_p(self._rows, scores)
        surprise = -float(log10_p[0])
        if self._marks[0] % 16 == 0 or math.isnan(self._smoothed[1]):
            steps = 1.0
            if self._calibrator.size:
                steps = min(1.0 / independent_ratio(self._calibrator.lag[0]), EPISODE_MOST)
            self._smoothed[1] = self._level.level(self.budget_per_week, steps)
        level = float(self._smoothed[1])
        self._hysteresis.step(
            self._rows[:1], np.array([time_ns]), np.array([surprise >= level]), np.array([surprise]),
            for_ns=(self.hold_steps - 1) * self.step_ns, clear_ns=self.clear_steps * self.step_ns,
        )  # fmt: skip
        alarm = bool(self._hysteresis.verdicts(self._rows[:1])[0] == Verdict.OPEN)
        self._calibrator.learn(self._rows, scores)
        self._level.learn(surprise)
        ran = {
            member.name: MemberVerdict(float(scores[1 + k]), float(log10_p[1 + k]), float(weights[k]))
            for k, member in enumerate(self._members)
            if weights[k] > 0.0
        }
        needed = float(self._calibrator.score_at(self._rows[:1], np.array([-level]))[0]) / UNIT
        told = self._smooth.copy() if not math.isnan(evidence) else np.zeros(self.signals)
        return EntityVerdict(evidence, -surprise, float(n_eff[0]), -level, needed, alarm, told, ran, character)

    def snapshot(self) -> State:
        """Copy of all state, arrays by dotted name."""
        own = {name: getattr(self, f"_{name}").copy() for name in _OWN}
        found = {f"own.{name}": kept for name, kept in own.items()}
        for name, part in self._parts().items():
            found |= {f"{name}.{key}": kept for key, kept in part.snapshot().items()}
        return found

    def restore(self, state: State) -> None:
        """Take a snapshot of a scorer with the same signals and members back.

        Raises
        ------
        Corrupt
            The snapshot is of another layout.
        """
        split: dict[str, State] = {name: {} for name in ("own", *self._parts())}
        for key, kept in state.items():
            part, _, name = key.partition(".")
            if part not in split:
                raise Corrupt(f"entity scorer: the snapshot has {part!r}, this one has {', '.join(split)}")
            split[part][name] = kept
        for name, part_of in self._parts().items():
            part_of.restore(split[name])
        own = split["own"]
        if own.keys() != set(_OWN):
            raise Corrupt(
                f"entity scorer: the snapshot's own state is {sorted(own)}, this version wants {sorted(_OWN)}"
            )
        for name in _OWN:
            setattr(self, f"_{name}", own[name].copy())

    def _parts(self) -> dict[str, _Part]:
        found: dict[str, _Part] = {
            "memory": self._memory, "scale": self._scale, "calibrator": self._calibrator,
            "hysteresis": self._hysteresis, "level": self._level,
        }  # fmt: skip
        for member in self._members:
            found[member.name] = member
        return found


_Part: TypeAlias = Kept | Calibrator | Hysteresis | EntityLevel
_OWN: Final = ("before", "smooth", "marks", "smoothed", "character")
"""Arrays of the scorer itself that a snapshot holds."""


def compile_members() -> None:
    """Compile every kernel of the ensemble by judging made-up rows, so that no entity waits for it."""
    scorer = EntityScorer(4, 1.0)
    for t in range(WARMUP + 60):
        load = math.sin(t / 7.0)
        scorer.fold(t * SECOND, np.array([load, 2.0 * load + math.sin(3.0 * t), math.cos(t / 5.0), math.nan]))
