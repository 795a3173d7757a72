"""Checks any file people write: tocsin.yaml, a pipeline file, a pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tocsin.spec.load import parse_config, read_text
from tocsin.spec.pack import PackSpec
from tocsin.spec.packs import parse_pack
from tocsin.spec.problem import BadSpec, Problem


def check_file(path: Path, env: Mapping[str, str], packs: Sequence[PackSpec] = ()) -> tuple[Problem, ...]:
    """Every error and warning about one file, in the order of the file; empty when it is good."""
    try:
        text = read_text(path)
        if parse_pack(text, str(path)) is not None:
            return ()
        return parse_config(text, str(path), env, packs).warnings
    except BadSpec as error:
        return error.problems
