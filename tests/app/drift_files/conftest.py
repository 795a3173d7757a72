"""Files of a made-up model, and the command run on them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from drift_world import model_rows, without, write
from tocsin.cli.main import app


@pytest.fixture
def files(tmp_path):
    """Reference with truth, calm current rows of which the last third are not, and their truth."""
    reference = model_rows(1, 6000)
    calm, bad = model_rows(2, 4000), model_rows(3, 2000, 0.6)
    bad["time"] = calm["time"][-1] + 40 + (np.arange(2000) * 40).astype("m8[s]")
    bad["id"] = np.arange(2000) + 90_000
    current = {name: np.concatenate([calm[name], bad[name]]) for name in calm}
    truth = {"id": current["id"], "target": current["target"]}
    return (
        write(tmp_path / "reference.csv", reference),
        write(tmp_path / "current.csv", without(current, "target")),
        write(tmp_path / "truth.csv", truth),
    )


@pytest.fixture
def drift():
    """Run `tocsin drift` and give its exit code, JSON (None if it is none) and messages."""

    def run(*args, as_json=True):
        result = CliRunner().invoke(app, ["drift", *map(str, args), *(["--json"] if as_json else [])])
        said = result.stderr + (str(result.exception) if result.exception else "")
        shown = json.loads(result.stdout) if as_json and result.stdout else None
        return result, shown, said

    return run
