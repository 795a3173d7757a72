"""Where a model is put: whole or not at all, and never over another one without keeping that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tocsin.detect.model_file import outline
from tocsin.model.errors import BadConfig, BadInput


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the new file is, and under which name the one that was there is kept."""

    path: Path
    before: Path | None

    def undo(self) -> None:
        """As it was before."""
        self.path.unlink(missing_ok=True)
        if self.before is not None:
            self.before.replace(self.path)


def put(path: Path, raw: bytes) -> Kept:
    """Write a model; another one of this name becomes `NAME.1.onnx`, `NAME.2.onnx` and so on, the highest the latest.

    Raises
    ------
    BadInput
        What is there is no model, or nothing can be written.
    """
    before: Path | None = None
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(raw)
        if path.exists() and path.read_bytes() != raw:
            before = _keep(path)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BadInput(f"can't write {path}: {(error.strerror or str(error)).lower()}") from None
    except BadInput:
        part.unlink(missing_ok=True)
        raise
    return Kept(path, before)


def check_place(path: Path) -> None:
    """See that a model may be put somewhere.

    Raises
    ------
    BadInput
        The file is not called a model, or what is there is none.
    """
    if path.suffix != ".onnx":
        raise BadInput(f"{path}: name the file of the model .onnx")
    if not path.exists():
        return
    try:
        outline(path.read_bytes())
    except (BadConfig, OSError):
        raise BadInput(f"{path} is there and is no ONNX model; give another name with --out") from None


def _keep(path: Path) -> Path:
    check_place(path)
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    path.rename(kept)
    return kept
