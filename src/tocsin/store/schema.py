"""Tables of the telemetry store: columns, codecs, order, partitions and how long rows are kept.

Every key starts with the tenant. Times are Int64 nanoseconds; partitions are whole numbers of days of event time,
so that writer and engine agree on them without time zones. `stored` is the stamp of the batch that wrote the row:
retention counts from it (rows that arrive late don't vanish at insert), and recovery looks batches up by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DAY_NS = 86_400 * 10**9
DATABASE = "tocsin"
VERSION = 2
"""Layout version: a store written by a newer program is refused, an older one is migrated at opening."""

SETTINGS = "index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1"
"""What all tables have, wherever they are."""

_TENANT = ("tenant", "LowCardinality(String)", "ZSTD(1)")
_SERIES = (
    _TENANT,
    ("signal", "LowCardinality(String)", "ZSTD(1)"),
    ("series", "FixedString(16)", "ZSTD(1)"),
    ("time", "Int64", "DoubleDelta, ZSTD(1)"),
)
_STORED = ("stored", "DateTime64(3, 'UTC')", "Delta, ZSTD(1)")
_PAIRS = "Map(LowCardinality(String), String)"
_ZSTD = "ZSTD(1)"
_NUMBERS = "Array(Float64)"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `columns` are (name, type, codec); `partition_days` 0 = not partitioned.

    `replacing` tables keep the newest row of a key and may be written twice without harm; rows of the others
    are written once. `shard`: the columns by whose hash rows are spread over the shards of a cluster; of a replacing
    table they are part of the order, so that all versions of a key meet.
    """

    name: str
    columns: tuple[tuple[str, str, str], ...]
    order: str
    partition_days: int = 0
    partition_by: str = "time"
    replacing: str = ""
    shard: str = ""
    indexes: tuple[str, ...] = ()
    kept: bool = True
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(name for name, _, _ in self.columns))

    def ddl(self, retention_s: int | None) -> str:
        """The CREATE TABLE statement of chDB; `retention_s` None keeps rows for ever."""
        kept = None if retention_s is None else ttl(retention_s)
        settings = f"{SETTINGS}, non_replicated_deduplication_window = 10000"
        return self.made(f"{DATABASE}.{self.name}", self.engine(), kept, settings)

    def made(self, name: str, engine: str, kept: str | None, settings: str) -> str:
        """A CREATE TABLE statement with the columns, the partitions and the order of this table."""
        columns = [f"`{column}` {kind} CODEC({codec})" for column, kind, codec in self.columns]
        body = ",\n  ".join([*columns, *(f"INDEX {index}" for index in self.indexes)])
        parts = [f"CREATE TABLE IF NOT EXISTS {name} (\n  {body}\n) ENGINE = {engine}"]
        if self.partition_days:
            parts.append(f"PARTITION BY intDiv({self.partition_by}, {self.partition_days * DAY_NS})")
        parts.append(f"ORDER BY ({self.order})")
        if kept is not None:
            parts.append(f"TTL {kept}")
        parts.append(f"SETTINGS {settings}")
        return "\n".join(parts)

    def engine(self, replicated: str = "") -> str:
        """The engine; `replicated` are its path and replica, for tables that have any."""
        arguments = ", ".join(each for each in (replicated, self.replacing) if each)
        name = f"{'Replicated' if replicated else ''}{'Replacing' if self.replacing else ''}MergeTree"
        return f"{name}({arguments})" if arguments else name


def ttl(retention_s: int) -> str:
    """The TTL expression of a table."""
    return f"toDateTime(stored) + INTERVAL {retention_s} SECOND"


_BY_STORED = "by_stored stored TYPE minmax GRANULARITY 1"
_BY_TIME = "by_time time TYPE minmax GRANULARITY 1"

TABLES: tuple[Table, ...] = (
    Table(
        "series",
        (
            _TENANT,
            ("signal", "LowCardinality(String)", _ZSTD),
            ("id", "FixedString(16)", _ZSTD),
            ("origin", "LowCardinality(String)", _ZSTD),  # points, distributions; engine: only groups of monitors
            ("unit", "LowCardinality(String)", _ZSTD),
            ("kind", "LowCardinality(String)", _ZSTD),
            ("monotonic", "Bool", _ZSTD),
            ("cumulative", "Bool", _ZSTD),
            ("labels", _PAIRS, _ZSTD),
            ("first_seen", "Int64", _ZSTD),
            _STORED,
        ),
        order="tenant, signal, id, origin",
        shard="tenant, id",
        replacing="stored",
        kept=False,
    ),
    Table(
        "points",
        (
            *_SERIES,
            ("value", "Float64", _ZSTD),
            ("start", "Int64", _ZSTD),
            ("flags", "UInt8", _ZSTD),
            _STORED,
        ),
        order="tenant, signal, series, time",
        shard="tenant, series",
        partition_days=1,
        indexes=(_BY_STORED,),
    ),
    Table(
        "points_1m",
        (
            *_SERIES,  # time: begin of the minute
            ("low", "Float64", _ZSTD),
            ("high", "Float64", _ZSTD),
            ("total", "Float64", _ZSTD),
            ("samples", "UInt32", "T64, ZSTD(1)"),
            ("last", "Float64", _ZSTD),
            _STORED,
        ),
        order="tenant, signal, series, time",
        shard="tenant, series",
        partition_days=30,
        replacing="stored",
    ),
    Table(
        "distributions",
        (
            *_SERIES,
            ("start", "Int64", _ZSTD),
            ("flags", "UInt8", _ZSTD),
            ("count", "Float64", _ZSTD),
            ("sum", "Float64", _ZSTD),
            ("min", "Float64", _ZSTD),
            ("max", "Float64", _ZSTD),
            ("bounds", _NUMBERS, _ZSTD),
            ("counts", _NUMBERS, _ZSTD),
            ("scale", "Nullable(Int32)", _ZSTD),
            ("zero_count", "Nullable(Float64)", _ZSTD),
            ("offset", "Nullable(Int32)", _ZSTD),
            ("negative_offset", "Nullable(Int32)", _ZSTD),
            ("negative_counts", _NUMBERS, _ZSTD),
            _STORED,
        ),
        order="tenant, signal, series, time",
        shard="tenant, series",
        partition_days=1,
        indexes=(_BY_STORED,),
    ),
    Table(
        "spans",
        (
            _TENANT,
            ("service", "LowCardinality(String)", _ZSTD),
            ("time", "Int64", "Delta, ZSTD(1)"),
            ("start", "Int64", "Delta, ZSTD(1)"),
            ("trace_id", "FixedString(16)", _ZSTD),
            ("span_id", "FixedString(8)", _ZSTD),
            ("parent_id", "FixedString(8)", _ZSTD),
            ("name", "LowCardinality(String)", _ZSTD),
            ("kind", "LowCardinality(String)", _ZSTD),
            ("status", "LowCardinality(String)", _ZSTD),
            ("status_message", "String", _ZSTD),
            ("scope", "LowCardinality(String)", _ZSTD),
            ("resource", _PAIRS, _ZSTD),
            ("attributes", _PAIRS, _ZSTD),
            ("events", "String", _ZSTD),
            ("model_call", "Bool", _ZSTD),
            ("operation", "LowCardinality(String)", _ZSTD),
            ("provider", "LowCardinality(String)", _ZSTD),
            ("request_model", "LowCardinality(String)", _ZSTD),
            ("response_model", "LowCardinality(String)", _ZSTD),
            ("input_tokens", "Nullable(Int64)", "T64, ZSTD(1)"),
            ("output_tokens", "Nullable(Int64)", "T64, ZSTD(1)"),
            ("total_tokens", "Nullable(Int64)", "T64, ZSTD(1)"),
            ("finish_reason", "LowCardinality(String)", _ZSTD),
            ("error_class", "LowCardinality(String)", _ZSTD),
            ("cost_usd", "Nullable(Float64)", _ZSTD),
            ("time_to_first_token_s", "Nullable(Float64)", _ZSTD),
            ("prompt_version", "LowCardinality(String)", _ZSTD),
            ("counted", "Bool", _ZSTD),
            ("estimated", "Bool", _ZSTD),
            ("cache_read_tokens", "Nullable(Int64)", "T64, ZSTD(1)"),
            ("cache_write_tokens", "Nullable(Int64)", "T64, ZSTD(1)"),
            ("reasoning_tokens", "Nullable(Int64)", "T64, ZSTD(1)"),
            ("context_limit_tokens", "Nullable(Int64)", "T64, ZSTD(1)"),
            ("context_utilization_ratio", "Nullable(Float64)", _ZSTD),
            ("context_limit_warning", "Nullable(Bool)", _ZSTD),
            ("prompt_truncation_risk", "Nullable(Bool)", _ZSTD),
            ("time_per_output_token_s", "Nullable(Float64)", _ZSTD),
            ("retries", "Nullable(Int64)", "T64, ZSTD(1)"),
            ("response_id", "String", _ZSTD),
            ("region", "LowCardinality(String)", _ZSTD),
            ("prompt_name", "LowCardinality(String)", _ZSTD),
            ("user", "String", _ZSTD),
            ("session", "String", _ZSTD),
            ("customer", "LowCardinality(String)", _ZSTD),
            _STORED,
        ),
        order="tenant, service, time",
        shard="tenant, trace_id",
        partition_days=1,
        indexes=(_BY_STORED, "by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1"),
    ),
    Table(
        "logs",
        (
            _TENANT,
            ("service", "LowCardinality(String)", _ZSTD),
            ("time", "Int64", "Delta, ZSTD(1)"),
            ("severity", "LowCardinality(String)", _ZSTD),
            ("severity_number", "Int32", _ZSTD),
            ("body", "String", _ZSTD),
            ("event_name", "LowCardinality(String)", _ZSTD),
            ("shape", "Int64", _ZSTD),  # what names its template in `log_templates`
            ("trace_id", "FixedString(16)", _ZSTD),
            ("span_id", "FixedString(8)", _ZSTD),
            ("resource", _PAIRS, _ZSTD),
            ("attributes", _PAIRS, _ZSTD),
            _STORED,
        ),
        order="tenant, service, time",
        shard="tenant, service, time",
        partition_days=1,
        indexes=(_BY_STORED, "by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1"),
    ),
    Table(
        "log_templates",  # of shapes of log lines, as the engine has it now; without TTL, as shapes are told once
        (
            _TENANT,
            ("shape", "Int64", _ZSTD),
            ("time", "Int64", _ZSTD),
            ("template", "String", _ZSTD),
            ("text", "String", _ZSTD),
            _STORED,
        ),
        order="tenant, shape",
        shard="tenant, shape",
        replacing="time",
        kept=False,
    ),
    Table(
        "records",
        (
            _TENANT,
            ("model", "LowCardinality(String)", _ZSTD),
            ("version", "LowCardinality(String)", _ZSTD),
            ("time", "Int64", "Delta, ZSTD(1)"),
            ("prediction_id", "String", _ZSTD),
            ("prediction", "String", _ZSTD),
            ("score", "Nullable(Float64)", _ZSTD),
            ("features", "String", _ZSTD),
            ("tags", _PAIRS, _ZSTD),
            ("truth", "String", _ZSTD),
            ("feedback", "String", _ZSTD),
            ("kind", "LowCardinality(String) DEFAULT 'prediction'", _ZSTD),
            ("embedding", "Array(Float32)", _ZSTD),
            ("attributions", "String", _ZSTD),
            ("attention", "String", _ZSTD),
            _STORED,
        ),
        order="tenant, model, time, prediction_id",
        shard="tenant, prediction_id, if(prediction_id = '', time, 0)",
        partition_days=1,
        indexes=(_BY_STORED, "by_prediction prediction_id TYPE bloom_filter(0.01) GRANULARITY 1"),
    ),
    Table(
        "events",
        (
            _TENANT,
            ("time", "Int64", "Delta, ZSTD(1)"),
            ("kind", "LowCardinality(String)", _ZSTD),
            ("entity", "String", _ZSTD),
            ("what", "String", _ZSTD),
            ("source", "LowCardinality(String)", _ZSTD),
            ("attributes", _PAIRS, _ZSTD),
            _STORED,
        ),
        order="tenant, time",
        shard="tenant, time",
        partition_days=30,
        indexes=(_BY_STORED,),
    ),
    Table(
        "panes",
        (
            _TENANT,
            ("monitor", "LowCardinality(String)", _ZSTD),
            ("series", "FixedString(16)", _ZSTD),
            ("time", "Int64", "DoubleDelta, ZSTD(1)"),
            ("signal", "LowCardinality(String)", _ZSTD),
            ("value", "Float64", _ZSTD),
            ("samples", "Int64", "T64, ZSTD(1)"),
            ("score", "Float64", _ZSTD),
            ("log10_p", "Float64", _ZSTD),
            ("n_eff", "Float64", _ZSTD),
            ("lower", "Float64", _ZSTD),
            ("upper", "Float64", _ZSTD),
            ("tick", "Int64", "Delta, ZSTD(1)"),  # offset in the input log that closed the window
            _STORED,
        ),
        order="tenant, monitor, series, time",
        shard="tenant, series",
        partition_days=1,
        indexes=(_BY_STORED, _BY_TIME),
    ),
    Table(
        "states",
        (
            _TENANT,
            ("series", "FixedString(16)", _ZSTD),
            ("time", "Int64", "Delta, ZSTD(1)"),
            ("signal", "LowCardinality(String)", _ZSTD),
            ("state", "LowCardinality(String)", _ZSTD),
            ("since", "Int64", "Delta, ZSTD(1)"),
            ("cadence", "Int64", _ZSTD),
            ("tick", "Int64", "Delta, ZSTD(1)"),
            _STORED,
        ),
        order="tenant, series, time",
        shard="tenant, series",
        partition_days=30,
        indexes=(_BY_STORED,),
    ),
    Table(
        "findings",
        (
            _TENANT,
            ("start", "Int64", _ZSTD),
            ("id", "FixedString(16)", _ZSTD),
            ("phase", "LowCardinality(String)", _ZSTD),
            ("monitor", "LowCardinality(String)", _ZSTD),
            ("series", "FixedString(16)", _ZSTD),
            ("signal", "LowCardinality(String)", _ZSTD),
            ("end", "Int64", _ZSTD),
            ("time", "Int64", _ZSTD),
            ("value", "Float64", _ZSTD),
            ("lower", "Float64", _ZSTD),
            ("upper", "Float64", _ZSTD),
            ("log10_p", "Float64", _ZSTD),
            ("n_eff", "Float64", _ZSTD),
            ("level", "Float64", _ZSTD),
            ("direction", "LowCardinality(String)", _ZSTD),
            ("evidence", "String", _ZSTD),
            ("news", "UInt64", _ZSTD),  # place in the output log: the latest phase wins
            _STORED,
        ),
        order="tenant, id",
        shard="tenant, id",
        partition_days=30,
        partition_by="start",
        replacing="news",
    ),
    Table(
        "ledger",  # what is stored up to which offset; without TTL
        (
            ("log", "LowCardinality(String)", _ZSTD),
            ("next", "Int64", _ZSTD),
            ("rows", "UInt64", _ZSTD),
            ("dead", "UInt64", _ZSTD),
            ("stamp", "Int64", _ZSTD),
        ),
        order="log",
        shard="log",
        replacing="stamp",
        kept=False,
    ),
)
BY_NAME: Mapping[str, Table] = {table.name: table for table in TABLES}
