"""`Lead`: which of several processes does what only one may do at a time, by a lock that lives with a connection.

PostgreSQL holds an advisory lock for as long as the session that took it: a process that dies, or whose connection is
cut, no longer leads, and the next that asks does. So a process asks before every step that the others must not make
too; between the answer and the step lies no more than the time of the step.
"""

from __future__ import annotations

import threading
import zlib
from pathlib import Path
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from tocsin.selfmon.metrics import gauge
from tocsin.store.dialects import LOCKS, SQLITE, in_our_words, opened, parsed

SENDING: Final = "sending"
"""The lead of the process that sends messages and carries actions."""
_LEADS = gauge("tocsin_store_lead_up", "1: this process does what only one of several may do.", ("lead",))
_log = structlog.get_logger(__name__)


class Lead:
    """The lead in one thing, named; any thread may ask.

    Over SQLite, which has one process, it is always held. Connect straight to PostgreSQL: behind a pooler that gives
    every transaction another connection no lock lasts.

    Parameters
    ----------
    url : of the state store
    name : of what is led
    password_file : as for the state store
    """

    def __init__(self, url: str, name: str, password_file: Path | None = None) -> None:
        self.name = name
        self._url = parsed(url)
        self._alone = self._url.get_backend_name() == SQLITE
        # the second half of the key; the lock of writers has a small number
        self._key = zlib.crc32(name.encode()) >> 1 | 1 << 20
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._engine: sa.Engine | None = None
        if not self._alone:
            self._engine = opened(self._url, password_file, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        self._has = False
        self._told = False
        self._term = 0

    def held(self) -> bool:
        """Whether this process leads now; takes the lead where nobody has it. It asks the database every time."""
        return self.term() != 0

    def term(self) -> int:
        """Number of the term in which this process leads, 0 if it doesn't: another number, and it was interrupted."""
        if self._engine is None:
            return 1
        with self._lock:
            try:
                leads = self._ask(self._engine)
            except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
                if self._told:
                    where = self._url.render_as_string(hide_password=True)
                    _log.warning("no longer in the lead", lead=self.name, cause=str(in_our_words(error, where)))
                self._drop()
                leads = False
            if leads != self._told:
                self._told = leads
                _LEADS.labels(self.name).set(leads)
                if leads:
                    _log.info("in the lead", lead=self.name, term=self._term)
            return self._term if leads else 0

    def _ask(self, engine: sa.Engine) -> bool:
        """Whether the session has the lock, which lives as long as it does; one that has it not tries for it."""
        if self._connection is None:
            self._connection, self._has = engine.connect(), False
        if self._has:
            self._connection.exec_driver_sql("SELECT 1")
            return True
        got = self._connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({LOCKS}, {self._key})").scalar()
        self._has = bool(got)
        self._term += self._has
        return self._has

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # closed for good, and the lock with it
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Give the lead away: another process may have it at once."""
        with self._lock:
            self._drop()
            self._told = False
        if self._engine is not None:
            self._engine.dispose()
