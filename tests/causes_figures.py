"""AC@1 and AC@3 on the made systems: `python -m tests.causes_figures [SEED]`, as told in docs/benchmarks.md."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from causes_world import PAY_FAULTS, SHOP_FAULTS, VIDEO_FAULTS, Pay, Shop, Video
from tocsin.app.bench.rca import accuracy
from tocsin.app.diagnose.run import diagnose_folder

CASES_EACH = 36
CASES = (
    ("video, all tables", Video, VIDEO_FAULTS, (), {}, True),
    ("video, requests alone", Video, VIDEO_FAULTS, ("spans",), {}, True),
    ("video, no onset given", Video, VIDEO_FAULTS, (), {}, False),
    ("pay, metrics and edges", Pay, PAY_FAULTS, (), {}, True),
    ("pay, metrics alone", Pay, PAY_FAULTS, (), {"edges": False}, True),
    ("pay, no onset given", Pay, PAY_FAULTS, (), {}, False),
    ("shop, metrics alone", Shop, SHOP_FAULTS, (), {"edges": False}, True),
)


def main(seed):
    """Print a row for each system and choice of tables."""
    for name, world, faults, tables, more, given in CASES:
        places, missed = [], []
        for number in range(24 if world is Shop else CASES_EACH):
            fault, culprit = faults[number % len(faults)]
            made = world(fault, culprit, seed + number, **more)
            with tempfile.TemporaryDirectory() as folder:
                found = diagnose_folder(made.tables.write(Path(folder), *tables), str(made.at) if given else None)
            ranked = [cause.entity for cause in found.verdict.causes]
            places.append(ranked.index(culprit) + 1 if culprit in ranked else 0)
            if places[-1] != 1:
                missed.append(f"{fault} {culprit}")
        row = f"| {name} | {accuracy(places, 1):.2f} | {accuracy(places, 3):.2f} | {len(places)} |"
        sys.stdout.write(row + "\n")
        sys.stderr.write(f"  not first: {', '.join(missed)}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
