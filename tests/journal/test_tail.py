"""The newest records in memory: no more than allowed is held, and what is dropped is let go."""

import gc
import weakref

from tocsin.journal.tail import Tail
from tocsin.model.log import Control, LogRecord


class _Held:
    """Stands in for the columns of a frame."""


def test_what_is_dropped_is_let_go_at_once():
    tail, held = Tail(1_000), []
    for offset in range(50):
        content = _Held()
        held.append(weakref.ref(content))
        tail.append(LogRecord(offset, Control("kind", "", content)), 100)  # type: ignore[arg-type]
        del content
    gc.collect()
    assert [at for at, one in enumerate(held) if one() is not None] == list(range(40, 50))


def test_records_are_found_by_offset_whatever_was_dropped():
    tail = Tail(1_000)
    for offset in range(5_000):
        tail.append(LogRecord(offset, Control("kind", str(offset), b"")), 10)
        first = max(0, offset - 99)
        assert [record.offset for record in tail.read(first, 3) or []] == list(range(first, min(first + 3, offset + 1)))
        if first:
            assert tail.read(first - 1, 1) is None
