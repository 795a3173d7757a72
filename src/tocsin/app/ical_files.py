"""iCalendar files that a configuration names: read when it is loaded, and again when they change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tocsin.spec.config import Config
from tocsin.spec.explain import place
from tocsin.spec.ical import MOST_BYTES, IcalFile, check_ical
from tocsin.spec.load import Loaded
from tocsin.spec.problem import BadSpec, Problem
from tocsin.spec.tree import parse

_KEYS = ("oncall", "maintenance")


def ical_paths(loaded: Loaded | None) -> list[Path]:
    """The iCalendar files of a configuration."""
    if loaded is None:
        return []
    base = Path(loaded.file).absolute().parent
    return [base / file.path for _, _, file in _files(loaded.config)]


def with_calendars(loaded: Loaded, before: Config | None, *, strict: bool) -> Loaded:
    """The same with what its iCalendar files hold; where one is bad, a warning unless `strict`.

    What was read of a file `before` holds then: a broken export must not leave anybody without a page.

    Raises
    ------
    BadSpec
        A file can't be read or is no calendar, and `strict`.
    """
    base = Path(loaded.file).absolute().parent
    known = {file.path: file for _, _, file in _files(before)} if before is not None else {}
    changed: dict[str, list[Any]] = {key: list(getattr(loaded.config, key)) for key in _KEYS}
    found = []
    for key, number, file in _files(loaded.config):
        try:
            text = _text(base / file.path)
        except ValueError as bad:
            found.append((key, number, f"{file.path}: {bad}"))
            text = known[file.path].text if file.path in known else ""
        ical = IcalFile(file.path, text)
        changed[key][number] = changed[key][number].model_copy(update={"ical": ical})
    problems = _placed(loaded, found)
    if problems and strict:
        raise BadSpec(problems)
    odd = [
        replace(each, message=f"{each.message}; what was read of it before holds", level="warning") for each in problems
    ]
    config = loaded.config.model_copy(update=changed) if any(True for _ in _files(loaded.config)) else loaded.config
    return replace(loaded, config=config, warnings=(*loaded.warnings, *odd))


def _files(config: Config) -> Iterator[tuple[str, int, IcalFile]]:
    for key in _KEYS:
        for number, each in enumerate(getattr(config, key)):
            if each.ical is not None:
                yield key, number, each.ical


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            body = stream.read(MOST_BYTES + 1)
        text = body.decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"can't read it: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if len(body) > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES >> 20} MiB")
    check_ical(text)
    return text


def _placed(loaded: Loaded, found: list[tuple[str, int, str]]) -> list[Problem]:
    if not found:
        return []
    root = parse(loaded.text, loaded.file)
    return [Problem(loaded.file, *place(root, (key, number, "ical")), text) for key, number, text in found]
