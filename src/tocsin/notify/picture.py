"""A chart beside a notice that was delivered: it may fail without the notice being told again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

import structlog

from tocsin.model.errors import TocsinError
from tocsin.selfmon.metrics import counter

MOST_S: Final = 8.0
"""A chart that takes longer is left: the notice has arrived, and what it is part of is not held up."""
_LEFT = counter("tocsin_notify_pictures_left_total", "Charts that a destination did not take", ["destination"])
_log = structlog.get_logger(__name__)


async def beside(name: str, sending: Awaitable[None]) -> str:
    """Send a chart to the destination `name`; what to say of it: empty where it arrived."""
    try:
        async with asyncio.timeout(MOST_S):
            await sending
    except (TocsinError, TimeoutError, OSError) as error:
        _LEFT.labels(name).inc()
        said = str(error)[:200] or type(error).__name__
        _log.warning("no chart beside the notice", destination=name, error=said)
        return f", without its chart: {said}"
    return ""
