"""Keys: made once, shown once, kept as hashes, and asked on every call.

A secret is 256 random bits, so plain SHA-256 is enough: argon2 slows down the guessing of what people choose, and
nobody can guess among 2^256; it would only slow down every request.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from tocsin.model.access import OPEN_ACCESS, Access, Scope
from tocsin.model.clock import Clock
from tocsin.model.errors import BadInput, Corrupt
from tocsin.model.series import MAIN_TENANT
from tocsin.spec.problem import nearest

_KEY = re.compile(r"tk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_NO_HASH = "0" * 64
_log = structlog.get_logger(__name__)


class KeyEntry(BaseModel):
    """What is kept of one key; `created_at` in nanoseconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    scope: Scope
    tenant: str
    created_at: int
    sha256: str


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    keys: list[KeyEntry] = []


class KeyRing:
    """The keys of one data directory. Safe to use from threads and from several processes.

    With `open_access` a caller without a key may do everything (a loopback bind, or `--insecure`).
    """

    def __init__(self, path: Path, clock: Clock, *, open_access: bool = False) -> None:
        self._path = path
        self._clock = clock
        self._open = open_access
        self._guard = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._broken: tuple[int, int, int] | None = None
        self._entries: dict[str, KeyEntry] = {}

    def create(self, scope: Scope, tenant: str = MAIN_TENANT) -> str:
        """Make a key and give its text, which is never to be had again.

        Raises
        ------
        BadInput
            The tenant's name has letters that names of tenants don't have.
        """
        if not _TENANT.fullmatch(tenant):
            raise BadInput(f"{tenant!r} is no name for a tenant; use small letters, digits, dot, dash, underscore")
        secret = secrets.token_urlsafe(32)
        with self._locked():
            entries = self._load()
            name = secrets.token_hex(6)
            while name in entries:
                name = secrets.token_hex(6)
            digest = hashlib.sha256(secret.encode()).hexdigest()
            entries[name] = KeyEntry(id=name, scope=scope, tenant=tenant, created_at=self._clock.now(), sha256=digest)
            self._store(entries)
        return f"tk_{name}_{secret}"

    def list(self) -> list[KeyEntry]:
        """All keys, oldest first."""
        return sorted(self._current().values(), key=lambda entry: (entry.created_at, entry.id))

    def revoke(self, name: str) -> None:
        """End a key at once, in all processes.

        Raises
        ------
        BadInput
            There is no such key.
        """
        match = _KEY.fullmatch(name)
        name = match[1] if match else name.removeprefix("tk_")
        with self._locked():
            entries = self._load()
            if name not in entries:
                raise BadInput(f"no key has the id `{name}`{nearest(name, entries)}")
            del entries[name]
            self._store(entries)

    def authorise(self, header: str | None) -> Access | None:
        """What the text of an `Authorization` header grants; None when it is not known.

        On an open bind, only a header that holds one of our keys is judged: what a sender's other vendors want
        in that header is no reason to turn it away.
        """
        scheme, _, token = (header or "").strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token.startswith("tk_"):
            return OPEN_ACCESS if self._open else None
        match = _KEY.fullmatch(token)
        if match is None:
            return None
        entry = self._known().get(match[1])
        digest = hashlib.sha256(match[2].encode()).hexdigest()
        if not hmac.compare_digest(digest, entry.sha256 if entry else _NO_HASH) or entry is None:
            return None
        return _granted(entry)

    def access(self, name: str) -> Access | None:
        """What the key with an id grants; None when there is none."""
        entry = self._known().get(name)
        return None if entry is None else _granted(entry)

    def seal(self, name: str, text: str) -> str:
        """What only who has this file of keys can say of a text, for the key with an id; empty when there is none."""
        entry = self._known().get(name)
        return "" if entry is None else hmac.new(entry.sha256.encode(), text.encode(), hashlib.sha256).hexdigest()

    def _known(self) -> dict[str, KeyEntry]:
        """The keys as they are now; a file that a hand has broken leaves in force what was read last."""
        try:
            return self._current()
        except Corrupt as broken:
            stamp = self._stamp_now()
            with self._guard:
                if stamp != self._broken:
                    self._broken = stamp
                    _log.error(
                        "the keys that were read last stay in force", keys=len(self._entries), reason=str(broken)
                    )
                return dict(self._entries)

    def _stamp_now(self) -> tuple[int, int, int]:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return (0, 0, 0)
        return (stat.st_mtime_ns, stat.st_ino, stat.st_size)

    def _current(self) -> dict[str, KeyEntry]:
        """The keys as the file has them now; reading it anew only when it changed."""
        stamp = self._stamp_now()
        with self._guard:
            if stamp != self._stamp:
                self._entries = self._load()
                self._stamp = stamp
            return dict(self._entries)

    def _load(self) -> dict[str, KeyEntry]:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return {}
        try:
            return {entry.id: entry for entry in _KeyFile.model_validate_json(text).keys}
        except ValidationError as error:
            raise Corrupt(f"{self._path} is not a file of keys; restore it from a backup") from error

    def _store(self, entries: dict[str, KeyEntry]) -> None:
        body = _KeyFile(keys=sorted(entries.values(), key=lambda entry: entry.id)).model_dump(mode="json")
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=".keys")  # made with mode 0600
        try:
            with os.fdopen(descriptor, "w") as stream:
                json.dump(body, stream, indent=1)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(name, self._path)  # noqa: PTH105 - the name is text here
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._path.parent / ".keys.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _granted(entry: KeyEntry) -> Access:
    return Access(entry.tenant, frozenset({entry.scope}), entry.id)
