"""`serve` and `run`: the server, with and without its page."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.app.defaults import OTLP_GRPC_PORT, OTLP_HTTP_PORT, PORT
from tocsin.app.lean import without_colours
from tocsin.cli.options import Data, data_dir
from tocsin.cli.output import line, say
from tocsin.model.errors import BadInput

if TYPE_CHECKING:
    from tocsin.app.settings import ServeSettings

Host = Annotated[str, typer.Option(help="Address to bind; others than loopback need a key.")]
MainPort = Annotated[int, typer.Option("--port", min=0, max=65535, help="Page, API, OTLP/HTTP, remote write; 0: off.")]
PagePort = Annotated[int, typer.Option("--port", min=1, max=65535, help="Page and API.")]
OtlpHttp = Annotated[int, typer.Option("--otlp-http-port", min=0, max=65535, help="OTLP/HTTP; 0: off.")]
OtlpGrpc = Annotated[int, typer.Option("--otlp-grpc-port", min=0, max=65535, help="OTLP/gRPC; 0: off.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Let everybody who reaches the address do everything.")]
PublicUrl = Annotated[
    str, typer.Option("--public-url", metavar="URL", help="Where others open the page; links in notices lead there.")
]
HostMetrics = Annotated[bool, typer.Option("--host-metrics/--no-host-metrics", help="Watch this machine as well.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve")(serve)
    app.command("run")(run)
    app.command("worker")(worker)
    app.command("control")(control)
    app.command("replica")(replica)


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="tocsin.yaml or a pipeline file.")
    ] = None,
    data: Data = None,
    host: Host = "127.0.0.1",
    *,
    port: MainPort = PORT,
    otlp_http_port: OtlpHttp = OTLP_HTTP_PORT,
    otlp_grpc_port: OtlpGrpc = OTLP_GRPC_PORT,
    public_url: PublicUrl = "",
    insecure: Insecure = False,
    host_metrics: HostMetrics = True,
) -> None:
    """Take telemetry in, watch it, and open incidents, until SIGTERM or Ctrl-C."""
    ports = {"port": port, "otlp_http_port": otlp_http_port, "otlp_grpc_port": otlp_grpc_port}
    more = {"public_url": _checked(public_url), "insecure": insecure, "host_metrics": host_metrics}
    _start(_settings(config, data, host, **ports, **more), config, None)


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="tocsin.yaml or a pipeline file.")],
    duration: Annotated[
        float | None, typer.Option("--duration", min=0, metavar="S", help="End after S seconds.")
    ] = None,
    data: Data = None,
    host: Host = "127.0.0.1",
    port: MainPort = PORT,
    otlp_http_port: OtlpHttp = OTLP_HTTP_PORT,
    otlp_grpc_port: OtlpGrpc = OTLP_GRPC_PORT,
) -> None:
    """Run the same engine without the page, for a file of configuration."""
    ports = {"port": port, "otlp_http_port": otlp_http_port, "otlp_grpc_port": otlp_grpc_port}
    _start(_settings(file, data, host, **ports, host_metrics=False, page=False), file, duration)


def worker(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="tocsin.yaml with a `cluster:`.")],
    data: Data = None,
    host: Host = "127.0.0.1",
    *,
    port: MainPort = PORT,
    otlp_http_port: OtlpHttp = OTLP_HTTP_PORT,
    otlp_grpc_port: OtlpGrpc = OTLP_GRPC_PORT,
    engine: Annotated[bool, typer.Option("--engine/--no-engine", help="Fold a share of the log as well.")] = True,
    insecure: Insecure = False,
    host_metrics: HostMetrics = True,
) -> None:
    """Take telemetry into the shared log of a cluster, and fold the share of it that the group gives."""
    ports = {"port": port, "otlp_http_port": otlp_http_port, "otlp_grpc_port": otlp_grpc_port}
    more = {"insecure": insecure, "host_metrics": host_metrics, "page": False, "role": "worker", "engine": engine}
    _start(_settings(config, data, host, **ports, **more), config, None)


def control(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="tocsin.yaml with a `cluster:`.")],
    data: Data = None,
    host: Host = "127.0.0.1",
    *,
    port: MainPort = PORT,
    otlp_http_port: OtlpHttp = 0,
    otlp_grpc_port: OtlpGrpc = 0,
    public_url: PublicUrl = "",
    insecure: Insecure = False,
    host_metrics: HostMetrics = True,
) -> None:
    """Tell a cluster what to watch, make incidents of what its workers find, and serve pages and API."""
    ports = {"port": port, "otlp_http_port": otlp_http_port, "otlp_grpc_port": otlp_grpc_port}
    more = {"public_url": _checked(public_url), "insecure": insecure, "host_metrics": host_metrics, "role": "control"}
    _start(_settings(config, data, host, **ports, **more), config, None)


def replica(
    config: Annotated[
        Path,
        typer.Option("--config", metavar="FILE", help="tocsin.yaml of control, with its `state:` and `telemetry:`."),
    ],
    data: Data = None,
    host: Host = "127.0.0.1",
    *,
    port: PagePort = PORT,
    control: Annotated[
        str, typer.Option("--control", metavar="URL", help="Where control is; else `cluster: {control: URL}`.")
    ] = "",
    public_url: PublicUrl = "",
    insecure: Insecure = False,
) -> None:
    """Serve pages and API beside control, from the stores that it writes; what changes something goes on to control."""
    without_colours()
    from tocsin.app.replica.process import run_replica  # noqa: PLC0415 - heavy
    from tocsin.app.settings import environment  # noqa: PLC0415 - heavy
    from tocsin.selfmon.clock import SystemClock  # noqa: PLC0415 - heavy
    from tocsin.selfmon.logs import set_up  # noqa: PLC0415 - heavy

    set_up("replica")
    ports = {"port": port, "otlp_http_port": 0, "otlp_grpc_port": 0}
    wanted = _settings(config, data, host, **ports, public_url=_checked(public_url), insecure=insecure)
    sys.exit(run_replica(wanted, control, environment(), SystemClock(), say=line))


def _settings(config: Path | None, data: Path | None, host: str, **more: object) -> ServeSettings:
    """All that a server is told; what is said here is what its command adds."""
    from tocsin.app.settings import ServeSettings  # noqa: PLC0415 - heavy

    place = {"data_dir": data_dir(data), "run_dir": Path("/"), "host": host}
    file = {"config_path": config.absolute() if config is not None else None}
    return ServeSettings.model_validate({**place, **file, **more})


def _checked(url: str) -> str:
    """An address that links can be made of, or none."""
    if url and not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", url):
        raise BadInput(f"--public-url {url!r} is no address of a page; write it like https://tocsin.example.org")
    return url


def _start(settings: ServeSettings, file: Path | None, duration_s: float | None) -> None:
    without_colours()
    from tocsin.app.serve import serve as serve_until_signal  # noqa: PLC0415 - heavy
    from tocsin.app.settings import environment  # noqa: PLC0415 - heavy
    from tocsin.app.supervise import MODULES, WORKER  # noqa: PLC0415 - heavy
    from tocsin.selfmon.clock import SystemClock  # noqa: PLC0415 - heavy
    from tocsin.selfmon.logs import set_up  # noqa: PLC0415 - heavy

    set_up("supervisor")
    loaded = None
    if file is not None:
        from tocsin.spec.load import load_config  # noqa: PLC0415 - heavy; a supervisor without a file is small
        from tocsin.spec.packs import load_packs  # noqa: PLC0415 - heavy

        loaded = load_config(file, environment(), load_packs())
        if any(monitor.detect.tuned for monitor in loaded.config.monitors):
            from tocsin.app.models import KeptModels, with_models  # noqa: PLC0415 - heavy, and most tune nothing

            loaded = with_models(loaded, KeptModels(settings.data_dir / "models")).loaded
    for warning in loaded.warnings if loaded is not None else ():
        say(str(warning))
    commands = WORKER if settings.role == "worker" else MODULES
    sys.exit(serve_until_signal(settings, loaded, SystemClock(), say=line, commands=commands, duration_s=duration_s))
