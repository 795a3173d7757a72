"""Where a message goes: the Destination port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tocsin.model.message import Message


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a destination answered; `thread` names the thread, page or ticket for later notices of the incident."""

    detail: str = ""
    thread: str = ""


class Destination(Protocol):
    """Delivers messages of incidents to one place.

    `resend_s` is how often an open incident must be told again to stay known there (0: once is enough).
    """

    name: str
    resend_s: float

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Deliver one message at time `now` (ns); `thread` is what the first notice's receipt said, or empty.

        Raises
        ------
        Retryable
            Not delivered now; it may be later.
        Refused
            It will never be delivered.
        """

    async def close(self) -> None:
        """Close connections."""
