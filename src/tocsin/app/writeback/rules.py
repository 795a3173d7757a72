"""Rules for Prometheus: alerts over the scores that are written back, and limits that hold while none come."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import yaml

from tocsin.app.writeback.text import OWN_LABELS, WRITTEN
from tocsin.spec.config import Config
from tocsin.spec.monitor import SECOND, MonitorSpec, WindowSpec
from tocsin.spec.pack import PackSpec
from tocsin.spec.selection import selects
from tocsin.spec.team import team_of

METRIC_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
QUANTILE: Final = re.compile(r"p(\d\d)")
SILENT_S: Final = 600
"""No scores for so long is itself an alert, and lets the limits speak in their place."""
LIMITS_HOLD: Final = "1h"
"""For how long the last learned limits are taken for good when no new ones come."""
LEAST_RATE_S: Final = 120
"""Shortest range of a rate: two scrapes a minute apart must lie within it."""
_OVER_TIME = {
    "last": "last_over_time", "min": "min_over_time", "max": "max_over_time", "count": "count_over_time",
    "std": "stddev_over_time",
}  # fmt: skip
_ACROSS = {"sum": "sum", "min": "min", "max": "max", "count": "sum", "rate": "sum", "last": "max"}
_HEAD = """# Rules for Prometheus, written by `tocsin rules`; write them anew when the configuration changes.
# Group tocsin-verdicts speaks for Tocsin; tocsin-health says when it doesn't speak; tocsin-standby holds fixed and
# last learned limits for as long as no scores come.
"""

Rule = dict[str, Any]


def rules_text(config: Config, packs: Sequence[PackSpec] = (), *, page_url: str = "", standby: bool = True) -> str:
    """A rule file for a configuration and its packs.

    >>> rules_text(Config()).splitlines()[3]
    'groups:'
    """
    monitors = config.engine_spec(packs).all_monitors()
    groups = [
        {"name": "tocsin-verdicts", "rules": [*_verdicts(config, monitors, page_url)]},
        {"name": "tocsin-health", "rules": [*_health(page_url)]},
    ]
    fixed = sorted({label for target in config.scores.remote_write for label in target.labels})
    limits = [rule for monitor in monitors if standby for rule in _standby(monitor, fixed)]
    if limits:
        groups.append({"name": "tocsin-standby", "rules": limits})
    return _HEAD + yaml.safe_dump({"groups": groups}, sort_keys=False, width=110)


def _verdicts(config: Config, monitors: Iterable[MonitorSpec], page_url: str) -> Iterable[Rule]:
    yield {"record": "tocsin:open_findings:count", "expr": "sum by (monitor) (tocsin_anomaly_verdict)"}
    worst = f"tocsin_anomaly_severity_ratio >= {config.severity.critical:g}"
    for monitor in monitors:
        if monitor.role == "support":
            continue  # it joins what others open, and calls nobody by itself
        verdict = f'tocsin_anomaly_verdict{{monitor="{monitor.name}"}} == 1'
        summary = f"{{{{ $labels.signal }}}}: {_template_text(monitor.summary or monitor.name)}"
        annotations = {"summary": summary, **({"runbook_url": monitor.runbook} if monitor.runbook else {})}
        labels = {"monitor": monitor.name, **_team(config, monitor)}
        if monitor.detect.name == "threshold":
            yield _alert("TocsinLimitBroken", verdict, {**labels, "severity": "critical"}, annotations, page_url)
        else:
            mild, grave = f"{verdict} unless {worst}", f"{verdict} and {worst}"
            yield _alert("TocsinAnomaly", mild, {**labels, "severity": "warning"}, annotations, page_url)
            yield _alert("TocsinAnomaly", grave, {**labels, "severity": "critical"}, annotations, page_url)


def _team(config: Config, monitor: MonitorSpec) -> dict[str, str]:
    """The team of a monitor, where that doesn't hang on the labels of a series."""
    owners = [team for team in config.teams if set(team.owns) == {"monitor"} and selects(team.owns, monitor.name, ())]
    return {"team": owners[0].name} if owners and team_of(config.teams, monitor.name, ()) is owners[0] else {}


def _health(page_url: str) -> Iterable[Rule]:
    yield _alert(
        "TocsinScoresMissing", f"absent({WRITTEN})", {"severity": "warning"},
        {"summary": "no scores come back from Tocsin: look at its status page and at its receivers"}, page_url, SILENT_S,
    )  # fmt: skip
    yield _alert(
        "TocsinProcessDown", "tocsin_process_up == 0", {"severity": "warning"},
        {"summary": "a process of Tocsin does not answer"}, page_url, 300,
    )  # fmt: skip
    yield _alert(
        "TocsinScoresDropped", "increase(tocsin_notify_remote_write_dropped_total[15m]) > 0", {"severity": "info"},
        {"summary": "scores for {{ $labels.target }} were given up: {{ $labels.reason }}"}, page_url,
    )  # fmt: skip
    yield _alert(
        "TocsinOverBudget",
        'tocsin_engine_budget_realised_pages{over="20w"} > ignoring (over) tocsin_engine_budget_promised_pages',
        {"severity": "info"},
        {"summary": "findings opened a week are over the budget of {{ $labels.team }}: review them"},
        page_url,
    )


def _standby(monitor: MonitorSpec, fixed: Sequence[str]) -> Iterable[Rule]:
    """Alerts on the raw metric, while no scores come."""
    raw = _query(monitor)
    if raw is None or monitor.role == "support" or monitor.together:
        return
    quiet = f"unless on () {WRITTEN}"
    annotations = {"summary": f"{_template_text(monitor.summary or monitor.name)} (a limit; Tocsin is not heard)"}
    labels = {"monitor": monitor.name, "severity": "warning"}
    for_s = max(monitor.for_ // SECOND, 60)
    limit = monitor.detect.threshold
    for side, sign in (("upper", ">"), ("lower", "<")):
        if limit is not None:
            stated = limit.above if side == "upper" else limit.below
            beyond = None if stated is None else f"{raw} {sign} {stated.number:g}"
            # the unit of a raw metric is not known here: a limit with a unit can't be compared
            beyond = None if stated is not None and stated.unit not in ("", "1") else beyond
        elif monitor.direction in ("both", {"upper": "up", "lower": "down"}[side]):
            learned = f'last_over_time(tocsin_anomaly_{side}{{monitor="{monitor.name}"}}[{LIMITS_HOLD}])'
            ignored = ", ".join((*OWN_LABELS, *fixed))
            beyond = f"{raw} {sign} ignoring ({ignored}) {learned}"
        else:
            beyond = None
        if beyond is not None:
            marked = {**labels, "limit": side}
            yield _alert("TocsinStandbyLimit", f"({beyond}) {quiet}", marked, annotations, "", for_s)


def _query(monitor: MonitorSpec) -> str | None:
    """What a monitor looks at, in PromQL; None where its signal is no name of Prometheus or is a pattern."""
    if not METRIC_NAME.fullmatch(monitor.signal):
        return None
    matchers = [f'{_label(key)}=~"{_regex(glob)}"' for key, glob in sorted(monitor.where.items())]
    matchers += [f'{_label(key)}!~"{_regex(glob)}"' for key, glob in sorted(monitor.unless.items())]
    chosen = f"{{{', '.join(matchers)}}}" if matchers else ""
    size_s = (monitor.window or WindowSpec()).size // SECOND
    aggregate = monitor.aggregate or "mean"
    quantile = QUANTILE.fullmatch(aggregate)
    by = None if monitor.by is None else ", ".join(_label(key) for key in monitor.by)
    if quantile:
        inner = f"rate({monitor.signal}_bucket{chosen}[{max(size_s, LEAST_RATE_S)}s])"
        across = inner if by is None else f"sum by ({', '.join(filter(None, ('le', by)))}) ({inner})"
        return f"histogram_quantile(0.{quantile[1]}, {across})"
    total = monitor.signal.endswith("_total") or aggregate == "rate"
    function = "rate" if total else _OVER_TIME.get(aggregate, "avg_over_time")
    range_s = max(size_s, LEAST_RATE_S) if total else size_s
    inner = f"{function}({monitor.signal}{chosen}[{range_s}s])"
    return inner if by is None else f"{_ACROSS.get(aggregate, 'avg')} by ({by}) ({inner})"


def _label(key: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", key)


def _regex(glob: str) -> str:
    r"""A glob as an anchored RE2 in a string of PromQL.

    >>> _regex("a.b*"), _regex("*"), _regex('x"?')
    ('a\\\\.b.*', '.+', 'x\\".')
    """
    if glob == "*":
        return ".+"
    parts = {"*": ".*", "?": "."}
    pattern = "".join(parts.get(char) or re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", char) for char in glob)
    return pattern.replace("\\", "\\\\").replace('"', '\\"')


def _template_text(text: str) -> str:
    """Text that Prometheus does not take for a template."""
    return text.replace("{{", '{{ "{{" }}')


def _alert(
    name: str, expr: str, labels: dict[str, str], annotations: dict[str, str], page_url: str, for_s: int = 0
) -> Rule:
    shown = {**annotations, **({"dashboard": page_url} if page_url else {})}
    held = {"for": f"{for_s}s"} if for_s else {}
    return {"alert": name, "expr": expr, **held, "labels": labels, "annotations": shown}
