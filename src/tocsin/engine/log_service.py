"""`ServiceLogs`: the minutes of one service's log - what it says, how often, what is new, gone, shifted or broken off."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tocsin.derive.sequences import Sequences
from tocsin.derive.templates import Templates

MINUTE: Final = 60 * 10**9
LEARNING_NS: Final = 30 * MINUTE
"""A service whose log is younger, or shorter than `LEARNING_RECORDS`, has nothing new: all of it is."""
LEARNING_RECORDS: Final = 500
NEW_NS: Final = 10 * MINUTE
"""So long is a message new."""
TRAILING: Final = 5
"""Minutes that messages are counted over."""
MEMORY: Final = 720
"""Minutes over which what is usual is learned."""
MOST_MESSAGES: Final = 500
MOST_RATED: Final = 50
"""Messages of one service whose rate is a series of its own."""
_FORGET_NS: Final = 24 * 60 * MINUTE
_SILENT_NS: Final = 60 * MINUTE
_RATED_RECORDS: Final = 30
_STEADY: Final = 0.95
_EXPECTED: Final = 20.0
_LEAST_ERRORS_OF: Final = 20
_SHIFT_RECORDS: Final = 50
_KEPT_BREAKS: Final = 8


@dataclass(slots=True)
class Message:
    """What is known of one template in one service; `usual` is its count in five minutes, `steady` how often it is not 0."""

    text: str
    sample: str
    first: int
    last: int
    failed: bool
    novel: bool = False
    records: int = 0
    usual: float = 0.0
    steady: float = 0.0
    rated: bool = False

    def joined(self, other: Message) -> Message:
        """Join it with another that turned out to be the same."""
        return Message(
            self.text,
            min((self.first, self.sample), (other.first, other.sample))[1],
            min(self.first, other.first),
            max(self.last, other.last),
            self.failed or other.failed,
            self.novel and other.novel,
            self.records + other.records,
            self.usual + other.usual,
            max(self.steady, other.steady),
        )


class Told(NamedTuple):
    """A number of a minute: the name of its signal, labels beside the service, and the value."""

    signal: str
    labels: tuple[tuple[str, str], ...]
    value: float


@dataclass(slots=True)
class ServiceLogs:
    """One service of one tenant; minutes are named by their end (ns)."""

    service: str
    began: int
    closed: int
    heard: int = 0
    records: int = 0
    minutes: int = 0
    feeds: dict[str, int] = field(default_factory=dict)  # sources, and the time of the last record of each
    open: dict[int, Counter[tuple[int, bool]]] = field(default_factory=dict)
    sequences: Sequences = field(default_factory=Sequences)
    broken: list[tuple[str, str]] = field(default_factory=list)  # the last messages and what did not follow them
    samples: dict[int, str] = field(default_factory=dict)  # of shapes that are not counted yet: a line
    last_id: dict[int, str] = field(default_factory=dict)  # of shapes: the template they had last
    messages: dict[str, Message] = field(default_factory=dict)
    recent: list[dict[str, int]] = field(default_factory=list)

    @property
    def learned(self) -> bool:
        """Whether there is enough to know what is new."""
        return self.closed - self.began >= LEARNING_NS and self.records >= LEARNING_RECORDS

    def mark(self, watermarks: Mapping[tuple[str, str], int], tenant: str) -> int:
        """End of the last minute that all sources of late have passed."""
        last = max(self.feeds.values())
        of_late = [watermarks.get((tenant, feed), 0) for feed, at in self.feeds.items() if at >= last - _SILENT_NS]
        return min(of_late) // MINUTE * MINUTE

    def skip(self, mark: int) -> bool:
        """Pass over minutes without records, up to `mark`: the program was away, or the log has long been silent."""
        before = self.closed
        self.closed = min(mark, min(self.open, default=mark + MINUTE) - MINUTE)
        return self.closed > before

    def knows(self, shape: int) -> bool:
        """Whether a shape was seen before."""
        return shape in self.last_id or shape in self.samples

    def idle(self) -> bool:
        """Whether nothing waits and nothing has come for so long that zeros mean nothing any more."""
        return not self.open and self.closed - self.heard > _SILENT_NS

    def close(self, end: int, templates: Templates) -> Iterator[Told]:
        """The numbers of the minute that ends at `end`."""
        counts, failed = self._count(end, templates)
        self.closed = end
        over = self.sequences.over(end, self.last_id)
        self.broken = [*self.broken, *over.missing][-_KEPT_BREAKS:]
        n = counts.total()
        self.records += n
        if n:
            self.heard = end
        self.recent = [*self.recent[1 - TRAILING :], dict(counts)]
        self.minutes = min(self.minutes + 1, MEMORY)
        trailing = self.trailing()
        if n:
            yield Told("log.error_ratio", (), failed.total() / max(n, _LEAST_ERRORS_OF))
        if over.expected:
            yield Told("log.sequence_break_ratio", (), len(over.missing) / max(over.expected, _LEAST_ERRORS_OF))
        if self.learned:
            for severity, value in self._new(counts).items():
                yield Told("log.new_template.records", (("severity", severity),), value)
            yield Told("log.vanished_templates", (), float(len(self.vanished())))
            if trailing.total() >= _SHIFT_RECORDS:
                yield Told("log.template_shift", (), self._shift(trailing))
        yield from self._rates(counts)
        self._learn(trailing)
        self._forget()

    def trailing(self) -> Counter[str]:
        """Records by template in the last minutes."""
        found = Counter[str]()
        for minute in self.recent:
            found.update(minute)
        return found

    def vanished(self) -> list[str]:
        """Templates that always came, should have come often in the last minutes, and did not."""
        trailing = self.trailing()
        usual = math.fsum(message.usual for message in self.messages.values())
        if len(self.recent) < TRAILING or not usual:
            return []
        share = min(trailing.total() / usual, 1.0)
        return [
            key
            for key, message in self.messages.items()
            if message.steady >= _STEADY
            and self.closed - message.first >= _SILENT_NS
            and message.usual * share >= _EXPECTED
            and not trailing[key]
        ]

    def _count(self, end: int, templates: Templates) -> tuple[Counter[str], Counter[str]]:
        """Records, and those that are errors, of a minute by template."""
        counts, failed = Counter[str](), Counter[str]()
        for (shape, bad), n in sorted(self.open.pop(end, {}).items()):
            key = self._key(shape, bad, end, templates)
            counts[key] += n
            if bad:
                failed[key] += n
        for key, n in counts.items():
            message = self.messages[key]
            message.records += n
            message.last = end
        return counts, failed

    def _key(self, shape: int, bad: bool, end: int, templates: Templates) -> str:
        """Id of the template of a shape, its message made or taken over from what it was before."""
        template = templates.of(shape)
        before = self.last_id.get(shape)
        if before == template.id and template.id in self.messages:
            return template.id
        self.last_id[shape] = template.id
        sample = self.samples.pop(shape, template.text)
        now = self.messages.get(template.id)
        if before is not None and before != template.id and before in self.messages:
            was = self.messages.pop(before)
            was.text = template.text
            self.recent = [_renamed(minute, before, template.id) for minute in self.recent]
            now = was if now is None else was.joined(now)
        if now is None:
            now = Message(template.text, sample, end, end, bad, self.learned and templates.alone(shape))
        now.failed = now.failed or bad
        self.messages[template.id] = now
        return template.id

    def _new(self, counts: Mapping[str, int]) -> dict[str, float]:
        """Records of messages that are new, errors and others."""
        found = {"error": 0.0, "other": 0.0}
        for key, n in counts.items():
            message = self.messages[key]
            if message.novel and self.closed - message.first < NEW_NS:
                found["error" if message.failed else "other"] += n
        return found

    def _shift(self, trailing: Counter[str]) -> float:
        """Jensen-Shannon divergence (bits, 0..1) of the last minutes' mix from the usual one (J. Lin, 1991)."""
        usual = math.fsum(message.usual for message in self.messages.values())
        n = trailing.total()
        if not usual or self.minutes < 2 * TRAILING:
            return 0.0
        parts = []
        for key, message in self.messages.items():
            now, was = trailing[key] / n, message.usual / usual
            middle = (now + was) / 2
            parts += [p * math.log2(p / middle) / 2 for p in (now, was) if p > 0]
        return min(max(math.fsum(parts), 0.0), 1.0)

    def _rates(self, counts: Mapping[str, int]) -> Iterator[Told]:
        """Records of each message that is frequent enough for a series of its own."""
        rated = sum(message.rated for message in self.messages.values())
        for key, message in self.messages.items():
            ripe = message.records >= _RATED_RECORDS and self.closed - message.first >= NEW_NS
            if ripe and not message.rated and rated < MOST_RATED:
                message.rated = True
                rated += 1
            if message.rated:
                labels = (("log.template", key), ("severity", "error" if message.failed else "other"))
                yield Told("log.template.records", labels, float(counts.get(key, 0)))

    def _learn(self, trailing: Counter[str]) -> None:
        for key, message in self.messages.items():
            age = (self.closed - message.first) // MINUTE + 1
            rate = 1.0 / min(age, MEMORY)
            message.usual += rate * (trailing[key] - message.usual)
            message.steady += rate * ((trailing[key] > 0) - message.steady)

    def _forget(self) -> None:
        """Let go of messages that have not come for a day, and of the oldest when there are too many."""
        old = [key for key, message in self.messages.items() if self.closed - message.last > _FORGET_NS]
        excess = len(self.messages) - len(old) - MOST_MESSAGES
        if excess > 0:
            left = sorted((message.last, key) for key, message in self.messages.items() if key not in set(old))
            old += [key for _, key in left[:excess]]
        if old:
            gone = set(old)
            self.messages = {key: message for key, message in self.messages.items() if key not in gone}
            self.last_id = {shape: key for shape, key in self.last_id.items() if key not in gone}

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        messages = [
            [key, m.text, m.sample, m.first, m.last, m.failed, m.novel, m.records, m.usual, m.steady, m.rated]
            for key, m in self.messages.items()
        ]
        return [
            [self.service, self.began, self.closed, self.heard, self.records, self.minutes],
            dict(self.feeds),
            [[end, [[*key, n] for key, n in counts.items()]] for end, counts in self.open.items()],
            self.sequences.snapshot(),
            [list(pair) for pair in self.broken],
            [[shape, sample] for shape, sample in self.samples.items()],
            [[shape, key] for shape, key in self.last_id.items()],
            messages,
            [list(map(list, minute.items())) for minute in self.recent],
        ]

    @staticmethod
    def restored(state: list[Any]) -> ServiceLogs:
        """A service back from a snapshot."""
        of, feeds, minutes, sequences, broken, samples, last_id, messages, recent = state
        service, began, closed, heard, records, passed = of
        return ServiceLogs(
            service,
            began,
            closed,
            heard,
            records,
            passed,
            dict(feeds),
            {end: Counter({(shape, bad): n for shape, bad, n in counts}) for end, counts in minutes},
            Sequences.restored(sequences),
            [(first, second) for first, second in broken],
            dict(samples),
            dict(last_id),
            {key: Message(*rest) for key, *rest in messages},
            [dict(minute) for minute in recent],
        )


def _renamed(minute: dict[str, int], old: str, new: str) -> dict[str, int]:
    if old not in minute:
        return minute
    found = {key: n for key, n in minute.items() if key != old}
    found[new] = found.get(new, 0) + minute[old]
    return found
