"""Severity that a line of text or a word of a sender tells, as numbers of the OpenTelemetry log data model."""

from __future__ import annotations

import re
from typing import Final

_LINE_CHARS: Final = 200
_LEVEL: Final = re.compile(
    r"\b(trace|debug|info|notice|warn|warning|error|err|critical|crit|fatal|emerg|panic)\b", re.IGNORECASE
)
# key=value and JSON tell their level by name, wherever it stands: a message may speak of errors at any level
_NAMED: Final = re.compile(
    r"""(?:^|[\s{,"'])(?:level|lvl|loglevel|log_level|severity)["']?\s*[=:]\s*["']?([A-Za-z]{1,13})\b""", re.IGNORECASE
)
_LEVELS: Final = {
    "trace": ("TRACE", 1),
    "debug": ("DEBUG", 5),
    "info": ("INFO", 9),
    "information": ("INFO", 9),
    "notice": ("INFO", 10),
    "warn": ("WARN", 13),
    "warning": ("WARN", 13),
    "error": ("ERROR", 17),
    "err": ("ERROR", 17),
    "critical": ("FATAL", 21),
    "crit": ("FATAL", 21),
    "alert": ("FATAL", 22),
    "fatal": ("FATAL", 21),
    "emerg": ("FATAL", 24),
    "emergency": ("FATAL", 24),
    "panic": ("FATAL", 24),
}
_NAMED_CHARS: Final = 2000


def level_of_word(word: str) -> tuple[str, int]:
    """Severity and its number for a sender's word; ("", 0) for a word that is none.

    >>> level_of_word("Warning"), level_of_word("blue")
    (('WARN', 13), ('', 0))
    """
    return _LEVELS.get(word.strip().lower(), ("", 0))


def level_of_line(line: str) -> tuple[str, int]:
    """Severity that a line names by key or by word near its beginning; ("", 0) where it names none.

    >>> level_of_line('ts=1 level=info msg="no error"'), level_of_line("2026-01-01 ERROR no"), level_of_line("hello")
    (('INFO', 9), ('ERROR', 17), ('', 0))
    """
    named = _NAMED.search(line[:_NAMED_CHARS])
    if named is not None and (found := level_of_word(named[1]))[1]:
        return found
    match = _LEVEL.search(line[:_LINE_CHARS])
    return level_of_word(match[1]) if match else ("", 0)
