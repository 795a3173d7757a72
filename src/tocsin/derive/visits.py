"""Requests to services, counted by who asked for what and how it was answered: of server spans and of access logs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.derive.fields import Coded, Fields, coded, joined
from tocsin.model.arrays import I8
from tocsin.model.frame import Frame
from tocsin.model.visit import PIECE_NS, Visit
from tocsin.spec.pack import AccessLogSpec

_FIELDS: Final = ("endpoint", "principal", "client", "country", "tool")
_MOST_CHARS: Final = 120
_DENIED: Final = frozenset({"401", "403", "7", "16", "PERMISSION_DENIED", "UNAUTHENTICATED"})
_EVERYTHING: Final = 1 << 60
_VARYING: Final = re.compile(r"^(?:\d+|[0-9a-fA-F-]{8,}|[^/]*\d{3,}[^/]*|.*%.*|.{40,})$")
_PRODUCT: Final = re.compile(r"[A-Za-z][\w.-]*?(?=[/ (;]|$)")


class _Asked(NamedTuple):
    """Columns of requests: rows of the frames and, by row of these, what was asked."""

    at: I8
    fields: dict[str, Coded]
    code: Coded


def visits_of_spans(frames: Sequence[Frame], fields: Fields) -> list[Visit]:
    """Requests in spans of servers of one tenant that tell an answer by code."""
    code = fields["access.code"]
    if not (code.code >= 0).any():
        return []
    kind = coded(joined(frames, "kind"))
    at = np.flatnonzero(np.isin(kind.code, kind.is_text("server")) & (code.code >= 0))
    return _visits(frames, fields, _Asked(at, {name: fields[f"access.{name}"] for name in _FIELDS}, code))


def visits_of_logs(frames: Sequence[Frame], fields: Fields, specs: Sequence[AccessLogSpec]) -> list[Visit]:
    """Requests in log records of one tenant: those with the attributes of one, and lines of access logs."""
    found: list[Visit] = []
    code, endpoint = fields["access.code"], fields["access.endpoint"]
    told = (code.code >= 0) & (endpoint.code >= 0)
    if told.any():
        asked = _Asked(np.flatnonzero(told), {name: fields[f"access.{name}"] for name in _FIELDS}, code)
        found += _visits(frames, fields, asked)
    body = joined(frames, "body")
    for spec in specs:
        near = pc.match_substring(body, spec.contains).fill_null(False).to_numpy(zero_copy_only=False) & ~told
        at = np.flatnonzero(near)
        if len(at):
            found += _visits(frames, fields, _lines(body, at, spec.pattern))
            told |= near
    return found


def _lines(body: pa.Array, at: I8, pattern: str) -> _Asked:
    """What lines say by the named groups of a pattern; lines that do not match are left out."""
    matched = pc.extract_regex(body.take(pa.array(at)), pattern)
    whole = matched.is_valid().to_numpy(zero_copy_only=False)
    at, matched = at[whole], matched.filter(pa.array(whole))
    groups = [matched.type.field(i).name for i in range(matched.type.num_fields)]
    n = int(at.max()) + 1 if len(at) else 0
    columns = {name: _spread(coded(matched.field(name)), at, n) for name in groups}
    none = Coded(np.full(n, -1, "i4"), [])
    return _Asked(at, {name: columns.get(name, none) for name in _FIELDS}, columns.get("code", none))


def _spread(column: Coded, at: I8, n: int) -> Coded:
    code = np.full(n, -1, "i4")
    code[at] = column.code
    return Coded(code, column.texts)


def _visits(frames: Sequence[Frame], fields: Fields, asked: _Asked) -> list[Visit]:
    at = asked.at
    if not len(at):
        return []
    pieces, piece = np.unique(
        np.concatenate([frame.i8("time") for frame in frames])[at] // PIECE_NS, return_inverse=True
    )
    columns = [
        fields["service.name"],
        *(_plain(asked.fields[name], _PLAIN.get(name, _short)) for name in _FIELDS),
        _plain(asked.code, _answer),
    ]
    cards = [len(pieces), *(len(column.texts) + 1 for column in columns)]
    codes = [piece.astype("i8"), *(column.code[at].astype("i8") + 1 for column in columns)]
    mixed, room = codes[0], cards[0]
    for code, card in zip(codes[1:], cards[1:], strict=True):
        if room > _EVERYTHING // card:
            known, mixed = np.unique(mixed, return_inverse=True)
            room = len(known)
        mixed, room = mixed * card + code, room * card
    _, first, counts = np.unique(mixed, return_index=True, return_counts=True)
    texts = [["", *column.texts] for column in columns]
    return [
        Visit._make(
            [int(pieces[codes[0][row]]), *(text[code[row]] for text, code in zip(texts, codes[1:], strict=True)), n]
        )
        for row, n in zip(first.tolist(), counts.tolist(), strict=True)
    ]


def _plain(column: Coded, plain: Callable[[str], str]) -> Coded:
    """The same under plainer texts, of which several may have become one."""
    known: dict[str, int] = {}
    new = [known.setdefault(text, len(known)) if (text := plain(each)) else -1 for each in column.texts]
    return Coded(np.array([*new, -1], "i4")[column.code], list(known))


def _short(text: str) -> str:
    return "" if text == "-" else text[:_MOST_CHARS]


def _answer(code: str) -> str:
    """How a request was answered, by its HTTP or gRPC code.

    >>> [_answer(code) for code in ("200", "0", "403", "503", "16")]
    ['ok', 'ok', 'denied', 'failed', 'denied']
    """
    if code in _DENIED:
        return "denied"
    return "ok" if code in ("0", "OK") or (len(code) == 3 and code[0] in "123") else "failed"


def _endpoint(text: str) -> str:
    """A path without what varies: query, numbers, ids; at most four steps.

    >>> _endpoint("/orders/12345/items?page=2"), _endpoint("/users/{id}"), _endpoint("GetUser")
    ('/orders/*/items', '/users/{id}', 'GetUser')
    """
    path = text[: _MOST_CHARS * 4].split("?", 1)[0].split("#", 1)[0]
    steps = path.split("/")
    if len(steps) == 1:
        return _short(path)
    return _short("/".join("*" if _VARYING.match(step) else step for step in steps[:5]))


def _tool(text: str) -> str:
    """The name of a program, without version and without what browsers add.

    >>> _tool("curl/8.5.0"), _tool("Mozilla/5.0 (X11) Chrome/130"), _tool("-")
    ('curl', 'Mozilla', '')
    """
    found = _PRODUCT.match(text)
    return _short(found[0] if found else text)


_PLAIN: Final[dict[str, Callable[[str], str]]] = {"endpoint": _endpoint, "tool": _tool}
