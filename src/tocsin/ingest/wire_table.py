"""`ByteTable`: what bytes stand for, found in compiled code for many keys at once, tested byte by byte."""

from __future__ import annotations

import threading
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.ingest.wire_bytes import hashed, same_bytes
from tocsin.model.arrays import I4, I8, U1
from tocsin.stats.jit import njit

Rows: TypeAlias = tuple[int, int, int, int]
State: TypeAlias = tuple[np.uint64, I4, I8, U1]
"""Seed, slots, entries, arena."""
WORD: Final = 0
"""Row of `entries`: a number that belongs to the key."""
HEAD: Final = 1
"""Row of `entries`: length of the first of the key's two parts."""
OFF: Final = 2
END: Final = 3
VALUE: Final = 4
HASH: Final = 5
_ROWS: Final = 6
_PROBES: Final = 48
"""A key is looked for in so many places at most: whoever forges collisions makes only their own keys slow."""


@njit()
def _place(b: U1, word: int, spans: tuple[int, int, int, int], state: State) -> tuple[int, Any, Any]:
    """Entry of a key or -1, the slot where it is or could be (-1: none), and its hash."""
    p, end, q, stop = spans
    seed, slots, entries, arena = state
    h = hashed(b, q, stop, hashed(b, p, end, seed ^ (np.uint64(word) * np.uint64(0xFF51AFD7ED558CCD))))
    mask = slots.size - 1
    slot = np.int64(h >> np.uint64(8)) & mask
    told = np.int64(h)
    for _ in range(_PROBES):
        entry = slots[slot]
        if entry < 0:
            return -1, slot, told
        if (
            entries[HASH, entry] == told
            and entries[WORD, entry] == word
            and entries[HEAD, entry] == end - p
            and entries[END, entry] - entries[OFF, entry] == end - p + stop - q
            # another thread may have added to a larger arena since this one was taken
            and entries[END, entry] <= arena.size
        ):
            at = entries[OFF, entry]
            if same_bytes(b, p, end, arena, at) and same_bytes(b, q, stop, arena, at + end - p):
                return entry, slot, told
        slot = (slot + 1) & mask
    return -1, -1, told


@njit()
def _find(b: U1, word: I8, spans: I8, rows: Rows, state: State, out: I4) -> None:
    """Values of keys into `out`, -1 where a key is unknown."""
    begin, end, begin_2, end_2 = rows
    entries = state[2]
    for i in range(word.size):
        key = (spans[begin, i], spans[end, i], spans[begin_2, i], spans[end_2, i])
        entry, _, _ = _place(b, word[i], key, state)
        out[i] = -1 if entry < 0 else entries[VALUE, entry]


@njit()
def _add(key: U1, head: int, word: int, state: State, at: I8, value: int) -> bool:
    """Add a key for which there is room in `entries` and `arena`; `at` counts what is used of both."""
    spans = (0, head, head, key.size)
    _, slots, entries, arena = state
    entry, slot, told = _place(key, word, spans, state)
    if entry >= 0 or slot < 0:
        return entry >= 0
    entry, off = at[0], at[1]
    arena[off : off + key.size] = key
    entries[WORD, entry] = word
    entries[HEAD, entry] = head
    entries[OFF, entry] = off
    entries[END, entry] = off + key.size
    entries[VALUE, entry] = value
    entries[HASH, entry] = told
    slots[slot] = entry
    at[0] = entry + 1
    at[1] = off + key.size
    return True


@njit()
def _rebuild(slots: I4, entries: I8, n: int) -> None:
    mask = slots.size - 1
    for entry in range(n):
        slot = np.int64(np.uint64(entries[HASH, entry]) >> np.uint64(8)) & mask
        for _ in range(_PROBES):
            if slots[slot] < 0:
                slots[slot] = entry
                break
            slot = (slot + 1) & mask


class ByteTable:
    """A map from (number, bytes in two parts) to a number, that never forgets; thread-safe.

    Parameters
    ----------
    seed : secret number that keeps senders from choosing keys that collide

    >>> t = ByteTable(7)
    >>> t.add(1, b"ab", b"c", 5)
    True
    >>> body = np.frombuffer(b"abc", "u1")
    >>> t.find(body, np.array([1, 1, 2]), np.array([[0, 0, 0], [2, 1, 2], [2, 1, 2], [3, 3, 3]])).tolist()
    [5, -1, -1]
    """

    def __init__(self, seed: int) -> None:
        self._seed = np.uint64(seed)
        self._lock = threading.Lock()
        self._slots: I4 = np.full(1 << 8, -1, np.int32)
        self._entries: I8 = np.zeros((_ROWS, 1 << 6), np.int64)
        self._arena: U1 = np.zeros(1 << 12, np.uint8)
        self._used: I8 = np.zeros(2, np.int64)
        self._publish()

    def _publish(self) -> None:
        self._now = (self._seed, self._slots, self._entries, self._arena)

    def __len__(self) -> int:
        return int(self._used[0])

    @property
    def held_bytes(self) -> int:
        """Memory that the table holds."""
        return self._slots.nbytes + self._entries.nbytes + self._arena.nbytes

    def find(self, body: U1, word: I8, spans: I8, rows: Rows = (0, 1, 2, 3)) -> I4:
        """Values (n,) of keys, -1 where unknown.

        `word` (n,) are the numbers; `rows` of `spans` (.., n or more) begin and end of both parts in `body`.
        """
        out: I4 = np.empty(word.size, np.int32)
        _find(body, word, spans, rows, self._now, out)
        return out

    def add(self, word: int, first: bytes, second: bytes, value: int) -> bool:
        """Remember a key; False when there are too many like it and it is not remembered."""
        key: NDArray[np.uint8] = np.frombuffer(first + second, np.uint8)
        with self._lock:
            self._make_room(key.size)
            return bool(_add(key, len(first), word, self._now, self._used, value))

    def _make_room(self, size: int) -> None:
        entry, off = self._used.tolist()
        if off + size > self._arena.size:
            arena = np.zeros(2 * self._arena.size + size, np.uint8)
            arena[:off] = self._arena[:off]
            self._arena = arena
        if entry >= self._entries.shape[1]:
            entries = np.zeros((_ROWS, 2 * entry), np.int64)
            entries[:, :entry] = self._entries
            slots = np.full(8 * entry, -1, np.int32)
            _rebuild(slots, entries, entry)
            self._entries, self._slots = entries, slots
        self._publish()
