"""Rewrites the asserts of all tests once, beside what else `make test` begins with; else each worker does so for itself.

The product's own modules are among them: it brings a plugin of pytest, and pytest rewrites all of a plugin's package.
It writes what pytest finds beside the tests; where pytest keeps it otherwise one day, it rewrites them as ever.
"""

from pathlib import Path

from _pytest.assertion import AssertionState
from _pytest.assertion.rewrite import PYC_TAIL, _rewrite_test, _write_pyc, get_cache_dir
from _pytest.config import get_config


def main() -> None:
    config = get_config()
    state = AssertionState(config, "rewrite")
    tests = Path(__file__).parent
    for path in sorted((*tests.rglob("*.py"), *(tests.parent / "src").rglob("*.py"))):
        test = path.name == "conftest.py" or path.name.startswith("test_") or path.name.endswith("_test.py")
        if test or tests not in path.parents:
            place = get_cache_dir(path)
            place.mkdir(exist_ok=True)
            source_hash, code = _rewrite_test(path, config)
            _write_pyc(state, code, source_hash, place / (path.stem + PYC_TAIL))


if __name__ == "__main__":
    main()
