"""Where the tests keep compiled kernels: one place for all of them, for they take minutes to compile."""

import os
from pathlib import Path

PLACE = Path(__file__).parents[1] / ".pytest_cache" / "d" / "kernels"


def use() -> None:
    """Name the place to numba, before it is imported, and to every program that is started from here."""
    PLACE.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("NUMBA_CACHE_DIR", str(PLACE))
