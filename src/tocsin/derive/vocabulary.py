"""What has been seen, bounded: the models of a tenant, the classes and features of a model, the values of a tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

Place: TypeAlias = tuple[str, ...]
"""Whose words they are, what they are first: ("class", tenant, model, version)."""
OTHER: Final = "(other)"


class Vocabulary:
    """Words by place, in order of first sight; what comes when a place is full is counted and not taken in.

    >>> words = Vocabulary()
    >>> [words.knows(("class", "main", "m"), word, 2) for word in ("a", "b", "a", "c")], words.left_out
    ([True, True, True, False], 1)
    """

    def __init__(self) -> None:
        self._words: dict[Place, dict[str, None]] = {}
        self.left_out = 0

    def knows(self, place: Place, word: str, most: int) -> bool:
        """Whether a word is one of at most `most` of its place; a new one is, as long as there is room."""
        words = self._words.get(place)
        if words is None:
            words = self._words[place] = {}
        if word in words:
            return True
        if len(words) >= most:
            self.left_out += 1
            return False
        words[word] = None
        return True

    def of(self, place: Place) -> Sequence[str]:
        """The words of a place."""
        return tuple(self._words.get(place, ()))

    def snapshot(self) -> dict[str, Any]:
        """Copy of all state, as a tree."""
        return {
            "left_out": self.left_out,
            "words": [[list(place), list(words)] for place, words in self._words.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back."""
        self.left_out = state["left_out"]
        self._words = {tuple(place): dict.fromkeys(words) for place, words in state["words"]}
