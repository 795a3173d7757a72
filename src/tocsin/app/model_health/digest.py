"""The digest of a day: the health of all models and services as one message for each destination."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Final

from tocsin.app.model_health.daily import Entity
from tocsin.assess.health import Health, digest
from tocsin.model.incident import Incident, IncidentState, Severity, incident_id
from tocsin.model.message import Message
from tocsin.model.series import MAIN_TENANT
from tocsin.model.text import one_line

MOST_TOLD: Final = 8
"""Models and services whose terms are told; of the others the score, up to `MOST_NAMED`."""
MOST_NAMED: Final = 30
_NAME: Final = 60


def words(day: str, entities: Sequence[Entity], before: dict[tuple[str, str], Health], missed: int) -> tuple[str, str]:
    """Title and text of a digest; `missed` are days before that nobody was told of."""
    told = [(entity, entity.judged()[0]) for entity in entities]
    well = sum(health.score >= 90 for _, health in told)
    worst, of_worst = told[0]
    unknown = sum(math.isnan(health.score) for _, health in told)
    title = f"Health on {day}: {well} of {len(told)} are good{f', {unknown} unknown' if unknown else ''}"
    if not math.isnan(of_worst.score) and of_worst.score < 90:
        title += f"; the worst is {one_line(worst.name, _NAME)} with {of_worst.score:.0f} of 100"
    lines = []
    if missed:
        lines.append(f"Of {missed} day{'s' if missed > 1 else ''} before nobody was told: Tocsin was not running.")
    for entity, health in told[:MOST_TOLD]:
        name = one_line(entity.name, _NAME)
        lines.append(digest(name, day, health, before.get((entity.kind, entity.name))))
        young = [each.name for each in entity.measured if each.term() is None]
        lines += [f"- no usual value yet: {', '.join(one_line(each, _NAME) for each in young)}"] if young else []
        lines.append("")
    rest = told[MOST_TOLD:]
    if rest:
        scores = [
            f"{one_line(entity.name, _NAME)} {'unknown' if math.isnan(health.score) else f'{health.score:.0f}'}"
            for entity, health in rest[:MOST_NAMED]
        ]
        more = f", and {len(rest) - MOST_NAMED} more" if len(rest) > MOST_NAMED else ""
        lines.append(f"Others: {', '.join(scores)}{more}")
    return title, "\n".join(lines).strip()


def messages(
    tenant: str, day: str, said: tuple[str, str], to: Sequence[str], now: int, *, dry_run: bool
) -> list[Message]:
    """One message for each destination; their ids are those of tenant, day and destination."""
    title, text = said
    if tenant != MAIN_TENANT:
        title = f"{one_line(tenant, _NAME)}: {title}"
    founding = hashlib.blake2b(f"digest {day}".encode(), digest_size=16).digest()
    carrier = Incident(
        id=incident_id(tenant, founding),
        tenant=tenant,
        title=title,
        state=IncidentState.OPEN,
        severity=Severity.INFO,
        severity_arithmetic="none: a digest",
        findings=(),
        causes=(),
        changes=(),
        entities=(),
        opened_at=now,
        updated_at=now,
        resolved_at=None,
        dedup_key=f"digest-{day}",
        statement=text,
    )
    return [
        Message(
            _id(tenant, day, name), tenant, name, "digest", carrier, carrier.dedup_key, now, now, dry_run=dry_run,
            reason="dry run" if dry_run else "",
        )
        for name in to
    ]  # fmt: skip


def _id(tenant: str, day: str, destination: str) -> str:
    text = f"{tenant}\x00{day}\x00{destination}"
    return "digest-" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
