"""What a broker's messages hold: OTLP requests as the Collector's exporters write them, or points in JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from traceback import extract_tb
from typing import Final, Literal, NamedTuple, TypeAlias

import structlog

from tocsin.ingest.decoded import Refusals
from tocsin.ingest.edge import Edge
from tocsin.ingest.jsonl import decode_points
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.model.errors import BadInput, TocsinError
from tocsin.model.frame import Frame
from tocsin.model.log import Control
from tocsin.model.place import Place
from tocsin.model.series import MAIN_TENANT

_log = structlog.get_logger(__name__)

Format: TypeAlias = Literal["auto", "points", "metrics", "traces", "logs"]
_CALLS: Final = 6
_MOST_TOLD: Final = 100
_OTLP_TOPIC: Final = re.compile(r"(?:.*[._-])?otlp[._-](metrics|traces|spans|logs)")


class Message(NamedTuple):
    """One message, and the topic or stream that it is of."""

    topic: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """What some messages hold; `bad` are those that hold nothing that can be read: their number and why."""

    frames: tuple[Frame, ...]
    reasons: dict[tuple[str, str], int]
    bad: dict[int, str] = field(default_factory=dict)


def together(read: Sequence[Contents]) -> Contents:
    """What single messages hold, as what all of them do."""
    reasons: dict[tuple[str, str], int] = {}
    for contents in read:
        for key, rows in contents.reasons.items():
            reasons[key] = reasons.get(key, 0) + rows
    bad = {number: next(iter(contents.bad.values())) for number, contents in enumerate(read) if contents.bad}
    return Contents(tuple(frame for contents in read for frame in contents.frames), reasons, bad)


def signal_of(topic: str, form: Format) -> str | None:
    """Signal of OTLP that a topic carries; None: points in JSON.

    >>> signal_of("otlp_spans", "auto"), signal_of("team.otlp_metrics", "auto"), signal_of("telemetry.metrics", "auto")
    ('traces', 'metrics', None)
    """
    if form != "auto":
        return None if form == "points" else form
    found = _OTLP_TOPIC.fullmatch(topic)
    if found is None:
        return None
    return "traces" if found[1] == "spans" else found[1]


class MessageReader:
    """Reads messages of one source."""

    def __init__(
        self,
        source: str,
        edge: Edge,
        receiver: OtlpReceiver,
        *,
        form: Format = "auto",
        resource: Mapping[str, str],
        tenant: str = MAIN_TENANT,
    ) -> None:
        self.source = source
        self.tenant = tenant
        self._edge = edge
        self._receiver = receiver
        self._form = form
        self._resource = tuple(resource.items())
        self._told: set[tuple[str, str]] = set()

    def read(self, messages: Sequence[Message]) -> Contents:
        """What the messages hold, in their order; points of all together become one frame."""
        frames: list[Frame] = []
        reasons: dict[tuple[str, str], int] = {}
        bad: dict[int, str] = {}
        points: list[int] = []
        for number, message in enumerate(messages):
            signal = signal_of(message.topic, self._form)
            if len(message.value) > self._edge.limits.body_bytes:
                bad[number] = "too_large"
            elif signal is None:
                points.append(number)
            else:
                self._request(number, signal, message.value, frames, reasons, bad)
        self._points(points, messages, frames, reasons, bad)
        return Contents(tuple(frames), reasons, bad)

    def submit(
        self, messages: Sequence[Message], contents: Contents, place: Control | Place
    ) -> tuple[Contents, Future[int]]:
        """Hand in what messages hold, up to their place; what was handed in, and a future that is done when it is durable.

        Messages that redaction stumbles over are left out.

        Raises
        ------
        Overloaded
            The log is full; nothing was taken.
        """
        try:
            return contents, self._edge.submit(contents.frames, place)
        except (MemoryError, OSError, TocsinError):
            raise
        except Exception as fault:  # noqa: BLE001 - redacting is pure: it would fail at a message again and again
            contents = together(self._sound(messages, fault))
        return contents, self._edge.submit(contents.frames, place)

    def _sound(self, messages: Sequence[Message], fault: Exception) -> list[Contents]:
        """What is left of each message; raises the fault itself if none of them is to blame for it."""
        found = [self._alone(message) for message in messages]
        if not any("internal" in contents.bad.values() for contents in found):
            raise fault
        return found

    def _alone(self, message: Message) -> Contents:
        contents = self.read([message])
        try:
            self._edge.redacted(contents.frames)
        except Exception as fault:  # noqa: BLE001 - as above
            return Contents((), {}, {0: self._ours(fault)})
        return contents

    def _ours(self, fault: Exception) -> str:
        """The reason of a message that this program, not its sender, is to blame for; how is said once."""
        if isinstance(fault, MemoryError | OSError | TocsinError):
            raise fault  # it may go well the next time
        # not its words, which may be of the message, and that is not redacted
        calls = reversed(extract_tb(fault.__traceback__)[-_CALLS:])
        told = (type(fault).__name__, " < ".join(f"{each.name}:{each.lineno}" for each in calls))
        if told not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(told)
            event = "a message can't be taken in by a fault of this program; it is left out"
            _log.error(event, source=self.source, error=told[0], where=told[1])
        return "internal"

    def _request(
        self,
        number: int,
        signal: str,
        value: bytes,
        frames: list[Frame],
        reasons: dict[tuple[str, str], int],
        bad: dict[int, str],
    ) -> None:
        try:
            # a request of OTLP in protobuf begins with the tag of its first field, never with a brace
            found = self._receiver.decode(signal, value, self.tenant, as_json=value[:64].lstrip()[:1] == b"{")
        except BadInput as fault:
            bad[number] = fault.code
            return
        except Exception as fault:  # noqa: BLE001 - reading is pure: it would fail at this message again and again
            bad[number] = self._ours(fault)
            return
        frames += found.frames
        for key, rows in found.reasons.items():
            reasons[key] = reasons.get(key, 0) + rows

    def _points(
        self,
        numbers: Sequence[int],
        messages: Sequence[Message],
        frames: list[Frame],
        reasons: dict[tuple[str, str], int],
        bad: dict[int, str],
    ) -> None:
        if not numbers:
            return
        received = self._edge.received()
        lines = {number: messages[number].value.splitlines() for number in numbers}
        every = [line for number in numbers for line in lines[number]]
        try:
            found = decode_points(every, self._edge, self.tenant, self.source, received, self._resource)
        except Exception as fault:  # noqa: BLE001 - as above; each is read alone, so that one takes no other with it
            if len(numbers) == 1:
                bad[numbers[0]] = self._ours(fault)
                return
            for number in numbers:
                self._points([number], messages, frames, reasons, bad)
            return
        frames += found.frames
        for key, rows in found.reasons.items():
            reasons[key] = reasons.get(key, 0) + rows
        if found.rejected:  # seldom: which ones is worth reading them once more
            for number in numbers:
                alone = decode_points(lines[number], self._edge, self.tenant, self.source, received, self._resource)
                if alone.rejected and not alone.frames:
                    bad[number] = next(iter(Refusals(alone.reasons).by_reason()))
