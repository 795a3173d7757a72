"""May it be done now? Every condition with its arithmetic, the plan among them; nothing here changes anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from tocsin.model.clock import SECOND
from tocsin.model.errors import Refused, Retryable, TocsinError
from tocsin.model.finding import Finding, Phase
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.remedy import ACTING, Check, Remedy
from tocsin.respond.matching import rise
from tocsin.respond.ports import Act, Evidence, Kept, Order, Plan
from tocsin.spec.playbook import PlaybookSpec, RemediationSpec, RequireSpec

HOUR_NS: Final = 3600 * SECOND
BEFORE_NS: Final = (5400 * SECOND, 1800 * SECOND)
"""How values were spread before: an hour that ended well before the finding, whose window may have begun earlier."""
MOST_READINGS: Final = 20
MODEL: Final = ("gen_ai.request.model", "gen_ai.response.model", "model")
ENDPOINT: Final = ("http.route", "url.path", "server.address", "endpoint")
"""Labels of OpenTelemetry that name the model and what was called; the first that is there counts."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """All conditions of an action, what was learned on the way, and what would be done."""

    checks: tuple[Check, ...]
    context: Mapping[str, Any] = field(default_factory=dict)
    plan: Plan | None = None

    @property
    def ok(self) -> bool:
        """Whether it may be done."""
        return self.plan is not None and all(each.ok for each in self.checks)


class Weighing:
    """Weighs actions by the configuration in force."""

    def __init__(self, kept: Kept, evidence: Evidence, main: RemediationSpec) -> None:
        self._kept = kept
        self._evidence = evidence
        self._main = main

    async def weigh(
        self, remedy: Remedy, playbook: PlaybookSpec, incident: Incident, finding: Finding, act: Act, now: int
    ) -> Weighed:
        """Every check in turn; while everything is stopped nobody outside is asked anything."""
        switch = self._kept.switch()
        if switch.stopped:
            return Weighed((Check("kill switch", ok=False, said=f"all is stopped by {switch.by}"),))
        checks = [self._incident(incident), *self._limits(remedy, now)]
        context = self._context(finding, now)
        for each in playbook.require:
            said = await self._provider(each) if each.provider else self._signal(each, incident, now, context)
            checks.append(said)
        order = Order(remedy.id, playbook.action, dict(finding.series.labels), incident, context, now)
        plan: Plan | None = None
        try:
            plan = await act.plan(order)
            checks.append(Check("dry run", ok=True, said=plan.said))
            checks.append(self._cooldown(remedy, playbook, plan, now))
        except (Refused, Retryable) as error:
            checks.append(Check("dry run", ok=False, said=str(error)))
        return Weighed(tuple(checks), context, plan)

    def _incident(self, incident: Incident) -> Check:
        if incident.late:
            return Check("incident", ok=False, said="its findings came late: what they tell of may be over")
        if silence := self._evidence.silenced(incident):
            return Check("incident", ok=False, said=f"silenced by {silence}")
        if incident.state is IncidentState.RESOLVED:
            return Check("incident", ok=False, said="it is over")
        return Check(
            "incident", ok=True, said=f"{incident.state.value}, {incident.severity.name.lower()}, not silenced"
        )

    def _limits(self, remedy: Remedy, now: int) -> list[Check]:
        begun = [each for each in self._kept.begun_since(now - HOUR_NS) if each.id != remedy.id]
        acting = [each for each in self._kept.remedies(None, ACTING) if each.id != remedy.id]
        rate, once = self._main.per_hour, self._main.at_once
        return [
            Check("rate", len(begun) < rate, f"{len(begun)} actions in the last hour, at most {rate}"),
            Check("at once", len(acting) < once, f"{len(acting)} actions not settled, at most {once} at once"),
        ]

    def _cooldown(self, remedy: Remedy, playbook: PlaybookSpec, plan: Plan, now: int) -> Check:
        same = [
            each
            for each in self._kept.begun_since(now - playbook.cooldown)
            if each.id != remedy.id and each.playbook == playbook.name and each.target == plan.target
        ]
        length = f"{playbook.cooldown / (60 * SECOND):g} min"
        said = f"{len(same)} times done to {plan.target} within {length}"
        return Check("cool-down", not same, said)

    def _context(self, finding: Finding, now: int) -> dict[str, Any]:
        """What a person, or who is asked to act, needs to know: model, endpoint, how its values are spread."""
        labels = dict(finding.series.labels)
        named = {"model": MODEL, "endpoint": ENDPOINT}
        found: dict[str, Any] = {
            name: next((labels[key] for key in keys if labels.get(key)), "") for name, keys in named.items()
        }
        found["finding"] = {
            "id": finding.id.hex(),
            "monitor": finding.monitor,
            "signal": finding.series.signal.name,
            "unit": finding.series.signal.unit,
            "value": finding.value,
            "direction": finding.direction,
            "rise_ratio": rise(finding),
        }
        told = found["finding"]
        found["finding"] = {
            key: told[key] for key in told if not (isinstance(told[key], float) and math.isnan(told[key]))
        }
        first, last = (finding.start - length for length in BEFORE_NS)
        spread = dict(self._evidence.distribution(finding, first, last))
        found["distribution"] = {
            "before": spread,
            "now": dict(self._evidence.distribution(finding, finding.start, now)),
        }
        return found | {"labels": labels, "platform": []}

    def _signal(self, require: RequireSpec, incident: Incident, now: int, context: dict[str, Any]) -> Check:
        signal = str(require.signal)
        name = f"{signal} is normal"
        found = self._evidence.readings(incident.tenant, signal, require.where, now - require.over)
        if not found:
            return Check(
                name, ok=False, said=f"no value in the last {require.over / SECOND:g} s: what isn't known is not normal"
            )
        odd = [
            each
            for other in [incident, *self._kept.open_incidents(incident.tenant)]
            for each in other.findings
            if each.series.signal.name == signal and each.phase is not Phase.CLOSE
            and all(fnmatchcase(each.series.label(key), glob) for key, glob in require.where.items())
        ]  # fmt: skip
        if odd:
            return Check(name, ok=False, said=f"{odd[0].monitor} has an open finding: {odd[0].value:.4g}")
        values = [each.value for each in found]
        low, high, unit = min(values), max(values), found[0].unit
        context["platform"] += [
            {"signal": signal, "unit": each.unit, "value": each.value, "labels": dict(each.labels)}
            for each in found[:MOST_READINGS]
        ]
        said = f"{len(found)} series from {low:.4g} to {high:.4g}, no open finding"
        if require.below is not None and high >= require.below.in_unit(unit):
            return Check(name, ok=False, said=f"{said}; {high:.4g} is not below {require.below}")
        if require.above is not None and low <= require.above.in_unit(unit):
            return Check(name, ok=False, said=f"{said}; {low:.4g} is not above {require.above}")
        limits = [
            f"{word} {limit.number:g}{limit.unit}"
            for word, limit in (("below", require.below), ("above", require.above))
            if limit
        ]
        return Check(name, ok=True, said=", ".join([said, *limits]))

    async def _provider(self, require: RequireSpec) -> Check:
        name = str(require.provider)
        try:
            ok, said = await self._evidence.provider(name)
        except TocsinError as error:
            ok, said = False, f"its status page can't be read: {error}"
        return Check(f"provider {name} is well", ok, said)
