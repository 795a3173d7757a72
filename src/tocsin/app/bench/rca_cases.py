"""Nezha's injected faults (github.com/IntelligentDDS/Nezha) as folders that `tocsin diagnose` reads, one a fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tocsin.model.errors import BadInput

SET: Final = "nezha_ts_0130"
DAY: Final = "2023-01-30"
AFTER_S: Final = 300
"""Seconds of each fault that are handed over; it lasts about three minutes, and the next comes after six at least."""
BEFORE_S: Final = 60
PARTS: Final = ("metrics", "logs", "spans")
_NOT_METRICS: Final = frozenset({"phase", "source_file", "Time", "TimeStamp", "PodName"})


@dataclass(frozen=True, slots=True)
class Fault:
    """An injected fault: which pod, what, since when (s)."""

    pod: str
    kind: str
    at: int


class Nezha:
    """One day of the data set in memory.

    Raises
    ------
    BadInput
        The directory doesn't hold it.
    """

    def __init__(self, datasets: Path) -> None:
        folder = datasets / SET / DAY
        if not (folder / "fault_list.json").is_file():
            raise BadInput(f"{folder}: no fault_list.json there; bench rca needs {SET}/{DAY} in --datasets")
        listed = json.loads((folder / "fault_list.json").read_text())
        self.faults = [
            Fault(each["inject_pod"], each["inject_type"], int(each["inject_timestamp"]))
            for hour in listed.values()
            for each in hour
        ]
        self._metrics = _long(pq.read_table(folder / "metric1.parquet"))
        self._logs = _lines(pq.read_table(folder / "log.parquet"))
        self._spans = _spans(pq.read_table(folder / "trace.parquet"))

    def write(self, fault: Fault, folder: Path, parts: tuple[str, ...] = PARTS, *, past: bool = False) -> None:
        """Write what was known five minutes into a fault: all metrics, and of requests and lines a minute of calm.

        With `past` all requests and lines of before, those of earlier faults among them.
        """
        folder.mkdir(parents=True, exist_ok=True)
        until = fault.at + AFTER_S
        if "metrics" in parts:
            pq.write_table(self._metrics.filter(pc.less(self._metrics["time"], until)), folder / "metrics.parquet")
        for name, table, column in (("logs", self._logs, "time"), ("spans", self._spans, "start")):
            if name not in parts:
                continue
            seconds = pc.divide(table[column], 10**9)
            inside = pc.less(seconds, until)
            if not past:
                near = pc.greater_equal(seconds, fault.at - BEFORE_S)
                inside = pc.and_(inside, pc.or_(near, pc.equal(table["phase"], "normal")))
            pq.write_table(table.filter(inside).drop_columns(["phase"]), folder / f"{name}.parquet")


def _long(table: Any) -> Any:
    table = table.filter(pc.equal(table["phase"], "fault"))
    names = [name for name in table.column_names if name not in _NOT_METRICS]
    parts = [
        pa.table(
            {
                "time": table["TimeStamp"],
                "entity": table["PodName"],
                "metric": pa.array(np.repeat(name, table.num_rows)),
                "value": table[name].cast(pa.float64()),
            }
        )
        for name in names
    ]
    return pa.concat_tables(parts)


def _lines(table: Any) -> Any:
    texts, levels = [], []
    for raw in table["Log"].to_pylist():
        texts.append(_said(raw))
        word = texts[-1].split(None, 2)[1:2]
        levels.append(word[0] if word and word[0] in ("INFO", "WARN", "ERROR") else "")
    return pa.table(
        {
            "phase": table["phase"],
            "time": table["TimeUnixNano"].cast(pa.int64()),
            "entity": table["PodName"],
            "severity": levels,
            "body": texts,
        }
    )


def _said(raw: str) -> str:
    try:
        return str(json.loads(raw)["log"])
    except (ValueError, KeyError, TypeError):
        return raw


def _spans(table: Any) -> Any:
    start, end = table["StartTimeUnixNano"].cast(pa.int64()), table["EndTimeUnixNano"].cast(pa.int64())
    return pa.table(
        {
            "phase": table["phase"],
            "trace_id": table["TraceID"],
            "span_id": table["SpanID"],
            "parent_id": table["ParentID"],
            "entity": table["PodName"],
            "operation": table["OperationName"],
            "start": start,
            "duration": pc.divide(pc.subtract(end, start).cast(pa.float64()), 1e9),
            "status": pa.nulls(table.num_rows, pa.string()),
        }
    )


def folders(
    nezha: Nezha, work: Path, parts: tuple[str, ...] = PARTS, *, past: bool = False
) -> Iterator[tuple[Fault, Path]]:
    """Every fault with its folder under `work`, written as it is asked for."""
    for number, fault in enumerate(nezha.faults):
        folder = work / f"{number:02d}"
        nezha.write(fault, folder, parts, past=past)
        yield fault, folder
