"""Entries of every kind for tests of the log: a hypothesis strategy, and a comparison across catalogs."""

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from tocsin.model.frame import SCHEMAS, Frame, FrameKind, points_frame
from tocsin.model.log import Control, Output, Tick
from tocsin.model.series import Catalog, Kind, Series, Signal

TEXT = st.text(max_size=8)
WIDE = st.text(st.characters(exclude_categories=()), max_size=6)  # lone surrogates included
I8 = st.integers(-(2**63), 2**63 - 1)


def _scalar(kind: pa.DataType):
    if pa.types.is_map(kind):
        return st.dictionaries(TEXT, TEXT, max_size=3).map(lambda d: list(d.items()))
    if pa.types.is_list(kind):
        return st.none() | st.lists(st.floats(), max_size=3)
    if pa.types.is_floating(kind):
        return st.floats()
    if pa.types.is_fixed_size_binary(kind):
        return st.binary(min_size=kind.byte_width, max_size=kind.byte_width)
    if pa.types.is_string(kind):
        return TEXT
    bits = kind.bit_width
    return st.integers(0, 255) if kind == pa.uint8() else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@st.composite
def series(draw):
    signal = Signal(draw(WIDE), draw(TEXT), draw(st.sampled_from(Kind)), draw(st.booleans()), draw(st.booleans()))
    return Series.of(draw(WIDE), signal, draw(st.dictionaries(WIDE, WIDE, max_size=3)))


@st.composite
def frames(draw, catalog: Catalog):
    kind = draw(st.sampled_from(FrameKind))
    n = draw(st.integers(0, 4))
    pool = [catalog.intern(s) for s in draw(st.lists(series(), min_size=1, max_size=4))]
    columns = []
    for field in SCHEMAS[kind]:
        values = st.sampled_from(pool) if field.name == "series" else _scalar(field.type)
        columns.append(pa.array(draw(st.lists(values, min_size=n, max_size=n)), field.type))
    return Frame(kind, draw(WIDE), draw(WIDE), pa.RecordBatch.from_arrays(columns, schema=SCHEMAS[kind]))


def entries(catalog: Catalog):
    return st.one_of(
        frames(catalog),
        st.builds(Tick, I8, st.dictionaries(st.tuples(WIDE, WIDE), I8, max_size=3)),
        st.builds(Control.of, TEXT, st.binary(max_size=40)),
        st.builds(Output, I8, I8, st.booleans(), st.lists(frames(catalog), max_size=3).map(tuple)),
    )


def plain(entry, catalog: Catalog):
    """An entry as something that compares: series by identity, floats by their bits."""
    if isinstance(entry, Frame):
        columns = []
        for field, column in zip(entry.batch.schema, entry.batch.columns, strict=True):
            if field.name == "series":
                columns.append([catalog[ref] for ref in column.to_pylist()])
            elif field.type == pa.float64():
                columns.append(np.asarray(column.to_numpy(zero_copy_only=False)).view("i8").tolist())
            else:
                columns.append(repr(column.to_pylist()))
        return entry.kind, entry.tenant, entry.source, columns
    if isinstance(entry, Output):
        return entry.cause, entry.received, entry.tick, [plain(frame, catalog) for frame in entry.frames]
    return entry


def numbered(catalog: Catalog, n: int, first: int = 0):
    """`n` frames of three points; the values tell which frame it is."""
    refs = np.array([catalog.intern(Series.of("main", Signal("cpu"), {"host": str(i)})) for i in range(3)], "i4")
    time = np.array([1, 2, 3], "i8")
    return [points_frame("main", "test", refs, time, np.full(3, float(i))) for i in range(first, first + n)]


def numbers(records):
    """The values that `numbered` put in, with their offsets."""
    return [(record.offset, record.entry.f8("value")[0]) for record in records]
