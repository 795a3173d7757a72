"""`TrialWatch`: experiments of the configuration looked at every half minute, told as points that monitors judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import structlog

from tocsin.api.model_ports import ExperimentAsked, Json
from tocsin.app.handover import Point
from tocsin.model.clock import Clock
from tocsin.model.errors import BadInput
from tocsin.spec.ab import AbSpec
from tocsin.spec.config import Config

WORSE: Final = "tocsin.model.arm_worse"
SPLIT: Final = "tocsin.model.split_wrong"
_log = structlog.get_logger(__name__)


class Looked(Protocol):
    """What answers; see `tocsin.app.model_health.experiments.Experiments`."""

    def look(self, tenant: str, asked: ExperimentAsked) -> Json | None:
        """All that can be said by now."""


class TrialWatch:
    """Tells of each treatment whether it is surely worse, and of each experiment whether its split is wrong."""

    def __init__(
        self,
        experiments: Looked,
        tenants: Callable[[], Sequence[str]],
        config: Config,
        clock: Clock,
        send: Callable[[str, Sequence[Point]], None],
    ) -> None:
        self._experiments, self._tenants, self._clock, self._send = experiments, tenants, clock, send
        self._config = config
        self._said: dict[str, str] = {}

    def adopt(self, config: Config) -> None:
        """Put a configuration into force; thread-safe."""
        self._config = config

    def step(self) -> int:
        """Look at every experiment; how many had something to compare.

        Raises
        ------
        Overloaded, Unreachable
            The store or the hot process can't answer now.
        """
        found = 0
        for tenant in self._tenants() if self._config.ab else ():
            points: list[Point] = []
            for spec in self._config.ab:
                points += self._points(tenant, spec)
            self._send(tenant, points)
            found += len(points)
        return found

    def _points(self, tenant: str, spec: AbSpec) -> list[Point]:
        try:
            seen: Any = self._experiments.look(tenant, asked_of(spec))
        except BadInput as why:
            # before the second arm has come there is nothing wrong; what is said again is not said again
            if self._said.get(str(spec)) != str(why):
                self._said[str(spec)] = str(why)
                _log.warning("an experiment can't be compared", model=spec.model, metric=spec.metric, reason=str(why))
            return []
        if seen is None or not seen["treatments"]:
            return []
        labels = {"model": spec.model, "arm": spec.arm, "metric": spec.metric}
        now = self._clock.now()
        worse = [
            Point(WORSE, "1", {**labels, "treatment": each["treatment"]}, float(each["outcome"] == "worse"), now)
            for each in seen["treatments"]
        ]
        return [*worse, Point(SPLIT, "1", labels, float(seen["ratio"]["mismatch"]), now)]


def asked_of(spec: AbSpec) -> ExperimentAsked:
    """What the configuration asks, as the API does; the control leads the arms, as its share leads the ratio."""
    return ExperimentAsked(
        model=spec.model,
        arm=spec.arm,
        metric=spec.metric,
        arms=tuple(spec.arms),
        control=spec.control or next(iter(spec.arms), ""),
        shares=tuple(spec.ratio),
        bounds=(spec.bounds[0], spec.bounds[1]) if spec.bounds else None,
        level=spec.level,
        plan=spec.plan,
        lower_is_better=spec.lower_is_better,
    )
