"""Incidents weighed by what they took: counted from the store as they open and while they last, beside the fold."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from tocsin.incident.severity import weighed
from tocsin.incident.toll_scope import scope_of
from tocsin.model.errors import TocsinError
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.toll import Toll
from tocsin.model.transition import Transition, TransitionAction
from tocsin.selfmon.metrics import counter
from tocsin.spec.loss import LossSpec
from tocsin.store.toll_rows import TollAsked

FIRST_WAIT_S: Final = 0.5
"""How long the news of an incident waits for its first count; it goes out without one then, and again if that matters."""
_SECOND: Final = 10**9
_SOON_NS: Final = 15 * _SECOND
_OFTEN_NS: Final = 60 * _SECOND
_SELDOM_NS: Final = 600 * _SECOND
_HOUR_NS: Final = 3600 * _SECOND
_LONGEST_NS: Final = 6 * _HOUR_NS
_LEAST_NS: Final = 60 * _SECOND
"""Of what has just begun the minute before is counted: it may have begun a little earlier than it was found."""
_LEAST_BEFORE_NS: Final = 900 * _SECOND
MOST: Final = 1000
"""Incidents that are counted; of more the newest."""

_COUNTED = counter("tocsin_incident_tolls_total", "Counts of what incidents took, by outcome.", ["outcome"])
_log = structlog.get_logger(__name__)


class Tolls(Protocol):
    """Who counts."""

    def toll(self, tenant: str, asked: TollAsked) -> Toll | None:
        """Counts of what bears these names; None: nothing is sent of it."""


@dataclass(slots=True)
class _Case:
    """An incident as the reducer last said it, and what was counted of it."""

    said: Transition
    shown: Incident
    toll: Toll | None = None
    missing: str = ""
    asked_at: int = 0
    times: int = 0
    pending: Future[Toll | None] | None = None


class Weighing:
    """Puts the counted impact into incidents on their way from the reducer to the policy.

    Counting is done by `executor` (a thread of its own): a slow store delays no page by more than `FIRST_WAIT_S`.
    """

    def __init__(
        self,
        tolls: Tolls,
        spec: LossSpec,
        open_now: Sequence[Incident] = (),
        executor: Executor | None = None,
    ) -> None:
        self._tolls = tolls
        self._spec = spec
        self._executor = executor or ThreadPoolExecutor(1, "toll")
        self._cases = {
            (each.tenant, each.id): _Case(Transition("refresh", each, each.updated_at, 0), each) for each in open_now
        }

    def adopt(self, spec: LossSpec) -> None:
        """Reckon by another configuration from now on."""
        self._spec = spec

    def fold(self, transitions: Sequence[Transition], now: int, *, tick: bool) -> list[Transition]:
        """The same steps with counted impacts, and at ticks those of open incidents whose counts changed."""
        said = [self._weigh(each, now) for each in transitions]
        if tick:
            fresh = {(each.incident.tenant, each.incident.id) for each in transitions}
            said += [more for key in sorted(self._cases) if key not in fresh and (more := self._again(key, now))]
        return said

    def close(self) -> None:
        """Count no more."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _weigh(self, step: Transition, now: int) -> Transition:
        key = (step.incident.tenant, step.incident.id)
        case = self._cases.get(key)
        if case is None:
            case = self._cases[key] = _Case(step, step.incident)
            while len(self._cases) > MOST:
                del self._cases[next(iter(self._cases))]
            self._ask(case, now)
            self._take(case, FIRST_WAIT_S)
        else:
            case.said = step
            if step.incident.state is not IncidentState.RESOLVED:
                self._ask_if_due(case, now)
            self._take(case)
        shown = weighed(step.incident, self._spec, case.toll, case.missing)
        worse = shown.severity != case.shown.severity
        case.shown = shown
        if step.incident.state is IncidentState.RESOLVED:
            del self._cases[key]
        return replace(step, incident=shown, action="update" if step.action == "refresh" and worse else step.action)

    def _again(self, key: tuple[str, str], now: int) -> Transition | None:
        """News of an open incident whose count came, and matters."""
        case = self._cases[key]
        self._ask_if_due(case, now)
        if not self._take(case):
            return None
        shown = weighed(case.said.incident, self._spec, case.toll, case.missing)
        before, case.shown = case.shown, shown
        if shown == before:
            return None
        action: TransitionAction = "update" if shown.severity != before.severity else "refresh"
        return replace(case.said, action=action, incident=shown, at=now, by="")

    def _ask_if_due(self, case: _Case, now: int) -> None:
        if case.pending is None and now - case.asked_at >= _pause_ns(case, now):
            self._ask(case, now)

    def _ask(self, case: _Case, now: int) -> None:
        incident = case.said.incident
        names, limits = scope_of(incident, self._spec.objectives)
        start = min((each.start for each in incident.findings), default=incident.opened_at)
        start = min(max(start, now - _LONGEST_NS), now - _LEAST_NS)
        before = start - min(max(now - start, _LEAST_BEFORE_NS), _HOUR_NS)
        asked = TollAsked(names, start, now, before, limits)
        case.asked_at, case.times = now, case.times + 1
        case.pending = self._executor.submit(self._tolls.toll, incident.tenant, asked)

    def _take(self, case: _Case, wait_s: float = 0.0) -> bool:
        """Take in what was counted, if it is there by then; whether there is anything new."""
        if case.pending is None:
            return False
        try:
            toll = case.pending.result(wait_s)
        except NotYet:
            case.missing = case.missing or "not counted yet"
            return False
        except TocsinError as error:
            case.pending = None
            _COUNTED.labels("failed").inc()
            _log.warning(
                "what an incident took could not be counted", incident=case.said.incident.id, error=str(error)[:300]
            )
            case.missing = "the last count failed" if case.toll else "not known: the store did not answer"
            return True
        case.pending = None
        _COUNTED.labels("counted" if toll else "unknown").inc()
        if toll is None and case.toll is not None:
            return False  # the spans of before may be gone by now: what was counted stands
        case.toll = toll
        case.missing = "" if toll else "not known: no request, call or record of it was sent"
        return True


def _pause_ns(case: _Case, now: int) -> int:
    if case.times <= 1:
        return _SOON_NS
    return _OFTEN_NS if now - case.said.incident.opened_at < _HOUR_NS else _SELDOM_NS
