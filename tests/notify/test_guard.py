import asyncio
import ipaddress

import pytest

from notify_server import http_server
from tocsin.model.errors import BadConfig, Refused, Retryable
from tocsin.notify import guard
from tocsin.notify.guard import GuardedClient, blocked, networks

LOCAL = ["127.0.0.0/8"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
    ],
)
def test_addresses_of_our_own_networks_are_blocked(address):
    assert blocked(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_not(address):
    assert blocked(ipaddress.ip_address(address), ()) == ""


def test_allow_opens_what_it_names_and_no_more():
    allow = networks(["10.0.0.0/8"])
    assert blocked(ipaddress.ip_address("10.9.9.9"), allow) == ""
    assert blocked(ipaddress.ip_address("::ffff:10.9.9.9"), allow) == ""
    assert blocked(ipaddress.ip_address("127.0.0.1"), allow) == "loopback"
    with pytest.raises(BadConfig):
        networks(["ten"])


async def posted(url, allow=(), resolve=guard.resolve_name, headers=None):
    client = GuardedClient(allow, resolve=resolve)
    try:
        return await client.post(url, b"{}", headers or {})
    finally:
        await client.close()


def refused_by(url_of, allow=(), resolve=guard.resolve_name, *answers):
    async def scene():
        async with http_server(*answers) as server:
            with pytest.raises(Refused) as error:
                await posted(url_of(server), allow, resolve)
            return server.got, str(error.value)

    return asyncio.run(scene())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_loopback_is_refused_under_any_spelling(host):
    got, text = refused_by(lambda server: f"http://{host}:{server.port}/x")
    assert got == []
    assert "allow:" in text


def test_a_name_with_one_private_address_is_refused_whole():
    async def resolve(host, port):
        return ["93.184.216.34", "127.0.0.1"]

    got, _ = refused_by(lambda server: f"http://hook.example:{server.port}/", (), resolve)
    assert got == []


def test_a_name_that_rebinds_reaches_only_what_was_checked():
    asked = []

    async def resolve(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    async def scene():
        async with http_server((500, {}, b"")) as server:
            url = f"http://hook.example:{server.port}/"
            with pytest.raises(Retryable):
                await posted(url, LOCAL, resolve)
            assert len(asked) == 1  # resolved once: the connection went to the address that was checked
            with pytest.raises(Refused):
                await posted(url, LOCAL, resolve)
            return server.got

    assert [each.headers["host"].split(":")[0] for each in asyncio.run(scene())] == ["hook.example"]


def test_redirects_are_not_followed():
    async def scene():
        async with http_server((302, {"location": "http://169.254.169.254/latest"}, b"")) as server:
            with pytest.raises(Refused, match="302, a redirect, and none is followed"):
                await posted(server.url, LOCAL)
            return len(server.got)

    assert asyncio.run(scene()) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://", "http://[zz]/"])
def test_odd_addresses_are_refused(url):
    with pytest.raises((Refused, Retryable)):
        asyncio.run(posted(url))


def test_answers_are_bounded():
    async def scene():
        async with http_server((200, {}, b"x" * (2 << 20))) as server:
            return await posted(server.url, LOCAL)

    assert len(asyncio.run(scene()).body) == guard.MAX_ANSWER_BYTES


def test_secrets_in_the_path_are_not_in_the_error():
    async def scene():
        async with http_server((404, {}, b"no")) as server:
            with pytest.raises(Refused) as error:
                await posted(server.url + "/services/T0/SECRET", LOCAL)
            return str(error.value)

    assert "SECRET" not in asyncio.run(scene())


@pytest.mark.parametrize(
    ("status", "headers", "error", "after"),
    [
        (500, {}, Retryable, None),
        (503, {"retry-after": "7"}, Retryable, 7.0),
        (429, {"retry-after": "120"}, Retryable, 120.0),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, Retryable, None),
        (400, {}, Refused, None),
        (401, {}, Refused, None),
    ],
)
def test_statuses_become_the_right_errors(status, headers, error, after):
    async def scene():
        async with http_server((status, headers, b"why")) as server:
            with pytest.raises(error, match="why") as caught:
                await posted(server.url, LOCAL)
            return getattr(caught.value, "retry_after_s", None)

    assert asyncio.run(scene()) == after


def test_no_answer_and_no_listener_are_worth_a_retry(monkeypatch):
    monkeypatch.setattr(guard, "READ_S", 0.1)

    async def scene():
        async with http_server((0, {}, b"")) as server:
            with pytest.raises(Retryable, match="in time"):
                await posted(server.url, LOCAL)
            port = server.port
        with pytest.raises(Retryable):
            await posted(f"http://127.0.0.1:{port}", LOCAL)

    asyncio.run(scene())
