"""What a model said, read from JSON: a class, a number, how sure it was, how much it said."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final

LONGEST_CLASS: Final = 64
_CLASS_KEYS: Final = ("label", "class")
_YES: Final = frozenset({"true", "yes", "y", "1", "up", "thumbs_up", "positive", "good", "like", "liked", "resolved"})
_NO: Final = frozenset(
    {"false", "no", "n", "0", "down", "thumbs_down", "negative", "bad", "dislike", "disliked", "unresolved"}
)


@dataclass(frozen=True, slots=True)
class Saying:
    """A prediction or a truth; None for what it does not have.

    `sure` is the confidence it states itself, 0..1; `two` says that it is one of two classes, so that a score is the
    probability of one of them; `length` is that of a text in characters or of a list in entries.
    """

    label: str | None = None
    number: float | None = None
    sure: float | None = None
    two: bool = False
    length: int | None = None


NOTHING: Final = Saying()


def saying(text: str) -> Saying:
    """Read a prediction or a truth.

    Truth values and short texts are classes, numbers are numbers; an object may name its class (`label` or `class`),
    its number (`value`), its `confidence` and `probabilities`, or be the probabilities by class itself.

    >>> saying('"cat"').label, saying("2.5").number, saying("true").two
    ('cat', 2.5, True)
    >>> saying('{"cat": 0.9, "dog": 0.1}')
    Saying(label='cat', number=None, sure=0.9, two=False, length=None)
    """
    if not text:
        return NOTHING
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # how deep it may be depends on how deep the caller is
        return NOTHING
    return _object(value) if isinstance(value, dict) else _scalar(value)


def _scalar(value: Any) -> Saying:
    if isinstance(value, bool):
        return Saying("true" if value else "false", float(value), two=True)
    if isinstance(value, int | float):
        number = _finite(value)
        return NOTHING if number is None else Saying(number=number, two=number in (0.0, 1.0))
    if isinstance(value, str):
        return Saying(value) if len(value) <= LONGEST_CLASS and "\n" not in value else Saying(length=len(value))
    return Saying(length=len(value)) if isinstance(value, list) else NOTHING


def _object(value: dict[str, Any]) -> Saying:
    shares = _shares(value.get("probabilities", value))
    label = next((value[key] for key in _CLASS_KEYS if isinstance(value.get(key), str | bool | int)), None)
    if label is None and shares:
        label = max(shares, key=lambda name: shares[name])  # of equals the first
    sure = _finite(value.get("confidence"))
    if sure is None and shares:
        sure = max(shares.values())
    said = _scalar(value.get("value")) if label is None else NOTHING
    name = said.label if label is None else (str(label).lower() if isinstance(label, bool) else str(label))
    if name is not None and len(name) > LONGEST_CLASS:
        name = None
    return Saying(name, said.number, sure if sure is not None and 0 <= sure <= 1 else None, said.two, said.length)


def _shares(value: Any) -> dict[str, float]:
    """Probabilities by class; empty for what can't be some."""
    if not isinstance(value, dict) or len(value) < 2:
        return {}
    found = {name: _finite(share) for name, share in value.items()}
    shares = {name: share for name, share in found.items() if share is not None and 0 <= share <= 1}
    return shares if len(shares) == len(found) and abs(math.fsum(shares.values()) - 1) < 0.02 else {}


def confidence(said: Saying, score: float) -> float | None:
    """How sure the model was, 0..1: what it states; else of its score, if that is a probability.

    The score of one of two classes (true or false, 0 or 1, none told) is the probability of one of them; that of a
    named class is the probability of that class.

    >>> confidence(Saying("cat"), 0.2), confidence(Saying("true", 1.0, two=True), 0.2), confidence(NOTHING, 3.0)
    (0.2, 0.8, None)
    """
    if said.sure is not None:
        return said.sure
    if not 0 <= score <= 1 or said.length is not None or (said.number is not None and not said.two):
        return None
    return max(score, 1 - score) if said.two or said.label is None else score


def right(said: Saying, truth: Saying) -> float | None:
    """1 if a predicted class was right, 0 if not, None if either is no class; 0 and 1 are false and true."""
    if said.two and truth.two:
        return float(said.number == truth.number)
    if said.label is None or truth.label is None:
        return None
    return float(said.label == truth.label)


def verdicts(text: str) -> dict[str, float]:
    """Numbers of a feedback by name, "feedback" for one without; words of praise and blame are 1 and 0.

    >>> verdicts('{"clicked": true, "rating": 4, "comment": "fine so far"}'), verdicts('"thumbs_down"')
    ({'clicked': 1.0, 'rating': 4.0}, {'feedback': 0.0})
    """
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return {}
    told = found if isinstance(found, dict) else {"feedback": found}
    numbers = {name: _verdict(value) for name, value in told.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def _verdict(value: Any) -> float | None:
    if isinstance(value, str):
        word = value.strip().lower().replace(" ", "_").replace("-", "_")
        return 1.0 if word in _YES else (0.0 if word in _NO else None)
    return float(value) if isinstance(value, bool) else _finite(value)


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
