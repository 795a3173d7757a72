"""A small SQL database: opened and migrated, transactions that read and that write, errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tocsin.store.dialects import in_our_words, opened, parsed, reading, writing
from tocsin.store.migrate import upgrade


class Sql:
    """A database that any thread may call, brought to the tables of this program when it is opened."""

    def __init__(self, url: str, password_file: Path | None = None) -> None:
        self.url = parsed(url)
        self.password_file = password_file
        self._engine = opened(self.url, password_file)
        self._writes = writing(self._engine)
        self._reads = reading(self._engine)
        with ExitStack() as unopened:
            unopened.callback(self._engine.dispose)
            with self._translated():
                upgrade(self._writes)
            unopened.pop_all()

    @property
    def where(self) -> str:
        """The address without its password."""
        return self.url.render_as_string(hide_password=True)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def snapshot(self) -> AbstractContextManager[Connection]:
        """A transaction that sees the database as it is now, and writes nothing."""
        return self._reading()

    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction that writes, alone."""
        return self._begin()

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._translated(), self._writes.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._translated(), self._reads.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            raise in_our_words(error, self.where) from error
