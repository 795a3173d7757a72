"""Runs the program: as a script would (`process`), or the same `main` in this process, which is quicker (`tocsin`)."""

from __future__ import annotations

import os
import subprocess
import sys
from subprocess import CompletedProcess

import pytest

from tocsin.cli.main import main


@pytest.fixture
def process(tmp_path):
    def run(*args: object, **env: str) -> CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}
        command = [sys.executable, "-c", "from tocsin.cli.main import main; main()", *map(str, args)]
        env = {**kept, "HOME": str(tmp_path), **env}
        return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False, env=env)

    return run


@pytest.fixture
def tocsin(tmp_path, monkeypatch, capfd):
    def run(*args: object, **env: str) -> CompletedProcess[str]:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
                patch.delenv(name)
            for name, value in {"HOME": str(tmp_path), **env}.items():
                patch.setenv(name, value)
            patch.chdir(tmp_path)
            command = ["tocsin", *map(str, args)]
            patch.setattr(sys, "argv", command)
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        said = capfd.readouterr()
        return CompletedProcess(command, int(ended.value.code or 0), said.out, said.err)

    return run
