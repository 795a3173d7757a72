"""Killed between deciding, acting and noting it down: nothing is done twice, and nothing is forgotten."""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from remedy_world import World, incident, play

CONFIG = """
remediation: {{enabled: true}}
playbooks:
  - name: shift
    when: {{monitor: variant-p95}}
    approved: true
    action: {{type: traffic_weight, url: "{url}", allow: [127.0.0.0/8], variant: "${{gen_ai.request.model}}", factor: 0.5, fallback: stable}}
    verify: {{after: 10m, else: rollback}}
"""
ROOT = Path(__file__).parents[1]


class Mesh:
    """Counts what it did by key; while `hold` is set it does it, and does not answer until it is let go."""

    def __init__(self, *, does):
        self.asked, self.done = [], []
        self.arrived, self.let_go = threading.Event(), threading.Event()
        mesh = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                key = self.headers["idempotency-key"]
                mesh.asked.append(key)
                if does and key not in mesh.done:
                    mesh.done.append(key)
                mesh.arrived.set()
                if not mesh.let_go.is_set():
                    mesh.let_go.wait(60)  # whoever asked is dead by then
                    return
                if key not in mesh.done:
                    mesh.done.append(key)
                text = json.dumps({"variant": body["variant"]}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/weights"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.mark.parametrize("does", [True, False], ids=["after-it-was-done", "before-it-was-done"])
def test_killed_while_acting_it_is_done_once_and_noted(database, tmp_path, does):
    mesh = Mesh(does=does)
    config = tmp_path / "tocsin.yaml"
    config.write_text(CONFIG.format(url=mesh.url))

    async def begin():
        world = World(database, config.read_text())
        world.put(incident())
        await world.close()

    async def go_on():
        world = World(database, config.read_text())
        before = world.only()
        await world.step(60)
        after = world.only()
        trail = [each.action for each in world.state.audit_trail("main")]
        world.state.verify_audit()
        await world.close()
        return before, after, trail

    play(begin())
    command = [sys.executable, str(Path(__file__).with_name("act_child.py")), str(database), str(config)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
    try:
        assert mesh.arrived.wait(60)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        mesh.let_go.set()
    before, after, trail = play(go_on())
    mesh.server.shutdown()
    mesh.server.server_close()
    assert (before.state, after.state) == ("running", "verifying")
    assert mesh.done == [before.id], "done once, whether the kill came before or after it"
    assert set(mesh.asked) == {before.id}
    assert len(mesh.asked) == 2
    assert trail.count("remedy.running") == 1


def test_a_program_that_was_cut_off_is_not_run_again(database):
    marks = database.with_name("marks")
    action = {"type": "command", "argv": [sys.executable, "-c", f"open({str(marks)!r}, 'a').write('x')"]}
    playbook = {"name": "drain", "when": {"monitor": "variant-p95"}, "approved": True, "action": action}
    config = {"remediation": {"enabled": True, "commands": True}, "playbooks": [playbook]}

    async def cut_off():
        world = World(database, config)
        world.put(incident())
        move = world.state.move_remedy

        def dies(remedy, messages=()):
            if remedy.state == "verifying":
                raise KeyboardInterrupt
            return move(remedy, messages)

        world.responding._kept.move_remedy = dies
        with pytest.raises(KeyboardInterrupt):
            await world.step()
        await world.close()

    async def go_on():
        world = World(database, config)
        await world.step(60)
        found = world.only()
        await world.close()
        return found

    play(cut_off())
    found = play(go_on())
    assert marks.read_text() == "x"
    assert (found.state, found.log[-1].what) == (
        "failed",
        "it was cut off, and whether it ran is not known: it is not run again",
    )
