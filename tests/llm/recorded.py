"""Spans that real instrumentors sent, as `tests/instrumentors/record.py` kept them, by the scene that they are of."""

from __future__ import annotations

from pathlib import Path

from ingest_world import World
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.redact import Redactor
from tocsin.ingest.token_counts import TokenCounts
from tocsin.llm.calls import SPAN_COLUMNS, CallReader, Calls
from tocsin.model.frame import FrameKind
from tocsin.spec.packs import load_packs

ROOT = Path(__file__).parents[1] / "fixtures" / "genai"
FILES = sorted(ROOT.glob("*/*.json"))
PACKS = load_packs()
KEY = b"0123456789abcdef"
NOW = 1_795_000_600 * 10**9


class Recording:
    """One file, taken in as a request: redacted, then read."""

    def __init__(self, file: Path) -> None:
        self.name = f"{file.parent.name}/{file.stem}"
        world = World(TokenCounts(Redactor((), keep_content=False, token_key=KEY)), now=NOW)
        assert OtlpReceiver(world.edge).take("traces", file.read_bytes(), "main", as_json=True).rejected == 0
        self.frames = world.frames(FrameKind.SPANS)
        self.scenes: dict[str, list[dict]] = {}
        reader = CallReader(PACKS)
        rows = []
        for frame in self.frames:
            columns = {name: frame.batch.column(name) for name in SPAN_COLUMNS}
            rows += told(frame.rows(), reader.read("main", columns))
        scene_of = {
            row["trace_id"]: row["name"].removeprefix("scene ") for row in rows if row["name"].startswith("scene ")
        }
        for row in rows:
            if row["call"]:
                self.scenes.setdefault(scene_of[row["trace_id"]], []).append(row)

    def counted(self, scene: str) -> list[dict]:
        """Calls of a scene whose tokens count."""
        return [row for row in self.scenes.get(scene, ()) if row["counted"]]


def told(rows: list[dict], calls: Calls) -> list[dict]:
    """Rows of spans with what was read of them."""
    return [
        row
        | {"call": bool(calls.call[k]), "counted": bool(calls.counted[k]), "estimated": bool(calls.estimated[k])}
        | {field: texts.of(k) for field, texts in calls.texts.items()}
        | {field: float(values[k]) for field, values in calls.numbers.items()}
        for k, row in enumerate(rows)
    ]
