"""History judged by both sides of a piece of work, and what that comes to: counts, incidents, pages a week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tocsin.app.backtest.episodes import Episodes, difference, episodes, is_page, policy_of, shortly
from tocsin.app.backtest.fold import News, Run, fold, for_panes, opened
from tocsin.app.backtest.history import History
from tocsin.app.backtest.work import Part, Side, Work
from tocsin.engine.budget import NAMES, AlertBudget
from tocsin.engine.labels import Labels
from tocsin.model.codec import Json, incident_from_json
from tocsin.model.incident import Incident
from tocsin.model.transition import Transition
from tocsin.spec.config import Config
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

WEEK_NS: Final = 7 * 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Judged:
    """What one side comes to: news by part, incidents and pages."""

    config: Config
    pagers: list[str]
    news: list[list[News]]
    episodes: Episodes


def judge(directory: Path) -> Json:
    """Judge what lies in a directory by both sides; gives counts, incidents lost, added and kept, and pages a week."""
    work, history = Work.read(directory), History.opened(directory)
    before, after = (_side(each, work, history) for each in (work.before, work.after))
    weeks = max(history.stretch.end - work.since, 1) / WEEK_NS
    found = difference(before.episodes, after.episodes)
    rest = [incident_from_json(each) for each in work.recorded]
    pages = [_pages(each, rest, work.since) for each in (before, after)]
    delays = found.delays_s
    return {
        "weeks": weeks,
        "counted_from": work.since,
        "rows": sum(_rows(history, part) for part in work.parts),
        "findings": {"before": _by_monitor(before, work.since), "after": _by_monitor(after, work.since)},
        "incidents": {
            "before": len(before.episodes.incidents) + len(rest),
            "after": len(after.episodes.incidents) + len(rest),
            "lost": [shortly(each) for each in found.lost],
            "added": [shortly(each) for each in found.added],
            "kept": len(found.kept) + len(rest),
        },
        "delay_s": {"median": median(delays), "least": delays[0], "most": delays[-1]} if delays else None,
        "pages_per_week": {
            "before": pages[0] / weeks,
            "after": pages[1] / weeks,
            "added": (pages[1] - pages[0]) / weeks,
        },
    }


def _side(side: Side, work: Work, history: History) -> Judged:
    config = Config.model_validate(side.config)
    spec = config.engine_spec(load_packs())
    labels = Labels.restored(side.asks)
    pins = levels(work.pins, work.windows_per_week, spec, side.easier)
    news = [fold(history, run) for part in work.parts if (run := run_of(part, spec, pins, labels)) is not None]
    told = episodes(news, config, spec, history.stretch.tenant, side.pagers)
    return Judged(config, side.pagers, news, told.since(work.since))


def run_of(part: Part, spec: EngineSpec, pins: dict[str, float], labels: Labels) -> Run | None:
    """How a part is judged under a specification; None where that has no such monitor."""
    monitors = {each.name: each for each in spec.all_monitors()}
    if part.way == "points":
        return Run(part.name, part.way, spec, frozenset(monitors) - set(part.left_out), pins, labels)
    if part.way == "telemetry":
        bare = spec.model_copy(update={"drift": [], "inventory": [], "budgets": []})
        named = frozenset(part.monitors) & set(monitors)
        return Run(part.name, part.way, bare, named, pins, labels, tuple(part.tables)) if named else None
    monitor = monitors.get(part.monitor)
    if monitor is None:
        return None
    return Run(part.name, part.way, for_panes(spec, monitor), frozenset({monitor.name}), pins, labels)


def _rows(history: History, part: Part) -> int:
    points = sum(len(rows.time) for rows in history.parts(part.name))
    return points + sum(len(rows) for table in part.tables for rows in history.frames(part.name, table))


def levels(pins: dict[str, float], windows_per_week: float, spec: EngineSpec, easier: float) -> dict[str, float]:
    """Levels by family: those in force, else those of a budget that has counted nothing yet."""
    if not pins:
        budget = AlertBudget(spec.false_pages_per_week)
        budget.share(windows_per_week=max(windows_per_week, 1.0))
        return dict(zip(NAMES, budget.levels.tolist(), strict=True))
    return {name: level + easier for name, level in pins.items() if name in NAMES}


def _by_monitor(side: Judged, since: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for news in side.news:
        for received, finding in opened(news).values():
            if received >= since:
                found[finding.monitor] = found.get(finding.monitor, 0) + 1
    return dict(sorted(found.items()))


def _pages(side: Judged, rest: Sequence[Incident], since: int) -> int:
    """Pages about what was judged again, and about other recorded incidents as this side's routes would have it."""
    config = side.config
    policy = policy_of(config, side.pagers)
    steps: list[tuple[int, int, Transition]] = []
    for each in rest:
        steps.append((each.opened_at, 0, Transition("open", each, each.opened_at, 1)))
        if each.resolved_at is not None:
            steps.append((each.resolved_at, 1, Transition("resolve", each, each.resolved_at, 2)))
    count = len(side.episodes.pages)
    for at, _, step in sorted(steps, key=lambda step: (step[0], step[2].incident.id, step[1])):
        said = policy.fold([step], at, tick=True)
        count += sum(is_page(message) and at >= since for message in said)
    return count
