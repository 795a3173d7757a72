"""What a broker's messages hold: OTLP requests as the Collector's exporters write them, or points in JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

import structlog

from tocsin.ingest.decoded import Refusals
from tocsin.ingest.edge import Edge
from tocsin.ingest.jsonl import decode_points
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.model.errors import BadInput, TocsinError
from tocsin.model.frame import Frame
from tocsin.model.series import MAIN_TENANT

_log = structlog.get_logger(__name__)

Format: TypeAlias = Literal["auto", "points", "metrics", "traces", "logs"]
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


def _fault_of_ours(source: str, fault: Exception) -> str:
    """The reason of a message that this program, not its sender, is to blame for."""
    if isinstance(fault, MemoryError | OSError | TocsinError):
        raise fault  # it may go well the next time
    _log.error("a message can't be read by a fault of this program; it is left out", source=source, exc_info=fault)
    return "internal"


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
            bad[number] = _fault_of_ours(self.source, fault)
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
                bad[numbers[0]] = _fault_of_ours(self.source, fault)
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
