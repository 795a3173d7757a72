"""Rows of a made-up model, and files of them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tocsin.cli.main import app


def model_rows(seed, n, shift=0.0):
    """A churn model: age and plan, score, prediction, truth; a shift makes plan `trial` frequent, where it is worse."""
    rng = np.random.default_rng(seed)
    plan = np.where(rng.random(n) < 0.1 + shift, "trial", np.where(rng.random(n) < 0.5, "basic", "pro"))
    age = np.round(rng.normal(45 - 10 * shift, 12, n), 1)
    x = (age - 45) / 12 + rng.normal(0, 0.5, n)
    truth = rng.random(n) < 1 / (1 + np.exp(-3 * x * np.where(plan == "trial", 0.1, 1.0)))
    score = 1 / (1 + np.exp(-2.5 * x))
    return {
        "id": np.arange(n) + 1000 * seed,
        "time": np.array("2026-03-01T00:00:00", "M8[s]") + (np.arange(n) * 40).astype("m8[s]"),
        "age": age,
        "plan": plan,
        "prediction": (score >= 0.5).astype("i8"),
        "score": np.round(score, 6),
        "target": truth.astype("i8"),
    }


def write(path, columns):
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        pa_csv.write_csv(table, path)
    return path


def without(columns, *names):
    return {name: values for name, values in columns.items() if name not in names}


def drifted(runner, *args):
    """What `tocsin drift ... --json` says."""
    result = runner.invoke(app, ["drift", *map(str, args), "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)
