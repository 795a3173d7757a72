"""Scopes of spans that were made of lines of logs."""

from __future__ import annotations

from typing import Final

LINE_SCOPE: Final = "tocsin.log_line"
"""A call that a line told of, with an id of its answer, its request or its trace."""
NAMELESS_SCOPE: Final = "tocsin.log_line.nameless"
"""A call that a line told of without any id."""
