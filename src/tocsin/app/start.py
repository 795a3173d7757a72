"""Starts a process of a server, without libraries that it has no use for: `python -m tocsin.app.start MODULE --run DIR`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from tocsin.app.lean import without_colours, without_pandas


def main(argv: Sequence[str]) -> int:
    """Run the module that is named first with the rest; gives its exit code."""
    without_pandas()
    without_colours()
    code: int = import_module(argv[0]).main(argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
