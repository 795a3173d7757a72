"""What stays the same in a log line: its text with numbers, ids, quoted and assigned values taken out, and a number for that.

One compiled pass over the bytes of a line, whatever they are. Only the head of a line is read: its first lines of text
and bytes, so that a stack trace is known by its exception and its innermost frames, and a line of a megabyte by its
beginning. Keys are kept (of JSON and of `key=value`), values are not, but for those of JSON keys that carry a message.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tocsin.model.arrays import I8, U1
from tocsin.stats.jit import njit, read_only

U8: TypeAlias = NDArray[np.uint64]

HEAD_BYTES: Final = 1024
"""Bytes of a line that are read."""
HEAD_LINES: Final = 3
"""Lines of a text of several lines that are read."""
MASK: Final = "<*>"
"""What stands for that which varies."""
_ROOM: Final = 3 * HEAD_BYTES + 16
# flags of a byte; a word is a run of bytes of which each is _WORD
_WORD, _VARIES, _NOT_HEX, _HIGH, _SPACE = 1, 2, 4, 8, 16

# JSON keys whose value is what the line says: read as text
_SAID: Final = ("msg", "message", "event", "level", "severity", "log", "text", "error", "exception", "reason", "logger")
_DATE_WORDS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    *("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
)


def _flags() -> U1:
    found = np.zeros(256, "u1")
    found[:33] = found[127] = _SPACE
    found[128:] = _WORD | _NOT_HEX | _HIGH
    found[list(b"abcdefABCDEF-")] = _WORD
    found[list(b"ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ_.")] = _WORD | _NOT_HEX
    found[list(b"@")] = _WORD | _NOT_HEX | _VARIES
    found[list(b"0123456789")] = _WORD | _VARIES
    return found


def _keys(words: tuple[str, ...]) -> I8:
    """Words of at most nine letters as numbers, sorted; see `_key`."""
    found = []
    for word in words:
        key = 0
        for byte in word.encode():
            key = (key * 131 + byte) & 0x3FFFFFFFFFFFFFFF
        found.append(key)
    return read_only(np.array(sorted(found), "i8"))


_FLAGS: Final = read_only(_flags())
_SAID_KEYS: Final = _keys(_SAID)
_DATE_KEYS: Final = _keys(_DATE_WORDS)


def shapes(texts: Any) -> I8:
    """63 bits of the masked text of each text of an Arrow string column, (n,); null as "".

    >>> import pyarrow as pa
    >>> a, b, c = shapes(pa.array(["took 12 ms", "took 3.5 ms", "gave up"])).tolist()
    >>> a == b, a == c
    (True, False)
    """
    if texts.null_count:
        texts = texts.fill_null("")
    _, offsets, raw = texts.buffers()
    starts = read_only(np.frombuffer(offsets, "i4")[texts.offset : texts.offset + len(texts) + 1])
    found = np.zeros(len(texts), "u8")
    data = read_only(np.frombuffer(raw, "u1") if raw is not None else np.zeros(0, "u1"))
    _shapes(data, starts, _FLAGS, _SAID_KEYS, _DATE_KEYS, np.zeros(_ROOM, "u1"), found)
    return (found >> np.uint64(1)).astype("i8")


def masked(text: str) -> str:
    """What stays the same in a line.

    >>> masked("2026-01-02 03:04:05 INFO user=bob took 12.5 ms from 10.0.0.1:80, 10.0.0.2:80")
    '<*>:<*>:<*> INFO user=<*> took <*> ms from <*>:<*>:<*>'
    >>> masked('{"level":"error","msg":"no route to 10.1.1.1","peer":"db"}')
    '{"level":"error","msg":"no route to <*>","peer":"<*>"}'
    """
    raw = np.frombuffer(text.encode("utf-8", "replace"), "u1")
    out = np.zeros(_ROOM, "u1")
    n = int(_mask(raw, 0, len(raw), _FLAGS, _SAID_KEYS, _DATE_KEYS, out))
    return out[:n].tobytes().decode("utf-8", "replace")


@njit("i8(Array(u1,1,'C',readonly=True),i8,i8)")
def _key(raw: U1, start: int, stop: int) -> int:
    """A number for the word in [start, stop); -1 for one that is too long to be any that is looked for."""
    if stop - start > 9:
        return -1
    found = np.int64(0)
    for i in range(start, stop):
        found = (found * 131 + raw[i]) & 0x3FFFFFFFFFFFFFFF
    return int(found)


@njit("b1(i8,Array(i8,1,'C',readonly=True))")
def _among(key: int, keys: I8) -> bool:
    for i in range(keys.size):  # noqa: SIM110 - kernels have no generators
        if keys[i] == key:
            return True
    return False


@njit("i8(Array(u1,1,'C',readonly=True),i8,i8)")
def _quote_end(raw: U1, at: int, stop: int) -> int:
    """Place of the quote that closes the one at `at`, or -1."""
    quote = raw[at]
    i = at + 1
    while i < stop:
        if raw[i] == 92:  # a backslash
            i += 1
        elif raw[i] == quote:
            return i
        elif raw[i] == 10:
            return -1
        i += 1
    return -1


@njit("i8(Array(u1,1,'C',readonly=True),i8,i8)")
def _escape_end(raw: U1, at: int, stop: int) -> int:
    """Place behind an ANSI sequence whose escape stands before `at`."""
    i = at
    if i < stop and raw[i] == 91:  # [
        i += 1
        while i < stop and not 64 <= raw[i] <= 126:
            i += 1
        i += 1
    return min(i, stop)


@njit("i8(Array(u1,1,'C',readonly=True),i8,i8,Array(u1,1,'C',readonly=True))")
def _value_end(raw: U1, at: int, stop: int, flags: U1) -> int:
    """Place behind an assigned value that begins at `at`; `at` itself for what is no single value."""
    first = raw[at]
    if first in (34, 39):
        end = _quote_end(raw, at, stop)
        if end > 0:
            return end + 1
    i = at
    while i < stop:
        c = raw[i]
        # , ; ) ] } & ( [ { and " end it
        if flags[c] & 16 or c in (44, 59, 41, 93, 125, 38, 40, 91, 123, 34):
            break
        i += 1
    return i


@njit("b1(Array(u1,1,'C',readonly=True),i8,i8,Array(i8,1,'C',readonly=True))")
def _odd(raw: U1, start: int, stop: int, dates: I8) -> bool:
    """Whether a word without digits varies all the same: a month, a day of the week, bytes that were no text."""
    if stop - start == 3 and _among(_key(raw, start, stop), dates):
        return True
    for k in range(start, stop - 2):  # noqa: SIM110 - kernels have no generators
        # U+FFFD stands for what could not be read
        if raw[k] == 0xEF and raw[k + 1] == 0xBF and raw[k + 2] == 0xBD:
            return True
    return False


@njit("i8(u1[::1],i8,Array(u1,1,'C',readonly=True),i8,i8)")
def _copy(out: U1, n: int, raw: U1, start: int, stop: int) -> int:
    for i in range(start, stop):
        out[n] = raw[i]
        n += 1
    return n


@njit(
    "i8(Array(u1,1,'C',readonly=True),i8,i8,Array(u1,1,'C',readonly=True),Array(i8,1,'C',readonly=True),"
    "Array(i8,1,'C',readonly=True),u1[::1])"
)
def _mask(  # noqa: C901, PLR0912 - one pass over bytes: each call within it would cost more than what it does
    raw: U1, start: int, stop: int, flags: U1, said: I8, dates: I8, out: U1
) -> int:
    """Write the masked text of the line in [start, stop) to `out`; its length.

    Words are scanned here and not in a kernel of their own: handing arrays on costs more than most words. `behind` is
    the place behind the last mask while nothing but spaces and commas follow it: the next mask is one with it, so that
    a list is the same whatever its length.
    """
    i, stop, n, behind, lines = start, min(stop, start + 1024), 0, 0, 0
    speaks, closes = False, -1
    while i < stop and n < out.size - 1040:
        c = raw[i]
        if flags[c] & 1:
            at, seen = i, np.uint8(0)
            while i < stop:
                flag = flags[raw[i]]
                if not flag & 1:
                    break
                seen |= flag
                out[n + i - at] = raw[i]
                i += 1
            size = i - at
            varies = (seen & 2) != 0 or (size > 40 and not seen & 8) or (size >= 16 and not seen & 4)
            if not varies and (seen & 8 or (size == 3 and c < 91)):
                varies = _odd(raw, at, i, dates)
            if not varies:
                n, behind = n + size, 0
            else:
                if not behind:
                    out[n], out[n + 1], out[n + 2] = 60, 42, 62
                    behind = n + 3
                n = behind
            if i + 1 < stop and raw[i] == 61:  # key=
                n, behind, i = _assigned(raw, i, stop, flags, out, n)
        elif flags[c] & 16:
            i += 1
            if c == 27:
                i = _escape_end(raw, i, stop)
                continue
            lines += c == 10
            if lines == 3:
                break
            if n and out[n - 1] != 32:
                out[n] = 32
                n += 1
        elif c == 34 and i != closes:
            n, i, speaks, closes = _quoted(raw, i, stop, said, out, n, speaks)
            behind = 0
        else:
            i += c == 92 and i + 1 < stop and raw[i + 1] == 34  # an escaped quote opens nothing
            out[n] = raw[i]
            behind = behind if c == 44 else 0
            n, i = n + 1, i + 1
    return n - 1 if n and out[n - 1] == 32 else n


@njit("UniTuple(i8,3)(Array(u1,1,'C',readonly=True),i8,i8,Array(u1,1,'C',readonly=True),u1[::1],i8)")
def _assigned(raw: U1, at: int, stop: int, flags: U1, out: U1, n: int) -> tuple[int, int, int]:
    """Put `=` and a mask for what is assigned behind it: new length, place behind the mask or 0, where to go on."""
    out[n] = 61
    end = _value_end(raw, at + 1, stop, flags)
    if end == at + 1:
        return n + 1, 0, end
    out[n + 1], out[n + 2], out[n + 3] = 60, 42, 62
    return n + 4, n + 4, end


@njit("Tuple((i8,i8,b1,i8))(Array(u1,1,'C',readonly=True),i8,i8,Array(i8,1,'C',readonly=True),u1[::1],i8,b1)")
def _quoted(raw: U1, at: int, stop: int, said: I8, out: U1, n: int, speaks: bool) -> tuple[int, int, bool, int]:
    """What becomes of a quote: a key is kept, a value masked, that of a speaking key read on as text.

    Gives the new length, where to go on, whether the next value is text, and the quote that closes what is read so.
    """
    out[n] = 34
    end = _quote_end(raw, at, stop)
    if end < 0:
        return n + 1, at + 1, False, -1
    after = end + 1
    while after < stop and raw[after] == 32:
        after += 1
    if after < stop and raw[after] == 58:  # :
        n = _copy(out, n + 1, raw, at + 1, end + 1)
        return n, end + 1, _among(_key(raw, at + 1, end), said), -1
    if speaks:
        return n + 1, at + 1, False, end
    out[n + 1], out[n + 2], out[n + 3], out[n + 4] = 60, 42, 62, 34
    return n + 5, end + 1, False, -1


@njit(
    "void(Array(u1,1,'C',readonly=True),Array(i4,1,'C',readonly=True),Array(u1,1,'C',readonly=True),"
    "Array(i8,1,'C',readonly=True),Array(i8,1,'C',readonly=True),u1[::1],u8[::1])"
)
def _shapes(raw: U1, starts: Any, flags: U1, said: I8, dates: I8, room: U1, found: U8) -> None:
    """Hash of the masked text of each line, eight bytes at a time (the mixing of MurmurHash3, A. Appleby, 2011)."""
    for row in range(found.size):
        n = _mask(raw, starts[row], starts[row + 1], flags, said, dates, room)
        mixed = np.uint64(n)
        at = 0
        while at < n:
            word, shift = np.uint64(0), np.uint64(0)
            for i in range(at, min(at + 8, n)):
                word |= np.uint64(room[i]) << shift
                shift += np.uint64(8)
            at += 8
            word *= np.uint64(0x87C37B91114253D5)
            word = (word << np.uint64(31)) | (word >> np.uint64(33))
            mixed ^= word * np.uint64(0x4CF5AD432745937F)
            mixed = ((mixed << np.uint64(27)) | (mixed >> np.uint64(37))) * np.uint64(5) + np.uint64(0x52DCE729)
        mixed ^= mixed >> np.uint64(33)
        mixed *= np.uint64(0xFF51AFD7ED558CCD)
        mixed ^= mixed >> np.uint64(33)
        mixed *= np.uint64(0xC4CEB9FE1A85EC53)
        mixed ^= mixed >> np.uint64(33)
        found[row] = mixed
