"""A backup as one tar file whose last member lists the digests of all the others, and its way back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from tocsin.app.datadir import stopped
from tocsin.model.errors import BadInput, Corrupt
from tocsin.store.backup import REPLAYS

MANIFEST = "tocsin-backup.json"
FORMAT = 1
_CHUNK_BYTES = 1 << 20
KERNEL_CACHE = "cache"
_NOT_KEPT = frozenset({"tocsin.lock", ".keys.lock"})


def archived(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """The bytes of a backup of (name within it, path) pairs; a file that grows meanwhile is cut where it was.

    Raises
    ------
    Corrupt
        A file became shorter while it was read.
    """
    yield from archived_as(MANIFEST, files, {"format": FORMAT, "version": version("tocsin")})


def archived_as(manifest: str, files: Iterable[tuple[str, Path]], said: Mapping[str, object]) -> Iterator[bytes]:
    """The bytes of a tar file whose last member is named `manifest`: what is `said`, and `sha256` of the others.

    Raises
    ------
    Corrupt
        A file became shorter while it was read.
    """
    digests: dict[str, str] = {}
    for name, path in files:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            yield _head(name, size)
            digest = hashlib.sha256()
            left = size
            while left:
                chunk = stream.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    raise Corrupt(f"{path} became shorter while it was backed up; take the backup again")
                digest.update(chunk)
                left -= len(chunk)
                yield chunk
            yield _padding(size)
            digests[name] = digest.hexdigest()
    body = json.dumps({**said, "sha256": digests}).encode()
    yield _head(manifest, len(body)) + body + _padding(len(body)) + bytes(2 * tarfile.BLOCKSIZE)


def files_of(data_dir: Path) -> Iterator[tuple[str, Path]]:
    """Every file of a data directory that belongs into a backup; compiled kernels are made anew anywhere, replays are copies."""
    for path in sorted(data_dir.rglob("*")):
        if path.relative_to(data_dir).parts[0] in (KERNEL_CACHE, REPLAYS):
            continue
        if path.is_file() and not path.is_symlink() and path.name not in _NOT_KEPT:
            yield path.relative_to(data_dir).as_posix(), path


def backup_directory(data_dir: Path) -> Iterator[bytes]:
    """The bytes of a backup of a data directory that no server uses.

    Raises
    ------
    BadInput
        There is no such directory.
    BadConfig
        A server uses it.
    """
    with stopped(data_dir):
        yield from archived(files_of(data_dir))


def restore(stream: BinaryIO, data_dir: Path) -> int:
    """Put a backup into a new or empty data directory, whole or not at all; gives the number of files.

    Raises
    ------
    BadInput
        The directory has something in it, or can't be made.
    Corrupt
        It is not a backup, or not the one that was taken.
    """
    data_dir = data_dir.resolve()
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise BadInput(f"{data_dir} is not empty; restore into a new directory with --data DIR")
    part = data_dir.with_name(f".{data_dir.name}.restoring")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(mode=0o700, parents=True)
        count = _extract(stream, part)
        if data_dir.exists():
            data_dir.rmdir()
        part.rename(data_dir)
    except tarfile.TarError as error:
        raise Corrupt(f"not a backup, or cut short: {error}") from None
    except OSError as error:
        raise BadInput(f"can't restore into {data_dir}: {(error.strerror or str(error)).lower()}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return count


def _extract(stream: BinaryIO, into: Path) -> int:
    digests: dict[str, str] = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            source = archive.extractfile(member) if member.isfile() else None
            if source is None:
                raise Corrupt(f"not a backup: {member.name!r} is no plain file")
            if member.name == MANIFEST:
                _verify(source.read(64 << 20), digests)
                return len(digests)
            digests[member.name] = _write(source, _inside(into, member.name))
    raise Corrupt("the backup is cut short: its list of files is missing")


def _write(source: IO[bytes], path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    return digest.hexdigest()


def _inside(root: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise Corrupt(f"not a backup: the name {name!r} leads out of the directory")
    return root.joinpath(*parts)


def _verify(manifest: bytes, found: dict[str, str]) -> None:
    try:
        stated = json.loads(manifest)
        wanted, number = dict(stated["sha256"]), stated["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Corrupt("not a backup: its list of files can't be read") from None
    if number != FORMAT:
        raise Corrupt(f"the backup has format {number}, this program reads {FORMAT}; use the version that made it")
    wrong = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if wrong:
        raise Corrupt(f"the backup is damaged: {wrong[0]!r} is not what it was ({len(wrong)} files differ)")


def _head(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
