"""Weights in Envoy's runtime and nginx's upstreams; addresses with labels; programs."""

import json
import sys
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import pytest

from incident_world import T0
from notify_server import http_server
from remedy_world import NEW, incident, play
from ticket_peers import Peer, need, served
from tocsin.app.responding import signed
from tocsin.model.errors import Refused
from tocsin.notify.guard import GuardedClient
from tocsin.respond.call import Call
from tocsin.respond.command import Command
from tocsin.respond.ports import Order
from tocsin.respond.weights import Envoy, Nginx, Shift
from tocsin.spec.playbook import CommandAction, PostAction, RetrainAction, TrafficWeightAction


@dataclass
class EnvoyPeer(Peer):
    """The admin interface: runtime layers, of which only the admin one is written."""

    base: dict = field(default_factory=lambda: {"split.llama-new": "60", "split.stable": "40"})
    admin: dict = field(default_factory=dict)

    def answer(self, method, target, headers, body):
        self.asked.append((method, target.path))
        if (method, target.path) == ("GET", "/runtime"):
            entries = {
                key: {"layer_values": [value, self.admin.get(key, "")], "final_value": self.admin.get(key, value)}
                for key, value in self.base.items()
            }
            return 200, {"layers": ["base", "admin"], "entries": entries}, []
        if (method, target.path) == ("POST", "/runtime_modify"):
            self.admin.update(parse_qsl(target.query))
            return 200, "OK", []
        return 404, {}, []


@dataclass
class NginxPeer(Peer):
    """The upstream servers of the API, version 9."""

    servers: list = field(
        default_factory=lambda: [
            {"id": 0, "server": "10.0.0.1:80", "weight": 10},
            {"id": 4, "server": "10.0.0.2:80", "weight": 10},
        ]
    )

    def reply(self, method, path, query, headers, told):
        root = "/api/9/http/upstreams/llm/servers"
        if (method, path) == ("GET", root):
            return 200, self.servers
        need(method == "PATCH" and path.startswith(root + "/"), "path")
        found = next(each for each in self.servers if each["id"] == int(path.rsplit("/", 1)[1]))
        need(
            set(told) <= {"weight", "down"} and type(told["weight"]) is int and told["weight"] >= 1,
            "UpstreamConfFormatError",
        )
        found.update(told)
        return 200, found


def acting(make, spec, story, peer, labels=None):
    async def run():
        async with served(peer):
            client = GuardedClient(["127.0.0.0/8"])
            try:
                url = peer.url + ("/api/9/http/upstreams/llm/servers" if isinstance(peer, NginxPeer) else "")
                told = spec.model_copy(update={"url": url})
                await story(
                    Shift(make(client)), Order("act-1", told, {**NEW, **(labels or {})}, incident(), {}, T0), peer
                )
            finally:
                await client.close()

    play(run())


def test_envoys_runtime_is_moved_and_moved_back():
    async def story(act, order, peer):
        plan = await act.plan(order)
        assert peer.admin == {}
        await act.run(order, plan)
        assert peer.admin == {"split.llama-new": "30", "split.stable": "70"}
        asked = len(peer.asked)
        await act.run(order, plan)
        assert peer.asked[asked:] == [("GET", "/runtime")]
        await act.undo(order, plan)
        assert peer.admin == {"split.llama-new": "60", "split.stable": "40"}

    spec = TrafficWeightAction(
        type="traffic_weight", via="envoy", url="http://x", prefix="split", variant="${gen_ai.request.model}", factor=0.5, fallback="stable"
    )  # fmt: skip
    acting(Envoy, spec, story, EnvoyPeer())


def test_nginx_servers_are_weighted_anew_even_when_it_was_cut_off_half_way():
    async def story(act, order, peer):
        plan = await act.plan(order)
        assert [each["weight"] for each in peer.servers] == [10, 10]
        peer.servers[0]["weight"] = 5  # the first of two writes was made, then the process died
        await act.run(order, plan)
        assert [each["weight"] for each in peer.servers] == [5, 15]
        await act.undo(order, plan)
        assert [each["weight"] for each in peer.servers] == [10, 10]

    spec = TrafficWeightAction(
        type="traffic_weight", via="nginx", url="http://x", variant="10.0.0.1:80", factor=0.5, fallback="10.0.0.2:80"
    )
    acting(Nginx, spec, story, NginxPeer())


def call(spec, story, *answers):
    async def run():
        async with http_server(*answers) as server:
            client = GuardedClient(["127.0.0.0/8"])
            try:
                told = spec.model_copy(update={"url": server.url + spec.url})
                await story(
                    Call(client, signed), Order("act-1", told, {**NEW, "odd": "../x?y=1"}, incident(), {}, T0), server
                )
            finally:
                await client.close()

    play(run())


def test_a_label_in_an_address_ends_no_part_of_it():
    async def story(act, order, server):
        plan = await act.plan(order)
        assert server.got == []
        await act.run(order, plan)
        assert server.got[0].path == "/retrain/..%2Fx%3Fy%3D1"
        assert json.loads(server.got[0].body)["action"] == "retrain"
        assert not plan.undo

    call(
        RetrainAction(type="retrain", url="http://x/y", model="llama").model_copy(update={"url": "/retrain/${odd}"}),
        story,
    )


def test_a_call_without_the_label_it_asks_for_is_not_made():
    async def story(act, order, server):
        with pytest.raises(Refused, match="no such label"):
            await act.plan(order)

    call(PostAction(type="webhook", url="http://x/y").model_copy(update={"url": "/${nowhere}"}), story)


def command(argv, **rest):
    return CommandAction(type="command", argv=[sys.executable, *argv], **rest)


def ran(spec, labels):
    async def run():
        order = Order("act-1", spec, labels, incident(), {}, T0)
        act = Command()
        return await act.run(order, await act.plan(order))

    return play(run())


def test_a_program_gets_its_arguments_as_they_are_and_nothing_of_our_environment(monkeypatch):
    monkeypatch.setenv("SECRET_OF_OURS", "1")
    code = "import os, sys; print(sys.argv[1:], sorted(k for k in os.environ if k[0] in 'ST'))"
    said = ran(command(["-c", code, "${name}"]), {"name": "$(reboot); `x` 'y'"})
    assert """["$(reboot); `x` 'y'"] ['TOCSIN_INCIDENT', 'TOCSIN_KEY_OF_ACTION', 'TOCSIN_OPERATION']""" in said


@pytest.mark.parametrize("label", ["--delete", "-x", "a\nb", ""])
def test_a_label_is_no_option_of_a_program(label):
    with pytest.raises(Refused):
        ran(command(["-c", "pass", "${name}"]), {"name": label})


def test_a_program_that_fails_or_does_not_end_is_said(monkeypatch):
    with pytest.raises(Refused, match="ended with 3: sorry"):
        ran(command(["-c", "import sys; print('sorry'); sys.exit(3)"]), {})
    with pytest.raises(Refused, match="did not end within 1 s and was killed"):
        ran(command(["-c", "import time; time.sleep(60)"], timeout="1s"), {})
