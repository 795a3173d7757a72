"""One entry as one message of a broker: the blocks of a segment file, with the dictionaries that they need."""

from __future__ import annotations

import numpy as np

from tocsin.journal.blocks import FORMAT, BlockKind, blocks, pack_block
from tocsin.journal.codec import MALFORMED, decode, encode
from tocsin.journal.dictionary import SERIES_PER_BLOCK, ReadDictionary, SchemaCodes, SeriesTexts
from tocsin.model.arrays import I4
from tocsin.model.errors import Corrupt
from tocsin.model.log import Entry
from tocsin.model.series import Catalog


class _MessageDictionary(SchemaCodes):
    """Codes of a single message; a segment's own would be as long as the catalog."""

    def __init__(self, texts: SeriesTexts) -> None:
        super().__init__()
        self._texts = texts
        self._named: list[I4] = []
        self._used = 0

    def codes(self, numbers: I4) -> I4:
        """Codes of catalog numbers, shape (n,); each call names its series anew."""
        if not len(numbers):
            return numbers
        named, codes = np.unique(numbers, return_inverse=True)
        found: I4 = (codes + self._used).astype(np.int32)
        self._named.append(named.astype(np.int32))
        self._used += len(named)
        return found

    def blocks(self) -> list[bytes]:
        """Blocks that name the series, in the order of their codes."""
        if not self._named:
            return []
        named = np.concatenate(self._named)
        return [self._texts.pack(named[at : at + SERIES_PER_BLOCK]) for at in range(0, len(named), SERIES_PER_BLOCK)]


def pack_message(entry: Entry, texts: SeriesTexts) -> bytes:
    """An entry with all that it needs to be read; the first byte is the version of the format."""
    dictionary = _MessageDictionary(texts)
    kind, payload, schemas = encode(entry, dictionary)
    parts = [pack_block(BlockKind.SCHEMA, schema, 0) for schema in schemas]
    parts += [pack_block(BlockKind.SERIES, series, 0) for series in dictionary.blocks()]
    parts.append(pack_block(kind, payload, 0, unit_end=True))
    return b"".join((FORMAT.to_bytes(8, "little"), *parts))


def unpack_message(raw: bytes, catalog: Catalog) -> Entry:
    """The entry that `pack_message` wrote, its series numbered by `catalog`.

    Raises
    ------
    Corrupt
        The bytes are no such message, or one of a newer release.
    """
    version = int.from_bytes(raw[:8], "little")
    if not 1 <= version <= FORMAT:
        raise Corrupt(f"a message of format {version} is none that this release reads (up to {FORMAT})")
    dictionary = ReadDictionary(catalog, version)
    try:
        for block in blocks(memoryview(raw)[8:]):
            if block.kind is BlockKind.SERIES:
                dictionary.add_series(block.payload)
            elif block.kind is BlockKind.SCHEMA:
                dictionary.add_schema(block.payload)
            else:
                return decode(block.kind, block.payload, dictionary)
    except MALFORMED as error:
        raise Corrupt(f"a message passes its checksums and can't be read: {error}") from error
    raise Corrupt("a message is cut short or fails its checksum")
