"""One tree of errors; every leaf has a bounded `code` that metrics and callers can rely on."""

from __future__ import annotations

from typing import ClassVar


class TocsinError(Exception):
    """Base of every error this program raises on purpose."""

    code: ClassVar[str] = "internal"


class BadInput(TocsinError):
    """The sender or the user gave something that can't be accepted; retrying won't help."""

    code: ClassVar[str] = "bad_input"


class TooLarge(BadInput):
    """A body, before or after decompression, is over the stated limit (HTTP 413)."""

    code: ClassVar[str] = "too_large"


class Unsupported(BadInput):
    """A content type or encoding nobody here speaks (HTTP 415)."""

    code: ClassVar[str] = "unsupported"


class Overloaded(TocsinError):
    """Try again later (HTTP 429 or 503); nothing was accepted."""

    code: ClassVar[str] = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DiskFull(Overloaded):
    """The disk has no room; what was begun was undone, and the same is tried again."""

    code: ClassVar[str] = "disk_full"


class Denied(TocsinError):
    """No key or signature, or not the right one; `status` is 401 or 403."""

    code: ClassVar[str] = "denied"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BadConfig(BadInput):
    """A configuration that can't take effect, with its place as `file:line:column`."""

    code: ClassVar[str] = "bad_config"


class Retryable(TocsinError):
    """A destination did not take a message now, and may later."""

    code: ClassVar[str] = "retryable"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(TocsinError):
    """A destination will never take this message; don't send it again."""

    code: ClassVar[str] = "refused"


class Unreachable(TocsinError):
    """A server, store or broker can't be reached (exit code 3)."""

    code: ClassVar[str] = "unreachable"


class Corrupt(TocsinError):
    """A stored file is not what its checksum says."""

    code: ClassVar[str] = "corrupt"
