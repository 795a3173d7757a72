"""A message of the log and what its headers say: which shard, who wrote it, where it came from."""

from __future__ import annotations

import json
from typing import Final, TypeAlias

from tocsin.journal.messages import unpack_message
from tocsin.model.errors import Corrupt
from tocsin.model.log import Output
from tocsin.model.place import Place
from tocsin.model.routed import ALL_SHARDS, Routed
from tocsin.model.series import Catalog

Headers: TypeAlias = list[tuple[str, str | bytes | None]]
Given: TypeAlias = Headers | dict[str, str | bytes | None] | None
"""Headers as the client gives them."""
SHARD: Final = "shard"
EDGE: Final = "edge"
PLACE: Final = "place"
CAUSE: Final = "cause"


def headers_of(shard: int, edge: str, place: Place | None) -> Headers:
    """Headers of a message."""
    found: Headers = [(EDGE, edge)] if shard == ALL_SHARDS else [(SHARD, str(shard))]
    return found if place is None else [*found, (PLACE, json.dumps(place))]


def output_headers(output: Output) -> Headers:
    """Headers of a message that holds an output."""
    return [(CAUSE, str(output.cause))]


def cause_of(headers: Given) -> int:
    """Offset that caused the output of a message, -1 where it is none."""
    text = _said(headers).get(CAUSE, "")
    return int(text) if text.isdecimal() else -1


def _said(headers: Given) -> dict[str, str]:
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    return {key: value if isinstance(value, str) else (value or b"").decode(errors="replace") for key, value in pairs}


def routed_of(offset: int, value: bytes | None, headers: Given, catalog: Catalog) -> Routed:
    """What a message holds, its series numbered by `catalog`.

    Raises
    ------
    Corrupt
        It holds nothing that this release reads.
    """
    said = _said(headers)
    entry = unpack_message(value or b"", catalog)
    try:
        place = Place(*json.loads(said[PLACE])) if PLACE in said else None
        return Routed(offset, entry, int(said.get(SHARD, ALL_SHARDS)), said.get(EDGE, ""), place)
    except (ValueError, TypeError) as error:
        raise Corrupt(f"headers of a message can't be read: {error}") from error
