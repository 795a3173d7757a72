"""`LlmRows`: calls of models over time - tokens, cost, latency, errors, retrieval and what people said of answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import pyarrow as pa

from tocsin.model.record import OUTCOME
from tocsin.spec.mapping import MappingSpec
from tocsin.spec.pack import PackSpec
from tocsin.spec.spend import BudgetSpec, Dimension
from tocsin.store.database import Database
from tocsin.store.queries import rows_of
from tocsin.store.schema import DATABASE

Row: TypeAlias = dict[str, Any]
By: TypeAlias = Literal["model", "prompt_version", "customer", "service", "provider", "region", "user", "session"]

COLUMNS: Final[Mapping[str, str]] = {
    "model": "if(request_model != '', request_model, response_model)",
    "prompt_version": "prompt_version",
    "customer": "customer",
    "service": "service",
    "provider": "provider",
    "region": "region",
    "user": "user",
    "session": "session",
}
"""What calls are grouped and chosen by."""
_BUDGETED: Final[Mapping[Dimension, str]] = {
    **{name: COLUMNS[name] for name in ("service", "user", "session", "model", "provider", "prompt_version")},
    "tenant": COLUMNS["customer"],
    "prompt": "prompt_name",
}
_HOUR_NS: Final = 3600 * 10**9
OTHERS: Final = "\x01"
"""Name of all groups that are not drawn by themselves."""
MOST_GROUPS: Final = 50
_MOST_SAID: Final = 5_000
_EVALUATION: Final = ("evaluation_name", "evaluation_score", "evaluation_label")
_NONE: Final = "''"
_SAID_MOST: Final = ", ".join(
    f"argMaxIf(toString({column}), ifNull(output_tokens, 0), counted AND {column} != '') AS {name}"
    for name, column in COLUMNS.items()
)
"""What a trace is about: of its call that said most, not of the one that made a question a vector."""
_S: Final = "((time - start) / 1000000000)"
_MEASURES: Final = f"""toInt64(count()) AS calls, toInt64(countIf(error_class != '')) AS errors,
    toInt64(sum(ifNull(input_tokens, 0))) AS input_tokens, toInt64(sum(ifNull(output_tokens, 0))) AS output_tokens,
    toInt64(sum(ifNull(cache_read_tokens, 0))) AS cache_read_tokens, toInt64(countIf(estimated)) AS estimated,
    sum(ifNull(cost_usd, 0)) AS cost_usd, toInt64(countIf(isNotNull(cost_usd))) AS priced,
    quantilesIf(0.5, 0.95)({_S}, time > start) AS latency, toInt64(countIf(time > start)) AS lasted, quantilesIf(0.5, 0.95)(ifNull(time_to_first_token_s, 0), isNotNull(time_to_first_token_s)) AS ttft,
    toInt64(countIf(isNotNull(time_to_first_token_s))) AS timed, toInt64(countIf(ifNull(context_limit_warning, false))) AS near_limit,
    toInt64(countIf(ifNull(prompt_truncation_risk, false))) AS truncation_risk"""


@dataclass(frozen=True, slots=True)
class CallsAsked:
    """Which calls: those that began in [start, end) ns and have these values, grouped by one of `COLUMNS`."""

    start: int
    end: int
    by: By = "model"
    where: Mapping[str, str] = field(default_factory=dict)

    def before(self) -> CallsAsked:
        """The same of the span of time before it, as long."""
        return CallsAsked(2 * self.start - self.end, self.start, self.by, self.where)


class LlmRows:
    """Calls of models in one telemetry store; each call counts once, however many spans tell of it."""

    def __init__(
        self, db: Database, packs: Iterable[PackSpec], budgets: Callable[[], Sequence[BudgetSpec]] = tuple
    ) -> None:
        self._db = db
        self.budgets = budgets
        self._evaluation = MappingSpec(field=_EVALUATION[0], names=[])
        names: dict[str, list[str]] = {name: [] for name in ("document_count", "top_similarity_score", *_EVALUATION)}
        for mapping in (mapping for pack in packs for mapping in pack.mappings if mapping.field in names):
            names[mapping.field] += mapping.names
            if mapping.field == _EVALUATION[0]:
                self._evaluation = mapping
        self._names = names

    def totals(self, tenant: str, asked: CallsAsked) -> Row:
        """All calls that fit, as one row of measures."""
        clause, values = _chosen(asked, "counted")
        sql = f"SELECT {_MEASURES} FROM {DATABASE}.spans WHERE {clause}"
        return rows_of(self._db.query(sql, {"tenant": tenant, **values}))[0]

    def groups(self, tenant: str, asked: CallsAsked) -> list[Row]:
        """Measures of each group, those with most calls first, at most `MOST_GROUPS` of them."""
        clause, values = _chosen(asked, "counted")
        sql = f"""SELECT toString({COLUMNS[asked.by]}) AS grp, {_MEASURES} FROM {DATABASE}.spans WHERE {clause}
            GROUP BY grp ORDER BY calls DESC, grp LIMIT {MOST_GROUPS}"""
        return _named(self._db.query(sql, {"tenant": tenant, **values}))

    def over_time(self, tenant: str, asked: CallsAsked, names: Sequence[str], step_ns: int) -> list[Row]:
        """Measures of each of these groups and of `OTHERS` per step, `at` its begin in ns."""
        clause, values = _chosen(asked, "counted")
        column = COLUMNS[asked.by]
        sql = f"""SELECT if({column} IN {{names:Array(String)}}, toString({column}), '{OTHERS}') AS grp,
              {{start:Int64}} + intDiv(start - {{start:Int64}}, {{step:Int64}}) * {{step:Int64}} AS at, {_MEASURES}
            FROM {DATABASE}.spans WHERE {clause} GROUP BY grp, at ORDER BY at, grp LIMIT 20000"""
        return _named(self._db.query(sql, {"tenant": tenant, **values, "names": list(names), "step": step_ns}))

    def errors(self, tenant: str, asked: CallsAsked) -> list[Row]:
        """Failed calls by class and group: `name, error_class, calls, last`, the most first."""
        clause, values = _chosen(asked, "counted AND error_class != ''")
        sql = f"""SELECT toString({COLUMNS[asked.by]}) AS grp, toString(error_class) AS error_class,
              toInt64(count()) AS calls, max(start) AS last FROM {DATABASE}.spans WHERE {clause}
            GROUP BY grp, error_class ORDER BY calls DESC, grp, error_class LIMIT 200"""
        return _named(self._db.query(sql, {"tenant": tenant, **values}))

    def spent(self, tenant: str, asked: CallsAsked, match: Mapping[Dimension, str] | None = None) -> list[Row]:
        """What calls cost by the hour: `at` (its begin, ns), `usd`, `calls`, `priced`; `match` has globs as budgets do."""
        clause, values = _chosen(asked, "counted")
        for name, glob in (match or {}).items():
            clause += f" AND match(toString({_BUDGETED[name]}), {{g_{name}:String}})"
            values[f"g_{name}"] = glob_pattern(glob)
        sql = f"""SELECT intDiv(start, {_HOUR_NS}) * {_HOUR_NS} AS at, sum(ifNull(cost_usd, 0)) AS usd, toInt64(count()) AS calls,
              toInt64(countIf(isNotNull(cost_usd))) AS priced FROM {DATABASE}.spans WHERE {clause} GROUP BY at ORDER BY at"""
        return rows_of(self._db.query(sql, {"tenant": tenant, **values}))

    def retrieval(self, tenant: str, asked: CallsAsked) -> list[Row]:
        """Retrievals by group: how many, how long, how many documents came, how near the best one was.

        Model, prompt and the like are those of the trace's call that said most; a retrieval's own service and customer
        come first, and where no call is here they are all that is known.
        """
        kept, values = _values(asked)
        among = "tenant = {tenant:String} AND start >= {start:Int64} AND start < {end:Int64} AND time >= {start:Int64}"
        count, near = (self._number(name) for name in ("document_count", "top_similarity_score"))
        one = f"(toString(service), toString(customer), status = 'error', {_S}, {count}, {near})"
        own = {"service": "if(one.1 != '', one.1, service)", "customer": "if(one.2 != '', one.2, customer)"}
        picked = ", ".join(f"{own.get(name, name)} AS of_{name}" for name in COLUMNS)
        clauses = "".join(f" AND of_{name} = {{w_{name}:String}}" for name in kept)
        sql = f"""SELECT of_{asked.by} AS grp, toInt64(count()) AS calls, toInt64(countIf(one.3)) AS errors,
              quantiles(0.5, 0.95)(one.4) AS latency, toInt64(countIf(isNotNull(one.5))) AS counted, avg(one.5) AS documents,
              toInt64(countIf(one.5 = 0)) AS empty, avg(one.6) AS similarity FROM
              (SELECT one, {picked} FROM (SELECT {_SAID_MOST}, groupArrayIf({one}, operation = 'retrieval') AS found
                  FROM {DATABASE}.spans WHERE {among} AND (counted OR operation = 'retrieval')
                  GROUP BY trace_id) ARRAY JOIN found AS one)
            WHERE true{clauses} GROUP BY grp ORDER BY calls DESC, grp LIMIT {MOST_GROUPS}"""
        return _named(self._db.query(sql, {"tenant": tenant, "start": asked.start, "end": asked.end, **values}))

    def _quoted(self, name: str) -> list[str]:
        # names come from packs, never from a caller
        return [each.replace("\\", "\\\\").replace("'", "\\'") for each in self._names[name]]

    def _number(self, name: str) -> str:
        texts = ", ".join(f"nullIf(attributes['{each}'], '')" for each in self._quoted(name))
        return f"toFloat64OrNull(coalesce({texts}, ''))" if texts else "CAST(NULL, 'Nullable(Float64)')"

    def feedback(self, tenant: str, asked: CallsAsked) -> list[Row]:
        """What was said of answers, as sent: `name` (of the call's group), `feedback` (JSON), `rows`.

        An answer is found by the id of its response; without one the record tells its own model and version.
        """
        kept, values = _values(asked)
        joined = "tenant = {tenant:String} AND counted AND response_id != ''"
        clauses = [f"{name} = {{w_{name}:String}}" for name in kept]
        columns = ", ".join(f"toString(any({column})) AS {name}" for name, column in COLUMNS.items())
        picked = ", ".join(f"if(s.id != '', s.{name}, {_own(name)}) AS {name}" for name in COLUMNS)
        sql = f"""SELECT {asked.by} AS name, feedback, toInt64(count()) AS rows FROM
              (SELECT r.feedback AS feedback, {picked} FROM (SELECT prediction_id, toString(model) AS model, toString(version) AS version, feedback
                  FROM {DATABASE}.records WHERE tenant = {{tenant:String}} AND time >= {{start:Int64}} AND time < {{end:Int64}}
                    AND feedback != '' AND kind != '{OUTCOME}') AS r
                ANY LEFT JOIN (SELECT response_id AS id, {columns} FROM {DATABASE}.spans WHERE {joined} GROUP BY response_id) AS s
                  ON r.prediction_id = s.id)
            {"WHERE " + " AND ".join(clauses) if clauses else ""}
            GROUP BY name, feedback ORDER BY rows DESC, name, feedback LIMIT {_MOST_SAID}"""
        return rows_of(self._db.query(sql, {"tenant": tenant, "start": asked.start, "end": asked.end, **values}))

    def judged(self, tenant: str, asked: CallsAsked) -> list[Row]:
        """Evaluations in spans, events of spans and log records: `name` (of the call's group), `feedback` (JSON), `rows`.

        Votes (-1, 0, 1) and labels are told one by one, other scores of a group and a name as their mean.
        An evaluation is about the call of its trace that said most; where none is here, only its service is known.
        """
        kept, values = _values(asked)
        told = [", ".join(f"nullIf(attributes['{each}'], '')" for each in self._quoted(field)) for field in _EVALUATION]
        of, score, label = (f"coalesce({each}, '')" for each in told)
        raw = [
            ", ".join(
                f"nullIf(trim(BOTH '\"' FROM JSONExtractRaw(event, 'attributes', '{each}')), '')"
                for each in self._quoted(field)
            )
            for field in _EVALUATION
        ]
        of_event, score_event, label_event = (f"coalesce({each}, '')" for each in raw)
        among = "tenant = {tenant:String} AND time >= {start:Int64} AND time < {end:Int64}"
        named = ", ".join(f"'{each}'" for field in _EVALUATION[1:] for each in self._quoted(field))
        picked = ", ".join(
            f"if(s.known, s.{name}, {'e.own' if name == 'service' else _NONE}) AS {name}" for name in COLUMNS
        )
        clauses = ["(score != '' OR label != '')", *(f"{name} = {{w_{name}:String}}" for name in kept)]
        sql = f"""SELECT {asked.by} AS grp, of, multiIf(NOT isFinite(number), 0, number IN (-1, 0, 1), 1, 2) AS sort,
              if(sort = 0, label, '') AS said, if(sort = 1, number, 0) AS vote, avg(number) AS mean, toInt64(count()) AS rows FROM
              (SELECT ifNull(toFloat64OrNull(e.score), nan) AS number, e.of AS of, e.score AS score, e.label AS label, {picked} FROM
                (SELECT trace_id, toString(service) AS own, {of} AS of, {score} AS score, {label} AS label FROM {DATABASE}.logs
                  WHERE {among} AND positionCaseInsensitive(event_name, 'evaluation') > 0
                UNION ALL SELECT trace_id, toString(service), {of}, {score}, {label} FROM {DATABASE}.spans
                  WHERE {among} AND hasAny(mapKeys(attributes), [{named}])
                UNION ALL SELECT trace_id, own, {of_event}, {score_event}, {label_event} FROM
                  (SELECT trace_id, toString(service) AS own, arrayJoin(JSONExtractArrayRaw(events)) AS event FROM {DATABASE}.spans
                    WHERE {among} AND position(events, 'evaluation') > 0)) AS e
                ANY LEFT JOIN (SELECT trace_id, true AS known, {_SAID_MOST} FROM {DATABASE}.spans
                  WHERE {among} AND counted GROUP BY trace_id) AS s ON e.trace_id = s.trace_id)
            WHERE {" AND ".join(clauses)} GROUP BY grp, of, sort, said, vote ORDER BY rows DESC, grp, of, sort, said, vote LIMIT {_MOST_SAID}"""
        found = _named(self._db.query(sql, {"tenant": tenant, "start": asked.start, "end": asked.end, **values}))
        return [
            {
                "name": row["name"],
                "feedback": self._said(row["of"], row["mean"] if row["sort"] else row["said"]),
                "rows": row["rows"],
            }
            for row in found
        ]

    def _said(self, of: str, said: float | str) -> str:
        """An evaluation as feedback tells it."""
        return json.dumps({self._evaluation.canonical(of) if of else "(no name)": said})

    def names(self, tenant: str, start: int, end: int) -> Row:
        """What calls can be chosen by in [start, end): a list of values for each of `COLUMNS`."""
        lists = ", ".join(
            f"arraySort(groupUniqArrayIf(200)(toString({column}), {column} != '')) AS {name}"
            for name, column in COLUMNS.items()
        )
        sql = f"""SELECT {lists} FROM {DATABASE}.spans WHERE tenant = {{tenant:String}} AND counted
            AND time >= {{start:Int64}} AND time < {{end:Int64}}"""
        return rows_of(self._db.query(sql, {"tenant": tenant, "start": start, "end": end}))[0]


def glob_pattern(glob: str) -> str:
    r"""A glob of whole texts as the pattern of RE2.

    >>> glob_pattern("lab-*"), glob_pattern("m[!0-9]?")
    ('(?s)^lab\\-.*$', '(?s)^m[^0-9].$')
    """
    parts = re.split(r"(\*|\?|\[!?\]?[^]\\]*\])", glob)
    found = [{"*": ".*", "?": "."}.get(each) or _class(each) for each in parts]
    return f"(?s)^{''.join(found)}$"


def _class(part: str) -> str:
    if len(part) > 2 and part[0] == "[" and part[-1] == "]":
        return "[^" + part[2:] if part[1] == "!" else part.replace("[^", "[\\^", 1)
    return re.escape(part)


def _named(found: pa.Table) -> list[Row]:
    # `name` is a column of spans already, so that groups have another name in SQL
    rows = rows_of(found)
    for row in rows:
        row["name"] = row.pop("grp")
    return rows


def _own(name: str) -> str:
    return {"model": "r.model", "prompt_version": "r.version"}.get(name, "''")


def _values(asked: CallsAsked) -> tuple[list[str], dict[str, object]]:
    kept = [name for name in COLUMNS if asked.where.get(name)]
    return kept, {f"w_{name}": asked.where[name] for name in kept}


def _chosen(asked: CallsAsked, only: str) -> tuple[str, dict[str, object]]:
    """Conditions on spans, and the values they refer to."""
    kept, values = _values(asked)
    clauses = [
        "tenant = {tenant:String}",
        "start >= {start:Int64}",
        "start < {end:Int64}",
        "time >= {start:Int64}",
        only,
    ]
    clauses += [f"{COLUMNS[name]} = {{w_{name}:String}}" for name in kept]
    return " AND ".join(clauses), {"start": asked.start, "end": asked.end, **values}
