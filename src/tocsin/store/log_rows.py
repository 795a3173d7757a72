"""Log lines with the template that the engine has for them, and the templates of a stretch of time with their counts."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from tocsin.store.database import Database
from tocsin.store.queries import bounded, rows_of
from tocsin.store.schema import DATABASE

Row: TypeAlias = dict[str, Any]

_TEMPLATES: Final = f"""(SELECT shape, argMax(template, time) AS template, argMax(text, time) AS text
    FROM {DATABASE}.log_templates WHERE tenant = {{tenant:String}} GROUP BY shape)"""
LOG_ROWS: Final = f"(SELECT * FROM %source%) AS t ANY LEFT JOIN {_TEMPLATES} AS m ON t.shape = m.shape"
"""Rows `t` of the table of logs beside `m`, their template."""
LOG_KEYS: Final = {
    "template": f"shape IN (SELECT shape FROM {_TEMPLATES} WHERE template = %value% OR text = %value%)",
    "trace_id": "lower(hex(trace_id)) = lower(%value%)",
}
"""Conditions on log lines: a template by its id or text, a trace id in hexadecimal digits."""
_ERROR: Final = 17


class LogTemplates:
    """What logs say, as far as it is stored."""

    db: Database

    def log_templates(
        self, tenant: str, start: int, end: int, service: str = "", search: str = "", limit: int = 200
    ) -> list[Row]:
        """Templates of lines in [start, end) ns by service, the most frequent first.

        Rows `service, template` (id, "" while the engine has none), `text, records, before` (in as long a time before),
        `errors, first_time, last_time` (ns) and `sample`, a line; `search` is a part of the text or the line, case ignored.
        """
        told = "service = {service:String}" if service else "1"
        said = "concat(any(m.text), ' ', argMax(l.sample, l.last))"
        found = f"positionCaseInsensitiveUTF8({said}, {{search:String}}) > 0" if search else "1"
        sql = f"""SELECT toString(l.service) AS service, m.template AS template, any(m.text) AS text,
              toInt64(sum(l.n)) AS records, toInt64(sum(l.b)) AS before, toInt64(sum(l.e)) AS errors,
              min(l.first) AS first_time, max(l.last) AS last_time, argMax(l.sample, l.last) AS sample
            FROM (SELECT service, shape, countIf(time >= {{start:Int64}}) AS n, countIf(time < {{start:Int64}}) AS b,
                countIf(severity_number >= {_ERROR} AND time >= {{start:Int64}}) AS e, min(time) AS first,
                max(time) AS last, argMax(substringUTF8(body, 1, 500), time) AS sample
              FROM {DATABASE}.logs WHERE tenant = {{tenant:String}} AND time >= {{before:Int64}} AND time < {{end:Int64}}
              AND {told} GROUP BY service, shape) AS l
            ANY LEFT JOIN {_TEMPLATES} AS m ON l.shape = m.shape
            GROUP BY l.service, m.template HAVING {found}
            ORDER BY records DESC, before DESC, service, template LIMIT {bounded(limit)}"""
        values = {
            "tenant": tenant,
            "start": start,
            "end": end,
            "before": start - (end - start),
            "service": service,
            "search": search,
        }
        return rows_of(self.db.query(sql, values))
