"""Sessions of browsers that every process of an installation knows, and that outlive a restart.

The state store has the hash of a token, the id of a key, and a seal: an HMAC under what the file of keys has of that
key. So who reads the database can't act as anybody, and who writes into it can't either; a key that is revoked ends its
sessions everywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from tocsin.api.session_ports import SESSION_NS
from tocsin.app.keys import KeyRing
from tocsin.model.access import Access
from tocsin.store.sessions import Session, SessionRows


class KeptSessions:
    """`tocsin.api.session_ports.SessionBook` over the state store and the keys of this process."""

    def __init__(self, rows: SessionRows, keys: KeyRing) -> None:
        self._rows, self._keys = rows, keys

    def open(self, header: str, now: int) -> str:
        """Start a session for an Authorization header; of who needs no key none is kept."""
        token = secrets.token_urlsafe(32)
        access = self._keys.authorise(header)
        if access is not None and access.key_id:
            digest, until = _digest(token), now + SESSION_NS
            seal = self._keys.seal(access.key_id, f"{digest} {until}")
            self._rows.add_session(Session(digest, access.key_id, until, seal), now=now)
        return token

    def access(self, token: str, now: int) -> Access | None:
        """What the key behind a token grants; None if there is none, or it is too old."""
        found = self._rows.session(_digest(token))
        if found is None or found.until <= now:
            return None
        seal = self._keys.seal(found.key_id, f"{found.digest} {found.until}")
        return self._keys.access(found.key_id) if seal and hmac.compare_digest(seal, found.seal) else None

    def close(self, token: str) -> None:
        """End a session."""
        self._rows.end_session(_digest(token))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
