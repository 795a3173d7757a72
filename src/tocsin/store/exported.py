"""What the rows of each kind of an export are: the fields and how the engine computes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import pyarrow as pa

from tocsin.model.codec import finding_to_json, number_to_json
from tocsin.model.errors import BadInput
from tocsin.model.finding import Finding, Phase
from tocsin.model.series import Kind, Series, Signal
from tocsin.store.log_rows import LOG_KEYS, LOG_ROWS
from tocsin.store.queries import Where
from tocsin.store.record_rows import JOINED_ROWS, PREDICTIONS_ONLY, RECORD_COLUMNS, RECORD_TYPES, record_of
from tocsin.store.schema import DATABASE

Row: TypeAlias = dict[str, Any]
_TEXT, _NUMBER, _NESTED = "text", "number", "nested"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows: SQL conditions and the values they refer to; times in [start, end) ns."""

    conditions: str
    values: Mapping[str, object]
    start: int
    end: int

    @property
    def parameters(self) -> dict[str, object]:
        """All values, times included."""
        return {**self.values, "start": self.start, "end": self.end}

    def between(self, start: int, end: int) -> Selection:
        """The same rows of a part of the time."""
        return replace(self, start=max(start, self.start), end=min(end, self.end))


@dataclass(frozen=True, slots=True)
class Exported:
    """One kind: `columns` are (field, expression, class); `t` is the row, `s` its series where `with_series`.

    `direct` are columns that `where` may name; any other key is a label, looked up in `labels`. `only` is a condition
    on every row; `rows` is the SQL that gives them, in which `%source%` stands for where they come from. `by` are other
    keys that `where` may name, with conditions in which `%value%` stands for what is wanted.
    """

    table: str
    columns: tuple[tuple[str, str, str], ...]
    labels: str
    order: str
    with_series: bool = False
    time: str = "time"
    final: bool = False
    direct: tuple[str, ...] = ()
    decode: Callable[[Row, str], Row] | None = None
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    only: str = ""
    rows: str = ""
    by: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> list[str]:
        """Names of the fields, in order."""
        return [name for name, _, _ in self.columns]

    def select(self, tenant: str, signal: str | None, where: Where, start: int, end: int) -> Selection:
        """Conditions for a tenant, a signal and labels.

        Raises
        ------
        BadInput
            A signal is named, and this kind has none.
        """
        clauses = ["tenant = {tenant:String}", f"{self.time} >= {{start:Int64}}", f"{self.time} < {{end:Int64}}"]
        values: dict[str, object] = {"tenant": tenant}
        if signal is not None:
            if not self.with_series:
                raise BadInput(f"{self.table} have no signal; choose by --where KEY=VALUE")
            clauses.append("signal = {signal:String}")
            values["signal"] = signal
        labelled = []
        for i, (key, value) in enumerate(dict(where).items()):
            values.update({f"k{i}": key, f"v{i}": value})
            if key in self.by:
                clauses.append(self.by[key].replace("%value%", f"{{v{i}:String}}"))
            elif key in self.direct:
                clauses.append(f"{key} = {{v{i}:String}}")
            elif self.with_series:
                labelled.append(f"labels[{{k{i}:String}}] = {{v{i}:String}}")
            else:
                clauses.append(f"{self.labels}[{{k{i}:String}}] = {{v{i}:String}}")
        if labelled:
            picked = " AND ".join(["tenant = {tenant:String}", *labelled])
            clauses.append(f"series IN (SELECT id FROM {DATABASE}.series WHERE {picked})")
        clauses += [self.only] if self.only else []
        return Selection(" AND ".join(clauses), values, start, end)

    def extent_sql(self, chosen: Selection) -> str:
        """How many rows a selection has, its first and last time."""
        return f"SELECT toInt64(count()) AS n, min({self.time}) AS a, max({self.time}) AS b FROM {self._source(chosen)}"

    def sql(self, chosen: Selection, *, for_csv: bool = False) -> str:
        """The rows of a selection, in order."""
        columns = ", ".join(
            f"{_for_csv(expression, kind) if for_csv else expression} AS {name}"
            for name, expression, kind in self.columns
        )
        rows = (self.rows or "(SELECT * FROM %source%) AS t").replace("%source%", self._source(chosen))
        if self.with_series:
            ids = f"SELECT series FROM {self._source(chosen)}"
            rows += f""" ANY LEFT JOIN (SELECT id, any(unit) AS unit, any(kind) AS kind, any(monotonic) AS monotonic,
                any(cumulative) AS cumulative, any(labels) AS labels FROM {DATABASE}.series
                WHERE tenant = {{tenant:String}} AND id IN ({ids}) GROUP BY id) AS s ON t.series = s.id"""
        return f"SELECT {columns} FROM {rows} ORDER BY {self.order}"

    def _source(self, chosen: Selection) -> str:
        return f"{DATABASE}.{self.table}{' FINAL' if self.final else ''} WHERE {chosen.conditions}"


def _for_csv(expression: str, kind: str) -> str:
    if kind == _NESTED:
        return f"toJSONString({expression})"
    if kind == _TEXT:
        return f"replaceRegexpOne(toString({expression}), '^([=+@\\\\t\\\\r-])', '''\\\\1')"
    return expression


def _time(expression: str) -> str:
    return f"concat(replaceOne(toString(fromUnixTimestamp64Nano({expression}, 'UTC')), ' ', 'T'), 'Z')"


def _or_null(expression: str) -> str:
    return f"if(isNaN({expression}), NULL, {expression})"


def _some(expression: str) -> str:
    return f"nullIf(toString({expression}), '')"


def _id(expression: str, size: int) -> str:
    return f"if({expression} = toFixedString('', {size}), '', lower(hex({expression})))"


_LABELS = "CAST(s.labels, 'Map(String, String)')"
_BOTH = "CAST(mapUpdate(t.resource, t.attributes), 'Map(String, String)')"
_MODEL_TEXTS = ("operation", "provider", "request_model", "response_model")
_SERIES_ORDER = "t.time, t.signal, t.series"
_NUMBERS = ("count", "sum", "min", "max")
_INTEGERS = ("input_tokens", "output_tokens", "total_tokens")
_CALL_FLAGS = ("counted", "estimated", "context_limit_warning", "prompt_truncation_risk")
_CALL_NUMBERS = (
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "context_limit_tokens",
    "context_utilization_ratio",
    "time_per_output_token_s",
    "retries",
)
_CALL_TEXTS = ("response_id", "region", "prompt_name", "user", "session", "customer")

_STRING, _DOUBLE = pa.string(), pa.float64()


def _finding(row: Row, tenant: str) -> Row:
    signal = Signal(
        row["signal"], row["unit"] or "", Kind(row["kind"] or "gauge"), bool(row["monotonic"]), bool(row["cumulative"])
    )
    # the stored identity is the authority: labels of a lost series don't change it
    series = Series(row["series"], tenant, signal, tuple(sorted(dict(row["labels"]).items())))
    evidence = json.loads(row["evidence"] or "{}")
    found = finding_to_json(
        Finding(
            id=row["id"],
            phase=Phase(row["phase"]),
            tenant=tenant,
            monitor=row["monitor"],
            series=series,
            start=row["start"],
            end=row["end"],
            time=row["time"],
            value=row["value"],
            expected=(row["lower"], row["upper"]),
            log10_p=row["log10_p"],
            n_eff=row["n_eff"],
            level=row["level"],
            direction=row["direction"],
        )
    )
    found["evidence"] = {name: number_to_json(v) if isinstance(v, float) else v for name, v in evidence.items()}
    return found


def _raw(*names: str) -> tuple[tuple[str, str, str], ...]:
    return tuple((name, f"t.{name}", _NUMBER) for name in names)


KINDS: Mapping[str, Exported] = {
    "points": Exported(
        "points",
        (
            ("time", _time("t.time"), _NUMBER),
            ("signal", "toString(t.signal)", _TEXT),
            ("unit", "toString(s.unit)", _TEXT),
            ("labels", _LABELS, _NESTED),
            ("value", _or_null("t.value"), _NUMBER),
        ),
        "",
        _SERIES_ORDER,
        with_series=True,
    ),
    "distributions": Exported(
        "distributions",
        (
            ("time", _time("t.time"), _NUMBER),
            ("signal", "toString(t.signal)", _TEXT),
            ("unit", "toString(s.unit)", _TEXT),
            ("labels", _LABELS, _NESTED),
            *((name, _or_null(f"t.{name}"), _NUMBER) for name in _NUMBERS),
            ("bounds", "t.bounds", _NESTED),
            ("counts", "t.counts", _NESTED),
            *_raw("scale", "zero_count", "offset", "negative_offset"),
            ("negative_counts", "t.negative_counts", _NESTED),
        ),
        "",
        _SERIES_ORDER,
        with_series=True,
    ),
    "spans": Exported(
        "spans",
        (
            ("time", _time("t.start"), _NUMBER),
            ("end", _time("t.time"), _NUMBER),
            ("trace_id", _id("t.trace_id", 16), _NUMBER),
            ("span_id", _id("t.span_id", 8), _NUMBER),
            ("parent_id", _id("t.parent_id", 8), _NUMBER),
            *((name, f"toString(t.{name})", _TEXT) for name in ("name", "kind", "status")),
            ("labels", _BOTH, _NESTED),
            *((name, _some(f"t.{name}"), _TEXT) for name in _MODEL_TEXTS),
            *_raw(*_INTEGERS),
            ("finish_reason", _some("t.finish_reason"), _TEXT),
            ("error_class", _some("t.error_class"), _TEXT),
            *_raw("cost_usd", "time_to_first_token_s"),
            ("prompt_version", _some("t.prompt_version"), _TEXT),
            *_raw(*_CALL_FLAGS, *_CALL_NUMBERS),
            *((name, _some(f"t.{name}"), _TEXT) for name in _CALL_TEXTS),
        ),
        "mapUpdate(resource, attributes)",
        "t.start, t.trace_id, t.span_id",
        time="start",
        direct=(
            "name",
            "kind",
            "status",
            *_MODEL_TEXTS,
            "finish_reason",
            "error_class",
            "prompt_version",
            *_CALL_TEXTS,
        ),
    ),
    "logs": Exported(
        "logs",
        (
            ("time", _time("t.time"), _NUMBER),
            ("severity", "toString(t.severity)", _TEXT),
            ("body", "t.body", _TEXT),
            ("trace_id", _id("t.trace_id", 16), _NUMBER),
            ("span_id", _id("t.span_id", 8), _NUMBER),
            ("template", "m.text", _TEXT),
            ("labels", _BOTH, _NESTED),
        ),
        "mapUpdate(resource, attributes)",
        "t.time, t.service, t.body",
        direct=("severity", "body", "service"),
        rows=LOG_ROWS,
        by=LOG_KEYS,
    ),
    "records": Exported(
        "records",
        RECORD_COLUMNS,
        "tags",
        "t.time, t.model, t.prediction_id",
        direct=("prediction_id", "model", "version"),
        decode=record_of,
        types=RECORD_TYPES,
        only=PREDICTIONS_ONLY,
        rows=JOINED_ROWS,
    ),
    "events": Exported(
        "events",
        (
            ("time", _time("t.time"), _NUMBER),
            *((name, f"toString(t.{name})", _TEXT) for name in ("kind", "entity", "what", "source")),
        ),
        "attributes",
        "t.time, t.kind, t.entity, t.what",
        direct=("kind", "entity", "what", "source"),
    ),
    "states": Exported(
        "states",
        (
            ("time", _time("t.time"), _NUMBER),
            ("signal", "toString(t.signal)", _TEXT),
            ("labels", _LABELS, _NESTED),
            ("state", "toString(t.state)", _TEXT),
        ),
        "",
        _SERIES_ORDER,
        with_series=True,
        direct=("state",),
    ),
    "scores": Exported(
        "panes",
        (
            ("time", _time("t.time"), _NUMBER),
            ("monitor", "toString(t.monitor)", _TEXT),
            ("signal", "toString(t.signal)", _TEXT),
            ("labels", _LABELS, _NESTED),
            *((name, _or_null(f"t.{name}"), _NUMBER) for name in ("score", "log10_p", "lower", "upper")),
        ),
        "",
        "t.time, t.monitor, t.series",
        with_series=True,
        direct=("monitor",),
    ),
    "findings": Exported(
        "findings",
        (
            *_raw("id", "phase", "monitor", "series", "signal", "start", "end", "time", "value", "lower", "upper"),
            *_raw("log10_p", "n_eff", "level", "direction", "evidence"),
            *((name, f"s.{name}", _NUMBER) for name in ("unit", "kind", "monotonic", "cumulative", "labels")),
        ),
        "",
        "t.start, t.id",
        with_series=True,
        time="start",
        final=True,
        direct=("monitor", "phase", "direction"),
        decode=_finding,
        types={
            "id": _STRING,
            "monitor": _STRING,
            "signal": _STRING,
            "entity": _STRING,
            "start": _STRING,
            "end": _STRING,
            "value": _DOUBLE,
            "expected": _STRING,
            "log10_p": _DOUBLE,
            "n_eff": _DOUBLE,
            "level": _DOUBLE,
            "direction": _STRING,
            "phase": _STRING,
            "time": _STRING,
            "tenant": _STRING,
            "series": _STRING,
            "evidence": _STRING,
        },
    ),
}

INCIDENT_TYPES: Mapping[str, pa.DataType] = {
    **dict.fromkeys(("id", "title", "severity", "state", "opened_at", "updated_at", "resolved_at"), _STRING),
    **dict.fromkeys(("entities", "statement", "findings", "causes", "changes"), _STRING),
    **dict.fromkeys(("severity_arithmetic", "impact", "pages", "tenant", "dedup_key"), _STRING),
    "late": pa.bool_(),
    "reopened": pa.int64(),
}
