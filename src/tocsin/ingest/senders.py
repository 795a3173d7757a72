"""What packs and configuration know about those who push: words of each wire, webhooks and their secrets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tocsin.spec.pack import PackSpec
from tocsin.spec.packs import load_packs
from tocsin.spec.source import SourceBase, WebhookSource
from tocsin.spec.wire import LogChangeSpec, WebhookSpec, WireSpec


@cache
def shipped_packs() -> tuple[PackSpec, ...]:
    """The packs that ship with the program, read once."""
    return tuple(load_packs())


class Senders:
    """Knowledge about senders; `adopt` changes the secrets of webhooks while requests are served."""

    def __init__(self, packs: Sequence[PackSpec] | None = None, sources: Sequence[SourceBase] = ()) -> None:
        found = shipped_packs() if packs is None else packs
        self._wires: dict[str, WireSpec] = {wire.name: wire for pack in found for wire in pack.wires}
        self._shipped: dict[str, WebhookSpec] = {each.name: each for pack in found for each in pack.webhooks}
        self.webhooks: dict[str, WebhookSpec] = {}
        self.log_changes: tuple[LogChangeSpec, ...] = tuple(each for pack in found for each in pack.log_changes)
        self._sources: dict[str, tuple[WebhookSource, ...]] = {}
        self.adopt(sources)

    def adopt(self, sources: Sequence[SourceBase]) -> None:
        """Go by these sources of the configuration from now on; thread-safe."""
        found: dict[str, tuple[WebhookSource, ...]] = {}
        for source in sources:
            if isinstance(source, WebhookSource):
                found[source.format] = (*found.get(source.format, ()), source)
        self._sources = found
        self.webhooks = self._shipped | {name: self._own(name, own) for name, own in found.items()}

    def _own(self, name: str, sources: Sequence[WebhookSource]) -> WebhookSpec:
        """A webhook as the configuration has it: its own rules before those of packs."""
        known = self._shipped.get(name)
        signature = next((source.signature for source in sources if source.signature is not None), None)
        return WebhookSpec(
            name=name,
            title=known.title if known else "",
            example=known.example if known else "",
            signature=signature or (known.signature if known else None),
            changes=[rule for source in sources for rule in source.changes] + (known.changes if known else []),
        )

    def wire(self, name: str) -> WireSpec:
        """The words of a wire; one that no pack speaks of has none."""
        return self._wires.get(name) or WireSpec(name=name)

    def configured(self, webhook: str) -> tuple[WebhookSource, ...]:
        """Sources of the configuration that are fed by a webhook."""
        return self._sources.get(webhook, ())
