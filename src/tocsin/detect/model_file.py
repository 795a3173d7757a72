"""What an ONNX file holds, read without running it: a file that could reach beyond itself is refused.

The messages and field numbers are those of `onnx.proto3` (ONNX 1.19); only what has to be known is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tocsin.model.errors import BadConfig
from tocsin.model.text import one_line

MODEL_BYTES: Final = 8 << 20
"""Largest model file; it travels in the log and in every snapshot."""
NODES_MOST: Final = 5_000
DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Standard operators; all others are code of somebody."""
CONTROL_FLOW: Final = frozenset({"If", "Loop", "Scan", "SequenceMap"})
RANDOM: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    number: int
    value: int
    raw: memoryview


@dataclass(slots=True)
class ModelOutline:
    """What a file says of itself: operators by name, and its metadata."""

    operators: set[str] = field(default_factory=set)
    nodes: int = 0
    metadata: dict[str, str] = field(default_factory=dict)


def outline(raw: bytes) -> ModelOutline:
    """Read a model file through.

    Raises
    ------
    BadConfig
        It is too large, no ONNX, or has foreign operators, control flow, chance or tensors in other files.
    """
    if len(raw) > MODEL_BYTES:
        raise BadConfig(
            f"the model has {len(raw):,} bytes, more than the {MODEL_BYTES:,} that are taken; train a smaller one"
        )
    found = ModelOutline()
    graphs = 0
    for number, _, part in _fields(memoryview(raw)):
        if number == 7:
            graphs += 1
            _graph(part, found)
        elif number == 8:
            _domain(next((_text(f.raw) for f in _fields(part) if f.number == 1), ""))
        elif number == 14:
            texts = {f.number: _text(f.raw) for f in _fields(part)}
            found.metadata[texts.get(1, "")] = texts.get(2, "")
        elif number in (20, 25):
            raise BadConfig("the model holds functions or training steps of its own; export it for inference only")
    if graphs != 1 or not found.operators:
        raise BadConfig("this is no ONNX model: it has no graph; give a file that `tocsin train` or an exporter wrote")
    return found


def _graph(raw: memoryview, found: ModelOutline) -> None:
    for number, _, part in _fields(raw):
        if number == 1:
            _node(part, found)
        elif number == 5:
            _tensor(part)
        elif number == 15:
            _sparse(part)


def _node(raw: memoryview, found: ModelOutline) -> None:
    operator = domain = ""
    for number, _, part in _fields(raw):
        if number == 4:
            operator = _text(part)
        elif number == 7:
            domain = _text(part)
        elif number == 5:
            _attribute(part)
    _domain(domain, operator)
    if operator in CONTROL_FLOW:
        raise BadConfig(f"the model has control flow ({operator}), whose time has no bound; export it without")
    if operator in RANDOM:
        raise BadConfig(f"the model draws random numbers ({operator}); the same input must give the same output")
    found.operators.add(operator)
    found.nodes += 1
    if found.nodes > NODES_MOST:
        raise BadConfig(f"the model has more than {NODES_MOST:,} nodes; train a smaller one")


def _attribute(raw: memoryview) -> None:
    for number, _, part in _fields(raw):
        if number in (5, 10):
            _tensor(part)
        elif number in (22, 23):
            _sparse(part)
        elif number in (6, 11):
            raise BadConfig("the model has a graph within its graph, whose time has no bound; export it without")


def _sparse(raw: memoryview) -> None:
    for number, _, part in _fields(raw):
        if number in (1, 2):
            _tensor(part)


def _tensor(raw: memoryview) -> None:
    for number, value, _ in _fields(raw):
        if number == 13 or (number == 14 and value != 0):
            raise BadConfig("the model keeps tensors in another file; save it whole, in one file")


def _domain(domain: str, operator: str = "") -> None:
    if domain not in DOMAINS:
        what = f"the operator {one_line(operator)[:60]} of " if operator else ""
        raise BadConfig(
            f"the model uses {what}{one_line(domain)[:60]!r}; only standard ONNX operators (ai.onnx, ai.onnx.ml) are run"
        )


def _text(raw: memoryview) -> str:
    return bytes(raw).decode("utf-8", "replace")


def _fields(raw: memoryview) -> Iterator[_Field]:
    """Fields of a protobuf message: varints as `value`, lengths as `raw`.

    >>> [(f.number, f.value, bytes(f.raw)) for f in _fields(memoryview(bytes([8, 150, 1, 18, 1, 65])))]
    [(1, 150, b''), (2, 0, b'A')]
    """
    at, none = 0, raw[:0]
    while at < len(raw):
        key, at = _varint(raw, at)
        kind, number = key & 7, key >> 3
        if kind == _VARINT:
            value, at = _varint(raw, at)
            yield _Field(number, value, none)
            continue
        if kind == _BYTES:
            size, at = _varint(raw, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise BadConfig(_DAMAGED)
        if number == 0 or at + size > len(raw):
            raise BadConfig(_DAMAGED)
        yield _Field(number, 0, raw[at : at + size])
        at += size


def _varint(raw: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw) and shift < 64:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise BadConfig(_DAMAGED)


_DAMAGED: Final = "this is no ONNX model, or a damaged one; give a file that `tocsin train` or an exporter wrote"
