"""Frames that are read as messages and that the fold fails at: what no edge of ours writes, and another program may."""

import pyarrow as pa

from engine.worlds import T0, S, span_frame, spiking
from tocsin.model.frame import Frame


def spoilt_points(catalog, tenant="main"):
    """Points whose flags are missing: the fold fails when they come."""
    frame = spiking(catalog, seconds=1, tenant=tenant, series=2)[0]
    return _without(frame, "flags")


def spoilt_spans(_=None, tenant="main", at=T0 + S):
    """Spans that have no id: the fold takes them in, and fails at the tick after them."""
    return _without(span_frame([at], tenant=tenant), "span_id")


def _without(frame, name):
    at = frame.batch.schema.get_field_index(name)
    field = frame.batch.schema.field(at)
    nothing = pa.nulls(len(frame), field.type)
    return Frame(frame.kind, frame.tenant, frame.source, frame.batch.set_column(at, field, nothing))
