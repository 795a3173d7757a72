"""Attribute values of OTLP as text, and columns of them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import pyarrow as pa
import yaml
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tocsin.ingest.decoded import Unusable
from tocsin.ingest.identify import Pairs, Recent

_CACHED_VALUES = 50_000
_CACHED_BYTES = 128
_SERVICE: Final = "service.name"


def _plain(value: AnyValue) -> object:
    """The JSON value of an AnyValue; numbers JSON lacks become text."""
    which = value.WhichOneof("value")
    if which == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return {item.key: _plain(item.value) for item in value.kvlist_value.values}
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if which == "double_value" and not math.isfinite(value.double_value):
        return repr(value.double_value)
    return getattr(value, which) if which else None


def text_of(value: AnyValue) -> str:
    """An attribute value as text: numbers by repr, booleans true/false, the rest JSON.

    >>> text_of(AnyValue(double_value=2.0)), text_of(AnyValue(bool_value=True)), text_of(AnyValue())
    ('2.0', 'true', '')
    """
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return repr(value.int_value)
        case "double_value":
            return repr(value.double_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case None:
            return ""
        case _:
            return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)


def utf8(raw: bytes) -> str:
    """Text of a name.

    Raises
    ------
    Unusable
        It is not UTF-8.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as bad:
        raise Unusable("not_utf8") from bad


def _parse(message: Any, raw: bytes) -> Any:
    try:
        return message.FromString(raw)
    except DecodeError as bad:
        raise Unusable("bad_attribute") from bad


def _named(resource: dict[str, str]) -> Pairs:
    """Attributes of a resource, with a service's name by packs/service_names.yaml where it has none of its own."""
    names, unnamed = _service_names()
    own = resource.get(_SERVICE, "")
    if not own or own.partition(":")[0] == unnamed:
        told = next((resource[name] for name in names if resource.get(name)), "")
        resource |= {_SERVICE: told} if told else {}
    return tuple(resource.items())


@cache
def _service_names() -> tuple[list[str], str]:
    found = yaml.safe_load(files("tocsin.packs").joinpath("service_names.yaml").read_text(encoding="utf-8"))
    return found["names"], found["unnamed"]


class Values:
    """Turns raw attributes into text pairs, remembering the small ones; thread-safe."""

    def __init__(self, label_bytes: int) -> None:
        self._label_bytes = label_bytes
        self._pairs = Recent[bytes, tuple[str, str]](_CACHED_VALUES)
        self._resources = Recent[bytes, Pairs](_CACHED_VALUES // 10)
        self._scopes = Recent[bytes, str](_CACHED_VALUES // 10)

    def pairs(self, raw: Iterable[bytes]) -> list[tuple[str, str]]:
        """Key and text of each raw KeyValue, the last of equal keys kept.

        Raises
        ------
        Unusable
            One can't be parsed.
        """
        known = self._pairs
        found: list[tuple[str, str]] = []
        for one in raw:
            pair = known.get(one)
            if pair is None:
                parsed = _parse(KeyValue, one)
                pair = (parsed.key, text_of(parsed.value))
                if len(one) <= _CACHED_BYTES:
                    known.put(one, pair)
            found.append(pair)
        unique = dict(found)
        return found if len(unique) == len(found) else list(unique.items())

    def labels(self, raw: Iterable[bytes]) -> Pairs:
        """Like `pairs`, bounded in size as the labels of a series must be.

        Raises
        ------
        Unusable
            One can't be parsed, or together they are too large.
        """
        pieces = tuple(raw)
        if sum(map(len, pieces)) > self._label_bytes:
            raise Unusable("labels_too_large")
        return tuple(self.pairs(pieces))

    def resource(self, raw: bytes) -> Pairs:
        """Attributes of a raw Resource.

        Raises
        ------
        Unusable
            It can't be parsed, or is too large.
        """
        found = self._resources.get(raw)
        if found is None:
            parsed = _parse(Resource, raw)
            if len(raw) > self._label_bytes:
                raise Unusable("labels_too_large")
            found = _named({item.key: text_of(item.value) for item in parsed.attributes})
            self._resources.put(raw, found)
        return found

    def scope(self, raw: bytes) -> str:
        """Name of a raw InstrumentationScope.

        Raises
        ------
        Unusable
            It can't be parsed.
        """
        found = self._scopes.get(raw)
        if found is None:
            found = str(_parse(InstrumentationScope, raw).name)
            self._scopes.put(raw, found)
        return found

    def body(self, raw: bytes) -> str:
        """Text of a raw AnyValue.

        Raises
        ------
        Unusable
            It can't be parsed.
        """
        return text_of(_parse(AnyValue, raw))


class PairsColumn:
    """Builds a map column from lists of pairs, flat, converted once."""

    def __init__(self) -> None:
        self._pairs: list[tuple[str, str]] = []
        self._offsets: list[int] = [0]

    def append(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add the pairs of one row."""
        self._pairs.extend(pairs)
        self._offsets.append(len(self._pairs))

    def array(self) -> pa.Array:
        """The column so far."""
        keys = [key for key, _ in self._pairs]
        items = [item for _, item in self._pairs]
        return pa.MapArray.from_arrays(
            pa.array(self._offsets, pa.int32()), pa.array(keys, pa.string()), pa.array(items, pa.string())
        )


class FloatsColumn:
    """Builds a list<float64> column, flat, converted once."""

    def __init__(self) -> None:
        self._flat: list[float] = []
        self._offsets: list[int] = [0]

    def append(self, values: Iterable[float]) -> None:
        """Add the values of one row."""
        self._flat.extend(values)
        self._offsets.append(len(self._flat))

    def array(self) -> pa.Array:
        """The column so far."""
        return pa.ListArray.from_arrays(pa.array(self._offsets, pa.int32()), pa.array(np.array(self._flat, "f8")))


def fixed_bytes(pieces: list[bytes], width: int) -> pa.Array:
    """A fixed-size binary column of pieces that all have `width` bytes."""
    return pa.Array.from_buffers(pa.binary(width), len(pieces), [None, pa.py_buffer(b"".join(pieces))])
