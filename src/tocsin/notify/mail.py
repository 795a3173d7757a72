"""E-mail over SMTP: plain text and simple HTML, later news in the same thread."""

from __future__ import annotations

import asyncio
import hashlib
import html
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from tocsin.model.destination import Receipt
from tocsin.model.errors import Refused, Retryable
from tocsin.model.message import Message, Picture
from tocsin.notify.base import Context, Notifier, headline, page_of, text_body
from tocsin.notify.guard import CONNECT_S, checked_addresses, networks
from tocsin.spec.destination import EmailDestination

TIMEOUT_S = 15.0
TLS_PORT = 465
_SECOND = 1_000_000_000
_PERMANENT = 500


def mail(message: Message, sender: str, to: Sequence[str], base_url: str, now: int) -> EmailMessage:
    """The mail of a notice at time `now` (ns); its headers are the same at every attempt."""
    incident = message.incident
    domain = sender.rsplit("@", 1)[-1].strip("> ") or "localhost"
    root = hashlib.blake2b(f"{incident.tenant}\0{incident.id}".encode(), digest_size=12).hexdigest()
    found = EmailMessage()
    found["Subject"] = headline(message)
    found["From"] = sender
    found["To"] = ", ".join(to)
    found["Date"] = format_datetime(datetime.fromtimestamp(now // _SECOND, UTC))
    found["Message-ID"] = f"<{message.id}@{domain}>"
    found["In-Reply-To"] = f"<{root}@{domain}>"
    found["References"] = f"<{root}@{domain}>"
    found["Auto-Submitted"] = "auto-generated"
    found["X-Tocsin-Incident"] = incident.id
    text = text_body(message, base_url)
    found.set_content(text)
    cid = f"{root}.chart@{domain}" if message.picture is not None else ""
    found.add_alternative(_html(text, page_of(message, base_url), message.picture, cid), subtype="html")
    if message.picture is not None:
        page = list(found.iter_parts())[1]
        assert isinstance(page, EmailMessage)
        page.add_related(
            message.picture.png, "image", "png", cid=f"<{cid}>", filename="chart.png", disposition="inline"
        )
    return found


def _html(text: str, address: str, picture: Picture | None, cid: str) -> str:
    shown = html.escape(text.removesuffix(address))
    href = html.escape(address, quote=True)
    style = "font-family:sans-serif;white-space:pre-wrap"
    image = ""
    if picture is not None:
        caption = html.escape(picture.caption, quote=True)
        image = f'<p><img src="cid:{html.escape(cid, quote=True)}" alt="{caption}" width="640"><br>{caption}</p>'
    return (
        f'<!doctype html><html><body><div style="{style}">{shown}<a href="{href}">{href}</a></div>{image}</body></html>'
    )


class Email(Notifier[EmailDestination]):
    """Sends mail through one server, a connection per notice."""

    name = "email"

    def __init__(self, spec: EmailDestination, context: Context, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(spec, context)
        self._allow = networks(spec.allow)
        self._tls = tls

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Send the mail; the server's address is checked like any other."""
        spec = self.spec
        addresses = await checked_addresses(spec.host, spec.port, self._allow, self.context.resolve)
        found = mail(message, spec.from_, spec.to, self.context.base_url, now)
        client = aiosmtplib.SMTP(
            # the name is for the certificate only: the connection goes to the checked address
            hostname=spec.host,
            sock=await _connect(addresses, spec.port),
            timeout=TIMEOUT_S,
            use_tls=spec.tls and spec.port == TLS_PORT,
            start_tls=False,
            tls_context=self._tls or ssl.create_default_context(),
        )
        try:
            await client.connect()
            if spec.tls and spec.port != TLS_PORT:
                await client.starttls()
            if spec.username:
                await client.login(spec.username, spec.password)
            refused, answer = await client.send_message(found)
            await client.quit()
        except aiosmtplib.SMTPResponseException as error:
            text = f"{spec.host} answered {error.code}: {error.message[:200]}"
            raise (Refused(text) if error.code >= _PERMANENT else Retryable(text)) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [each.code for each in error.recipients]
            text = f"{spec.host} refuses all recipients, the first with {codes[:1]}"
            raise (Refused(text) if all(code >= _PERMANENT for code in codes) else Retryable(text)) from error
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise Retryable(f"{spec.host}:{spec.port}: {error}") from error
        finally:
            client.close()
        missing = f"; refused for {', '.join(refused)}" if refused else ""
        return Receipt(f"{answer}{missing}"[:400], thread)


async def _connect(addresses: Sequence[str], port: int) -> socket.socket:
    """A connected socket to the first address that answers."""
    last: OSError | None = None
    for address in addresses:
        try:
            found = await asyncio.to_thread(socket.create_connection, (address, port), CONNECT_S)
        except OSError as error:
            last = error
        else:
            found.setblocking(False)
            return found
    raise Retryable(f"{addresses[0]}:{port}: {last}")
