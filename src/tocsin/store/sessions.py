"""Sessions of browsers in the state store: no token and no key, only what tells that a token was given for a key."""

from __future__ import annotations

from typing import Final, NamedTuple

import sqlalchemy as sa

from tocsin.store.sql import Sql
from tocsin.store.tables import SESSIONS

MOST: Final = 1000
"""Sessions at once; of more, those that end first make room."""


class Session(NamedTuple):
    """One session: the hash of its token, the key behind it, its end (ns), and what proves that one of our processes wrote it."""

    digest: str
    key_id: str
    until: int
    seal: str


class SessionRows(Sql):
    """The part of the state store that knows who is signed in."""

    def add_session(self, session: Session, *, now: int) -> None:
        """Begin a session; those that are over at `now` are forgotten."""
        table = SESSIONS.c
        with self._begin() as connection:
            connection.execute(SESSIONS.delete().where(table.until <= now))
            kept = sa.select(table.digest).order_by(table.until.desc(), table.digest).limit(MOST - 1)
            connection.execute(SESSIONS.delete().where(table.digest.not_in(kept)))
            connection.execute(SESSIONS.insert().values(session._asdict()))

    def session(self, digest: str) -> Session | None:
        """The session of a token with this hash, or None."""
        with self._reading() as connection:
            row = connection.execute(sa.select(SESSIONS).where(SESSIONS.c.digest == digest)).first()
        return None if row is None else Session(row.digest, row.key_id, row.until, row.seal)

    def end_session(self, digest: str) -> None:
        """End a session."""
        with self._begin() as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.digest == digest))
