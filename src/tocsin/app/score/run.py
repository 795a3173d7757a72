"""Scoring of one file after another: look it through, judge its rows, write the verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.app.models import read_model
from tocsin.app.score.judges import Alone, Judge, Together
from tocsin.app.score.layout import Layout, Readings, Wanted
from tocsin.app.score.order import OrderCheck
from tocsin.app.score.sink import Sink
from tocsin.app.score.table import Table
from tocsin.detect.onnx_model import OnnxModel
from tocsin.model.errors import BadInput
from tocsin.plugin.registry import nearest


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one file."""

    file: str
    out: str
    rows: int
    series: int
    signals: int
    alarms: int

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {name: getattr(self, name) for name in self.__slots__}


Said = Callable[[str], None]
Advanced = Callable[[int, int], None]
"""Called with rows judged so far and rows in all."""


def outputs(files: Sequence[Path], wanted: Wanted) -> list[Path]:
    """Where the verdicts on each file go.

    Raises
    ------
    BadInput
        Two files would be written to one, or a file over itself.
    """
    found: dict[Path, Path] = {}
    for file in files:
        out = wanted.out / f"{file.stem}.{wanted.form}"
        if out in found:
            raise BadInput(f"{file} and {found[out]} would both be written to {out}; score them into two directories")
        if out.resolve() == file.resolve():
            raise BadInput(f"{out} is the file to score itself; name another directory with --out")
        found[out] = file
    return list(found)


def score_file(file: Path, out: Path, wanted: Wanted, say: Said, advance: Advanced) -> Told:
    """Judge every row of a file by the rows before it, and write one row for each, in order.

    Raises
    ------
    BadInput
        The file is not as it should be; nothing was written.
    """
    table = Table(file)
    model = None if wanted.model is None else OnnxModel(read_model(wanted.model))
    layout = Layout.of(table, wanted)
    if model is not None:
        layout = _features(table, layout, model, wanted.values)
    if layout.left_out:
        say(f"{file}: not scored, for they hold no numbers or were not named: {', '.join(layout.left_out)}")
    total = _looked_through(Readings(table, layout), say)
    readings = Readings(table, layout)
    alone = wanted.univariate or len(layout.values) == 1 if model is None else model.features == 1
    judge: Judge = Alone(layout.values, model) if alone else Together(layout.values, model)
    rows = alarms = 0
    with Sink(out, layout) as sink:
        for block in readings.blocks():
            judged = judge.judge(block)
            if wanted.train_until_ns is not None:
                judged.alarm[block.time < wanted.train_until_ns] = False
            sink.write(block, judged)
            rows += len(block)
            alarms += int(np.count_nonzero(judged.alarm))
            advance(rows, total)
    return Told(str(file), str(out), rows, len(readings.groups), len(layout.values), alarms)


def _features(table: Table, layout: Layout, model: OnnxModel, named: tuple[str, ...]) -> Layout:
    """The layout with the model's features, in its order; every column on its own for a model of one feature.

    Raises
    ------
    BadInput
        The table has not what the model learned.
    """
    names = model.card.names
    if model.features == 1:
        values = names if not named and names and names[0] in layout.values else layout.values
    elif names and not named:
        missing = [name for name in names if name not in layout.values]
        if missing:
            raise BadInput(
                f"{table.path}:1: the model's feature {missing[0]!r} is no column of numbers here: "
                f"{nearest(missing[0], list(layout.values))}"
            )
        values = names
    else:
        values = layout.values
        if len(values) != model.features:
            raise BadInput(
                f"{table.path}:1: the model has {model.features} features, found are {len(values)} columns of numbers; "
                "name its columns with --value, in its order"
            )
    left = tuple(name for name in (*layout.values, *layout.left_out) if name not in values)
    return replace(layout, values=values, left_out=left)


def _looked_through(readings: Readings, say: Said) -> int:
    """Read all cells and check the order of time before anything is judged; the number of rows."""
    check = OrderCheck(readings)
    for block in readings.blocks():
        check.follow(block)
    disorder = check.done()
    if disorder is not None:
        say(f"{disorder.message} ({disorder.count} of {disorder.rows} rows; they are taken in the order of the file)")
    return check.rows
