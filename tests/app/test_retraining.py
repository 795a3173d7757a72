"""The flag that retraining is due: raised, dated, explained, put off and taken down by a new version of the model."""

import json
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.fake import deps
from api.world import NOW, NS, story
from onnx_files import mean_model
from tocsin.api.app import control_app
from tocsin.app.models import KeptModels
from tocsin.app.retraining import Retraining
from tocsin.app.settings import ServeSettings
from tocsin.cli import retraining as command
from tocsin.cli.main import app
from tocsin.model.clock import ManualClock
from tocsin.model.series import MAIN_TENANT
from tocsin.selfmon.metrics import REGISTRY
from tocsin.spec.load import parse_config
from tocsin.store.state import StateStore

HOUR = 3600 * NS
FINDING = story().findings[0]
CONFIG = f"""
monitors:
  - name: {FINDING.monitor}
    signal: {FINDING.series.signal.name}
    detect: {{onnx: {{path: tokens.onnx}}}}
  - {{name: plain, signal: other}}
"""


class File:
    def __init__(self, path):
        self.loaded = parse_config(CONFIG, str(path / "tocsin.yaml"), {})


class Stored:
    """No points are stored; what models are given is looked at in tests of the rule and of a whole server."""

    def points(self, *_):
        return []


class World:
    def __init__(self, path):
        self.path = path
        self.clock = ManualClock(NOW)
        self.state = StateStore(f"sqlite:///{path / 'state.db'}")
        self.kept = KeptModels(path / "models")
        self.number = 0
        self.train(1.0)

    def train(self, spread):
        self.kept.remember({str(self.path / "tokens.onnx"): mean_model(spread=spread)})

    def open(self):
        """As after a restart."""
        settings = ServeSettings(data_dir=self.path, run_dir=self.path)
        return Retraining(self.state, Stored(), File(self.path), lambda: ["main", "other"], settings, self.clock)

    def judge(self, verdict, times=1, monitor=FINDING.monitor):
        for _ in range(times):
            self.clock.advance(HOUR)
            self.number += 1
            finding = replace(FINDING, monitor=monitor)
            now = self.clock.now()
            incident = replace(story(), id=f"inc-{self.number}", opened_at=now, updated_at=now, findings=(finding,))
            self.state.commit("test", self.number, incidents=[incident])
            assert self.state.add_feedback("main", incident.id, verdict, by="ann", at=now + NS)


@pytest.fixture
def world(tmp_path):
    found = World(tmp_path)
    yield found
    found.state.close()


def flag():
    return REGISTRY.get_sample_value("tocsin_incident_retraining_due_models", {"monitor": FINDING.monitor})


def test_false_alarms_raise_a_flag_with_date_and_reason_and_a_new_version_takes_it_down(world):
    service = world.open()
    assert service.step() == 1
    [model] = service.models(MAIN_TENANT)
    assert (model.monitor, model.due_at, model.in_force_since) == (FINDING.monitor, None, NOW)
    assert flag() == 0.0
    world.judge("false_alarm", 7)
    raised = world.clock.now() + NS
    assert service.step() == 0
    [model] = service.models(MAIN_TENANT)
    assert (model.due_at, model.false_alarms, model.judged) == (raised, 7, 7)
    assert model.reasons[0][1].startswith("7 of 7 incidents it had a part in were called false alarms")
    assert flag() == 1.0
    assert world.open().models(MAIN_TENANT) == [model]
    assert world.open().models("other")[0].due_at is None  # another tenant sees nothing of it
    world.clock.advance(HOUR)
    world.train(2.0)
    assert service.models(MAIN_TENANT) == []
    assert service.step() == 1
    [after] = service.models(MAIN_TENANT)
    assert (after.due_at, after.judged, after.in_force_since) == (None, 0, world.clock.now())
    assert after.sha256 != model.sha256
    assert flag() == 0.0


def test_a_flag_is_put_off_by_hand_and_taken_up_again_and_both_are_in_the_trail(world):
    service = world.open()
    service.step()
    world.judge("false_alarm", 7)
    at = world.clock.now() + 2 * NS
    assert service.put_off(MAIN_TENANT, FINDING.monitor, by="bob", at=at)
    [model] = service.models(MAIN_TENANT)
    assert (model.due_at, model.judged, model.put_off_at, model.put_off_by) == (None, 0, at, "bob")
    world.judge("false_alarm", 7)
    assert service.models(MAIN_TENANT)[0].due_at == world.clock.now() + NS  # counted anew, and due anew
    assert service.take_up(MAIN_TENANT, FINDING.monitor, by="ann", at=world.clock.now())
    assert service.models(MAIN_TENANT)[0].judged == 14
    assert not service.put_off(MAIN_TENANT, "plain", by="bob", at=at)
    actions = [each.action for each in world.state.audit_trail() if each.action != "feedback"]
    assert actions == ["take_up_retraining", "put_off_retraining", "model_in_force"]
    assert world.state.verify_audit() > 0


def test_real_ones_of_another_monitor_on_its_series_are_missed_by_it(world):
    service = world.open()
    service.step()
    world.judge("real_problem", 7, monitor="limit")
    [model] = service.models(MAIN_TENANT)
    assert (model.missed, model.real, model.judged) == (7, 7, 0)
    assert "went without a word of it" in model.reasons[0][1]


@pytest.fixture
def shell(world, monkeypatch):
    service = world.open()
    service.step()
    world.judge("false_alarm", 7)
    api = TestClient(control_app(replace(deps(), retraining=service, clock=world.clock)), base_url="http://localhost")

    class Here:
        def __init__(self, *_):
            pass

        def get(self, path):
            return api.get(path).raise_for_status().json()

        def post(self, path):
            return api.post(path).raise_for_status().json()

        def delete(self, path):
            return api.delete(path).raise_for_status().json()

    monkeypatch.setattr(command, "Server", Here)
    return api


def test_it_is_seen_and_put_off_by_command_and_api(shell):
    listed = CliRunner().invoke(app, ["retraining", "list"])
    assert "due since 2026-11-2" in listed.stdout
    assert "7 of 7 incidents it had a part in were called false alarms" in listed.stderr
    assert shell.get("/api/review").json()["models"][0]["due"] is True
    off = CliRunner().invoke(app, ["retraining", "put-off", FINDING.monitor, "--json"])
    assert json.loads(off.stdout)["models"][0]["due"] is False
    assert "put off" in CliRunner().invoke(app, ["retraining", "list"]).stdout
    up = CliRunner().invoke(app, ["retraining", "take-up", FINDING.monitor, "--json"])
    assert json.loads(up.stdout)["models"][0]["due"] is True
    missing = shell.delete("/api/retraining/plain")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
