"""Once a week what paged nobody, by route, to those who asked for it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.api.ports import Deps
from tocsin.api.review import Fired, fired_since
from tocsin.app.model_health.digest import messages
from tocsin.model.clock import Clock
from tocsin.model.text import one_line
from tocsin.spec.calendar import WEEKDAYS
from tocsin.spec.config import Config
from tocsin.spec.routing import ReviewSpec, wall_ns
from tocsin.store.state import StateStore

WEEK_NS: Final = 7 * 86_400 * 10**9
MOST_NAMED: Final = 10
_FIRST: Final = dt.datetime(2001, 1, 1)  # noqa: DTZ001 - a wall-clock time, a Monday
_UNNAMED: Final = "no place in the 2x2"


class ReviewDigest:
    """Sends the digest of a week when it is due; a restart sends it no second time, a stop only the last."""

    def __init__(
        self,
        deps: Deps,
        state: StateStore,
        config: Callable[[], Config],
        tenants: Callable[[], Sequence[str]],
        clock: Clock,
    ) -> None:
        self._deps = deps
        self._state = state
        self._config = config
        self._tenants = tenants
        self._clock = clock

    def step(self) -> int:
        """Queue what is due; how many digests that was."""
        config, now = self._config(), self._clock.now()
        if not config.review.digest:
            return 0
        return sum(self._tell(tenant, config, week_of(config.review, now), now) for tenant in self._tenants())

    def _tell(self, tenant: str, config: Config, week: int, now: int) -> bool:
        cursor = f"review/{tenant}"
        done, _ = self._state.cursor(cursor)
        if not done:  # of the week in which it was configured nobody asked
            self._state.commit(cursor, week)
            return False
        if week <= done:
            return False
        ends = due_ns(config.review, week)
        fired = [each for each in fired_since(self._deps, tenant, ends - WEEK_NS) if each.incident.opened_at < ends]
        day = (_FIRST + dt.timedelta(days=7 * week + WEEKDAYS.index(config.review.day))).date().isoformat()
        said = words(day, fired)
        sent = messages(tenant, f"review-{day}", said, config.review.digest, now, dry_run=config.dry_run)
        return self._state.commit(cursor, week, messages=sent)


def due_ns(spec: ReviewSpec, week: int) -> int:
    """When the digest of a week (counted from the first of 2001) is due, ns."""
    hours, minutes = map(int, spec.at.split(":"))
    day = dt.timedelta(days=7 * week + WEEKDAYS.index(spec.day), hours=hours, minutes=minutes)
    return wall_ns(_FIRST + day, spec.time_zone)


def week_of(spec: ReviewSpec, now: int) -> int:
    """The latest week whose digest is due at `now` (ns).

    >>> spec = ReviewSpec(day="monday", at="09:00", time_zone="Europe/Berlin")
    >>> week_of(spec, due_ns(spec, 1300)), week_of(spec, due_ns(spec, 1300) - 1)
    (1300, 1299)
    """
    local = dt.datetime.fromtimestamp(now // 10**9, ZoneInfo(spec.time_zone)).replace(tzinfo=None)
    week = (local - _FIRST) // dt.timedelta(days=7)
    return week if due_ns(spec, week) <= now else week - 1


def words(day: str, fired: Sequence[Fired]) -> tuple[str, str]:
    """Title and text: by route how many opened, paged and were held back, then what paged nobody, the costliest first."""
    quiet = [each for each in fired if not each.paged]
    title = f"Review of the week until {day}: {len(quiet)} of {len(fired)} incidents paged nobody"
    lines = []
    for route, count in Counter(each.route for each in fired).most_common():
        mine = [each for each in fired if each.route == route]
        held, unsaid = sum(bool(each.why) for each in mine), sum(each.said is None for each in mine)
        lines.append(
            f"{one_line(route, 80)}: {count} opened, {sum(each.paged for each in mine)} paged, {held} held back, {unsaid} not judged yet"
        )
    lines.append("")
    ranked = sorted(quiet, key=lambda each: -float(each.incident.impact.get("expected_loss") or 0.0))
    for each in ranked[:MOST_NAMED]:
        place = str(each.incident.impact.get("quadrant") or _UNNAMED)
        why = "; ".join(str(row["reason"]) for row in each.why)
        lines.append(f"{one_line(each.incident.title, 160)} ({place}{f'; {one_line(why, 200)}' if why else ''})")
    if len(ranked) > MOST_NAMED:
        lines.append(f"and {len(ranked) - MOST_NAMED} more")
    return title, "\n".join(lines).strip()
