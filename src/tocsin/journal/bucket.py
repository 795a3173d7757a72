"""`BucketShelf`: a shelf in a bucket of a store that speaks S3; a file is there as a whole once its upload is complete."""

from __future__ import annotations

import configparser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from pyarrow import fs

from tocsin.model.errors import BadConfig, Unreachable

_DEFAULT_REGION: Final = "us-east-1"
"""What stores of one's own take, whatever they call theirs."""


def open_store(region: str, endpoint: str, credentials_file: str, ca_file: str) -> Any:
    """A client of Amazon's S3, or of the store at an endpoint (http://host:port or https://host:port).

    Credentials are those of the file, else those that Amazon's clients find: in the environment, a profile, or the
    machine's role.

    Raises
    ------
    BadConfig
        The file of credentials can't be read, or does not hold both of them.
    """
    parts = urlsplit(endpoint)
    given: dict[str, Any] = dict(_credentials(Path(credentials_file))) if credentials_file else {}
    if endpoint:
        given |= {"scheme": parts.scheme, "endpoint_override": parts.netloc}
    if ca_file:
        given["tls_ca_file_path"] = ca_file
    # small files go up in one request; a bucket is never made by mistake
    return fs.S3FileSystem(region=region or (_DEFAULT_REGION if endpoint else None), allow_delayed_open=True, **given)


def _credentials(path: Path) -> Mapping[str, str]:
    read = configparser.ConfigParser(interpolation=None)
    try:
        read.read_string(path.read_text())
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a file of sections and `name = value`"
        raise BadConfig(f"`cluster: s3: credentials_file`: {path} can't be read: {why}") from None
    found = read["default"] if read.has_section("default") else {}
    if not (found.get("aws_access_key_id") and found.get("aws_secret_access_key")):
        raise BadConfig(
            f"`cluster: s3: credentials_file`: {path} needs a section [default] with aws_access_key_id and"
            " aws_secret_access_key"
        )
    names = {
        "access_key": "aws_access_key_id",
        "secret_key": "aws_secret_access_key",
        "session_token": "aws_session_token",
    }
    return {name: found[key] for name, key in names.items() if found.get(key)}


class BucketShelf:
    """Files under `BUCKET/PREFIX` of a store; `store` comes from `open_store`."""

    def __init__(self, store: Any, path: str) -> None:
        self._store = store
        self._path = path.rstrip("/")

    def at(self, *names: str) -> BucketShelf:
        """A shelf below this one."""
        return BucketShelf(self._store, "/".join((self._path, *names)))

    def check(self) -> None:
        """See whether the bucket is there and may be read.

        Raises
        ------
        BadConfig
            There is no such bucket.
        Unreachable
            The store does not answer, or refuses.
        """
        bucket = self._path.partition("/")[0]
        with self._said():
            found = self._store.get_file_info(bucket)
        if found.type == fs.FileType.NotFound:
            raise BadConfig(f"`cluster: snapshots`: there is no bucket {bucket}; make it, or name another")

    def names(self) -> Sequence[str]:
        """Names of all files."""
        with self._said():
            found = self._store.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
        return [each.base_name for each in found if each.type == fs.FileType.File]

    def read(self, name: str) -> bytes:
        """A file's content."""
        with self._said(), self._store.open_input_file(f"{self._path}/{name}") as file:
            content: bytes = file.read()
        return content

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Put a file: it is packed before its upload begins, as an upload that is broken off must not be completed."""
        packed = BytesIO()
        fill(packed)
        with self._said(), self._store.open_output_stream(f"{self._path}/{name}") as file:
            file.write(packed.getbuffer())

    def rename(self, name: str, other: str) -> None:
        """Put a file under its new name and drop the old one; a bucket has no other way."""
        with suppress(FileNotFoundError):
            content = self.read(name)
            self.write(other, lambda file: file.write(content))
            self.drop(name)

    def drop(self, name: str) -> None:
        """Forget a file."""
        with self._said(), suppress(FileNotFoundError):
            self._store.delete_file(f"{self._path}/{name}")

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreachable(
                f"s3://{self._path}: {error}; see `cluster: s3` in docs/cluster.md for address and credentials"
            ) from error
