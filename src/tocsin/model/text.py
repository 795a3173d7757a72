"""Text from telemetry made fit to be shown: one line, no control characters, bounded."""

from __future__ import annotations

import unicodedata

_BAD = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def whole(text: str) -> str:
    r"""A text that a column holds: each half of a surrogate pair, which JSON can spell, becomes a question mark.

    >>> whole("a\ud83d"), whole("\U0001f600")
    ('a?', '😀')
    """
    return text.encode("utf-8", "replace").decode()


def one_line(text: str, limit: int = 200) -> str:
    r"""Replace control, format and surrogate characters by spaces, squeeze spaces, cut at `limit` characters.

    >>> one_line("a\x1b[31mb\n\u202ec", 20)
    'a [31mb c'
    >>> one_line("abcdef", 4)
    'abc…'
    """
    if len(text) <= limit and text.isascii() and text.isprintable() and "  " not in text and text == text.strip():
        return text
    head = text[: limit * 4]  # hostile text may be huge: what can't be shown is not looked at
    shown = "".join(" " if unicodedata.category(char) in _BAD else char for char in head)
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
