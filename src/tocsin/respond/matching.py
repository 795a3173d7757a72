"""Which finding of an incident a playbook is for, and labels of it filled into what an action names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from urllib.parse import quote

from tocsin.model.errors import Refused
from tocsin.model.finding import Finding, Phase
from tocsin.model.incident import Incident
from tocsin.model.security import KIND, is_security
from tocsin.model.text import one_line
from tocsin.spec.playbook import LABEL, WhenSpec

MOST_CHARS = 500


def wanted_by(when: WhenSpec, incident: Incident) -> Finding | None:
    """The open finding that a playbook is for, the one that began first; None: it is for none of this incident.

    What may be an attack is for no playbook, in whatever incident it is.
    """
    if any(is_security(each) for each in incident.findings):
        return None
    if when.severity and incident.severity.name.lower() not in when.severity:
        return None
    if when.cause is not None and when.cause not in {cause.kind for cause in incident.causes[:1]}:
        return None
    unresolved = [each for each in incident.findings if each.phase is not Phase.CLOSE]
    if not set(when.also) <= {each.monitor for each in unresolved}:
        return None
    fits = [each for each in unresolved if _fits(when, each)]
    return min(fits, key=lambda each: (each.start, each.id), default=None)


def _fits(when: WhenSpec, finding: Finding) -> bool:
    if when.monitor is not None and finding.monitor != when.monitor:
        return False
    if when.kind is not None and finding.evidence.get(KIND, "anomaly") != when.kind:
        return False
    if any(not fnmatchcase(finding.series.label(name), glob) for name, glob in when.labels.items()):
        return False
    return when.rise is None or rise(finding) >= when.rise


def rise(finding: Finding) -> float:
    """How far a value is above what was expected, as a share of it: 2 is 200 % up; NaN where nothing was expected."""
    times = finding.evidence.get("times_expected")
    return times - 1 if isinstance(times, int | float) else math.nan


def filled(text: str, labels: Mapping[str, str], safe: Callable[[str], str] = lambda value: value) -> str:
    """A text with `${NAME}` as the label of that name, made safe for where it goes.

    Raises
    ------
    Refused
        There is no such label, or it is too long to be meant.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        found = labels.get(name, "")
        if not found or len(found) > MOST_CHARS:
            raise Refused(f"the action asks for ${{{name}}}, and what it is about has no such label (of a fit length)")
        return safe(found)

    return LABEL.sub(value, text)


def in_address(value: str) -> str:
    """A label in the path or query of an address: it can end no part of it.

    Raises
    ------
    Refused
        It would lead elsewhere.
    """
    if value in (".", ".."):
        raise Refused(f"a label is {value!r}, which would lead to another address")
    return quote(value, safe="")


def as_argument(value: str) -> str:
    """A label in an argument of a program: it can be no option, and holds nothing that isn't shown.

    Raises
    ------
    Refused
        It could be taken for an option, or has control characters.
    """
    if value.startswith("-") or one_line(value, MOST_CHARS) != value:
        raise Refused(
            f"the label {one_line(value, 60)!r} is given to no program: it begins with - or has odd characters"
        )
    return value
