"""Who may do what: scopes, and what a key grants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from tocsin.model.series import MAIN_TENANT


class Scope(Enum):
    """What a key allows; `admin` allows all."""

    INGEST = "ingest"
    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller was found to be allowed, and for which tenant (set from the key, never from telemetry)."""

    tenant: str = MAIN_TENANT
    scopes: frozenset[Scope] = frozenset()
    key_id: str = ""

    def allows(self, scope: Scope) -> bool:
        """Whether this access covers a scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


OPEN_ACCESS = Access(scopes=frozenset({Scope.ADMIN}))
"""What everybody on this machine has on a loopback bind without keys."""

Authorise: TypeAlias = Callable[[str | None], Access | None]
"""From the text of the `Authorization` header (or None) to what it grants (None: not known)."""
