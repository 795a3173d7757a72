"""What a server is told at start."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tocsin.app.settings import ClockSettings, ServeSettings


def made(tmp_path: Path, **changes) -> ServeSettings:
    return ServeSettings(data_dir=tmp_path / "data", run_dir=tmp_path, **changes)


def test_settings_travel_through_a_private_file(tmp_path):
    clock = ClockSettings(origin_ns=2**62, started=Path("/run/started"), speed=2.5)
    wanted = made(tmp_path, main_fd=7, internal_secret="s", config_path=Path("/c.yaml"), clock=clock)
    path = wanted.write()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ServeSettings.read(tmp_path) == wanted


@pytest.mark.parametrize(
    ("host", "insecure", "open_access", "url"),
    [
        ("127.0.0.1", False, True, "http://127.0.0.1:8642"),
        ("::1", False, True, "http://[::1]:8642"),
        ("0.0.0.0", False, False, "http://127.0.0.1:8642"),
        ("10.1.2.3", False, False, "http://10.1.2.3:8642"),
        ("10.1.2.3", True, True, "http://10.1.2.3:8642"),
    ],
)
def test_who_needs_a_key_and_where_the_page_is(tmp_path, host, insecure, open_access, url):
    settings = made(tmp_path, host=host, insecure=insecure)
    assert (settings.open_access, settings.url) == (open_access, url)


def test_links_lead_where_others_reach_the_page(tmp_path):
    assert made(tmp_path, host="0.0.0.0").page_url == "http://127.0.0.1:8642"
    assert made(tmp_path, public_url="https://tocsin.example/a/").page_url == "https://tocsin.example/a"
