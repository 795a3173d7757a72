"""Writes `docs/metrics.md` from the metrics that the program registers: `python -m tests.metrics_page [--check]`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tocsin
from tocsin.app.writeback.text import HELP_OF_WRITTEN, METRICS, WRITTEN
from tocsin.selfmon.metrics import REGISTRY

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
ELSEWHERE = (
    ("tocsin_process_up", "gauge", ("process",), "Whether a process of the server answered when `/metrics` was read."),
    ("tocsin_supervisor_restarts_total", "counter", ("child",), "Restarts of a process."),
)
HEAD = """# The program's own metrics
Read them at `/metrics` of the main port, of both processes at once (label `process`). Written by
`python -m tests.metrics_page`; base units, counters end in `_total`. Beside them stand the usual `process_*` ones.

| metric | type | labels | what it counts or measures |
|---|---|---|---|
"""


GUIDE = """
## What to look at
**Models.** `tocsin_engine_inference_seconds` is what one run of an ONNX or PyOD model took, by monitor and model;
`tocsin_engine_tick_seconds` what all that is judged in one tick took: it must stay well below a second.

**Scores and calibration.** `tocsin_engine_score_decades` is the distribution of -log10 p of judged windows by monitor:
of right p-values one in ten is above 1, one in a hundred above 2. `tocsin_engine_p_value_excess_ratio` says by how much
small p-values are too many (0.1 or more: the monitor calls too much rare), over the last thousands of windows, from 500
on. `tocsin_engine_calibration_refits` counts how often a past was let go for that, `tocsin_engine_drifted_input_series`
those whose model is given what it doesn't know. Limits without a detector and entities judged as a whole have no p-value
of a window and are in neither.

**Health.** Every `health_check_interval` (tocsin.yaml, or `monitoring:` of a pipeline file; 10 s if not said) both
processes look at themselves; `tocsin_process_check_up` is 1 or 0 by `check`, `tocsin_process_check_rounds_total` grows while
they look. A line of the log, with the reason, when one changes; `/healthz` says `ok` or `degraded` and a line for each
check. Its status is 200 all the same, and nothing is ended for it: a probe that restarts would mend none of these.

| check | fails when |
|---|---|
| `engine` | the last tick that was folded is 30 s old |
| `intake` | the log takes nothing, or findings wait for room |
| `disk` | below 1 GiB is free where the data directory is |
| `cold`, `hot` | the other process missed two answers in a row |
| `telemetry`, `state` | the store does not answer |
| `storing`, `correlating` | no step succeeded for 30 s |
| `control`, of a replica | control has told nothing of itself for 20 s |
| `destinations` | one failed the last time that it was tried |
"""

SCORES = """
## Scores that are written back
Of watched series, at `/metrics` (of the caller's tenant) and by remote write (`scores:` in tocsin.yaml): gauges with
the labels of the series, `monitor` and `signal`. A score is no probability; `tocsin rules` writes rules over them.

| metric | what it says |
|---|---|
"""


@dataclass(frozen=True, order=True)
class Metric:
    """One registered metric."""

    name: str
    type: str
    labels: tuple[str, ...]
    text: str


def registered() -> list[Metric]:
    """Every own metric of every module, by name."""
    for module in pkgutil.walk_packages(tocsin.__path__, "tocsin."):
        if ".migrations." not in module.name:  # Alembic runs these
            importlib.import_module(module.name)
    found = [Metric(*one) for one in ELSEWHERE]
    for collector in REGISTRY._collector_to_names:
        labels = getattr(collector, "_labelnames", ())
        for family in collector.describe() if hasattr(collector, "describe") else ():
            if family.name.startswith("tocsin_"):
                name = f"{family.name}_total" if family.type == "counter" else family.name
                found.append(Metric(name, family.type, tuple(labels), family.documentation))
    return sorted(found)


def lines() -> Iterator[str]:
    """The page."""
    yield HEAD
    for metric in registered():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{metric.name}` | {metric.type} | {labels} | {metric.text.rstrip('.').replace('|', chr(92) + '|')} |\n"
    yield GUIDE
    yield SCORES
    for name, text in {**METRICS, WRITTEN: HELP_OF_WRITTEN}.items():
        yield f"| `{name}` | {text} |\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` say whether it is up to date (1 when not)."""
    text = "".join(lines())
    if "--check" in arguments:
        return int(not PAGE.exists() or PAGE.read_text() != text)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
