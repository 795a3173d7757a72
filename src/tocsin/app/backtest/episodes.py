"""From the news of a backtest to the incidents and pages there would have been, by the same grouping and routes."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tocsin.app.backtest.fold import TICK_NS, News
from tocsin.app.routing import rota_of, rules_of
from tocsin.correlate.reducer import Reducer
from tocsin.incident.policy import CONSOLE, Policy
from tocsin.incident.severity import grader
from tocsin.model.clock import SECOND
from tocsin.model.codec import Json, findings_frame
from tocsin.model.incident import Incident
from tocsin.model.log import Output
from tocsin.model.message import Message
from tocsin.model.series import Catalog
from tocsin.model.times import time_to_json
from tocsin.spec.config import Config
from tocsin.spec.engine import EngineSpec
from tocsin.spec.routing import BOARD

NEAR_NS: Final = 900 * SECOND
"""Incidents about the same entities that begin so close to each other are the same one."""


@dataclass(frozen=True, slots=True)
class Episodes:
    """The incidents of a backtest, the oldest first, and the pages about them."""

    incidents: tuple[Incident, ...]
    pages: tuple[Message, ...]

    def since(self, start: int) -> Episodes:
        """Those that opened from a time on."""
        kept = tuple(each for each in self.incidents if each.opened_at >= start)
        ids = {each.id for each in kept}
        return Episodes(kept, tuple(each for each in self.pages if each.incident.id in ids))


def policy_of(config: Config, pagers: Iterable[str]) -> Policy:
    """Who would be told under a configuration without its destinations; `pagers` are the names of those that page."""
    return Policy(replace(rules_of(config), pagers=frozenset(pagers)), dry_run=config.dry_run, rota=rota_of(config))


def episodes(
    runs: Iterable[Sequence[News]], config: Config, spec: EngineSpec, tenant: str, pagers: Iterable[str]
) -> Episodes:
    """Incidents and pages of what several monitors said."""
    catalog = Catalog()
    reducer = Reducer(spec, grader(config.loss))
    policy = policy_of(config, pagers)
    latest: dict[str, Incident] = {}
    pages: list[Message] = []
    now = 0
    for cause, each in enumerate(heapq.merge(*runs, key=lambda news: news.received)):
        while now and now + TICK_NS < each.received:
            now += TICK_NS
            _step(reducer, policy, Output(cause, now, tick=True, frames=()), catalog, latest, pages)
        now = each.received
        frames = (findings_frame(each.findings, catalog, tenant),)
        _step(reducer, policy, Output(cause, now, tick=True, frames=frames), catalog, latest, pages)
    for late in range(now, now + NEAR_NS, TICK_NS) if now else ():
        _step(reducer, policy, Output(1 << 60, late, tick=True, frames=()), catalog, latest, pages)
    return Episodes(tuple(sorted(latest.values(), key=lambda i: (i.opened_at, i.id))), tuple(pages))


def _step(
    reducer: Reducer,
    policy: Policy,
    output: Output,
    catalog: Catalog,
    latest: dict[str, Incident],
    pages: list[Message],
) -> None:
    said = reducer.fold(output, catalog)
    for step in said:
        if step.action == "merge":
            latest.pop(step.incident.id, None)
        else:
            latest[step.incident.id] = step.incident
    pages += [each for each in policy.fold(said, output.received, tick=True) if is_page(each)]


def is_page(message: Message) -> bool:
    """Whether a message would have told somebody of something new: not the console, nor the board of the week."""
    return message.action == "trigger" and message.destination not in (CONSOLE, BOARD)


@dataclass(frozen=True, slots=True)
class Difference:
    """What becomes of the incidents of a stretch: lost, added, and those that stay, by how much later (ns)."""

    lost: tuple[Incident, ...]
    added: tuple[Incident, ...]
    kept: tuple[tuple[Incident, Incident], ...]

    @property
    def delays_s(self) -> list[float]:
        """How much later each one that stays would have opened, in order of size."""
        return sorted((after.opened_at - before.opened_at) / SECOND for before, after in self.kept)


def difference(before: Episodes, after: Episodes) -> Difference:
    """Match incidents: the same one, else one about a shared entity that begins close by."""
    left = {each.id: each for each in after.incidents}
    kept, lost = [], []
    for each in before.incidents:
        same = left.pop(each.id, None)
        if same is None:
            near = [
                one
                for one in left.values()
                if abs(one.opened_at - each.opened_at) <= NEAR_NS and set(one.entities) & set(each.entities)
            ]
            same = min(near, key=lambda one: (abs(one.opened_at - each.opened_at), one.id), default=None)
            if same is not None:
                del left[same.id]
        if same is None:
            lost.append(each)
        else:
            kept.append((each, same))
    return Difference(tuple(lost), tuple(left.values()), tuple(kept))


def shortly(incident: Incident) -> Json:
    """An incident on one line of a report."""
    return {
        "id": incident.id,
        "title": incident.title,
        "severity": incident.severity.name.lower(),
        "opened_at": time_to_json(incident.opened_at),
        "entities": list(incident.entities),
        "monitors": sorted({each.monitor for each in incident.findings}),
    }
