"""How far the cold process has come in both logs, told to the hot one so that retention never passes it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tocsin.model.room import room_for

FILE = "progress.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """Offsets below which the cold process needs a log no more."""

    input: int = 0
    output: int = 0

    def write(self, data_dir: Path) -> None:
        """Write it aside and rename it into place."""
        aside = data_dir / f"{FILE}.new"
        with room_for("a note of how far things are stored"):
            aside.write_text(json.dumps(asdict(self)))
            aside.replace(data_dir / FILE)

    @staticmethod
    def read(data_dir: Path) -> Progress:
        """What the cold process last said; nothing yet when it never ran."""
        try:
            return Progress(**json.loads((data_dir / FILE).read_text()))
        except (OSError, ValueError, TypeError):
            return Progress()
