"""An action whose peer answers with something else than agreed fails by itself, and nothing else with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tocsin.model.errors import Refused, Retryable, TocsinError
from tocsin.respond.ports import Act, Order, Plan

T = TypeVar("T")


class Careful:
    """Any action, with what goes wrong in it said in the words of actions."""

    def __init__(self, act: Act) -> None:
        self._act = act

    async def plan(self, order: Order) -> Plan:
        """What would be done."""
        return await _said(lambda: self._act.plan(order))

    async def run(self, order: Order, plan: Plan) -> str:
        """Do it."""
        return await _said(lambda: self._act.run(order, plan))

    async def undo(self, order: Order, plan: Plan) -> str:
        """Take it back."""
        return await _said(lambda: self._act.undo(order, plan))


async def _said(step: Callable[[], Awaitable[T]]) -> T:
    try:
        return await step()
    except (Refused, Retryable):
        raise
    except (TocsinError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Refused(f"what came back is not as agreed: {type(error).__name__}: {error}") from error
