"""The one home of what is read from the environment, and `ServeSettings`: all a server process is told at start."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tocsin.app.defaults import OTLP_GRPC_PORT, OTLP_HTTP_PORT, PORT

SETTINGS_FILE = "settings.json"
SUPERVISOR_FILE = "supervisor.json"

PortNumber = Annotated[int, Field(ge=0, le=65535)]


def environment() -> Mapping[str, str]:
    """The process's environment, to be handed in wherever one is needed."""
    return os.environ  # noqa: TID251 - this is its one home


def cache_kernels(data_dir: Path) -> None:
    """Keep compiled kernels for all servers of this user, else with the data; call before numba is imported."""
    env = os.environ  # noqa: TID251 - this is its one home
    shared = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME") or "/nonexistent") / ".cache") / "tocsin"
    try:
        shared.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(shared, os.W_OK)
    except OSError:
        usable = False
    env.setdefault("NUMBA_CACHE_DIR", str((shared if usable else data_dir / "cache") / version("tocsin")))


def plain_uploads() -> None:
    """Let the S3 client send bodies as all stores take them, not in signed chunks, unless the environment says so."""
    os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")  # noqa: TID251 - this is its one home


def default_data_dir(env: Mapping[str, str]) -> Path:
    """Where data goes when nothing is said: `TOCSIN_DATA`, else the user's data directory by XDG.

    >>> str(default_data_dir({"HOME": "/home/a"})), str(default_data_dir({"TOCSIN_DATA": "/d"}))
    ('/home/a/.local/share/tocsin', '/d')
    """
    if env.get("TOCSIN_DATA"):
        return Path(env["TOCSIN_DATA"])
    base = env.get("XDG_DATA_HOME", "")
    if base.startswith("/"):
        return Path(base) / "tocsin"
    return Path(env.get("HOME") or "/var/lib") / ".local" / "share" / "tocsin"


def is_loopback(host: str) -> bool:
    """Whether an address to bind is reached from this machine only.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class ClockSettings(BaseModel):
    """A clock that stands at `origin_ns` until the file `started` is there, and then goes `speed` times as fast."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin_ns: int
    started: Path
    speed: float = Field(default=1.0, gt=0)


class ServeSettings(BaseModel):
    """Everything a process of `tocsin serve` is told; it travels as JSON in the private run directory.

    The supervisor binds the HTTP ports and hands the sockets on (`main_fd`, `otlp_http_fd`), so that a restart of
    the hot process refuses nobody; gRPC can't take a socket and binds `otlp_grpc_port` itself. None or 0: off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_dir: Path
    run_dir: Path
    host: str = "127.0.0.1"
    port: PortNumber = PORT
    otlp_http_port: PortNumber = OTLP_HTTP_PORT
    otlp_grpc_port: PortNumber = OTLP_GRPC_PORT
    main_fd: int | None = None
    otlp_http_fd: int | None = None
    config_path: Path | None = None
    public_url: str = ""
    insecure: bool = False
    host_metrics: bool = True
    page: bool = True
    role: Literal["serve", "worker", "control"] = "serve"
    shared_dir: Path | None = None
    engine: bool = True
    clock: ClockSettings | None = None
    internal_secret: str = ""

    @property
    def open_access(self) -> bool:
        """Whether callers without a key may do everything."""
        return self.insecure or is_loopback(self.host)

    @property
    def url(self) -> str:
        """Address of the main port as a person on this machine would open it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def page_url(self) -> str:
        """Address of the pages as the receivers of a notice open it."""
        return self.public_url.rstrip("/") or self.url

    @property
    def hot_socket(self) -> Path:
        """Unix socket of the hot process."""
        return self.run_dir / "hot.sock"

    @property
    def cold_socket(self) -> Path:
        """Unix socket of the cold process."""
        return self.run_dir / "cold.sock"

    @property
    def keys_path(self) -> Path:
        """Where hashed keys are kept: with the data, or for all machines of a cluster where one has none of its own."""
        own = self.data_dir / "keys.json"
        return own if self.shared_dir is None or own.exists() else self.shared_dir / "keys.json"

    def write(self) -> Path:
        """Store the settings in the run directory, for its owner's eyes only."""
        path = self.run_dir / SETTINGS_FILE
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(self.model_dump_json())
        return path

    @staticmethod
    def read(run_dir: Path) -> ServeSettings:
        """The settings that the supervisor wrote into a run directory."""
        return ServeSettings.model_validate_json((run_dir / SETTINGS_FILE).read_text())
