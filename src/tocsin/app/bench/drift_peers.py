"""Other libraries on the same two tables, in an interpreter of their own: one of them can't live with today's pandas."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tocsin.app.bench.figure import Figure
from tocsin.app.settings import environment

PYTHON: Final = "TOCSIN_PEERS_PYTHON"
"""Interpreter that has the other libraries."""
LIMIT_S: Final = 3_600.0

_EVIDENTLY: Final = """
import sys, time, json, warnings
warnings.filterwarnings("ignore")
import pandas as pd
reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
import evidently
from evidently import Report
from evidently.presets import DataDriftPreset
began = time.process_time()
found = Report([DataDriftPreset()]).run(current, reference).dict()
assert found["metrics"]
print(json.dumps({"cpu_s": time.process_time() - began, "version": evidently.__version__}))
"""
_NANNYML: Final = """
import sys, time, json, warnings
warnings.filterwarnings("ignore")
import pandas as pd
reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
import nannyml
began = time.process_time()
calculator = nannyml.UnivariateDriftCalculator(
    column_names=list(reference.columns), chunk_number=1,
    continuous_methods=["kolmogorov_smirnov", "jensen_shannon", "wasserstein"],
    categorical_methods=["chi2", "jensen_shannon"])
calculator.fit(reference)
fitted = time.process_time()
assert len(calculator.calculate(current).to_df())
ended = time.process_time()
print(json.dumps({"cpu_s": ended - began, "fit_s": fitted - began, "version": nannyml.__version__}))
"""


def beside(reference: Path, current: Path, own_s: float) -> Iterator[Figure]:
    """CPU seconds of each library that is there, and how many times ours that is; a word on stderr of one that is not."""
    for name, script in (("Evidently", _EVIDENTLY), ("NannyML", _NANNYML)):
        found = _run(name, script, reference, current)
        if found is None:
            continue
        note = f"{name} {found['version']}, the same tables in the same run; importing left out"
        if "fit_s" in found:
            note += f"; {float(found['fit_s']):.2f} s of it to fit"
        yield Figure(f"20 columns compared, {name}", float(found["cpu_s"]), "CPU-s", note=note)
        times = float(found["cpu_s"]) / own_s
        yield Figure(
            f"times faster than {name}",
            times,
            "times",
            5.0,
            note="learning, counting and deciding against its whole run",
        )


def _run(name: str, script: str, reference: Path, current: Path) -> dict[str, float | str] | None:
    python = environment().get(PYTHON) or sys.executable
    command = [python, "-c", script, str(reference), str(current)]
    # one thread each, as ours; and nobody is told that they run
    alone = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NML_DISABLE_USAGE_LOGGING", "DO_NOT_TRACK")
    one = {**environment(), **dict.fromkeys(alone, "1")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=one, check=False)  # noqa: S603 - our own script
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"  {name} was not measured: {error}\n")
        return None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        sys.stderr.write(
            f"  {name} was not measured ({last}); name an interpreter that has it in {PYTHON}: "
            "uv venv peers; uv pip install -p peers evidently nannyml 'pandas<3'\n"
        )
        return None
    found: dict[str, float | str] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def written(where: Path, name: str, table: object) -> Path:
    """A table as a Parquet file."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - for this bench only

    path = where / f"{name}.parquet"
    pq.write_table(table, os.fspath(path))
    return path
