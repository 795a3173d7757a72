"""Snappy blocks, whose declared size is judged before memory is set aside for them."""

from __future__ import annotations

import cramjam

from tocsin.model.errors import BadInput


def declared_bytes(body: bytes) -> int:
    """Length that a snappy block says it has when decompressed (a varint in front).

    Raises
    ------
    BadInput
        There is none.
    """
    size = 0
    for place, byte in enumerate(body[:5]):
        size |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return size
    raise BadInput("the body is not a snappy block: it does not begin with its length")


def unsnappy(body: bytes, size: int) -> bytes:
    """Decompress a snappy block that declares `size` bytes.

    Raises
    ------
    BadInput
        It is no such block, or holds another number of bytes.
    """
    # a block can't grow by more than 64 bytes for every 3: more is a lie, found before memory is set aside for it
    if size > 24 * len(body) + 64:
        raise BadInput(f"the body is not a snappy block: {len(body)} bytes can't hold the {size} it declares")
    try:
        raw = bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as bad:
        raise BadInput(f"the body is not a snappy block (framed or truncated?): {str(bad)[:100]}") from bad
    if len(raw) != size:
        raise BadInput(f"the snappy block declares {size} bytes and holds {len(raw)}")
    return raw
