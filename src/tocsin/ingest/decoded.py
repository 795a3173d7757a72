"""What decoders give: frames, and how much was refused for which bounded reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

from tocsin.model.errors import BadInput
from tocsin.model.frame import Frame

YEAR_2000_NS = 946_684_800 * 10**9

REASONS = {
    "too_old": "its time stamp is unset or before the year 2000",
    "too_far_ahead": "its time stamp is more than 10 minutes ahead of this machine's clock",
    "not_utf8": "a name, key or text in it is not UTF-8",
    "bad_attribute": "an attribute in it can't be parsed",
    "labels_too_large": "its attributes are larger than the limit",
    "no_number": "it carries neither a number nor the flag that says there is none",
    "no_name": "its metric has no name",
    "name_too_long": "the name or unit of its metric is longer than 1,024 bytes",
    "no_temporality": "its metric says neither delta nor cumulative",
    "bad_histogram": "its buckets contradict each other",
    "bad_id": "its trace or span id has not 16 or 8 bytes, or is all zero",
    "bad_json": "the line is not a JSON object",
    "bad_field": "a field has the wrong type",
    "bad_entry": "it is not a time, a line and texts of metadata",
    "no_summary": "it is no summary, as metric streams send them",
    "line_too_long": "its line or its metadata are longer than the limit",
    "no_prediction_id": "it is truth or feedback and has no prediction_id to be joined by",
    "bad_time": "its time is neither RFC 3339 nor epoch seconds",
}


class Unusable(BadInput):
    """One point, span or line can't be taken; the rest of its request can."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason


@dataclass(slots=True)
class Refusals:
    """Counts of refused rows by source and reason, with one example each."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, source: str, reason: str, example: str = "", rows: int = 1) -> None:
        """Count refused rows; `reason` is a key of `REASONS`."""
        key = (source, reason)
        self.counts[key] = self.counts.get(key, 0) + rows
        self.examples.setdefault(reason, "".join(char for char in example[:80] if char.isprintable()))

    @property
    def total(self) -> int:
        """All refused rows."""
        return sum(self.counts.values())

    def by_reason(self) -> dict[str, int]:
        """Counts summed over sources."""
        found: dict[str, int] = {}
        for (_, reason), n in self.counts.items():
            found[reason] = found.get(reason, 0) + n
        return found

    def message(self) -> str:
        """One sentence a reason, for the sender.

        >>> r = Refusals(); r.add("otlp", "too_old", "cpu", 3); r.message()
        '3 refused: its time stamp is unset or before the year 2000 (first: cpu)'
        """
        parts = []
        for reason, n in self.by_reason().items():
            example = f" (first: {self.examples[reason]})" if self.examples.get(reason) else ""
            parts.append(f"{n} refused: {REASONS[reason]}{example}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Frames of one request, its refused rows and their reasons (any decoder, fast or not, gives this)."""

    frames: tuple[Frame, ...]
    rejected: int = 0
    reasons: dict[tuple[str, str], int] = field(default_factory=dict)
    message: str = ""


def decoded(frames: list[Frame], refusals: Refusals) -> Decoded:
    """Put the result of a decoder together."""
    return Decoded(tuple(frames), refusals.total, refusals.counts, refusals.message())
