"""`Shelf`: where files of state lie, by name - a directory, a bucket of an object store, or a topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol


class Shelf(Protocol):
    """Files by name, each there as a whole or not at all; two who write the same name leave one of both."""

    def names(self) -> Sequence[str]:
        """Names of all files, in no order.

        Raises
        ------
        Unreachable
            The store does not answer.
        """

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises
        ------
        FileNotFoundError
            It is gone: another process has dropped it.
        Corrupt
            It is not whole any more; to rename it puts it aside.
        Unreachable
            The store does not answer.
        """

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Keep durably what `fill` writes, in the place of what had this name.

        Raises
        ------
        OSError, Unreachable, TooLarge
            It could not be kept; what had this name is still there.
        """

    def rename(self, name: str, other: str) -> None:
        """Give a file another name; one that is gone already stays so."""

    def drop(self, name: str) -> None:
        """Forget a file; one that is gone already stays so."""
