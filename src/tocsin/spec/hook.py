"""`HookSpec`: an address that is called when a monitor has found something, so that a pipeline can mend it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from hashlib import blake2b

from pydantic import Field, field_validator

from tocsin.model.series import Labels
from tocsin.spec.destination import WebhookDestination
from tocsin.spec.drift import fixed_host
from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs
from tocsin.spec.text import HttpUrl, Network


class HookSpec(Spec):
    """Calls `url` once for each finding of the monitors that `monitor` (name or glob) fits, signed with `secret`.

    `where` (label: glob) chooses among their series. Not sooner than `cooldown` after the last call of this hook for
    the same series; `allow` as in destinations. `${label}` may stand in the path and query of the address.
    """

    monitor: str = Field(min_length=1, max_length=100)
    where: dict[str, str] = {}
    url: HttpUrl
    secret: str = ""
    cooldown: DurationNs = Field(default=3600 * SECOND, ge=0, le=31 * 86_400 * SECOND)
    allow: list[Network] = []

    @field_validator("url")
    @classmethod
    def _fixed(cls, url: str) -> str:
        return fixed_host(url)

    @property
    def name(self) -> str:
        """Name of its destination, the same as long as what it is for and its address are."""
        told = "\x00".join((self.monitor, *(f"{key}={self.where[key]}" for key in sorted(self.where)), self.url))
        return "hook-" + blake2b(told.encode(), digest_size=6).hexdigest()

    def fits(self, monitor: str, labels: Labels) -> bool:
        """Whether it is for a finding of this monitor on a series with these labels."""
        known = dict(labels)
        return fnmatchcase(monitor, self.monitor) and all(
            key in known and fnmatchcase(known[key], want) for key, want in self.where.items()
        )

    def destination(self) -> WebhookDestination:
        """The address that is called, as a destination of its own."""
        return WebhookDestination(name=self.name, type="webhook", url=self.url, secret=self.secret, allow=self.allow)
