"""Mail against a real SMTP server on this machine, in clear and with STARTTLS."""

import asyncio
import ssl
import subprocess
from email import message_from_bytes, policy

import pytest
from aiosmtpd.smtp import SMTP

from notify_messages import messages
from tocsin.model.clock import SECOND
from tocsin.model.errors import Refused, Retryable
from tocsin.notify.base import Context
from tocsin.notify.mail import Email
from tocsin.spec.destination import EmailDestination

NOW = 1_800_000_000 * SECOND


class Inbox:
    """Keeps what arrives; answers `RCPT` as told."""

    def __init__(self, rcpt="250 OK"):
        self.rcpt = rcpt
        self.got = []
        self.tls = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if not self.rcpt.startswith("250"):
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server, session, envelope):
        self.got.append(envelope)
        self.tls.append(session.ssl is not None)
        return "250 taken"


class Server:
    """A real SMTP server in the loop of the test."""

    def __init__(self, inbox=None, **rest):
        self.inbox = inbox or Inbox()
        self.rest = rest
        self.port = 0

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.listener = await loop.create_server(lambda: SMTP(self.inbox, loop=loop, **self.rest), "127.0.0.1", 0)
        self.port = self.listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.listener.close()
        await self.listener.wait_closed()


async def resolve(name, port):
    return ["127.0.0.1"]


def send(server, *actions, tls=False, context=None, host="127.0.0.1", allow=("127.0.0.0/8",)):
    """Send messages of these actions; gives the last receipt."""

    async def scene():
        async with server:
            spec = {
                "name": "mail",
                "type": "email",
                "host": host,
                "port": server.port,
                "tls": tls,
                "allow": list(allow),
            }
            spec |= {"from": "tocsin@example.org", "to": ["on@call.example", "two@call.example"]}
            mail = Email(EmailDestination.model_validate(spec), Context("https://tocsin.example", resolve), context)
            for action in actions or ("trigger",):
                receipt = await mail.send(messages()[action], "", NOW)
            return receipt

    return asyncio.run(scene())


def test_a_mail_arrives_at_everybody():
    server = Server()
    receipt = send(server)
    [got] = server.inbox.got
    assert got.rcpt_tos == ["on@call.example", "two@call.example"]
    assert got.mail_from == "tocsin@example.org"
    found = message_from_bytes(got.content, policy=policy.default)
    assert found["Subject"] == "[CRITICAL] " + messages()["trigger"].incident.title
    text = found.get_body(("plain",)).get_content()
    assert "prompt_version v1 -> v2" in text
    assert "https://tocsin.example/incidents/inc-" in text
    assert "taken" in receipt.detail


def test_later_news_goes_into_the_same_thread_under_its_own_id():
    server = Server()
    send(server, "trigger", "resolve")
    first, second = (message_from_bytes(each.content, policy=policy.default) for each in server.inbox.got)
    assert first["References"] == second["References"]
    assert first["Message-ID"] != second["Message-ID"]
    assert second["Subject"].startswith("RESOLVED ")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mail.example"]
    command += ["-addext", "subjectAltName=DNS:mail.example", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return Server(tls_context=context, require_starttls=True)


@pytest.mark.system
def test_starttls_checks_the_name_and_encrypts(certificate):
    server = tls_server(certificate)
    trusting = ssl.create_default_context(cafile=certificate / "cert.pem")
    send(server, tls=True, context=trusting, host="mail.example")
    assert server.inbox.tls == [True]


@pytest.mark.system
@pytest.mark.parametrize(("trusted", "host"), [(False, "mail.example"), (True, "other.example")])
def test_starttls_with_a_wrong_certificate_sends_nothing(certificate, trusted, host):
    server = tls_server(certificate)
    context = ssl.create_default_context(cafile=certificate / "cert.pem" if trusted else None)
    with pytest.raises(Retryable, match=r"(?i)certificate"):
        send(server, tls=True, context=context, host=host)
    assert server.inbox.got == []


def test_a_server_without_starttls_gets_nothing():
    server = Server()
    with pytest.raises((Retryable, Refused)):
        send(server, tls=True)
    assert server.inbox.got == []


@pytest.mark.parametrize(("answer", "error"), [("550 no such user", Refused), ("451 later", Retryable)])
def test_refusals_of_the_server_are_told_apart(answer, error):
    server = Server(Inbox(answer))
    with pytest.raises(error):
        send(server)
    assert server.inbox.got == []


def test_private_addresses_need_to_be_allowed():
    server = Server()
    with pytest.raises(Refused, match="loopback"):
        send(server, allow=())
    assert server.inbox.got == []


def test_nobody_listening_is_worth_a_retry():
    class Closed(Server):
        async def __aenter__(self):
            await super().__aenter__()
            await super().__aexit__()
            return self

        async def __aexit__(self, *_):
            return

    with pytest.raises(Retryable):
        send(Closed())
