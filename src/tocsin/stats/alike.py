"""Texts that say nearly the same, grouped by unit vectors: by default hashed ones of words and parts of words.

Feature hashing: Weinberger et al. 2009 (ICML, "Feature hashing for large scale multitask learning").
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from tocsin.model.arrays import F8

WIDTH: Final = 2048
NEAR: Final = 0.5
"""Cosine of hashed vectors from which two texts say nearly the same."""
HASHED: Final = "hashed words"
_PART: Final = 4
_MOST_CHARS: Final = 400
_WORD: Final = re.compile(r"[a-z]{2,}")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\-./:]")


class Groups(NamedTuple):
    """Which texts say nearly the same.

    Attributes
    ----------
    first : for each text the place of the first text that it is alike, (n,)
    by : what that goes by, in words
    fault : why it does not go by what was asked for; empty where it does
    """

    first: list[int]
    by: str
    fault: str = ""


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


def alike(made: F8, near: float = NEAR) -> list[int]:
    """For each unit vector the row of the first that it is near, its own where there is none; (n,) of (n, width).

    Zeros are near nothing. `near` is a cosine above 0.

    >>> alike(vectors(["connection to <*> refused", "user <*> signed in", "refused connections to <*>"]))
    [0, 1, 0]
    """
    leaders: list[int] = []
    found: list[int] = []
    first: F8 = np.empty_like(made)
    for row, unit in enumerate(made):
        closeness = first[: len(leaders)] @ unit
        best = int(np.argmax(closeness)) if leaders else -1
        if best >= 0 and closeness[best] >= near:
            found.append(leaders[best])
        else:
            first[len(leaders)] = unit
            leaders.append(row)
            found.append(row)
    return found


def by_words(texts: Sequence[str]) -> Groups:
    """Texts grouped by hashed vectors of their words; it knows no synonyms and needs no model.

    >>> by_words(["order saved", "orders saved", "disk full"])
    Groups(first=[0, 0, 2], by='hashed words', fault='')
    """
    return Groups(alike(vectors(texts)), HASHED)
