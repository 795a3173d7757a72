"""`Sequences`: which message usually follows which within a request, and in which requests it is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

OVER_NS: Final = 30 * 10**9
"""A request without a new line for so long is over."""
MOST_OPEN: Final = 5_000
"""Requests that are followed at once; more are counted and not followed."""
MOST_LINES: Final = 64
_LEAST_SEEN: Final = 200
_USUAL: Final = 0.98
_NO_MORE: Final = 0.6
_SUCCESSORS: Final = 4
_KEPT: Final = 1_000
_MEMORY: Final = 2_000


class Over(NamedTuple):
    """Requests that are over: how many messages should have been followed by another, and those that were not."""

    expected: int
    missing: list[tuple[str, str]]


class Sequences:
    """Requests of one service, whose lines come by one clock; pure, its time is that of the lines."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, list[int]]] = {}  # by trace: time of the last line, shapes in order
        self._seen: dict[str, int] = {}  # message -> requests it was in
        self._next: dict[str, dict[str, int]] = {}
        self._expected: dict[str, str] = {}
        self.left_out = 0

    def take(self, trace: int, time: int, shape: int) -> None:
        """The next line of a request; lines come in order of their time."""
        found = self._open.get(trace)
        if found is None:
            if len(self._open) >= MOST_OPEN:
                self.left_out += 1
                return
            self._open[trace] = (time, [shape])
            return
        lines = found[1]
        if len(lines) < MOST_LINES:
            lines.append(shape)
        self._open[trace] = (time, lines)

    def over(self, until: int, messages: Mapping[int, str]) -> Over:
        """What was missing in requests that were over at `until` (ns); `messages` gives the message of a shape."""
        expected, missing = 0, list[tuple[str, str]]()
        for _, trace in sorted((last, trace) for trace, (last, _) in self._open.items() if last + OVER_NS <= until):
            shapes = self._open.pop(trace)[1]
            # a message's first line counts: loops would make each its own successor
            said = list(dict.fromkeys(messages.get(shape, "") for shape in shapes))
            for at, message in enumerate(said):
                usual = self._usual(message)
                expected += bool(usual)
                if usual and usual not in said:
                    missing.append((message, usual))
                if len(shapes) < MOST_LINES:  # where one was cut off nothing is known of what follows
                    self._learn(message, said[at + 1] if at + 1 < len(said) else "")
        return Over(expected, missing)

    def _usual(self, message: str) -> str:
        """The message that nearly always follows, or ""; what was once so stays expected while it is not quite rare."""
        seen, counts = self._seen.get(message, 0), self._next.get(message, {})
        expected = self._expected.get(message, "")
        if expected:
            if counts.get(expected, 0) < _NO_MORE * seen:
                del self._expected[message]
            return expected
        if seen >= _LEAST_SEEN:
            best, n = max(counts.items(), key=lambda item: (item[1], item[0]), default=("", 0))
            if best and n >= _USUAL * seen:
                self._expected[message] = best
        return self._expected.get(message, "")

    def _learn(self, message: str, following: str) -> None:
        counts = self._next.get(message)
        if counts is None:
            if len(self._next) >= _KEPT:
                oldest = next(iter(self._next))
                del self._next[oldest], self._seen[oldest]
                self._expected.pop(oldest, None)
            counts = self._next[message] = {}
            self._seen[message] = 0
        self._seen[message] += 1
        if following in counts or len(counts) < _SUCCESSORS:
            counts[following] = counts.get(following, 0) + 1
        if self._seen[message] >= _MEMORY:  # what is usual may change
            self._seen[message] //= 2
            self._next[message] = {each: n // 2 for each, n in counts.items()}

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "open": [[trace, last, list(shapes)] for trace, (last, shapes) in self._open.items()],
            "next": [[message, self._seen[message], dict(counts)] for message, counts in self._next.items()],
            "expected": dict(self._expected),
            "left_out": self.left_out,
        }

    @staticmethod
    def restored(state: Mapping[str, Any]) -> Sequences:
        """Sequences back from a snapshot."""
        found = Sequences()
        found._open = {trace: (last, list(shapes)) for trace, last, shapes in state["open"]}
        for message, seen, counts in state["next"]:
            found._seen[message] = seen
            found._next[message] = dict(counts)
        found._expected = dict(state["expected"])
        found.left_out = state["left_out"]
        return found
