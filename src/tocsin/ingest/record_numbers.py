"""Numbers that come with a prediction: embedding, attributions, attention."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Final

from tocsin.ingest.decoded import Unusable

MOST_DIMENSIONS: Final = 16_384
MOST_NAMED: Final = 10_000
_FLOAT32_MAX: Final = 3.4028235677973366e38


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("bad_field")
    try:
        return float(value)
    except OverflowError as bad:
        raise Unusable("bad_field") from bad


def embedding_of(value: object) -> list[float] | None:
    """A vector of finite numbers that a float32 holds, or none.

    Raises
    ------
    Unusable
        It is no list of such numbers, or has more than `MOST_DIMENSIONS`.
    """
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MOST_DIMENSIONS:
        raise Unusable("bad_field")
    found = [_number(each) for each in value]
    if not all(abs(each) <= _FLOAT32_MAX for each in found):  # neither is NaN
        raise Unusable("bad_field")
    return found


def numbers_text(value: object) -> str:
    """Finite numbers by name as JSON, to six digits; NaN and null are left out, "" when there are none.

    >>> numbers_text({"age": 0.1234567, "income": None})
    '{"age":0.123457}'

    Raises
    ------
    Unusable
        It is no object of numbers, or has more than `MOST_NAMED`.
    """
    if value is None:
        return ""
    if not isinstance(value, dict) or len(value) > MOST_NAMED:
        raise Unusable("bad_field")
    return _text({str(name): _number(each) for name, each in value.items() if each is not None})


def attention_text(value: object) -> str:
    """Statistics of attention by name as JSON; weights become their entropy (0..1) and their largest share.

    The entropy -sum(p log p) is divided by that of equal weights, log n.

    >>> attention_text([1, 1, 1, 1])
    '{"entropy":1.0,"largest_share":0.25}'
    >>> attention_text({"entropy": 0.5})
    '{"entropy":0.5}'

    Raises
    ------
    Unusable
        It is neither numbers by name nor a list of weights.
    """
    if isinstance(value, list):
        weights = [abs(_number(each)) for each in value]
        total = math.fsum(weights)
        if len(weights) > MOST_DIMENSIONS or not math.isfinite(total):
            raise Unusable("bad_field")
        return _text(_summary([each / total for each in weights])) if total > 0 else ""
    return numbers_text(value)


def _summary(shares: Sequence[float]) -> dict[str, float]:
    equal = math.log(len(shares)) if len(shares) > 1 else 1.0
    entropy = -math.fsum(p * math.log(p) for p in shares if p > 0)
    return {"entropy": entropy / equal + 0.0, "largest_share": max(shares)}


def _text(numbers: dict[str, float]) -> str:
    # six digits can't be taken for a card or a telephone number by those who look for secrets
    kept = {name: float(f"{each:.6g}") for name, each in numbers.items() if math.isfinite(each)}
    if not kept:
        return ""
    try:
        text = json.dumps(kept, separators=(",", ":"), ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError as bad:
        raise Unusable("not_utf8") from bad
    return text
