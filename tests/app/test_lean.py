"""A server's processes load what they use: no pandas, nothing that paints, and the hot one neither a web framework nor a database."""

import subprocess
import sys

import pytest

CODE = """
from tocsin.app.lean import without_pandas
without_pandas()
import sys
import pyarrow as pa
from tocsin.store.telemetry import TelemetryStore
assert pa.array([1, 2]).to_pylist() == [1, 2]
TelemetryStore(__import__("pathlib").Path(sys.argv[1]) / "store").close()
print("pandas" in sys.modules)
"""


def test_arrow_and_the_store_work_without_pandas(tmp_path):
    done = subprocess.run([sys.executable, "-c", CODE, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


ABSENT = {
    # a kernel waits until it is known where compiled ones are kept, or for what it is for
    "tocsin.app.hot": {"pandas", "rich", "pygments", "numba", "fastapi", "chdb", "clickhouse_connect", "psycopg"},
    "tocsin.app.cold": {"pandas", "rich", "pygments", "numba"},
    # no numbers and no columns for who only supervises
    "tocsin.app.serve": {"pandas", "rich", "pygments", "numba", "numpy", "pyarrow", "sqlalchemy"},
}


@pytest.mark.parametrize("module", ABSENT)
def test_a_process_starts_without_what_it_has_no_use_for(module):
    code = f"""
from tocsin.app.lean import without_colours
without_colours()
import sys, {module}
if {module == "tocsin.app.cold"}:
    import alembic.command
print({ABSENT[module]} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_command_that_serves_starts_without_colours():
    code = """
import sys
from tocsin.cli import serving
try:
    serving._start(None, __import__("pathlib").Path("no.yaml"), None)
except Exception as error:
    print(type(error).__name__, {"rich", "pygments"} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "BadSpec set()"
