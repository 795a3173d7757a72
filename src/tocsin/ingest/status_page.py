"""A provider's status page: what has another state than when it was last read is a change of a dependency."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from tocsin.ingest.change_rules import Row, at, change_of, text_at
from tocsin.model.errors import BadInput
from tocsin.spec.wire import StatusPageSpec

MOST_ITEMS: Final = 2000
Item: TypeAlias = Mapping[str, Any]


class StatusPage:
    """The states of one page, as they were when it was last read.

    Parameters
    ----------
    name : source of the changes
    entity : what depends on the provider, as telemetry names it; empty: anything may
    """

    def __init__(self, name: str, entity: str, specs: Sequence[StatusPageSpec]) -> None:
        self._name = name
        self._entity = entity
        self._specs = specs
        self._known: dict[int, dict[str, Item]] = {}

    def read(self, body: bytes, received: int, ahead_ns: int) -> list[Row]:
        """Rows of EVENTS for all that changed; the first time, for all that is not as it should be.

        Raises
        ------
        BadInput
            It is no such page.
        """
        try:
            tree = json.loads(body)
        except (ValueError, RecursionError) as bad:
            raise BadInput(f"the status page is not JSON: {str(bad)[:200]}") from None
        rows: list[Row] = []
        found = 0
        for number, spec in enumerate(self._specs):
            items = at(tree, spec.items)
            if isinstance(items, list):
                found += 1
                rows += self._changed(number, spec, tree, items, received, ahead_ns)
        if not found:
            wanted = ", ".join(dict.fromkeys(spec.items for spec in self._specs))
            raise BadInput(f"none of {wanted} is in the status page; give the address of its summary.json")
        return rows

    def remembered(self) -> dict[str, dict[str, Item]]:
        """What the page said when it was last read, as JSON can hold it."""
        return {str(number): dict(items) for number, items in self._known.items()}

    def remember(self, said: Mapping[str, Mapping[str, Item]]) -> None:
        """Take back what the page said when it was last read: what has not changed since is not told again."""
        self._known = {int(number): dict(items) for number, items in said.items()}

    def _changed(
        self, number: int, spec: StatusPageSpec, tree: Item, items: list[Any], received: int, ahead_ns: int
    ) -> list[Row]:
        known = self._known.get(number)
        now: dict[str, Item] = {
            text_at(item, spec.id): item
            for item in items[:MOST_ITEMS]
            if isinstance(item, dict) and text_at(item, spec.id)
        }
        told: list[Row] = []

        def tell(item: Item, old: str) -> Row:
            row = change_of(spec.change, {**tree, "item": item, "old": old}, self._name, received, ahead_ns)
            return {**row, "entity": self._entity or row["entity"]}

        for name, item in now.items():
            old = text_at((known or {}).get(name), spec.state)
            state = text_at(item, spec.state)
            if state != old and (old or state not in spec.good):
                told.append(tell(item, old))
        if spec.gone:
            left = [item for name, item in (known or {}).items() if name not in now]
            # what is no longer listed says nothing of when it ended
            ended = [tell({**item, spec.state: spec.gone}, text_at(item, spec.state)) for item in left]
            told += [{**row, "time": received} for row in ended]
        self._known[number] = now
        return told
