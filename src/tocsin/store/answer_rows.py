"""`AnswerRows`: answers of models that were stored lately, sampled by their trace, with what was retrieved for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from tocsin.store.database import Database
from tocsin.store.schema import DATABASE
from tocsin.store.trace_rows import trace_key

Row: TypeAlias = dict[str, Any]
_PARTS: Final = 1_000_000
_MOST_SPANS: Final = 20
_HOUR_NS: Final = 3_600 * 10**9
_BETWEEN: Final = """stored > fromUnixTimestamp64Milli({after:Int64}, 'UTC')
    AND stored <= fromUnixTimestamp64Milli({upto:Int64}, 'UTC')"""
_ANSWERED: Final = """counted AND status != 'error' AND operation IN ('', 'chat', 'text_completion', 'generate_content')
    AND trace_id != toFixedString('', 16)
    AND sipHash64(trace_id) % {parts:UInt64} < {share:UInt64}"""


class AnswerRows:
    """Answers of one telemetry store; a trace is always in the sample or never."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def count(self, after: int, upto: int, ratio: float) -> int:
        """How many answers of the sample were stored after `after` and up to `upto`, stamps of batches in ms."""
        sql = f"SELECT count() FROM {DATABASE}.spans WHERE {_BETWEEN} AND {_ANSWERED}"
        return int(self._db.query(sql, _values(after, upto, ratio)).column(0).to_pylist()[0])

    def between(self, after: int, upto: int, ratio: float, limit: int) -> list[Row]:
        """The first `limit` of them: `tenant, service, trace, span, time, attributes`."""
        sql = f"""SELECT tenant, toString(service) AS service, lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, time, attributes
            FROM {DATABASE}.spans WHERE {_BETWEEN} AND {_ANSWERED}
            ORDER BY stored, time, span_id LIMIT {{most:UInt32}}"""
        found: list[Row] = self._db.query(sql, {**_values(after, upto, ratio), "most": limit}).to_pylist()
        return found

    def retrievals(self, answer: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
        """Attributes of the retrievals of its trace that were over when the answer was."""
        sql = f"""SELECT attributes FROM {DATABASE}.spans WHERE tenant = {{tenant:String}}
            AND trace_id = unhex('{trace_key(answer["trace"])}') AND operation = 'retrieval' AND time <= {{end:Int64}} AND time > {{begin:Int64}}
            ORDER BY time LIMIT {_MOST_SPANS}"""
        values = {"tenant": answer["tenant"], "end": answer["time"], "begin": answer["time"] - _HOUR_NS}
        return [dict(row) for row in self._db.query(sql, values).column(0).to_pylist()]


def _values(after: int, upto: int, ratio: float) -> dict[str, object]:
    return {"after": after, "upto": upto, "parts": _PARTS, "share": round(ratio * _PARTS)}
