"""What signing in from a browser needs: a book of sessions, as a port that `app` may fill."""

from __future__ import annotations

from typing import Final, Protocol

from tocsin.model.access import Access

SESSION_S: Final = 12 * 3600
SESSION_NS: Final = SESSION_S * 10**9


class SessionBook(Protocol):
    """Sessions of browsers; a key that is revoked ends its own. Calls may wait for a store."""

    def open(self, header: str, now: int) -> str:
        """Start a session of `SESSION_S` for an Authorization header that was found good; gives the token for the cookie."""

    def access(self, token: str, now: int) -> Access | None:
        """What the key behind a token grants; None if there is none, or it is too old."""

    def close(self, token: str) -> None:
        """End a session."""
