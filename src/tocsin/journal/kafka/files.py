"""Files in a compacted topic: what its records are called and say, and which of them a reader knows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

PART_BYTES: Final = 512 << 10
"""Half of what a broker takes in one message unless it is told otherwise."""
MOST_BYTES: Final = 32 << 20
"""Largest file: all who follow the topic read all of it."""
ORPHANED_MS: Final = 3_600_000
"""Parts whose file is not there so long after them were left by a writer that died."""
_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Manifest:
    """What makes parts a file: the write that they are of, how many they are, and what they come to."""

    write: str
    parts: int
    length: int
    digest: str

    @staticmethod
    def of(write: str, content: memoryview | bytes) -> Manifest:
        """The manifest of a content, written as `write`."""
        return Manifest(write, -(-len(content) // PART_BYTES), len(content), _digest(content))

    def packed(self) -> bytes:
        """The value of its record."""
        return json.dumps(asdict(self)).encode()

    def fits(self, content: bytes) -> bool:
        """Whether that is the content."""
        return len(content) == self.length and _digest(content) == self.digest


def _digest(content: memoryview | bytes) -> str:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def part_key(file: str, write: str, number: int) -> str:
    """Key of a part's record; a file's own key is `PATH/NAME`.

    >>> part_key("3/00000000000000000042.snap", "ab12", 0)
    '3/00000000000000000042.snap#ab12/0'
    """
    return f"{file}#{write}/{number}"


class FileIndex:
    """Files of a topic and where their parts lie, as far as its records are read; holds no content.

    >>> index = FileIndex()
    >>> index.take("3/a#w/0", b"text", 0, 1000)
    >>> index.names("3")
    []
    >>> index.take("3/a", Manifest.of("w", b"text").packed(), 1, 1000)
    >>> index.names("3"), index.places("3/a", index.files["3/a"])
    (['a'], {0: '3/a#w/0'})
    """

    def __init__(self) -> None:
        self.files: dict[str, Manifest] = {}
        self._parts: dict[tuple[str, str], dict[int, int]] = {}
        self._stamps: dict[tuple[str, str], int] = {}
        self._superseded: set[tuple[str, str]] = set()
        self._newest = 0

    def take(self, key: str, value: bytes | None, offset: int, stamp_ms: int) -> None:
        """Take the next record of the topic; what is none of ours is passed over."""
        self._newest = max(self._newest, stamp_ms)
        file, is_part, rest = key.partition("#")
        if is_part:
            write, _, number = rest.rpartition("/")
            if number.isdecimal():
                self._take_part((file, write), int(number), None if value is None else offset, stamp_ms)
            return
        manifest = None if value is None else _unpacked(value)
        before = self.files.pop(file, None)
        if before is not None and (manifest is None or manifest.write != before.write):
            self._superseded.add((file, before.write))
        if manifest is not None:
            self.files[file] = manifest

    def _take_part(self, of: tuple[str, str], number: int, offset: int | None, stamp_ms: int) -> None:
        parts = self._parts.setdefault(of, {})
        if offset is None:
            parts.pop(number, None)
        else:
            parts[number] = offset
            self._stamps[of] = stamp_ms
        if not parts:
            del self._parts[of]
            self._stamps.pop(of, None)
            self._superseded.discard(of)

    def names(self, path: str) -> list[str]:
        """Names of files at a path, not of those below it."""
        return [name for at, _, name in (file.rpartition("/") for file in self.files) if at == path]

    def places(self, file: str, manifest: Manifest) -> dict[int, str] | None:
        """Offsets of a file's parts in their order, with the keys that are there; None: one is gone."""
        parts = self._parts.get((file, manifest.write), {})
        if any(number not in parts for number in range(manifest.parts)):
            return None
        return {parts[number]: part_key(file, manifest.write, number) for number in range(manifest.parts)}

    def leftovers(self, path: str) -> Sequence[str]:
        """Keys of parts at a path that no file needs: it is written anew or dropped, or its writer died."""
        found = []
        for of, parts in self._parts.items():
            file, write = of
            at, _, _ = file.rpartition("/")
            current = self.files.get(file)
            if at != path or (current is not None and current.write == write):
                continue
            if of in self._superseded or self._stamps[of] < self._newest - ORPHANED_MS:
                found += [part_key(file, write, number) for number in sorted(parts)]
        return found


def _unpacked(value: bytes) -> Manifest | None:
    try:
        said = json.loads(value)
        return Manifest(str(said["write"]), int(said["parts"]), int(said["length"]), str(said["digest"]))
    except (ValueError, TypeError, KeyError):
        return None
