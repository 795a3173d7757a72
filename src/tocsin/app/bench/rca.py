"""Root causes: the place of the faulty pod among the causes that `tocsin diagnose` names, fault by fault."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.rca_cases import PARTS, Fault, Nezha, folders
from tocsin.app.diagnose.run import diagnose_folder
from tocsin.model.errors import BadInput

AIMS: Final = {1: 0.75, 3: 0.95}
VARIANTS: Final = (
    ("metrics, logs, traces", PARTS, False),
    ("with earlier faults left in", PARTS, True),
    ("traces", ("spans",), False),
    ("metrics", ("metrics",), False),
)


def measure(setting: Setting) -> Bench:
    """Diagnose every injected fault of the data set, from all tables and from fewer.

    Raises
    ------
    BadInput
        The data set is not there.
    """
    if setting.datasets is None:
        raise BadInput("bench rca needs the data: name its directory with --datasets or TOCSIN_DATASETS")
    bench = Bench("rca", load=os.getloadavg())
    began = time.monotonic()
    nezha = Nezha(setting.datasets)
    for name, parts, past in VARIANTS:
        found, spent = _places(nezha, parts, past=past)
        missed = ", ".join(f"{fault.kind} on {fault.pod}" for fault, place in found if place != 1)
        main = parts == PARTS and not past
        for first in (1, 3):
            hit = accuracy([place for _, place in found], first)
            note = f"{len(found)} faults, {sum(spent) / len(spent):.2g} CPU-s each, at most {max(spent):.2g}"
            if main and first == 1 and missed:
                note += f"; not first: {missed}"
            aim = AIMS[first] if main else None
            bench.add(Figure(f"AC@{first}, {name}", hit, "share of faults", aim, note=note, promised=main))
    bench.elapsed_s = time.monotonic() - began
    return bench


def accuracy(places: Sequence[int], first: int) -> float:
    """Share of faults whose place (from 1; 0: not named) is among the first so many: AC@k.

    >>> accuracy([1, 2, 0, 3], 1), accuracy([1, 2, 0, 3], 3)
    (0.25, 0.75)
    """
    return sum(1 <= place <= first for place in places) / len(places)


def _places(nezha: Nezha, parts: tuple[str, ...], *, past: bool) -> tuple[list[tuple[Fault, int]], list[float]]:
    found, spent = [], []
    with tempfile.TemporaryDirectory(prefix="tocsin-rca-") as work:
        for fault, folder in folders(nezha, Path(work), parts, past=past):
            before = time.process_time()
            ranked = [cause.entity for cause in diagnose_folder(folder, str(fault.at)).verdict.causes]
            spent.append(time.process_time() - before)
            found.append((fault, ranked.index(fault.pod) + 1 if fault.pod in ranked else 0))
    return found, spent
