"""Binding the ports of the server, and saying who has one that is taken."""

from __future__ import annotations

import errno
import socket

import psutil

from tocsin.model.errors import BadConfig

BACKLOG = 1024


def bind(host: str, port: int, flag: str) -> socket.socket:
    """A listening TCP socket that a child process can inherit.

    Raises
    ------
    BadConfig
        The port is taken (by whom, where that can be seen), may not be had, or the address is not of this machine.
    """
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((name, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise BadConfig(_reason(error, host, port, flag)) from None
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def is_free(host: str, port: int) -> bool:
    """Whether a TCP port can be bound right now."""
    try:
        bind(host, port, "").close()
    except BadConfig:
        return False
    return True


def holder(port: int) -> str:
    """Who listens on a port, as `name (pid 12)`; empty when the system does not tell."""
    try:
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr
            if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        return ""
    return ""


def _reason(error: OSError, host: str, port: int, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        who = holder(port)
        return (
            f"port {port} on {host} is taken{f' by {who}' if who else ''}; end that program or choose another: {flag} N"
        )
    if error.errno == errno.EACCES:
        return f"port {port} on {host} may not be had without more rights; choose one above 1023: {flag} N"
    reason = (error.strerror or str(error)).lower()
    return f"can't listen on {host}:{port}: {reason}; `--host` takes an address of this machine"
