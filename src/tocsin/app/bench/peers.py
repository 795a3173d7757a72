"""Other products, as the distribution packages them, under the same load in the same run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tocsin.app.bench.program import Program, free_port, get
from tocsin.model.errors import BadInput

PROMETHEUS, VICTORIA, ALERTMANAGER = "prometheus", "victoria-metrics", "prometheus-alertmanager"


def executable(name: str) -> str:
    """Path of a program.

    Raises
    ------
    BadInput
        It is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise BadInput(f"{name} is not installed; `apt install {name}`, or measure without --peers")
    return found


class Peer(Program):
    """Another product, listening on a free port of loopback."""

    def __init__(self, name: str, where: Path, arguments: Callable[[int], list[str]], ready: str) -> None:
        self.name = name
        self.port = free_port()
        self._ready = ready
        where.mkdir(parents=True, exist_ok=True)
        super().__init__([executable(name), *arguments(self.port)], where)

    def wait_ready(self) -> None:
        """Wait until it takes requests."""
        self.wait(lambda: get(self.port, self._ready)[0] == 200, f"{self.name} was not ready")


def receiving_prometheus(where: Path) -> Peer:
    """Prometheus that takes remote write and scrapes nobody."""
    where.mkdir(parents=True, exist_ok=True)
    (where / "prometheus.yml").write_text("scrape_configs: []\n")
    return Peer(
        PROMETHEUS,
        where,
        lambda port: [
            "--web.enable-remote-write-receiver",
            f"--config.file={where / 'prometheus.yml'}",
            f"--storage.tsdb.path={where / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        "/-/ready",
    )


def receiving_victoria(where: Path) -> Peer:
    """VictoriaMetrics, which takes remote write by itself."""
    return Peer(
        VICTORIA,
        where,
        lambda port: [f"-storageDataPath={where / 'data'}", f"-httpListenAddr=127.0.0.1:{port}"],
        "/health",
    )


def alerting(where: Path, target: str, hook: str, rule: str) -> tuple[Peer, Peer]:
    """Prometheus and Alertmanager with everything at one second: scraping, evaluating, grouping."""
    (where / "am").mkdir(parents=True, exist_ok=True)
    (where / "prom").mkdir(parents=True, exist_ok=True)
    (where / "am" / "am.yml").write_text(
        "route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: '{hook}', send_resolved: false}}]}}]\n"
    )
    manager = Peer(
        ALERTMANAGER,
        where / "am",
        lambda port: [
            f"--config.file={where / 'am' / 'am.yml'}",
            f"--storage.path={where / 'am' / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        "/-/ready",
    )
    (where / "prom" / "rules.yml").write_text(
        f"groups: [{{name: bench, rules: [{{alert: Breach, expr: '{rule}', for: 0s}}]}}]\n"
    )
    (where / "prom" / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
        f"rule_files: ['{where / 'prom' / 'rules.yml'}']\n"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{manager.port}']}}]}}]}}\n"
        f"scrape_configs: [{{job_name: bench, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    prometheus = Peer(
        PROMETHEUS,
        where / "prom",
        lambda port: [
            f"--config.file={where / 'prom' / 'prometheus.yml'}",
            f"--storage.tsdb.path={where / 'prom' / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        "/-/ready",
    )
    return prometheus, manager
