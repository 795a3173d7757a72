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


@pytest.mark.parametrize("process", ["hot", "cold"])
def test_no_process_of_a_server_loads_pandas_before_it_can_say_so(process):
    code = f"import sys, tocsin.app.{process}; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_hot_process_loads_neither_a_web_framework_nor_a_database():
    code = "import sys, tocsin.app.hot; print({'fastapi', 'chdb', 'clickhouse_connect', 'psycopg'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("process", ["hot", "cold"])
def test_the_processes_paint_nothing(process):
    code = f"""
from tocsin.app.lean import without_colours
without_colours()
import sys, tocsin.app.{process}
if {process == "cold"}:
    import alembic.command
print({{"rich", "pygments"}} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("process", ["hot", "cold"])
def test_kernels_wait_until_it_is_known_where_they_are_kept(process):
    code = f"import sys, tocsin.app.{process}; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_who_only_supervises_loads_neither_numbers_nor_columns():
    code = "import sys, tocsin.app.serve; print({'numpy', 'pyarrow', 'numba', 'sqlalchemy'} & set(sys.modules))"
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
