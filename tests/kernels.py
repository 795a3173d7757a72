"""Compiles every kernel that has a signature, or judges entities, into the cache of the tests, beside what else `make test` begins with.

Run as `python -m tests.kernels engine`, and `readers` beside it; the tests, and the servers they start, then load what is compiled.
"""

import importlib
import pkgutil
import sys

from tests import kernel_cache


def main() -> None:
    kernel_cache.use()
    if sys.argv[1:] == ["readers"]:
        from tocsin.app.warming import fill_cache

        fill_cache()
        return
    import tocsin
    from tocsin.engine.entity_scorer import compile_members
    from tocsin.stats.jit import compile_all

    for stage in ("stats", "derive", "window", "detect", "calibrate", "engine"):
        package = importlib.import_module(f"{tocsin.__name__}.{stage}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    compile_all()
    compile_members()  # a server does so only if it is to judge entities


if __name__ == "__main__":
    main()
