"""What can go wrong in a log and is not the caller's fault."""

from __future__ import annotations

from typing import ClassVar

from tocsin.model.errors import TocsinError


class LogFailed(TocsinError):
    """The log could not make a record durable, or is closed; it takes nothing more."""

    code: ClassVar[str] = "log_failed"
