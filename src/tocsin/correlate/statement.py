"""Words for findings and incidents, made from evidence only, for somebody who was just woken up."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tocsin.model.bands import shown_lower
from tocsin.model.finding import Finding
from tocsin.model.incident import Cause
from tocsin.model.series import Signal
from tocsin.model.text import one_line
from tocsin.model.times import time_to_json

WORST_VALUE = "worst.value"
"""In the evidence of a finding: its value when it was rarest."""
TITLE_CHARS = 160
STATEMENT_CHARS = 1500
_NAME_CHARS = 60
_DEVIATION_CHARS = 120
_SECOND = 1_000_000_000
_WITHOUT_NUMBER = {"absent": "silent", "shape": "of unusual shape"}
_STATES = frozenset(
    ["saturated", "full", "down", "exhausted", "overloaded", "failing", "stuck", "missing", "high", "low", "slow"]
)
"""Last words of names that say by themselves what is wrong: a full disk is not "too high"."""
_EXCESS = {"up": "too high", "down": "too low", "shape": "of unusual shape", "absent": "silent"}
_RATIO = re.compile(r"ratio|perc|utili[sz]ation|fraction|share", re.IGNORECASE)
_NOUN = re.compile(r"[a-z]*[a-rt-z]")
_VALUE = re.compile(r"-?[\d.,e+-]+")
MAX_SENTENCES = 5
MAX_SERIES = 3
_CLOCK = slice(11, 16)
_FULL_CLOCK = slice(11, 19)
_BYTES = {"By": 1, "KiBy": 2**10, "MiBy": 2**20, "GiBy": 2**30, "kBy": 10**3, "MBy": 10**6, "GBy": 10**9}


@dataclass(frozen=True, slots=True)
class Symptom:
    """A finding with the entities it is about, most specific first, and whether it only supports what others open."""

    finding: Finding
    entities: tuple[str, ...]
    words: str = ""
    support: bool = False

    @property
    def name(self) -> str:
        """What is measured, in words."""
        return self.words or monitor_words(self.finding.monitor)


def monitor_words(monitor: str, packs: Collection[str] = ()) -> str:
    """Name of a monitor as words, without the name of its pack in front.

    >>> monitor_words("genai-input-tokens", ["genai"]), monitor_words("p95_latency")
    ('input tokens', 'p95 latency')
    """
    words = one_line(monitor, _NAME_CHARS).replace("-", " ").replace("_", " ").replace(".", " ").split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in packs else words)


def clock(time_ns: int) -> str:
    """Hour and minute, UTC.

    >>> clock(1_500_000_000_000_000_000)
    '02:40'
    """
    return time_to_json(time_ns)[_CLOCK]


def full_clock(time_ns: int) -> str:
    """Hour, minute and second, UTC."""
    return time_to_json(time_ns)[_FULL_CLOCK]


def span(ns: int) -> str:
    """A length of time in words.

    >>> span(45 * 10**9), span(150 * 10**9), span(7300 * 10**9)
    ('45 s', '2 min 30 s', '2 h 1 min')
    """
    seconds = round(ns / _SECOND)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s" if seconds % 60 else f"{seconds // 60} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def number(value: float, unit: str = "") -> str:
    """A number as people write it, with its unit.

    >>> number(0.2504, "s"), number(3 * 2**30, "By"), number(0.913, "1"), number(12345.0, "{token}")
    ('250 ms', '3 GiB', '0.913', '12,345 tokens')
    """
    if math.isnan(value):
        return "nothing"
    if unit == "s" and 0 < abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    if unit in _BYTES and math.isfinite(value):
        size = value * _BYTES[unit]
        for name, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if abs(size) >= scale:
                return f"{size / scale:.3g} {name}"
        return f"{size:.3g} B"
    text = f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.3g}"
    shown = one_line(unit.strip("{}"), 20)
    if unit.startswith("{") and value != 1 and _NOUN.fullmatch(shown):
        shown += "s"
    return text if shown in ("", "1") else f"{text} {shown}"


def amount(value: float, signal: Signal) -> str:
    """A value of a signal as people write it; a share of one as per cent.

    >>> amount(0.953, Signal("system.cpu.utilization", "1")), amount(3.0, Signal("queue", "1"))
    ('95.3 %', '3')
    """
    if signal.unit in ("", "1") and math.isfinite(value) and _RATIO.search(signal.name):
        return f"{100 * value:.3g} %"
    return number(value, signal.unit)


def band(lower: float, upper: float, signal: Signal) -> str:
    """From one value to another, the unit once where both share it.

    >>> band(900.0, 1100.0, Signal("tokens", "{token}")), band(0.9, 1.2, Signal("latency", "s"))
    ('900 to 1,100 tokens', '900 ms to 1.2 s')
    """
    low, high = amount(shown_lower(lower, signal), signal), amount(upper, signal)
    unit = _VALUE.sub("", high, count=1)
    return f"{low.removesuffix(unit) if unit else low} to {high}"


def trouble(name: str, direction: str) -> str:
    """What is wrong with what is measured, in words.

    >>> trouble("cpu saturated", "up"), trouble("latency p95", "up")
    ('cpu saturated', 'latency p95 too high')
    """
    return name if name.split()[-1:] and name.rsplit(maxsplit=1)[-1] in _STATES else f"{name} {_EXCESS[direction]}"


def deviation(finding: Finding) -> str:
    """How far out of line it is.

    `3.1x above expected`, `12.5 s, limit 10 s`, `silent`; from value and band alone, or as the evidence says.
    """
    lower, upper = finding.expected
    signal = finding.series.signal
    if finding.direction in _WITHOUT_NUMBER:
        said = finding.evidence.get("deviation")  # what no value and band can say
        return (
            one_line(said, _DEVIATION_CHARS) if isinstance(said, str) and said else _WITHOUT_NUMBER[finding.direction]
        )
    if math.isfinite(lower) and math.isfinite(upper):
        worst = finding.evidence.get(WORST_VALUE)
        value, given = finding.value, finding.evidence.get("times_expected")
        back = value <= upper if finding.direction == "up" else value >= lower
        if back and isinstance(worst, int | float):
            value, given = float(worst), None  # what is back from where it was, or beyond the other end, was there
        told = finding.evidence.get("centre")  # where a band is of a log scale, its middle is far above it
        centre = float(told) if isinstance(told, int | float) and told > 0 else (lower + upper) / 2
        ratio = value / centre if centre > 0 else math.nan
        ratio = float(given) if isinstance(given, int | float) and given > 0 else ratio
        if ratio >= 1.05:
            return f"{ratio:.1f}x above expected" if ratio >= 1.95 else f"{ratio - 1:.0%} above expected"
        if 0 <= ratio <= 0.95:
            return f"{1 - ratio:.0%} below expected"
        return f"at {amount(value, signal)}, expected {band(lower, upper, signal)}"
    limit = upper if math.isfinite(upper) else lower
    if math.isfinite(limit):
        return f"at {amount(finding.value, signal)}, limit {amount(limit, signal)}"
    return f"at {amount(finding.value, signal)}"


def title(symptoms: Sequence[Symptom], more: int = 0) -> str:
    """One line that names the entity, the first symptom, since when, and what goes with it."""
    first = symptoms[0]
    entity = one_line(first.entities[0] if first.entities else first.finding.series.signal.name, _NAME_CHARS)
    others = list(dict.fromkeys(each.name for each in symptoms if each.name != first.name))
    text = f"{entity}: {first.name} {deviation(first.finding)} since {clock(first.finding.start)} UTC"
    if others:
        shown = others[:3] + ([f"{len(others) - 3} more"] if len(others) > 3 else [])
        text += ", with " + (" and ".join(shown) if len(shown) < 3 else f"{', '.join(shown[:-1])} and {shown[-1]}")
    elif len(symptoms) + more > 1:
        text += f", on {len(symptoms) + more} series"
    return one_line(text, TITLE_CHARS)


def storm_title(first: int, findings: int, entities: int) -> str:
    """Title of the incident that takes what a storm of unrelated findings brings.

    >>> storm_title(0, 1, 1), storm_title(0, 1200, 3)[-30:]
    ('Many things at once since 00:00 UTC: 1 finding on 1 entity', ': 1,200 findings on 3 entities')
    """
    what = f"{findings:,} finding{'' if findings == 1 else 's'}"
    return f"Many things at once since {clock(first)} UTC: {what} on {entities:,} {'entity' if entities == 1 else 'entities'}"


def sentence(symptom: Symptom) -> str:
    """One finding as a sentence with its numbers."""
    finding = symptom.finding
    entity = f" on {one_line(symptom.entities[0], _NAME_CHARS)}" if symptom.entities else ""
    text = f"{symptom.name}{entity} {deviation(finding)} since {full_clock(finding.start)} UTC{_band(finding)}"
    return one_line(text, 300)


def _band(finding: Finding) -> str:
    lower, upper = finding.expected
    signal = finding.series.signal
    if finding.direction in _WITHOUT_NUMBER or not (math.isfinite(lower) and math.isfinite(upper)):
        return ""
    if deviation(finding).startswith("at "):
        return ""  # the numbers are said already
    now = amount(finding.value, signal)
    at_worst = finding.evidence.get(WORST_VALUE)
    worst = amount(at_worst, signal) if isinstance(at_worst, int | float) else now
    now += f", at worst {worst}" if worst != now else ""
    return f" (now {now}, expected {band(lower, upper, signal)})"


def together(symptoms: Sequence[Symptom]) -> str:
    """Findings of the same kind on several series as one sentence."""
    first = symptoms[0]
    if len(symptoms) == 1:
        return sentence(first)
    places = list(dict.fromkeys(each.entities[0] for each in symptoms if each.entities))
    one_place = len(places) == 1
    shared = set.intersection(*(set(each.finding.series.labels) for each in symptoms))
    items = []
    for each in symptoms[:MAX_SERIES]:
        own = [f"{key}={value}" for key, value in each.finding.series.labels if (key, value) not in shared]
        name = ", ".join(own) if one_place or not each.entities else each.entities[0]
        said = f"{one_line(name, _NAME_CHARS)} {deviation(each.finding)}{_band(each.finding)}"
        items.append(said.strip())
    if len(symptoms) > MAX_SERIES:
        items.append(f"and {len(symptoms) - MAX_SERIES:,} more")
    where = f" on {one_line(places[0], _NAME_CHARS)}," if one_place else ""
    since = full_clock(min(each.finding.start for each in symptoms))
    return one_line(f"{first.name}{where} on {len(symptoms)} series since {since} UTC: {'; '.join(items)}", 600)


def statement(symptoms: Sequence[Symptom], causes: Sequence[Cause], more: int = 0) -> str:
    """What happened, what most likely led to it and where to start, as a few sentences."""
    alike: dict[tuple[str, str], list[Symptom]] = {}
    for symptom in symptoms:
        alike.setdefault((symptom.name, symptom.finding.direction), []).append(symptom)
    kinds = list(alike.values())
    parts = [together(each) for each in kinds[:MAX_SENTENCES]]
    rest = sum(len(each) for each in kinds[MAX_SENTENCES:]) + more
    if rest:
        parts.append(f"{rest:,} further finding{'' if rest == 1 else 's'}")
    if causes and causes[0].kind != "unknown":
        best = causes[0]
        said = {sentence(symptom) for symptom in symptoms}
        reason = next((f": {each}" for each in best.evidence if each not in said), "")
        where = f" on {one_line(best.entity, _NAME_CHARS)}" if best.entity else ""
        parts.append(
            f"Most likely cause (score {best.score:.2f}): {best.kind}{where}, {one_line(best.what, 120)}{reason}"
        )
    else:
        parts.append("No change or resource is a likely cause yet")
    return one_line(". ".join(parts) + ".", STATEMENT_CHARS)
