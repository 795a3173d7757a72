"""Texts that say nearly the same, grouped by hashed vectors of their words and parts of words; no model, no download.

Feature hashing: Weinberger et al. 2009 (ICML, "Feature hashing for large scale multitask learning").
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from tocsin.model.arrays import F8

WIDTH: Final = 2048
NEAR: Final = 0.5
"""Cosine from which two texts say nearly the same."""
_PART: Final = 4
_MOST_CHARS: Final = 400
_WORD: Final = re.compile(r"[a-z]{2,}")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\-./:]")


def _features(text: str) -> Counter[int]:
    """Places of words, and of parts of words so that forms of a word are near each other, with their weights."""
    found: Counter[int] = Counter()
    for word in _WORD.findall(_CAMEL.sub(" ", text[:_MOST_CHARS]).lower()):
        found[zlib.crc32(word.encode()) % WIDTH] += 2
        for at in range(len(word) - _PART + 1):
            found[zlib.crc32(b"~" + word[at : at + _PART].encode()) % WIDTH] += 1
    return found


def vectors(texts: Sequence[str]) -> F8:
    """Unit vectors of texts, shape (n, WIDTH); what most texts have weighs least. A text without words is zeros."""
    found = np.zeros((len(texts), WIDTH))
    for row, text in enumerate(texts):
        for place, weight in _features(text).items():
            found[row, place] = 1.0 + np.log(weight)
    seen = (found > 0).sum(axis=0)
    found *= np.log((1 + len(texts)) / (1 + seen)) + 1.0
    norm = np.sqrt((found * found).sum(axis=1, keepdims=True))
    unit: F8 = np.divide(found, norm, out=np.zeros_like(found), where=norm > 0)
    return unit


def alike(texts: Sequence[str], near: float = NEAR) -> list[int]:
    """For each text the place of the first text that it is alike, its own where there is none; (n,).

    >>> alike(["connection to <*> refused", "user <*> signed in", "refused connections to <*>"])
    [0, 1, 0]
    """
    if not texts:
        return []
    made = vectors(texts)
    leaders: list[int] = []
    found: list[int] = []
    for row in range(len(texts)):
        closeness = made[leaders] @ made[row] if leaders else np.zeros(0)
        best = int(np.argmax(closeness)) if len(closeness) else -1
        if best >= 0 and closeness[best] >= near:
            found.append(leaders[best])
        else:
            leaders.append(row)
            found.append(row)
    return found
