"""Coverage-guided fuzzing of segment files: `python tests/fuzz/fuzz_segment.py -max_total_time=60` (group `fuzz`).

The checksum is mended before reading, so that the decoders behind it are reached; the only ways out are entries
or `Corrupt`.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from tocsin.journal.blocks import BlockKind, SegmentHeader, pack_block, pack_header
    from tocsin.journal.segment import Segment
    from tocsin.model.errors import Corrupt
    from tocsin.model.series import Catalog

HEADER = pack_header(SegmentHeader(0, 0))
KINDS = list(BlockKind)


def test_one(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    parts = [HEADER if provider.ConsumeBool() else provider.ConsumeBytes(60)]
    for offset in range(provider.ConsumeIntInRange(0, 6)):
        kind = provider.PickValueInList(KINDS)
        parts.append(pack_block(kind, provider.ConsumeBytes(provider.ConsumeIntInRange(0, 400)), offset))
    parts.append(provider.ConsumeBytes(40))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        path = Path(directory) / "0.seg"
        path.write_bytes(b"".join(parts))
        try:
            segment = Segment(path, Catalog())
        except Corrupt:
            return
        try:
            segment.read(0, 1 << 62, 100)
        except Corrupt:
            pass
        finally:
            segment.close()


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one)
    atheris.Fuzz()
