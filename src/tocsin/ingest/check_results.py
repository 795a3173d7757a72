"""Results of data checks, as the usual libraries write them in JSON -> points: which check failed, by how much.

Read are reports and test suites of metrics (both generations: `metrics` and `tests`), and results of expectations (of
one validation, of a checkpoint, or its description: `results`, `expectations`, `validation_results`, `run_results`).
A result may be wrapped, to say what it is about: `{"labels": {"model": "churn"}, "result": {...}}`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from tocsin.ingest.decoded import Decoded, Refusals, Unusable, decoded
from tocsin.ingest.edge import Edge
from tocsin.ingest.identify import Pairs
from tocsin.ingest.point_rows import point_rows
from tocsin.model.errors import BadInput
from tocsin.model.series import Signal

FAILED: Final = Signal("data.check.failed", "1")
"""1 where a check failed or could not be made, 0 where it passed."""
UNEXPECTED: Final = Signal("data.check.unexpected_ratio", "1")
"""Share of the rows that broke an expectation."""
VALUE: Final = Signal("data.check.value", "1")
"""What a metric or expectation observed."""
CHECKS_SOURCE: Final = "checks"
MOST_DEPTH: Final = 4
MOST_POINTS: Final = 10_000

Point: TypeAlias = tuple[Signal, dict[str, str], float]
Found: TypeAlias = Mapping[str, Any]

_FAILING: Final = frozenset({"fail", "failed", "error", "warning"})
_PASSING: Final = frozenset({"success", "passed", "pass"})
_LISTS: Final = ("metrics", "tests", "results", "expectations", "validation_results", "run_results")
_NO_NAME: Final = "report"
"""Suite of checks that name none, so that all that fails of one report is about one thing."""
_DETECTED: Final = ("drift_detected", "dataset_drift")


def decode_checks(body: bytes, edge: Edge, tenant: str, received: int) -> Decoded:
    """One POINTS frame of a result, at the time of receipt; what is no number or word for failure is left out.

    Raises
    ------
    BadInput
        It is not JSON, or no such result.
    """
    found, labels = _unwrapped(body)
    refusals = Refusals()
    kept: dict[tuple[Signal, Pairs], float] = {}
    for signal, own, value in _points(found):
        key = (signal, tuple(sorted({"suite": _NO_NAME, **labels, **own}.items())))
        # one check may be made of a count and of a share: it failed if either did
        kept[key] = max(value, kept.get(key, -math.inf))
        if len(kept) >= MOST_POINTS:
            break
    if not kept:
        raise BadInput("no check, metric or expectation with a result is in it")
    rows = []
    for (signal, pairs), value in kept.items():
        if sum(len(key) + len(text) for key, text in pairs) > edge.limits.label_bytes:
            refusals.add(CHECKS_SOURCE, "labels_too_large")
            continue
        try:
            rows.append((edge.identifier.ref(tenant, CHECKS_SOURCE, signal, (), pairs), received, value))
        except Unusable as bad:
            refusals.add(CHECKS_SOURCE, bad.reason)
    return decoded([point_rows(tenant, CHECKS_SOURCE, rows)] if rows else [], refusals)


def _unwrapped(body: bytes) -> tuple[Found, dict[str, str]]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as bad:
        raise BadInput(f"the result is not JSON: {bad}") from None
    if not isinstance(found, dict):
        raise BadInput("a result of checks is a JSON object")
    labels = found.get("labels", {})
    inner = found.get("result") if not any(name in found for name in _LISTS) else found
    if not isinstance(inner, dict) or not any(name in inner for name in _LISTS):
        raise BadInput(f"no result of checks: none of {', '.join(_LISTS)} is in it")
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise BadInput('`labels` must be an object of texts, like {"model": "churn"}')
    return inner, labels


def _points(found: Found, depth: int = 0) -> Iterator[Point]:
    for metric in _objects(found.get("metrics")):
        yield from _metric(metric)
    for test in _objects(found.get("tests")):
        yield from _test(test)
    suite = {"suite": found["suite_name"]} if isinstance(found.get("suite_name"), str) else {}
    for name in ("results", "expectations"):
        for result in _objects(found.get(name)):
            for signal, labels, value in _expectation(result):
                yield signal, {**labels, **suite}, value
    if depth < MOST_DEPTH:
        runs = found.get("run_results")
        inner = [
            *_objects(found.get("validation_results")),
            *(_objects(list(runs.values())) if isinstance(runs, dict) else []),
        ]
        for each in inner:
            wrapped = each.get("validation_result")
            yield from _points(wrapped if isinstance(wrapped, dict) else each, depth + 1)


def _objects(found: object) -> list[Found]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _number(value: object) -> float | None:
    """A finite number; yes and no are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _labels(check: object, column: object) -> dict[str, str]:
    labels = {"check": check if isinstance(check, str) and check else "unnamed"}
    if isinstance(column, list):
        column = ",".join(map(str, column))
    return {**labels, "column": column} if isinstance(column, str) and column else labels


def _expectation(result: Found) -> Iterator[Point]:
    config = result.get("expectation_config")
    config = config if isinstance(config, dict) else result
    kwargs = config.get("kwargs")
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    column = kwargs.get("column", kwargs.get("column_list", kwargs.get("column_set")))
    if column is None and "column_A" in kwargs:
        column = [kwargs["column_A"], kwargs.get("column_B")]
    labels = _labels(config.get("type", config.get("expectation_type")), column)
    if isinstance(result.get("success"), bool):
        yield FAILED, labels, 0.0 if result["success"] else 1.0
    seen = result.get("result")
    seen = seen if isinstance(seen, dict) else {}
    percent, observed = _number(seen.get("unexpected_percent")), _number(seen.get("observed_value"))
    if percent is not None:
        yield UNEXPECTED, labels, percent / 100
    if observed is not None:
        yield VALUE, labels, observed


def _test(test: Found) -> Iterator[Point]:
    """A test of a suite; a skipped one says nothing."""
    status = str(test.get("status", "")).lower()
    of = test.get("metric_config")
    params = of.get("params") if isinstance(of, dict) else test.get("parameters")
    params = params if isinstance(params, dict) else {}
    kind = _kind(params.get("type"))
    # names of the newer generation hold numbers of the reference, which would be a new series each time
    name = f"{kind}.{test.get('id', 'test')}" if kind else test.get("name")
    labels = _labels(name, params.get("column", params.get("column_name")))
    if status in _FAILING or status in _PASSING:
        yield FAILED, labels, 1.0 if status in _FAILING else 0.0


def _kind(of: object) -> str:
    return of.rpartition(":")[2] if isinstance(of, str) else ""


def _metric(metric: Found) -> Iterator[Point]:
    config = metric.get("config")
    config = config if isinstance(config, dict) else {}
    if "value" in metric:
        name = _kind(config.get("type")) or metric.get("metric_name") or metric.get("metric_id")
        yield from _values(_labels(name, config.get("column")), metric["value"])
        return
    result = metric.get("result")
    if isinstance(result, dict):
        yield from _older(metric.get("metric"), result)


def _values(labels: dict[str, str], value: object) -> Iterator[Point]:
    single = _number(value)
    if single is not None:
        yield VALUE, labels, single
    elif isinstance(value, dict):
        for part, each in value.items():
            number = _number(each)
            if number is not None:
                yield VALUE, {**labels, "part": str(part)}, number


def _older(name: object, result: Found) -> Iterator[Point]:
    """A metric of the older generation: numbers by name, verdicts on drift, and tables of these by column."""
    labels = _labels(name, result.get("column_name"))
    for key in _DETECTED:
        if isinstance(result.get(key), bool):
            yield FAILED, labels, 1.0 if result[key] else 0.0
    yield from _values(labels, {**result, **_dict(result.get("current"))})
    for column in _dict(result.get("drift_by_columns")).values():
        if isinstance(column, dict):
            yield from _older(name, {**column, "drift_by_columns": None})


def _dict(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
