"""Entries that the fold fails at: tried a few times, then passed over by everybody who folds the log again.

What is passed over is written down beside the snapshots before anything that comes after it is said. So whoever folds
the same stretch later leaves out the same, also when a newer release could fold it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from traceback import extract_tb
from typing import Final, Protocol, TypeVar

import structlog

from tocsin.model.errors import Corrupt, TocsinError
from tocsin.model.frame import Frame
from tocsin.model.log import Entry, Tick
from tocsin.model.shelf import Shelf
from tocsin.selfmon.metrics import counter
from tocsin.spec.cluster import PASSED_OVER, TRIES

FAILED = counter("tocsin_engine_fold_failures_total", "Times that folding an entry failed and the state was restored")
PASSED = counter("tocsin_engine_passed_entries_total", "Entries that the fold fails at, passed over for good")
_NAME: Final = "passed.json"
_REASON: Final = 200
_log = structlog.get_logger(__name__)


class TooManyPassed(TocsinError):
    """More entries fail than may be passed over, or one that nobody may pass over."""


class Placed(Protocol):
    """An entry at its offset."""

    @property
    def offset(self) -> int:
        """Where it lies."""

    @property
    def entry(self) -> Entry:
        """What lies there."""


P = TypeVar("P", bound=Placed)


class Passed:
    """Offsets of one log that are passed over, and why; on the shelf of its snapshots.

    Parameters
    ----------
    first : what lies before it is in the log no more, and is forgotten here
    """

    def __init__(self, shelf: Shelf, first: int = 0) -> None:
        self._shelf = shelf
        self._reasons = {offset: why for offset, why in _read(shelf).items() if offset >= first}

    def __contains__(self, offset: int) -> bool:
        """Whether what lies there is passed over."""
        return offset in self._reasons

    def __len__(self) -> int:
        """How many are."""
        return len(self._reasons)

    def add(self, offsets: Sequence[int], reason: str) -> None:
        """Pass entries over from now on; durable when it returns.

        Raises
        ------
        OSError, Unreachable
            It could not be written down: nothing is passed over.
        """
        reasons = self._reasons | dict.fromkeys(offsets, reason[:_REASON])
        raw = json.dumps({str(offset): why for offset, why in sorted(reasons.items())}).encode()
        self._shelf.write(_NAME, lambda file: file.write(raw))
        self._reasons = reasons
        PASSED.inc(len(offsets))


def _read(shelf: Shelf) -> Mapping[int, str]:
    try:
        return {int(offset): str(why) for offset, why in json.loads(shelf.read(_NAME)).items()}
    except FileNotFoundError:
        return {}
    except (Corrupt, ValueError, AttributeError) as error:
        _log.error("what was passed over can't be read; it is tried again", reason=str(error))
        shelf.rename(_NAME, f"{_NAME}.broken")
        return {}


class Stumbles:
    """How often folding failed at an entry, by log; in this life of the process."""

    def __init__(self, tries: int = TRIES, most: int = PASSED_OVER) -> None:
        self._tries = tries
        self._most = most
        self._last: dict[int, tuple[int, int]] = {}

    def enough(self, log: int, offset: int) -> bool:
        """Count one more failure; whether the entry has been tried often enough.

        >>> stumbles = Stumbles(tries=2)
        >>> [stumbles.enough(0, 7), stumbles.enough(0, 7), stumbles.enough(0, 9)]
        [False, True, False]
        """
        FAILED.inc()
        last, count = self._last.get(log, (-1, 0))
        count = count + 1 if last == offset else 1
        self._last[log] = (offset, count)
        return count >= self._tries

    def blamed(self, record: P, since: Sequence[P], passed: Passed, error: Exception) -> Sequence[P]:
        """What is to be passed over: a frame itself; for a tick, all frames since the tick before.

        Raises
        ------
        TooManyPassed
            It is a control, a tick after which nothing came, or too much is passed over already.
        """
        found = [record] if isinstance(record.entry, Frame) else since if isinstance(record.entry, Tick) else ()
        if not found or len(passed) + len(found) > self._most:
            raise TooManyPassed(
                f"the entry at {record.offset} can't be folded ({told(error)}), and is not passed over:"
                f" {len(passed)} are already, {len(found)} more would be, and {self._most} may be"
            ) from error
        return found


def told(error: Exception) -> str:
    """An error in words, with its kind and where it was raised; what was folded then is not told.

    >>> told(ValueError("no"))
    'ValueError: no'
    """
    frames = extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {error}"[: _REASON - len(place)] + place
