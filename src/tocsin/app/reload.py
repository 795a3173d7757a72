"""A changed file of configuration: checked first; a bad one is reported and never takes effect."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from tocsin.app.ical_files import ical_paths, with_calendars
from tocsin.app.logs import redaction_key
from tocsin.app.models import KeptModels, with_models
from tocsin.app.reference_files import with_references
from tocsin.app.settings import ServeSettings
from tocsin.model.errors import BadConfig
from tocsin.selfmon.metrics import counter, gauge
from tocsin.spec.config import Config
from tocsin.spec.load import Loaded, parse_config, read_text
from tocsin.spec.pack import PackSpec
from tocsin.spec.problem import BadSpec, Problem

GOOD_FILE = "config.good"
_RELOADS = counter("tocsin_config_reloads_total", "Changed configurations seen, by outcome.", ["outcome"])
_BAD = gauge("tocsin_config_bad", "1 while the file of configuration is bad and an earlier one is in force.")
_log = structlog.get_logger(__name__)


def remember(settings: ServeSettings, loaded: Loaded) -> None:
    """Keep the text of a good configuration for the life of this run, so that a restart can't meet a worse one."""
    text = read_text(Path(loaded.file))
    path = settings.run_dir / f"{GOOD_FILE}.{os.getpid()}"
    path.touch(mode=0o600)
    path.write_text(text)
    path.replace(settings.run_dir / GOOD_FILE)


class ConfigFile:
    """The configuration in force in one process, and the file that may change it."""

    def __init__(
        self, settings: ServeSettings, env: Mapping[str, str], packs: Sequence[PackSpec] = (), *, models: bool = False
    ) -> None:
        self._kept = KeptModels(settings.data_dir / "models") if models else None
        self.models: Mapping[str, bytes] = {}
        self._settings = settings
        self._env = env
        self._packs = packs
        self._path = settings.config_path
        self._stamp: list[tuple[int, int, int]] = []
        self._wake = threading.Event()
        self._ended = False
        self._guard = threading.Lock()
        self.loaded: Loaded | None = None
        self.problems: tuple[Problem, ...] = ()

    @property
    def config(self) -> Config:
        """What is in force; the defaults when there is no file."""
        return self.loaded.config if self.loaded is not None else Config()

    def start(self) -> Config:
        """Load the file; if it went bad since the server was started, the last good text of this run.

        Raises
        ------
        BadSpec
            It is bad, and was never good in this run.
        """
        if self._path is None:
            return Config()
        try:
            self.check()
        except BadSpec as error:
            good = self._settings.run_dir / GOOD_FILE
            if not good.exists():
                raise
            self._refuse(error)
            self.loaded = self._modelled(parse_config(good.read_text(), str(self._path), self._env, self._packs))
        return self.config

    def check(self) -> bool:
        """Load the file if it changed; True when another configuration is in force now.

        Raises
        ------
        BadSpec
            The file is bad; what was in force stays.
        """
        if self._path is None:
            return False
        with self._guard:
            self._stamp = self._stamps()
            loaded = self._modelled(parse_config(read_text(self._path), str(self._path), self._env, self._packs))
            changed = self.loaded is None or loaded.config != self.loaded.config
            self.loaded, self.problems = loaded, loaded.warnings
            _BAD.set(0)
            remember(self._settings, loaded)
            return changed

    def _modelled(self, loaded: Loaded) -> Loaded:
        """The same with the digests of its models and the records of references; only the process that needs them reads.

        A server that starts goes on with what it read of a reference before, if its file is gone.
        """
        started = self.loaded is not None
        loaded = with_calendars(loaded, self.loaded.config if self.loaded else None, strict=started)
        if self._kept is None:
            return loaded
        if any(policy.reference.file for policy in loaded.config.drift):
            key = redaction_key(self._settings.data_dir)
            loaded = with_references(loaded, strict=self.loaded is not None, key=key)
        found = with_models(loaded, self._kept)
        try:
            self._kept.remember(found.paths)
        except OSError as full:
            _log.warning("models could not be kept beside the data; a restart needs their files", cause=str(full))
        self.models = found.models
        return found.loaded

    def watch(
        self,
        apply: Callable[[Config], None],
        *,
        every_s: float = 2.0,
        refused: Callable[[Sequence[Problem]], None] = lambda _: None,
    ) -> None:
        """Look after the file in a thread of its own, and at once after `poke`; `apply` gets each new good one.

        `apply` refuses with BadConfig what it can't put into force; `refused` hears of every bad one.
        """

        def run() -> None:
            while not self._ended:
                poked = self._wake.wait(every_s)
                self._wake.clear()
                if self._path is not None and not self._ended and (poked or self._stamps() != self._stamp):
                    self._try(apply, refused)

        threading.Thread(target=run, name="config-watch", daemon=True).start()

    def poke(self) -> None:
        """Look now (SIGHUP)."""
        self._wake.set()

    def close(self) -> None:
        """Stop watching."""
        self._ended = True
        self._wake.set()

    def _stamps(self) -> list[tuple[int, int, int]]:
        """What tells that the file, or a calendar that it names, is another than before."""
        return [_stamp(path) for path in (self._path, *ical_paths(self.loaded)) if path is not None]

    def _try(self, apply: Callable[[Config], None], refused: Callable[[Sequence[Problem]], None]) -> None:
        before = self.loaded
        try:
            if self.check():
                apply(self.config)
                _RELOADS.labels("applied").inc()
                _log.info("a changed configuration is in force", file=str(self._path))
            else:
                _RELOADS.labels("unchanged").inc()
        except BadConfig as error:
            self.loaded = before
            self._refuse(error)
            refused(self.problems)

    def _refuse(self, error: BadConfig) -> None:
        found = error.problems if isinstance(error, BadSpec) else (Problem(str(self._path), 1, 1, str(error)),)
        self.problems = found
        _RELOADS.labels("refused").inc()
        _BAD.set(1)
        for problem in found:
            _log.error("bad configuration; the one in force stays", problem=str(problem))


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0)
    return (stat.st_mtime_ns, stat.st_ino, stat.st_size)
